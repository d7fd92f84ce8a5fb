"""The window keeps what its user made: it asks before work is left, and offers again what was kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QListWidget, QMessageBox, QPushButton

import autograd as ag
from explorer.model import files, text
from explorer.model.actions import ACTIONS
from explorer.model.session import open_session
from explorer.view import dialogs
from explorer.view.keeping import KEEP_EVERY, Keeping
from explorer.view.settings import Settings
from explorer.view.window import Window
from tests import soak

ASK_KEEP = dialogs.ask_keep  # before the tests' own answer takes its place


@pytest.fixture
def opened(qtbot, tmp_path):
    """A function that opens windows which share their settings and their folder for kept work."""

    def make(scene=""):
        dialogs.install_qt_translation("en")  # an earlier test may have left others
        w = Window(settings=Settings(str(tmp_path / "settings.ini")), keep_in=tmp_path / "kept")
        w.canvas.reduced_motion = True
        qtbot.addWidget(w)
        w.resize(1100, 700)
        with qtbot.waitExposed(w):
            w.show()
        if scene:
            w.open_scene(scene)
        return w

    return make


@pytest.fixture
def bptt(opened):
    return opened("bptt")


def edit(w, number):
    w.session.edit(w.session.recording["b"].id, [number, 0.0, 0.0])


def number(w):
    return w.session.trace.values[w.session.recording["b"].id][0]


def orphan(folder):
    """Kept work as it looks when the program that kept it has died."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    [file] = folder.iterdir()
    return file.rename(file.with_name(f"{file.name.split('-')[0]}-{gone.pid}.json"))


PENDING: list[str] = []


def answer(words):
    """Click the button of the next dialog that says so, as a user does; returns a list with its sentence."""
    said = []
    PENDING.append(words)

    def click():
        PENDING.remove(words)
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox), "no question was asked"
        said.append(box.text())
        buttons = {b.text().replace("&", ""): b for b in box.buttons()}
        if words not in buttons or box.textFormat() != Qt.TextFormat.PlainText:
            box.reject()
        QTest.mouseClick(buttons[words], Qt.MouseButton.LeftButton)

    QTimer.singleShot(50, click)
    return said


@pytest.fixture
def asking(monkeypatch):
    """The question before work is left is asked in earnest; the list of those that nobody answers."""
    unexpected = []

    def ask(*arguments):
        if PENDING:
            return ASK_KEEP(*arguments)
        unexpected.append(arguments[-1])
        return "discard"

    monkeypatch.setattr(dialogs, "ask_keep", ask)
    return unexpected


