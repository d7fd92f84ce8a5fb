"""A window of one's own for tests that drive it by keys and clicks."""

import pytest

from explorer.model import text
from explorer.view import fonts
from explorer.view.settings import Settings
from explorer.view.window import Window


@pytest.fixture
def make_window(qtbot, tmp_path):
    """Open windows on one settings file, as one start after the other."""

    def make() -> Window:
        w = Window(settings=Settings(str(tmp_path / "settings.ini")))
        qtbot.addWidget(w)
        w.resize(1280, 720)
        with qtbot.waitExposed(w):
            w.show()
        return w

    yield make
    text.set_number_style("automatic")
    fonts.set_interface_scale(1.0)


@pytest.fixture
def still(make_window):
    """A window without animation, on its start page."""
    w = make_window()
    w.canvas.reduced_motion = True
    return w


@pytest.fixture
def lstm(still, qtbot):
    """The same with the LSTM scene, folded as it opens."""
    still.open_scene("lstm")
    qtbot.waitUntil(still.canvas.isVisible)
    return still
