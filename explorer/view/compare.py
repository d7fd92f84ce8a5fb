"""Comparing in the window: canvases side by side, how they are linked, and a list of what differs.

`Comparing` is the middle of the desk all the time; by itself it shows the main canvas and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isinf, isnan
from typing import TYPE_CHECKING

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QPointF, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSplitter,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import playback, text
from explorer.model.compare import MOST, Comparison, Difference, Pair
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.canvas import Canvas
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from explorer.view.on_canvas import OnCanvas
from explorer.view.theme import Theme

if TYPE_CHECKING:
    from explorer.view.compare_with import Chooser
    from explorer.view.window import Window

WIDE = 300  # pixels that a canvas beside another one wants
HIGH = 190  # that one with its title wants before a list has room below
LOW = 100  # that it has at least
LIST_HEIGHT, LIST_LOW = 132, 80
PAUSE = 60  # milliseconds after the last change until the list is counted again
MOST_ROWS = 2000
NAME, BESIDE, VALUE, VALUE_THERE, VALUE_RATIO, GRADIENT, GRADIENT_THERE, GRADIENT_RATIO = range(8)
Index = QModelIndex | QPersistentModelIndex


class Beside(Canvas):
    """A canvas on a further session; its tool tips say what the same node is in the main one."""

    def __init__(self, session: Session, comparison: Comparison, theme: Theme) -> None:
        self.comparison = comparison
        self.on_canvas: OnCanvas | None = None  # its menus
        super().__init__(session, theme)

    def words_at(self, point: QPointF) -> str:
        words = super().words_at(point)
        layout, main = self.session.layout, self.comparison.main
        k = layout.box_at(point.x(), point.y())
        if k is None or layout.boxes[k].kind == "scope":
            return words
        node = layout.boxes[k].node
        same = next((i for i, j in self.comparison.partners(self.session).items() if j == node), None)
        if same is None:
            return words
        value, grad = main.trace.value(same, main.state.t), main.trace.grad(same, main.state.t)
        lines = [words, tr("In {title}:").format(title=self.comparison.title(main))]
        lines.append(tr("value {value}").format(value="–" if value is None else text.array(value)))
        lines.append(tr("gradient {value}").format(value="–" if grad is None else text.array(grad)))
        return "\n".join(lines)


class Pane(QFrame):
    """A canvas under a title that can be closed."""

    def __init__(self, canvas: Canvas, close: Callable[[], None]) -> None:
        super().__init__()
        self.canvas = canvas
        self.title = QLabel()
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setWordWrap(True)
        self.close_button = QToolButton()
        self.close_button.setAutoRaise(True)
        self.close_button.clicked.connect(close)
        self.head = QWidget()
        row = QHBoxLayout(self.head)
        row.setContentsMargins(8, 3, 4, 3)
        row.addWidget(self.title, 1)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(canvas, 1)
        self.head.hide()

    def dress(self, theme: Theme, title: str, hint: str) -> None:
        self.title.setFont(ui_font(13, bold=True))
        self.title.setText(title)
        self.setAccessibleName(title)
        self.close_button.setIcon(icon("close", theme.ink))
        self.close_button.setToolTip(hint)
        self.close_button.setAccessibleName(f"{hint}: {title}")


class Comparing(QWidget):
    """The main canvas, and beside it those of a comparison: at once, below each other where it is narrow.

    What is compared is not kept in files.
    """

    def __init__(self, window: Window, canvas: Canvas) -> None:
        super().__init__()
        self.host = window
        self.comparison = Comparison(window.session)
        self.setMinimumSize(240, 160)  # narrower than side by side: then the panes move below each other
        self.panes: list[Pane] = []
        self._chooser: Chooser | None = None
        self.first = Pane(canvas, self.close_all)
        self._least = canvas.minimumHeight()
        self.bar = QWidget()
        self.bar.hide()
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.rest = QSplitter(Qt.Orientation.Horizontal)
        for part in (self.first, self.rest):
            self.split.addWidget(part)
        self.rest.hide()
        self.list = QTableView()
        self.list.hide()
        self._build_list()
        self.rows = QSplitter(Qt.Orientation.Vertical)
        self.rows.addWidget(self.split)
        self.rows.addWidget(self.list)
        self.rows.setStretchFactor(0, 1)
        for splitter in (self.split, self.rest, self.rows):
            splitter.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.bar)
        column.addWidget(self.rows, 1)
        self._build_bar()
        self._count = QTimer(self, singleShot=True, interval=PAUSE)
        self._count.timeout.connect(self._show_differences)

    @property
    def on(self) -> bool:
        return bool(self.panes)

    def _build_bar(self) -> None:
        self.words = QLabel()
        self.how = QComboBox()
        self.how.addItem("", "share")
        self.how.addItem("", "time")
        self.how.activated.connect(self._link)
        self.more = QToolButton()
        self.more.setAutoRaise(True)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.clicked.connect(self.choose)
        self.wanted = QCheckBox()
        self.wanted.setChecked(True)
        self.wanted.toggled.connect(self._show_list)
        row = QHBoxLayout(self.bar)
        row.setContentsMargins(8, 4, 4, 4)
        row.addWidget(self.words)
        row.addWidget(self.how)
        row.addWidget(self.wanted)
        row.addStretch(1)
        row.addWidget(self.more)

    def _build_list(self) -> None:
        self.table = Table(self.host.theme)
        self.list.setModel(self.table)
        self.list.setSortingEnabled(True)
        self.list.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.list.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setShowGrid(False)
        self.list.setTabKeyNavigation(False)
        self.list.verticalHeader().hide()
        for column in (NAME, BESIDE):
            self.list.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.list.setMinimumHeight(LIST_LOW)
        self.list.clicked.connect(self._chosen)
        self.list.activated.connect(self._chosen)

    def rebuild(self) -> None:
        """In the present language and theme."""
        theme = self.host.theme
        if self._chooser is not None:
            self._chooser.hide()
            self._chooser.deleteLater()
            self._chooser = None
        self.words.setText(tr("Linked"))
        for k, words in enumerate((tr("by progress"), tr("by time step"))):
            self.how.setItemText(k, words)
        hint = tr("What belongs together: the same share of a pass, or the same time step in it")
        self.how.setToolTip(hint)
        self.how.setAccessibleName(hint)
        self.more.setText(tr("One more…"))
        self.more.setToolTip(tr("Put a third scene beside"))
        self.more.setIcon(icon("plus", theme.ink))
        self.wanted.setText(tr("Differences"))
        self._show_list()
        self.list.setAccessibleName(tr("Differences"))
        self.list.setFont(ui_font(12.5))
        self.list.horizontalHeader().setFont(ui_font(12))
        metrics = QFontMetrics(ui_font(12.5))
        self.list.verticalHeader().setDefaultSectionSize(round(metrics.height() * 1.35))
        for column in range(VALUE, GRADIENT_RATIO + 1):
            self.list.setColumnWidth(column, metrics.horizontalAdvance("▲ 1.23e-5×") + 10)
        self.bar.setStyleSheet(f"QLabel {{ color: {theme.faint_ink} }}")
        self.table.theme = theme
        for pane in self.panes:
            pane.canvas.theme = theme
            pane.canvas.retranslate()
            pane.canvas.update()
        self.look_alike()
        self._dress()
        self._count.start()

    def look_alike(self) -> None:
        """Move, and explain the colours, as the main canvas does."""
        main = self.first.canvas
        for pane in self.panes:
            canvas = pane.canvas
            canvas.reduced_motion, canvas.pace, canvas.legend = main.reduced_motion, main.pace, main.legend
            canvas.update()

    # Opening and closing

    def toggle(self) -> None:
        """Ask what to compare with, or end the comparison."""
        if self.on:
            self.close_all()
        else:
            self.choose()

    def choose(self) -> None:
        if self._chooser is None:
            from explorer.view.compare_with import Chooser

            self._chooser = Chooser(self.host, self)
        self._chooser.open()

    def add(self, scene: str = "") -> None:
        """Put a catalogue scene beside, or without one the present scene as it is now; raises SceneError."""
        other = self.comparison.add_scene(scene) if scene else self.comparison.add_as_it_is()
        canvas = Beside(other, self.comparison, self.host.theme)
        canvas.on_canvas = OnCanvas(self.host, canvas)
        pane = Pane(canvas, lambda: self.close_one(other))
        canvas.setMinimumHeight(LOW)
        pane.head.show()
        self.panes.append(pane)
        self.rest.addWidget(pane)
        self.look_alike()
        self._arrange()
        self._told()

    def close_one(self, other: Session) -> None:
        k = self.comparison.others.index(other)
        self.comparison.remove(other)
        pane = self.panes.pop(k)
        pane.canvas.release()
        pane.hide()
        pane.setParent(None)
        pane.deleteLater()
        self._arrange()
        self._told()
        self.first.canvas.setFocus()

    def close_all(self) -> None:
        for other in tuple(self.comparison.others):
            self.close_one(other)

    def _told(self) -> None:
        self._dress()
        self._count.start()
        self.host.comparison_changed()

    def _arrange(self) -> None:
        """Side by side where there is room; else the further ones, or all, below each other."""
        self.rest.setVisible(self.on)
        self.bar.setVisible(self.on)
        self.first.canvas.setMinimumHeight(LOW if self.on else self._least)
        self._place()
        if len(self.panes) == 1:
            self.rows.setSizes([max(self.height() - LIST_HEIGHT, LIST_HEIGHT), LIST_HEIGHT])

    def _place(self) -> None:
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        n, room = len(self.panes), self.width() - 2 * self.split.handleWidth()
        ways = (across if room >= 2 * WIDE else down, across if room >= (n + 1) * WIDE else down)
        stacked = n + 1 if ways == (down, down) else n if down in ways else 1
        self._fits = self.height() >= stacked * HIGH + LIST_LOW + self.bar.sizeHint().height()
        self._show_list()
        key = (n, *ways)
        if key == self._placed:
            return
        self._placed = key
        self.split.setOrientation(ways[0])
        self.rest.setOrientation(ways[1])
        shares = n if ways[0] == ways[1] else 1  # of the further ones together
        self.split.setSizes([10_000, 10_000 * shares])
        self.rest.setSizes([10_000] * n)

    _placed: tuple[object, ...] = ()
    _fits = True  # whether there is room for the list

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.on:
            self.close_all()
        else:
            super().keyPressEvent(event)

    # Following

    def follow(self, changed: frozenset[str]) -> None:
        """After a change of the main session."""
        if not self.on:
            return
        if self.comparison.main.recording is None:
            self.close_all()
            return
        if changed & {"recording", "scene", "trace"}:
            self._dress()
        if changed & {"t", "trace", "recording", "selection"}:
            self._count.start()

    def _dress(self) -> None:
        theme = self.host.theme
        self.first.head.setVisible(self.on)
        if self.on:
            title = self.comparison.title(self.comparison.main)
            self.first.dress(theme, title, tr("End the comparison"))
        for pane, other in zip(self.panes, self.comparison.others, strict=True):
            pane.dress(theme, self.comparison.title(other), tr("Close"))
        self.more.setEnabled(len(self.panes) < MOST)

    def _link(self) -> None:
        self.comparison.link(self.how.currentData())
        self._told()

    def _show_list(self) -> None:
        self.wanted.setEnabled(self._fits)
        tip = tr("List what has the same name in both; click a title to sort, a row to select")
        self.wanted.setToolTip(tip if self._fits else tr("In a larger window there is room for the list"))
        self.list.setVisible(self.on and self._fits and self.wanted.isChecked())
        if self.on:
            self._count.start()

    def _show_differences(self) -> None:
        if not self.on or self.list.isHidden() or self.comparison.main.recording is None:
            return
        rows = [
            (self.comparison.title(other) if len(self.panes) > 1 else "", d)
            for other in self.comparison.others
            for d in self.comparison.differences(other)
        ]
        graph, notation = self.host.session.trace.graph, self.host.session.notation
        self.table.show(rows[:MOST_ROWS], lambda node: playback.node_words(graph, node, notation))
        self.list.setColumnHidden(BESIDE, len(self.panes) < 2)
        self._mark_chosen()

    def _mark_chosen(self) -> None:
        chosen = self.host.session.state.selection
        row = next((k for k, (_, d) in enumerate(self.table.rows) if d.node in chosen[-1:]), -1)
        if row < 0:
            self.list.clearSelection()
        elif row not in {i.row() for i in self.list.selectionModel().selectedRows()}:
            self.list.selectRow(row)

    def _chosen(self, index: QModelIndex) -> None:
        self.host.session.update(selection=(self.table.rows[index.row()][1].node,))


class Table(QAbstractTableModel):
    """Differences, sorted as the user asked; ratios have an arrow as well as a colour."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.rows: list[tuple[str, Difference]] = []
        self._words: Callable[[int], str] = str
        self._by: tuple[int, Qt.SortOrder] = (-1, Qt.SortOrder.AscendingOrder)

    def show(self, rows: list[tuple[str, Difference]], words: Callable[[int], str]) -> None:
        """Take over rows in the order of the graph; the same ones with other numbers keep the view still."""
        self._words = words
        ordered = self._sorted(rows)
        if len(rows) == len(self.rows):
            self.rows = ordered
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, GRADIENT_RATIO))
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, NAME, GRADIENT_RATIO)
            return
        self.beginResetModel()
        self.rows = ordered
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._by = column, order
        self.layoutAboutToBeChanged.emit()
        self.rows = self._sorted(self.rows)
        self.layoutChanged.emit()

    def _sorted(self, rows: list[tuple[str, Difference]]) -> list[tuple[str, Difference]]:
        column, order = self._by
        if column < 0:
            return rows
        falling = order == Qt.SortOrder.DescendingOrder
        if column in (NAME, BESIDE):
            return sorted(rows, key=lambda row: self.words(row, column), reverse=falling)
        known = [row for row in rows if not isnan(self.number(row[1], column))]
        return [
            *sorted(known, key=lambda row: self.number(row[1], column), reverse=falling),
            *(row for row in rows if isnan(self.number(row[1], column))),  # at the end in either order
        ]

    def number(self, d: Difference, column: int) -> float:
        pair = _pair(d, column)
        return (pair.here, pair.there, pair.ratio)[(column - VALUE) % 3]

    def words(self, row: tuple[str, Difference], column: int) -> str:
        beside, d = row
        if column == NAME:
            return self._words(d.node)
        if column == BESIDE:
            return beside
        x = self.number(d, column)
        if column in (VALUE_RATIO, GRADIENT_RATIO):
            return ratio_words(_pair(d, column))
        return "–" if isnan(x) else text.number(x, 3)

    # What Qt asks

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else GRADIENT_RATIO + 1

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            titles = (tr("Name"), tr("With"), tr("‖value‖"), tr("there"), tr("ratio"))
            return (*titles, tr("‖gradient‖"), tr("there"), tr("ratio"))[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return tr("Norms at this moment, here and there, and there by here; click to sort")
        return None

    def data(self, index: Index, role: int = 0) -> object:
        row, column = self.rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self.words(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column >= VALUE:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if column in (VALUE_RATIO, GRADIENT_RATIO):
            pair = _pair(row[1], column)
            if role == Qt.ItemDataRole.BackgroundRole and pair.difference > 0:
                colour = QColor(self.theme.value if pair.there < pair.here else self.theme.gradient)
                colour.setAlphaF(0.35 * pair.difference)
                return colour
        return None


def _pair(d: Difference, column: int) -> Pair:
    return d.value if column <= VALUE_RATIO else d.gradient


def ratio_words(pair: Pair) -> str:
    """`▲ 2.5×`, `▼ 0.4×`, `= 1×`; a dash without both."""
    if isnan(pair.difference):
        return "–"
    if pair.difference == 0:
        return "="
    times = "∞" if isinf(pair.ratio) else f"{text.number(pair.ratio, 3)}×"
    return f"{'▲' if pair.there > pair.here else '▼'} {times}"
