"""The window driven by keys and clicks, as a user does; results are read from the session."""

import json

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QRectF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QSpinBox,
)

from explorer.model import text
from explorer.model.actions import ACTIONS
from explorer.model.files import save
from explorer.model.session import open_session
from explorer.view import paint
from explorer.view.settings import Settings
from explorer.view.window import Window

ASKING = {
    "new_expression",
    "open_file",
    "save",
    "save_as",
    "export_picture",
    "export_film",
    "quit_app",
    "show_keys",
    "show_about",
    "full_screen",
}


@pytest.fixture
def window(qtbot, tmp_path):
    w = Window(settings=Settings(str(tmp_path / "settings.ini")))
    w.canvas.reduced_motion = True
    qtbot.addWidget(w)
    w.resize(1280, 760)
    with qtbot.waitExposed(w):
        w.show()
    return w


@pytest.fixture
def bptt(window, qtbot):
    window.open_scene("bptt")
    qtbot.waitUntil(window.canvas.isVisible)
    return window


def press(window, key, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(window.canvas, key, modifier)


def click(window, point, modifier=Qt.KeyboardModifier.NoModifier):
    QTest.mouseClick(window.canvas, Qt.MouseButton.LeftButton, modifier, point)


def everything_in_view(window):
    press(window, Qt.Key.Key_F)


def drag(widget, start, stop):
    QTest.mousePress(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    for share in (0.3, 0.6, 1.0):
        QTest.mouseMove(widget, start + (stop - start) * share)
    QTest.mouseRelease(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, stop)


def test_starts_on_the_start_page_and_opens_a_scene_by_click(window, qtbot):
    page = window.stack.currentWidget()
    assert page is not window.desk
    item = next(
        page.scenes.item(k) for k in range(page.scenes.count()) if page.scenes.item(k).data(256) == "cec"
    )
    place = page.scenes.visualItemRect(item).center()
    QTest.mouseClick(page.scenes.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert window.session.state.scene == "cec"
    assert window.stack.currentWidget() is window.desk


def test_search_narrows_the_gallery(window):
    page = window.stack.currentWidget()
    assert page.scenes.show_matching("short-term memory") == 1
    assert page.scenes.show_matching("通時的") == 1
    assert page.scenes.show_matching("zzz") == 0


def test_a_whole_pass_by_keys(bptt):
    session = bptt.session
    seen = []
    while session.state.t < session.end:
        press(bptt, Qt.Key.Key_Right)
        seen.append(session.state.t)
    assert seen == [float(k) for k in range(1, session.end + 1)]
    frame = session.frame()
    assert (frame.arrived == frame.expected).all()
    press(bptt, Qt.Key.Key_Left)
    assert session.state.t == session.end - 1
    press(bptt, Qt.Key.Key_Home)
    assert session.state.t == 0
    press(bptt, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    assert session.trace.steps[int(session.state.t)].time == 2
    press(bptt, Qt.Key.Key_End)
    assert session.state.t == session.end


def test_space_plays_to_the_end_and_begins_anew(bptt, qtbot):
    session = bptt.session
    session.update(speed=8.0, t=session.end - 2.0)
    press(bptt, Qt.Key.Key_Space)
    assert session.state.playing
    qtbot.waitUntil(lambda: session.state.t == session.end and not session.state.playing, timeout=4000)
    press(bptt, Qt.Key.Key_Space)
    assert session.state.playing
    assert session.state.t < 2
    press(bptt, Qt.Key.Key_Space)
    assert not session.state.playing


def test_timeline_scrubs_with_the_mouse(bptt):
    bar = bptt.panels["timeline"].bar
    start, stop = QPoint(20, 28), QPoint(bar.width() // 2, 28)
    drag(bar, start, stop)
    assert bptt.session.state.t == pytest.approx(bar.t_of(stop.x()), abs=0.2)


def test_click_selects_and_the_inspector_shows_the_node(bptt):
    everything_in_view(bptt)
    node = bptt.session.recording["u_2"].id
    bptt.session.update(t=bptt.session.end)
    click(bptt, bptt.canvas.middle_of(node))
    assert bptt.session.state.selection == (node,)
    inspector = bptt.panels["inspector"]
    assert np.array_equal(inspector.value.array, bptt.session.recording.value("u_2"))
    assert np.array_equal(inspector.grad.array, bptt.session.trace.grads[node])
    other = bptt.session.recording["z_1"].id
    click(bptt, bptt.canvas.middle_of(other), Qt.KeyboardModifier.ShiftModifier)
    assert bptt.session.state.selection == (node, other)


def test_instalments_of_a_shared_weight_are_listed_and_add_up(bptt):
    session = bptt.session
    node = session.recording["W"].id
    session.update(selection=(node,), t=session.end)
    inspector = bptt.panels["inspector"]
    views = [v for v in inspector.contributions.findChildren(type(inspector.grad)) if v.array is not None]
    assert len(views) == 3
    assert np.allclose(sum(v.array for v in views), inspector.grad.array, rtol=1e-15)


def test_typing_a_number_answers_and_can_be_undone(bptt, qtbot):
    session = bptt.session
    node = session.recording["W"].id
    session.update(selection=(node,), t=session.end)
    loss = session.trace.values[session.trace.loss].item()
    layout = session.layout
    view = bptt.panels["inspector"].value
    view.type_into((0, 1))
    editor = view.findChild(QLineEdit)
    editor.setText("1.5")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    assert session.trace.values[node][0, 1] == 1.5
    assert session.trace.values[session.trace.loss].item() != loss
    assert session.layout is layout
    press(bptt, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.trace.values[session.trace.loss].item() == loss
    press(bptt, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert session.trace.values[node][0, 1] == 1.5


def test_words_that_are_no_number_get_a_sentence(bptt):
    session = bptt.session
    session.update(selection=(session.recording["b"].id,))
    view = bptt.panels["inspector"].value
    view.type_into((0, 0))
    editor = view.findChild(QLineEdit)
    editor.setText("much")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    assert not session.state.edits
    assert "b takes a number" in bptt.banner.label.text()


def test_a_dragged_number_is_one_entry_of_undo(bptt):
    session = bptt.session
    node = session.recording["b"].id
    session.update(selection=(node,))
    view = bptt.panels["inspector"].value
    before = session.trace.values[node][0]
    drag(view, QPoint(10, 10), QPoint(60, 10))
    assert session.trace.values[node][0] == pytest.approx(before + 0.5)
    session.undo()
    assert session.trace.values[node][0] == before
    assert not session.undo_title.startswith("Edit")


def test_click_on_a_title_folds_and_on_the_box_unfolds(window):
    window.open_scene("lstm")
    everything_in_view(window)
    session = window.session
    area = next(a for a in session.layout.areas if a.scope == "lstm/t=2")
    where = window.canvas.transform().map(QPointF(area.x0 + 20, area.y0 + 8)).toPoint()
    click(window, where)
    assert "lstm/t=2" in session.state.folded
    everything_in_view(window)
    box = next(b for b in session.layout.boxes if b.scope == "lstm/t=2" and b.kind == "scope")
    click(window, window.canvas.transform().map(QPointF(box.x, box.y)).toPoint())
    assert "lstm/t=2" not in session.state.folded


def test_what_is_wholly_in_view_stays_so_when_a_scope_opens(window, qtbot):
    window.open_scene("lstm")
    everything_in_view(window)
    before = window.canvas.camera()
    window.session.fold("lstm/t=2/forget", False)
    qtbot.waitUntil(lambda: window.canvas.camera() != before)
    seen = window.canvas.transform().inverted()[0].mapRect(QRectF(window.canvas.rect()))
    assert seen.contains(paint.bounds(window.session.frame()))


def test_wheel_zooms_about_the_pointer_and_dragging_the_ground_pans(bptt, qtbot):
    canvas = bptt.canvas
    everything_in_view(bptt)
    point = QPointF(200, 150)
    fixed = canvas.to_scene(point)
    canvas.zoom_by(1.5, point)
    assert canvas.to_scene(point).x() == pytest.approx(fixed.x(), abs=0.01)
    zoom = canvas.camera()[2]
    before = canvas.camera()
    corner = QPoint(30, canvas.height() - 30)
    drag(canvas, corner, corner + QPoint(50, -20))
    x, y, z = canvas.camera()
    assert z == zoom
    assert (before[0] - x) * zoom == pytest.approx(50, abs=2)
    assert (before[1] - y) * zoom == pytest.approx(-20, abs=2)


def test_a_click_in_the_overview_moves_the_view(bptt):
    canvas = bptt.canvas
    inset = canvas.overview_rect()
    assert not inset.isEmpty()
    click(bptt, QPoint(int(inset.right() - 12), int(inset.center().y())))
    right = canvas.camera()[0]
    click(bptt, QPoint(int(inset.left() + 12), int(inset.center().y())))
    assert canvas.camera()[0] < right


def test_tool_tips_tell_value_formula_and_slope(bptt):
    session, canvas = bptt.session, bptt.canvas
    session.update(t=session.end)
    box = session.layout.boxes[session.layout.box_of_node[session.recording["z_2"].id]]
    words = canvas.words_at(QPointF(box.x, box.y))
    assert "z² = tanh(u²)" in words
    assert "gradient" in words
    assert "(2 of 2 arrived)" in words


def test_the_carousel_shows_its_ones(window):
    window.open_scene("cec")
    session = window.session
    session.update(t=session.end)
    frame = session.frame()
    slopes = [
        paint.slope_text(frame.slope(k))
        for k, e in enumerate(frame.layout.edges)
        if e.state_line and frame.slope(k) is not None
    ]
    assert slopes == ["× 1"] * int(session.state.parameters["T"])


def test_parameters_answer_at_once_and_undo(bptt):
    field = bptt.panels["parameters"].fields["T"]
    assert isinstance(field, QSpinBox)
    field.setValue(5)
    assert len(bptt.session.layout.columns) == 5
    choice = bptt.panels["parameters"].fields["activation"]
    assert isinstance(choice, QComboBox)
    choice.setCurrentText("relu")
    choice.textActivated.emit("relu")
    assert bptt.session.state.parameters["activation"] == "relu"
    bptt.session.undo()
    bptt.session.undo()
    assert bptt.session.state.parameters["T"] == 3
    assert field.value() == 3
    gain = bptt.panels["parameters"].fields["gain"]
    assert isinstance(gain, QDoubleSpinBox)


def test_a_wrong_formula_is_said_and_the_graph_stays(window):
    window.open_scene("expression")
    field = window.panels["parameters"].fields["formula"]
    graph = window.session.recording.graph
    field.setText("tanj(x)")
    field.editingFinished.emit()
    error = window.panels["parameters"].error
    assert not error.isHidden()
    assert "column 1" in error.text()
    assert window.session.recording.graph is graph
    text.set_language("ja")
    field.editingFinished.emit()
    assert "1 文字目" in error.text()
    assert not window.attempt(lambda: window.session.update(parameters={"formula": "x1 +"}))
    assert "5 文字目" in window.banner.label.text()
    field.setText("x*x + 1")
    field.editingFinished.emit()
    assert error.isHidden()
    assert window.session.state.parameters["formula"] == "x*x + 1"


def test_language_and_theme_change_while_running(bptt):
    bptt.session.update(t=12.0, selection=(bptt.session.recording["W"].id,))
    bptt.set_language("ja")
    assert text.language() == "ja"
    assert bptt.menus.actions["step_forward"].text() == text.tr("Step forward") != "Step forward"
    assert bptt.panels["chapters"].windowTitle() == text.tr("Chapters") != "Chapters"
    bptt.set_theme("dark")
    assert bptt.canvas.theme.dark
    assert bptt.session.state.t == 12.0
    press(bptt, Qt.Key.Key_Right)
    assert bptt.session.state.t == 13.0
    bptt.set_language("en")
    assert bptt.panels["chapters"].windowTitle() == "Chapters"


def test_chapters_go_to_their_moment(bptt):
    chapters = bptt.panels["chapters"].list
    item = chapters.item(3)
    QTest.mouseClick(
        chapters.viewport(), Qt.MouseButton.LeftButton, pos=chapters.visualItemRect(item).center()
    )
    start, _ = bptt.session.chapter_range("through-time")
    assert bptt.session.state.t == start
    press(bptt, Qt.Key.Key_PageDown)
    assert bptt.session.state.chapter == "shared-weights"


def test_save_reopen_and_recent_files(bptt, tmp_path, qtbot):
    path = str(tmp_path / "lesson.backstep")
    node = bptt.session.recording["b"].id
    bptt.session.edit(node, [1.0, 2.0, 3.0])
    bptt.session.update(t=20.0)
    bptt.keeping.save_to(path)
    assert json.loads((tmp_path / "lesson.backstep").read_text("utf-8"))["scene"] == "bptt"
    assert not bptt.session.dirty
    bptt.open_scene("cec")
    bptt.keeping.open(path)
    assert bptt.session.state.scene == "bptt"
    assert bptt.session.state.t == 20.0
    assert list(bptt.session.trace.values[bptt.session.recording["b"].id]) == [1.0, 2.0, 3.0]
    assert bptt.settings.recent[0].endswith("lesson.backstep")
    assert "lesson.backstep" in bptt.windowTitle()


def test_a_damaged_file_gets_a_sentence_and_the_scene_stays(bptt, tmp_path):
    path = tmp_path / "broken.backstep"
    path.write_text('{"format": "backstep-scene", "version": 1', encoding="utf-8")
    recording = bptt.session.recording
    bptt.keeping.open(str(path))
    assert bptt.session.recording is recording
    assert "broken.backstep" in bptt.banner.label.text()
    assert not bptt.banner.isHidden()


def test_a_dropped_file_opens(window, tmp_path):
    path = str(tmp_path / "dropped.backstep")
    save(path, open_session("mlp").state)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(path)])
    event = QDropEvent(
        QPointF(100, 100),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)
    assert window.session.state.scene == "mlp"


def test_panels_come_back_where_they_were(qtbot, tmp_path):
    settings = Settings(str(tmp_path / "own.ini"))
    first = Window(settings=settings)
    qtbot.addWidget(first)
    first.show()
    first.open_scene("cec")
    first.desk.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, first.panels["inspector"])
    first.close()
    second = Window(settings=Settings(str(tmp_path / "own.ini")))
    qtbot.addWidget(second)
    second.show()
    second.open_scene("cec")
    assert second.desk.dockWidgetArea(second.panels["inspector"]) == Qt.DockWidgetArea.LeftDockWidgetArea
    second.reset_window()
    assert second.desk.dockWidgetArea(second.panels["inspector"]) == Qt.DockWidgetArea.RightDockWidgetArea


@pytest.mark.parametrize("scene", ["expression", "mlp", "bptt", "cec", "lstm"])
def test_every_action_is_safe_at_every_moment(window, scene):
    window.open_scene(scene)
    for share in (0.0, 0.37, 0.501, 1.0):
        for name, action in ACTIONS.items():
            if name in ASKING or name == "close_scene":
                continue
            if window.session.recording is None:
                window.open_scene(scene)
            window.session.update(t=window.session.end * share, playing=False)
            window.run(action)
            window.canvas.grab()
    window.run(ACTIONS["close_scene"])
    for name, action in ACTIONS.items():
        if name not in ASKING:
            window.run(action)
    assert window.session.recording is None


def test_copying_puts_numpy_code_and_a_picture_on_the_clipboard(bptt):
    bptt.session.update(selection=(bptt.session.recording["b"].id,))
    bptt.copy_value()
    words = QGuiApplication.clipboard().text()
    assert words.startswith("np.array([")
    bptt.copy_picture()
    image = QGuiApplication.clipboard().image()
    assert image.width() >= bptt.canvas.width()


def test_gradient_check_in_place(bptt):
    bptt.session.update(selection=(bptt.session.recording["W"].id,))
    inspector = bptt.panels["inspector"]
    inspector._check()
    assert inspector.check_words.text().startswith("✓")


def test_no_visible_label_is_cut_in_either_language(bptt):
    for code in ("en", "ja"):
        bptt.set_language(code)
        bptt.session.update(selection=(bptt.session.recording["u_2"].id,), t=float(bptt.session.end))
        QGuiApplication.processEvents()
        for label in bptt.findChildren(QLabel):
            if (
                label.isVisible()
                and label.text()
                and not label.wordWrap()
                and label.text() != bptt.panels["timeline"].words.text()
            ):
                assert label.sizeHint().width() <= label.width() + 1, (code, label.text())


def test_undo_does_not_put_the_scene_before_into_an_opened_file(bptt, tmp_path):
    path = str(tmp_path / "lesson.backstep")
    save(path, open_session("lstm").state)
    bptt.session.update(parameters={"T": 5}, title="Change T")
    bptt.keeping.open(path)
    assert not bptt.menus.actions["undo"].isEnabled()
    bptt.session.undo()
    assert bptt.session.state.scene == "lstm"
    bptt.session.update(parameters={"T": 4}, title="Change T")
    bptt.session.undo()
    assert bptt.session.state.parameters["T"] == 3


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".gif"])
def test_exports_from_the_menu(bptt, tmp_path, monkeypatch, ending):
    path = tmp_path / f"picture{ending}"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), f"(*{ending})"))
    bptt.session.update(loop=(0.0, 3.0), t=2.0)
    bptt.run(ACTIONS["export_film" if ending == ".gif" else "export_picture"])
    assert path.stat().st_size > 1000
    assert path.name in bptt.statusBar().currentMessage()


def test_an_export_that_can_not_be_written_is_said(bptt, tmp_path, monkeypatch):
    path = str(tmp_path / "nowhere" / "picture.png")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (path, "(*.png)"))
    bptt.run(ACTIONS["export_picture"])
    assert "there is no folder" in bptt.banner.label.text()


def test_a_wrong_new_expression_is_asked_for_again(window, monkeypatch):
    answers = iter([("tanj(x)", True), ("x * w + 1", True)])
    said = []
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: next(answers))
    monkeypatch.setattr(QMessageBox, "warning", lambda *words: said.append(words[-1]))
    window.run(ACTIONS["new_expression"])
    assert len(said) == 1
    assert "column 1" in said[0]
    assert window.session.state.parameters["formula"] == "x * w + 1"
