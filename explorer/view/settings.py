"""What the window remembers between runs: language, theme, panels, recent files. On QSettings."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from explorer.model.text import LANGUAGES, system_language
from explorer.view.theme import THEMES

MOST_RECENT = 12


class Settings:
    """Typed access; a value that makes no sense counts as not set."""

    def __init__(self, path: str | None = None) -> None:
        """`path` is an ini file of one's own; without it the user's settings are meant."""
        ini = QSettings.Format.IniFormat
        if path is None:
            self.store = QSettings(ini, QSettings.Scope.UserScope, "backstep", "backstep")
        else:
            self.store = QSettings(path, ini)

    @property
    def language(self) -> str:
        stored = str(self.store.value("language", ""))
        return stored if stored in LANGUAGES else system_language()

    @language.setter
    def language(self, code: str) -> None:
        self.store.setValue("language", code)

    @property
    def theme(self) -> str:
        stored = str(self.store.value("theme", ""))
        return stored if stored in THEMES else "light"

    @theme.setter
    def theme(self, name: str) -> None:
        self.store.setValue("theme", name)

    @property
    def recent(self) -> list[str]:
        """Paths of scene files, the latest first; files that are gone are left out."""
        stored = self.store.value("recent", [])
        paths = stored if isinstance(stored, list) else [stored] if stored else []
        return [p for p in map(str, paths) if Path(p).is_file()][:MOST_RECENT]

    def remember_file(self, path: str) -> None:
        absolute = str(Path(path).resolve())
        self.store.setValue("recent", [absolute, *(p for p in self.recent if p != absolute)][:MOST_RECENT])

    def forget_files(self) -> None:
        self.store.setValue("recent", [])

    def window(self) -> tuple[QByteArray, QByteArray]:
        """Geometry and arrangement of panels; empty when the window was never closed before."""
        geometry, state = self.store.value("geometry"), self.store.value("panels")
        empty = QByteArray()
        return (
            geometry if isinstance(geometry, QByteArray) else empty,
            state if isinstance(state, QByteArray) else empty,
        )

    def remember_window(self, geometry: QByteArray, state: QByteArray) -> None:
        self.store.setValue("geometry", geometry)
        self.store.setValue("panels", state)
