"""Scene files are written whole or not at all, and work that was not saved is found again."""

import contextlib
import errno
import gc
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.model import files
from explorer.model.files import FileError, atomic, decode, encode, load, lock, recovery, save
from explorer.model.files.limits import LIMITS
from explorer.model.session import State
from tests.explorer.scene_documents import refused
from tests.soak import check_error, same

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("notes", ['a","b', ',\n"\n","\n\\n', "\n\n", "\u2028\n\x85x"], ids=repr)
def test_a_line_of_the_notes_is_a_line_of_the_file(state, notes):
    data = encode(replace(state, notes=notes))
    bare = encode(replace(state, notes=""))
    kept = decode(data, "x").state.notes
    assert kept == notes.replace("\x85", "")
    assert data.count(b"\n") - bare.count(b"\n") == (notes.count("\n") + 3 if "\n" in notes else 1)


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
