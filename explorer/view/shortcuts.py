"""The keyboard sheet: every action with its menu, keys and what it does, from ACTIONS; and the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from explorer.model.actions import ACTIONS, MENUS, Action, menu_title
from explorer.model.finding import fuzzy
from explorer.model.text import tr
from explorer.view.fonts import ui_font

if TYPE_CHECKING:
    from explorer.view.window import Window


def native(action: Action) -> str:
    """An action's keys as this system writes them."""
    texts = [QKeySequence(k).toString(QKeySequence.SequenceFormat.NativeText) for k in action.keys]
    return ", ".join(texts)


def mouse() -> list[tuple[str, str]]:
    """What the mouse does, and how."""
    return [
        (tr("Zoom"), tr("wheel")),
        (tr("Move the picture"), tr("drag the background")),
        (tr("Select; add to the selection"), tr("click; Shift+click")),
        (tr("Select what lies in a rectangle"), tr("drag with Shift; with Ctrl as well, it is added")),
        (tr("Fold or unfold a scope"), tr("click its title or box")),
        (tr("Look closer; everything"), tr("double-click a box; the background")),
        (tr("What can be done with a box"), tr("right click")),
        (tr("Change a number"), tr("drag it, or double-click")),
    ]


def canvas_keys() -> list[tuple[str, str, str]]:
    """What keys do on the canvas that are no action's."""
    return [
        (
            tr("From box to box"),
            "Tab, Shift+Tab",
            tr("Select one after the other, in the order of computing"),
        ),
        (
            tr("Deselect"),
            "Esc",
            tr("Take back the selection; when nothing is selected, the next Tab leaves the picture"),
        ),
    ]


class KeySheet(QDialog):
    """A list by menus with a field that narrows it."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.setWindowTitle(tr("Keys"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        column = QVBoxLayout(self)
        self.field = QLineEdit()
        self.field.setPlaceholderText(tr("Search actions"))
        self.field.setAccessibleName(tr("Search actions"))
        self.field.setClearButtonEnabled(True)
        self.field.textChanged.connect(self.narrow)
        self.list = QTreeWidget()
        self.list.setAccessibleName(tr("Keys"))
        self.list.setHeaderLabels([tr("Action"), tr("Keys"), tr("What it does")])
        self.list.setRootIsDecorated(False)
        self.list.setItemsExpandable(False)
        self.list.setIndentation(10)
        self.list.setAlternatingRowColors(True)
        for menu in MENUS:
            actions = [action for action in ACTIONS.values() if action.menu == menu]
            rows = [(tr(action.title), native(action), tr(action.tip)) for action in actions]
            self._group(menu_title(menu), rows)
        self._group(tr("Picture"), canvas_keys())
        self._group(tr("Mouse"), [(words, "", how) for words, how in mouse()])
        self.list.expandAll()
        for k in range(2):
            self.list.header().setSectionResizeMode(k, QHeaderView.ResizeMode.ResizeToContents)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.button(QDialogButtonBox.StandardButton.Close).setText(tr("Close"))
        buttons.rejected.connect(self.reject)
        column.addWidget(self.field)
        column.addWidget(self.list)
        column.addWidget(buttons)
        room = window.size()
        self.resize(min(860, room.width() - 40), min(640, room.height() - 40))

    def _group(self, title: str, rows: list[tuple[str, str, str]]) -> None:
        heading = QTreeWidgetItem(self.list, [title])
        heading.setFont(0, ui_font(13, bold=True))
        heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
        for words, keys, tip in rows:
            item = QTreeWidgetItem(heading, [words, keys, tip])
            item.setFont(1, ui_font(13, bold=True))
            item.setToolTip(2, tip)

    def narrow(self, query: str) -> int:
        """Hide what does not fit; returns how many rows are left."""
        shown = 0
        for k in range(self.list.topLevelItemCount()):
            heading = self.list.topLevelItem(k)
            fitting = 0
            for j in range(heading.childCount()):
                row = heading.child(j)
                fits = any(fuzzy(query, row.text(column)) is not None for column in range(3))
                row.setHidden(not fits)
                fitting += fits
            heading.setHidden(not fitting)
            shown += fitting
        return shown
