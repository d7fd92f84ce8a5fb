"""Panels: one file and one registration each. A panel is a dock with `build` and `refresh`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QWidget

from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.fonts import interface_scale
from explorer.view.theme import Theme

if TYPE_CHECKING:
    from explorer.view.window import Window

PANELS: dict[str, type[Panel]] = {}


class Panels(dict[str, "Panel"]):
    """A window's panels by name; whoever asks for one gets it with its content."""

    def __getitem__(self, id: str) -> Panel:
        panel = super().__getitem__(id)
        panel.make()
        return panel

    def make_next(self) -> bool:
        """Make the content of one panel that has none yet; False when all have."""
        waiting = [panel for panel in self.values() if panel.stale]
        if waiting:
            min(waiting, key=lambda panel: panel.visibleRegion().isEmpty()).make()
        return len(waiting) > 1


class Panel(QDockWidget):
    """A dock on the session. Subclasses set `area` and `heading`, and write `build` and `refresh`.

    Its content is made when somebody asks for the panel by its name, or else when the window has nothing to
    do, what is seen first; until then `refresh` is not called.
    """

    id = ""
    heading = ""  # English; translated where it is shown
    area = Qt.DockWidgetArea.RightDockWidgetArea
    wide = 0  # pixels that it wants once it is asked for, with letters of the usual size

    def __init__(self, window: Window) -> None:
        super().__init__(window.desk)
        self.setObjectName(f"panel-{self.id}")  # the window remembers its place under this name
        self.host = window
        self.stale = True  # whether the content is still to be made, in the present language and theme
        self.setWindowTitle(tr(self.heading))
        self.setMinimumWidth(200)
        self.toggleViewAction().triggered.connect(lambda on: self.show_panel() if on else None)

    @property
    def session(self) -> Session:
        return self.host.session

    @property
    def theme(self) -> Theme:
        return self.host.theme

    def outdate(self) -> None:
        """The content will be another, as the language or the theme is."""
        self.setWindowTitle(tr(self.heading))
        self.stale = True
        if not self.visibleRegion().isEmpty():
            self.make()

    def make(self) -> None:
        """Make the content unless it is there."""
        if not self.stale:
            return
        self.stale = False
        old = self.widget()
        self.setWidget(self.build())
        if old is not None:
            old.deleteLater()
        self.refresh(frozenset({"everything", "recording", "trace", "layout", "selection", "t"}))

    def hide_at_first(self) -> None:
        """For a panel that is shown when somebody asks for it, and brought up to date when it is seen."""
        self.hide()
        self.visibilityChanged.connect(self._turned_up)

    def _turned_up(self, seen: bool) -> None:
        if seen and not self.stale:
            self.refresh(frozenset({"everything"}))

    def show_panel(self) -> None:
        """Bring the panel to the front, wide enough to be read."""
        self.show()
        self.raise_()
        if not self.isFloating() and self.width() < self.wide * interface_scale():
            width = round(self.wide * interface_scale())
            self.host.desk.resizeDocks([self], [width], Qt.Orientation.Horizontal)

    def focus(self) -> None:
        """Put the keyboard into the panel's first field."""
        content = self.widget()
        if content is not None:
            content.setFocus()

    def build(self) -> QWidget:
        """Make the content."""
        raise NotImplementedError

    def refresh(self, changed: frozenset[str]) -> None:
        """Bring the content up to date; `changed` names what is different (see Session.subscribe)."""
        raise NotImplementedError


def panel(id: str, heading: str, area: Qt.DockWidgetArea) -> Callable[[type[Panel]], type[Panel]]:
    """Register the decorated Panel. Panels appear in the order of registration."""

    def register(cls: type[Panel]) -> type[Panel]:
        cls.id, cls.heading, cls.area = id, heading, area
        PANELS[id] = cls
        return cls

    return register


def load_panels() -> None:
    """Import every panel file, in the order in which they stand in the window."""
    from explorer.view.panels import (
        breakpoints,
        chapters,
        gallery,
        inspector,
        lab,
        outline,
        parameters,
        plot,
        timeline,
        training,
    )

    files = (gallery, chapters, outline, parameters, inspector, timeline, training, plot, breakpoints, lab)
    assert {m.__name__.rpartition(".")[2] for m in files} == set(PANELS)
