"""The outline: scopes and nodes as a tree with value and gradient at this moment; the canvas in words.

Everything that a click on the canvas does can be done here with the keyboard alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QStackedWidget, QTreeView, QWidget

from explorer.model import playback, text
from explorer.model.finding import node_kind, outward, scope_of
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.panels import Panel, panel
from explorer.view.theme import Theme

if TYPE_CHECKING:
    from explorer.view.window import Window

NAME, VALUE, GRADIENT = range(3)
Index = QModelIndex | QPersistentModelIndex
MOVES = {
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
}


@dataclass
class Entry:
    """A row of the tree: a node, or a scope with what it holds."""

    path: str  # of the scope, or of the one in which the node stands
    node: int | None
    parent: int
    row: int = 0  # among the parent's children, as they are sorted now
    children: list[int] = field(default_factory=list)


class Outline(QAbstractItemModel):
    """The tree of one graph. What a cell says is asked of the trace when it is shown."""

    def __init__(self, session: Session, theme: Theme) -> None:
        super().__init__()
        self.session, self.theme = session, theme
        self.topology = topology = session.topology
        self.trace = trace = session.trace  # the panel puts in another one when an edit has made it
        self.notation = session.notation
        self._name = cache(lambda node: playback.node_words(self.trace.graph, node, self.notation))
        self.entries = [Entry("", None, -1)]  # number 0 is the invisible root
        self.of_node: dict[int, int] = {}
        self.of_scope = {"": 0}
        for node in range(len(trace.graph)):
            path = scope_of(topology, node)
            for outer in reversed(outward(path)):
                if outer not in self.of_scope:
                    self.of_scope[outer] = self._add(outer, None, outer.rpartition("/")[0])
            self.of_node[node] = self._add(path, node, path)

    def _add(self, path: str, node: int | None, into: str) -> int:
        parent = self.of_scope[into]
        self.entries.append(Entry(path, node, parent, len(self.entries[parent].children)))
        self.entries[parent].children.append(len(self.entries) - 1)
        return len(self.entries) - 1

    # What Qt asks

    def entry(self, index: Index) -> Entry:
        return self.entries[index.internalId() if index.isValid() else 0]

    def place(self, number: int, column: int = NAME) -> QModelIndex:
        """The index of an entry."""
        return self.createIndex(self.entries[number].row, column, number) if number else QModelIndex()

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        children = self.entry(parent).children
        if 0 <= row < len(children) and 0 <= column < 3:
            return self.createIndex(row, column, children[row])
        return QModelIndex()

    def parent(self, index: Index) -> QModelIndex:
        return self.place(self.entry(index).parent) if index.isValid() else QModelIndex()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(self.entry(parent).children) if parent.column() <= 0 else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 3

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if role == Qt.ItemDataRole.DisplayRole:
            return (tr("Name"), tr("Value"), tr("Gradient"))[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            order = tr("Click to sort; a third click brings back the order of computing")
            return order if section == NAME else f"{tr('A number; of an array, its norm')}\n{order}"
        return None

    def data(self, index: Index, role: int = 0) -> object:
        entry = self.entry(index)
        column = index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.words(entry, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.spoken(entry, column)
        if role == Qt.ItemDataRole.ToolTipRole and entry.node is not None:
            return self.all_words(entry.node)
        if role == Qt.ItemDataRole.TextAlignmentRole and column != NAME:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.FontRole and (entry.node is None or entry.node == self._under_way()):
            return ui_font(13, bold=True)
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(0, round(QFontMetrics(ui_font(13)).height() * 1.4))
        if role == Qt.ItemDataRole.ForegroundRole and entry.node is not None:
            if self.array(entry.node, max(column, VALUE)) is None:
                return QColor(self.theme.faint_ink)
            if column == GRADIENT:
                return QColor(self.theme.gradient)
        return None

    # What it says

    def _under_way(self) -> int | None:
        k = ceil(self.session.state.t) - 1
        return self.trace.steps[k].node if 0 <= k < self.trace.end else None

    def array(self, node: int, column: int) -> np.ndarray | None:
        """Value or gradient of a node now."""
        t = self.session.state.t
        return self.trace.value(node, t) if column == VALUE else self.trace.grad(node, t)

    def words(self, entry: Entry, column: int) -> str:
        if entry.node is None:
            return text.scope_title(entry.path) if column == NAME else ""
        if column == NAME:
            return self._name(entry.node)
        array = self.array(entry.node, column)
        if array is None:
            return "–"
        return text.number(size(array), 3)

    def all_words(self, node: int) -> str:
        """Everything about a node now, for its tool tip."""
        value, grad = self.array(node, VALUE), self.array(node, GRADIENT)
        lines = [
            self._name(node),
            tr("value {value}").format(value=text.array(value))
            if value is not None
            else tr("not computed yet"),
        ]
        if expected := len(self.trace.arrivals[node]):
            arrived = self.trace.arrived(node, self.session.state.t)
            words = tr("gradient {value} ({n} of {m} arrived)")
            shown = text.array(grad) if grad is not None else "–"
            lines.append(words.format(value=shown, n=arrived, m=expected))
        return "\n".join(lines)

    def spoken(self, entry: Entry, column: int) -> str:
        """The cell for a screen reader, which does not see fold marks, columns and colours."""
        if column != NAME:
            heading = tr("Value") if column == VALUE else tr("Gradient")
            return f"{heading} {self.words(entry, column)}" if entry.node is not None else ""
        if entry.node is not None:
            return f"{self.words(entry, NAME)}, {node_kind(self.trace.graph, entry.node)[-1]}"
        title = text.scope_title(entry.path)
        state = tr("folded") if entry.path in self.session.state.folded else tr("open")
        return f"{title}, {state}"

    # Order

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By a column at this moment, inside each scope; by column -1 in the order of computing.

        A scope counts as the largest that it holds. What is not there yet comes last.
        """
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        keys = self._keys(column)
        backwards = order == Qt.SortOrder.DescendingOrder and column >= 0
        for entry in self.entries:
            missing = [k for k in entry.children if keys[k] is None]
            present = [k for k in entry.children if keys[k] is not None]
            present.sort(key=keys.__getitem__, reverse=backwards)
            entry.children = [*present, *sorted(missing)]
            for row, k in enumerate(entry.children):
                self.entries[k].row = row
        self.changePersistentIndexList(old, [self.place(i.internalId(), i.column()) for i in old])
        self.layoutChanged.emit()

    def _keys(self, column: int) -> list:
        """What each entry is sorted by; None for nothing."""
        if column < 0:
            return list(range(len(self.entries)))
        if column == NAME:
            return [self.words(entry, NAME).casefold() for entry in self.entries]
        keys: list[float | None] = [None] * len(self.entries)
        for k in range(len(self.entries) - 1, 0, -1):  # what a scope holds comes after it
            entry = self.entries[k]
            if entry.node is not None:
                array = self.array(entry.node, column)
                keys[k] = None if array is None else size(array)
            key, around = keys[k], keys[entry.parent]
            if key is not None and (around is None or key > around):
                keys[entry.parent] = key
        return keys


