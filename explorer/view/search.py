"""Search: a field over the canvas that lists nodes by name, op, scope, shape or time, and goes to them.

`Lookup`, the field with a list below it, serves the command palette too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QTextLayout
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import playback
from explorer.model.finding import NodeIndex, fuzzy, node_place
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from explorer.view.theme import Theme

if TYPE_CHECKING:
    from explorer.view.window import Window

ROWS = 9  # seen at once
MOST_HITS = 500

WHAT = Qt.ItemDataRole.UserRole
HINT = Qt.ItemDataRole.UserRole + 1
PLACES = Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True)
class Row:
    """One line of the list: what it stands for, its words, faint words at the right, letters to stress."""

    what: object
    words: str
    hint: str
    places: tuple[int, ...] = ()
    enabled: bool = True
    tip: str = ""


class Lookup(QFrame):
    """A field and a list over the window. Arrows move in the list, Enter takes a row, Escape leaves."""

    def __init__(self, window: Window, name: str, placeholder: str) -> None:
        super().__init__(window)
        self.host = window
        theme = window.theme
        self.setObjectName("lookup")
        self.setAccessibleName(name)
        self.setAutoFillBackground(True)
        self.setStyleSheet(
            f"#lookup {{ background: {theme.base}; border: 1px solid {theme.accent}; border-radius: 8px; }}"
            f"#lookup QLineEdit {{ border: none; background: {theme.base}; padding: 5px; }}"
            f"#lookup QListWidget {{ background: {theme.base}; border-top: 1px solid {theme.line}; }}"
        )
        self.field = QLineEdit()
        self.field.setPlaceholderText(placeholder)
        self.field.setAccessibleName(name)
        self.field.setFont(ui_font(15))
        self.field.setFrame(False)
        self.field.addAction(icon("search", theme.faint_ink), QLineEdit.ActionPosition.LeadingPosition)
        self.field.installEventFilter(self)
        self.field.textChanged.connect(self.look)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName(name)
        self.list.setItemDelegate(RowPainter(theme, self.list))
        self.list.itemClicked.connect(lambda item: self.take(item.data(WHAT)))
        self.head = QHBoxLayout()
        self.head.setSpacing(2)
        self.head.addWidget(self.field, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(4)
        column.addLayout(self.head)
        column.addWidget(self.list)
        self._before: QWidget | None = None
        window.installEventFilter(self)
        self.hide()

    # What the kinds differ in

    def rows(self, query: str) -> list[Row]:
        """What the list shows for a query, the best first."""
        raise NotImplementedError

    def take(self, what: object) -> None:
        """A row was chosen."""
        raise NotImplementedError

    def again(self, by: int) -> None:
        """Enter, or Shift+Enter with `by` -1: take the present row."""
        item = self.list.currentItem()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.take(item.data(WHAT))

    def place(self) -> QRect:
        """Where it stands in the window, for the rows that it has now."""
        width = min(640, self.host.width() - 40)
        top = self.host.centralWidget().y() + 8
        return QRect((self.host.width() - width) // 2, top, width, self._height(top))

    # Coming and going

    def open(self) -> None:
        """Show it with its last words selected."""
        if not self.isVisible():
            self._before = QApplication.focusWidget()
        self.look()
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()

    def leave(self) -> None:
        """Hide it; the keyboard goes back to where it was."""
        self.hide()
        if self._before is not None and self._before.isVisible():
            self._before.setFocus()
        else:
            self.host.canvas.setFocus()

    def look(self) -> None:
        """List what fits the words in the field."""
        self.list.clear()
        for row in self.rows(self.field.text()):
            item = QListWidgetItem(row.words)
            item.setData(WHAT, row.what)
            item.setData(HINT, row.hint)
            item.setData(PLACES, row.places)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, ", ".join(w for w in (row.words, row.hint) if w))
            item.setToolTip(row.tip)
            if not row.enabled:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)
        self.list.setCurrentRow(self._next_enabled(-1, +1))
        self.list.setVisible(self.list.count() > 0)
        self.setGeometry(self.place())

    def _height(self, top: int) -> int:
        row = self.list.sizeHintForRow(0) if self.list.count() else 0
        listed = min(self.list.count(), ROWS) * row + (8 if row else 0)
        return min(self.field.sizeHint().height() + listed + 18, self.host.height() - top - 16)

    def _next_enabled(self, row: int, by: int) -> int:
        """The next row that can be chosen, or -1."""
        row += by
        while 0 <= row < self.list.count():
            if self.list.item(row).flags() & Qt.ItemFlag.ItemIsEnabled:
                return row
            row += by
        return -1

    def _move(self, by: int) -> None:
        row = self.list.currentRow()
        for _ in range(abs(by)):
            step = self._next_enabled(row, 1 if by > 0 else -1)
            row = step if step >= 0 else row
        self.list.setCurrentRow(row)
        self.list.scrollToItem(self.list.currentItem(), QAbstractItemView.ScrollHint.EnsureVisible)
        item = self.list.currentItem()
        if item is not None:  # the keyboard stays in the field: say where the list is
            self.host.announce(item.data(Qt.ItemDataRole.AccessibleTextRole))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.host:
            if event.type() == QEvent.Type.Resize and self.isVisible():
                self.setGeometry(self.place())
            return False
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._key(event)
        return False

    def _key(self, event: QKeyEvent) -> bool:
        moves = {
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_Down: 1,
            Qt.Key.Key_PageUp: -ROWS,
            Qt.Key.Key_PageDown: ROWS,
        }
        key = Qt.Key(event.key())
        if key in moves:
            self._move(moves[key])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.again(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        elif key == Qt.Key.Key_Escape:
            self.leave()
        else:
            return False
        return True


class RowPainter(QStyledItemDelegate):
    """Words at the left with the found letters stressed, the hint faint at the right."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self.theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(100, round(option.fontMetrics.height() * 1.55))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        words, hint = str(index.data()), str(index.data(HINT))
        places = frozenset(index.data(PLACES))
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        enabled = bool(index.flags() & Qt.ItemFlag.ItemIsEnabled)
        theme = self.theme
        ink = QColor(theme.ink if enabled else theme.faint_ink)
        faint, stress = QColor(theme.faint_ink), QColor(theme.accent)
        painter.save()
        if chosen:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.accent))
            painter.drawRoundedRect(option.rect.adjusted(1, 1, -1, -1), 5, 5)
            ink = faint = stress = QColor("#10131a" if theme.dark else "#ffffff")
        inner = option.rect.adjusted(10, 0, -10, 0)
        painter.setFont(option.font)
        metrics = option.fontMetrics
        room = max(inner.width() - min(metrics.horizontalAdvance(words), inner.width() * 2 // 3) - 16, 0)
        shown_hint = metrics.elidedText(hint, Qt.TextElideMode.ElideLeft, room)
        painter.setPen(faint)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, shown_hint)
        left = inner.width() - metrics.horizontalAdvance(shown_hint) - 12
        shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, left)
        layout = QTextLayout(shown, option.font)
        layout.setFormats([_stressed(k, stress) for k in places if shown[k : k + 1] == words[k]])
        layout.beginLayout()
        layout.createLine().setLineWidth(10_000)
        layout.endLayout()
        painter.setPen(ink)
        middle = inner.top() + (inner.height() - layout.boundingRect().height()) / 2
        layout.draw(painter, QPointF(inner.left(), middle))
        painter.restore()


