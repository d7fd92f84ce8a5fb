"""Scene files come back as they were, are written whole or not at all, and keep to their limits."""

import contextlib
import errno
import gc
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograd import OPS, Graph, tensor
from autograd import sum as ag_sum
from autograd.ops.definition import record
from explorer.model import files, whole
from explorer.model.files import (
    FileError,
    atomic,
    decode,
    encode,
    limits,
    load,
    lock,
    recovery,
    save,
    schema,
)
from explorer.model.files import format as page_of_format
from explorer.model.files.limits import LIMITS, depth
from explorer.model.session import Session, State, open_session
from explorer.model.state import Breakpoint, UserChapter
from scenes import SCENES
from tests.soak import check_error, full_state, same

ROOT = Path(__file__).resolve().parents[2]
HEAD = {"format": "backstep-scene", "version": 1, "min_reader": 1, "scene": "bptt"}


@pytest.fixture
def state():
    return State(scene="bptt", parameters=SCENES["bptt"].defaults(), edits={"W": np.eye(3)})


def document(**changes):
    return json.dumps(HEAD | changes).encode()


def code(data):
    """The error's code, or an empty text."""
    try:
        decode(data, "test.backstep")
    except FileError as error:
        check_error(error)
        return error.code
    return ""


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


# Limits: what fits exactly, and one more


def chapter(i=0, **more):
    return {"id": f"c{i}", "title": "x", "text": "x", **more}


def array(n=1, **more):
    return {"shape": [n], "dtype": "f8", "data": [1] * n} | more


def nested(n):
    return json.loads("[" * n + "]" * n)


def zeros(*shape):
    return schema.from_array(np.zeros(shape, dtype="bool"))


def graph(nodes, values=None, loss="0"):
    """The fields of a file with these nodes; the node 0 is the loss."""
    return {"scene": "your-graph", "graph": {"loss": loss, "nodes": list(nodes), "values": values or {}}}


def bare(id, **more):
    return {"id": id, "kind": "constant", **more}


def leaf(id, **more):
    return bare(id, value=1.0, **more)


def node(id, op, *inputs, **more):
    return {"id": id, "op": op, "inputs": list(inputs), **more}


