"""The main window: canvas, panels and menus around one session. It makes nothing itself; it arranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEvent, QPoint, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QInputDialog,
    QLineEdit,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.actions import Action
from explorer.model.alterations import ALTERATIONS
from explorer.model.playback import advanced, forward, stopped
from explorer.model.session import Session
from explorer.model.text import LANGUAGES, tr
from explorer.model.walking import Way
from explorer.view import dialogs
from explorer.view.accessible import Announcer
from explorer.view.altered import Badge
from explorer.view.banner import Banner
from explorer.view.canvas import Canvas
from explorer.view.compare import Comparing
from explorer.view.fonts import interface_scale, load_fonts, set_interface_scale
from explorer.view.keeping import Keeping, dropped_file
from explorer.view.menus import Menus
from explorer.view.on_canvas import OnCanvas
from explorer.view.panels import PANELS, Panel, Panels, load_panels
from explorer.view.panels.gallery import StartPage
from explorer.view.settings import Settings
from explorer.view.theme import THEMES, Theme, dress
from scenes.scene import SceneError

if TYPE_CHECKING:
    from explorer.view.palette import Palette
    from explorer.view.search import Search
    from explorer.view.tour import Tour

FIRST_SEEN = ("chapters", "parameters", "timeline")  # in a new window, of the panels
TOUR_AFTER = 500  # milliseconds: the scene is looked at first
CURSOR_KEYS = {Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End}


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
        self.setAcceptDrops(True)
        self.statusBar().setSizeGripEnabled(False)  # here from the start: nothing jumps at the first message
        self.setMinimumSize(720, 480)
        room = QGuiApplication.primaryScreen().availableGeometry()
        self.resize(min(1280, room.width()), min(760, room.height()))
        load_panels()
        self._dress()  # a panel's title keeps the font that it is born with
        self.desk = Desk(self._arrange)
        self.panels = Panels({id: cls(self) for id, cls in PANELS.items()})
        self._idle = QTimer(self, interval=0)  # makes panels that nobody has seen yet, one at a time
        self._idle.timeout.connect(self._make_next)
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
        self.keeping = Keeping(self, keep_in)
        self.menus = Menus(self)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.keeping.notice)
        column.addWidget(self.banner)
        column.addWidget(self.stack, 1)
        self.setCentralWidget(middle)
        for panel in self.panels.values():
            self.desk.addDockWidget(panel.area, panel)
        self._build()
        for id in FIRST_SEEN:
            self.panels[id].make()
        geometry, _ = self.settings.window()
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        self._unsubscribe = self._session.subscribe(self._changed)
        self._clock = QElapsedTimer()
        self._ticker = QTimer(self, interval=16)
        self._ticker.setTimerType(Qt.TimerType.PreciseTimer)
        self._ticker.timeout.connect(self._tick)
        self._show_page()
        self.menus.refresh()

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
        self.keeping.rebuild()
        for panel in self.panels.values():
            panel.outdate()
        self._idle.start()
        self.menus.rebuild()
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
        set_interface_scale(self.settings.text_size / 100 * self.theme.lettering)
        dress(app, self.theme)

    def _make_next(self) -> None:
        if not self.panels.make_next():
            self._idle.stop()

    # Following the session

    def _changed(self, changed: frozenset[str]) -> None:
        for panel in self.panels.values():
            if not panel.stale:
                panel.refresh(changed)
        self.announcer.follow(changed)
        self.comparing.follow(changed)
        if changed & {*ALTERATIONS, "scene", "recording"}:
            self.badge.refresh()
        self.menus.refresh()
        if "scene" in changed or "recording" in changed:
            self._show_page()
        if "chapter" in changed and self.session.state.chapter and self.session.recording is not None:
            self.canvas.show_chapter(self.session.state.chapter)
        self.keeping.follow(changed)
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
                open_file=self.keeping.open,
                ask_open=self.keeping.ask_open,
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
        if self.keeping.may_leave() and self.attempt(lambda: self.session.open_scene(id)):
            self.keeping.forget()
            self.banner.hide()
            self.canvas.setFocus()

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
            self.keeping.forget()
            return

    def ask_export_picture(self) -> None:
        dialogs.export_picture(self)

    def ask_export_film(self) -> None:
        dialogs.export_film(self)

    def forget_recent(self) -> None:
        """Empty the list of files that were open last, on the start page as well."""
        self.settings.forget_files()
        self._show_page()

    def close_scene(self) -> None:
        if self.keeping.may_leave():
            self.session.close()
            self.keeping.forget()

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
        self.menus.refresh()

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
        self.menus.refresh()

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
        self.menus.refresh()

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
        self.panels[id].show_panel()
        return self.panels[id]

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
        self.menus.refresh()

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
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._build()  # icons are as sharp as the screen that the window has come to
        return super().event(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_file(event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = dropped_file(event.mimeData().urls())
        if path:
            event.acceptProposedAction()
            self.keeping.open(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.keeping.may_leave(for_good=True):
            event.ignore()
            return
        self.keeping.close()
        self._ticker.stop()
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
            self.keeping.mention_change()
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
