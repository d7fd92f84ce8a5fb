"""The main window: canvas, panels and menus around one session. It makes nothing itself; it arranges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEvent, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.actions import ACTIONS, MENUS, Action
from explorer.model.playback import advanced
from explorer.model.session import Session
from explorer.model.text import LANGUAGES, tr
from explorer.view import dialogs
from explorer.view.canvas import Canvas
from explorer.view.fonts import load_fonts, ui_font
from explorer.view.icons import icon
from explorer.view.panels import PANELS, Panel, load_panels
from explorer.view.panels.gallery import StartPage
from explorer.view.settings import Settings
from explorer.view.theme import THEMES, Theme, palette, theme_title
from scenes.scene import SceneError

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
    "",
    "fold_all",
    "unfold_all",
)
FILE_ENDINGS = (".backstep", ".json")


class Window(QMainWindow):
    """The window on a session; also the Host that actions get."""

    def __init__(self, session: Session | None = None, settings: Settings | None = None) -> None:
        super().__init__()
        load_fonts()
        self._session = session or Session()
        self.settings = settings or Settings()
        self.theme: Theme = THEMES[self.settings.theme]
        self.path: str | None = None
        self._on_disk: Any = None  # what the file looked like when it was last read or written
        self._extras: dict[str, Any] = {}  # title, notes and the like, kept for the next save
        self.setAcceptDrops(True)
        self.setMinimumSize(720, 480)
        room = QGuiApplication.primaryScreen().availableGeometry()
        self.resize(min(1280, room.width()), min(760, room.height()))
        load_panels()
        self.desk = Desk(self._arrange)
        self.panels: dict[str, Panel] = {id: cls(self) for id, cls in PANELS.items()}
        self.canvas = Canvas(self._session, self.theme)
        self.desk.setCentralWidget(self.canvas)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.desk)
        self.banner = Banner(self)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self.stack, 1)
        self.setCentralWidget(middle)
        self.actions_by_id: dict[str, QAction] = {}
        for panel in self.panels.values():
            self.desk.addDockWidget(panel.area, panel)
        self._build()
        geometry, _ = self.settings.window()
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self._unsubscribe = self._session.subscribe(self._changed)
        self._clock = QElapsedTimer()
        self._ticker = QTimer(self, interval=16)
        self._ticker.setTimerType(Qt.TimerType.PreciseTimer)
        self._ticker.timeout.connect(self._tick)
        self._show_page()
        self._refresh_actions()

    @property
    def session(self) -> Session:
        return self._session

    # Building

    def _arrange(self) -> None:
        """Panels where they stand in a new window, or where they stood when the last one was closed."""
        for area, width in (
            (Qt.DockWidgetArea.LeftDockWidgetArea, 232),
            (Qt.DockWidgetArea.RightDockWidgetArea, 268),
        ):
            first, *others = [p for p in self.panels.values() if p.area == area]
            for other in others:
                self.desk.tabifyDockWidget(first, other)
            self.desk.resizeDocks([first], [width], Qt.Orientation.Horizontal)
        self.panels["chapters"].raise_()
        self.panels["parameters"].raise_()
        self._first_arrangement = self.desk.saveState()
        _, state = self.settings.window()
        if not state.isEmpty():
            self.desk.restoreState(state)

    def _build(self) -> None:
        """Everything that has words or colours; again after a change of language or theme."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setStyle("Fusion")
        app.setPalette(palette(self.theme))
        app.setFont(ui_font(13))
        app.setStyleSheet(style_sheet(self.theme))
        self.canvas.theme = self.theme
        self.canvas.retranslate()
        self.banner.restyle(self.theme)
        for panel in self.panels.values():
            panel.rebuild()
        self._build_actions()
        self._build_menus()
        self._build_toolbar()
        self._show_title()
        self.canvas.update()

    def _build_actions(self) -> None:
        for old in self.actions_by_id.values():
            self.removeAction(old)
            old.deleteLater()
        self.actions_by_id = {}
        for action in ACTIONS.values():
            q = QAction(tr(action.title), self)
            q.setObjectName(action.id)
            q.setShortcuts([QKeySequence(k) for k in action.keys])
            q.setStatusTip(tr(action.tip))
            keys = f" ({', '.join(action.keys)})" if action.keys else ""
            q.setToolTip(f"{tr(action.title)}{keys}\n{tr(action.tip)}")
            if action.icon:
                q.setIcon(icon(action.icon, self.theme.ink))
            q.triggered.connect(lambda _=False, a=action: self.run(a))
            self.addAction(q)
            self.actions_by_id[action.id] = q

    def _build_menus(self) -> None:
        bar = self.menuBar()
        bar.clear()
        titles = {
            "File": tr("&File"),
            "Edit": tr("&Edit"),
            "View": tr("&View"),
            "Playback": tr("&Playback"),
            "Help": tr("&Help"),
        }
        for name in MENUS:
            menu = bar.addMenu(titles[name])
            menu.setToolTipsVisible(True)
            for action in ACTIONS.values():
                if action.menu != name:
                    continue
                if action.separate:
                    menu.addSeparator()
                menu.addAction(self.actions_by_id[action.id])
                if action.id == "open_file":
                    self.recent_menu = menu.addMenu(icon("recent", self.theme.ink), tr("Open recent"))
                    self.recent_menu.aboutToShow.connect(self._fill_recent)
            if name == "View":
                menu.addSeparator()
                self._add_choices(menu)
                menu.addSeparator()
                for panel in self.panels.values():
                    menu.addAction(panel.toggleViewAction())

    def _add_choices(self, menu: QMenu) -> None:
        """Themes and languages by name, beside the actions that go round them."""
        for title, choices, chosen, choose in (
            (tr("Theme"), {n: theme_title(t) for n, t in THEMES.items()}, self.theme.name, self.set_theme),
            (tr("Language"), LANGUAGES, text.language(), self.set_language),
        ):
            sub = menu.addMenu(title)
            group = QActionGroup(sub)
            for key, words in choices.items():
                q = sub.addAction(words)
                q.setCheckable(True)
                q.setChecked(key == chosen)
                q.triggered.connect(lambda _=False, k=key, c=choose: c(k))
                group.addAction(q)

    def _fill_recent(self) -> None:
        self.recent_menu.clear()
        for path in self.settings.recent:
            q = self.recent_menu.addAction(Path(path).name)
            q.setToolTip(path)
            q.triggered.connect(lambda _=False, p=path: self.open_file(p))
        if self.settings.recent:
            self.recent_menu.addSeparator()
            self.recent_menu.addAction(tr("Clear this list")).triggered.connect(self._forget_recent)
        else:
            self.recent_menu.addAction(tr("No files yet")).setEnabled(False)

    def _forget_recent(self) -> None:
        self.settings.forget_files()
        self._show_page()

    def _build_toolbar(self) -> None:
        old = self.findChild(QToolBar, "toolbar")
        if old is None:
            old = QToolBar()
            old.setObjectName("toolbar")
            old.setMovable(False)
            self.addToolBar(old)
        old.clear()
        old.setWindowTitle(tr("Tools"))
        for name in TOOLBAR:
            if name:
                old.addAction(self.actions_by_id[name])
            else:
                old.addSeparator()
        spacer = QWidget()
        spacer.setSizePolicy(spacer.sizePolicy().Policy.Expanding, spacer.sizePolicy().Policy.Preferred)
        old.addWidget(spacer)
        for name in ("toggle_theme", "next_language", "show_keys"):
            old.addAction(self.actions_by_id[name])

    # Following the session

    def _changed(self, changed: frozenset[str]) -> None:
        for panel in self.panels.values():
            panel.refresh(changed)
        self._refresh_actions()
        if "scene" in changed or "recording" in changed:
            self._show_page()
        if "chapter" in changed and self.session.state.chapter and self.session.recording is not None:
            self.canvas.show_chapter(self.session.state.chapter)
        if changed & {"scene", "parameters", "seed", "edits", "folded"}:
            self._show_title()
        if "playing" in changed:
            if self.session.state.playing:
                self._clock.start()
                self._ticker.start()
            else:
                self._ticker.stop()

    def _tick(self) -> None:
        seconds = min(self._clock.restart() / 1000, 0.1)
        t, on = advanced(self.session, seconds)
        if on:
            self.session.update(t=t)
        else:
            self.session.update(t=t, playing=False)

    def _refresh_actions(self) -> None:
        for id, q in self.actions_by_id.items():
            q.setEnabled(ACTIONS[id].enabled(self))
        undo, redo = self.session.undo_title, self.session.redo_title
        self.actions_by_id["undo"].setText(f"{tr('Undo')}: {tr(undo)}" if undo else tr("Undo"))
        self.actions_by_id["redo"].setText(f"{tr('Redo')}: {tr(redo)}" if redo else tr("Redo"))
        playing = self.session.state.playing
        self.actions_by_id["play"].setIcon(icon("pause" if playing else "play", self.theme.ink))

    def _show_page(self) -> None:
        """The desk when a scene is open, else the start page."""
        while self.stack.count() > 1:
            if (old := self.stack.widget(1)) is not None:
                self.stack.removeWidget(old)
                old.deleteLater()
        has_scene = self.session.recording is not None
        if not has_scene:
            page = StartPage(
                self.theme,
                self.settings.recent,
                open_scene=self.open_scene,
                open_file=self.open_file,
                ask_open=self.ask_open,
                new_expression=self.new_expression,
            )
            self.stack.addWidget(page)
            self.stack.setCurrentWidget(page)
        else:
            self.stack.setCurrentWidget(self.desk)
            if not self._had_scene:
                self.canvas.setFocus()
        self._had_scene = has_scene

    _had_scene = False

    def _show_title(self) -> None:
        scene = self.session.scene
        if scene is None:
            self.setWindowTitle("Backstep")
            return
        name = Path(self.path).name if self.path else scene.title[text.language()]
        self.setWindowTitle(f"{name}[*] – Backstep")
        self.setWindowModified(self.session.dirty and self.path is not None)

    # Host: what actions ask for

    def run(self, action: Action) -> None:
        """Run an action; a refusal becomes a sentence in the window."""
        if action.enabled(self):
            self.attempt(lambda: action.run(self))

    def attempt(self, work: Callable[[], None]) -> bool:
        """Do something that a user asked for; a SceneError is said in the banner. True when it worked."""
        try:
            work()
        except SceneError as error:
            self.say(text.sentence(error))
            return False
        return True

    def say(self, sentence: str) -> None:
        """One sentence at the top of the canvas; it goes away by itself."""
        self.banner.say(sentence)

    def open_scene(self, id: str) -> None:
        """Show a catalogue scene from its beginning."""
        if self._may_leave() and self.attempt(lambda: self.session.open_scene(id)):
            self._forget_file()
            self.banner.hide()
            self._show_title()
            self.canvas.setFocus()

    def open_file(self, path: str) -> None:
        """Show a scene file; what is open stays when the file can not be read."""
        from explorer.model.files import load

        def work() -> None:
            loaded = load(path)
            self.session.open_state(loaded.state, tr("Open {scene}").format(scene=Path(path).name))
            self.path = None if loaded.read_only else path
            self._on_disk, self._extras = loaded.snapshot, loaded.extras()
            self.settings.remember_file(path)
            self.banner.hide()
            if loaded.warning:
                self.say(loaded.warning)
            self._show_title()

        if self._may_leave():
            self.attempt(work)

    def _forget_file(self) -> None:
        """What is open now belongs to no file."""
        self.path = self._on_disk = None
        self._extras = {}
        self.session.saved = self.session.state

    def _may_leave(self) -> bool:
        """Ask before unsaved changes of a file are left; edits of a catalogue scene can be undone instead."""
        if self.path is None or not self.session.dirty:
            return True
        answer = QMessageBox.question(
            self,
            "Backstep",
            tr("Save the changes to {name}?").format(name=Path(self.path).name),
            QMessageBox.StandardButton.Save
            | QMessageBox.StandardButton.Discard
            | QMessageBox.StandardButton.Cancel,
        )
        if answer == QMessageBox.StandardButton.Save:
            self.save()
            return not self.session.dirty
        return answer == QMessageBox.StandardButton.Discard

    def new_expression(self) -> None:
        present = self.session.state
        formula = str(present.parameters.get("formula", "")) if present.scene == "expression" else ""
        while True:
            words, ok = QInputDialog.getText(
                self,
                tr("New expression"),
                tr("A formula of names, numbers, + − * / ** and functions, such as tanh(w*x + b)"),
                text=formula or "tanh(w1*x1 + w2*x2 + b)",
            )
            if not ok:
                return
            try:
                self.session.open_scene("expression", {"formula": words})
            except SceneError as error:
                QMessageBox.warning(self, tr("New expression"), text.sentence(error))
                formula = words
                continue
            self._forget_file()
            self._show_title()
            return

    def ask_open(self) -> None:
        path = dialogs.ask_open(self, self._folder())
        if path:
            self.open_file(path)

    def _folder(self) -> str:
        recent = self.settings.recent
        return str(Path(self.path or recent[0]).parent) if self.path or recent else str(Path.home())

    def save(self) -> None:
        if self.path is None:
            self.ask_save_as()
        else:
            self._save_to(self.path)

    def ask_save_as(self) -> None:
        path = dialogs.ask_save(self, str(Path(self._folder()) / f"{self.session.state.scene}.backstep"))
        if path:
            self._save_to(path)

    def _save_to(self, path: str) -> None:
        from explorer.model.files import save, snapshot

        def work() -> None:
            expected = self._on_disk if path == self.path else None
            save(path, self.session.state, **self._extras, expected=expected)
            self.path, self._on_disk = path, snapshot(path)
            self.session.saved = self.session.state
            self.settings.remember_file(path)
            self.statusBar().showMessage(tr("Saved {name}").format(name=Path(path).name), 4000)
            self._show_title()

        self.attempt(work)

    def ask_export_picture(self) -> None:
        dialogs.export_picture(self)

    def ask_export_film(self) -> None:
        dialogs.export_film(self)

    def close_scene(self) -> None:
        if self._may_leave():
            self.session.close()
            self._forget_file()
            self._show_title()

    def quit(self) -> None:
        self.close()

    def copy_picture(self) -> None:
        QGuiApplication.clipboard().setImage(self.canvas.grab_picture())
        self.statusBar().showMessage(tr("Picture copied"), 3000)

    def copy_value(self) -> None:
        node = self.session.state.selection[-1]
        value = self.session.trace.values[node]
        with np.printoptions(threshold=10_000, floatmode="unique"):
            QGuiApplication.clipboard().setText(f"np.{value!r}")
        self.statusBar().showMessage(tr("Value copied as NumPy code"), 3000)

    def random_seed(self) -> None:
        seed = int(np.random.default_rng().integers(1, 10_000))
        self.session.update(seed=seed, edits={}, title=tr("New random values"))

    def fit(self) -> None:
        self.canvas.show_everything()

    def follow(self) -> None:
        self.canvas.follow()

    def zoom_by(self, factor: float) -> None:
        self.canvas.zoom_by(factor)

    def zoom_to_selection(self) -> None:
        self.canvas.show_nodes(set(self.session.state.selection), most=2.4)

    def toggle_theme(self) -> None:
        names = list(THEMES)
        self.set_theme(names[(names.index(self.theme.name) + 1) % len(names)])

    def set_theme(self, name: str) -> None:
        self.settings.theme = name
        self.theme = THEMES[name]
        self._build()
        self._show_page()
        self._refresh_actions()

    def next_language(self) -> None:
        codes = list(LANGUAGES)
        self.set_language(codes[(codes.index(text.language()) + 1) % len(codes)])

    def set_language(self, code: str) -> None:
        self.settings.language = code
        text.set_language(code)
        dialogs.install_qt_translation(code)
        self._build()
        self._show_page()
        self._refresh_actions()

    def toggle_full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def reset_window(self) -> None:
        if not self.desk.arranged:
            return
        self.desk.restoreState(self._first_arrangement)
        self.panels["parameters"].raise_()

    def find_scene(self) -> None:
        gallery = self.panels["gallery"]
        if self.session.recording is None:
            return
        gallery.show()
        gallery.raise_()
        gallery.focus()

    def show_keys(self) -> None:
        dialogs.show_keys(self)

    def show_about(self) -> None:
        dialogs.show_about(self)

    # Qt's own events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_file(event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = _dropped_file(event.mimeData().urls())
        if path:
            event.acceptProposedAction()
            self.open_file(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._may_leave():
            event.ignore()
            return
        self._ticker.stop()
        panels = self.desk.saveState() if self.desk.arranged else self.settings.window()[1]
        self.settings.remember_window(self.saveGeometry(), panels)
        self.canvas.release()
        with suppress(ValueError):  # closed twice
            self._unsubscribe()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.WindowStateChange and not self.isFullScreen():
            self.menuBar().show()
        super().changeEvent(event)


class Desk(QMainWindow):
    """A window in the window: docks and canvas, gone as one on the start page.

    Panels are put in tabs when it is first seen: earlier, Qt leaves a stray tab bar behind.
    """

    def __init__(self, arrange: Callable[[], None]) -> None:
        super().__init__()
        self.setWindowFlags(Qt.WindowType.Widget)
        self.setDockNestingEnabled(True)
        below = Qt.DockWidgetArea.BottomDockWidgetArea
        self.setCorner(Qt.Corner.BottomLeftCorner, below)
        self.setCorner(Qt.Corner.BottomRightCorner, below)
        self.arranged = False
        self._arrange = arrange

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.arranged:
            self.arranged = True
            self._arrange()


class Banner(QFrame):
    """A sentence over the canvas with a way to close it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        self.label = QLabel()
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(self.label, 1)
        self.button = QToolButton()
        self.button.setAutoRaise(True)
        self.button.clicked.connect(self.hide)
        row.addWidget(self.button)
        self._leave = QTimer(self, singleShot=True, interval=12_000)
        self._leave.timeout.connect(self.hide)
        self.hide()

    def restyle(self, theme: Theme) -> None:
        self.setStyleSheet(
            f"Banner {{ background: {theme.parameter_fill}; border-bottom: 1px solid {theme.parameter}; }}"
        )
        self.button.setIcon(icon("close", theme.ink))
        self.button.setToolTip(tr("Close"))

    def say(self, sentence: str) -> None:
        self.label.setText(sentence)
        self.setAccessibleName(sentence)
        self.show()
        self._leave.start()


def _dropped_file(urls: list[QUrl]) -> str:
    for url in urls:
        path = url.toLocalFile()
        if path.endswith(FILE_ENDINGS):
            return path
    return ""


def style_sheet(theme: Theme) -> str:
    """The little that a palette can not say."""
    return f"""
    QMainWindow::separator {{ background: {theme.line}; width: 3px; height: 3px; }}
    QMainWindow::separator:hover {{ background: {theme.accent}; }}
    QDockWidget {{ color: {theme.ink}; }}
    QDockWidget::title {{
        background: {theme.window}; padding: 5px 8px; border-bottom: 1px solid {theme.line};
    }}
    QToolTip {{ color: {theme.ink}; background: {theme.base}; border: 1px solid {theme.line}; padding: 3px; }}
    QListWidget, QTextBrowser, QScrollArea {{ border: none; }}
    QListWidget::item {{ padding: 3px; border-radius: 5px; }}
    QListWidget::item:selected {{
        background: {theme.accent}; color: {"#10131a" if theme.dark else "#ffffff"};
    }}
    QListWidget::item:hover:!selected {{ background: {theme.area_line}; }}
    QToolBar {{ border-bottom: 1px solid {theme.line}; spacing: 2px; padding: 2px 6px; }}
    QStatusBar::item {{ border: none; }}
    """
