"""The main window: canvas, panels and menus around one session. It makes nothing itself; it arranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from html import escape
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEvent, QPoint, QStandardPaths, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QTextEdit,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.actions import ACTIONS, MENUS, Action
from explorer.model.alterations import ALTERATIONS
from explorer.model.files import FileError, Recoverable, recoverable
from explorer.model.files.document import Document
from explorer.model.playback import advanced, forward, stopped
from explorer.model.session import LASTING, Session
from explorer.model.text import LANGUAGES, tr
from explorer.model.walking import Way
from explorer.view import dialogs
from explorer.view.accessible import Announcer
from explorer.view.altered import Badge
from explorer.view.canvas import Canvas
from explorer.view.compare import Comparing
from explorer.view.fonts import interface_scale, load_fonts, set_interface_scale, ui_font
from explorer.view.icons import icon
from explorer.view.on_canvas import OnCanvas
from explorer.view.panels import PANELS, Panel, load_panels
from explorer.view.panels.gallery import StartPage
from explorer.view.settings import Settings
from explorer.view.theme import THEMES, Theme, palette, theme_title
from scenes.scene import SceneError

if TYPE_CHECKING:
    from explorer.view.palette import Palette
    from explorer.view.search import Search
    from explorer.view.tour import Tour

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
FILE_ENDINGS = (".backstep", ".json")
KEEP_EVERY = 60_000  # milliseconds after which unsaved work is kept at the latest
TOUR_AFTER = 500  # milliseconds: the scene is looked at first
CURSOR_KEYS = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End}
KEEP_AFTER = 5_000  # and after the first change of what a file keeps


class Window(QMainWindow):
    """The window on a session; also the Host that actions get."""

    def __init__(
        self,
        session: Session | None = None,
        settings: Settings | None = None,
        keep_in: Path | None = None,  # folder for unsaved work; by default the application's own
    ) -> None:
        super().__init__()
        load_fonts()
        self._session = session or Session()
        self.settings = settings or Settings()
        self.theme: Theme = self._chosen_theme()
        text.set_number_style(self.settings.number_style)
        self.document = Document(self._session, keep_in or app_data() / "autosave")
        self.document.forget()
        self._told: str | None = None  # the file whose change on disk has been mentioned
        self.setAcceptDrops(True)
        self.statusBar().setSizeGripEnabled(False)  # here from the start: nothing jumps at the first message
        self.setMinimumSize(720, 480)
        room = QGuiApplication.primaryScreen().availableGeometry()
        self.resize(min(1280, room.width()), min(760, room.height()))
        load_panels()
        self._dress()  # a panel's title keeps the font that it is born with
        self.desk = Desk(self._arrange)
        self.panels: dict[str, Panel] = {id: cls(self) for id, cls in PANELS.items()}
        self.canvas = Canvas(self._session, self.theme)
        self.on_canvas = OnCanvas(self, self.canvas)
        self._set_motion()
        self.announcer = Announcer(self)
        self.badge = Badge(self)
        self._search: Search | None = None  # made when it is first asked for, as the next two
        self._palette: Palette | None = None
        self._tour: Tour | None = None
        self.comparing = Comparing(self, self.canvas)
        self.desk.setCentralWidget(self.comparing)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.desk)
        self.banner = Banner(self)
        self.notice = Banner(self, lasting=True)
        self.notice.add_button("save-as", self.ask_save_as)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notice)
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
        self._keep_often = QTimer(self, interval=KEEP_EVERY)
        self._keep_soon = QTimer(self, interval=KEEP_AFTER, singleShot=True)
        for timer in (self._keep_often, self._keep_soon):
            timer.timeout.connect(self.keep_work)
        self._keep_often.start()
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
            width = round(width * interface_scale())
            self.desk.resizeDocks([first], [width], Qt.Orientation.Horizontal)
        self.panels["chapters"].raise_()
        self.panels["parameters"].raise_()
        self._first_arrangement = self.desk.saveState()
        _, state = self.settings.window()
        if not state.isEmpty():
            self.desk.restoreState(state)

    def _build(self) -> None:
        """Everything that has words or colours; again after a change of language or theme."""
        self.canvas.theme, self.canvas.legend = self.theme, self.legend
        self.canvas.retranslate()
        self.banner.restyle(self.theme)
        self.notice.restyle(self.theme)
        self.notice.button_words(tr("Save as…"))
        for panel in self.panels.values():
            panel.rebuild()
        self._build_actions()
        self._build_menus()
        self._build_toolbar()
        self._show_title()
        for lookup in (self._search, self._palette):
            if lookup is not None:
                lookup.hide()
                lookup.deleteLater()
        self._search = self._palette = None
        if self._tour is not None:
            self.show_tour(self._tour.at)
        self.badge.refresh()
        self.comparing.rebuild()
        self.canvas.update()

    def _dress(self) -> None:
        """Style, colours and letters of the application."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.setStyle("Fusion")
        app.setPalette(palette(self.theme))
        set_interface_scale(self.settings.text_size / 100 * self.theme.lettering)
        app.setFont(ui_font(13))
        app.setStyleSheet(style_sheet(self.theme))

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
            if action.on_canvas:
                q.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            q.setCheckable(action.checked is not None)
            (self.canvas if action.on_canvas else self).addAction(q)
            self.actions_by_id[action.id] = q

    def _build_menus(self) -> None:
        bar = self.menuBar()
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
            for action in ACTIONS.values():
                if action.menu != name:
                    continue
                if action.separate:
                    menu.addSeparator()
                menu.addAction(self.actions_by_id[action.id])
                if action.id == "open_file":
                    self.recent_menu = QMenu(tr("Open recent"), menu)
                    self.recent_menu.setIcon(icon("recent", self.theme.ink))
                    menu.addMenu(self.recent_menu)
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
            sub = QMenu(title, menu)
            menu.addMenu(sub)
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
            q.setToolTip(f"<span>{escape(path)}</span>")  # else a name could be taken for markup
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
        for old in self.findChildren(QToolBar, "toolbar"):
            self.removeToolBar(old)
            old.deleteLater()
        bar = QToolBar()
        bar.setObjectName("toolbar")
        bar.setMovable(False)
        bar.setWindowTitle(tr("Tools"))
        for name in TOOLBAR:
            if name:
                bar.addAction(self.actions_by_id[name])
            else:
                bar.addSeparator()
        spacer = QWidget()
        spacer.setSizePolicy(spacer.sizePolicy().Policy.Expanding, spacer.sizePolicy().Policy.Preferred)
        bar.addWidget(spacer)
        for name in ("open_palette", "toggle_theme", "next_language", "show_keys"):
            bar.addAction(self.actions_by_id[name])
        self.addToolBar(bar)

    # Following the session

    def _changed(self, changed: frozenset[str]) -> None:
        for panel in self.panels.values():
            panel.refresh(changed)
        self.announcer.follow(changed)
        self.comparing.follow(changed)
        if changed & {*ALTERATIONS, "scene", "recording"}:
            self.badge.refresh()
        self._refresh_actions()
        if "scene" in changed or "recording" in changed:
            self._show_page()
        if "chapter" in changed and self.session.state.chapter and self.session.recording is not None:
            self.canvas.show_chapter(self.session.state.chapter)
        if changed & LASTING:
            self._show_title()
            if not self._keep_soon.isActive():
                self._keep_soon.start()
        if "playing" in changed:
            if self.session.state.playing:
                self._clock.start()
                self._ticker.start()
            else:
                self._ticker.stop()

    def _tick(self) -> None:
        seconds = min(self._clock.restart() / 1000, 0.1)
        if self.canvas.reduced_motion:  # from moment to moment, with nothing in between
            self._held += seconds
            t, on = advanced(self.session, self._held)
            if on and floor(t) == floor(self.session.state.t):
                return
            t, self._held = float(floor(t)), 0.0
        else:
            t, on = advanced(self.session, seconds)
        if on:
            self.session.update(t=t)
        elif self.session.more and not stopped(self.session, t):
            self.attempt(lambda: self.session.update(**forward(self.session)))
        else:
            self.session.update(t=t, playing=False)

    def _refresh_actions(self) -> None:
        for id, q in self.actions_by_id.items():
            q.setEnabled(ACTIONS[id].enabled(self) and not (id == "save" and self.document.read_only))
            if (checked := ACTIONS[id].checked) is not None:
                q.setChecked(checked(self))
        undo, redo = self.session.undo_title, self.session.redo_title
        self.actions_by_id["undo"].setText(f"{tr('Undo')}: {tr(undo)}" if undo else tr("Undo"))
        self.actions_by_id["redo"].setText(f"{tr('Redo')}: {tr(redo)}" if redo else tr("Redo"))
        comparing = self.comparing.on
        self.actions_by_id["compare"].setText(tr("End the comparison") if comparing else tr("Compare…"))
        playing = self.session.state.playing
        self.actions_by_id["play"].setIcon(icon("pause" if playing else "play", self.theme.ink))

    _held = 0.0  # seconds of playing that have not become a step yet

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
            if self._tour_due:
                self._tour_due = False
                QTimer.singleShot(TOUR_AFTER, self, self.show_tour)
        if not has_scene and self._tour is not None:
            self._tour.leave()
        self._had_scene = has_scene

    _had_scene = False
    _tour_due = False

    def _show_title(self) -> None:
        scene = self.session.scene
        if scene is None:
            self.setWindowTitle("Backstep")
            return
        shown = self.document.shown_path
        name = Path(shown).name if shown else scene.title[text.language()]
        if self.document.read_only:
            name = tr("{name} (read-only)").format(name=name)
        self.setWindowTitle(f"{name}[*] – Backstep")
        self.setWindowModified(self.session.dirty)

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

    @property
    def path(self) -> str | None:
        """The file that Save writes to."""
        return self.document.path

    def open_scene(self, id: str) -> None:
        """Show a catalogue scene from its beginning."""
        if self._may_leave() and self.attempt(lambda: self.session.open_scene(id)):
            self._forget_file()
            self.banner.hide()
            self.canvas.setFocus()

    def open_file(self, path: str) -> None:
        """Show a scene file; what is open stays when the file can not be read."""

        if not self._may_leave(for_good=True):
            return
        try:
            self.document.open(path)
        except SceneError as error:
            self._offer_backup(path, error)
            return
        self.settings.remember_file(path)
        self.banner.hide()
        self._show_document()

    def _offer_backup(self, path: str, error: SceneError) -> None:
        """A file that can not be opened may have been whole before its last save."""
        whole = isinstance(error, FileError) and error.code in ("not_found", "newer")
        if not whole and Path(path + "~").is_file() and dialogs.ask_backup(self, text.sentence(error)):
            if self.attempt(lambda: self.document.open_backup(path)):
                self.banner.hide()
                self._show_document()
        else:
            self.say(text.sentence(error))

    def _forget_file(self) -> None:
        """What is open now belongs to no file."""
        self.document.forget()
        self._show_document()

    def _show_document(self) -> None:
        """Title, notice and the Save action, after another file or none stands behind the session."""
        self._told = None
        if self.document.warning:
            self.notice.say(self.document.warning)
        else:
            self.notice.hide()
        self._show_title()
        self._refresh_actions()

    def _may_leave(self, *, for_good: bool = False) -> bool:
        """Ask before unsaved work is left.

        From one catalogue scene to another Undo leads back: nothing to ask. `for_good`: it does not.
        """
        if not self.session.dirty or (self.document.shown_path is None and not for_good):
            return True
        scene = self.session.scene
        shown = self.document.shown_path
        name = Path(shown).name if shown else scene.title[text.language()] if scene else ""
        answer = dialogs.ask_keep(self, name)
        if answer == "save":
            self.save()
            return not self.session.dirty
        if answer == "discard":
            self.document.drop()
        return answer == "discard"

    def keep_work(self) -> None:
        """Put unsaved work where the next start finds it."""
        try:
            self.document.keep()
        except FileError as error:
            self.say(text.sentence(error))

    def offer_recovery(self) -> None:
        """Show what an earlier run has left unsaved, if there is anything."""
        items = recoverable(self.document.keep_in)
        if items:
            dialogs.offer_recovery(self, items)

    def restore(self, item: Recoverable) -> bool:
        """Show unsaved work of an earlier run; True when it is on the screen."""

        def work() -> None:
            self.document.restore(item)
            self._show_document()

        return self._may_leave(for_good=True) and self.attempt(work)

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
            return

    def ask_open(self) -> None:
        path = dialogs.ask_open(self, self._folder())
        if path:
            self.open_file(path)

    def _folder(self) -> str:
        recent = self.settings.recent
        shown = self.document.shown_path
        return str(Path(shown or recent[0]).parent) if shown or recent else str(Path.home())

    def save(self) -> None:
        if self.path is None:
            self.ask_save_as()
        else:
            self._save_to(self.path)

    def ask_save_as(self) -> None:
        if self.document.from_newer and not dialogs.warn_of_loss(self):
            return
        path = dialogs.ask_save(self, str(Path(self._folder()) / f"{self.session.state.scene}.backstep"))
        if path:
            self._save_to(path)

    def _save_to(self, path: str, *, overwrite: bool = False) -> None:
        try:
            self.document.save(path, overwrite=overwrite)
        except FileError as error:
            if error.code == "changed_on_disk":
                self._settle_change(path)
            else:
                self.say(text.sentence(error))
            return
        self.settings.remember_file(path)
        self.statusBar().showMessage(tr("Saved {name}").format(name=Path(path).name), 4000)
        self._show_document()

    def _settle_change(self, path: str) -> None:
        """Somebody else has written the file: the user decides whose work stays."""
        answer = dialogs.ask_changed(self, Path(path).name)
        if answer == "overwrite":
            self._save_to(path, overwrite=True)
        elif answer == "save as":
            self.ask_save_as()
        elif answer == "reload" and self.attempt(lambda: self.document.open(path)):
            self._show_document()

    def _mention_change(self) -> None:
        """Once per change: the file is no longer what is shown here."""
        if self.document.changed_on_disk and self._told != self.document.path:
            self._told = self.document.path
            sentence = tr("{file} was changed by another program; saving will ask what to do")
            self.say(sentence.format(file=Path(self.document.path or "").name))

    def ask_export_picture(self) -> None:
        dialogs.export_picture(self)

    def ask_export_film(self) -> None:
        dialogs.export_film(self)

    def close_scene(self) -> None:
        if self._may_leave():
            self.session.close()
            self._forget_file()

    def quit(self) -> None:
        self.close()

    def copy_picture(self) -> None:
        self.on_canvas.copy_picture()

    def copy_value(self, format: str = "NumPy") -> None:
        self.on_canvas.copy_value(format)

    def random_seed(self) -> None:
        seed = int(np.random.default_rng().integers(1, 10_000))
        self.session.update(seed=seed, edits={}, title=tr("New random values"))

    def fit(self) -> None:
        self.on_canvas.fit()

    def follow(self) -> None:
        self.on_canvas.follow()

    def zoom_by(self, factor: float) -> None:
        self.canvas.zoom_by(factor)

    def zoom_to_selection(self) -> None:
        self.on_canvas.zoom_to_selection()

    def walk(self, way: Way) -> None:
        self.canvas.walk(way)

    @property
    def legend(self) -> bool:
        return bool(self.settings.legend)

    def toggle_legend(self) -> None:
        self.settings.legend = self.canvas.legend = not self.legend
        self.canvas.update()
        self.comparing.look_alike()
        self._refresh_actions()

    def toggle_theme(self) -> None:
        names = list(THEMES)
        self.set_theme(names[(names.index(self.theme.name) + 1) % len(names)])

    def set_theme(self, name: str) -> None:
        self.settings.theme = name
        self.apply_preferences()

    def apply_preferences(self) -> None:
        """Look as the settings say, at once."""
        text.set_number_style(self.settings.number_style)
        self._set_motion()
        self.theme = self._chosen_theme()
        before = interface_scale()
        self._dress()
        self._build()
        if interface_scale() != before and self.desk.arranged:
            below = Qt.DockWidgetArea.BottomDockWidgetArea  # of tabs, the one in front knows the width
            sides = [p for p in self.panels.values() if p.area != below and not p.visibleRegion().isEmpty()]
            widths = [round(p.width() * interface_scale() / before) for p in sides]
            self.desk.resizeDocks(sides, widths, Qt.Orientation.Horizontal)
        self._show_page()
        self._refresh_actions()

    def _chosen_theme(self) -> Theme:
        theme = THEMES[self.settings.theme]
        return replace(theme, colormap=self.settings.colormap) if self.settings.colormap else theme

    def _set_motion(self) -> None:
        self.canvas.reduced_motion, self.canvas.pace = self.settings.reduced_motion, self.settings.pace

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

    def show_panel(self, id: str) -> None:
        """Bring a panel to the front and put the keyboard into it."""
        self.front_panel(id).focus()

    def front_panel(self, id: str) -> Panel:
        panel = self.panels[id]
        panel.show()
        panel.raise_()
        return panel

    # Finding

    @property
    def search(self) -> Search:
        if self._search is None:
            from explorer.view.search import Search

            self._search = Search(self)
        return self._search

    @property
    def palette_field(self) -> Palette:
        if self._palette is None:
            from explorer.view.palette import Palette

            self._palette = Palette(self)
        return self._palette

    def look_closer(self, nodes: Sequence[int]) -> None:
        self.on_canvas.look_closer(nodes)

    def find_node(self) -> None:
        self.search.open()

    def find_again(self, by: int) -> None:
        self.search.go(by)

    def open_palette(self) -> None:
        self.palette_field.open()

    def reveal(self, node: int) -> None:
        self.on_canvas.reveal(node)

    def show_in_outline(self, node: int) -> None:
        from explorer.view.panels.outline import OutlinePanel

        outline = self.front_panel("outline")
        assert isinstance(outline, OutlinePanel)
        outline.show_node(node)

    def announce(self, words: str) -> None:
        """Have a screen reader say it."""
        self.announcer.say(words)

    def show_box_menu(self, node: int | None, scope: str, where: QPoint) -> QMenu:
        return self.on_canvas.show_box_menu(node, scope, where)

    def show_edge_menu(self, edges: Sequence[tuple[int, int]], where: QPoint) -> QMenu:
        return self.on_canvas.show_edge_menu(edges, where)

    def ask_hold(self) -> None:
        self.on_canvas.ask_hold()

    def compare(self) -> None:
        self.comparing.toggle()

    def comparison_changed(self) -> None:
        """Another scene has come to be compared, or has gone."""
        self.panels["lab"].refresh(frozenset({"compared"}))
        self._refresh_actions()

    # Help

    def offer_tour(self) -> None:
        """In the first run of all: show the tour as soon as a scene is open."""
        if not self.settings.tour_seen:
            self._tour_due = True
            self._show_page()

    def show_tour(self, at: int = 0) -> None:
        """Show the hints from one of them on."""
        if self._tour is not None:
            self._tour.leave()
        if self.session.recording is not None:
            from explorer.view.tour import Tour

            self._tour = Tour(self, at)

    def tour_left(self) -> None:
        """The tour has gone; the keyboard goes to the canvas."""
        self._tour = None
        self.canvas.setFocus()

    def show_preferences(self) -> None:
        from explorer.view.preferences import Preferences

        Preferences(self).show()

    def show_keys(self) -> None:
        from explorer.view.shortcuts import KeySheet

        KeySheet(self).show()

    def show_about(self) -> None:
        dialogs.show_about(self)

    # Qt's own events

    def event(self, event: QEvent) -> bool:
        # in a field the arrow keys, Home and End move its cursor, before the actions get them
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            typing = isinstance(QApplication.focusWidget(), QLineEdit | QAbstractSpinBox | QTextEdit)
            if typing and event.key() in CURSOR_KEYS:
                event.accept()
                return True
        return super().event(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_file(event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = _dropped_file(event.mimeData().urls())
        if path:
            event.acceptProposedAction()
            self.open_file(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._may_leave(for_good=True):
            event.ignore()
            return
        self.document.close()
        for timer in (self._ticker, self._keep_often, self._keep_soon):
            timer.stop()
        panels = self.desk.saveState() if self.desk.arranged else self.settings.window()[1]
        self.settings.remember_window(self.saveGeometry(), panels)
        self.comparing.close_all()
        self.canvas.release()
        with suppress(ValueError):  # closed twice
            self._unsubscribe()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.WindowStateChange and not self.isFullScreen():
            self.menuBar().show()
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self._mention_change()
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

    def __init__(self, parent: QWidget, *, lasting: bool = False) -> None:
        super().__init__(parent)
        self.lasting = lasting  # stays until what it is about has changed
        self._buttons: list[tuple[QToolButton, str]] = []
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
        self.button.setVisible(not lasting)
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
        for button, picture in self._buttons:
            button.setIcon(icon(picture, theme.ink))

    def add_button(self, picture: str, work: Callable[[], None]) -> None:
        """A way on, beside the sentence."""
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.clicked.connect(lambda _=False: work())
        self._buttons.append((button, picture))
        layout = self.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.insertWidget(1, button)

    def button_words(self, *words: str) -> None:
        for (button, _), said in zip(self._buttons, words, strict=True):
            button.setText(said)

    def say(self, sentence: str) -> None:
        self.label.setText(sentence)
        self.setAccessibleName(sentence)
        self.show()
        if not self.lasting:
            self._leave.start()


def app_data() -> Path:
    """The folder where the application keeps what is not a setting."""
    place = QStandardPaths.StandardLocation.GenericDataLocation
    return Path(QStandardPaths.writableLocation(place), "backstep")


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
        /* Qt makes room for the upper padding twice and for no border: less below, or letters are cut */
        background: {theme.window}; padding: 5px 8px 2px; border-bottom: 1px solid {theme.line};
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
