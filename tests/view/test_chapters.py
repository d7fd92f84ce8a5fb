"""Chapters of one's own and notes: written in the panel, undone by the session, kept in files."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from explorer.cli import main
from explorer.model import chapters, text
from explorer.model.actions import ACTIONS
from explorer.model.files import LIMITS, load, save
from explorer.model.session import open_session
from explorer.model.state import UserChapter
from explorer.view.panels.chapters import NOTES


@pytest.fixture
def panel(still, qtbot):
    """The panel on the smallest recurrent scene, with no chapter open."""
    still.open_scene("rnn")
    qtbot.waitUntil(still.canvas.isVisible)
    return still.panels["chapters"]


def lines(panel):
    return [panel.list.item(row).text() for row in range(panel.list.count())]


def key_of(session, name):
    return session.recording[name].id


def add(panel):
    """Add a chapter as its button does."""
    panel.tools["add"].click()
    return panel.session


def test_without_a_scene_nothing_can_be_written(still):
    panel = still.panels["chapters"]
    assert lines(panel) == ["Open a scene: its chapters appear here."]
    assert not any(button.isEnabled() for button in panel.tools.values())
    assert not ACTIONS["add_chapter"].enabled(still)


def test_a_new_chapter_begins_now_on_the_selection_and_is_open_for_writing(panel):
    session = panel.session
    session.update(t=4.6, selection=(key_of(session, "W"), key_of(session, "z_1")))
    session = add(panel)
    (chapter,) = session.state.chapters
    assert (chapter.start, chapter.stop) == (4, session.trace.forward_end)
    assert chapter.frame == ("W", "z_1")
    assert session.state.chapter == chapter.id
    assert panel.pages.currentWidget() is panel.writing
    assert panel.editor.title.hasFocus()
    assert panel.editor.title.selectedText() == chapter.title
    assert panel.list.currentItem().text().endswith(chapter.title)
    assert len(lines(panel)) == len(session.scene.chapters) + 2


def test_a_new_chapter_takes_over_the_loop_and_the_way_back(panel):
    session = panel.session
    session.update(t=float(session.trace.forward_end + 3))
    add(panel)
    assert session.state.chapters[0].stop == session.end
    session.update(loop=(2.0, 5.0))
    add(panel)
    assert (session.state.chapters[1].start, session.state.chapters[1].stop) == (2, 5)


def test_what_is_typed_is_in_the_state_at_once_and_one_undo_entry(panel):
    session = add(panel)
    QTest.keyClicks(panel.editor.title, "Hello")
    QTest.keyClicks(panel.editor.text, "**Look** at $T and <b>")
    chapter = session.state.chapters[0]
    assert (chapter.title, chapter.text) == ("Hello", "**Look** at $T and <b>")
    assert "Hello" in lines(panel)[-2]
    QTest.keyClick(panel.editor.text, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.state.chapters[0].text == panel.editor.text.toPlainText() == ""
    assert session.state.chapters[0].title == "Hello"
    QTest.keyClick(
        panel.editor.text,
        Qt.Key.Key_Z,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
    )
    assert session.state.chapters[0].text == "**Look** at $T and <b>"
    for _ in range(3):
        session.undo()
    assert session.state.chapters == ()
    assert panel.pages.currentWidget() is panel.prose


def test_a_pause_ends_a_run_of_typing(panel, qtbot):
    session = add(panel)
    QTest.keyClicks(panel.editor.text, "one")
    panel.editor._pause.timeout.emit()
    QTest.keyClicks(panel.editor.text, " two")
    session.undo()
    assert session.state.chapters[0].text == "one"


def test_the_page_is_shown_as_markdown_without_tags_or_pictures(panel):
    session = add(panel)
    chapters.change(
        session,
        session.state.chapter,
        text="**Look** at $T ![x](file:///etc/hosts) <b>not</b>",
        title="<i>x</i>",
    )
    QTest.keyClick(panel.editor.text, Qt.Key.Key_Escape)
    assert panel.pages.currentWidget() is panel.prose
    shown = panel.prose.toPlainText()
    assert shown.startswith("Look at $T")
    assert "<b>not</b>" in shown
    assert "\ufffc" not in shown
    assert chapters.page(session).title == "‹i>x‹/i>"


def test_moments_stay_in_order(panel):
    session = add(panel)
    editor = panel.editor
    session.update(t=7.2)
    editor.start.setValue(12)
    editor.stop.setValue(9)
    assert (session.state.chapters[0].start, session.state.chapters[0].stop) == (9, 9)
    now = editor.start.parentWidget().layout().itemAtPosition(0, 2).widget()
    now.click()
    assert (session.state.chapters[0].start, session.state.chapters[0].stop) == (7, 9)
    assert editor.stop.maximum() == session.end


def test_the_frame_is_the_selection(panel):
    session = add(panel)
    assert panel.editor.frame.text() == "the whole graph"
    node = key_of(session, "z_1")
    session.update(selection=(node,))
    panel.editor.use_selection.click()
    assert session.state.chapters[0].frame == ("z_1",)
    assert panel.editor.frame.text() == "z_1"
    assert panel.host.canvas.look().highlight == {node}
    session.update(chapter="", camera=None)
    panel.list.itemClicked.emit(panel.list.item(panel.list.count() - 2))
    x0, y0, x1, y1 = session.layout.rects[session.layout.boxes_of_node[node][0]]
    x, y, _ = session.state.camera
    assert x0 <= x <= x1
    assert y0 <= y <= y1


def test_nodes_without_a_name_of_their_own_are_framed_by_number():
    session = open_session("rnn")
    nameless = next(i for i, name in enumerate(session.recording.graph.names) if not name)
    session.update(selection=(nameless,))
    assert chapters.selected(session) == (f"#{nameless}",)
    assert chapters.nodes_of(session, ("#9999999", "#x", "nobody", f"#{nameless}")) == {nameless}


def test_own_chapters_move_and_go_and_the_scene_s_do_not(panel):
    session = panel.session
    of_scene = lines(panel)[:-1]
    for title in "abc":
        add(panel)
        QTest.keyClicks(panel.editor.title, title)
    QTest.keyClick(panel.editor.title, Qt.Key.Key_Escape)
    assert panel.list.hasFocus()
    assert not panel.tools["down"].isEnabled()
    QTest.keyClick(panel.list, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert [c.title for c in session.state.chapters] == ["a", "c", "b"]
    assert panel.list.currentItem().text().endswith("  c")
    QTest.keyClick(panel.list, Qt.Key.Key_Delete)
    assert [c.title for c in session.state.chapters] == ["a", "b"]
    assert chapters.page(session).title == "a"
    assert not panel.tools["up"].isEnabled()
    session.undo()
    assert [c.title for c in session.state.chapters] == ["a", "c", "b"]
    panel.list.itemClicked.emit(panel.list.item(0))
    assert not any(panel.tools[name].isEnabled() for name in ("edit", "up", "down", "delete"))
    QTest.keyClick(panel.list, Qt.Key.Key_Delete)
    assert lines(panel)[: len(of_scene)] == of_scene


def test_turning_pages_goes_through_own_chapters(panel):
    session = add(panel)
    QTest.keyClick(panel.editor.title, Qt.Key.Key_Escape)
    id = session.state.chapter
    session.update(chapter=session.scene.chapters[-1].id)
    ACTIONS["next_chapter"].run(panel.host)
    assert session.state.chapter == id
    ACTIONS["loop"].run(panel.host)
    assert session.state.loop == tuple(map(float, session.chapter_range(id)))
    session.update(chapter="gone", loop=None)
    ACTIONS["loop"].run(panel.host)
    assert session.state.loop == (0.0, float(session.end))


def test_a_chapter_of_a_longer_graph_ends_with_this_one():
    session = open_session("rnn", T=6)
    session.update(chapters=(UserChapter("x", start=10, stop=float(session.end)),))
    session.update(parameters={"T": 1})
    assert session.chapter_range("x") == (10, session.end)
    assert session.state.chapters[0].stop > session.end


def test_notes_stand_below_the_summary(panel):
    session = panel.session
    ACTIONS["write_notes"].run(panel.host)
    assert panel.editor.text.hasFocus()
    assert not panel.editor.title.isVisible()
    QTest.keyClicks(panel.editor.text, "Mind *z*.")
    assert session.state.notes == "Mind *z*."
    QTest.keyClick(panel.editor.text, Qt.Key.Key_Escape)
    shown = panel.prose.toPlainText()
    assert shown.startswith(session.scene.summary["en"][:20])
    assert shown.endswith("Mind z.")
    assert session.undo_title == text.tr("Edit the notes")
    session.undo()
    assert session.state.notes == ""


def test_going_to_a_chapter_of_the_scene_ends_writing(panel):
    session = add(panel)
    panel.list.itemClicked.emit(panel.list.item(0))
    assert panel.pages.currentWidget() is panel.prose
    panel.list.itemClicked.emit(panel.list.item(panel.list.count() - 1))
    assert session.state.chapter == NOTES
    assert panel.pages.currentWidget() is panel.prose


def test_texts_and_chapters_keep_to_their_limits(panel):
    session = add(panel)
    panel.editor.text.setPlainText("x" * (LIMITS.text + 5))
    assert len(session.state.chapters[0].text) == LIMITS.text == len(panel.editor.text.toPlainText())
    session.update(chapters=tuple(UserChapter(str(k)) for k in range(LIMITS.chapters)))
    panel.add()
    assert len(session.state.chapters) == LIMITS.chapters


def test_chapters_and_notes_come_back_from_a_file(panel, tmp_path):
    session = add(panel)
    QTest.keyClicks(panel.editor.title, "Mine")
    session.update(notes="N")
    assert session.dirty
    save(tmp_path / "a.backstep", session.state)
    loaded = load(tmp_path / "a.backstep").state
    assert (loaded.chapters, loaded.notes) == (session.state.chapters, "N")
    again = open_session(str(tmp_path / "a.backstep"))
    assert chapters.pages(again)[-1].title == "Mine"
    assert not again.dirty


def test_a_chapter_without_nodes_shows_its_place_or_everything(panel):
    session = panel.session
    placed, whole = UserChapter("a", camera=(10.0, 20.0, 0.5)), UserChapter("b")
    session.update(chapters=(placed, whole))
    panel.host.canvas.show_chapter("a")
    assert session.state.camera == (10.0, 20.0, 0.5)
    panel.host.canvas.show_chapter("b")
    assert session.state.camera is None
    panel.host.canvas.show_chapter("gone")
    assert session.state.camera is None


def test_the_command_line_films_own_chapters(tmp_path, capsys):
    session = open_session("rnn")
    session.update(chapters=(UserChapter("mine", start=3.0, stop=5.0),))
    save(tmp_path / "a.backstep", session.state)
    film = str(tmp_path / "a.gif")
    size = ["--size", "160x90", "--out", film]
    assert main(["render", str(tmp_path / "a.backstep"), "--chapter", "mine", *size]) == 0
    assert (tmp_path / "a.gif").stat().st_size > 100
    assert main(["render", str(tmp_path / "a.backstep"), "--chapter", "main", *size]) == 2
    assert "did you mean mine?" in capsys.readouterr().err


def test_the_editor_speaks_japanese(panel):
    add(panel)
    panel.host.next_language()
    assert panel.editor.use_selection.text() == "選択中のノード"
    assert lines(panel)[-1] == "概要とメモ"
    assert panel.pages.currentWidget() is panel.writing
