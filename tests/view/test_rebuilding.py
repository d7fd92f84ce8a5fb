"""Other languages, themes, letters and sizes: nothing stays behind, nothing is covered or cut."""

import gc

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QRect
from PySide6.QtWidgets import QApplication, QMenu

from explorer.view.lens import Lens
from explorer.view.panels.chapters import Prose
from tests.view.monkey import turn_round


def alive(window):
    """How many of Qt's objects belong to the window and the application, and how many menus Python holds."""
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    menus = sum(isinstance(o, QMenu) for o in gc.get_objects())
    return len(window.findChildren(QObject)) + len(QApplication.instance().findChildren(QObject)), menus


def test_languages_and_themes_leave_nothing_behind(lstm):
    def go_round():
        for code, theme in (("ja", "dark"), ("en", "light")):
            lstm.set_language(code)
            turn_round()
            lstm.set_theme(theme)
            turn_round()
        return alive(lstm)

    go_round()
    objects, menus = go_round()
    rounds = [go_round() for _ in range(3)]
    assert {after for after, _ in rounds} == {objects}
    assert rounds[-1][1] - menus <= 3  # of 60 that were made; PySide may hold one that Qt has deleted


def test_looking_inside_again_closes_the_glass_before(lstm):
    for node in (lstm.session.trace.graph.named(name).id for name in ("c_1", "c_2", "c_3")):
        lstm.look_closer((node,))
        turn_round()
        (lens,) = lstm.canvas.findChildren(Lens)
        assert lens.isVisible() and lens.nodes == (node,)
    lens.leave()


def test_pages_leave_nothing_behind(lstm):
    prose = lstm.findChild(Prose)
    counts = []
    for words in ("# One", "*two*", "three"):
        prose.show_markdown(words)
        turn_round()
        counts.append(len(prose.findChildren(QObject)))
    assert prose.toPlainText() == "three"
    assert counts[1:] == counts[:1] * 2


def front(window):
    """The panels that can be seen, and where they are."""
    panels = [p for p in window.panels.values() if not p.visibleRegion().isEmpty()]
    return {p.id: QRect(p.mapTo(window, QPoint(0, 0)), p.size()) for p in panels}


@pytest.mark.parametrize("code", ["en", "ja"])
def test_in_the_smallest_window_no_panel_covers_another(lstm, code):
    lstm.set_language(code)
    lstm.resize(lstm.minimumSize())
    turn_round()
    places = front(lstm)
    assert set(places) == {"chapters", "parameters", "timeline"}
    for id, place in places.items():
        assert lstm.rect().contains(place)
        assert not any(place.intersects(other) for o, other in places.items() if o != id)


@pytest.mark.parametrize("theme", ["light", "projector"])
@pytest.mark.parametrize("size", [100, 150])
def test_parameters_fit_their_panel_after_any_change(lstm, size, theme):
    panel = lstm.panels["parameters"]
    lstm.settings.text_size = size
    lstm.set_theme(theme)
    for code in ("ja", "en"):
        lstm.set_language(code)
        turn_round()
        assert panel.outer.horizontalScrollBar().maximum() == 0


def test_the_first_message_moves_nothing(lstm):
    turn_round()
    before = lstm.canvas.size()
    lstm.copy_picture()
    turn_round()
    assert lstm.statusBar().currentMessage() and lstm.canvas.size() == before
