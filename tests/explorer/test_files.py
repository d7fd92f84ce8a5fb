"""Scene files come back as they were, are written whole or not at all, and keep to their limits."""

import errno
import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from explorer.model import files
from explorer.model.files import FileError, UserChapter, atomic, decode, encode, load, recovery, save, schema
from explorer.model.files.limits import LIMITS, depth
from explorer.model.session import State, open_session
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
        camera=draw(cameras),
        chapter=draw(names),
    )


@st.composite
def chapters(draw):
    ids = draw(st.lists(names, unique=True, max_size=3))
    spans = [sorted((draw(st.floats(0, 1e7)), draw(st.floats(0, 1e7)))) for _ in ids]
    return tuple(
        UserChapter(id, draw(lines), draw(texts), start, stop, draw(cameras))
        for id, (start, stop) in zip(ids, spans, strict=True)
    )


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(states(), lines, texts, chapters())
def test_every_state_comes_back_bit_for_bit(state, title, notes, chapters):
    data = encode(state, title=title, notes=notes, chapters=chapters)
    loaded = decode(data, "x.backstep")
    assert same(loaded.state, state)
    assert (loaded.title, loaded.notes, loaded.chapters) == (title, notes, chapters)
    assert encode(loaded.state, **loaded.extras()) == data


@pytest.mark.parametrize("id", sorted(SCENES))
def test_every_scene_saves_and_opens(tmp_path, id):
    before, extras = full_state(id)
    save(tmp_path / "a.backstep", before, **extras)
    loaded = load(tmp_path / "a.backstep")
    assert same(loaded.state, before)
    assert loaded.title == extras["title"]
    assert loaded.notes == extras["notes"]
    assert loaded.chapters == tuple(extras["chapters"])
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
    data = encode(state, title="a\u202eb\x07\nc", notes="a\u202eb\x1b\r\nc\td")
    loaded = decode(data, "x")
    assert (loaded.title, loaded.notes) == ("ab c", "ab\nc\td")


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
    assert code(document(version=7, min_reader=2)) == "newer"
    assert code(document(version=7, min_reader=2, scene=3)) == "newer"


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


def zeros(n):
    return schema.from_array(np.zeros(n, dtype="bool"))


AT_LIMIT = {
    "edits": (lambda n: {"edits": {f"w{i}": array() for i in range(n)}}, LIMITS.edits, "too_many"),
    "inline": (lambda n: {"edits": {"W": array(n)}}, LIMITS.inline, "too_many"),
    "dims": (lambda n: {"edits": {"W": array(shape=[1] * n)}}, LIMITS.dims, "too_large"),
    "dim": (lambda n: {"edits": {"W": array(shape=[0, n], dtype="b1", data=[])}}, None, "too_large"),
    "array": (lambda n: {"edits": {"W": zeros(n)}}, LIMITS.array_bytes, "too_large"),
    "arrays": (lambda n: {"edits": {"a": zeros(5), "W": zeros(n - 5)}}, LIMITS.arrays_bytes, "too_large"),
    "line": (
        lambda n: {"edits": {"W": {"shape": [n // 4 * 3], "dtype": "b1", "b64": ["A" * n]}}}, 96, "invalid"
    ),
    "key": (lambda n: {"edits": {"k" * n: array()}}, LIMITS.key, "invalid"),
    "folded": (lambda n: {"folded": ["a"] * n}, LIMITS.folded, "too_many"),
    "scope": (lambda n: {"folded": ["a" * n]}, LIMITS.scope, "invalid"),
    "title": (lambda n: {"title": "a" * n}, LIMITS.title, "too_large"),
    "notes": (lambda n: {"notes": "a" * n}, LIMITS.text, "too_large"),
    "chapters": (lambda n: {"chapters": [chapter(i) for i in range(n)]}, LIMITS.chapters, "too_many"),
    "chapter id": (lambda n: {"chapters": [chapter(id="a" * n)]}, LIMITS.key, "invalid"),
    "chapter title": (lambda n: {"chapters": [chapter(title="a" * n)]}, LIMITS.title, "too_large"),
    "chapter text": (lambda n: {"chapters": [chapter(text=["a" * n])]}, LIMITS.text, "too_large"),
    "moment": (lambda n: {"chapters": [chapter(start=n - 1, stop=n)]}, int(LIMITS.moment), "invalid"),
    "extensions": (lambda n: {"ext": {f"n{i}": 1 for i in range(n)}}, LIMITS.extensions, "too_many"),
    "extension": (lambda n: {"ext": {"a": "x" * (n - 2)}}, LIMITS.extension_bytes, "too_many"),
    "namespace": (lambda n: {"ext": {"a" * n: 1}}, LIMITS.key, "invalid"),
    "extension depth": (lambda n: {"ext": {"a": nested(n)}}, LIMITS.extension_depth, "too_many"),
    "seed": (lambda n: {"seed": n}, 2**63 - 1, "invalid"),
    "parameter": (lambda n: {"parameters": {"T": n}}, 50, "bad_parameter"),
}  # fmt: skip


@pytest.mark.parametrize("name", AT_LIMIT)
def test_limits(name):
    make, limit, refusal = AT_LIMIT[name]
    if limit is None:  # a size of 2**24 is more than an array can have, even in the smallest type
        assert code(document(**make(LIMITS.array_bytes))) == ""
        assert code(document(**make(LIMITS.dim + 1))) == refusal
        return
    assert code(document(**make(limit))) == ""
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


def test_faults_are_at_most_fifty(tmp_path):
    path = tmp_path / "bad.backstep"
    path.write_bytes(document(edits={f"w{i}": 1 for i in range(1000)}))
    assert len(files.faults(path)) == 50


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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_and_a_file_that_are_read_only(tmp_path, state):
    path = tmp_path / "a.backstep"
    save(path, state)
    path.chmod(0o444)
    assert refused(path, state).code == "unwritable"
    path.chmod(0o644)
    tmp_path.chmod(0o555)
    assert refused(path, replace(state, seed=4)).code == "unwritable"
    tmp_path.chmod(0o755)
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


def test_only_scenes_of_the_catalogue_are_saved(tmp_path):
    assert refused(tmp_path / "a.backstep", State()).code == "unknown_scene"
    assert refused(tmp_path / "a.backstep", State(scene="your-graph")).code == "unknown_scene"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_while_saving():
    run = [sys.executable, "-W", "ignore", "-m", "tests.soak", "kill", "--count", "10"]
    out = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    tally = json.loads(out)
    assert (tally["kills"], tally["lost"], tally["backups lost"]) == (10, 0, 0)
    assert tally["hit while writing"] >= 3


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
    edited = replace(state, seed=77)
    folder = tmp_path / "kept"
    file = abandoned(folder, edited, original, notes="mine")
    [item] = files.recoverable(folder)
    assert (item.file, item.original, item.original_changed) == (file, str(original), False)
    assert same(item.load().state, edited)
    assert item.load().notes == "mine"
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
        patch.setattr(recovery, "_process", lambda pid: "earlier 123")
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
