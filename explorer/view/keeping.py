"""The keeping of files: opening, saving, the questions before work is lost, what comes back after a crash.

It knows the window and the Document behind its session: it asks, says and shows. How a file is read, written,
locked and kept is the Document's business, and nothing is known here of canvas and panels.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QStandardPaths, QTimer, QUrl
from PySide6.QtWidgets import QMenu

from explorer.model import text
from explorer.model.files import FileError, Recoverable, recoverable
from explorer.model.files.document import Document
from explorer.model.session import LASTING
from explorer.model.text import tr
from explorer.view import dialogs
from explorer.view.banner import Banner
from scenes.scene import SceneError

if TYPE_CHECKING:
    from explorer.view.window import Window

FILE_ENDINGS = (".backstep", ".json")
KEEP_EVERY = 60_000  # milliseconds after which unsaved work is kept at the latest
KEEP_AFTER = 5_000  # and after the first change of what a file keeps


class Keeping:
    """The file behind a window's session, as its user meets it."""

    def __init__(self, window: Window, keep_in: Path | None) -> None:
        """`keep_in` is the folder for unsaved work; by default the application's own."""
        self.window = window
        self.document = Document(window.session, keep_in or app_data() / "autosave")
        self.document.forget()
        self.notice = Banner(window, lasting=True)  # why Save can not write to the file
        self.notice.add_button("save-as", self.ask_save_as)
        self._told: str | None = None  # the file whose change on disk has been mentioned
        self._keep_often = QTimer(window, interval=KEEP_EVERY)
        self._keep_soon = QTimer(window, interval=KEEP_AFTER, singleShot=True)
        for timer in (self._keep_often, self._keep_soon):
            timer.timeout.connect(self.keep)
        self._keep_often.start()

    def rebuild(self) -> None:
        """Words and colours, after a change of language or theme."""
        self.notice.restyle(self.window.theme)
        self.notice.button_words(tr("Save as…"))
        self._show_title()

    def follow(self, changed: frozenset[str]) -> None:
        if changed & LASTING:
            self._show_title()
            if not self._keep_soon.isActive():
                self._keep_soon.start()

    def close(self) -> None:
        """At the end, when the user has been asked."""
        self.document.close()
        for timer in (self._keep_often, self._keep_soon):
            timer.stop()

    # What is shown of the file

    def _show(self) -> None:
        """Title, notice and the Save action, after another file or none stands behind the session."""
        self._told = None
        if self.document.warning:
            self.notice.say(self.document.warning)
        else:
            self.notice.hide()
        self._show_title()
        self.window.menus.refresh()

    def _show_title(self) -> None:
        window, scene = self.window, self.window.session.scene
        if scene is None:
            window.setWindowTitle("Backstep")
            return
        shown = self.document.shown_path
        name = Path(shown).name if shown else scene.title[text.language()]
        if self.document.read_only:
            name = tr("{name} (read-only)").format(name=name)
        window.setWindowTitle(f"{name}[*] – Backstep")
        window.setWindowModified(window.session.dirty)

    def mention_change(self) -> None:
        """Once per change: the file is no longer what is shown here."""
        if self.document.changed_on_disk and self._told != self.document.path:
            self._told = self.document.path
            sentence = tr("{file} was changed by another program; saving will ask what to do")
            self.window.say(sentence.format(file=Path(self.document.path or "").name))

    # Opening

    def ask_open(self) -> None:
        path = dialogs.ask_open(self.window, self._folder())
        if path:
            self.open(path)

    def open(self, path: str) -> None:
        """Show a scene file; what is open stays when the file can not be read."""
        if not self.may_leave(for_good=True):
            return
        try:
            self.document.open(path)
        except SceneError as error:
            self._offer_backup(path, error)
            return
        self.window.settings.remember_file(path)
        self.window.banner.hide()
        self._show()

    def _offer_backup(self, path: str, error: SceneError) -> None:
        """A file that can not be opened may have been whole before its last save."""
        whole = isinstance(error, FileError) and error.code in ("not_found", "newer")
        words = text.sentence(error)
        if not whole and Path(path + "~").is_file() and dialogs.ask_backup(self.window, words):
            if self.window.attempt(lambda: self.document.open_backup(path)):
                self.window.banner.hide()
                self._show()
        else:
            self.window.say(words)

    def list_recent(self, menu: QMenu) -> None:
        """Fill a menu with the files that were open last."""
        settings = self.window.settings
        menu.clear()
        for path in settings.recent:
            q = menu.addAction(Path(path).name)
            q.setToolTip(f"<span>{escape(path)}</span>")  # else a name could be taken for markup
            q.triggered.connect(lambda _=False, p=path: self.open(p))
        if settings.recent:
            menu.addSeparator()
            menu.addAction(tr("Clear this list")).triggered.connect(self.window.forget_recent)
        else:
            menu.addAction(tr("No files yet")).setEnabled(False)

    # Leaving

    def may_leave(self, *, for_good: bool = False) -> bool:
        """Ask before unsaved work is left.

        From one catalogue scene to another Undo leads back: nothing to ask. `for_good`: it does not.
        """
        session, shown = self.window.session, self.document.shown_path
        if not session.dirty or (shown is None and not for_good):
            return True
        scene = session.scene
        name = Path(shown).name if shown else scene.title[text.language()] if scene else ""
        answer = dialogs.ask_keep(self.window, name)
        if answer == "save":
            self.save()
            return not session.dirty
        if answer == "discard":
            self.document.drop()
        return answer == "discard"

    def forget(self) -> None:
        """What is open now belongs to no file."""
        self.document.forget()
        self._show()

    # Saving

    def save(self) -> None:
        if self.document.path is None:
            self.ask_save_as()
        else:
            self.save_to(self.document.path)

    def ask_save_as(self) -> None:
        if self.document.from_newer and not dialogs.warn_of_loss(self.window):
            return
        suggestion = Path(self._folder()) / f"{self.window.session.state.scene}.backstep"
        path = dialogs.ask_save(self.window, str(suggestion))
        if path:
            self.save_to(path)

    def _folder(self) -> str:
        recent = self.window.settings.recent
        shown = self.document.shown_path
        return str(Path(shown or recent[0]).parent) if shown or recent else str(Path.home())

    def save_to(self, path: str, *, overwrite: bool = False) -> None:
        """Save under a path. A file that has changed meanwhile is asked about, unless with `overwrite`."""
        try:
            self.document.save(path, overwrite=overwrite)
        except FileError as error:
            if error.code == "changed_on_disk":
                self._settle_change(path)
            else:
                self.window.say(text.sentence(error))
            return
        self.window.settings.remember_file(path)
        self.window.statusBar().showMessage(tr("Saved {name}").format(name=Path(path).name), 4000)
        self._show()

    def _settle_change(self, path: str) -> None:
        """Somebody else has written the file: the user decides whose work stays."""
        answer = dialogs.ask_changed(self.window, Path(path).name)
        if answer == "overwrite":
            self.save_to(path, overwrite=True)
        elif answer == "save as":
            self.ask_save_as()
        elif answer == "reload" and self.window.attempt(lambda: self.document.open(path)):
            self._show()

    # Unsaved work

    def keep(self) -> None:
        """Put unsaved work where the next start finds it."""
        try:
            self.document.keep()
        except FileError as error:
            self.window.say(text.sentence(error))

    def offer_recovery(self) -> None:
        """Show what an earlier run has left unsaved, if there is anything."""
        items = recoverable(self.document.keep_in)
        if items:
            dialogs.offer_recovery(self.window, items)

    def restore(self, item: Recoverable) -> bool:
        """Show unsaved work of an earlier run; True when it is on the screen."""

        def work() -> None:
            self.document.restore(item)
            self._show()

        return self.may_leave(for_good=True) and self.window.attempt(work)


def app_data() -> Path:
    """The folder where the application keeps what is not a setting."""
    place = QStandardPaths.StandardLocation.GenericDataLocation
    return Path(QStandardPaths.writableLocation(place), "backstep")


def dropped_file(urls: list[QUrl]) -> str:
    """Path of the first scene file among what is dragged here; empty when there is none."""
    for url in urls:
        path = url.toLocalFile()
        if path.endswith(FILE_ENDINGS):
            return path
    return ""
