"""Colours: one accent per role; a light, a dark and a projector theme, palette and style of the widgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QListWidget,
    QMainWindow,
    QMenuBar,
    QStatusBar,
    QTabBar,
    QToolBar,
    QWidget,
)

from explorer.model.files.limits import uncollected
from explorer.model.text import tr
from explorer.view.fonts import ui_font


@dataclass(frozen=True)
class Theme:
    """Colours by what they mean. Strings are `#rrggbb` or `#aarrggbb`."""

    name: str
    dark: bool
    window: str
    base: str  # lists, fields
    canvas: str
    ink: str
    faint_ink: str
    line: str  # borders of panels, idle edges
    ghost: str  # what is not computed yet
    area: str  # an open scope
    area_line: str
    header: str
    box: str
    accent: str  # focus, selection, buttons
    value: str  # one accent per role from here on
    gradient: str
    parameter: str
    input: str
    target: str
    loss: str
    state_line: str
    parameter_fill: str
    input_fill: str
    target_fill: str
    loss_fill: str
    colormap: str
    stroke: float = 1.0  # thickness of lines in the picture, of the usual
    lettering: float = 1.0  # size of letters in the picture and of the interface, of the usual


LIGHT = Theme(
    name="light",
    dark=False,
    window="#f3f4f7",
    base="#ffffff",
    canvas="#fbfcfe",
    ink="#1b2030",
    faint_ink="#5d667a",
    line="#c5cbd8",
    ghost="#aab2c2",
    area="#f1f4fa",
    area_line="#d3dae8",
    header="#4d5870",
    box="#ffffff",
    accent="#2f63d0",
    value="#2466c8",
    gradient="#c8312f",
    parameter="#a87400",
    input="#2a8048",
    target="#7a49b5",
    loss="#b02a6b",
    state_line="#0b7f86",
    parameter_fill="#fff7e0",
    input_fill="#eaf7ee",
    target_fill="#f4edfc",
    loss_fill="#fdebf3",
    colormap="diverging-light",
)
DARK = Theme(
    name="dark",
    dark=True,
    window="#1d2029",
    base="#15171e",
    canvas="#14161c",
    ink="#eef1f7",
    faint_ink="#a3acbf",
    line="#444c5e",
    ghost="#5a6377",
    area="#1a1d26",
    area_line="#333a4a",
    header="#b4bdd0",
    box="#222630",
    accent="#79a4ff",
    value="#6fa8ff",
    gradient="#ff7a70",
    parameter="#e6b84a",
    input="#67c98a",
    target="#bd97f0",
    loss="#f07fb4",
    state_line="#4fd0d6",
    parameter_fill="#332c19",
    input_fill="#1b2f24",
    target_fill="#2a2338",
    loss_fill="#36212d",
    colormap="diverging-dark",
)
# For the back row: black on white, deep colours, thicker lines, larger letters.
PROJECTOR = Theme(
    name="projector",
    dark=False,
    window="#ffffff",
    base="#ffffff",
    canvas="#ffffff",
    ink="#000000",
    faint_ink="#333a45",
    line="#5f6878",
    ghost="#707784",
    area="#f0f4fb",
    area_line="#7d8798",
    header="#161c28",
    box="#ffffff",
    accent="#0b3fc4",
    value="#0046c7",
    gradient="#c00000",
    parameter="#7d4e00",
    input="#00612b",
    target="#581aa6",
    loss="#9c0057",
    state_line="#005f68",
    parameter_fill="#fff0c2",
    input_fill="#dcf5e4",
    target_fill="#ecdffc",
    loss_fill="#fddcec",
    colormap="diverging-strong",
    stroke=1.4,
    lettering=1.2,
)
THEMES = {theme.name: theme for theme in (LIGHT, DARK, PROJECTOR)}


def theme_title(theme: Theme) -> str:
    return {"light": tr("Light"), "dark": tr("Dark"), "projector": tr("Projector")}[theme.name]


def palette(theme: Theme) -> QPalette:
    """An explicit palette for the Fusion style; the platform's own colour scheme is not reliable."""
    p = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.ink,
        QPalette.ColorRole.Base: theme.base,
        QPalette.ColorRole.AlternateBase: theme.window,
        QPalette.ColorRole.Text: theme.ink,
        QPalette.ColorRole.Button: theme.window,
        QPalette.ColorRole.ButtonText: theme.ink,
        QPalette.ColorRole.BrightText: theme.gradient,
        QPalette.ColorRole.ToolTipBase: theme.base,
        QPalette.ColorRole.ToolTipText: theme.ink,
        QPalette.ColorRole.PlaceholderText: theme.faint_ink,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: "#10131a" if theme.dark else "#ffffff",
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Light: "#3a4152" if theme.dark else "#ffffff",
        QPalette.ColorRole.Midlight: theme.area_line,
        QPalette.ColorRole.Mid: theme.line,
        QPalette.ColorRole.Dark: "#0e1015" if theme.dark else "#9aa3b5",
        QPalette.ColorRole.Shadow: "#000000" if theme.dark else "#6b7385",
    }
    for role, colour in roles.items():
        p.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        p.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.ghost))
    return p


