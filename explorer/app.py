"""The application: QApplication, fonts, language, and the window on what was asked for."""

from __future__ import annotations

import gc
import sys
from threading import Thread

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtWidgets import QApplication

from explorer.model import text
from explorer.system import use_utf8
from explorer.view.dialogs import install_qt_translation
from explorer.view.fonts import load_fonts, ui_font
from explorer.view.icons import app_icon
from explorer.view.panels.lab import load_charts
from explorer.view.settings import Settings
from explorer.view.window import Window

CHARTS_AFTER = 1500  # milliseconds from the start, when the scene has been looked at


def make_application() -> QApplication:
    """The one QApplication, with our style and fonts; the present one when there is one."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        load_fonts()
        return existing
    use_utf8()
    QCoreApplication.setApplicationName("backstep")
    QCoreApplication.setOrganizationName("backstep")
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(sys.argv[:1])
    app.setStyle("Fusion")
    load_fonts()
    app.setFont(ui_font(13))
    app.setWindowIcon(app_icon())
    return app


def run(target: str | None = None, language: str | None = None, theme: str | None = None) -> int:
    """Open the window on the start page, a catalogue scene or a scene file; returns the exit code.

    Raises SceneError when the target can not be opened.
    """
    from explorer.model.files import is_scene_file
    from scenes.scene import find_scene

    settings = Settings()
    text.set_language(language or settings.language)
    if target and not is_scene_file(target):
        find_scene(target)
    app = make_application()
    install_qt_translation(text.language())
    if theme:
        settings.theme = theme
    window = Window(settings=settings)
    if target and is_scene_file(target):
        window.keeping.open(target)
    elif target:
        window.open_scene(target)
    window.show()
    QTimer.singleShot(0, _collect_from_now_on)
    QTimer.singleShot(0, window.keeping.offer_recovery)
    QTimer.singleShot(0, window.offer_tour)
    QTimer.singleShot(CHARTS_AFTER, lambda: Thread(target=load_charts, name="charts").start())
    return app.exec()


def _collect_from_now_on() -> None:
    """What the start has made lasts as long as the window: the collector need never go through it."""
    gc.freeze()
    gc.enable()
