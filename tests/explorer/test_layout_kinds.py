"""Shapes of their own: dense layers, many lines to one target, tables of attention, lanes."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, scope, tensor
from explorer.model.layout import Edge, Layout, Topology, lay_out
from scenes import SCENES
from tests import layout_metrics as measure
from tests.benchmarks import generators
from tests.benchmarks.crossings import Lines, coinciding_runs, crossing_points


def drawn(recorded: generators.Recorded) -> Layout:
    graph, loss = recorded
    return lay_out(Topology(graph, loss.id))


def scene(name: str, **values: int) -> Layout:
    recording = SCENES[name].build(values)
    return lay_out(Topology(recording.graph, recording.loss.id))


def box(layout: Layout, name: str) -> int:
    """The box of the node of that name."""
    return layout.box_of_node[layout.topology.graph.named(name).id]


def line(layout: Layout, source: str, target: str) -> Edge:
    ends = box(layout, source), box(layout, target)
    return next(e for e in layout.edges if (e.source, e.target) == ends)


# Dense layers


@pytest.mark.parametrize("flat", [True, False])
def test_dense_layers_are_columns_of_units_with_a_line_from_each_to_each(flat: bool) -> None:
    sizes = (4, 6, 5, 3)
    layout = drawn(generators.mlp(sizes, flat=flat))
    for depth, size in enumerate(sizes[1:], 1):
        units = np.array([layout.boxes.centres[box(layout, f"z{depth}.{k}")] for k in range(size)])
        assert np.ptp(units[:, 0]) == 0  # one column, in the order of their numbers, at equal distances
        assert np.ptp(np.diff(units[:, 1])) < 0.01 and np.diff(units[:, 1])[0] > units[0, 3]
    between = [e for e in layout.edges if layout.topology.graph.names[layout.boxes[e.target].node][0] == "z"]
    assert len(between) == 4 * 6 + 6 * 5 + 5 * 3
    assert all(e.fan for e in between) and not any(e.fan for e in layout.edges if e not in between)
    assert not measure.hits(layout) and not measure.overlaps(layout) and not measure.loose_ends(layout)


def test_lines_come_straight_to_the_border_of_a_dense_layer() -> None:
    layout = drawn(generators.mlp((6, 6, 6), flat=False))
    border = next(a.x0 for a in layout.areas if a.scope == "layer 2")
    for k in range(6):
        for edge in (e for e in layout.edges if e.source == box(layout, f"a1.{k}")):
            start, at_border = edge.points[0], np.interp(border, edge.points[:, 0], edge.points[:, 1])
            assert at_border == pytest.approx(start[1], abs=0.01)


# Many lines to one target


@pytest.mark.parametrize("steps", [7, 20])
def test_the_losses_of_all_steps_come_to_the_sum_as_one_line(steps: int) -> None:
    layout = scene("bptt", T=steps)
    lines = [line(layout, f"L_{t}", "E") for t in range(1, steps + 1)]
    assert len({tuple(e.points[-1]) for e in lines}) == 1
    below = {e.points[:, 1].max() for e in lines}
    assert len(below) == 1  # one track, whatever the number of steps
    assert not measure.hits(layout)
    assert coinciding_runs(Lines.of_layout(layout)) == 0


def test_few_lines_to_one_target_stay_apart() -> None:
    layout = scene("bptt", T=3)
    assert len({line(layout, f"L_{t}", "E").points[-1][1] for t in (1, 2, 3)}) == 3


# Residual paths


def residual(blocks: int) -> generators.Recorded:
    with Graph() as graph:
        x = tensor([1.0, -2.0], "x", "input")
        for k in range(1, blocks + 1):
            with scope(f"block {k}"):
                W = tensor([[0.5, -1.0], [0.3, 0.2]], f"W{k}")
                x = (ag.tanh(W @ ag.relu(x)) + x).named(f"y{k}")
        loss = ag.sum(x * x).named("E")
    return graph, loss


def test_a_residual_path_is_one_straight_line_on_top() -> None:
    layout = drawn(residual(4))
    chain = ["x", "y1", "y2", "y3", "y4"]
    lines = [line(layout, a, b) for a, b in itertools.pairwise(chain)]
    assert all(e.state_line for e in lines)
    heights = np.concatenate([e.points[:, 1] for e in lines])
    assert np.ptp(heights) < 0.5
    inside = [b.y for b in layout.boxes if b.scope.startswith("block")]
    assert heights[0] <= min(inside) + 0.5


# Attention


@cache
def attention(size: int) -> Topology:
    graph, loss = generators.seq2seq(size, size)
    return Topology(graph, loss.id)


def test_what_every_step_of_a_decoder_reads_runs_through_all_of_them_in_a_row() -> None:
    layout = lay_out(attention(8))
    decoder = [c for c in layout.columns if c.scope == "decoder"]
    for k in range(1, 8):  # the last state is the first of the decoder too
        heights = set()
        for edge in (e for e in layout.edges if e.source == box(layout, f"h_{k}")):
            inside = edge.points[edge.points[:, 0] >= decoder[0].x0]
            if len(inside):
                heights.add(round(float(inside[0][1]), 2))
        assert len(heights) == 1
    assert not measure.hits(layout) and not measure.overlaps(layout) and not measure.slanted(layout)
    assert coinciding_runs(Lines.of_layout(layout)) == 0


def test_a_table_of_attention_is_hardly_tangled() -> None:
    assert crossing_points(Lines.of_layout(lay_out(attention(20)))) <= 1500


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_folding_of_a_table_is_clear(data: st.DataObject) -> None:
    of = attention(6)
    folded = data.draw(st.sets(st.sampled_from(sorted([*of.scopes, *of.rolls]))))
    layout = lay_out(of, frozenset(folded), 2)
    assert not measure.overlaps(layout)
    assert not measure.slanted(layout)
    assert not measure.loose_ends(layout)
    if not folded & of.rolls.keys():
        assert not measure.hits(layout)


# Lanes


def test_a_cell_of_a_lane_reads_from_below_and_gives_on_above() -> None:
    layout = scene("deep-rnn", T=3)
    cells = {a.scope: a for a in layout.areas}
    graph = layout.topology.graph
    for t in (1, 2, 3):
        lower, upper = (cells[f"deep-rnn/t={t}/layer {n}"] for n in (1, 2))
        links = [
            e
            for e in layout.edges
            if "/".join(layout.topology.items[layout.boxes.items[e.source]].path[:-1]) == lower.scope
            and "/".join(layout.topology.items[layout.boxes.items[e.target]].path[:-1]) == upper.scope
        ]
        assert [graph.names[layout.boxes[e.source].node] for e in links] == [f"z1_{t}"]
        for edge in links:
            ys = edge.points[:, 1]
            assert np.all(np.diff(ys) <= 0.01)  # up all the way
            crossing = edge.points[(ys < lower.y0 + 0.01) & (ys > upper.y1 - 0.01)]
            assert np.all((crossing[:, 0] > upper.x0) & (crossing[:, 0] < upper.x1))


@pytest.mark.parametrize(("name", "state"), [("birnn", "zB_4"), ("bilstm", "cB_4"), ("bilstm", "hB_4")])
def test_the_first_state_of_a_backward_lane_stands_at_its_right_end(name: str, state: str) -> None:
    layout = scene(name, T=3)
    graph = layout.topology.graph
    node = next(i for i, n in enumerate(graph.names) if n == state)
    last = max(c.x1 for c in layout.columns)
    k = layout.box_of_node[node]
    assert layout.boxes[k].x > last
    for edge in (e for e in layout.edges if e.source == k):
        assert edge.points[0][0] == pytest.approx(layout.rects[k][0])  # leaves to the left
        assert np.all(np.diff(edge.points[:, 0]) <= 0.01)
    forwards = [i for i, n in enumerate(graph.names) if n.endswith("_0")]
    first = min(c.x0 for c in layout.columns)
    assert forwards and all(layout.boxes[layout.box_of_node[i]].x < first for i in forwards)
