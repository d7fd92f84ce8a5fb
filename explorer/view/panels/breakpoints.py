"""Breakpoints: a list of conditions at which playing stops, each with a check box and where it holds next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args, get_type_hints

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.actions import ACTIONS
from explorer.model.alterations import leaf_key
from explorer.model.breakpoints import first_hit, hits, matching
from explorer.model.files.limits import LIMITS
from explorer.model.state import Breakpoint
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel

if TYPE_CHECKING:
    from explorer.view.window import Window

KINDS = get_args(get_type_hints(Breakpoint)["kind"])
USUAL = {"below": 1e-3, "above": 1e2, "saturates": 0.05, "nan": 0.0}  # bounds of new ones


def kind_title(kind: str) -> str:
    return {
        "below": tr("gradient below"),
        "above": tr("gradient above"),
        "saturates": tr("saturated within"),
        "nan": tr("no finite number"),
    }[kind]


@panel("breakpoints", "Breakpoints", Qt.DockWidgetArea.RightDockWidgetArea)
class Breakpoints(Panel):
    """The list, and one row to change what is chosen in it; hidden until somebody asks for it."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.hide()

    def build(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(6)
        self.hint = QLabel(
            tr("Playing stops where one of these holds. Select a node and add one; h_* means all such names.")
        )
        self.hint.setWordWrap(True)
        self.hint.setStyleSheet(f"color: {self.theme.faint_ink}")
        column.addWidget(self.hint)
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels([tr("node"), tr("condition"), tr("holds at")])
        self.list.setAccessibleName(tr("Breakpoints"))
        colours = self.list.palette()  # of which Fusion makes the frames of check boxes
        colours.setColor(QPalette.ColorRole.Window, QColor(self.theme.faint_ink).lighter(140))
        self.list.setPalette(colours)
        header = self.list.header()
        for k in range(3):
            header.setSectionResizeMode(k, QHeaderView.ResizeMode.ResizeToContents)
        self.list.itemChanged.connect(self._check)
        self.list.currentItemChanged.connect(lambda *_: self._fill_row())
        self.list.itemDoubleClicked.connect(lambda item: self.go(self.list.indexOfTopLevelItem(item)))
        column.addWidget(self.list, 1)
        row = QHBoxLayout()
        self.node = QLineEdit()
        self.node.setAccessibleName(tr("Node or pattern"))
        self.node.setToolTip(tr("Name of a node, or a pattern such as h_*"))
        self.node.setMaxLength(LIMITS.key)
        self.node.editingFinished.connect(lambda: self._change(node=self.node.text().strip()))
        self.kind = QComboBox()
        self.kind.setAccessibleName(tr("Condition"))
        for kind in KINDS:
            self.kind.addItem(kind_title(kind), kind)
        self.kind.activated.connect(lambda _: self._change(kind=self.kind.currentData()))
        self.bound = QLineEdit()
        self.bound.setAccessibleName(tr("Bound"))
        self.bound.setFixedWidth(round(64 * ui_font(13).pixelSize() / 13))
        self.bound.editingFinished.connect(self._change_bound)
        for widget, stretch in ((self.node, 1), (self.kind, 0), (self.bound, 0)):
            row.addWidget(widget, stretch)
        column.addLayout(row)
        buttons = QHBoxLayout()
        self.buttons: dict[str, QToolButton] = {}
        for name, picture, words, work in (
            ("add", "plus", tr("Add for the selection"), self.add),
            ("remove", "minus", tr("Remove"), self.remove),
            ("run", "play", tr("Run to the next one"), self._run),
        ):
            button = QToolButton()
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setIcon(icon(picture, self.theme.ink))
            button.setText(words)
            button.clicked.connect(lambda _=False, w=work: w())
            self.buttons[name] = button
            buttons.addWidget(button)
        buttons.addStretch(1)
        column.addLayout(buttons)
        return content

    def refresh(self, changed: frozenset[str]) -> None:
        if changed & {"breakpoints", "trace", "recording", "everything"}:
            self._fill()
        has_scene = self.session.recording is not None
        self.buttons["add"].setEnabled(has_scene and bool(self.session.state.selection))

    def _fill(self) -> None:
        """The rows anew, in the same items: one of them may be telling of its check box just now."""
        breakpoints = self.session.state.breakpoints
        now = max(self.row, 0)
        with QSignalBlocker(self.list):
            while self.list.topLevelItemCount() > len(breakpoints):
                self.list.takeTopLevelItem(self.list.topLevelItemCount() - 1)
            while self.list.topLevelItemCount() < len(breakpoints):
                item = QTreeWidgetItem()
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setToolTip(0, tr("Double click goes to where it holds"))
                self.list.addTopLevelItem(item)
            for k, b in enumerate(breakpoints):
                row = self.list.topLevelItem(k)
                assert row is not None
                bound = "" if b.kind == "nan" else f" {text.number(b.bound, 3)}"
                for column, words in enumerate((b.node, kind_title(b.kind) + bound, self._where(b))):
                    row.setText(column, words)
                row.setCheckState(0, Qt.CheckState.Checked if b.on else Qt.CheckState.Unchecked)
        self._choose(min(now, len(breakpoints) - 1))
        self._fill_row()

    def _choose(self, row: int) -> None:
        if (item := self.list.topLevelItem(row)) is not None:
            with QSignalBlocker(self.list):
                self.list.setCurrentItem(item)

    def _where(self, b: Breakpoint) -> str:
        """At which step a breakpoint holds first, and how often."""
        if self.session.recording is None:
            return ""
        trace = self.session.trace
        if not matching(trace.graph, b.node):
            return tr("no such node")
        found = hits(trace, (replace(b, on=True),))
        if not found:
            return tr("nowhere")
        more = tr(" and {n} more").format(n=len(found) - 1) if len(found) > 1 else ""
        return tr("step {k}").format(k=found[0].at) + more

    def _fill_row(self) -> None:
        b = self.chosen
        for widget in (self.node, self.kind, self.bound):
            widget.setEnabled(b is not None)
        self.buttons["remove"].setEnabled(b is not None)
        self.buttons["run"].setEnabled(bool(self.session.state.breakpoints))
        self.bound.setEnabled(b is not None and b.kind != "nan")
        self.node.setText(b.node if b else "")
        self.bound.setText(f"{b.bound:g}" if b and b.kind != "nan" else "")
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(self.kind.findData(b.kind) if b else 0)

    # What is done

    @property
    def row(self) -> int:
        item = self.list.currentItem()
        return self.list.indexOfTopLevelItem(item) if item is not None else -1

    @property
    def chosen(self) -> Breakpoint | None:
        """The breakpoint that is chosen in the list."""
        all_of_them = self.session.state.breakpoints
        return all_of_them[self.row] if 0 <= self.row < len(all_of_them) else None

    def show_up(self) -> None:
        """Bring the panel to the front."""
        self.show()
        self.raise_()
        self.list.setFocus()

    def add(self) -> None:
        """A breakpoint on the node selected last."""
        session = self.session
        if not session.state.selection or len(session.state.breakpoints) >= LIMITS.breakpoints:
            return
        node = session.state.selection[-1]
        graph = session.trace.graph
        new = Breakpoint("nan", leaf_key(graph, node))
        if graph.needs_grad[node]:
            new = replace(new, kind="below", bound=USUAL["below"])
        self.show_up()
        self._set((*session.state.breakpoints, new), tr("Add a breakpoint"))
        self._choose(len(session.state.breakpoints) - 1)
        self._fill_row()

    def remove(self) -> None:
        k, now = self.row, self.session.state.breakpoints
        if 0 <= k < len(now):
            self._set((*now[:k], *now[k + 1 :]), tr("Remove a breakpoint"))

    def go(self, row: int) -> None:
        """Go to the first moment from here on at which a breakpoint holds, else to the first of all."""
        state, trace = self.session.state, self.session.trace
        alone = (replace(state.breakpoints[row], on=True),)
        hit = first_hit(trace, alone, state.t, trace.end) or first_hit(trace, alone, -1.0, trace.end)
        if hit is not None:
            self.session.update(t=float(hit.at), playing=False, selection=(hit.node,))

    def _run(self) -> None:
        self.host.run(ACTIONS["run_to_breakpoint"])

    def _check(self, item: QTreeWidgetItem) -> None:
        on = item.checkState(0) is Qt.CheckState.Checked
        self._change(self.list.indexOfTopLevelItem(item), on=on)

    def _change_bound(self) -> None:
        try:
            bound = float(self.bound.text().replace("−", "-"))
        except ValueError:
            bound = -1.0
        if 0.0 <= bound < float("inf"):
            self._change(bound=bound)
        else:
            self.host.say(tr("A bound is a number from 0 on"))
            self._fill_row()

    def _change(self, row: int | None = None, **fields: object) -> None:
        k = self.row if row is None else row
        now = self.session.state.breakpoints
        if not 0 <= k < len(now) or fields.get("node") == "":
            self._fill_row()
            return
        if fields.get("kind", now[k].kind) != now[k].kind:
            fields["bound"] = USUAL[str(fields["kind"])]
        new = replace(now[k], **fields)  # type: ignore[arg-type]
        if new != now[k]:
            self._set((*now[:k], new, *now[k + 1 :]), tr("Change a breakpoint"))

    def _set(self, breakpoints: tuple[Breakpoint, ...], title: str) -> None:
        self.session.update(breakpoints=breakpoints, title=title)
