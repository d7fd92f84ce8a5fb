"""Icons by name: line drawings from `assets/icons`, painted in a colour of the theme.

Used by actions, tool bars and panels. Knows files and colours; must not know which action an icon stands for.
"""

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPixmap

ICONS = Path(__file__).resolve().parents[2] / "assets" / "icons"
DISABLED_OPACITY = 0.35


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every icon there is."""
    return frozenset(path.stem for path in ICONS.glob("*.svg"))


def icon(name: str, colour: QColor | str) -> QIcon:
    """The icon in one colour, with a paler disabled state; KeyError names an icon that does not exist."""
    # Compared with the listing, so that "../x" or another spelling on a case-blind disk is not a name.
    if name not in names():
        raise KeyError(f"no icon is called {name!r}")
    return _icon(name, QColor(colour).name(QColor.NameFormat.HexArgb))


@lru_cache(maxsize=512)
def _icon(name: str, colour: str) -> QIcon:
    return QIcon(_Engine(name, colour))


@lru_cache(maxsize=512)
def _renderer(name: str, colour: str):  # -> QSvgRenderer, which is not imported yet
    from PySide6.QtSvg import QSvgRenderer  # 20 ms of import that the first frame can do without

    text = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(text.replace("currentColor", colour).encode()))


@lru_cache(maxsize=2048)
def _pixmap(name: str, colour: str, width: int, height: int, disabled: bool) -> QPixmap:
    """One drawing of `width` x `height` device pixels."""
    picture = QPixmap(width, height)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    _paint(painter, QRectF(0, 0, width, height), name, colour, disabled)
    painter.end()
    return picture


def _paint(painter: QPainter, area: QRectF, name: str, colour: str, disabled: bool) -> None:
    tint = QColor(colour)
    side = min(area.width(), area.height())
    square = QRectF(0, 0, side, side)
    square.moveCenter(area.center())
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    # SVG colours have no alpha that QtSvg reads, so transparency is the painter's.
    painter.setOpacity(painter.opacity() * tint.alphaF() * (DISABLED_OPACITY if disabled else 1.0))
    _renderer(name, tint.name()).render(painter, square)
    painter.restore()


class _Engine(QIconEngine):
    """Draws the icon from its outline at whatever size and pixel ratio is asked for, so nothing is made in vain."""

    def __init__(self, name: str, colour: str) -> None:
        super().__init__()
        self._of = (name, colour)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Vectors straight into the painter: sharp on every screen and in PDF and SVG."""
        _paint(painter, QRectF(rect), *self._of, mode == QIcon.Mode.Disabled)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """A picture of `size` device pixels."""
        return QPixmap(_pixmap(*self._of, size.width(), size.height(), mode == QIcon.Mode.Disabled))

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float) -> QPixmap:
        """A picture for a screen with this pixel ratio; Qt asks in logical pixels and sets the ratio itself."""
        return self.pixmap(size * scale, mode, state)

    def actualSize(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QSize:
        """Any size is a right size."""
        return size

    def isNull(self) -> bool:
        """Never: a missing icon is a KeyError before this."""
        return False

    def key(self) -> str:
        """Qt's name for this kind of engine."""
        return "backstep"

    def clone(self) -> QIconEngine:
        """Qt copies an engine when an icon is changed."""
        return _Engine(*self._of)
