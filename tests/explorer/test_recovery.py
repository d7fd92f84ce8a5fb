"""Nothing that a user made is lost: locks, files changed by others, kept work and how it comes back."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer.model import files
from explorer.model.files import FileError, lock
from explorer.model.files.document import Document
from explorer.model.session import Session, open_session
from scenes import SCENES
from scenes.scene import SceneError


@pytest.fixture
def made(tmp_path):
    """A function that makes documents with a session each, as windows have them."""
    opened = []

    def make(scene=None):
        session = open_session(scene) if scene else Session()
        document = Document(session, tmp_path / "kept")
        document.forget()
        opened.append(document)
        return document

    yield make
    for document in opened:
        document.close()


def edit(document, number):
    """Work of a user that can be told apart."""
    session = document.session
    session.edit(session.recording["b"].id, [number, 0.0, 0.0])


def number(document):
    session = document.session
    return session.trace.values[session.recording["b"].id][0]


def orphaned(folder):
    """Kept work as it looks when the program that kept it has died."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for file in folder.iterdir():
        file.rename(file.with_name(f"{file.name.split('-')[0]}-{gone.pid}.json"))
    return files.recoverable(folder)


def code(work):
    with pytest.raises(FileError) as caught:
        work()
    return caught.value.code


# Locks


def test_a_file_is_written_by_one_window_at_a_time(made, tmp_path):
    path = str(tmp_path / "a.backstep")
    first, second = made("bptt"), made("bptt")
    first.save(path)
    second.open(path)
    assert second.read_only
    assert "another window" in second.warning
    assert second.path is None
    edit(second, 7)
    assert code(lambda: second.save(path)) == "locked"
    second.save(str(tmp_path / "b.backstep"))
    assert not second.read_only
    first.close()
    third = made()
    third.open(path)
    assert not third.read_only


def test_a_lock_goes_with_its_window_and_no_trace_stays(made, tmp_path):
    document = made("bptt")
    document.save(str(tmp_path / "a.backstep"))
    assert (tmp_path / ".a.backstep.lock").exists()
    document.save(str(tmp_path / "b.backstep"))
    assert not (tmp_path / ".a.backstep.lock").exists()
    document.forget()
    assert sorted(os.listdir(tmp_path)) == ["a.backstep", "b.backstep"]


def test_the_same_window_opens_its_file_again(made, tmp_path):
    document = made("bptt")
    document.save(str(tmp_path / "a.backstep"))
    document.open(str(tmp_path / "a.backstep"))
    assert not document.read_only
    (tmp_path / "link.backstep").symlink_to("a.backstep")
    document.open(str(tmp_path / "link.backstep"))
    assert not document.read_only


@pytest.mark.parametrize(
    "content", [b"", b"[[[", b'{"pid": 1e99}', b'{"pid": -1}', b'{"pid": 0}', b"\xff" * 9000]
)
def test_a_lock_that_makes_no_sense_is_nobodys(tmp_path, content):
    file = tmp_path / ".a.backstep.lock"
    file.write_bytes(content)
    os.utime(file, (time.time() - 5,) * 2)
    held = lock.take(tmp_path / "a.backstep")
    assert held is not None
    held.release()
    assert os.listdir(tmp_path) == []