@uncollected()  # Qt goes through a list of all widgets, of which none may be let go of meanwhile
def dress(app: QApplication, theme: Theme) -> None:
    """Give the application a theme's colours and letters of the present size, unless it wears them."""
    before, letters = app.font(), ui_font(13)
    if app.property("wears") == theme.name and before == letters:
        return
    app.setProperty("wears", theme.name)
    dressed = app.styleSheet() == STYLE_SHEET
    if not dressed:
        app.setStyle("Fusion")
    app.setPalette(palette(theme))
    app.setFont(letters)
    if not dressed:
        app.setStyleSheet(STYLE_SHEET)
        return
    # a new sheet would do all this as well, but dresses every widget, in many times the time
    for widget in _lasting(app.topLevelWidgets()):
        if widget.font() == before:
            widget.setFont(letters)
        if isinstance(widget, DRESSED):  # has its colours from the sheet, which has them from the palette
            style = widget.style()
            style.unpolish(widget)
            style.polish(widget)
            widget.update()


def _lasting(widgets: Iterable[QObject]) -> Iterator[QWidget]:
    """Widgets and all that is in them, but for the content of docks, which is made anew."""
    for widget in widgets:
        if isinstance(widget, QWidget):
            yield widget
            content = widget.widget() if isinstance(widget, QDockWidget) else None
            yield from _lasting(child for child in widget.children() if child is not content)


DRESSED = (QMainWindow, QDockWidget, QMenuBar, QTabBar, QToolBar, QStatusBar, QListWidget)
#: The little that a palette can not say.
STYLE_SHEET = """
    QMainWindow::separator { background: palette(mid); width: 3px; height: 3px; }
    QMainWindow::separator:hover { background: palette(highlight); }
    QDockWidget { color: palette(window-text); }
    QDockWidget::title {
        /* Qt makes room for the upper padding twice and for no border: less below, or letters are cut */
        background: palette(window); padding: 5px 8px 2px; border-bottom: 1px solid palette(mid);
    }
    QToolTip {
        color: palette(tooltip-text); background: palette(tooltip-base);
        border: 1px solid palette(mid); padding: 3px;
    }
    QListWidget, QTextBrowser, QScrollArea { border: none; }
    QListWidget::item { padding: 3px; border-radius: 5px; }
    QListWidget::item:selected { background: palette(highlight); color: palette(highlighted-text); }
    QListWidget::item:hover:!selected { background: palette(midlight); }
    QToolBar { border-bottom: 1px solid palette(mid); spacing: 2px; padding: 2px 6px; }
    QStatusBar::item { border: none; }
"""
