"""Every icon draws, in its colour, sharp at each pixel ratio, pale when disabled."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon, QImage

from explorer.view import icons

PROMISED = set(
    """
play pause step-forward step-back skip-start skip-end step-scope-forward step-scope-back loop speed fit
zoom-in zoom-out zoom-selection undo redo open save save-as new export-picture export-film export-file search
gallery chapters inspector parameters timeline fold unfold theme-light theme-dark language help keyboard info
warning error check cross copy edit reset random eye path settings close recent file formula chart
fullscreen backstep
""".split()  # noqa: SIM905
)


def pixels(name, colour, ratio=1.0, mode=QIcon.Mode.Normal) -> QImage:
    return icons.icon(name, colour).pixmap(QSize(16, 16), ratio, mode).toImage()


@pytest.fixture
def any_ratio(monkeypatch):
    """Screens of every kind."""
    monkeypatch.setattr(icons, "ratios", lambda: {1.0, 2.0, 3.0})


def strongest(image: QImage) -> QColor:
    colours = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
    return max(colours, key=QColor.alpha)


def test_all_promised_icons_are_there():
    assert icons.names() >= PROMISED
    assert "MIT License" in (icons.ICONS / "LICENSE.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(icons.names()))
def test_every_icon_is_a_clean_drawing_with_ink(name, qapp):
    root = ElementTree.parse(icons.ICONS / f"{name}.svg").getroot()
    assert root.attrib["viewBox"] in ("0 0 24 24", "0 0 256 256")
    assert strongest(pixels(name, "#3b6fd4")).alpha() > 150


@pytest.mark.parametrize("size", [16, 20, 24, 32])
@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0])
def test_sharp_at_every_ratio(size, ratio, qapp, any_ratio):
    picture = icons.icon("minus", "#000000").pixmap(QSize(size, size), ratio)
    assert picture.width() == size * ratio and picture.devicePixelRatio() == ratio
    image = picture.toImage()
    middle = [image.pixelColor(image.width() // 2, y).alpha() for y in range(image.height())]
    assert max(middle) > 150 and sum(0 < alpha < 250 for alpha in middle) <= 3  # a line with hard edges


def test_colour_transparency_and_disabled(qapp, any_ratio):
    full = strongest(pixels("pause", "#cc3311", 3.0))
    assert abs(full.red() - 0xCC) < 4 and abs(full.green() - 0x33) < 4 and full.alpha() > 250
    assert 110 < strongest(pixels("pause", QColor(0, 0, 0, 128), 3.0)).alpha() < 140
    assert 70 < strongest(pixels("pause", "#cc3311", 3.0, QIcon.Mode.Disabled)).alpha() < 110


def test_the_app_icon_is_large_as_well(qapp):
    assert QImage(str(icons.ICONS / "backstep.png")).size() == QSize(256, 256)
    for side in (16, 32, 256):
        assert icons.app_icon().pixmap(QSize(side, side), 1.0).width() == side


def test_same_name_and_colour_is_made_once(qapp):
    assert icons.icon("save", "#112233") is icons.icon("save", QColor(0x11, 0x22, 0x33))


@pytest.mark.parametrize("name", ["no-such-icon", "../icons/play", "Play", ""])
def test_unknown_name(name, qapp):
    with pytest.raises(KeyError, match="no icon is called") as caught:
        icons.icon(name, "black")
    assert repr(name) in str(caught.value)


def test_an_icon_survives_copies_and_changes(qapp):
    for _ in range(200):
        copy = QIcon(icons.icon("save", "#445566"))
        copy.addPixmap(copy.pixmap(QSize(8, 8)))
        assert not copy.isNull()


def test_qtsvg_is_not_imported_before_the_first_drawing():
    code = "import sys, explorer.view.icons; assert 'PySide6.QtSvg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
