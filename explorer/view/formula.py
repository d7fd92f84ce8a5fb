"""Typeset mathematics: TeX in, vector outlines out, drawn in any colour and at any size.

Used by the inspector, the notes and the canvas. The formulas of all operations and scenes come ready made
from `assets/formulas.json` (`python -m explorer.view.formula` rewrites it); others are set by ziamath if
it is installed.
Knows outlines and colours; must not know what a formula is about.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from xml.etree import ElementTree

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QPainter,
    QPainterPath,
    QPainterPathStroker,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from explorer.view.fonts import ui_font

FORMULAS = Path(__file__).resolve().parents[2] / "assets" / "formulas.json"
#: The size in pixels at which outlines are kept.
NOMINAL = 20.0
#: Outlines are kept as whole hundredths of a pixel: short in the file, and no error adds up along a path.
GRAIN = 100
#: Limits on a formula: characters, and pixels of height at the nominal size.
LONGEST, TALLEST = 2000, 30 * NOMINAL
_TOKEN = re.compile(r"[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)(?:[eE]-?\d+)?")
_ARGUMENTS = {"m": 2, "l": 2, "q": 4, "c": 6}
# The maths face has no Japanese, Chinese or Korean; boxes in their place would be worse than plain text.
_NO_GLYPH = re.compile("[\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Formula:
    """An outline with its origin at the left end of the baseline, and its measures, at 20 pixels."""

    path: QPainterPath  # shared between callers: draw it, do not change it
    width: float
    height: float
    ascent: float


@lru_cache(maxsize=1024)
def formula_path(tex: str) -> Formula | None:
    """The outline of a formula; None when it cannot be set, and the caller shows the plain text instead."""
    shapes, formulas = _ready_made()
    if tex in formulas:
        width, height, ascent, places = formulas[tex]
        placed = [(x, y, shapes[i]) for x, y, i in zip(places[::3], places[1::3], places[2::3], strict=True)]
    else:
        setting = _typeset(tex)
        if setting is None:
            return None
        width, height, ascent, placed = setting
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.WindingFill)
    for x, y, shape in placed:
        path.addPath(_shape_path(shape).translated(x / GRAIN, y / GRAIN))
    return Formula(path, width, height, ascent)


def paint_formula(
    painter: QPainter,
    x: float,
    y: float,
    tex: str,
    pixel_size: float,
    colour: QColor | str,
    plain: str | None = None,
) -> float:
    """Draw a formula whose baseline starts at (x, y) and return its width; plain text if it cannot be set."""
    formula = formula_path(tex)
    painter.save()
    if formula is None:
        font = ui_font(pixel_size)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        painter.drawText(QPointF(x, y), plain or tex)
        width = QFontMetricsF(font).horizontalAdvance(plain or tex)
    else:
        scale = pixel_size / NOMINAL
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(x, y)
        painter.scale(scale, scale)
        painter.fillPath(formula.path, QColor(colour))
        width = formula.width * scale
    painter.restore()
    return width


class FormulaLabel(QWidget):
    """One formula, left aligned, in the palette's text colour; made smaller, not cut off, when narrow."""

    def __init__(
        self, tex: str = "", pixel_size: float = 18.0, plain: str | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._pixel_size = pixel_size
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.set_formula(tex, plain)

    @property
    def tex(self) -> str:
        """The formula shown."""
        return self._tex

    def set_formula(self, tex: str, plain: str | None = None) -> None:
        """Show another formula; `plain` is what a screen reader says, and is shown if it cannot be set."""
        self._tex, self._plain = tex, plain
        self.setAccessibleName(plain or tex)
        self._measure()

    def set_pixel_size(self, pixel_size: float) -> None:
        """Show the formula larger or smaller."""
        self._pixel_size = pixel_size
        self._measure()

    def _measure(self) -> None:
        # Setting a new formula can take a tenth of a second: here, never while painting.
        formula = formula_path(self._tex) if self._tex else None
        if formula is not None:
            scale = self._pixel_size / NOMINAL
            self._size = (formula.width * scale, formula.height * scale, formula.ascent * scale)
        else:
            metrics = QFontMetricsF(ui_font(self._pixel_size))
            text = self._plain or self._tex
            self._size = (metrics.horizontalAdvance(text), metrics.height(), metrics.ascent())
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the formula at its full size."""
        return QSize(int(self._size[0]) + 2, int(self._size[1]) + 2)

    def minimumSizeHint(self) -> QSize:
        """Half the width is still legible, and a long formula must not force a panel wide."""
        full = self.sizeHint()
        return QSize(min(full.width(), max(80, full.width() // 2)), full.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw at the left, in the middle of the height."""
        width, height, ascent = self._size
        if not self._tex or width <= 0:
            return
        scale = min(1.0, (self.width() - 1) / width, self.height() / height)
        if scale <= 0:
            return
        painter = QPainter(self)
        painter.translate(0, (self.height() - height * scale) / 2)
        painter.scale(scale, scale)
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        paint_formula(painter, 0, ascent, self._tex, self._pixel_size, colour, self._plain)
        painter.end()


# ── setting ────────────────────────────────────────────────────────────────────────────────


@cache
def _ready_made() -> tuple[list[str], dict[str, list]]:
    """Shapes and formulas of the file; an unreadable one costs time and not the window."""
    try:
        content = json.loads(FORMULAS.read_text(encoding="utf-8"))
        return content["shapes"], content["formulas"]
    except (OSError, ValueError, KeyError, TypeError):
        return [], {}


#: A shape and where it goes: x, y in hundredths of a pixel, outline from there.
Placed = tuple[int, int, str]


def _typeset(tex: str) -> tuple[float, float, float, list[Placed]] | None:
    """Width, height, ascent and shapes of a formula by ziamath; None if it is missing or cannot do it."""
    if not tex.strip() or len(tex) > LONGEST or _NO_GLYPH.search(tex):
        return None
    try:
        import ziamath  # 0.2 s of import, for formulas that are not ready made
    except ImportError:
        return None
    ziamath.config.svg2 = False  # outlines in place of references to shared glyphs
    try:
        root = ElementTree.fromstring(ziamath.Latex(tex, size=NOMINAL).svg())
        left, top, width, height = map(float, root.attrib["viewBox"].split())
        placed = [shape for element in root.iter() for shape in _shapes(element)]
    except Exception:  # whatever a user's TeX provokes in a foreign parser ends as plain text
        return None
    # ziamath stretches bars beside a root over an accent without end: plain text beats a striped panel.
    if not placed or height > TALLEST:
        return None
    return round(width + left, 2), round(height, 2), round(-top, 2), placed  # the view box starts left of 0


def _shapes(element: ElementTree.Element) -> list[Placed]:
    """The shapes of one SVG element: what it fills and what it strokes."""
    kind = element.tag.rsplit("}", 1)[-1]
    if kind == "path":
        commands = _absolute(element.attrib["d"])
    elif kind == "rect":
        x, y, w, h = (float(element.attrib[key]) for key in ("x", "y", "width", "height"))
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        commands = [("m" if i == 0 else "l", corner) for i, corner in enumerate(corners)] + [("z", ())]
    elif kind in ("svg", "g"):
        return []
    else:
        raise ValueError(f"an SVG element that is not expected: {kind}")
    if "transform" in element.attrib:
        raise ValueError("an SVG transform is not expected")
    result = []
    if element.attrib.get("fill") != "none" and "stroke" not in element.attrib:
        result.append(_compact(commands))
    if "stroke" in element.attrib:
        stroker = QPainterPathStroker()
        stroker.setWidth(float(element.attrib.get("stroke-width", 1)))
        x, y, outline = _compact(commands)
        line = _shape_path(outline).translated(x / GRAIN, y / GRAIN)
        result.append(_compact(_elements(stroker.createStroke(line))))
    return [shape for shape in result if shape[2]]


def _absolute(data: str) -> list[tuple[str, tuple[float, ...]]]:
    """The commands of an SVG path, which all have absolute coordinates."""
    commands: list[tuple[str, tuple[float, ...]]] = []
    tokens = _TOKEN.findall(data)
    at, letter = 0, ""
    place: tuple[float, ...] = (0.0, 0.0)
    while at < len(tokens):
        if tokens[at].isalpha():
            letter = tokens[at]
            at += 1
        if letter == "Z":
            commands.append(("z", ()))
            continue
        count = {"M": 2, "L": 2, "H": 1, "V": 1, "Q": 4, "C": 6}.get(letter)
        if count is None:
            raise ValueError(f"an SVG path command that is not expected: {letter!r}")
        numbers = tuple(map(float, tokens[at : at + count]))
        at += count
        if letter == "H":
            numbers = (numbers[0], place[1])
        elif letter == "V":
            numbers = (place[0], numbers[0])
        place = numbers[-2:]
        commands.append(("l" if letter in "HV" else letter.lower(), numbers))
        if letter == "M":
            letter = "L"  # further pairs after a move are lines
    return commands


def _elements(path: QPainterPath) -> list[tuple[str, tuple[float, ...]]]:
    """The commands of a QPainterPath."""
    kinds = QPainterPath.ElementType
    letters = {kinds.MoveToElement: "m", kinds.LineToElement: "l", kinds.CurveToElement: "c"}
    commands: list[tuple[str, tuple[float, ...]]] = []
    for i in range(path.elementCount()):
        element = path.elementAt(i)
        point = (element.x, element.y)
        if element.type == kinds.CurveToDataElement:
            commands[-1] = ("c", commands[-1][1] + point)
        else:
            commands.append((letters[element.type], point))
    return commands


def _compact(commands: list[tuple[str, tuple[float, ...]]]) -> Placed:
    """Absolute commands as a placed shape: m, l, q, c, z and whole numbers relative to the place before.

    Rounding is relative to where the shape starts, so that a letter gives the same text wherever it stands.
    """
    if not commands:
        return 0, 0, ""
    origin = commands[0][1]
    parts: list[str] = []
    x = y = 0
    start = (0, 0)
    last = ""
    for letter, numbers in commands[1:]:
        whole = [round((number - origin[i % 2]) * GRAIN) for i, number in enumerate(numbers)]
        if letter == "l" and (whole[0], whole[1]) == (x, y):
            continue  # ziamath starts every contour with a line to where it already is
        relative = [number - (y if i % 2 else x) for i, number in enumerate(whole)]
        text = "".join(f"{n}" if n < 0 else f" {n}" for n in relative)
        parts.append(text if letter == last else letter + text.lstrip())
        last = letter
        if letter == "m":
            start = (whole[0], whole[1])
        x, y = start if letter == "z" else (whole[-2], whole[-1])
    return round(origin[0] * GRAIN), round(origin[1] * GRAIN), "".join(parts)


@lru_cache(maxsize=2048)
def _shape_path(outline: str) -> QPainterPath:
    """A shape that starts at the origin, for painting."""
    path = QPainterPath()
    path.moveTo(0, 0)
    tokens = _TOKEN.findall(outline)
    at, letter, x, y = 0, "", 0, 0
    start = (0, 0)
    while at < len(tokens):
        if tokens[at].isalpha():
            letter = tokens[at]
            at += 1
        if letter == "z":
            path.closeSubpath()
            x, y = start
            continue
        count = _ARGUMENTS[letter]
        whole = [int(token) + (y if i % 2 else x) for i, token in enumerate(tokens[at : at + count])]
        at += count
        x, y = whole[-2], whole[-1]
        points = [number / GRAIN for number in whole]
        if letter == "m":
            start = (x, y)
            path.moveTo(*points)
        elif letter == "l":
            path.lineTo(*points)
        elif letter == "q":
            path.quadTo(*points)
        else:
            path.cubicTo(*points)
    return path


# ── the ready-made file ────────────────────────────────────────────────────────────────────


def known_formulas() -> list[str]:
    """The TeX of every operation and every scene, sorted, each once."""
    found: set[str] = set()
    # Looked up by name when asked for: drawing formulas does not depend on the engine or the scenes.
    for op in _registry("autograd.ops", "OPS").values():
        found.update((op.formula, *op.partials))
    for scene in _registry("scenes", "SCENES").values():
        found.update(scene.formulas)
        found.update(proof.formula for proof in scene.proofs)
    return sorted(tex for tex in found if tex and tex.strip())


def _registry(module: str, name: str) -> dict:
    try:
        return getattr(importlib.import_module(module), name, {})
    except ModuleNotFoundError as error:
        if error.name and module.split(".")[0] == error.name.split(".")[0]:
            return {}
        raise


def prerender(texes: Iterable[str]) -> dict:
    """What the file holds: every shape once, and per formula its measures and where which shape stands."""
    numbers: dict[str, int] = {}
    formulas = {}
    for tex in texes:
        setting = _typeset(tex)
        if setting is not None:
            width, height, ascent, placed = setting
            places = [n for x, y, shape in placed for n in (x, y, numbers.setdefault(shape, len(numbers)))]
            formulas[tex] = [width, height, ascent, places]
    return {"shapes": list(numbers), "formulas": formulas}


def main() -> int:
    """Rewrite the file; 1 if a formula could not be set."""
    texes = known_formulas()
    content = prerender(texes)
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"
    FORMULAS.write_text(text, encoding="utf-8")
    print(f"{len(content['formulas'])} formulas, {len(content['shapes'])} shapes, {len(text.encode())} bytes")
    missing = [tex for tex in texes if tex not in content["formulas"]]
    for tex in missing:
        print(f"cannot be set: {tex}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
