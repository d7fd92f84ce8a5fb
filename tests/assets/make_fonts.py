"""Makes the faces in assets/fonts from the full fonts they are cut from.

Used by hand, and only when a face has to cover more characters:
`python tests/assets/make_fonts.py REGULAR SEMIBOLD JAPANESE MATHS` with the full files of Inter 4.1,
Noto Sans CJK JP 2 and DejaVu Sans 2.37; needs fonttools and brotli. The families get names of
their own, so that a font of the same name on the reader's machine can never take their place.
"""

import sys
from contextlib import suppress
from pathlib import Path

from fontTools import subset
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

OUT = Path(__file__).resolve().parents[2] / "assets" / "fonts"

# Circled operators, shapes and ticks are left out here: the maths face draws them smaller and in one style.
LATIN = [
    (0x20, 0x17F), (0x192, 0x192), (0x218, 0x21B), (0x259, 0x259), (0x2B0, 0x2DD), (0x300, 0x36F),
    (0x370, 0x3FF), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20BF),
    (0x2100, 0x21FF), (0x2200, 0x2294), (0x22A4, 0x22FF), (0x2300, 0x23FF), (0x2460, 0x24FF),
]  # fmt: skip
MATHS = [
    (0x20, 0x7E), (0xA0, 0xFF), (0x131, 0x131), (0x237, 0x237), (0x2B0, 0x2FF), (0x300, 0x3FF),
    (0x1D2C, 0x1D6A), (0x2000, 0x206F), (0x2070, 0x209F), (0x20D0, 0x20FF), (0x2100, 0x218F),
    (0x2190, 0x23FF), (0x2580, 0x25FF), (0x2610, 0x2612), (0x2660, 0x2667), (0x2700, 0x27FF),
    (0x2900, 0x2AFF), (0x2B00, 0x2BFF), (0x1D538, 0x1D56B),
]  # fmt: skip
JAPANESE = [
    (0x20, 0x7E),
    (0xA0, 0xFF),
    (0x2010, 0x2027),
    (0x2460, 0x2473),
    (0x3000, 0x303F),
    (0x3041, 0x30FF),
]
JAPANESE += [(0x31F0, 0x31FF), (0xFF01, 0xFF9F), (0xFFE0, 0xFFE6)]
# Words of the subject and everyday kanji that JIS X 0208 keeps in its second level.
SECOND_LEVEL = (
    "彙閾尤繋纏傲刹勃勾嘲塡憬慄戚挫挨拶捉捻摯曖昧氾沃汎淫溺潰煎爪玩瑠璃畏痕痩瞭瞳稽箋籠綻緻羞羨腎腫腺臆舷"
    "艶芯苛萎葛蓋蔑蔽虹訃詣詮諦謎貌貪賂踪辣遜遡采闇隙頃頰顎骸鬱麓錨嵌攪拗畢竟檻橙濾疊竝"
)
FEATURES = ["kern", "mark", "mkmk", "ccmp", "locl"]


def spread(ranges: list[tuple[int, int]]) -> set[int]:
    """All code points of closed ranges."""
    return {code for low, high in ranges for code in range(low, high + 1)}


def jis_level_1() -> set[int]:
    """Symbols, letters and kana (rows 1 to 6) and first-level kanji (rows 16 to 47) of JIS X 0208."""
    codes = set()
    for row in [*range(1, 7), *range(16, 48)]:
        for cell in range(1, 95):
            with suppress(UnicodeDecodeError):  # an empty cell
                codes.add(ord(bytes([0xA0 + row, 0xA0 + cell]).decode("euc_jp")))
    return codes


def rename(font: TTFont, family: str, bold: bool) -> None:
    """Give the face our family name; copyright and licence records stay as they are."""
    style = "Bold" if bold else "Regular"
    full = f"{family} {style}"
    names = {1: family, 2: style, 3: full, 4: full, 6: full.replace(" ", "-")}
    table = font["name"]
    table.names = [n for n in table.names if n.nameID in (0, 5, 7, 8, 9, 10, 13, 14) and n.platformID == 3]
    for number, text in names.items():
        table.setName(text, number, 3, 1, 0x409)
    font["OS/2"].usWeightClass = 700 if bold else 400
    font["OS/2"].fsSelection = (font["OS/2"].fsSelection & ~0x61) | (0x20 if bold else 0x40)
    font["head"].macStyle = 1 if bold else 0
    if "CFF " in font:
        cff = font["CFF "].cff
        cff.fontNames = [names[6]]
        top = cff.topDictIndex[0]
        top.FullName, top.FamilyName = names[4], family


def add_pause(font: TTFont) -> None:
    """Draw U+23F8 (two bars), as tall as the play triangle, which the source face does not have."""
    cmap = font.getBestCmap()
    if 0x23F8 in cmap:
        return
    triangle = font["glyf"][cmap[0x25B6]]
    advance = font["hmtx"][cmap[0x25B6]][0]
    low, high = triangle.yMin, triangle.yMax
    bar, middle = round((high - low) * 0.26), advance // 2
    pen = TTGlyphPen(None)
    for left in (middle - round(bar * 1.45), middle + round(bar * 0.45)):
        pen.moveTo((left, low))
        pen.lineTo((left, high))
        pen.lineTo((left + bar, high))
        pen.lineTo((left + bar, low))
        pen.closePath()
    font.setGlyphOrder([*font.getGlyphOrder(), "pause"])
    font["glyf"]["pause"] = pen.glyph()
    font["glyf"]["pause"].recalcBounds(font["glyf"])
    font["hmtx"]["pause"] = (advance, font["glyf"]["pause"].xMin)
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[0x23F8] = "pause"


def align_digits(font: TTFont) -> None:
    """Make digits and signs equally wide without a font feature, which older PySide6 cannot ask for.

    The feature itself would also widen hyphens and dots in words.
    """
    gsub = font["GSUB"].table
    tabular: dict[str, str] = {}
    for record in gsub.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for number in record.Feature.LookupListIndex:
                for step in gsub.LookupList.Lookup[number].SubTable:
                    tabular.update(getattr(step, "ExtSubTable", step).mapping)
    for table in font["cmap"].tables:
        for code in map(ord, "0123456789+\u2212"):
            if code in table.cmap:
                table.cmap[code] = tabular.get(table.cmap[code], table.cmap[code])


def cut(source: str, target: str, family: str, codes: set[int], bold: bool = False) -> None:
    """Write one face that holds just `codes`."""
    options = subset.Options(layout_features=FEATURES, hinting=False, glyph_names=False, notdef_outline=True)
    options.name_IDs, options.name_languages = ["*"], ["*"]
    options.drop_tables += ["meta", "STAT", "DSIG", "FFTM", "VORG", "vhea", "vmtx", "BASE"]
    font = TTFont(source)
    font.flavor = None
    if target == "maths.ttf":
        add_pause(font)
    if family == "Backstep Sans":
        align_digits(font)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=codes)
    cutter.subset(font)
    rename(font, family, bold)
    font.save(OUT / target)
    print(target, (OUT / target).stat().st_size, len(font.getBestCmap()))


if __name__ == "__main__":
    regular, semibold, japanese, maths = sys.argv[1:]
    cut(regular, "sans-regular.ttf", "Backstep Sans", spread(LATIN))
    cut(semibold, "sans-bold.ttf", "Backstep Sans", spread(LATIN), bold=True)
    cut(maths, "maths.ttf", "Backstep Maths", spread(MATHS))
    level_1 = jis_level_1() | spread(JAPANESE) | set(map(ord, SECOND_LEVEL))
    cut(japanese, "japanese.otf", "Backstep Japanese", level_1)