def test_a_lock_of_a_program_that_died_counts_for_nothing(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    held = lock.take(tmp_path / "a.backstep")
    note = json.loads(held.file.read_bytes())
    held.file.write_text(json.dumps(note | {"pid": gone.pid}))
    assert lock.take(tmp_path / "a.backstep") is not None


def test_a_lock_of_another_machine_counts_while_it_is_refreshed(tmp_path):
    held = lock.take(tmp_path / "a.backstep")
    note = json.loads(held.file.read_bytes())
    held.file.write_text(json.dumps(note | {"host": "elsewhere", "pid": 1}))
    assert code(lambda: lock.take(tmp_path / "a.backstep")) == "locked"
    os.utime(held.file, (time.time() - 2 * lock.FOREIGN,) * 2)
    held.refresh()
    assert code(lambda: lock.take(tmp_path / "a.backstep")) == "locked"
    os.utime(held.file, (time.time() - 2 * lock.FOREIGN,) * 2)
    taken = lock.take(tmp_path / "a.backstep")
    assert taken is not None
    held.release()  # it is another's by now
    assert taken.file.exists()


def test_without_a_place_for_a_lock_work_goes_on(made, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "no")

    document = made("bptt")
    document.save(str(tmp_path / "a.backstep"))
    document.close()
    with monkeypatch.context() as patch:
        patch.setattr(lock.os, "open", refuse)
        assert lock.take(tmp_path / "a.backstep") is None


# Changed on disk


def test_a_file_that_somebody_else_wrote_is_kept_until_the_user_says_so(made, tmp_path):
    path = tmp_path / "a.backstep"
    document = made("bptt")
    document.save(str(path))
    assert not document.changed_on_disk
    other = open_session("bptt", T=5)
    files.save(path, other.state)
    assert document.changed_on_disk
    edit(document, 3)
    assert code(document.save) == "changed_on_disk"
    assert document.session.dirty
    assert files.load(path).state.parameters["T"] == 5
    document.save(overwrite=True)
    assert files.load(path).state.edits["b"][0] == 3
    assert files.load(f"{path}~").state.parameters["T"] == 5
    assert not document.changed_on_disk
    path.unlink()
    assert not document.changed_on_disk
    document.save()
    assert path.exists()


def test_a_save_that_fails_leaves_the_work_unsaved_and_kept(made, tmp_path, monkeypatch):
    document = made("bptt")
    document.save(str(tmp_path / "a.backstep"))
    edit(document, 3)
    document.keep()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.atomic.os, "fsync", full)
        assert code(document.save) == "unwritable"
        assert code(lambda: document.save(str(tmp_path / "b.backstep"))) == "unwritable"
    assert document.session.dirty
    assert not (tmp_path / ".b.backstep.lock").exists()
    assert document.path == str(tmp_path / "a.backstep")
    assert len(list((tmp_path / "kept").iterdir())) == 1


# Kept work


def test_only_unsaved_work_is_kept_and_only_once(made, tmp_path):
    document = made("bptt")
    assert not document.keep()
    edit(document, 1)
    assert document.keep()
    assert not document.keep()
    edit(document, 2)
    assert document.keep()
    assert len(list((tmp_path / "kept").iterdir())) == 1
    document.session.undo()
    document.session.undo()
    assert not document.session.dirty
    assert document.keep()  # what was kept says what is on screen, also after an undo


def test_kept_work_goes_with_save_and_with_discard(made, tmp_path):
    document = made("bptt")
    edit(document, 1)
    document.keep()
    document.save(str(tmp_path / "a.backstep"))
    assert list((tmp_path / "kept").iterdir()) == []
    edit(document, 2)
    document.keep()
    document.drop()
    assert list((tmp_path / "kept").iterdir()) == []


def test_work_behind_an_undo_stays_kept_until_the_end(made, tmp_path):
    document = made("bptt")
    edit(document, 1)
    document.keep()
    document.session.open_scene("cec")
    document.forget()
    assert len(list((tmp_path / "kept").iterdir())) == 1
    document.close()
    assert list((tmp_path / "kept").iterdir()) == []


def test_work_comes_back_with_its_file_and_stays_kept(made, tmp_path):
    path = str(tmp_path / "a.backstep")
    first = made("bptt")
    first.save(path)
    edit(first, 42)
    first.keep()
    first._lock.release()  # as after its death
    [item] = orphaned(tmp_path / "kept")
    second = made()
    second.restore(item)
    assert number(second) == 42
    assert second.session.dirty
    assert second.path == path
    assert not item.file.exists()
    assert len(list((tmp_path / "kept").iterdir())) == 1, "it is kept under another name now"
    second.save()
    assert list((tmp_path / "kept").iterdir()) == []
    assert files.load(path).state.edits["b"][0] == 42
    first._kept = None


