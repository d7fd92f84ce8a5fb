"""Numbers, shapes and symbols as a person reads them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.model.text import Label, array, label, language, number, set_language, shape, tr
from scenes import SCENES
from scenes.scene import Notation

RN, SUB, CS = Notation("sup"), Notation("sub"), Notation("angle", {"z": "a", "f": "Γ_f"})


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-2.25, "−2.25"),
        (math.pi, "3.142"),
        (0.1 + 0.2, "0.3"),
        (1234.0, "1234"),
        (0.001, "0.001"),
        (123456789.0, "1.23e8"),
        (-1e-10, "−1.00e−10"),
        (5e-324, "4.94e−324"),
        (1e300, "1.00e300"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (np.float64(0.5), "0.5"),
    ],
)
def test_number(x: float, text: str) -> None:
    assert number(x) == text


def test_number_with_more_or_fewer_digits() -> None:
    assert [number(math.pi, d) for d in (1, 2, 3, 6)] == ["3", "3.1", "3.14", "3.14159"]


@given(st.floats(-1e300, 1e300), st.integers(3, 8))
def test_a_number_is_short_and_close(x: float, digits: int) -> None:
    text = number(x, digits)
    assert "-" not in text
    assert len(text) <= digits + 7
    assert text.startswith("−") == (x < 0)
    back = float(text.replace("−", "-"))
    assert abs(back - x) <= abs(x) * 10.0 ** -(digits - 2) + 5e-324


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.5, "2.5"),
        ([1, 2, 3], "[1, 2, 3]"),
        ([[1.0, -2.0], [3.0, 4.5]], "[[1, −2], [3, 4.5]]"),
        (range(10), "[0, 1, 2, 3, 4, 5, …]"),
        ([], "[]"),
        ([math.nan, math.inf], "[NaN, ∞]"),
    ],
)
def test_array(value: object, text: str) -> None:
    assert array(np.array(value)) == text


def test_long_arrays_are_cut_in_every_direction() -> None:
    assert array(np.zeros((9, 9)), most=2) == "[[0, 0, …], [0, 0, …], …]"
    assert array([math.pi], digits=5) == "[3.1416]"


@pytest.mark.parametrize(("s", "text"), [((), ""), ((3,), "3"), ((3, 4), "3×4"), ((2, 1, 5), "2×1×5")])
def test_shape(s: tuple[int, ...], text: str) -> None:
    assert shape(s) == text


@pytest.mark.parametrize(
    ("name", "time", "notation", "wanted"),
    [
        ("u_3", 3, RN, Label("u", "", "3")),
        ("u_3", 3, SUB, Label("u", "3")),
        ("z_3", 3, CS, Label("a", "", "⟨3⟩")),
        ("u_12", 12, RN, Label("u", "", "12")),
        ("z_0", None, RN, Label("z", "", "0")),  # an initial state
        ("W_in", None, RN, Label("W", "in")),
        ("W_in", 3, RN, Label("W", "in")),
        ("W_1", None, RN, Label("W", "1")),  # of layer 1, not of time step 1
        ("u_3", 4, RN, Label("u", "3")),
        ("f_2", 2, CS, Label("Γ", "f", "⟨2⟩")),
        ("f_2", 2, RN, Label("f", "", "2")),
        ("E", None, RN, Label("E")),
        ("u_3[1]", 3, RN, Label("u", "1", "3")),
        ("u_3[1]", 3, SUB, Label("u", "3,1")),
        ("W[0,1]", None, RN, Label("W", "0,1")),
        ("W_f[0,1]", None, RN, Label("W", "f,0,1")),
    ],
)
def test_label(name: str, time: int | None, notation: Notation, wanted: Label) -> None:
    assert label(name, time, notation) == wanted


def test_labels_in_one_line() -> None:
    assert str(Label("u", "", "3")) == "u³"
    assert str(Label("u", "3")) == "u₃"
    assert str(Label("u", "1", "12")) == "u₁¹²"
    assert str(Label("a", "", "⟨3⟩")).replace("^", "") == "a⟨3⟩"
    assert str(Label("W", "0,1")) == "W_0,1"
    assert str(Label("E")) == "E"


@pytest.mark.parametrize("id", SCENES)
def test_every_named_node_of_every_scene_has_a_label(id: str) -> None:
    scene = SCENES[id]
    graph = scene.build().graph
    for notation in scene.notations.values():
        seen: dict[Label, str] = {}
        for name, time in zip(graph.names, graph.times, strict=True):
            made = label(name, time, notation)
            if name and made.base:  # some notes have no letter for it
                assert str(made).isprintable()
                assert seen.setdefault(made, name) == name, "two names look the same"


def test_language_is_switched_and_unknown_words_stay_english() -> None:
    assert language() == "en"
    assert tr("no such sentence at all") == "no such sentence at all"
    set_language("ja")
    assert language() == "ja"
    assert tr("no such sentence at all") == "no such sentence at all"
    assert tr("step {k} of {end}") != "step {k} of {end}"
    assert set(tr("step {k} of {end}").format(k=7, end=9)) >= {"7", "9"}
    with pytest.raises(ValueError, match="'xx' is not one of en, ja"):
        set_language("xx")
    assert language() == "ja"
