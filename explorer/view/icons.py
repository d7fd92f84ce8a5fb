"""Icons by name: line drawings from `assets/icons`, painted in a colour of the theme.

Used by actions, tool bars and panels. Knows files and colours; must not know which action an icon stands for.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPixmap

if TYPE_CHECKING:
    from PySide6.QtSvg import QSvgRenderer

ICONS = Path(__file__).resolve().parents[2] / "assets" / "icons"
SIDES = (16, 20, 24, 32)  # in logical pixels
DISABLED_OPACITY = 0.35


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every icon there is."""
    return frozenset(path.stem for path in ICONS.glob("*.svg"))


def icon(name: str, colour: QColor | str) -> QIcon:
    """The icon in one colour, paler where disabled, white where selected; KeyError if there is none."""
    # Compared with the listing, so that "../x" or another spelling on a case-blind disk is not a name.
    if name not in names():
        raise KeyError(f"no icon is called {name!r}")
    return _icon(name, QColor(colour).name(QColor.NameFormat.HexArgb), _sides())


def app_icon() -> QIcon:
    """Backstep's own mark, for windows and task bars."""
    result = QIcon(icon("backstep", "black"))
    result.addFile(str(ICONS / "backstep.png"))
    return result


def ratios() -> set[float]:
    """Device pixels for each logical one, on the screens that there are."""
    return {screen.devicePixelRatio() for screen in QGuiApplication.screens()}


def _sides() -> tuple[int, ...]:
    """Sides in device pixels. Drawing on demand would be neater, but an icon engine written in Python crashes
    when Qt copies it."""
    return tuple(sorted({round(side * ratio) for side in SIDES for ratio in ratios()}))


@lru_cache(maxsize=512)
def _icon(name: str, colour: str, sides: tuple[int, ...]) -> QIcon:
    tint = QColor(colour)
    result = QIcon()
    for side in sides:
        shape = _shape(name, side)
        result.addPixmap(_tinted(shape, tint, tint.alphaF()), QIcon.Mode.Normal)
        result.addPixmap(_tinted(shape, tint, tint.alphaF() * DISABLED_OPACITY), QIcon.Mode.Disabled)
        white = QColor(Qt.GlobalColor.white)  # in a list, on the colour of the selection
        result.addPixmap(_tinted(shape, white, tint.alphaF()), QIcon.Mode.Selected)
    return result


def _tinted(shape: QPixmap, colour: QColor, opacity: float) -> QPixmap:
    ink = QColor(colour)
    ink.setAlphaF(opacity)
    result = QPixmap(shape)
    painter = QPainter(result)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(result.rect(), ink)
    painter.end()
    return result


@lru_cache(maxsize=2048)
def _shape(name: str, side: int) -> QPixmap:
    """What the icon covers, in black."""
    result = QPixmap(side, side)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    _drawing(name).render(painter, QRectF(0, 0, side, side))
    painter.end()
    return result


@lru_cache(maxsize=512)
def _drawing(name: str) -> QSvgRenderer:
    from PySide6.QtSvg import QSvgRenderer  # 20 ms of import that the first frame can do without

    return QSvgRenderer(QByteArray((ICONS / f"{name}.svg").read_bytes().replace(b"currentColor", b"#000000")))
