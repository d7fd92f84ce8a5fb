"""What the window remembers between runs: preferences, panels, recent files. On QSettings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSettings

from explorer.model.text import LANGUAGES, NUMBER_STYLES, system_language
from explorer.view import colormap
from explorer.view.theme import THEMES

MOST_RECENT = 12
TEXT_SIZES = (100, 125, 150)  # percent
PACES = (0.5, 1.0, 2.0)  # of folding and of the camera; 1 is the usual one


class _Remembered:
    """A property of Settings that is one of several values; anything else that is stored is the default."""

    def __init__(self, allowed: Callable[[], Sequence[Any]], default: Any) -> None:
        self.allowed, self.default = allowed, default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, settings: Settings, owner: type) -> Any:
        stored = str(settings.store.value(self.name, ""))
        return next((value for value in self.allowed() if str(value) == stored), self.default)

    def __set__(self, settings: Settings, value: Any) -> None:
        settings.store.setValue(self.name, str(value))


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

    theme = _Remembered(lambda: tuple(THEMES), "light")
    colormap = _Remembered(lambda: ("", *colormap.names()), "")  # empty: the theme's own
    number_style = _Remembered(lambda: NUMBER_STYLES, "automatic")
    text_size = _Remembered(lambda: TEXT_SIZES, 100)
    pace = _Remembered(lambda: PACES, 1.0)
    reduced_motion = _Remembered(lambda: (False, True), False)
    legend = _Remembered(lambda: (False, True), True)
    tour_seen = _Remembered(lambda: (False, True), False)

    def forget_preferences(self) -> None:
        """Back to how a new window looks; the language stays."""
        looks = ("theme", "colormap", "number_style", "text_size", "pace", "reduced_motion", "legend")
        for name in looks:
            self.store.remove(name)

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
