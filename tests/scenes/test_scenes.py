"""What holds for every scene of the catalogue: it builds, its proofs hold, its chapters can be told."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import numpy as np
import pytest

from autograd import check_gradients
from explorer.model.text import label
from scenes import SCENES
from scenes.scene import FAMILIES, Recording, Scene, Text, Value
from tests.scenes.agreement import compare_scalar, failing

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def variants(scene: Scene) -> list[dict[str, Value]]:
    """The defaults, then each parameter at its ends or at each of its choices."""
    found: list[dict[str, Value]] = [{}]
    for p in scene.parameters:
        values: tuple[Any, ...] = p.choices
        if p.type == "bool":
            values = (False, True)
        elif p.type in ("int", "float"):
            values = tuple(type(p.default)(end) for end in (p.low, p.high))  # type: ignore[arg-type]
        found += [{p.name: v} for v in values if v != p.default]
    return found


CASES = [pytest.param(s, v, id=f"{s.id}-{v}") for s in SCENES.values() for v in variants(s)]
every_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())


def chapters_have_their_moments(recording: Recording) -> None:
    trace = recording.trace()
    for chapter in recording.scene.chapters:
        start = recording.moment(chapter.start, trace, after=False)
        stop = recording.moment(chapter.stop, trace, after=True)
        assert 0 <= start < stop <= trace.end, chapter.id


@pytest.mark.parametrize(("scene", "values"), CASES)
def test_proofs_hold_and_chapters_have_their_moments(scene: Scene, values: dict[str, Value]) -> None:
    recording = scene.build(values, seed=1)
    assert np.isfinite(recording.loss.value)
    assert failing(recording) == []
    chapters_have_their_moments(recording)


@every_scene
def test_gradients_agree_with_central_differences(scene: Scene) -> None:
    for report in check_gradients(scene.build().loss):
        assert report.passes(1e-6), report.leaf


@every_scene
def test_same_seed_same_values(scene: Scene) -> None:
    first, second = scene.build(seed=5), scene.build(seed=5)
    for a, b in zip(first.graph.values, second.graph.values, strict=True):
        assert np.array_equal(a, b)
    assert any(
        not np.array_equal(leaf.value, other.value)
        for leaf, other in zip(first.graph.leaves(), scene.build(seed=6).graph.leaves(), strict=True)
    )


@every_scene
def test_scalar_form_is_the_same_network(scene: Scene) -> None:
    scalar = scene.build(scalar=True)
    compare_scalar(scene.build(), scalar)
    chapters_have_their_moments(scalar)


def _texts(scene: Scene) -> list[Text]:
    chapters = [text for c in scene.chapters for text in (c.title, c.text)]
    helps = [text for p in scene.parameters for text in (p.help, p.label) if text is not None]
    notes = [p.title for p in scene.proofs] + [e.note for e in scene.errata]
    return [scene.title, scene.summary, *chapters, *helps, *notes]


@every_scene
def test_everything_is_said_in_both_languages(scene: Scene) -> None:
    assert scene.family in FAMILIES
    assert len(scene.chapters) >= 3
    assert scene.proofs
    assert scene.formulas
    assert scene.source
    for text in _texts(scene):
        assert text.en.strip() and text.ja.strip()
        if text is not scene.title:  # names such as LSTM are written alike
            assert JAPANESE.search(text.ja), text.ja
        assert not JAPANESE.search(text.en), text.en
    for parts in (scene.chapters, scene.proofs, scene.parameters):
        names = [getattr(p, "id", "") or getattr(p, "name", "") for p in parts]
        assert len(set(names)) == len(names)


@every_scene
def test_highlights_name_something(scene: Scene) -> None:
    recordings = [scene.build(v) for v in variants(scene)]
    seen = {name for r in recordings for name in r.graph.names if name}
    for chapter in scene.chapters:
        for pattern in chapter.highlight:
            # `$T` and the like: any number will do here
            wild = re.sub(r"\$\w+", "*", pattern)
            assert fnmatch.filter(seen, wild), (chapter.id, pattern)


@every_scene
def test_no_two_names_look_alike_in_any_notation(scene: Scene) -> None:
    choices = [{}, *({p.name: v} for p in scene.parameters for v in p.choices)]
    for name, notation in scene.notations.items():
        for values in choices:
            graph = scene.build(values).graph
            seen: dict[str, str] = {}
            for node, own in enumerate(graph.names):
                if own and notation.letters.get(own.partition("_")[0]) != "":
                    shown = str(label(own, graph.times[node], notation))
                    assert seen.setdefault(shown, own) == own, (name, values, shown)


def test_recurrent_scenes_write_as_both_notes_do() -> None:
    for scene in SCENES.values():
        if scene.family != "recurrent" or scene.id == "gated-units":  # Γ is what that one is about
            continue
        assert scene.parameter("notation").choices[:2] == ("RN", "CS") == tuple(scene.notations)[:2], scene.id
        theirs, prose = scene.notations["CS"].letters, scene.chapters[0].text
        for ours in {"z", "h", "E"} & set(theirs):  # prose has the letters of the first
            assert f"`{theirs[ours]}` for `{ours}`" in prose.en, scene.id
            assert f"`{ours}` を `{theirs[ours]}`" in prose.ja, scene.id


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_carousel_does_not_care_when_its_input_comes(activation: str) -> None:
    losses = {
        float(SCENES["cec"].build({"T": 9, "pulse": k, "activation": activation}).loss.value)
        for k in range(1, 10)
    }
    assert len(losses) == 1


def test_cell_path_is_a_straight_chain_outside_of_the_gates() -> None:
    for stage in SCENES["lstm"].parameter("stage").choices:
        recording = SCENES["lstm"].build({"stage": stage, "T": 2})
        for t in (1, 2):
            add = recording[f"c_{t}"]
            assert (add.op, add.scope, add.time) == ("add", ("lstm",), t)
            before = recording.graph.nodes[add.inputs[0]]
            if stage in ("forget", "peephole"):
                assert before.op == "multiply"
                assert before.scope == ("lstm",)
                assert [recording.graph.names[i] for i in before.inputs] == [f"f_{t}", f"c_{t - 1}"]
            else:
                assert before.name == f"c_{t - 1}"