def _stressed(place: int, colour: QColor) -> QTextLayout.FormatRange:
    found = QTextLayout.FormatRange()
    found.start, found.length = place, 1
    found.format.setForeground(colour)
    found.format.setFontUnderline(True)
    return found


class Search(Lookup):
    """Nodes by their words. It stays open: Enter and Shift+Enter go from hit to hit."""

    def __init__(self, window: Window) -> None:
        super().__init__(window, tr("Find a node"), tr("Name, op, scope, shape (3x2) or time (t=2)"))
        self._index: NodeIndex | None = None
        self.hits: list[int] = []
        self.at = -1  # the hit that was gone to last
        self.count = QLabel()
        self.count.setFont(ui_font(12))
        self.count.setStyleSheet(f"color: {window.theme.faint_ink}")
        self.head.addWidget(self.count)
        for picture, words, keys, by in (
            ("chevron-up", tr("Find previous"), "Shift+F3", -1),
            ("chevron-down", tr("Find next"), "F3", +1),
        ):
            button = self._button(picture, f"{words} ({keys})")
            button.clicked.connect(lambda _=False, by=by: self.go(by))
        self._button("close", f"{tr('Close')} (Esc)").clicked.connect(self.leave)

    def _button(self, picture: str, words: str) -> QToolButton:
        button = QToolButton()
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setIcon(icon(picture, self.host.theme.ink))
        button.setToolTip(words)
        button.setAccessibleName(words)
        self.head.addWidget(button)
        return button

    def rows(self, query: str) -> list[Row]:
        session = self.host.session
        self.hits, self.at = [], -1
        if session.recording is None:
            return []
        if self._index is None or not self._index.fits(session):
            self._index = NodeIndex(session)
        self.hits = self._index.find(query)
        self._show_count(query)
        graph, notation = session.trace.graph, session.notation
        rows = []
        for k, node in enumerate(self.hits[:MOST_HITS]):
            words = playback.node_words(graph, node, notation)
            match = fuzzy(query, words)
            rows.append(Row(k, words, node_place(session, node), match.places if match else ()))
        return rows

    def _show_count(self, query: str) -> None:
        if not query.strip():
            words = ""
        elif not self.hits:
            words = tr("nothing found")
        elif self.at < 0:
            words = tr("{n} found").format(n=len(self.hits))
        else:
            words = tr("{k} of {n}").format(k=self.at + 1, n=len(self.hits))
        self.count.setText(words)

    def take(self, what: object) -> None:
        assert isinstance(what, int)
        self.at = what
        self.list.setCurrentRow(min(what, self.list.count() - 1))
        self._show_count(self.field.text())
        self.host.reveal(self.hits[what])
        item = self.list.currentItem()
        self.host.announce(f"{self.count.text()}: {item.data(Qt.ItemDataRole.AccessibleTextRole)}")

    def again(self, by: int) -> None:
        """The first Enter goes to the row that is marked, the following ones to the next."""
        if self.at < 0 or self.list.currentRow() != self.at:
            super().again(by)
        else:
            self.go(by)

    def go(self, by: int) -> None:
        """To the next hit, or the one before; after the last comes the first."""
        if self._index is None or not self._index.fits(self.host.session):
            self.look()  # another graph has come since
        if self.hits:
            first = 0 if by > 0 else -1
            self.take((self.at + by if self.at >= 0 else first) % len(self.hits))

    def place(self) -> QRect:
        """At the right upper corner of the canvas, so that what was found can be seen."""
        host, canvas = self.host, self.host.canvas
        corner = canvas.mapTo(host, canvas.rect().topLeft())
        width = min(440, max(canvas.width() - 16, 280))
        left = min(corner.x() + canvas.width() - width - 8, host.width() - width - 8)
        top = corner.y() + 8
        return QRect(left, top, width, min(self._height(top), max(canvas.height() - 16, 160)))
