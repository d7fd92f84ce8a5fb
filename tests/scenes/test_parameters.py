"""What a scene says when asked for something that can not be: one sentence, the name and the range."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from scenes import SCENES
from scenes.scene import Parameter, SceneError, Text, find_scene

Check = Callable[[SceneError], None]

REFUSED: list[tuple[str, str, Any, list[str]]] = [
    ("lstm", "T", 0, ["parameter T", "'0'", "from 1 to 50"]),
    ("lstm", "T", 51, ["parameter T", "'51'", "from 1 to 50"]),
    ("lstm", "T", 2.5, ["parameter T", "'2.5'", "a whole number"]),
    ("lstm", "T", True, ["parameter T", "'True'", "a whole number"]),
    ("lstm", "T", "three", ["parameter T", "'three'", "a whole number"]),
    ("lstm", "T", None, ["parameter T", "'None'"]),
    ("lstm", "stage", "gru", ["parameter stage", "'gru'", "one of cec, gates, forget, peephole"]),
    ("lstm", "stage", 1, ["parameter stage", "'1'", "one of cec"]),
    ("lstm", "forget_bias", float("nan"), ["parameter forget_bias", "'nan'", "from -10.0 to 10.0"]),
    ("lstm", "forget_bias", 11, ["parameter forget_bias", "'11.0'", "from -10.0 to 10.0"]),
    ("bptt", "gain", float("inf"), ["parameter gain", "'inf'", "from 0.0 to 5.0"]),
    ("cec", "pulse", -1, ["parameter pulse", "'-1'", "from 0 to 50"]),
    ("mlp", "layers", 7, ["parameter layers", "'7'", "from 1 to 6"]),
    ("mlp", "activation", "swish", ["parameter activation", "'swish'", "one of tanh, sigmoid, relu"]),
    ("expression", "formula", 3, ["parameter formula", "'3'", "a text"]),
    ("expression", "formula", "tanj(x)", ["formula: column 1", "did you mean tanh?"]),
]


@pytest.mark.parametrize(("scene", "name", "value", "words"), REFUSED)
def test_refused_values(scene: str, name: str, value: Any, words: list[str], said_in_both: Check) -> None:
    with pytest.raises(SceneError) as error:
        SCENES[scene].build({name: value})
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    said_in_both(error.value)
    assert name in error.value.text["ja"]


@pytest.mark.parametrize(
    ("scene", "name", "text", "value"),
    [
        ("lstm", "T", "5", 5),
        ("lstm", "forget_bias", "2", 2.0),
        ("lstm", "forget_bias", "-1e0", -1.0),
        ("lstm", "stage", "peephole", "peephole"),
        ("expression", "formula", "x*w", "x*w"),
    ],
)
def test_texts_are_read_by_the_declared_type(scene: str, name: str, text: str, value: Any) -> None:
    parsed = SCENES[scene].parameter(name).parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("scene", "name", "text"),
    [
        ("lstm", "T", "5.0"),
        ("lstm", "T", ""),
        ("lstm", "T", "9" * 5000),
        ("lstm", "forget_bias", "nan"),
        ("lstm", "forget_bias", "x"),
        ("lstm", "stage", "Forget"),
        ("expression", "formula", "x +"),
    ],
)
def test_refused_texts(scene: str, name: str, text: str, said_in_both: Check) -> None:
    with pytest.raises(SceneError, match=name) as error:
        SCENES[scene].parameter(name).parse(text)
    assert len(str(error.value)) < 200
    said_in_both(error.value)
    assert name in error.value.text["ja"]


def test_the_japanese_sentence() -> None:
    with pytest.raises(SceneError) as error:
        SCENES["lstm"].build({"T": 0})
    assert error.value.text["ja"] == "パラメータ T に '0' は使えません。1～50 の整数を指定してください"
    with pytest.raises(SceneError) as error:
        Parameter("bias", True, Text("a switch", "スイッチ")).parse("maybe")
    assert str(error.value) == "parameter bias can not be 'maybe': it takes true or false"
    assert error.value.text["ja"] == (
        "パラメータ bias に 'maybe' は使えません。true か false のどちらかを指定してください"
    )


def test_one_sentence_stands_for_both_languages() -> None:
    assert SceneError("b takes numbers").text == Text("b takes numbers", "b takes numbers")


def test_an_unknown_parameter_names_the_nearest_one(said_in_both: Check) -> None:
    with pytest.raises(SceneError, match=r"lstm has no parameter 'hiden'; did you mean hidden\?") as near:
        SCENES["lstm"].build({"hiden": 3})
    with pytest.raises(SceneError, match="it has layers, inputs, units") as far:
        SCENES["mlp"].build({"zzz": 3})
    with pytest.raises(SceneError, match="has no parameter 'T'; it has none") as none:
        dataclasses.replace(SCENES["mlp"], parameters=()).parameter("T")
    for error in (near, far, none):
        said_in_both(error.value)


def test_an_unknown_scene_names_the_nearest_one(said_in_both: Check) -> None:
    assert find_scene("lstm") is SCENES["lstm"]
    with pytest.raises(SceneError, match=r"did you mean lstm\?") as near:
        find_scene("lstn")
    with pytest.raises(SceneError, match="names them all") as far:
        find_scene("?")
    said_in_both(near.value)
    said_in_both(far.value)


def test_what_does_not_fit_names_its_size(said_in_both: Check) -> None:
    large = dataclasses.replace(SCENES["mlp"], estimate=lambda p: 123_456)
    with pytest.raises(SceneError, match="has about 123456 nodes, at most 50000 fit") as error:
        large.build()
    said_in_both(error.value)


def test_a_chapter_at_no_node_names_it(said_in_both: Check) -> None:
    recording = SCENES["mlp"].build()
    with pytest.raises(SceneError, match="has no node 'nowhere'") as error:
        recording.moment("forward nowhere", recording.trace(), after=False)
    said_in_both(error.value)


def test_a_float_parameter_takes_a_whole_number() -> None:
    recording = SCENES["lstm"].build({"forget_bias": 2})
    assert recording.parameters["forget_bias"] == 2.0
    assert type(recording.parameters["forget_bias"]) is float
