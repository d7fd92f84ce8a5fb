"""What numbers say in words: which word a one-hot vector is, and which one a model holds for likeliest."""

from __future__ import annotations

import numpy as np
import pytest

from explorer.model import one_hot, text
from explorer.model.session import Session, open_session
from scenes.recurrent.corpus import corpus


def said(session: Session, name: str) -> str:
    recording = session.recording
    assert recording is not None
    return one_hot.words(recording.words(), recording.value(name))


def test_words_that_are_read_and_that_come_next() -> None:
    session = open_session("rnnlm", T=3)
    names, recording = corpus("house").words, session.recording
    assert recording is not None
    for leaf in ("x_1", "x_3", "d_3"):
        assert said(session, leaf) == f"one-hot: “{names[int(recording.value(leaf).argmax())]}”"
    assert said(session, "d_1") == said(session, "x_2") != said(session, "x_3")
    p = recording.value("p_2")
    assert said(session, "p_2") == f"likeliest: “{names[int(p.argmax())]}” ({text.number(p.max(), 3)})"


@pytest.mark.parametrize("name", ["E", "W_out", "c", "v_1", "logp_1", "z_1", "e_1", "L"])
def test_other_numbers_say_nothing(name: str) -> None:
    assert said(open_session("rnnlm", hidden=44), name) == ""


def test_several_examples_side_by_side() -> None:
    session = open_session("rnnlm", batch=6)
    line = said(session, "x_1")
    assert line.count("“") == one_hot.MOST
    assert line.endswith("…")
    two = said(open_session("rnnlm", batch=2), "x_1")
    assert two.count("“") == 2
    assert not two.endswith("…")


def test_counts_have_the_same_words() -> None:
    session = open_session("ngram", text="cat", judged="training")
    assert said(session, "d_1").startswith("one-hot: “")
    assert said(session, "d_1")[10:-1] in corpus("cat").words
    assert said(session, "p_1").startswith("likeliest: “")
    assert said(session, "C_1") == ""  # counts are no probabilities


def test_classes_of_other_data_are_said_too() -> None:
    session = open_session("memory", batch=1)
    assert said(session, "d") in ("one-hot: “A”", "one-hot: “B”", "one-hot: “C”")
    assert said(session, "x_1") == ""  # it has a row more, the mark
    assert said(open_session("memory", task="adding"), "d") == ""
    assert said(open_session("mlp", data="iris", batch=1), "d")[10:-1] in {
        "setosa",
        "versicolor",
        "virginica",
    }


def test_it_is_the_numbers_that_decide() -> None:
    names = "abc"
    assert one_hot.words(names, np.array([0.0, 1.0, 0.0])) == "one-hot: “b”"
    assert (
        one_hot.words(names, np.array([[0.2, 0.0], [0.2, 1.0], [0.6, 0.0]]))
        == "likeliest: “c” (0.6), “b” (1)"
    )
    for other in ([0.0, 0.5, 0.0], [1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0], [0.0, np.nan, 1.0]):
        assert one_hot.words(names, np.array(other)) == ""
    assert one_hot.words(names, None) == ""
    assert one_hot.words((), np.array([])) == ""
    assert one_hot.words(("a",), np.ones(1)) == ""  # a single 1 is just a number


def test_in_japanese() -> None:
    session = open_session("rnnlm", text="cat")
    text.set_language("ja")
    try:
        assert said(session, "x_1").startswith("one-hot: 「")
        assert said(session, "p_1").startswith("最も確率が高い: 「")
    finally:
        text.set_language("en")


def test_the_word_of_a_single_vector() -> None:
    assert one_hot.word(("a", "b", "c"), np.array([0.0, 1.0, 0.0])) == "b"
    assert one_hot.word(("a", "b", "c"), np.array([[0.0], [0.0], [1.0]])) == "c"
    for no in (
        None,
        np.zeros(3),
        np.array([0.0, 2.0, 0.0]),
        np.eye(3),
        np.array([1.0]),
        np.array([0.5, 0.5, 0]),
    ):
        assert one_hot.word(("a", "b", "c"), no) == ""