def size(array: np.ndarray) -> float:
    """A number itself, of anything larger the norm."""
    return float(np.linalg.norm(array)) if array.ndim else float(array)


class Tree(QTreeView):
    """The arrow keys move in the tree, before the window's actions get them."""

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            plain = not event.modifiers() & ~(
                Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
            )
            if plain and event.key() in MOVES:
                event.accept()
                return True
        return super().event(event)


@panel("outline", "Outline", Qt.DockWidgetArea.LeftDockWidgetArea)
class OutlinePanel(Panel):
    """The tree and its ties to the session: selection both ways, Enter brings into view."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._visible = False
        # not at once: a new window shows every panel for a moment, before it puts them in tabs
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._now_seen)
        self.visibilityChanged.connect(self._seen)

    def build(self) -> QWidget:
        self.model: Outline | None = None
        self._telling = False
        self.tree = Tree()
        self.tree.setAccessibleName(tr("Outline"))
        self.tree.setAccessibleDescription(
            tr("Enter brings a node into view and folds or unfolds a scope; the menu key opens its menu")
        )
        self.tree.setUniformRowHeights(True)
        self.tree.setAlternatingRowColors(True)
        self.tree.setIndentation(12)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._menu)
        self.tree.activated.connect(self._activated)
        header = self.tree.header()
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSectionsClickable(True)
        header.setStretchLastSection(False)
        header.sortIndicatorChanged.connect(self._sort)
        hint = QLabel(tr("Open a scene: its scopes and nodes appear here."))
        hint.setWordWrap(True)
        hint.setMargin(10)
        hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        hint.setStyleSheet(f"color: {self.theme.faint_ink}")
        self.pages = QStackedWidget()
        self.pages.addWidget(hint)
        self.pages.addWidget(self.tree)
        return self.pages

    def focus(self) -> None:
        self._now_seen()
        self.tree.setFocus()

    def show_node(self, node: int) -> None:
        """Open what holds the node, and put the keyboard on it."""
        self.show()
        self.raise_()
        self._catch_up(frozenset({"everything"}))
        assert self.model is not None
        place = self.model.place(self.model.of_node[node])
        self.tree.selectionModel().setCurrentIndex(
            place, QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        )
        self.tree.scrollTo(place)
        self.focus()

    def refresh(self, changed: frozenset[str]) -> None:
        if self._visible:
            self._catch_up(changed)

    def _seen(self, visible: bool) -> None:
        """A panel that nobody sees does no work."""
        if visible:
            self._soon.start()
        else:
            self._soon.stop()
            self._visible = False

    def _now_seen(self) -> None:
        self._visible = True
        self.make()
        self._catch_up(frozenset({"everything"}))

    def _catch_up(self, changed: frozenset[str]) -> None:
        session = self.session
        if session.recording is None:
            self.model = None
            self.tree.setModel(None)
            self.pages.setCurrentIndex(0)
            return
        if self.model is None or self.model.topology is not session.topology:
            self._fill()
            changed |= {"everything"}
        assert self.model is not None
        self.model.trace = session.trace
        by_number = self._sorted_by() in (VALUE, GRADIENT)
        if by_number and changed & {"t", "trace", "playing", "everything"} and not session.state.playing:
            self._sort()  # while it plays, rows that change places could not be read
        if changed & {"selection", "everything"}:
            self._show_selection()
        self.tree.viewport().update()

    def _fill(self) -> None:
        self.model = Outline(self.session, self.theme)
        header = self.tree.header()
        self.tree.setModel(self.model)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        width = self.tree.fontMetrics().horizontalAdvance("−0.0000") + 8
        for column in (VALUE, GRADIENT):
            header.resizeSection(column, width)
        self.tree.selectionModel().selectionChanged.connect(self._chosen)
        self.tree.expandToDepth(0)
        self.pages.setCurrentIndex(1)
        if self._sorted_by() >= 0:
            self._sort()

    def _sorted_by(self) -> int:
        return self.tree.header().sortIndicatorSection()

    def _sort(self) -> None:
        if self.model is not None:
            self.model.sort(self._sorted_by(), self.tree.header().sortIndicatorOrder())

    # Selection, both ways

    def _chosen(self) -> None:
        if self._telling or self.model is None:
            return
        current = self.tree.currentIndex()
        rows = self.tree.selectionModel().selectedRows()
        rows.sort(key=lambda index: index.internalId() == current.internalId())  # the current one last
        nodes = [node for index in rows if (node := self.model.entry(index).node) is not None]
        if nodes and tuple(nodes) != self.session.state.selection:
            self.session.update(selection=tuple(nodes))

    def _show_selection(self) -> None:
        assert self.model is not None
        wanted = self.session.state.selection
        chosen = self.tree.selectionModel()
        present = {self.model.entry(index).node for index in chosen.selectedRows()} - {None}
        if present == set(wanted):
            return
        self._telling = True
        selection = QItemSelection()
        for node in wanted:
            place = self.model.place(self.model.of_node[node])
            selection.select(place, place)
        flags = QItemSelectionModel.SelectionFlag
        chosen.select(selection, flags.ClearAndSelect | flags.Rows)
        if wanted:
            place = self.model.place(self.model.of_node[wanted[-1]])
            chosen.setCurrentIndex(place, flags.NoUpdate)
            self.tree.scrollTo(place)
        self._telling = False

    def _activated(self, index: QModelIndex) -> None:
        assert self.model is not None
        entry = self.model.entry(index)
        if entry.node is not None:
            self.host.reveal(entry.node)
        else:
            folded = entry.path in self.session.state.folded
            self.session.fold(entry.path, not folded)
            self.host.announce(self.model.spoken(entry, NAME))

    def _menu(self, point: QPoint) -> None:
        assert self.model is not None
        index = self.tree.indexAt(point)
        if not index.isValid():
            index = self.tree.currentIndex()  # the menu key: Qt gives no useful point
            point = self.tree.visualRect(index).center()
        if index.isValid():
            entry = self.model.entry(index)
            self.host.show_box_menu(entry.node, entry.path, self.tree.viewport().mapToGlobal(point))
