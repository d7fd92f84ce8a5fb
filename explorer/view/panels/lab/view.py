"""What the views of the lab share: the session and theme at hand, combos of nodes, small labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, QSignalBlocker, Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from explorer.model import playback
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.look import SYMBOLS
from explorer.view.panels import Panel
from explorer.view.theme import Theme

AROUND = 60.0  # scene units that are shown around what is lit


class View(QWidget):
    """One tab. Subclasses make their content in `build` and bring it up to date in `follow`."""

    def __init__(self, owner: Panel) -> None:
        super().__init__()
        self.owner = owner
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(10, 8, 10, 8)
        self.column.setSpacing(6)
        self.content = QWidget()
        inner = QVBoxLayout(self.content)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        self.hint = self.words(faint=True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.column.addWidget(self.hint, 1)
        self.column.addWidget(self.content, 1)
        self.build(inner)

    @property
    def session(self) -> Session:
        return self.owner.session

    @property
    def theme(self) -> Theme:
        return self.owner.theme

    def build(self, column: QVBoxLayout) -> None:
        """Make the content."""
        raise NotImplementedError

    def empty(self) -> str:
        """Why there is nothing to show, and what to do; empty words when there is something."""
        raise NotImplementedError

    def follow(self, changed: frozenset[str]) -> None:
        """Bring the content up to date with the session."""
        raise NotImplementedError

    def refresh(self, changed: frozenset[str]) -> None:
        words = self.empty()
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        self.content.setVisible(not words)
        if not words:
            self.follow(changed)

    def release(self) -> None:
        """Stop what is still being computed."""

    # Pieces

    def words(self, *, faint: bool = False, bold: bool = False, size: float = 13) -> QLabel:
        """A label for plain text that wraps."""
        label = QLabel()
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setFont(ui_font(size, bold=bold))
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if faint:
            label.setStyleSheet(f"color: {self.theme.faint_ink}")
        return label

    def heading(self, column: QVBoxLayout, ask: Callable[[], None]) -> tuple[QLabel, QComboBox, QHBoxLayout]:
        """A title beside a choice of states; `ask` is called for another choice."""
        title = self.words(bold=True, size=14)
        title.setWordWrap(False)
        states = QComboBox()
        states.setAccessibleName(tr("State"))
        states.activated.connect(lambda _: ask())
        row = QHBoxLayout()
        row.addWidget(title, 1)
        row.addWidget(states)
        column.addLayout(row)
        return title, states, row

    def name(self, node: int) -> str:
        """How the notes write a node."""
        return playback.node_words(self.session.trace.graph, node, self.session.notation, 1)

    def derivative(self, node: int) -> str:
        trace = self.session.trace
        return playback.derivative(trace.graph, node, trace.loss, self.session.notation)

    def selected(self) -> int | None:
        """The node that is selected alone: several are a path or a cell that a view has lit."""
        selection = self.session.state.selection
        return selection[0] if len(selection) == 1 else None

    def light_paths(self, paths: Iterable[Sequence[int]], at: int | None = None, **changes: Any) -> None:
        """Light paths on the canvas, each in the order of its nodes; what is selected stays.

        They are brought into view, or the node `at` alone.
        """
        joined = [node for path in paths for node in (*path, -1)]
        self.session.update(highlight=tuple(joined[:-1]), **changes)
        self._bring_into_view({*joined} - {-1} if at is None else {at})

    def light(self, nodes: Iterable[int]) -> None:
        """Mark nodes on the canvas; the last one is the one that the inspector shows."""
        chosen = tuple(dict.fromkeys(nodes))
        self.session.update(selection=chosen)
        self._bring_into_view({*chosen})

    def _bring_into_view(self, nodes: set[int]) -> None:
        """Move the canvas unless half of the nodes are seen; of what is too wide for it to the right end.

        Shared leaves do not count where anything else is lit: they stand aside.
        """
        canvas, layout, ops = self.owner.host.canvas, self.session.layout, self.session.trace.graph.ops
        wanted = {n for n in nodes if ops[n] is not None} or nodes
        boxes = [k for n in wanted for k in layout.boxes_of_node.get(n, ())[:1]]
        if not boxes:
            return
        rects = layout.rects[boxes]
        view = canvas.transform().inverted()[0].mapRect(QRectF(canvas.rect()))
        across = (rects[:, 0] >= view.left()) & (rects[:, 2] <= view.right())
        seen = across & (rects[:, 1] >= view.top()) & (rects[:, 3] <= view.bottom())
        if 2 * np.count_nonzero(seen) >= len(rects):
            return
        (x0, y0), (x1, y1) = rects[:, :2].min(axis=0), rects[:, 2:].max(axis=0)
        x0 = max(x0, x1 - canvas.width() / SYMBOLS)
        canvas.show_rect(QRectF(x0, y0, x1 - x0, y1 - y0).adjusted(-AROUND, -AROUND, AROUND, AROUND))


def fill(combo: QComboBox, nodes: Iterable[tuple[str, object]], chosen: object) -> None:
    """Put choices into a combo box without answering our own echo."""
    with QSignalBlocker(combo):
        combo.clear()
        for words, what in nodes:
            combo.addItem(words, what)
        choose(combo, chosen)


def choose(combo: QComboBox, what: object) -> None:
    """Make a choice without answering our own echo."""
    with QSignalBlocker(combo):
        at = next((k for k in range(combo.count()) if combo.itemData(k) == what), -1)
        if at >= 0:
            combo.setCurrentIndex(at)
