"""The lens on an op: opens in front of it, follows moment and values, and leaves by key."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QProgressBar
from pytestqt.qtbot import QtBot

from explorer.view.lens import Lens
from explorer.view.window import Window


@pytest.fixture
def window(qtbot: QtBot) -> Window:
    window = Window()
    qtbot.addWidget(window)
    window.canvas.reduced_motion = True
    window.resize(1200, 760)
    window.show()
    qtbot.waitExposed(window)
    window.open_scene("bptt")
    return window


def opened(window: Window, qtbot: QtBot) -> Lens:
    graph = window.session.trace.graph
    product = next(n.id for n in graph.nodes if n.op == "matmul")
    window.session.update(t=float(window.session.end), selection=(product,))
    window.canvas.setFocus()
    qtbot.keyClick(window.canvas, Qt.Key.Key_X)
    lens = window.canvas.findChild(Lens)
    assert lens is not None and lens.isVisible()
    return lens


def test_it_shows_the_elements_and_backspace_returns(window: Window, qtbot: QtBot) -> None:
    lens = opened(window, qtbot)
    graph, product = window.session.trace.graph, lens.nodes[0]
    values = [n.value for n in lens.session.trace.graph.nodes if n.name.startswith("y[")]
    assert np.allclose(values, graph.values[product], rtol=1e-14)
    assert lens.session.state.t == lens.session.end
    qtbot.keyClick(lens, Qt.Key.Key_Backspace)
    assert not lens.isVisible()
    assert window.session.state.scene == "bptt"


def test_it_follows_the_moment_and_the_values(window: Window, qtbot: QtBot) -> None:
    lens = opened(window, qtbot)
    trace, product = window.session.trace, lens.nodes[0]
    window.session.update(t=0.0)
    assert lens.session.state.t == 0.0
    window.session.update(t=float(trace.forward_step[product] + 1))
    assert lens.session.state.t == lens.session.trace.forward_end
    window.session.edit(trace.graph.named("x_1").id, [1.0, 0.0])
    values = [n.value for n in lens.session.trace.graph.nodes if n.name.startswith("y[")]
    assert np.allclose(values, window.session.trace.values[product])


def test_a_double_click_opens_it_and_another_scene_closes_it(window: Window, qtbot: QtBot) -> None:
    layout = window.session.layout
    node = window.session.trace.graph.named("u_2").id
    box = layout.boxes[layout.box_of_node[node]]
    point = window.canvas.transform().map(QPointF(box.x, box.y)).toPoint()
    qtbot.mouseDClick(window.canvas, Qt.MouseButton.LeftButton, pos=point)
    lens = window.canvas.findChild(Lens)
    assert lens is not None and lens.nodes == (node,)
    window.open_scene("mlp")
    assert not lens.isVisible()


def large(window: Window, qtbot: QtBot) -> Lens:
    """A lens on a whole cell, which takes a while to be laid out."""
    window.session.open_scene("lstm", {"hidden": 6, "inputs": 6})
    graph = window.session.trace.graph
    window.session.update(t=float(window.session.end))
    window.look_closer([n.id for n in graph.nodes if n.time == 2 and n.op != "leaf"])
    lens = window.canvas.findChild(Lens)
    assert lens is not None and lens.isVisible()
    return lens


def test_a_large_one_is_laid_out_beside_and_has_the_numbers_of_then(window: Window, qtbot: QtBot) -> None:
    lens = large(window, qtbot)
    assert lens.canvas is None and lens.findChild(QProgressBar).isVisible()
    session = window.session
    x = session.trace.graph.named("x_2").id
    session.edit(x, [3.0] * 6)  # while it is laid out
    qtbot.waitUntil(lambda: lens.canvas is not None and lens.canvas.isVisible(), timeout=20_000)
    assert not lens.findChild(QProgressBar).isVisible()
    for value in (None, [-1.0] * 6):
        if value is not None:
            session.edit(x, value)
        inner = lens.session.trace
        h = [n.value for n in inner.graph.nodes if n.name.startswith("h_2[")]
        assert np.allclose(h, session.trace.graph.named("h_2").value, rtol=1e-13)
    folded = {box.scope for box in lens.session.layout.boxes if box.kind == "scope"}
    assert {f"forget/U_f[{k}]·h_1" for k in range(6)} <= folded  # a layer is a column of neurons


def test_it_can_be_left_while_it_is_laid_out(window: Window, qtbot: QtBot) -> None:
    lens = large(window, qtbot)
    qtbot.keyClick(lens, Qt.Key.Key_Escape)
    assert not lens.isVisible()
    window.open_scene("bptt")
    qtbot.wait(50)
    assert opened(window, qtbot).canvas is not None


def test_it_leaves_when_no_gradient_arrives_any_more(window: Window, qtbot: QtBot) -> None:
    lens, graph = opened(window, qtbot), window.session.trace.graph
    (node,) = lens.nodes
    window.session.cut(
        [(v, k) for v, into in enumerate(graph.inputs) for k, j in enumerate(into) if j == node]
    )
    assert not lens.isVisible()