AT_LIMIT = {
    "edits": (lambda n: {"edits": {f"w{i}": array() for i in range(n)}}, LIMITS.edits, "too_many"),
    "inline": (lambda n: {"edits": {"W": array(n)}}, LIMITS.inline, "too_many"),
    "dims": (lambda n: {"edits": {"W": array(shape=[1] * n)}}, LIMITS.dims, "too_large"),
    "dim": (lambda n: {"edits": {"W": array(shape=[0, n], dtype="b1", data=[])}}, None, "too_large"),
    "array": (lambda n: {"edits": {"W": zeros(n)}}, LIMITS.array_bytes, "too_large"),
    "arrays": (lambda n: {"edits": {"a": zeros(5), "W": zeros(n - 5)}}, LIMITS.arrays_bytes, "too_large"),
    "line": (
        lambda n: {"edits": {"W": {"shape": [n // 4 * 3], "dtype": "b1", "b64": ["A" * n]}}},
        LIMITS.line,
        "invalid",
    ),
    "key": (lambda n: {"edits": {"k" * n: array()}}, LIMITS.key, "invalid"),
    "clamps": (lambda n: {"version": 2, "clamps": {f"f{i}": array() for i in range(n)}},
               LIMITS.alterations, "too_many"),
    "cuts": (lambda n: {"version": 2, "cuts": [{"node": f"f{i}"} for i in range(n)]},
             LIMITS.alterations, "too_many"),
    "cut input": (lambda n: {"version": 2, "cuts": [{"node": "f", "input": n - 1}]},
                  LIMITS.inputs, "invalid"),
    "frozen": (lambda n: {"version": 2, "frozen": [f"W{i}" for i in range(n)]},
               LIMITS.alterations, "too_many"),
    "frozen name": (lambda n: {"version": 2, "frozen": ["W" * n]}, LIMITS.key, "invalid"),
    "breakpoints": (lambda n: {"version": 2, "breakpoints": [{"kind": "nan", "node": "*"}] * n},
                    LIMITS.breakpoints, "too_many"),
    "breakpoint": (lambda n: {"version": 2, "breakpoints": [{"kind": "nan", "node": "*" * n}]},
                   LIMITS.key, "invalid"),
    "folded": (lambda n: {"folded": ["a"] * n}, LIMITS.folded, "too_many"),
    "scope": (lambda n: {"folded": ["a" * n]}, LIMITS.scope, "invalid"),
    "title": (lambda n: {"title": "a" * n}, LIMITS.title, "too_large"),
    "notes": (lambda n: {"notes": "a" * n}, LIMITS.text, "too_large"),
    "chapters": (lambda n: {"chapters": [chapter(i) for i in range(n)]}, LIMITS.chapters, "too_many"),
    "chapter id": (lambda n: {"chapters": [chapter(id="a" * n)]}, LIMITS.key, "invalid"),
    "chapter title": (lambda n: {"chapters": [chapter(title="a" * n)]}, LIMITS.title, "too_large"),
    "chapter frame": (lambda n: {"version": 2, "chapters": [chapter(frame=["W"] * n)]},
                      LIMITS.frame, "too_many"),
    "recipe": (lambda n: {"version": 2, "recipe": {"frozen": ["W"] * n}}, LIMITS.frozen, "too_many"),
    "framed node": (lambda n: {"version": 2, "chapters": [chapter(frame=["W" * n])]}, LIMITS.key, "invalid"),
    "chapter text": (lambda n: {"chapters": [chapter(text=["a" * n])]}, LIMITS.text, "too_large"),
    "moment": (lambda n: {"chapters": [chapter(start=n - 1, stop=n)]}, int(LIMITS.moment), "invalid"),
    "extensions": (lambda n: {"ext": {f"n{i}": 1 for i in range(n)}}, LIMITS.extensions, "too_many"),
    "extension": (lambda n: {"ext": {"a": "x" * (n - 2)}}, LIMITS.extension_bytes, "too_many"),
    "namespace": (lambda n: {"ext": {"a" * n: 1}}, LIMITS.key, "invalid"),
    "extension depth": (lambda n: {"ext": {"a": nested(n)}}, LIMITS.extension_depth, "too_many"),
    "seed": (lambda n: {"seed": n}, 2**63 - 1, "invalid"),
    "parameter": (lambda n: {"parameters": {"T": n}}, 50, "bad_parameter"),
    "parameter text": (lambda n: {"scene": "expression", "parameters": {"formula": "x" * n}},
                       LIMITS.parameter_text, "too_large", "bad_parameter"),
    "nodes": (lambda n: graph(leaf(str(i)) for i in range(n)), LIMITS.nodes, "too_many"),
    "inputs": (lambda n: graph([leaf("0"), node("1", "add_n", *["0"] * n)]), LIMITS.inputs, "too_many"),
    "id": (lambda n: graph([leaf("0"), leaf("i" * n)]), LIMITS.key, "bad_graph"),
    "name": (lambda n: graph([leaf("0", name="i" * n)]), LIMITS.key, "invalid"),
    "attrs": (lambda n: graph([leaf("0"), node("1", "sum", "0", attrs={f"a{i}": 1 for i in range(n)})]),
              LIMITS.attrs, "too_many", "bad_graph"),
    "attr": (lambda n: graph([leaf("0"), node("1", "sum", "0", attrs={"axis": "x" * (n - 2)})]),
             LIMITS.attr_bytes, "too_many", "bad_graph"),
    "attr depth": (lambda n: graph([leaf("0"), node("1", "sum", "0", attrs={"axis": nested(n)})]),
                   LIMITS.attr_depth, "too_many", "bad_graph"),
    "graph arrays": (lambda n: graph([leaf("0"), *(bare(f"a{i}") for i in range(n))],
                                     values={f"a{i}": array() for i in range(n)}), LIMITS.arrays, "too_many"),
    "scopes": (lambda n: graph([leaf("0", scope=["a"] * n)]), LIMITS.scope_parts, "too_many"),
    "scope part": (lambda n: graph([leaf("0", scope=["a" * n])]), LIMITS.key, "invalid"),
    "time": (lambda n: graph([leaf("0", time=n)]), LIMITS.time, "invalid"),
    "time before": (lambda n: graph([leaf("0", time=-n)]), LIMITS.time, "invalid"),
    "numbers": (lambda n: graph([leaf("0"), bare("a")], values={"a": zeros(n - 1)}),
                LIMITS.numbers, "too_large"),
    "work": (lambda n: graph([leaf("0"), bare("a"), bare("b"), node("ab", "matmul", "a", "b"),
                              *(node(f"n{i}", "tanh", "0") for i in range(n - 500 * 1000 * 1000))],
                             values={"a": zeros(500, 1000), "b": zeros(1000, 1000)}),
             LIMITS.work, "too_large"),
    "dims of a result": (lambda n: graph([leaf("0"), bare("a"), node("b", "outer", "a", "a"), *(
                             node(f"s{k}", "stack", "b" if k == 2 else f"s{k - 1}") for k in range(2, n))],
                             values={"a": array(1)}), LIMITS.dims, "too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_LIMIT)
def test_limits(name):
    make, limit, refusal, *before = AT_LIMIT[name]
    if limit is None:  # a size of 2**24 is more than an array can have, even in the smallest type
        assert code(document(**make(LIMITS.array_bytes))) == ""
        assert code(document(**make(LIMITS.dim + 1))) == refusal
        return
    assert code(document(**make(limit))) == (before[0] if before else "")
    assert code(document(**make(limit + (4 if name == "line" else 1)))) == refusal


def test_the_file_itself_is_limited(tmp_path):
    padded = document()[:-1].ljust(LIMITS.file_bytes - 1) + b"}"
    assert code(padded) == ""
    assert code(padded + b" ") == "too_large"
    (tmp_path / "big.backstep").write_bytes(padded + b" ")
    with pytest.raises(FileError) as caught:
        load(tmp_path / "big.backstep")
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("sign", "most"),
    [(b"[", LIMITS.openings), (b"{", LIMITS.openings), (b":", LIMITS.colons), (b",", LIMITS.commas)],
)
def test_entries_are_counted_before_anything_is_built(sign, most):
    bare = document(title="%")
    count = bare.count(sign) + (bare.count(b"{") if sign == b"[" else 0)
    # in a text, so that nothing but the count can be wrong
    assert code(bare.replace(b"%", sign * (most - count))) == "too_large"
    assert code(bare.replace(b"%", sign * (most - count + 1))) == "too_many"


def test_the_largest_array_fits_into_a_file(tmp_path, state):
    save(tmp_path / "a.backstep", replace(state, edits={"W": np.zeros(LIMITS.array_bytes // 8)}))


def test_a_scene_that_is_too_big_is_not_built(monkeypatch):
    scene = SCENES["bptt"]
    for size, expected in ((LIMITS.nodes, ""), (LIMITS.nodes + 1, "too_many"), (float("nan"), "too_many")):
        monkeypatch.setitem(SCENES, "bptt", replace(scene, estimate=lambda _, size=size: size))
        assert code(document()) == expected


def test_every_limit_is_tested():
    source = Path(__file__).read_text("utf-8")
    assert set(re.findall(r"LIMITS\.(\w+)", source)) >= {f.name for f in fields(LIMITS)}


@pytest.mark.parametrize("id", sorted(SCENES))
def test_every_scene_that_can_grow_says_how_large_it_will_be(id):
    scene = SCENES[id]
    sizes = [p for p in scene.parameters if p.type == "int"]
    assert scene.estimate is not None or not sizes
    if scene.estimate is not None:
        largest = {p.name: int(p.high) for p in sizes}
        assert scene.estimate(SimpleNamespace(**scene.defaults() | largest)) > 0


def test_what_was_on_screen_is_put_right_just_beyond_its_limits():
    low, high = LIMITS.zoom
    for zoom, kept in ((low, True), (high, True), (low * 0.99, False), (high * 1.01, False)):
        camera = decode(document(view={"camera": [LIMITS.camera, -LIMITS.camera, zoom]}), "x").state.camera
        assert (camera is not None) == kept
    assert decode(document(view={"camera": [LIMITS.camera * 1.001, 0, 1]}), "x").state.camera is None
    low, high = LIMITS.speed
    for speed, kept in ((low, low), (high, high), (low * 0.99, 1), (high * 1.01, 1)):
        assert decode(document(view={"speed": speed}), "x").state.speed == kept
    for count in (LIMITS.selection, LIMITS.selection + 1):
        assert len(decode(document(view={"selection": [1] * count}), "x").state.selection) == LIMITS.selection
    most = LIMITS.moment
    for loop, kept in (([0, most], (0, most)), ([0, most + 1], None), ([5, 2], None), ([-1, 2], None)):
        assert decode(document(view={"loop": loop}), "x").state.loop == kept


def test_depth_counts_brackets_outside_texts():
    assert depth(rb'[{"a[[": ["\"[[", []]}]') == 4


# Faults


def test_every_fault_is_listed_with_its_place(tmp_path):
    path = tmp_path / "bad.backstep"
    edits = {"W": array(shape=[2]), "V": {"shape": "x", "dtype": "O8"}, "U": 3, "ok": array()}
    view = {"t": "soon", "zoom": 1}
    path.write_bytes(
        document(parameters={"T": 99, "nosuch": 1, "gain": "x"}, edits=edits, view=view, colour=1, seed=-1)
    )
    found = {error.place: error.code for error in files.faults(path)}
    assert found == {
        "$.parameters.T": "bad_parameter",
        "$.parameters.nosuch": "bad_parameter",
        "$.parameters.gain": "bad_parameter",
        "$.edits.W.data": "invalid",
        "$.edits.V.shape": "invalid",
        "$.edits.V.dtype": "invalid",
        "$.edits.U": "invalid",
        "$.view.t": "invalid",
        "$.view.zoom": "invalid",
        "$.colour": "invalid",
        "$.seed": "invalid",
    }
    for error in files.faults(path):
        check_error(error)


def test_faults_are_at_most_a_hundred(tmp_path):
    path = tmp_path / "bad.backstep"
    path.write_bytes(document(edits={f"w{i}": 1 for i in range(1000)}))
    assert len(files.faults(path)) == LIMITS.faults == 100


def test_faults_of_a_file_that_is_not_there(tmp_path):
    assert [error.code for error in files.faults(tmp_path / "none.backstep")] == ["not_found"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("lstm", False),
        ("a.backstep", True),
        ("a.JSON", True),
        ("./lstm", True),
        ("nosuch", False),
        ("\0", False),
    ],
)
def test_files_and_scenes_are_told_apart(tmp_path, monkeypatch, target, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lstm").touch()
    assert files.is_scene_file(target) == expected


def test_an_existing_file_needs_no_ending(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert files.is_scene_file("mine")


# Saving


def refused(path, state, **more):
    with pytest.raises(FileError) as caught:
        save(path, state, **more)
    check_error(caught.value)
    return caught.value


def test_the_old_file_stays_beside_the_new_one(tmp_path, state):
    path = tmp_path / "a.backstep"
    written = []
    for seed in range(3):
        save(path, replace(state, seed=seed))
        written.append(path.read_bytes())
    assert (tmp_path / "a.backstep~").read_bytes() == written[1]
    assert sorted(os.listdir(tmp_path)) == ["a.backstep", "a.backstep~"]


@pytest.mark.skipif(os.name == "nt", reason="mode bits and links are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_mode_and_link_are_kept(tmp_path, state, mode):
    real, link = tmp_path / "real.backstep", tmp_path / "link.backstep"
    save(real, state)
    real.chmod(mode)
    link.symlink_to(real.name)
    save(link, replace(state, seed=9))
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == mode
    assert load(real).state.seed == 9
    assert (tmp_path / "real.backstep~").exists()


@pytest.mark.skipif(os.name == "nt", reason="mode bits are POSIX's")
def test_a_new_file_has_the_usual_mode(tmp_path, state):
    save(tmp_path / "a.backstep", state)
    (tmp_path / "b").touch()
    assert (tmp_path / "a.backstep").stat().st_mode == (tmp_path / "b").stat().st_mode


def fail(number):
    def raise_it(*_, **__):
        raise OSError(number, os.strerror(number), "/secret/folder")

    return raise_it


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("name", ["replace", "fsync", "open"])
def test_a_save_that_fails_changes_nothing(tmp_path, monkeypatch, state, name, number):
    path = tmp_path / "a.backstep"
    save(path, state)
    save(path, state)
    before = path.read_bytes(), Path(f"{path}~").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, name, fail(number))
        error = refused(path, replace(state, seed=3))
    assert error.code == "unwritable"
    assert os.strerror(number) in str(error)
    assert "secret" not in str(error)
    assert (path.read_bytes(), Path(f"{path}~").read_bytes()) == before
    assert sorted(os.listdir(tmp_path)) == ["a.backstep", "a.backstep~"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_changes_nothing(tmp_path, monkeypatch, state, number):
    path = tmp_path / "a.backstep"
    save(path, state)
    before = path.read_bytes()

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, data):
            self.file.write(data[:10])
            fail(number)()

    def open_full(file, mode="r", *rest, **more):
        opened = open(file, mode, *rest, **more)  # noqa: SIM115 - whoever called closes it
        return Full(opened) if "w" in mode else opened

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "open", open_full, raising=False)
        assert refused(path, replace(state, seed=3)).code == "unwritable"
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.backstep"]


def test_what_reads_back_differently_is_not_put_in_place(tmp_path, monkeypatch, state):
    path = tmp_path / "a.backstep"
    save(path, state)
    before = path.read_bytes()
    write = atomic._write
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_write", lambda fresh, data, old: write(fresh, data[:-1] + b"?", old))
        assert refused(path, replace(state, seed=3)).code == "unwritable"
    assert path.read_bytes() == before


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch, state):
    path = tmp_path / "a.backstep"
    save(path, state)
    before = path.read_bytes()
    monkeypatch.setattr(atomic.os, "link", fail(errno.EPERM))
    save(path, replace(state, seed=3))
    assert Path(f"{path}~").read_bytes() == before


def test_a_place_that_can_not_be_written(tmp_path, state):
    assert refused(tmp_path / "none" / "a.backstep", state).code == "unwritable"
    assert refused(tmp_path, state).code == "unwritable"
    assert refused(tmp_path / ("n" * 300), state).code == "unwritable"
    assert refused(tmp_path / "a\0b", state).code == "unwritable"
    if os.path.exists("/dev/null"):
        assert refused("/dev/null", state).code == "unwritable"
    assert os.listdir(tmp_path) == []


@pytest.fixture
def as_a_user():
    """A folder of somebody who is not root, who may write everywhere."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chmod(folder, 0o777)
            os.seteuid(65534)
            yield Path(folder)
            os.seteuid(0)
        else:
            yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="mode bits are POSIX's")
def test_a_folder_and_a_file_that_are_read_only(as_a_user, state):
    folder = as_a_user / "mine"
    folder.mkdir()
    path = folder / "a.backstep"
    save(path, state)
    path.chmod(0o444)
    assert refused(path, state).code == "unwritable"
    path.chmod(0o644)
    folder.chmod(0o555)
    assert refused(path, replace(state, seed=4)).code == "unwritable"
    assert refused(folder / "new.backstep", state).code == "unwritable"
    assert lock.take(path) is None
    folder.chmod(0o755)
    assert load(path).state.seed == 0


def test_the_longest_name_can_be_saved(tmp_path, state):
    path = tmp_path / ("n" * 255)
    for _ in range(2):  # its backup has no name; the save is good all the same
        save(path, state)
    assert os.listdir(tmp_path) == [path.name]


def test_own_leftovers_are_removed_after_an_hour(tmp_path, state):
    old, young, other = (
        tmp_path / f".{name}.tmp"
        for name in ("a.backstep." + "0" * 16, "a.backstep." + "1" * 16, "b.backstep.x")
    )
    for file in (old, young, other):
        file.touch()
    for file in (old, other):
        os.utime(file, (time.time() - 4000,) * 2)
    save(tmp_path / "a.backstep", state)
    assert not old.exists()
    assert young.exists()
    assert other.exists()


def test_a_file_that_changed_on_disk_is_not_overwritten(tmp_path, state):
    path = tmp_path / "a.backstep"
    save(path, state)
    loaded = load(path)
    assert loaded.snapshot == files.snapshot(path)
    os.utime(path, (1, 1))
    save(path, state, expected=loaded.snapshot)  # touched only
    save(path, replace(state, seed=5))
    assert refused(path, replace(state, seed=6), expected=loaded.snapshot).code == "changed_on_disk"
    assert load(path).state.seed == 5
    path.write_bytes(b"x" * (LIMITS.file_bytes + 1))
    assert refused(path, state, expected=loaded.snapshot).code == "changed_on_disk"
    path.unlink()
    save(path, state, expected=loaded.snapshot)


def test_a_state_that_would_not_open_again_goes_to_a_recovery_file(tmp_path, state):
    path = tmp_path / "a.backstep"
    save(path, state)
    for wrong in (
        replace(state, parameters={"T": float("nan")}),
        replace(state, seed=-1),
        replace(state, edits={"W": np.array([object()])}),
        replace(state, parameters={"T": "\ud800"}),
    ):
        error = refused(path, wrong)
        assert error.code == "recovered"
        assert "a.backstep.recovery.json" in str(error)
        assert json.loads((tmp_path / "a.backstep.recovery.json").read_bytes())
    assert same(load(path).state, state)


def test_only_scenes_of_the_catalogue_and_graphs_are_saved(tmp_path):
    assert refused(tmp_path / "a.backstep", State()).code == "unknown_scene"
    assert refused(tmp_path / "a.backstep", State(scene="your-graph")).code == "unknown_scene"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_while_saving():
    run = [sys.executable, "-W", "ignore", "-m", "tests.soak", "kill", "--count", "10", "--least", "3"]
    out = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    tally = json.loads(out)
    assert (tally["kills"], tally["lost"], tally["backups lost"]) == (10, 0, 0)
    assert tally["hit while writing"] >= 3
    careless = subprocess.run([*run[:-2], "--plain"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert json.loads(careless.stdout)["lost"] >= 3, "without care files do get lost"


# Autosave


def abandoned(folder, state, original=None, **more):
    """As if a program that kept its work had died."""
    file = files.autosave(folder, state, original, **more)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return file.rename(file.with_name(file.name.split("-")[0] + f"-{gone.pid}.json"))


def test_work_that_was_left_is_offered_until_it_is_let_go(tmp_path, state):
    original = tmp_path / "a.backstep"
    save(original, state)
    edited = replace(state, seed=77, notes="mine")
    folder = tmp_path / "kept"
    file = abandoned(folder, edited, original)
    [item] = files.recoverable(folder)
    assert (item.file, item.original, item.original_changed) == (file, str(original), False)
    assert same(item.load().state, edited)
    save(original, replace(state, seed=1))
    assert item.original_changed
    assert files.recoverable(folder) == [item]
    files.discard(item)
    assert files.recoverable(folder) == []
    files.discard(item)


def test_work_of_a_running_program_is_not_offered(tmp_path, state):
    file = files.autosave(tmp_path, state, None)
    assert files.autosave(tmp_path, replace(state, seed=2), None, file=file) == file
    assert files.recoverable(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell processes apart")
def test_a_later_process_with_the_same_number_is_another_one(tmp_path, monkeypatch, state):
    with monkeypatch.context() as patch:
        patch.setattr(recovery, "identity", lambda pid: "earlier 123")
        files.autosave(tmp_path, state, None)
    assert len(files.recoverable(tmp_path)) == 1


def test_broken_and_foreign_files_are_not_offered_and_not_touched(tmp_path, state):
    file = abandoned(tmp_path, state)
    data = file.read_bytes()
    file.write_bytes(data[:-5])
    (tmp_path / "note.json").write_text("{}")
    assert files.recoverable(tmp_path) == []
    with pytest.raises(ValueError, match="autosave"):
        files.discard(tmp_path / "note.json")
    assert len(list(tmp_path.iterdir())) == 2
    assert files.recoverable(tmp_path / "none") == []


def test_work_that_can_not_be_encoded_is_kept_all_the_same(tmp_path, state):
    file = abandoned(tmp_path, replace(state, parameters={"T": "\ud800", "gain": float("nan")}))
    assert "gain" in file.read_text()
    [item] = files.recoverable(tmp_path)
    with pytest.raises(FileError):
        item.load()
    assert file.exists()


def test_keeping_work_where_nothing_can_be_written(tmp_path, state):
    (tmp_path / "file").touch()
    with pytest.raises(FileError) as caught:
        files.autosave(tmp_path / "file", state, None)
    assert caught.value.code == "unwritable"
    check_error(caught.value)


def test_saving_and_opening_are_quick(tmp_path, state):
    """A megabyte of numbers; generous, as the machine may be busy."""
    big = replace(state, edits={"W": np.random.default_rng(0).normal(size=125_000)})
    best = []
    for _ in range(3):
        begun = time.process_time()
        save(tmp_path / "a.backstep", big)
        saved = time.process_time()
        load(tmp_path / "a.backstep")
        best.append((saved - begun, time.process_time() - saved))
    assert min(s for s, _ in best) < 0.25
    assert min(o for _, o in best) < 0.25


def test_the_collector_is_as_it_was_after_a_file(state):
    for on in (True, False):
        (gc.enable if on else gc.disable)()
        with contextlib.suppress(FileError):
            decode(encode(state) + b"x", "x")
        assert gc.isenabled() == on
    gc.enable()


# Whole graphs


@pytest.mark.parametrize("op", sorted(OPS))
def test_shapes_are_known_before_anything_is_computed(op):
    definition, rng = OPS[op], np.random.default_rng(0)
    for sample in definition.samples:
        inputs = [rng.uniform(sample.low, sample.high, size=shape) for shape in sample.shapes]
        attrs = definition.defaults | sample.attrs
        if definition.prepare:
            attrs = definition.prepare(*inputs, **attrs)
        result = np.asarray(definition.forward(*inputs, **attrs))
        shape = whole.shape_of(op, tuple(sample.shapes), attrs)
        assert shape == result.shape
        assert whole.room(op, sample.shapes, shape, attrs) >= result.size
        assert whole.work(op, sample.shapes, shape, attrs) >= result.size


@pytest.mark.parametrize("op", sorted(OPS))
def test_every_op_is_saved_with_its_attributes(op):
    definition, rng = OPS[op], np.random.default_rng(0)
    for sample in definition.samples:
        with Graph() as recorded:
            leaves = [tensor(rng.uniform(sample.low, sample.high, size=shape)) for shape in sample.shapes]
            attrs = definition.defaults | sample.attrs
            y = record(definition, leaves, attrs)
            loss = ag_sum(y)
        rows = whole.Whole.of(recorded, loss.id, recorded.values)
        data = encode(State(scene="your-graph"), graph=rows)
        again, _ = decode(data, "x").graph.build()
        for a, b in zip(recorded.values, again.values, strict=True):
            np.testing.assert_array_equal(a, b)
        loss.backward()
        again.backward(loss.id)
        for a, b in zip(recorded.grads, again.grads, strict=True):
            np.testing.assert_array_equal(a, b)


INDICES = [
    0, -1, (0, 1), slice(None), slice(None, None, -2), ..., None, (None, 0, ..., None), [2, 0, 2],
    ([0, 1], [1, 1]), ((0, 1), (1, 1)), np.array([[0, 1], [2, 0]]), np.array([True, False, True]),
    (slice(1, 3), [0, 1]), np.int64(1),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_every_way_to_take_a_part_is_saved(index):
    with Graph() as recorded:
        loss = ag_sum(tensor(np.arange(12.0).reshape(3, 4), name="a")[index] * 2.0)
    data = encode(State(scene="your-graph"), graph=whole.Whole.of(recorded, loss.id, recorded.values))
    again, _ = decode(data, "x").graph.build()
    np.testing.assert_array_equal(again.values[loss.id], recorded.values[loss.id])
    assert encode(State(scene="your-graph"), graph=decode(data, "x").graph) == data


@pytest.mark.parametrize("id", sorted(SCENES))
def test_every_scene_could_be_saved_as_a_graph(id):
    """So that whatever a user records with the engine has a way into a file."""
    session = open_session(id)
    rows = whole.Whole.of(session.recording.graph, session.recording.loss.id, session._originals)
    loaded = decode(encode(State(scene="your-graph", folded=session.state.folded, t=3.0), graph=rows), "x")
    again = Session()
    again.open_state(loaded.state, "t", loaded.graph)
    assert again.trace.end == session.trace.end
    for a, b in zip(session.trace.values, again.trace.values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.topology.scopes == session.topology.scopes
    assert [(box.x, box.y) for box in again.layout.boxes] == [(box.x, box.y) for box in session.layout.boxes]
    leaf = session.recording.graph.leaves("parameter", "input")[0]
    for one in (session, again):
        one.edit(leaf.id, np.full(leaf.shape, 0.5))
    for a, b in zip(session.trace.values, again.trace.values, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(session.trace.grads, again.trace.grads, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_graph_stands_in_for_a_scene_that_can_not_be_built(tmp_path):
    session = open_session("expression", formula="tanh(w*x + b)")
    data = json.loads(encode(session.state, graph=session.whole()))
    for change in ({"scene": "gone"}, {"parameters": {"formula": "tanj(w)"}}, {"parameters": {"other": 1}}):
        path = tmp_path / "a.backstep"
        path.write_text(json.dumps(data | change))
        loaded = load(path)
        assert loaded.read_only
        assert "a.backstep is shown from the graph" in loaded.warning
        again = Session()
        again.open_state(loaded.state, "t", loaded.graph)
        assert again.trace.values[session.trace.loss] == session.trace.values[session.trace.loss]
        assert len(files.faults(path)) == 1, "a check says what is wrong all the same"
    assert code(json.dumps(data | {"scene": "gone", "graph": None}).encode()) == "unknown_scene"


def test_a_graph_that_no_file_can_hold_is_not_lost(tmp_path):
    with Graph() as recorded:
        terms = [tensor(float(k), name=f"x_{k}") for k in range(LIMITS.inputs + 1)]
        loss = record(OPS["add_n"], terms, {})
    rows = whole.Whole.of(recorded, loss.id, recorded.values)
    error = refused(tmp_path / "a.backstep", State(scene="your-graph"), graph=rows)
    assert (error.code, error.place) == ("recovered", f"$.graph.nodes[{loss.id}].inputs")
    kept = json.loads((tmp_path / "a.backstep.recovery.json").read_bytes())
    assert len(kept["graph"]["nodes"]) == len(recorded)
    assert not (tmp_path / "a.backstep").exists()


def test_faults_of_a_graph_have_their_places(tmp_path):
    nodes = [
        leaf("a"), leaf("a"), bare("b"), node("c", "tanh", "d"), node("d", "tanj", "a"),
        node("e", "tanh", "a", "a"), node("f", "sum", "a", attrs={"axes": 1}), node("g", "tanh", "d"),
        leaf("../h"),
    ]  # fmt: skip
    path = tmp_path / "bad.backstep"
    path.write_bytes(document(**graph(nodes, values={"unused": array()}, loss="nowhere")))
    found = [(error.place, error.code) for error in files.faults(path)]
    assert sorted(found) == [
        ("$.graph.loss", "bad_graph"),
        ("$.graph.nodes[1].id", "bad_graph"),
        ("$.graph.nodes[2].value", "bad_graph"),
        ("$.graph.nodes[3].inputs[0]", "bad_graph"),
        ("$.graph.nodes[4].op", "unknown_op"),
        ("$.graph.nodes[5].inputs", "bad_graph"),
        ("$.graph.nodes[6].attrs.axes", "bad_graph"),
        ("$.graph.nodes[8].id", "bad_graph"),
        ("$.graph.values.unused", "bad_graph"),
    ]


def test_attributes_of_one_node_say_nothing_about_another():
    nodes = [
        bare("a"),
        node("s", "sum", "a", attrs={"axis": 0}),
        node("0", "sum", "a"),
        node("t", "sum", "s"),
    ]
    rows = decode(document(**graph(nodes, values={"a": zeros(2, 3)})), "x").graph
    assert [value.shape for value in rows.build()[0].values] == [(2, 3), (3,), (), ()]


def test_a_broken_node_or_chapter_hides_no_other_fault(tmp_path):
    nodes = [leaf("0"), {"id": 3}, node("b", "tanj", "0"), node("c", "tanh", "a"), node("b", "tanh", "0")]
    chapters = [chapter(0), {"id": 1}, chapter(0), chapter(3, start=5, stop=2)]
    path = tmp_path / "bad.backstep"
    path.write_bytes(document(chapters=chapters, seed="x", **graph(nodes)))
    assert sorted(error.place for error in files.faults(path)) == [
        "$.chapters[1].id",
        "$.chapters[2].id",
        "$.chapters[3].start",
        "$.graph.nodes[1].id",
        "$.graph.nodes[2].op",
        "$.graph.nodes[4].id",
        "$.seed",
    ]


def test_one_change_of_a_graph_is_one_line():
    session = open_session("expression", formula="tanh(w*x + b)")
    rows = session.whole()
    other = whole.Whole((*rows.rows[:1], rows.rows[1]._replace(name="z"), *rows.rows[2:]), rows.loss)
    a, b = (encode(session.state, graph=g).splitlines() for g in (rows, other))
    assert sum(x != y for x, y in zip(a, b, strict=True)) == 1


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
