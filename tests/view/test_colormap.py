"""Zero is the centre, signs are told apart by everyone, and what is not a number looks like nothing else."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from explorer.view import colormap

MAPS = ["diverging-light", "diverging-dark", "diverging-strong"]
GENERATOR = Path(__file__).resolve().parents[1] / "assets" / "make_colormaps.py"
# How linear sRGB looks without one kind of cone (Machado, Oliveira, Fernandes 2009, full severity).
SIGHT = {
    "all cones": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_colormaps", GENERATOR)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lab(maker, colours, sight=SIGHT["all cones"]):
    return maker.oklab(np.clip(maker.to_linear(np.asarray(colours) / 255.0) @ sight.T, 0, 1))


def test_the_file_is_what_the_generator_makes(maker):
    assert json.loads(colormap.COLORMAPS.read_text(encoding="utf-8")) == maker.make()
    assert list(colormap.names()) == MAPS


@pytest.mark.parametrize("name", MAPS)
def test_even_steps_of_lightness_from_a_neutral_centre(name, maker):
    colours = lab(maker, colormap.table(name))
    assert np.hypot(*colours[128, 1:]) < 0.002
    for arm in (colours[128::-1, 0], colours[128:, 0]):
        assert np.abs(arm - np.linspace(arm[0], arm[-1], len(arm))).max() < 0.006  # 8 bits round that much
    assert abs(colours[0, 0] - colours[255, 0]) < 0.006


def test_centres_fit_their_canvas(maker):
    assert lab(maker, colormap.table("diverging-light"))[128, 0] > 0.95
    assert 0.26 < lab(maker, colormap.table("diverging-dark"))[128, 0] < 0.30


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("name", MAPS)
def test_signs_differ_for_everyone(name, sight, maker):
    colours = lab(maker, colormap.table(name), SIGHT[sight])
    assert np.linalg.norm(colours[0] - colours[255]) > 0.21
    assert np.linalg.norm(colours[64] - colours[192]) > 0.16


@pytest.mark.parametrize("name", MAPS)
def test_what_is_not_a_number_looks_like_no_number(name, maker):
    colours = lab(maker, colormap.table(name))
    special = [colormap.NAN_COLOUR, colormap.POS_INF_COLOUR, colormap.NEG_INF_COLOUR]
    for i, colour in enumerate(special):
        assert np.linalg.norm(colours - lab(maker, colour), axis=1).min() > 0.16
        assert all(np.linalg.norm(lab(maker, colour) - lab(maker, other)) > 0.2 for other in special[:i])


def test_table():
    table = colormap.table("diverging-dark")
    assert table.shape == (256, 3) and table.dtype == np.uint8 and not table.flags.writeable
    with pytest.raises(KeyError, match="diverging-light"):
        colormap.table("rainbow")


@pytest.mark.parametrize("symlog", [False, True])
def test_index_ends_centre_and_order(symlog):
    limit = 3.5
    assert colormap.index([-limit, 0.0, -0.0, limit], limit, symlog).tolist() == [0, 128, 128, 255]
    assert colormap.index([-1e300, 1e300], limit, symlog).tolist() == [0, 255]
    rising = colormap.index(np.linspace(-limit, limit, 10_001), limit, symlog).astype(int)
    assert (np.diff(rising) >= 0).all() and (symlog or len(set(rising)) == 256)


def test_symlog_shows_small_values():
    small = colormap.index([1e-3, -1e-3], 1.0, symlog=True).astype(int)
    assert small[0] - 128 > 10 and 128 - small[1] > 10
    assert colormap.index([1e-3, -1e-3], 1.0).tolist() == [128, 128]


@pytest.mark.parametrize("limit", [5e-324, 1e-310, 1e308])
def test_extreme_limits(limit):
    with np.errstate(all="raise", under="ignore"):
        assert colormap.index([-limit, 0, limit], limit).tolist() == [0, 128, 255]


def test_limit_zero_leaves_signs():
    assert colormap.index([0.0, 1.0, -1.0], 0.0).tolist() == [128, 255, 0]


@pytest.mark.parametrize("limit", [-1.0, np.nan, np.inf])
def test_senseless_limits(limit):
    with pytest.raises(ValueError, match="limit"):
        colormap.index([1.0], limit)


def test_rgb_marks_nan_and_infinities():
    values = np.array([[0.0, np.nan], [np.inf, -np.inf]])
    with np.errstate(all="raise"):
        colours = colormap.rgb(values, 1.0, "diverging-light", symlog=True)
    assert colours.shape == (2, 2, 3) and colours.dtype == np.uint8
    assert tuple(colours[0, 1]) == colormap.NAN_COLOUR == (255, 0, 255)
    assert tuple(colours[1, 0]) == colormap.POS_INF_COLOUR
    assert tuple(colours[1, 1]) == colormap.NEG_INF_COLOUR
    assert (colours[0, 0] == colormap.table("diverging-light")[128]).all()


@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 4)])
def test_every_shape(shape):
    assert colormap.rgb(np.zeros(shape), 1.0, "diverging-dark").shape == (*shape, 3)
    assert colormap.rgb(np.full(shape, np.nan), 1.0, "diverging-dark").shape == (*shape, 3)
