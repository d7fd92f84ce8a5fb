"""The faces the window draws with: Latin, maths and Japanese, all bundled, never the system's.

Used by the application at start-up (`load_fonts`), by widgets (`ui_font`) and by what is drawn in scene
coordinates or into a file (`picture_font`).
Knows files and families, nothing about themes, sizes of widgets or languages.
"""

from functools import lru_cache
from pathlib import Path

from PySide6.QtGui import QFont, QFontDatabase, QFontMetricsF, QGuiApplication

FONTS = Path(__file__).resolve().parents[2] / "assets" / "fonts"
FILES = ("sans-regular.ttf", "sans-bold.ttf", "maths.ttf", "japanese.otf")
#: Families in the order in which Qt looks for a character; named so that no installed font can shadow them.
FAMILIES = ("Backstep Sans", "Backstep Maths", "Backstep Japanese")


def load_fonts() -> None:
    """Register every bundled face with Qt; does nothing when they already are."""
    if QGuiApplication.instance() is None:
        raise RuntimeError("fonts can only be loaded once a QGuiApplication exists")
    # Asked of Qt and not of a flag: a second QGuiApplication in a process starts with no fonts.
    known = set(QFontDatabase.families())
    if known.issuperset(FAMILIES):
        return
    for name in FILES:
        if QFontDatabase.addApplicationFont(str(FONTS / name)) < 0:
            raise RuntimeError(f"cannot read the font {FONTS / name}")
    for kept in (_font, _advance, _cap_height):  # from before
        kept.cache_clear()


_interface_scale = 1.0


def set_interface_scale(scale: float) -> None:
    """Make the interface's letters `scale` times as large; widgets take it up when they are built again."""
    global _interface_scale
    _interface_scale = scale


def interface_scale() -> float:
    return _interface_scale


def ui_font(pixel_size: float, bold: bool = False) -> QFont:
    """The interface's font; the size is in pixels at a scale of 1."""
    return picture_font(pixel_size * _interface_scale, bold)


def picture_font(pixel_size: float, bold: bool = False) -> QFont:
    """A font at a size in whole pixels, digits all equally wide so that columns of numbers align."""
    return QFont(_font(max(1, round(pixel_size)), bold))  # a copy, which anybody may change


def advance(words: str, pixel_size: float, bold: bool = False) -> float:
    """How wide words are in that font."""
    return _advance(words, max(1, round(pixel_size)), bold)


def cap_height(pixel_size: float, bold: bool = False) -> float:
    """Height of its capital letters."""
    return _cap_height(max(1, round(pixel_size)), bold)


@lru_cache(maxsize=512)
def _font(pixel_size: int, bold: bool) -> QFont:
    font = QFont()
    font.setFamilies(list(FAMILIES))
    font.setPixelSize(pixel_size)
    font.setBold(bold)
    # Hinting rounds advances to whole pixels, which makes text jump while it is zoomed.
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    font.setStyleStrategy(QFont.StyleStrategy.PreferAntialias)
    return font


@lru_cache(maxsize=20_000)
def _advance(words: str, pixel_size: int, bold: bool) -> float:
    return QFontMetricsF(_font(pixel_size, bold)).horizontalAdvance(words)


@lru_cache(maxsize=512)
def _cap_height(pixel_size: int, bold: bool) -> float:
    return QFontMetricsF(_font(pixel_size, bold)).capHeight()
