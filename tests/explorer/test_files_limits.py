"""Files keep to their limits, to the last byte, and a check names all that is wrong and where."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from explorer.model import files
from explorer.model.files import FileError, decode, load, save
from explorer.model.files.limits import LIMITS, depth
from scenes import SCENES
from tests.explorer.scene_documents import array, bare, chapter, code, document, graph, leaf, node, zeros
from tests.soak import check_error

# Limits: what fits exactly, and one more


def nested(n):
    return json.loads("[" * n + "]" * n)


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
