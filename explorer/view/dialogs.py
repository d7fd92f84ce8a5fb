"""Dialogs of the window: files, exports, about."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QLibraryInfo, QLocale, QObject, Qt, QTranslator
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QProgressDialog,
    QVBoxLayout,
)

from explorer.model import text
from explorer.model.files import Recoverable, discard
from explorer.model.files.limits import clean
from explorer.model.text import ASSETS, tr
from explorer.model.version import VERSION
from scenes import SCENES

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


def ask_keep(window: Window, name: str) -> str:
    """Whether to keep unsaved work: `save`, `discard` or `cancel`."""
    kinds = QMessageBox.StandardButton
    choices = {kinds.Save: "save", kinds.Discard: "discard", kinds.Cancel: "cancel"}
    box = _question(window, tr("Save the changes to {name}?").format(name=name))
    box.setInformativeText(tr("Otherwise they are lost."))
    for button in choices:
        box.addButton(button)
    box.setDefaultButton(kinds.Save)
    box.exec()
    return choices.get(box.standardButton(box.clickedButton()), "cancel")


def ask_changed(window: Window, name: str) -> str:
    """What to do about a file that somebody else has changed: `overwrite`, `save as`, `reload`, `cancel`."""
    box = _question(
        window, tr("{file} was changed by another program since it was opened.").format(file=name)
    )
    box.setInformativeText(
        tr("Overwriting leaves the other version as a backup file. Opening it again gives up your changes.")
    )
    roles = QMessageBox.ButtonRole
    choices: dict[QAbstractButton, str] = {
        box.addButton(tr("Save under another name…"), roles.AcceptRole): "save as",
        box.addButton(tr("Overwrite"), roles.DestructiveRole): "overwrite",
        box.addButton(tr("Open it again"), roles.DestructiveRole): "reload",
        box.addButton(QMessageBox.StandardButton.Cancel): "cancel",
    }
    box.exec()
    return choices.get(box.clickedButton(), "cancel")


def warn_of_loss(window: Window) -> bool:
    """Before a copy of a newer file is written: whether to go on."""
    box = _question(window, tr("This file says more than this version of Backstep understands."))
    box.setInformativeText(
        tr("A copy that is saved here holds only what is shown. The file itself stays as it is.")
    )
    go_on = box.addButton(tr("Save a copy…"), QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.exec()
    return box.clickedButton() is go_on


def ask_backup(window: Window, problem: str) -> bool:
    """Whether to open the backup of a file that can not be opened."""
    box = _question(window, problem)
    box.setInformativeText(tr("There is a backup from before its last save."))
    yes = box.addButton(tr("Open the backup"), QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.exec()
    return box.clickedButton() is yes


def _question(window: Window, words: str) -> QMessageBox:
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Backstep")
    box.setTextFormat(Qt.TextFormat.PlainText)  # a file's name may look like markup
    box.setText(words)
    return box


def offer_recovery(window: Window, items: Sequence[Recoverable]) -> QDialog:
    """Work that an earlier run has left unsaved: to restore, to discard, or to be asked about again."""
    dialog = QDialog(window)
    dialog.setWindowTitle(tr("Unsaved work"))
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    column = QVBoxLayout(dialog)
    column.setSpacing(10)
    words = QLabel(tr("Backstep ended without saving this work. It is kept until you restore or discard it."))
    words.setWordWrap(True)
    column.addWidget(words)
    listed = QListWidget()
    listed.setAccessibleName(tr("Unsaved work"))
    listed.setSpacing(2)
    for item in items:
        entry = QListWidgetItem(_kept_work(item))
        entry.setData(Qt.ItemDataRole.UserRole, item)
        listed.addItem(entry)
    listed.setCurrentRow(0)
    column.addWidget(listed)
    buttons = QDialogButtonBox()
    restore = buttons.addButton(tr("Restore"), QDialogButtonBox.ButtonRole.AcceptRole)
    let_go = buttons.addButton(tr("Discard"), QDialogButtonBox.ButtonRole.DestructiveRole)
    later = buttons.addButton(tr("Later"), QDialogButtonBox.ButtonRole.RejectRole)
    restore.setDefault(True)
    column.addWidget(buttons)

    def chosen() -> Recoverable:
        return listed.currentItem().data(Qt.ItemDataRole.UserRole)

    def discard_it() -> None:
        discard(chosen())
        listed.takeItem(listed.currentRow())
        if not listed.count():
            dialog.accept()

    def restore_it() -> None:
        if window.keeping.restore(chosen()):
            dialog.accept()

    restore.clicked.connect(restore_it)
    listed.itemActivated.connect(lambda: restore.click())
    let_go.clicked.connect(discard_it)
    later.clicked.connect(dialog.reject)
    dialog.resize(520, 260)
    dialog.open()
    return dialog


def _kept_work(item: Recoverable) -> str:
    """What it is and from when, in one or two lines."""
    when = QLocale(text.language()).toString(
        QDateTime.fromSecsSinceEpoch(int(item.saved_at)), QLocale.FormatType.ShortFormat
    )
    scene = SCENES.get(item.scene)
    title = scene.title[text.language()] if scene else tr("Your graph")
    name = clean(Path(item.original).name, 60) if item.original else title
    lines = [tr("{name}, kept on {when}").format(name=name, when=when)]
    if item.original_changed:
        lines.append(tr("The file itself has changed since."))
    elif not item.original:
        lines.append(tr("Not saved to a file yet"))
    return "\n".join(lines)


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
            theme=window.theme,
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
            theme=window.theme,
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


def show_about(window: Window) -> None:
    """Version and licences."""
    box = QMessageBox(window)
    box.setWindowTitle(tr("About Backstep"))
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"Backstep {VERSION}")
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
        old = _translators.pop()
        app.removeTranslator(old)
        old.deleteLater()
    # Qt names kinds of files after the locale; English is Qt's own, so there the system may speak
    QLocale.setDefault(QLocale.system() if language == "en" else QLocale(language))
    if language != "en":
        translator = _QtWords(app, language)
        if translator.load(
            f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        ):
            app.installTranslator(translator)
            _translators.append(translator)


class _QtWords(QTranslator):
    """Qt's translation with ours of what it lacks, from `assets/qt`: contexts of Qt, English, the words."""

    def __init__(self, parent: QObject, language: str) -> None:
        super().__init__(parent)
        self._ours: dict[str, dict[str, str]] = json.loads(
            (ASSETS / "qt" / f"{language}.json").read_text("utf-8")
        )

    def translate(self, context: str, sourceText: str, disambiguation: str | None = None, n: int = -1) -> str:
        ours = self._ours.get(context, {}).get(sourceText)
        # Qt would show the empty words that stand for a missing translation
        return ours or super().translate(context, sourceText, disambiguation, n) or sourceText
