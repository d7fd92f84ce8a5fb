"""Scene files come back as they were, whichever version wrote them, and the page on the format tells how."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explorer.model import files
from explorer.model.files import decode, encode, limits, load, save, schema
from explorer.model.files import format as page_of_format
from explorer.model.files.limits import LIMITS
from explorer.model.session import Session, State, open_session
from explorer.model.state import Breakpoint, UserChapter
from scenes import SCENES
from tests.explorer.scene_documents import HEAD, chapter, code, document
from tests.soak import full_state, same

ROOT = Path(__file__).resolve().parents[2]


# Round trips

names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["C"]) | st.sampled_from("\n\t"), max_size=60)
lines = texts.map(lambda text: " ".join(text.split()))
arrays = st.sampled_from(("f8", "f4", "i8", "i4", "?")).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
)
cameras = st.none() | st.tuples(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7), st.floats(0.01, 100))


@st.composite
def values(draw, scene):
    """Parameters within their ranges."""
    chosen = {}
    for p in scene.parameters:
        if p.type == "choice":
            chosen[p.name] = draw(st.sampled_from(p.choices))
        elif p.type == "bool":
            chosen[p.name] = draw(st.booleans())
        elif p.type == "int":
            chosen[p.name] = draw(st.integers(int(p.low), min(int(p.high), int(p.low) + 4)))
        elif p.type == "float":
            chosen[p.name] = draw(st.floats(p.low, p.high))
        else:
            chosen[p.name] = p.default
    return chosen


finite_arrays = hnp.arrays(np.float64, hnp.array_shapes(max_side=4), elements=st.floats(-1e300, 1e300))
breakpoints = st.builds(
    Breakpoint,
    st.sampled_from(["below", "above", "saturates", "nan"]),
    names,
    st.floats(0, 1e300),
    st.booleans(),
)


@st.composite
def states(draw):
    scene = SCENES[draw(st.sampled_from(sorted(SCENES)))]
    return State(
        scene=scene.id,
        parameters=draw(values(scene)),
        seed=draw(st.integers(0, 2**63 - 1)),
        edits=draw(st.dictionaries(names, arrays, max_size=3)),
        folded=frozenset(draw(st.lists(names, max_size=4))),
        t=draw(st.floats(0, 1e7)),
        speed=draw(st.floats(0.01, 100)),
        selection=tuple(draw(st.lists(st.integers(0, 2**31 - 1), max_size=5))),
        loop=draw(st.none() | st.tuples(st.floats(0, 1e3), st.floats(1e4, 1e7))),
        camera=draw(cameras),
        chapter=draw(names),
        notes=draw(texts),
        chapters=draw(chapters()),
        clamps=draw(st.dictionaries(names, finite_arrays, max_size=2)),
        cuts=draw(st.frozensets(st.tuples(names, st.integers(0, LIMITS.inputs - 1)), max_size=3)),
        frozen=draw(st.frozensets(names, max_size=3)),
        breakpoints=tuple(draw(st.lists(breakpoints, max_size=3))),
    )


@st.composite
def chapters(draw):
    ids = draw(st.lists(names, unique=True, max_size=3))
    spans = [sorted((draw(st.floats(0, 1e7)), draw(st.floats(0, 1e7)))) for _ in ids]
    return tuple(
        UserChapter(id, draw(lines), draw(texts), start, stop, tuple(draw(st.lists(names))), draw(cameras))
        for id, (start, stop) in zip(ids, spans, strict=True)
    )


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(states(), lines)
def test_every_state_comes_back_bit_for_bit(state, title):
    data = encode(state, title=title)
    loaded = decode(data, "x.backstep")
    assert same(loaded.state, state)
    assert loaded.title == title
    assert encode(loaded.state, **loaded.extras()) == data


@pytest.mark.parametrize("id", sorted(SCENES))
def test_every_scene_saves_and_opens(tmp_path, id):
    before, extras = full_state(id)
    save(tmp_path / "a.backstep", before, **extras)
    loaded = load(tmp_path / "a.backstep")
    assert same(loaded.state, before)
    assert loaded.title == extras["title"]
    assert loaded.ext == extras["ext"]
    assert not loaded.read_only
    assert files.faults(tmp_path / "a.backstep") == []


@pytest.mark.parametrize("bits", [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 1 << 63, 1])
def test_numbers_keep_every_bit(state, bits):
    array = np.array([bits, 0], dtype="u8").view("f8")
    again = decode(encode(replace(state, edits={"W": array})), "x").state.edits["W"]
    assert again.tobytes() == array.tobytes()


def test_loaded_arrays_can_be_written_to(state):
    for size in (3, 300):
        decode(encode(replace(state, edits={"W": np.ones(size)})), "x").state.edits["W"][0] = 2


def test_arrays_of_other_kinds_are_written_as_numbers(state):
    edits = {
        "a": [1, 2],
        "b": np.array([1, 2], dtype="i2"),
        "c": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    }
    edits["d"] = np.arange(100).astype(">f8")[::2]
    again = decode(encode(replace(state, edits=edits)), "x").state.edits
    for key, value in edits.items():
        np.testing.assert_array_equal(again[key], value)


def test_the_file_is_small_and_readable(state):
    data = encode(replace(state, edits={}))
    assert data.decode().count("\n") < 20
    assert (
        not {"view", "title", "notes", "chapters", "ext", "edits", "folded", "seed"} & json.loads(data).keys()
    )


def test_one_change_is_one_line():
    before, extras = full_state("bptt")
    after = replace(before, edits=before.edits | {"#12": np.array(4, dtype=np.int32)})
    a, b = encode(before, **extras).splitlines(), encode(after, **extras).splitlines()
    assert len(a) == len(b)
    assert sum(x != y for x, y in zip(a, b, strict=True)) == 1
    assert max(map(len, a)) < 200


def test_a_chapter_is_one_line():
    before, _ = full_state("bptt")
    first, *others = before.chapters
    changed = replace(first, text="# Hi\n*you*\n\n- one\n- [two]", stop=3.0)
    a = encode(before).splitlines()
    b = encode(replace(before, chapters=(changed, *others))).splitlines()
    (differ,) = (y for x, y in zip(a, b, strict=True) if x != y)
    assert json.loads(differ.rstrip(b","))["text"] == changed.text
    more = encode(replace(before, chapters=(replace(first, id="3"), first, *others))).splitlines()
    assert len(more) == len(a) + 1
    assert set(a) < set(more)


@pytest.mark.parametrize("text", ["one\n\ntwo\t$x$", ["one", "", "two\t$x$"]])
def test_the_text_of_a_chapter_may_stand_in_several_lines(text):
    loaded = decode(document(chapters=[chapter(text=text)]), "x")
    assert loaded.state.chapters[0].text == "one\n\ntwo\t$x$"


def test_a_chapter_of_the_scene_keeps_its_name():
    taken = SCENES["bptt"].chapters[0].id
    loaded = decode(document(chapters=[chapter(id=taken), chapter(id="own-1")]), "x")
    assert [c.id for c in loaded.state.chapters] == ["own-2", "own-1"]
    assert decode(encode(loaded.state), "x").state == loaded.state


def test_a_file_by_hand_needs_the_head_and_the_scene_only():
    loaded = decode(
        b'{"format": "backstep-scene", "version": 1, "scene": "bptt", "parameters": {"T": 4}}', "x"
    )
    assert loaded.state.parameters == SCENES["bptt"].defaults() | {"T": 4}


def test_a_session_opens_a_saved_file(tmp_path):
    session = open_session("bptt", T=2)
    session.edit(
        next(leaf.id for leaf in session.recording.graph.leaves() if leaf.name == "W"), np.ones((3, 3))
    )
    session.update(t=5.0)
    save(tmp_path / "a.backstep", session.state)
    again = open_session(str(tmp_path / "a.backstep"))
    assert same(replace(again.state, selection=()), replace(session.state, selection=()))


def test_title_and_notes_lose_what_can_not_be_seen(state):
    data = encode(replace(state, notes="a\u202eb\x1b\r\nc\td"), title="a\u202eb\x07\nc")
    loaded = decode(data, "x")
    assert (loaded.title, loaded.state.notes) == ("ab c", "ab\nc\td")


# What was on screen never keeps a file from opening


@pytest.mark.parametrize(
    "camera", [(np.nan, 0, 1), (0, np.inf, 1), (1.1e7, 0, 1), (0, 0, 0.009), (0, 0, 101)]
)
def test_a_camera_that_can_not_be_is_reset(state, camera):
    assert decode(encode(replace(state, camera=camera)), "x").state.camera is None
    if np.isfinite(camera).all():
        assert decode(document(view={"camera": camera}), "x").state.camera is None


@pytest.mark.parametrize(("t", "kept"), [(np.nan, 0), (-1, 0), (np.inf, 0), (3.5, 3.5), (1e300, 1e7)])
def test_a_moment_that_can_not_be_is_reset(state, t, kept):
    assert decode(encode(replace(state, t=t)), "x").state.t == kept


def test_the_rest_of_the_view_is_reset_too():
    view = {"t": -3, "speed": 1e9, "selection": [-1, 5, 2**40], "camera": None, "chapter": "\u202e"}
    state = decode(document(view=view), "x").state
    assert (state.t, state.speed, state.selection, state.chapter) == (0, 1, (5,), "")


# Versions


def test_a_newer_file_opens_to_look_at():
    view = {"t": 3, "future": 1}
    array = {"shape": [1], "dtype": "f8", "data": [1], "unit": "V"}
    loaded = decode(document(version=7, more={"a": [1]}, view=view, edits={"W": array}), "new.backstep")
    assert loaded.read_only
    assert "new.backstep" in loaded.warning
    assert loaded.state.t == 3
    assert loaded.state.edits["W"] == [1]


def test_a_much_newer_file_does_not_open():
    later = schema.VERSION + 1
    assert code(document(version=later, min_reader=later)) == "newer"
    assert code(document(version=later, min_reader=later, scene=3)) == "newer"


def test_older_versions_are_upgraded_step_by_step(monkeypatch):
    versions = {
        1: schema.Version(
            schema.StrictScene1, schema.Scene1, lambda d: schema.msgspec.structs.replace(d, seed=1)
        ),
        2: schema.Version(schema.StrictScene1, schema.Scene1),
    }
    monkeypatch.setattr(schema, "VERSIONS", versions)
    monkeypatch.setattr(schema, "VERSION", 2)
    assert schema.upgraded(schema.Scene1(**HEAD), 1).seed == 1
    assert schema.upgraded(schema.Scene1(**HEAD), 2).seed == 0


def corpus(version):
    return sorted((ROOT / "tests" / "explorer" / "scene_files" / str(version)).glob("*.backstep"))


# A change of the structs of a released version breaks files that are out there: make a new version.
FROZEN = {1: "64f37ecfeea038ed", 2: "b78a1f1f4f90a977"}


@pytest.mark.parametrize("version", schema.VERSIONS)
def test_the_structs_of_a_version_never_change(version):
    described = json.dumps(schema.msgspec.json.schema(schema.VERSIONS[version].strict), sort_keys=True)
    assert hashlib.sha256(described.encode()).hexdigest()[:16] == FROZEN[version]


@pytest.mark.parametrize("version", schema.VERSIONS)
def test_every_version_has_real_files(version):
    assert len(corpus(version)) >= 3
    assert all(json.loads(path.read_bytes())["version"] == version for path in corpus(version))


@pytest.mark.parametrize("path", [p for v in schema.VERSIONS for p in corpus(v)], ids=lambda p: p.stem)
def test_files_of_every_version_open_and_run(path):
    loaded = load(path)
    assert files.faults(path) == []
    assert not loaded.read_only
    again = encode(loaded.state, **loaded.extras())
    same_version = json.loads(path.read_bytes())["version"] == schema.VERSION
    assert not same_version or without_app(again) == without_app(path.read_bytes())
    assert encode(decode(again, "x").state, **loaded.extras()) == again
    session = open_session(str(path))
    assert session.trace.end > 0
    assert np.isfinite(session.trace.values[session.trace.loss]).all() or "own" in path.stem


def without_app(data):
    return re.sub(rb'"app": "[^"]*"', b"", data)


def test_every_version_but_the_last_has_a_way_on():
    assert sorted(schema.VERSIONS) == list(range(1, schema.VERSION + 1))
    assert all((v.upgrade is None) == (n == schema.VERSION) for n, v in schema.VERSIONS.items())


# The page that specifies the format


def test_the_page_is_up_to_date():
    page = (ROOT / "assets" / "format.md").read_text("utf-8")
    assert page == page_of_format.document(), "run python -m explorer.model.files.format"


def test_the_page_explains_every_field_and_every_code():
    explained = page_of_format.FIELDS
    reached = [schema.VERSIONS[schema.VERSION].strict]
    for kind in reached:
        names = {f.encode_name for f in schema.msgspec.structs.fields(kind)}
        assert explained[kind].keys() == names
        inner = re.findall(r"\bStrict\w+", " ".join(str(f.type) for f in schema.msgspec.structs.fields(kind)))
        reached += [k for n in inner if (k := getattr(schema, n)) not in reached]
    assert set(reached) == set(explained)
    assert set(get_args(limits.Code)) == limits.CODES.keys()


def test_the_example_opens_and_runs():
    bare_text = re.sub(r"\s*//.*", "", page_of_format.EXAMPLE)
    loaded = decode(bare_text.encode(), "example.backstep")
    session = Session()
    session.open_state(loaded.state, "t", loaded.graph)
    assert session.trace.end > 0
    assert loaded.ext == {"org.example": b'{"rating": 5}'}


def test_the_schema_agrees_with_the_reader():
    described = page_of_format.json_schema()
    assert described["$defs"]["StrictScene2"]["additionalProperties"] is False
    assert described["$defs"]["StrictScene2"]["required"] == ["format", "version", "scene"]
    assert set(described["$defs"]) == {kind.__name__ for kind in page_of_format.FIELDS}


def test_every_code_can_happen():
    """Each is named by a test that provokes it, here or among the hostile files."""
    folder = Path(__file__).parent
    tests = "".join(path.read_text("utf-8") for path in folder.glob("test_*.py"))
    assert [code for code in limits.CODES if f'"{code}"' not in tests] == []
