"""Preferences: each choice shows at once and is there again in the next window."""

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialogButtonBox, QLabel

from explorer.cli import main
from explorer.model import text
from explorer.view import fonts
from explorer.view.preferences import Preferences
from explorer.view.settings import Settings
from explorer.view.theme import DARK, LIGHT, PROJECTOR, THEMES


@pytest.fixture
def dialog(lstm, qtbot):
    """Opened by its key."""
    QTest.keyClick(lstm.canvas, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    found = lstm.findChild(Preferences)
    qtbot.waitUntil(found.isVisible)
    return found


def choose(dialog, name, words):
    """Pick an entry of a field by its words, with the keyboard."""
    box = dialog.fields[name]
    assert isinstance(box, QComboBox)
    box.setFocus()
    goal = box.findText(words)
    assert goal >= 0, words
    while box.currentIndex() != goal:
        down = box.currentIndex() < goal
        QTest.keyClick(box, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
        box = dialog.fields[name]


def test_a_theme_shows_at_once_and_is_remembered(lstm, dialog, make_window):
    choose(dialog, "theme", "Projector")
    assert lstm.canvas.theme == PROJECTOR
    assert QGuiApplication.palette().window().color() == QColor("#ffffff")
    assert make_window().theme == PROJECTOR


def test_language_changes_the_dialog_itself(lstm, dialog, make_window):
    choose(dialog, "language", "日本語")
    assert dialog.windowTitle() == "設定"
    assert lstm.menus.actions["play"].text() == text.tr("Play or pause") != "Play or pause"
    assert Settings(lstm.settings.store.fileName()).language == "ja"
    choose(dialog, "language", "English")
    assert dialog.windowTitle() == "Preferences"


def test_numbers_are_written_as_chosen_everywhere(lstm, dialog):
    session = lstm.session
    node = session.recording["f_2"].id
    session.update(selection=(node,), t=float(session.end))
    before = lstm.canvas.grab().toImage()
    QTest.keyClick(dialog.fields["number_style"], Qt.Key.Key_End)
    assert text.number_style() == "scientific"
    assert "e−1" in lstm.panels["inspector"].numbers.text()
    assert lstm.canvas.grab().toImage() != before  # the kept picture was not used again
    QTest.keyClick(dialog.fields["number_style"], Qt.Key.Key_Home)
    assert "e−1" not in lstm.panels["inspector"].numbers.text()


def test_colours_of_numbers(lstm, dialog):
    choose(dialog, "colormap", "dark centre")
    assert lstm.canvas.theme.colormap == "diverging-dark"
    assert lstm.canvas.theme.name == "light"
    choose(dialog, "theme", "Dark")
    assert lstm.canvas.theme == DARK
    choose(dialog, "colormap", "light centre")
    assert lstm.canvas.theme.colormap == "diverging-light"
    choose(dialog, "colormap", "as the theme has them")
    assert lstm.canvas.theme.colormap == "diverging-dark"


def test_size_of_letters_and_nothing_is_cut(lstm, dialog):
    size = lstm.font().pixelSize()
    width = lstm.panels["chapters"].width()
    choose(dialog, "text_size", "150 %")
    assert QGuiApplication.font().pixelSize() == round(13 * 1.5) > size
    assert fonts.picture_font(13).pixelSize() == 13  # pictures are what they were
    QGuiApplication.processEvents()
    assert lstm.panels["chapters"].width() > width
    for label in dialog.findChildren(QLabel):
        if label.isVisible() and not label.wordWrap():
            assert label.sizeHint().width() <= label.width() + 1, label.text()


def test_pace_and_reduced_motion(lstm, dialog, make_window):
    lstm.canvas.reduced_motion = False
    choose(dialog, "pace", "fast")
    assert lstm.canvas.pace == 2.0
    still = dialog.fields["reduced_motion"]
    assert isinstance(still, QCheckBox)
    still.setFocus()
    QTest.keyClick(still, Qt.Key.Key_Space)
    assert lstm.canvas.reduced_motion
    assert not dialog.fields["pace"].isEnabled()
    next_start = make_window()
    assert next_start.canvas.reduced_motion
    assert next_start.canvas.pace == 2.0


def test_with_reduced_motion_playing_shows_whole_steps_only(lstm, qtbot):
    seen = []
    lstm.settings.reduced_motion = True
    lstm.apply_preferences()
    lstm.session.update(speed=8.0, t=0.0)
    stop = lstm.session.subscribe(
        lambda changed: seen.append(lstm.session.state.t) if "t" in changed else None
    )
    QTest.keyClick(lstm.canvas, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: lstm.session.state.t >= 4, timeout=5000)
    QTest.keyClick(lstm.canvas, Qt.Key.Key_Space)
    stop()
    assert all(t == int(t) for t in seen)
    assert seen == sorted(seen)
    lstm.session.update(t=lstm.session.end - 1.0)
    QTest.keyClick(lstm.canvas, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not lstm.session.state.playing, timeout=5000)
    assert lstm.session.state.t == lstm.session.end


def test_defaults_bring_back_the_look_but_not_the_language(lstm, dialog, make_window):
    choose(dialog, "language", "日本語")
    choose(dialog, "theme", "ダーク")
    choose(dialog, "text_size", "125 %")
    dialog._buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).click()
    assert lstm.theme == LIGHT
    assert QGuiApplication.font().pixelSize() == 13
    assert text.language() == "ja"
    assert dialog.fields["theme"].currentText() == "ライト"
    assert make_window().theme == LIGHT


@pytest.mark.parametrize("name, stored", [("theme", "purple"), ("text_size", "9999"), ("pace", "nan")])
def test_a_senseless_setting_counts_as_not_set(tmp_path, name, stored):
    settings = Settings(str(tmp_path / "odd.ini"))
    default = getattr(settings, name)
    settings.store.setValue(name, stored)
    assert getattr(Settings(str(tmp_path / "odd.ini")), name) == default


# Themes


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [getattr(QColor(colour), f"{name}F")() for name in ("red", "green", "blue")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
def test_words_can_be_read(theme):
    least = 7.0 if theme is PROJECTOR else 4.5
    for paper in (theme.window, theme.base, theme.canvas, theme.box):
        assert contrast(theme.ink, paper) >= least
        assert contrast(theme.faint_ink, paper) >= 4.5


def test_the_projector_theme_is_stronger_than_the_light_one():
    roles = ("ink", "faint_ink", "line", "ghost", "accent", "value", "gradient", "parameter", "input", "loss")
    for role in roles:
        strong = contrast(getattr(PROJECTOR, role), PROJECTOR.canvas)
        assert strong > contrast(getattr(LIGHT, role), LIGHT.canvas), role
    assert PROJECTOR.canvas == PROJECTOR.window == "#ffffff"
    assert min(PROJECTOR.stroke, PROJECTOR.lettering) > 1.0


def test_the_projector_theme_draws_thicker(lstm):
    session = lstm.session
    session.update(t=float(session.end), folded=frozenset(session.topology.scopes))

    def ink_share(theme):
        lstm.canvas.theme = theme
        lstm.canvas.show_everything()
        image = lstm.canvas.grab_picture()
        ground = QColor(theme.canvas).rgb()
        points = [(x, y) for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)]
        return sum(image.pixel(x, y) != ground for x, y in points) / len(points)

    assert ink_share(PROJECTOR) > ink_share(replace(PROJECTOR, stroke=1.0, lettering=1.0))


def test_the_command_line_draws_in_every_theme(qapp, tmp_path):
    drawn = set()
    for name, theme in THEMES.items():
        path = tmp_path / f"{name}.png"
        assert main(["render", "mlp", "--theme", name, "--size", "320x200", "--out", str(path)]) == 0
        assert QImage(str(path)).pixelColor(1, 1) == QColor(theme.canvas)
        drawn.add(path.read_bytes())
    assert len(drawn) == len(THEMES)
