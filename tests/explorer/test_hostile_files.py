"""Files that want to do harm end in one clear sentence, quickly, and nothing else happens."""

import base64
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from explorer.model.files import FileError, decode, encode, faults, load, reading
from explorer.model.session import State
from scenes import SCENES
from tests.explorer.scene_documents import HEAD
from tests.soak import check_error, fuzz, verdict

ROOT = Path(__file__).resolve().parents[2]


def doc(text="", **changes):
    """A small file with these fields, or with this text spliced into it."""
    data = json.dumps(HEAD | changes)
    return (data[:-1] + (", " + text if text else "") + "}").encode("utf-8", "surrogatepass")


def edit(key="W", **array):
    return doc(edits={key: {"shape": [2], "dtype": "f8", "data": [1, 2]} | array})


def b64(shape, content, dtype="f8"):
    return doc(edits={"W": {"shape": shape, "dtype": dtype, "b64": content}})


def graph(*nodes, loss="0", **more):
    """A graph of one's own; the node 0 is there, and the loss."""
    nodes = [{"id": "0", "kind": "constant", "value": 1.0}, *nodes]
    return doc(scene="your-graph", graph={"loss": loss, "nodes": nodes, **more})


def node(id, op, *inputs, **attrs):
    return {"id": id, "op": op, "inputs": list(inputs)} | ({"attrs": attrs} if attrs else {})


def given(**values):
    """Leaves with arrays of zeros of these shapes: nodes, and the values that go with them."""
    nodes = [{"id": id, "kind": "constant"} for id in values]
    return nodes, {id: zeros(shape) for id, shape in values.items()}


def zeros(shape):
    text = base64.b64encode(bytes(math.prod(shape))).decode()
    lines = [text[i : i + 96] for i in range(0, len(text), 96)]
    return {"shape": list(shape), "dtype": "b1", "b64": lines}


def over(shapes, *nodes):
    """A graph over leaves of these shapes."""
    leaves, values = given(**shapes)
    return graph(*leaves, *nodes, values=values)