def test_work_that_comes_back_does_not_overwrite_what_came_after_it(made, tmp_path):
    path = str(tmp_path / "a.backstep")
    first = made("bptt")
    first.save(path)
    edit(first, 42)
    first.keep()
    first._lock.release()
    [item] = orphaned(tmp_path / "kept")
    files.save(path, open_session("bptt", T=5).state)
    assert item.original_changed
    second = made()
    second.restore(item)
    assert code(second.save) == "changed_on_disk"
    assert files.load(path).state.parameters["T"] == 5
    first._kept = None


def test_work_comes_back_when_its_file_is_gone(made, tmp_path):
    first = made("bptt")
    first.save(str(tmp_path / "a.backstep"))
    edit(first, 42)
    first.keep()
    (tmp_path / "a.backstep").unlink()
    [item] = orphaned(tmp_path / "kept")
    second = made()
    second.restore(item)
    assert second.path is None
    assert number(second) == 42
    first._kept = None


def test_work_that_can_not_be_shown_stays_kept(made, tmp_path):
    first = made("bptt")
    edit(first, 42)
    first.keep()
    [item] = orphaned(tmp_path / "kept")
    item.file.write_text(item.file.read_text().replace('"bptt"', '"gone"'))
    second = made("cec")
    with pytest.raises(SceneError):
        second.restore(item)
    assert item.file.exists()
    assert second.session.state.scene == "cec"
    first._kept = None


def test_a_graph_of_ones_own_is_kept_whole_and_comes_back(made, tmp_path):
    import autograd as ag

    with ag.Graph() as graph:
        w = ag.tensor([1.0, 2.0], name="w")
        loss = ag.sum(ag.tanh(w) ** 2)
    first = made()
    first.session.open_graph(graph, loss)
    first.forget()
    first.session.edit(w.id, [3.0, 4.0])
    first.keep()
    [item] = orphaned(tmp_path / "kept")
    second = made()
    second.restore(item)
    for a, b in zip(first.session.trace.grads, second.session.trace.grads, strict=True):
        np.testing.assert_array_equal(a, b)
    second.session.reset_edits()
    np.testing.assert_array_equal(second.session.trace.values[w.id], [1.0, 2.0])
    second.save(str(tmp_path / "own.backstep"))
    third = made()
    third.open(str(tmp_path / "own.backstep"))
    assert third.session.trace.values[loss.id] == second.session.trace.values[loss.id]
    first._kept = None


def test_a_newer_file_is_looked_at_and_never_written_to(made, tmp_path):
    path = tmp_path / "a.backstep"
    files.save(path, open_session("bptt").state)
    newer = json.loads(path.read_bytes()) | {"version": 9, "holograms": [1]}
    path.write_text(json.dumps(newer))
    before = path.read_bytes()
    document = made()
    document.open(str(path))
    assert document.read_only
    assert document.from_newer
    assert document.path is None
    edit(document, 5)
    document.keep()
    [kept] = (tmp_path / "kept").iterdir()
    assert Path(json.loads(kept.read_bytes())["original"]) == path
    [item] = orphaned(tmp_path / "kept")
    document._kept = None
    second = made()
    second.restore(item)  # work on it that comes back is no reason to write to it either
    assert second.path is None
    assert second.from_newer
    assert number(second) == 5
    document.save(str(tmp_path / "copy.backstep"))
    assert not document.read_only
    assert path.read_bytes() == before


def test_values_that_a_scene_refuses_together_end_in_one_error(made, tmp_path, monkeypatch):
    def refuse(*_):
        raise SceneError("these values do not go together", "この組み合わせは使えません")

    path = str(tmp_path / "a.backstep")
    files.save(path, open_session("bptt", T=5).state)
    document = made("cec")
    with monkeypatch.context() as patch:
        patch.setitem(SCENES, "bptt", replace(SCENES["bptt"], builder=refuse))
        assert code(lambda: document.open(path)) == "bad_parameter"
    assert document.session.state.scene == "cec"
    assert not (tmp_path / ".a.backstep.lock").exists()
