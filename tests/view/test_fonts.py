"""The bundled faces cover every character that Backstep shows, and numbers align."""

from itertools import pairwise

import pytest
from PySide6.QtGui import (
    QColor,
    QFontDatabase,
    QFontInfo,
    QFontMetricsF,
    QGlyphRun,
    QImage,
    QPainter,
    QRawFont,
    QTextLayout,
)

from explorer.view import fonts

GREEK = "".join(map(chr, [*range(0x3B1, 0x3CA), *range(0x391, 0x3A2), *range(0x3A3, 0x3AA)]))
MATHS = "∂∑Σ∏√∇∞±×÷·⊙⊗⊕≤≥≠≈∈∉∝→←↑↓⇒⇔⟨⟩‖′″ᵀ⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾₀₁₂₃₄₅₆₇₈₉ₜŷ\u0302σ✓✗▶⏸■●○◀▸▾…–—−“”‘’½¼°µ"
JAPANESE = "誤差逆伝播法勾配消失長短期記憶再生一時停止語彙閾値畳み込み重み、。「」・ーＡＢＣ１２３（）"
LATIN = "".join(
    map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x149), *range(0x14A, 0x180)])
)  # U+0149 is deprecated


@pytest.fixture(autouse=True)
def _loaded(qapp):
    fonts.load_fonts()


def shape(text: str, bold: bool = False) -> list[QGlyphRun]:
    layout = QTextLayout(text, fonts.ui_font(20, bold))
    layout.beginLayout()
    layout.createLine()
    layout.endLayout()
    return layout.glyphRuns()


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("text", [LATIN, GREEK, MATHS, JAPANESE], ids=["latin", "greek", "maths", "japanese"])
def test_our_own_faces_draw_every_character(text, bold):
    faces = [QRawFont.fromFont(_only(family, bold)) for family in fonts.FAMILIES]
    assert [face.familyName() for face in faces] == list(fonts.FAMILIES)
    missing = [c for c in text if not any(face.supportsCharacter(ord(c)) for face in faces)]
    assert missing == []
    for run in shape(text, bold):
        assert run.rawFont().familyName() in fonts.FAMILIES
        assert 0 not in run.glyphIndexes()


def _only(family, bold):
    font = fonts.ui_font(20, bold)
    font.setFamilies([family])
    return font


def test_loading_twice_adds_nothing():
    before = QFontDatabase.families()
    fonts.load_fonts()
    assert QFontDatabase.families() == before


def test_size_and_weight():
    assert QFontInfo(fonts.ui_font(13)).pixelSize() == 13
    assert QFontInfo(fonts.ui_font(13)).family() == "Backstep Sans"
    assert fonts.ui_font(0.2).pixelSize() == 1
    bold = QFontMetricsF(fonts.ui_font(40, bold=True)).horizontalAdvance("gradient")
    assert bold > QFontMetricsF(fonts.ui_font(40)).horizontalAdvance("gradient")


def test_digits_and_signs_are_equally_wide_but_words_stay_tight():
    metrics = QFontMetricsF(fonts.ui_font(40))
    assert len({round(metrics.horizontalAdvance(d * 10)) for d in "0123456789"}) == 1
    assert metrics.horizontalAdvance("+") == metrics.horizontalAdvance("−")
    assert metrics.horizontalAdvance("-") < metrics.horizontalAdvance("−")


def test_what_is_typed_is_what_is_drawn():
    # Faces with programming ligatures turn an ASCII arrow into another character.
    assert sum(len(run.glyphIndexes()) for run in shape("->")) == 2


def test_licences_lie_beside_the_faces():
    for name in ("LICENSE-sans.txt", "LICENSE-japanese.txt", "LICENSE-maths.txt"):
        assert "opyright" in (fonts.FONTS / name).read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in fonts.FONTS.iterdir()) < 2_200_000


def test_pause_has_ink(qapp):
    image = QImage(40, 40, QImage.Format.Format_RGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    painter.setFont(fonts.ui_font(30))
    painter.drawText(5, 32, "⏸")
    painter.end()
    dark = [x for x in range(40) if image.pixelColor(x, 22).lightness() < 100]
    gaps = [b - a for a, b in pairwise(dark) if b - a > 1]
    assert len(dark) > 6 and len(gaps) == 1  # two bars
