"""The gradient lab: seven views on the gradient's way, a tab each, that follow playback, selection and edits.

A view is made when its tab is first seen, and brought up to date only while it is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.panels import Panel, panel

if TYPE_CHECKING:
    from explorer.view.panels.lab.view import View
    from explorer.view.window import Window

VIEWS = ("flow", "contributions", "paths", "jacobian", "carousel", "proofs", "check")
EVERYTHING = frozenset({"everything", "recording", "trace", "layout", "selection", "t"})


@panel("lab", "Gradient lab", Qt.DockWidgetArea.RightDockWidgetArea)
class Lab(Panel):
    """A tab for every view; hidden until somebody asks for one."""

    wide = 440

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._seen = False
        self._at = 0
        self.views: dict[str, View] = {}
        self._missed: dict[str, frozenset[str]] = {}  # by each view while it was not seen
        self.hide_at_first()

    def build(self) -> QWidget:
        self.release()
        self.views = {}
        self._missed = {}
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setExpanding(False)
        self.tabs.setFont(ui_font(12.5))
        titles = {
            "flow": tr("Flow"),
            "contributions": tr("Terms"),
            "paths": tr("Paths"),
            "jacobian": tr("Jacobian"),
            "carousel": tr("Carousel"),
            "proofs": tr("Proofs"),
            "check": tr("Check"),
        }
        for id in VIEWS:
            page = QWidget()
            QVBoxLayout(page).setContentsMargins(0, 0, 0, 0)
            self.tabs.addTab(page, titles[id])
        self.tabs.setCurrentIndex(self._at)
        self.tabs.currentChanged.connect(self._turn)
        if self._seen:
            self._turn(self._at)
        return self.tabs

    @property
    def current(self) -> str:
        """Name of the view whose tab is on top."""
        return VIEWS[self._at]

    def show_view(self, id: str) -> None:
        """Open the lab at one view."""
        self.tabs.setCurrentIndex(VIEWS.index(id))
        self.show_panel()

    def refresh(self, changed: frozenset[str]) -> None:
        for id, view in self.views.items():
            if self._seen and id == self.current:
                view.refresh(changed)
            else:
                self._missed[id] = self._missed.get(id, frozenset()) | changed

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.session.state.highlight:
            self.session.update(highlight=())
        else:
            super().keyPressEvent(event)

    def release(self) -> None:
        """Stop whatever is still being computed; it is asked for again when it is seen again."""
        for id, view in self.views.items():
            view.release()
            self._missed[id] = self._missed.get(id, frozenset()) | {"trace"}

    def _turned_up(self, seen: bool) -> None:
        self._seen = seen
        if self.stale:
            return
        if seen:
            self._turn(self._at)
        else:
            self.release()

    def _turn(self, at: int) -> None:
        """Show a view, made now if it is new, with what it has missed."""
        self._at = at
        id = self.current
        if not self._seen:
            return
        if id not in self.views:
            page = self.tabs.widget(at)
            view = self.views[id] = view_classes()[id](self)
            page.layout().addWidget(view)
            self._missed[id] = EVERYTHING
        missed = self._missed.pop(id, frozenset())
        if missed:
            self.views[id].refresh(missed)


def load_charts() -> None:
    """Have at hand what the views draw with: half a second of import that the first frame does without. Done
    in a thread after it, the first look at the lab does without as well."""
    import pyqtgraph  # noqa: F401

    view_classes()


def view_classes() -> dict[str, type[View]]:
    """By the names of their tabs; loaded when the first one is asked for, not when the window starts."""
    from explorer.view.panels.lab.carousel import CarouselView
    from explorer.view.panels.lab.contributions import ContributionsView
    from explorer.view.panels.lab.flow import FlowView
    from explorer.view.panels.lab.gradient_check import GradientCheckView
    from explorer.view.panels.lab.jacobian import JacobianView
    from explorer.view.panels.lab.paths import PathsView
    from explorer.view.panels.lab.proofs import ProofsView

    return {
        "flow": FlowView,
        "contributions": ContributionsView,
        "paths": PathsView,
        "jacobian": JacobianView,
        "carousel": CarouselView,
        "proofs": ProofsView,
        "check": GradientCheckView,
    }
