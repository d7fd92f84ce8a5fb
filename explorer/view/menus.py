"""Menus and tool bar, built from ACTIONS: the Qt side of each action, with its words, key, icon and state.

It knows where an action is offered and how it looks. What an action does, and when it can be done, must not
be known here: that is its registration in explorer/model/actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QToolBar, QWidget

from explorer.model import text
from explorer.model.actions import ACTIONS, MENUS
from explorer.model.text import LANGUAGES, tr
from explorer.view.icons import icon
from explorer.view.theme import THEMES, theme_title

if TYPE_CHECKING:
    from explorer.view.window import Window

TOOLBAR = (
    "open_file",
    "save",
    "",
    "undo",
    "redo",
    "",
    "fit",
    "follow",
    "zoom_in",
    "zoom_out",
    "find_node",
    "",
    "fold_all",
    "unfold_all",
    "roll_time",
)
TOOLBAR_END = ("open_palette", "toggle_theme", "next_language", "show_keys")


class Menus:
    """A window's actions, and the menus and the tool bar that offer them."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.actions: dict[str, QAction] = {}

    def rebuild(self) -> None:
        """Everything anew, in the present language and theme."""
        self._build_actions()
        self._build_menus()
        self._build_toolbar()

    def refresh(self) -> None:
        """What can be chosen now, and what is on."""
        window, session = self.window, self.window.session
        for id, q in self.actions.items():
            locked = id == "save" and window.keeping.document.read_only
            q.setEnabled(ACTIONS[id].enabled(window) and not locked)
            if (checked := ACTIONS[id].checked) is not None:
                q.setChecked(checked(window))
        undo, redo = session.undo_title, session.redo_title
        self.actions["undo"].setText(f"{tr('Undo')}: {tr(undo)}" if undo else tr("Undo"))
        self.actions["redo"].setText(f"{tr('Redo')}: {tr(redo)}" if redo else tr("Redo"))
        comparing = window.comparing.on
        self.actions["compare"].setText(tr("End the comparison") if comparing else tr("Compare…"))
        playing = session.state.playing
        self.actions["play"].setIcon(icon("pause" if playing else "play", window.theme.ink))

    def _build_actions(self) -> None:
        window = self.window
        for old in self.actions.values():
            window.removeAction(old)
            old.deleteLater()
        self.actions = {}
        for action in ACTIONS.values():
            q = QAction(tr(action.title), window)
            q.setObjectName(action.id)
            q.setShortcuts([QKeySequence(k) for k in action.keys])
            q.setStatusTip(tr(action.tip))
            keys = f" ({', '.join(action.keys)})" if action.keys else ""
            q.setToolTip(f"{tr(action.title)}{keys}\n{tr(action.tip)}")
            q.triggered.connect(lambda _=False, a=action: window.run(a))
            if action.on_canvas:
                q.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            q.setCheckable(action.checked is not None)
            (window.canvas if action.on_canvas else window).addAction(q)
            self.actions[action.id] = q

    def drawn(self, id: str) -> QAction:
        """An action with its icon, which is drawn when it is first to be seen."""
        q, name = self.actions[id], ACTIONS[id].icon
        if name and q.icon().isNull():
            q.setIcon(icon(name, self.window.theme.ink))
        return q

    def _build_menus(self) -> None:
        bar = self.window.menuBar()
        bar.clear()
        for old in bar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly):
            old.deleteLater()  # with those inside
        titles = {
            "File": tr("&File"),
            "Edit": tr("&Edit"),
            "View": tr("&View"),
            "Playback": tr("&Playback"),
            "Training": tr("&Training"),
            "Lab": tr("&Lab"),
            "Help": tr("&Help"),
        }
        for name in MENUS:
            menu = QMenu(titles[name], bar)  # one that Qt makes would never be let go of
            bar.addMenu(menu)
            menu.setToolTipsVisible(True)
            offered = [action for action in ACTIONS.values() if action.menu == name]
            menu.aboutToShow.connect(lambda offered=offered: [self.drawn(action.id) for action in offered])
            for action in offered:
                if action.separate:
                    menu.addSeparator()
                menu.addAction(self.actions[action.id])
                if action.id == "open_file":
                    self.recent = QMenu(tr("Open recent"), menu)
                    self.recent.setIcon(icon("recent", self.window.theme.ink))
                    menu.addMenu(self.recent)
                    self.recent.aboutToShow.connect(self._fill_recent)
            if name == "View":
                menu.addSeparator()
                self._add_choices(menu)
                menu.addSeparator()
                for panel in self.window.panels.values():
                    menu.addAction(panel.toggleViewAction())

    def _fill_recent(self) -> None:
        self.window.keeping.list_recent(self.recent)

    def _add_choices(self, menu: QMenu) -> None:
        """Themes and languages by name, beside the actions that go round them."""
        window = self.window
        for title, choices, chosen, choose in (
            (
                tr("Theme"),
                {n: theme_title(t) for n, t in THEMES.items()},
                window.theme.name,
                window.set_theme,
            ),
            (tr("Language"), LANGUAGES, text.language(), window.set_language),
        ):
            sub = QMenu(title, menu)
            menu.addMenu(sub)
            group = QActionGroup(sub)
            for key, words in choices.items():
                q = sub.addAction(words)
                q.setCheckable(True)
                q.setChecked(key == chosen)
                q.triggered.connect(lambda _=False, k=key, c=choose: c(k))
                group.addAction(q)

    def _build_toolbar(self) -> None:
        window = self.window
        for old in window.findChildren(QToolBar, "toolbar"):
            window.removeToolBar(old)
            old.deleteLater()
        bar = QToolBar()
        bar.setObjectName("toolbar")
        bar.setMovable(False)
        bar.setWindowTitle(tr("Tools"))
        for name in TOOLBAR:
            if name:
                bar.addAction(self.drawn(name))
            else:
                bar.addSeparator()
        spacer = QWidget()
        spacer.setSizePolicy(spacer.sizePolicy().Policy.Expanding, spacer.sizePolicy().Policy.Preferred)
        bar.addWidget(spacer)
        for name in TOOLBAR_END:
            bar.addAction(self.drawn(name))
        window.addToolBar(bar)
