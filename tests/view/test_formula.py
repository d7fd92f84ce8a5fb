"""Formulas: ready made for all that ships, set on demand for the rest, plain text when neither works."""

import sys

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QImage, QPainter, QPalette

from explorer.view import fonts, formula

SQUARE = r"\frac{\partial E}{\partial x} = 2x"


@pytest.fixture(autouse=True)
def _fresh(qapp):
    fonts.load_fonts()
    formula.formula_path.cache_clear()
    yield
    formula.formula_path.cache_clear()


@pytest.fixture
def without_ziamath(monkeypatch):
    monkeypatch.setitem(sys.modules, "ziamath", None)


def needs_ziamath():
    pytest.importorskip("ziamath")


def draw(tex, colour="black", size=30.0, plain=None) -> tuple[QImage, float]:
    image = QImage(400, 120, QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    width = formula.paint_formula(painter, 10, 60, tex, size, colour, plain)
    painter.end()
    return image, width


def ink(image: QImage) -> tuple[int, int, int]:
    """First and last column with ink, and the number of inked pixels."""
    size = image.size()
    columns, rows = range(size.width()), range(size.height())
    spots = [x for x in columns for y in rows if image.pixelColor(x, y).lightness() < 128]
    return (min(spots), max(spots), len(spots)) if spots else (0, 0, 0)


# ── the file ──


def test_all_known_formulas_are_ready_made(without_ziamath):
    known = formula.known_formulas()
    missing = [tex for tex in known if formula.formula_path(tex) is None]
    assert missing == [], "run `python -m explorer.view.formula`"


def test_the_file_is_small_and_sound(without_ziamath):
    assert formula.FORMULAS.stat().st_size < 400_000
    for tex in formula._ready_made()[1]:
        made = formula.formula_path(tex)
        assert made is not None
        bounds = made.path.boundingRect()
        assert bounds.left() >= -2 and bounds.right() <= made.width + 2, tex
        assert bounds.top() >= -made.ascent - 2 and bounds.bottom() <= made.height - made.ascent + 2, tex


def test_a_ready_made_formula_is_the_same_as_a_set_one(monkeypatch):
    needs_ziamath()
    fresh = formula.formula_path(SQUARE)
    content = formula.prerender([SQUARE])
    monkeypatch.setattr(formula, "_ready_made", lambda: (content["shapes"], content["formulas"]))
    monkeypatch.setitem(sys.modules, "ziamath", None)
    formula.formula_path.cache_clear()
    ready = formula.formula_path(SQUARE)
    assert fresh is not None and ready is not None
    assert ready.path == fresh.path
    assert (ready.width, ready.height, ready.ascent) == (fresh.width, fresh.height, fresh.ascent)


def test_equal_letters_share_one_shape():
    needs_ziamath()
    assert len(formula.prerender(["x + x + x + x"])["shapes"]) == 2


def test_a_broken_file_is_no_file(monkeypatch, tmp_path):
    for text in ("{", "[]", "{}"):
        (tmp_path / "formulas.json").write_text(text)
        monkeypatch.setattr(formula, "FORMULAS", tmp_path / "formulas.json")
        formula._ready_made.cache_clear()
        assert formula._ready_made() == ([], {})
    formula._ready_made.cache_clear()


# ── setting ──


@pytest.mark.parametrize(
    "tex",
    [
        SQUARE,
        r"\sqrt{x} + \overline{x}",
        r"\begin{cases}x & x>0\\ 0 & x\le 0\end{cases}",
        r"\begin{pmatrix}a&b\\c&d\end{pmatrix}",
        r"\boxed{x+\cancel{y}}",
        r"\underbrace{a+b}_{n}",
        r"\theta_{t+1}=\theta_t-\eta\,\frac{\hat{m}_t}{\sqrt{\hat{v}_t}+\varepsilon}",
    ],
)
def test_tex_that_lecturers_write(tex):
    needs_ziamath()
    made = formula.formula_path(tex)
    assert made is not None and 10 < made.width < 400 and 0 < made.ascent < made.height < 100
    assert made.path.boundingRect().right() <= made.width + 2


@pytest.mark.parametrize(
    "tex", ["", "  ", r"\text{勾配}", "x" * 3000, r"\frac{", r"\begin{cases}", r"\sqrt{\hat y} \Vert h \Vert"]
)
def test_what_cannot_be_set_is_none(tex):
    made = formula.formula_path(tex)
    assert made is None or made.height < formula.TALLEST


def test_none_without_ziamath(without_ziamath):
    assert formula.formula_path("never + seen + before") is None


# ── drawing ──


def test_painting_has_size_colour_and_baseline():
    needs_ziamath()
    small, width = draw("x + y", size=15)
    large, double = draw("x + y", "#cc0000", size=30)
    assert double == pytest.approx(2 * width)
    first, last, _ = ink(large)
    assert first >= 9 and last <= 10 + double + 1
    assert ink(small)[2] > 10
    reds = [large.pixelColor(x, y) for x in range(400) for y in range(120)]
    assert max(c.red() - c.green() for c in reds) > 150
    below = [y for y in range(120) for x in range(10, 30) if large.pixelColor(x, y).green() < 128]
    assert 58 <= max(below) <= 61  # an x stands on the line


def test_plain_text_when_it_cannot_be_set(without_ziamath):
    image, width = draw("never + seen + before", plain="dE/dx")
    assert ink(image)[2] > 20 and 20 < width < 150


# ── the label ──


def shown(label, size: QSize) -> QImage:
    palette = QPalette(label.palette())
    palette.setColor(QPalette.ColorRole.Window, QColor("white"))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("black"))
    label.setPalette(palette)
    label.resize(size)
    return label.grab().toImage()


def test_label_fits_its_hint_and_shrinks_when_narrow(qtbot):
    needs_ziamath()
    label = formula.FormulaLabel(SQUARE, pixel_size=20)
    qtbot.addWidget(label)
    full = label.sizeHint()
    first, last, _ = ink(shown(label, full))
    assert first < 6 and last >= full.width() - 8
    narrow = QSize(full.width() // 2, full.height())
    _, last, spots = ink(shown(label, narrow))
    assert last < narrow.width() - 1 and spots > 20
    assert label.minimumSizeHint().width() < full.width()


def test_label_names_itself_and_changes(qtbot, without_ziamath):
    label = formula.FormulaLabel("never + seen")
    qtbot.addWidget(label)
    assert label.accessibleName() == "never + seen"
    before = label.sizeHint().width()
    label.set_formula("never + seen + before", plain="a plain reading of it, for the ear")
    assert label.tex == "never + seen + before"
    assert label.accessibleName() == "a plain reading of it, for the ear"
    assert label.sizeHint().width() > before
    label.set_pixel_size(40)
    assert ink(shown(label, QSize(120, 60)))[1] < 119  # plain text shrinks as well
    label.set_formula("")
    assert ink(shown(label, QSize(120, 60)))[2] == 0


def test_label_takes_the_palette(qtbot):
    needs_ziamath()
    label = formula.FormulaLabel("x", pixel_size=60)
    qtbot.addWidget(label)
    palette = label.palette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#00ff00"))
    palette.setColor(QPalette.ColorRole.Window, QColor("black"))
    label.setPalette(palette)
    image = label.grab().toImage()
    columns, rows = range(image.width()), range(image.height())
    assert max(image.pixelColor(x, y).green() for x in columns for y in rows) > 200
