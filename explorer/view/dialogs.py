"""Dialogs of the window: files, exports, the keyboard sheet, about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLibraryInfo, Qt, QTranslator
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QMessageBox,
    QProgressDialog,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.actions import ACTIONS, MENUS
from explorer.model.text import tr
from explorer.model.version import version
from explorer.view.fonts import ui_font

if TYPE_CHECKING:
    from explorer.view.window import Window


def ask_open(window: Window, folder: str) -> str:
    """Path of a scene file to open, empty when the user changed their mind."""
    kinds = f"{tr('Scene files')} (*.backstep *.json);;{tr('All files')} (*)"
    return QFileDialog.getOpenFileName(window, tr("Open a scene file"), folder, kinds)[0]


def ask_save(window: Window, suggestion: str) -> str:
    """Path to save a scene under, with our ending."""
    path = QFileDialog.getSaveFileName(
        window, tr("Save the scene"), suggestion, f"{tr('Scene files')} (*.backstep)"
    )[0]
    return path if not path or Path(path).suffix else f"{path}.backstep"


def export_picture(window: Window) -> None:
    """Ask where, and write what the canvas shows."""
    from explorer.view.exporters import export

    path = _ask_export(window, tr("Export picture"), "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)", ".png")
    if not path:
        return
    size = (max(window.canvas.width(), 640), max(window.canvas.height(), 400))

    def work() -> None:
        export(
            window.session,
            path,
            size=size,
            theme=window.theme.name,
            language=text.language(),
            step=window.session.state.t,
        )
        window.statusBar().showMessage(tr("Saved {name}").format(name=Path(path).name), 4000)

    _say_errors(window, work)


def export_film(window: Window) -> None:
    """Ask where, and film the loop or the whole pass, with progress and cancel."""
    from explorer.view.exporters import export

    path = _ask_export(window, tr("Export film"), "MP4 (*.mp4);;GIF (*.gif);;WebP (*.webp)", ".mp4")
    if not path:
        return
    loop = window.session.state.loop
    steps = (int(loop[0]), int(loop[1])) if loop else None
    progress = QProgressDialog(tr("Filming…"), tr("Cancel"), 0, 100, window)
    progress.setWindowModality(Qt.WindowModality.WindowModal)
    progress.setMinimumDuration(0)

    def tell(done: int, total: int) -> None:
        progress.setValue(int(100 * done / max(total, 1)))
        QApplication.processEvents()

    def work() -> None:
        export(
            window.session,
            path,
            size=(1280, 720),
            theme=window.theme.name,
            language=text.language(),
            steps=steps,
            progress=tell,
            cancelled=progress.wasCanceled,
        )
        if not progress.wasCanceled():
            window.statusBar().showMessage(tr("Saved {name}").format(name=Path(path).name), 4000)

    _say_errors(window, work)
    progress.close()


def _ask_export(window: Window, title: str, kinds: str, ending: str) -> str:
    suggestion = str(Path.home() / f"{window.session.state.scene}{ending}")
    path, kind = QFileDialog.getSaveFileName(window, title, suggestion, kinds)
    if path and not Path(path).suffix:
        path += kind[kind.index("*") + 1 : -1]
    return path


def _say_errors(window: Window, work: Callable[[], None]) -> None:
    from explorer.view.exporters import ExportError

    try:
        work()
    except ExportError as error:
        window.say(str(error))


def show_keys(window: Window) -> None:
    """Every action with its keys, by menu."""
    dialog = QDialog(window)
    dialog.setWindowTitle(tr("Keys"))
    column = QVBoxLayout(dialog)
    content = QWidget()
    grid = QGridLayout(content)
    grid.setHorizontalSpacing(26)
    grid.setVerticalSpacing(3)
    titles = {
        "File": tr("File"),
        "Edit": tr("Edit"),
        "View": tr("View"),
        "Playback": tr("Playback"),
        "Help": tr("Help"),
    }
    row = 0
    for menu in MENUS:
        heading = QLabel(titles[menu])
        heading.setFont(ui_font(14, bold=True))
        grid.addWidget(heading, row, 0)
        row += 1
        for action in ACTIONS.values():
            if action.menu == menu and action.keys:
                keys = "  ".join(
                    QKeySequence(k).toString(QKeySequence.SequenceFormat.NativeText) for k in action.keys
                )
                key_label = QLabel(keys)
                key_label.setFont(ui_font(13, bold=True))
                grid.addWidget(QLabel(tr(action.title)), row, 0)
                grid.addWidget(key_label, row, 1)
                row += 1
    for words, keys in (
        (tr("Zoom"), tr("wheel")),
        (tr("Move the picture"), tr("drag the background")),
        (tr("Select; add to the selection"), tr("click; Shift+click")),
        (tr("Fold or unfold a scope"), tr("click its title or box")),
        (tr("Look closer; everything"), tr("double-click a box; the background")),
        (tr("Change a number"), tr("drag it, or double-click")),
    ):
        grid.addWidget(QLabel(words), row, 0)
        grid.addWidget(QLabel(keys), row, 1)
        row += 1
    scroll = QScrollArea()
    scroll.setWidget(content)
    scroll.setWidgetResizable(True)
    column.addWidget(scroll)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    column.addWidget(buttons)
    dialog.resize(560, 620)
    dialog.open()


def show_about(window: Window) -> None:
    """Version and licences."""
    box = QMessageBox(window)
    box.setWindowTitle(tr("About Backstep"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"Backstep {version()}")
    box.setInformativeText(
        tr("Watch back-propagation happen, step by step.")
        + "\n\n"
        + tr("Free software (MIT licence). Fonts under the SIL Open Font License, icons by Tabler (MIT).")
    )
    box.open()


_translators: list[QTranslator] = []


def install_qt_translation(language: str) -> None:
    """Words of Qt's own dialogs in the present language."""
    app = QApplication.instance()
    if app is None:
        return
    while _translators:
        app.removeTranslator(_translators.pop())
    if language != "en":
        translator = QTranslator(app)
        if translator.load(
            f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        ):
            app.installTranslator(translator)
            _translators.append(translator)