GOOD = doc()
HTML = '<img src="file:///etc/passwd"><script>alert(1)</script>'
HOSTILE = {
    # not JSON
    "empty": (b"", "not_json"),
    "blank": (b" \n\t ", "not_json"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "not_json"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not_json"),
    "UTF-16 without mark": (GOOD.decode().encode("utf-16-le"), "not_json"),
    "UTF-32": (GOOD.decode().encode("utf-32"), "not_json"),
    "binary": (bytes(range(256)) * 100, "not_json"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "not_json"),
    "pickle": (b"\x80\x04\x95\x1c\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.", "not_json"),
    "zip": (b"PK\x03\x04" + b"\0" * 200, "not_json"),
    "Latin-1": (doc(title="é").replace(b"\\u00e9", b"\xe9"), "not_json"),
    "NUL in a text": (doc(title="%").replace(b"%", b"\0"), "not_json"),
    "NaN": (doc('"seed": NaN'), "not_json"),
    "Infinity": (doc('"view": {"t": Infinity}'), "not_json"),
    "a comment": (doc("// hello"), "not_json"),
    "trailing comma": (GOOD[:-1] + b",}", "not_json"),
    "two documents": (GOOD + GOOD, "not_json"),
    "single quotes": (GOOD.replace(b'"', b"'"), "not_json"),
    "escaped lone surrogate": (doc(title="\ud800"), "not_json"),
    "raw lone surrogate": (doc(title="%").replace(b"%", b"\xed\xa0\x80"), "not_json"),
    "second half of a surrogate": (doc('"title": "\\udc00"'), "not_json"),
    # deep, long, many
    "a megabyte of [": (b"[" * 2**20, "too_many"),
    "100,000 [": (b"[" * 100_000, "not_scene"),
    "100,000 objects": (b'{"a":' * 100_000, "too_many"),
    "deep field": (doc('"x": ' + "[" * 50_000 + "]" * 50_000), "too_many"),
    "deep format": (b'{"format": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "too_many"),
    "deep extension": (doc('"ext": {"a": ' + "[" * 500 + "]" * 500 + "}"), "too_many"),
    "deep parameter": (doc('"parameters": {"T": ' + "[" * 50_000 + "]" * 50_000 + "}"), "too_many"),
    "many empty lists": (doc('"folded": [' + "[]," * 1_000_000 + "[]]"), "too_many"),
    "many numbers": (doc('"view": {"selection": [' + "1," * 2_000_000 + "1]}"), "too_many"),
    "17 MB": (doc(title="x" * 17_000_000), "too_large"),
    "45 MB of brackets": (b"[]," * 15_000_000, "too_large"),
    "15 MB of brackets": (b"[" + b"[]," * 5_000_000 + b"[]]", "too_many"),
    "15 MB of names": (
        doc('"parameters": {' + ",".join(f'"k{i}": 1' for i in range(900_000)) + "}"),
        "too_many"),
    # not a scene
    "a list": (b"[]", "not_scene"),
    "a number": (b"7", "not_scene"),
    "null": (b"null", "not_scene"),
    "no format": (b"{}", "not_scene"),
    "another format": (doc(format="excalidraw"), "not_scene"),
    "format is a list": (doc(format=["backstep-scene"]), "not_scene"),
    # versions
    "no version": (doc(version=None), "invalid"),
    "version 0": (doc(version=0), "invalid"),
    "version -1": (doc(version=-1), "invalid"),
    "version true": (doc(version=True), "invalid"),
    "version 1.0": (doc(version=1.0), "invalid"),
    "version text": (doc(version="1"), "invalid"),
    "version of 5,000 digits": (doc('"version": ' + "9" * 5000), "invalid"),
    "min_reader text": (doc(min_reader="1"), "invalid"),
    "far newer": (doc(version=99, min_reader=99), "newer"),
    "far, far newer": (doc(version=10**30, min_reader=10**30), "newer"),
    "newer, and broken": (doc(version=2, seed="x"), "invalid"),
    "newer, unknown scene": (doc(version=2, scene="hologram"), "unknown_scene"),
    # wrong types and fields
    "unknown field": (doc(colour="red"), "invalid"),
    "unknown field with an odd name": (doc(**{"\u202e\x00\x1b[31m" * 50: 1}), "invalid"),
    "unknown field with a long name": (doc(**{"x" * 100_000: 1}), "invalid"),
    "dunder field": (doc(__class__="os"), "invalid"),
    "unknown field in view": (doc(view={"zoom": 1}), "invalid"),
    "no scene": (b'{"format": "backstep-scene", "version": 1}', "invalid"),
    "scene null": (doc(scene=None), "invalid"),
    "scene number": (doc(scene=3), "invalid"),
    "parameters list": (doc(parameters=[]), "invalid"),
    "parameter null": (doc(parameters={"T": None}), "invalid"),
    "parameter list": (doc(parameters={"T": [3]}), "invalid"),
    "seed text": (doc(seed="1"), "invalid"),
    "seed fraction": (doc(seed=1.5), "invalid"),
    "seed negative": (doc(seed=-1), "invalid"),
    "seed of 64 bits": (doc(seed=2**63), "invalid"),
    "seed of 5,000 digits": (doc('"seed": ' + "9" * 5000), "invalid"),
    "seed 1e999": (doc('"seed": 1e999'), "invalid"),
    "t 1e999": (doc('"view": {"t": 1e999}'), "invalid"),
    "t text": (doc(view={"t": "nan"}), "invalid"),
    "view list": (doc(view=[]), "invalid"),
    "selection text": (doc(view={"selection": "all"}), "invalid"),
    "selection of fractions": (doc(view={"selection": [1.5]}), "invalid"),
    "camera of two": (doc(view={"camera": [1, 2]}), "invalid"),
    "camera text": (doc(view={"camera": "here"}), "invalid"),
    "folded object": (doc(folded={}), "invalid"),
    "folded numbers": (doc(folded=[1]), "invalid"),
    "folded upwards": (doc(folded=["a/../../b"]), "invalid"),
    "folded bidi": (doc(folded=["a\u202eb"]), "invalid"),
    "title list": (doc(title=["a"]), "invalid"),
    "notes number": (doc(notes=1), "invalid"),
    "notes of numbers": (doc(notes=["a", 1]), "invalid"),
    "chapters object": (doc(chapters={}), "invalid"),
    "chapter text": (doc(chapters=["one"]), "invalid"),
    "chapter without id": (doc(chapters=[{}]), "invalid"),
    "chapter twice": (doc(chapters=[{"id": "a"}, {"id": "a"}]), "invalid"),
    "chapter backwards": (doc(chapters=[{"id": "a", "start": 5, "stop": 2}]), "invalid"),
    "ext list": (doc(ext=[]), "invalid"),
    "ext control characters": (doc(ext={"\x1b]0;x\x07": 1}), "invalid"),
    "edits list": (doc(edits=[]), "invalid"),
    "held at nan": (doc(version=2, clamps={"h_1": {"shape": [], "dtype": "f8", "data": ["nan"]}}), "invalid"),
    "held list": (doc(version=2, clamps=["h_1"]), "invalid"),
    "cut text": (doc(version=2, cuts=["h_1"]), "invalid"),
    "cut without node": (doc(version=2, cuts=[{"input": 0}, {"node": "h_1"}]), "invalid"),
    "cut below zero": (doc(version=2, cuts=[{"node": "h_1", "input": -1}]), "invalid"),
    "cut with control characters": (doc(version=2, cuts=[{"node": "\x1b]0;x\x07"}]), "invalid"),
    "frozen numbers": (doc(version=2, frozen=[1]), "invalid"),
    "frozen nothing": (doc(version=2, frozen=[""]), "invalid"),
    "breakpoint of another kind": (doc(version=2, breakpoints=[{"kind": "os", "node": "W"}]), "invalid"),
    "breakpoint below zero": (doc(version=2, breakpoints=[{"kind": "above", "node": "W", "bound": -1}]),
                              "invalid"),
    "breakpoint too large": (
        doc('"version": 2, "breakpoints": [{"kind": "above", "node": "W", "bound": 1e999}]'), "invalid"),
    # scenes and parameters
    "unknown scene": (doc(scene="lstmm"), "unknown_scene"),
    "empty scene": (doc(scene=""), "unknown_scene"),
    "scene upwards": (doc(scene="../../etc/passwd"), "unknown_scene"),
    "scene is a module": (doc(scene="os.system"), "unknown_scene"),
    "scene with HTML": (doc(scene=HTML), "unknown_scene"),
    "scene with control characters": (doc(scene="\x1b[31m\u202e\u2066\n\r" * 100), "unknown_scene"),
    "scene of a megabyte": (doc(scene="s" * 2**20), "unknown_scene"),
    "unknown parameter": (doc(parameters={"Tt": 3}), "bad_parameter"),
    "parameter of a megabyte": (doc(parameters={"t" * 2**20: 3}), "bad_parameter"),
    "parameter dunder": (doc(parameters={"__class__": 3}), "bad_parameter"),
    "T too large": (doc(parameters={"T": 2**31}), "bad_parameter"),
    "T zero": (doc(parameters={"T": 0}), "bad_parameter"),
    "T text": (doc(parameters={"T": "3"}), "bad_parameter"),
    "T true": (doc(parameters={"T": True}), "bad_parameter"),
    "T fraction": (doc(parameters={"T": 3.5}), "bad_parameter"),
    "T of 5,000 digits": (doc('"parameters": {"T": ' + "9" * 5000 + "}"), "invalid"),
    "gain 1e308": (doc(parameters={"gain": 1e308}), "bad_parameter"),
    "choice": (doc(parameters={"activation": HTML}), "bad_parameter"),
    "choice of a megabyte": (doc(parameters={"activation": "x" * 2**20}), "too_large"),
    # arrays
    "no data": (doc(edits={"W": {"shape": [2], "dtype": "f8"}}), "invalid"),
    "data and b64": (edit(b64=["AAAA"]), "invalid"),
    "unknown field in an array": (edit(order="F"), "invalid"),
    "dtype object": (edit(dtype="O"), "invalid"),
    "dtype with fields": (edit(dtype="f8,(1000000000)f8"), "invalid"),
    "dtype big-endian": (edit(dtype=">f8"), "invalid"),
    "shape negative": (edit(shape=[-1, -2]), "invalid"),
    "shape fraction": (edit(shape=[2.0]), "invalid"),
    "shape huge": (edit(shape=[2**24] * 8), "too_large"),
    "shape hides behind a zero": (edit(shape=[0] + [2**24] * 7, data=[]), "too_large"),
    "shape of 2**62": (edit(shape=[2**62]), "too_large"),
    "shape of 30 digits": (edit(shape=[10**30]), "invalid"),
    "shape of 40 ones": (edit(shape=[1] * 40), "too_large"),
    "too few numbers": (edit(shape=[3]), "invalid"),
    "too many numbers": (edit(shape=[1]), "invalid"),
    "65 numbers": (edit(shape=[65], data=[0] * 65), "too_many"),
    "a word": (edit(data=[1, "seven"]), "invalid"),
    "nested numbers": (edit(data=[[1], [2]]), "invalid"),
    "truth among numbers": (edit(data=[1, True]), "invalid"),
    "number of 400 digits": (edit(data=[1, 10**400]), "invalid"),
    "too large for f4": (edit(dtype="f4", data=[1, 1e300]), "invalid"),
    "too large for i4": (edit(dtype="i4", data=[1, 2**31]), "invalid"),
    "fraction in i8": (edit(dtype="i8", data=[1, 2.5]), "invalid"),
    "nan in i8": (edit(dtype="i8", data=[1, "nan"]), "invalid"),
    "number in b1": (edit(dtype="b1", data=[True, 1]), "invalid"),
    "b64 too short": (b64([2], ["AAAA"]), "invalid"),
    "b64 too long": (b64([1], ["AAAAAAAAAAAAAAAA"]), "invalid"),
    "b64 is a text": (b64([1], "AAAAAAAAAAA="), "invalid"),
    "b64 in the wrong alphabet": (b64([1], ["AAAA-AA_AAA="]), "invalid"),
    "b64 not ASCII": (b64([1], ["AAAAAAAAAAé="]), "invalid"),
    "b64 padded in the middle": (b64([1], ["AA==AAAAAAA="]), "invalid"),
    "b64 with one byte more": (b64([1], ["AAAAAAAAAAAA"]), "invalid"),
    "b64 of a wrong truth": (b64([3], ["AgAA"], "b1"), "invalid"),
    "b64 in one long line": (b64([90], ["AAAA" * 240]), "invalid"),
    "leaf upwards": (edit(key="../../W"), "invalid"),
    "leaf bidi": (edit(key="W\u202e"), "invalid"),
    "leaf without a name": (edit(key=""), "invalid"),
    "leaf of a megabyte": (edit(key="k" * 2**20), "invalid"),
    # graphs
    "no graph": (doc(scene="your-graph"), "invalid"),
    "graph null": (doc(scene="your-graph", graph=None), "invalid"),
    "graph list": (doc(scene="your-graph", graph=[]), "invalid"),
    "graph without nodes": (doc(scene="your-graph", graph={"loss": "0", "nodes": []}), "bad_graph"),
    "loss is nowhere": (graph(loss="1"), "bad_graph"),
    "loss is no number": (over({"a": (2,)}).replace(b'"loss": "0"', b'"loss": "a"'), "bad_graph"),
    "own input": (graph(node("1", "tanh", "1")), "bad_graph"),
    "cyclic inputs": (graph(node("1", "tanh", "2"), node("2", "tanh", "1")), "bad_graph"),
    "input of the future": (graph(node("1", "tanh", "2"), node("2", "tanh", "0")), "bad_graph"),
    "the same id twice": (graph(node("0", "tanh", "0")), "bad_graph"),
    "id upwards": (graph(node("../../etc/passwd", "tanh", "0")), "bad_graph"),
    "id with dots": (graph(node("a..b", "tanh", "0")), "bad_graph"),
    "id with HTML": (graph(node(HTML, "tanh", "0")), "bad_graph"),
    "id bidi": (graph(node("a\u202eb", "tanh", "0")), "bad_graph"),
    "id of a megabyte": (graph(node("i" * 2**20, "tanh", "0")), "bad_graph"),
    "op by import": (graph(node("1", "__import__", "0")), "unknown_op"),
    "op is a module": (graph(node("1", "os.system", "0")), "unknown_op"),
    "op dunder": (graph(node("1", "__class__", "0")), "unknown_op"),
    "op of a megabyte": (graph(node("1", "o" * 2**20, "0")), "unknown_op"),
    "too many inputs": (graph(node("1", "tanh", "0", "0")), "bad_graph"),
    "too few inputs": (graph(node("1", "add", "0")), "bad_graph"),
    "no inputs": (graph(node("1", "add_n")), "bad_graph"),
    "a million inputs": (graph(node("1", "add_n", *["0"] * 900_000)), "too_many"),
    "leaf with inputs": (graph(node("1", "leaf", "0")), "bad_graph"),
    "leaf without a value": (graph({"id": "1", "kind": "input"}), "bad_graph"),
    "leaf of no kind": (graph({"id": "1", "value": 1.0}), "invalid"),
    "value 1e999": (graph().replace(b"1.0", b"1e999"), "invalid"),
    "value NaN": (graph().replace(b"1.0", b"NaN"), "not_json"),
    "value seven": (graph().replace(b"1.0", b'"seven"'), "invalid"),
    "an array that nobody uses": (graph(values={"a": zeros((2,))}), "bad_graph"),
    "unknown field in a node": (graph(node("1", "tanh", "0") | {"code": "x"}), "invalid"),
    "unknown attribute": (graph(node("1", "sum", "0", __class__=1)), "bad_graph"),
    "attribute of a wrong kind": (graph(node("1", "sum", "0", axis="all")), "bad_graph"),
    "attribute 1e999": (graph(node("1", "sum", "0", axis=12345)).replace(b"12345", b"1e999"), "invalid"),
    "attribute true": (graph(node("1", "softmax", "0", axis=True)), "bad_graph"),
    "attribute of another array": (graph(node("1", "getitem", "0", index={"array": "x"})), "bad_graph"),
    "attribute with two meanings": (
        graph(node("1", "getitem", "0", index={"slice": [1], "rest": 1})),
        "bad_graph"),
    "slice of texts": (graph(node("1", "getitem", "0", index={"slice": ["a", None, None]})), "bad_graph"),
    "deep attribute": (graph(node("1", "sum", "0", axis=json.loads("[" * 300 + "]" * 300))), "too_many"),
    "axis that is not there": (over({"a": (2,)}, node("1", "sum", "a", axis=5)), "bad_graph"),
    "shapes that do not meet": (over({"a": (2,), "b": (3,)}, node("1", "add", "a", "b")), "bad_graph"),
    "matmul of 16 M by 16 M": (
        over({"a": (3000, 1), "b": (1, 3000)}, node("1", "matmul", "a", "b")),
        "too_large"),
    "outer product of long vectors": (over({"a": (10**6,)}, node("1", "outer", "a", "a")), "too_large"),
    "broadcast to 10¹² numbers": (
        over({"a": (10**6, 1), "b": (10**6,)}, node("1", "add", "a", "b")),
        "too_large"),
    "reshape to a huge shape": (over({"a": (4,)}, node("1", "reshape", "a", shape=[2**62, 4])), "bad_graph"),
    "reshape to zeros": (over({"a": (4,)}, node("1", "reshape", "a", shape=[0, -1])), "bad_graph"),
    "huge padding": (
        over({"a": (1, 1, 2, 2)}, node("1", "avg_pool2d", "a", kernel_size=2**24, padding=2**23)),
        "too_large"),
    "huge stride": (over({"a": (1, 1, 2, 2)}, node("1", "max_pool2d", "a", stride=2**40)), "bad_graph"),
    "huge kernel": (
        over({"a": (1, 1, 2000, 1900)}, node("1", "max_pool2d", "a", kernel_size=[2000, 1900])),
        "too_large"),
    "stacked without end": (
        graph(*(node(str(i), "stack", *[str(i - 1)] * 10) for i in range(1, 12))),
        "too_large"),
    "doubled without end": (
        over({"n0": (2,)}, *(node(f"n{i}", "concatenate", *[f"n{i - 1}"] * 2) for i in range(1, 60))),
        "too_large"),
    "too much work": (over({"a": (1500, 1500)}, node("1", "matmul", "a", "a")), "too_large"),
    "index of index": (
        over({"a": (10,), "i": (10**6,)}, node("1", "getitem", "a", index={"array": "i"})),
        "bad_graph"),
    "time far away": (graph({"id": "1", "kind": "input", "value": 1.0, "time": 2**62}), "invalid"),
    "scope in scope": (graph({"id": "1", "kind": "input", "value": 1.0, "scope": ["a"] * 5000}), "too_many"),
    "scope with a bell": (graph({"id": "1", "kind": "input", "value": 1.0, "scope": ["\x07"]}), "invalid"),
    "name bidi": (graph({"id": "1", "kind": "input", "value": 1.0, "name": "a\u2066b"}), "invalid"),
    "part that is not there": (graph({"id": "1", "kind": "input", "value": 1.0, "outside": 3}), "bad_graph"),
}  # fmt: skip


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_in_one_sentence(tmp_path, name):
    data, code = HOSTILE[name]
    path = tmp_path / "hostile.backstep"
    path.write_bytes(data)
    begun = time.perf_counter()
    with pytest.raises(FileError) as caught:
        load(path)
    assert time.perf_counter() - begun < 2
    error = caught.value
    check_error(error)
    assert error.code == code, str(error)
    assert str(error).startswith("hostile.backstep")
    assert str(tmp_path) not in str(error)
    with pytest.raises(FileError) as caught:
        reading.check(data, path.name)
    assert str(caught.value) == str(error), "a save would not be told the same"
    found = faults(path)
    assert code in {fault.code for fault in found}
    assert len(found) <= 100
    for fault in found:
        check_error(fault)
    assert os.listdir(tmp_path) == ["hostile.backstep"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_gigabyte_is_enough_for_all_of_them(tmp_path):
    """A program that may not have more reads them all, one after the other."""
    script = """
import json, resource, sys, time
from tests.explorer.test_hostile_files import HOSTILE
from explorer.model.files import FileError, load
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = {}
for name, (data, code) in HOSTILE.items():
    open(sys.argv[1], "wb").write(data)
    begun = time.perf_counter()
    try:
        load(sys.argv[1])
        told[name] = ["loaded", 0]
    except FileError as error:
        told[name] = [error.code, time.perf_counter() - begun]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
print(json.dumps([told, grown / 1024]))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    run = [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "hostile.backstep")]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    told, megabytes = json.loads(done.stdout)
    assert megabytes < 100
    assert {name: code for name, (code, _) in told.items()} == {n: code for n, (_, code) in HOSTILE.items()}
    assert max(seconds for _, seconds in told.values()) < 2


def test_names_of_nodes_can_not_be_taken_for_markup():
    data = graph({"id": "1", "kind": "input", "value": 1.0, "name": HTML, "scope": ["<b>", "h<3"]})
    edits = b'"edits": {"<i>": {"shape": [], "dtype": "f8", "data": [1]}}, "graph"'
    loaded = decode(data.replace(b'"graph"', edits), "x")
    row = loaded.graph.rows[1]
    assert "<" not in row.name
    assert row.scope == ("‹b>", "h<3")
    assert list(loaded.state.edits) == ["‹i>"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("duplicate keys", doc('"seed": 1, "seed": 5')),
        ("HTML in texts", doc(title=HTML, notes=HTML, chapters=[{"id": "a", "text": HTML}], seed=5)),
        ("code in an extension", doc(ext={"x": "__import__('os').system('echo')"}, seed=5)),
        ("bidi in texts", doc(title="\u202eabc", notes="\u2066abc\x07", seed=5)),
        ("odd view", doc(view={"t": -1e300, "camera": [1e300, 0, 0], "selection": [-5]}, seed=5)),
    ],
)
def test_what_is_only_odd_opens_and_does_nothing(name, data):
    assert verdict(data) == "loaded"
    loaded = decode(data, name)
    assert loaded.state.seed == 5
    assert (loaded.title + loaded.state.notes).isprintable()


def test_a_file_truncated_anywhere():
    data = encode(State(scene="bptt", parameters=SCENES["bptt"].defaults(), seed=3), title="日本").rstrip()
    for i in range(len(data)):
        assert verdict(data[:i]) == "not_json"


def test_every_single_byte_of_a_file_changed():
    for i in range(len(GOOD)):
        for value in (0, 34, 92, 255):
            verdict(GOOD[:i] + bytes([value]) + GOOD[i + 1 :])


def test_nesting_ends_alike_at_every_depth():
    """Deep or not so deep, and however deep the caller is: never a crash, never another error."""

    def called_from(level, data):
        return called_from(level - 1, data) if level else verdict(data)

    for deep in (10, 60, 65, 500, 900, 1000, 1100, 5000):
        data = doc('"ext": {"a": ' + "[" * deep + "]" * deep + "}")
        for level in (0, 300, 700):
            assert called_from(level, data) == ("loaded" if deep <= 64 else "too_many")


@pytest.mark.parametrize("name", ["", "a", "\u202e\x1b[31m\n", "n" * 5000, "{place}{0}", "日本語.backstep"])
def test_the_name_of_the_file_can_not_spoil_the_sentence(name):
    for data, _ in (HOSTILE["T zero"], HOSTILE["unknown field with an odd name"], HOSTILE["empty"]):
        with pytest.raises(FileError) as caught:
            decode(data, name)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) <= 300


def test_what_is_no_file(tmp_path):
    for path, code in ((tmp_path / "none.backstep", "not_found"), (tmp_path, "unreadable")):
        with pytest.raises(FileError) as caught:
            load(path)
        check_error(caught.value)
        assert caught.value.code == code
    for path in (tmp_path / "a\0b", tmp_path / ("n" * 300)):
        with pytest.raises(FileError) as caught:
            load(path)
        assert caught.value.code == "unreadable"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_pipes_devices_and_rings_of_links_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.backstep")
    (tmp_path / "ring.backstep").symlink_to("ring.backstep")
    for path in (tmp_path / "pipe.backstep", tmp_path / "ring.backstep", "/dev/zero"):
        with pytest.raises(FileError) as caught:
            load(path)
        check_error(caught.value)
        assert caught.value.code == "unreadable"


def test_a_near_miss_names_what_was_meant():
    with pytest.raises(FileError, match="did you mean lstm"):
        decode(doc(scene="lstmm"), "a.backstep")
    with pytest.raises(FileError, match="did you mean hidden") as caught:
        decode(doc(parameters={"hiden": 3}), "a.backstep")
    assert caught.value.place == "$.parameters.hiden"


def test_a_syntax_error_has_line_and_column():
    with pytest.raises(FileError, match="line 2, column 4"):
        decode(b'{"a": 1,\n   x}', "a.backstep")


def test_base64_is_what_everybody_calls_so():
    state = decode(b64([1], [base64.b64encode(b"\0\0\0\0\0\0\xf0\x3f").decode()]), "x").state
    assert state.edits["W"] == [1.0]


def test_thousands_of_spoiled_files():
    verdicts = fuzz(5_000, seed=1)
    assert verdicts["loaded"] > 100  # else the mutations are too coarse to find anything
    assert len(verdicts) >= 7
