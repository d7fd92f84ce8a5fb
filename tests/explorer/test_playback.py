"""Time: steps and marks go both ways alike, playing ends or loops, and every step says what it does."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, tensor
from explorer.model.playback import (
    SECONDS_PER_STEP,
    SPEEDS,
    advanced,
    back_words,
    boundaries,
    describe,
    formula_words,
    next_mark,
    next_step,
    numbers_words,
    previous_mark,
    previous_step,
)
from explorer.model.session import Session, open_session
from explorer.model.text import LANGUAGES, set_language
from scenes import SCENES
from scenes.scene import Notation


@pytest.fixture(scope="module")
def bptt() -> Session:
    return open_session("bptt", T=3)


def notations(id: str) -> list[dict[str, Any]]:
    choices = [p.choices for p in SCENES[id].parameters if p.name == "notation"]
    return [{"notation": c} for c in choices[0]] if choices else [{}]


SPOKEN = [
    pytest.param(id, values, language, id="-".join([id, *values.values(), language]))
    for id in SCENES
    for values in notations(id)
    for language in LANGUAGES
]


# Steps and marks


@given(st.floats(0, 100), st.integers(0, 100))
def test_steps_lead_to_whole_moments_within_the_trace(t: float, end: int) -> None:
    t = min(t, end)
    after, before = next_step(t, end), previous_step(t)
    assert after == int(after) and before == int(before)
    assert 0 <= before <= t <= after <= end
    assert after > t or t == end
    assert before < t or t == 0
    assert after - t <= 1 and t - before <= 1


@given(st.integers(0, 99))
def test_a_step_back_undoes_a_step_forward(t: int) -> None:
    assert previous_step(next_step(t, 100)) == t
    assert next_step(previous_step(t + 1), 100) == t + 1


@pytest.mark.parametrize("what", ["scope", "time"])
@pytest.mark.parametrize("id", SCENES)
def test_marks_grow_and_lie_where_something_else_has_its_turn(id: str, what: str) -> None:
    trace = SCENES[id].build().trace()
    marks = boundaries(trace, what)
    assert marks[0] == 0 and marks[-1] == trace.end
    assert all(a < b for a, b in pairwise(marks))
    assert trace.forward_end in marks and trace.forward_end + 1 in marks
    for a, b in pairwise(marks):
        stretch = trace.steps[a:b]
        assert len({(s.phase, s.time) for s in stretch}) == 1
        if what == "scope":
            assert len({trace.graph.scopes[s.node] for s in stretch}) == 1
    if what == "time":
        assert set(marks) <= set(boundaries(trace, "scope"))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=10, unique=True).map(sorted), st.floats(0, 60))
def test_next_and_previous_mark_are_inverse(marks: list[int], t: float) -> None:
    after, before = next_mark(marks, t), previous_mark(marks, t)
    assert after in marks and before in marks
    assert after > t or after == marks[-1]
    assert before < t or before == marks[0]
    for a, b in pairwise(marks):
        assert next_mark(marks, a) == b
        assert previous_mark(marks, b) == a


def test_going_through_all_time_steps_and_back(bptt: Session) -> None:
    marks = boundaries(bptt.trace, "time")
    seen, t = [0.0], 0.0
    while t < bptt.end:
        t = next_mark(marks, t)
        seen.append(t)
    assert seen == [float(m) for m in marks]
    # three steps and the loss forward, the seed, the loss and three steps back
    assert len(marks) == 3 + 1 + 1 + 1 + 3 + 1
    while t > 0:
        t = previous_mark(marks, t)
        assert t == seen[seen.index(t)]
        seen.pop()
    assert seen == [0.0]


# Playing


@pytest.mark.parametrize("speed", SPEEDS)
def test_playing_moves_at_its_speed(speed: float) -> None:
    session = open_session("bptt", T=1)
    session.update(speed=speed, t=2.0)
    t, on = advanced(session, 0.1)
    assert t == pytest.approx(2.0 + 0.1 * speed / SECONDS_PER_STEP)
    assert on
    assert session.state.t == 2.0, "advanced() only says where playing would lead"


def test_playing_stops_at_the_end() -> None:
    session = open_session("bptt", T=1)
    session.update(t=session.end - 0.5)
    assert advanced(session, 60.0) == (float(session.end), False)
    session.update(t=session.end)
    assert advanced(session, 0.016) == (float(session.end), False)


@given(st.floats(0, 17), st.floats(0, 100))
def test_a_loop_never_leaves_its_stretch(start: float, seconds: float) -> None:
    session = LOOPING
    session.update(loop=(3.0, 7.5), t=min(start, 7.0))
    t, on = advanced(session, seconds)
    assert on
    assert t < 7.5
    assert t >= min(3.0, session.state.t)


LOOPING = open_session("bptt", T=1)


def test_a_loop_goes_on_where_it_overshot() -> None:
    session = open_session("bptt", T=1)
    session.update(loop=(2.0, 4.0), t=3.9)
    t, _ = advanced(session, 0.3 * SECONDS_PER_STEP)
    assert t == pytest.approx(2.2)


# In words


@pytest.mark.parametrize(("id", "values", "language"), SPOKEN)
def test_every_step_says_what_it_does(id: str, values: dict[str, Any], language: str) -> None:
    session = open_session(id, **values)
    set_language(language)
    said = set()
    for k in range(session.end):
        text = describe(session, k + 0.5)
        assert text == describe(session, k + 1.0), "a moment between two steps tells of the one just done"
        head, _, body = text.partition(": ")
        assert str(k + 1) in head and str(session.end) in head
        assert body.strip()
        assert not set(body) & set("{}\n")
        arrow = session.trace.steps[k].phase == "backward"
        assert (" ← " in body) == arrow  # as a letter's mark, it stands close
        said.add(body)
    assert len(said) > session.end / 2
    assert describe(session, 0.0)
    assert ":" not in describe(session, 0.0)


def test_the_languages_differ() -> None:
    session = open_session("bptt")
    english = describe(session, 0.0), describe(session, 3.0)
    set_language("ja")
    japanese = describe(session, 0.0), describe(session, 3.0)
    assert english[0] != japanese[0] and english[1] != japanese[1]
    assert english[1].rpartition(": ")[2] == japanese[1].rpartition(": ")[2], "formulas are not translated"


def said(session: Session) -> list[str]:
    return [describe(session, k + 0.5).partition(": ")[2] for k in range(session.end)]


def test_bptt_in_the_words_of_its_notes(bptt: Session) -> None:
    lines = said(bptt)
    for line in (
        "z¹ = tanh(u¹)",
        "L² = ½‖v² − d²‖²",
        "E = L¹ + L² + L³",
        "∂E/∂E = 1",
        "∂E/∂u³ ← ∂E/∂z³ ⊙ (1 − tanh² u³)",
        "∂E/∂v¹ ← ∂E/∂L¹ ⊙ (v¹ − d¹)",
        "∂E/∂W ← ∂E/∂(W·z²)·z²ᵀ,  ∂E/∂z² ← Wᵀ·∂E/∂(W·z²)",
    ):
        assert line in lines
    assert any(line.startswith("u³ = W") and line.endswith("·x³ + W·z² + b") for line in lines)
    assert describe(bptt, 27.5) == f"step 28 of {bptt.end}: ∂E/∂u³ ← ∂E/∂z³ ⊙ (1 − tanh² u³)"


def test_bptt_in_the_other_notes_letters() -> None:
    lines = "\n".join(said(open_session("bptt", notation="CS"))).replace("^", "")
    assert "a⟨3⟩ = tanh(u⟨3⟩)" in lines
    assert "½‖v⟨2⟩ − y⟨2⟩‖²" in lines
    assert "z³" not in lines


def test_the_carousel_says_that_its_error_is_unchanged() -> None:
    assert "∂E/∂C¹ ← ∂E/∂C²,  ∂E/∂a² ← ∂E/∂C²" in said(open_session("cec", T=2))


def test_numbers_stand_in_the_formula() -> None:
    with Graph() as g:
        x, w = tensor(2.0, "x", "input"), tensor(-3.0, "w")
        loss = (x * w).named("y")
    session = Session()
    session.open_graph(g, loss)
    assert numbers_words(session.trace, loss.id) == "2 · (−3) = −6"
    assert formula_words(g, loss.id, Notation()) == "x·w"
    assert formula_words(g, x.id, Notation()) == "2"
    assert back_words(g, loss.id, 0, loss.id, Notation()) == "∂y/∂y · w"
    assert back_words(g, loss.id, 1, loss.id, Notation()) == "∂y/∂y · x"


def test_deep_formulas_stay_short() -> None:
    with Graph() as g:
        y = tensor(1.0, "x", "input")
        for _ in range(50):
            y = ag.tanh(y) + y
    session = Session()
    session.open_graph(g, y)
    assert all(0 < len(line) < 300 for line in said(session))
