"""Icons by name: line drawings from `assets/icons`, painted in a colour of the theme.

Used by actions, tool bars and panels. Knows files and colours; must not know which action an icon stands for.
"""

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

ICONS = Path(__file__).resolve().parents[2] / "assets" / "icons"
#: Sides in device pixels: 16, 20, 24 and 32 on screens of pixel ratio 1, 2 and 3. Drawing on demand would
#: be neater, but an icon engine written in Python crashes when Qt copies it.
SIDES = (16, 20, 24, 32, 40, 48, 60, 64, 72, 96)
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
    return _icon(name, QColor(colour).name(QColor.NameFormat.HexArgb))


def app_icon() -> QIcon:
    """Backstep's own mark, for windows and task bars."""
    result = QIcon(icon("backstep", "black"))
    result.addFile(str(ICONS / "backstep.png"))
    return result


@lru_cache(maxsize=512)
def _icon(name: str, colour: str) -> QIcon:
    from PySide6.QtSvg import QSvgRenderer  # 20 ms of import that the first frame can do without

    tint = QColor(colour)
    text = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    renderer = QSvgRenderer(QByteArray(text.replace("currentColor", tint.name()).encode()))
    result = QIcon()
    for side in SIDES:
        normal, disabled = QPixmap(side, side), QPixmap(side, side)
        normal.fill(Qt.GlobalColor.transparent)
        disabled.fill(Qt.GlobalColor.transparent)
        painter = QPainter(normal)
        # SVG colours have no alpha that QtSvg reads, so transparency is the painter's.
        painter.setOpacity(tint.alphaF())
        renderer.render(painter, QRectF(0, 0, side, side))
        painter.end()
        painter = QPainter(disabled)
        painter.setOpacity(DISABLED_OPACITY)
        painter.drawPixmap(0, 0, normal)
        painter.end()
        selected = QPixmap(normal)  # in a list, on the colour of the selection
        painter = QPainter(selected)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
        painter.fillRect(selected.rect(), Qt.GlobalColor.white)
        painter.end()
        result.addPixmap(normal, QIcon.Mode.Normal)
        result.addPixmap(disabled, QIcon.Mode.Disabled)
        result.addPixmap(selected, QIcon.Mode.Selected)
    return result