def save_as(monkeypatch, path):
    """What the next file dialogs answer."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


# Leaving


def test_closing_asks_about_a_changed_catalogue_scene(bptt, asking):
    edit(bptt, 4)
    said = answer("Cancel")
    assert not bptt.close()
    assert said == ["Save the changes to Back-propagation through time?"]
    assert bptt.isVisible()
    assert number(bptt) == 4
    answer("Discard")
    assert bptt.close()


def test_closing_saves_when_told_so(bptt, asking, tmp_path, monkeypatch):
    path = tmp_path / "mine.backstep"
    save_as(monkeypatch, path)
    edit(bptt, 4)
    answer("Save")
    assert bptt.close()
    assert files.load(path).state.edits["b"][0] == 4
    assert not (tmp_path / ".mine.backstep.lock").exists()


def test_a_save_dialog_that_is_left_keeps_the_window_open(bptt, asking, monkeypatch):
    save_as(monkeypatch, "")
    edit(bptt, 4)
    answer("Save")
    assert not bptt.close()
    bptt.session.undo()
    assert bptt.close()
    assert asking == [], "nothing is unsaved any more"


def test_unchanged_work_closes_without_a_question(bptt, asking):
    bptt.session.update(t=5.0, selection=(1,))
    assert bptt.close()
    assert asking == []


def test_another_scene_needs_no_question_where_undo_leads_back(bptt, asking):
    edit(bptt, 4)
    bptt.open_scene("cec")
    assert bptt.session.state.scene == "cec"
    assert asking == []
    bptt.session.undo()
    assert number(bptt) == 4


def test_a_file_asks_before_another_scene_takes_its_place(bptt, asking, tmp_path):
    bptt.keeping.save_to(str(tmp_path / "<b>a<b>.backstep"))
    edit(bptt, 4)
    said = answer("Cancel")
    bptt.open_scene("cec")
    assert "<b>a<b>.backstep" in said[0], "a name is a name, whatever it looks like"
    assert bptt.session.state.scene == "bptt"


# Keeping


def test_work_is_kept_after_some_seconds_and_every_minute(bptt, qtbot, tmp_path):
    assert bptt.keeping._keep_often.interval() == KEEP_EVERY == 60_000
    assert bptt.keeping._keep_often.isActive()
    assert bptt.keeping._keep_soon.interval() <= 10_000
    bptt.keeping._keep_soon.stop()
    bptt.keeping._keep_soon.setInterval(20)
    edit(bptt, 4)
    qtbot.waitUntil(lambda: (tmp_path / "kept").exists() and len(list((tmp_path / "kept").iterdir())) == 1)
    [file] = (tmp_path / "kept").iterdir()
    assert json.loads(file.read_bytes())["scene"]["edits"]["b"]["data"][0] == 4
    bptt.keeping._keep_soon.setInterval(100_000)
    bptt.keeping._keep_often.setInterval(20)
    edit(bptt, 5)
    qtbot.waitUntil(lambda: json.loads(file.read_bytes())["scene"]["edits"]["b"]["data"][0] == 5)
    bptt.keeping._keep_often.setInterval(60_000)


def test_work_that_can_not_be_kept_is_said(bptt, tmp_path):
    (tmp_path / "kept").touch()
    edit(bptt, 4)
    bptt.keeping.keep()
    assert "can not be kept" in bptt.banner.label.text()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_next_start_offers_what_was_left(bptt, opened, tmp_path, language):
    edit(bptt, 42)
    bptt.keeping.keep()
    orphan(tmp_path / "kept")
    bptt.keeping.document._kept = None
    second = opened()
    text.set_language(language)
    second.keeping.offer_recovery()
    dialog = QApplication.activeModalWidget()
    listed = dialog.findChild(QListWidget)
    assert listed.count() == 1
    assert text.tr("Not saved to a file yet") in listed.item(0).text()
    button = next(b for b in dialog.findChildren(QPushButton) if b.text() == text.tr("Restore"))
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert number(second) == 42
    assert second.isWindowModified()
    assert not dialog.isVisible()
    assert len(list((tmp_path / "kept").iterdir())) == 1, "kept until Save or Discard"


def test_later_asks_again_and_discard_does_not(bptt, opened, tmp_path):
    edit(bptt, 42)
    bptt.keeping.keep()
    file = orphan(tmp_path / "kept")
    bptt.keeping.document._kept = None
    second = opened()
    for words, stays in (("Later", True), ("Discard", False)):
        second.keeping.offer_recovery()
        dialog = QApplication.activeModalWidget()
        button = next(b for b in dialog.findChildren(QPushButton) if b.text() == words)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        assert file.exists() == stays
        assert not dialog.isVisible()
    second.keeping.offer_recovery()
    assert QApplication.activeModalWidget() is None


def test_a_closed_window_leaves_nothing_behind(bptt, opened, tmp_path):
    edit(bptt, 42)
    bptt.keeping.keep()
    bptt.open_scene("cec")
    edit_cec = bptt.session.recording.graph.leaves()[0].id
    bptt.session.edit(edit_cec, bptt.session.trace.values[edit_cec] + 1)
    bptt.keeping.keep()
    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert bptt.close()
    assert list((tmp_path / "kept").iterdir()) == []


# Files that others have, or have changed


def changed_file(w, tmp_path):
    path = tmp_path / "shared.backstep"
    w.keeping.save_to(str(path))
    files.save(path, open_session("bptt", T=5).state)
    edit(w, 4)
    return path


def test_a_changed_file_is_mentioned_once(bptt, tmp_path):
    changed_file(bptt, tmp_path)
    QApplication.sendEvent(bptt, QEvent(QEvent.Type.ActivationChange))
    bptt.keeping.mention_change()
    assert "changed by another program" in bptt.banner.label.text()
    bptt.banner.say("")
    bptt.keeping.mention_change()
    assert bptt.banner.label.text() == ""


def test_a_changed_file_can_be_overwritten(bptt, tmp_path):
    path = changed_file(bptt, tmp_path)
    answer("Overwrite")
    bptt.run(ACTIONS["save"])
    assert files.load(path).state.edits["b"][0] == 4
    assert files.load(f"{path}~").state.parameters["T"] == 5
    assert not bptt.session.dirty


def test_a_changed_file_can_be_opened_again(bptt, tmp_path):
    changed_file(bptt, tmp_path)
    answer("Open it again")
    bptt.run(ACTIONS["save"])
    assert bptt.session.state.parameters["T"] == 5
    assert not bptt.session.dirty


def test_a_changed_file_can_be_left_alone(bptt, tmp_path, monkeypatch):
    path = changed_file(bptt, tmp_path)
    other = tmp_path / "other.backstep"
    save_as(monkeypatch, other)
    answer("Save under another name…")
    bptt.run(ACTIONS["save"])
    assert files.load(path).state.parameters["T"] == 5
    assert files.load(other).state.edits["b"][0] == 4
    answer("Cancel")
    edit(bptt, 5)
    files.save(other, open_session("bptt").state)
    bptt.run(ACTIONS["save"])
    assert bptt.session.dirty


def test_a_file_that_is_open_elsewhere_is_only_looked_at(bptt, opened, tmp_path):
    path = str(tmp_path / "shared.backstep")
    bptt.keeping.save_to(path)
    second = opened()
    second.keeping.open(path)
    assert second.session.state.scene == "bptt"
    assert second.keeping.notice.isVisible()
    assert "another window" in second.keeping.notice.label.text()
    assert not second.menus.actions["save"].isEnabled()
    assert "(read-only)" in second.windowTitle()
    second.open_scene("cec")
    assert not second.keeping.notice.isVisible()
    assert second.menus.actions["save"].isEnabled()


def test_a_newer_file_has_a_lasting_banner_and_a_copy_is_warned_of(opened, tmp_path, monkeypatch):
    path, copy = tmp_path / "new.backstep", tmp_path / "copy.backstep"
    files.save(path, open_session("bptt").state)
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"version": 9, "holograms": 1}))
    before = path.read_bytes()
    w = opened()
    w.keeping.open(str(path))
    w.say("something else")
    assert w.keeping.notice.isVisible()
    assert "newer version" in w.keeping.notice.label.text()
    assert not w.menus.actions["save"].isEnabled()
    save_as(monkeypatch, copy)
    answer("Cancel")
    w.run(ACTIONS["save_as"])
    assert not copy.exists()
    answer("Save a copy…")
    [button] = [button for button, _ in w.keeping.notice._buttons]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert files.load(copy).state.scene == "bptt"
    assert path.read_bytes() == before
    assert not w.keeping.notice.isVisible()
    assert w.menus.actions["save"].isEnabled()


def test_a_graph_of_ones_own_is_saved_and_opened(opened, tmp_path):
    with ag.Graph() as graph:
        w = ag.tensor([1.0, 2.0], name='<img src="file:///etc/passwd">')
        loss = ag.sum(ag.tanh(w) ** 2)
    first = opened()
    first.session.open_graph(graph, loss)
    first.keeping.save_to(str(tmp_path / "own.backstep"))
    assert not first.session.dirty
    first.close()
    second = opened()
    second.keeping.open(str(tmp_path / "own.backstep"))
    assert second.session.trace.values[loss.id] == graph.values[loss.id]
    assert not any(Qt.mightBeRichText(name) for name in second.session.recording.graph.names)
    assert second.keeping.document.path == str(tmp_path / "own.backstep")


def test_a_damaged_file_offers_its_backup(bptt, tmp_path):
    path = tmp_path / "a.backstep"
    edit(bptt, 7)
    bptt.keeping.save_to(str(path))
    edit(bptt, 8)
    bptt.keeping.save_to(str(path))
    bptt.open_scene("cec")
    path.write_bytes(path.read_bytes()[:200])
    damaged = path.read_bytes()
    said = answer("Cancel")
    bptt.keeping.open(str(path))
    assert said[0].startswith("a.backstep")
    assert bptt.session.state.scene == "cec"
    assert said[0] == bptt.banner.label.text()
    answer("Open the backup")
    bptt.keeping.open(str(path))
    assert number(bptt) == 7
    assert bptt.keeping.document.path is None
    assert "backup of a.backstep" in bptt.keeping.notice.label.text()
    assert path.read_bytes() == damaged


def test_the_application_offers_what_was_left_at_its_start(qapp, monkeypatch):
    from explorer import app

    offered = []
    monkeypatch.setattr(Keeping, "offer_recovery", lambda keeping: offered.append(keeping))
    monkeypatch.setattr(app.QApplication, "exec", lambda *_: QApplication.processEvents())
    app.run("bptt")
    assert [keeping.window.session.state.scene for keeping in offered] == ["bptt"]
    offered[0].window.close()


def test_killed_while_editing():
    """One of the fifty kills of the long run."""
    tally = soak.kill_windows(1, longest=7.0)
    assert (tally["kills"], tally["recovery offered"], tally["over a minute"]) == (1, 1, 0)
    assert 0 < tally["most lost, seconds"] < 6


def test_a_start_with_nothing_left_asks_nothing(opened, tmp_path):
    w = opened()
    w.keeping.offer_recovery()
    assert QApplication.activeModalWidget() is None
    assert not Path(tmp_path, "kept").exists() or os.listdir(tmp_path / "kept") == []
