"""The layout: nothing overlaps, lines are straight, time is regular, folding leaves the rest alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, Tensor, at_time, scope, tensor
from explorer.model.layout import Layout, Topology, lay_out
from explorer.model.session import default_folds
from scenes import SCENES
from tests import layout_metrics as measure

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("cec", "gates", "forget", "peephole")
STEPS = (1, 2, 3, 5, 10)
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *(("bptt", {"T": t}) for t in STEPS),
    ("bptt", {"T": 5, "truncate": 2}),
    ("bptt", {"T": 3, "loss_at": "last step", "activation": "linear"}),
    *(("cec", {"T": t}) for t in STEPS),
    ("cec", {"T": 3, "activation": "linear"}),
    *(("lstm", {"T": t, "stage": stage}) for t in STEPS for stage in STAGES),
    ("lstm", {"T": 3, "loss_at": "last step"}),
    *(("mlp", {"layers": n}) for n in (1, 3, 6)),
    ("mlp", {"layers": 3, "activation": "linear"}),
    *(("expression", {"formula": f}) for f in ("x1*x1 + x1", "x", "tanh(w*x + b)*x + exp(w*x)/(1 + x**2)")),
]
LANES = [
    *(("birnn", {"T": t}) for t in STEPS),
    *(("deep-rnn", {"T": t}) for t in STEPS),
    ("deep-rnn", {"T": 3, "layers": 3}),
    *(("bilstm", {"T": t}) for t in (1, 3)),
]
VARIANTS += [*LANES, ("gru", {"T": 3}), ("gated-units", {"T": 2}), ("rnn", {"T": 3}), ("dense", {})]
RECURRENT = [v for v in VARIANTS if "T" in v[1]]
LONG: list[tuple[str, dict[str, Any]]] = [(name, {"T": 50}) for name in ("bptt", "cec", "lstm", "birnn")]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    *((s.id, {}) for s in SCENES.values() if s.id not in {name for name, _ in VARIANTS}),
    *(
        (name, {"T": t})
        for name in ("vanishing-gradient", "gradient-clipping", "memory")
        for t in (2, 10, 50)
    ),
    *((name, {"T": t}) for name in ("rnnlm", "ngram") for t in (1, 10, 30)),
    *((name, {"T": t}) for name in ("gru", "gated-units", "rnn", "bilstm", "deep-rnn") for t in (10, 50)),
    *(("rnn", {"shape": shape, "T": 5}) for shape in SCENES["rnn"].parameter("shape").choices),
    *(("gradient-clipping", {"activation": "tanh", "T": t}) for t in (2, 4)),
]
CARRYING = [v for v in RECURRENT if v[0] in ("lstm", "cec")]


def titled(variants: Iterable[tuple[str, dict[str, Any]]]) -> list[Any]:
    return [pytest.param(n, v, id="-".join([n, *map(str, v.values())])) for n, v in variants]


@cache
def _topology(name: str, values: tuple[tuple[str, Any], ...]) -> Topology:
    recording = SCENES[name].build(dict(values))
    return Topology(recording.graph, recording.loss.id)


def topology(name: str, values: dict[str, Any]) -> Topology:
    return _topology(name, tuple(values.items()))


def standard_folds(name: str, of: Topology) -> list[frozenset[str]]:
    """As the scene opens, everything open, everything folded."""
    return [default_folds(SCENES[name], of), frozenset(), frozenset(of.scopes)]


@st.composite
def folded_scenes(draw: st.DrawFn, variants: list[tuple[str, dict[str, Any]]]) -> tuple[str, Layout]:
    """A scene with any of its scopes folded."""
    name, values = draw(st.sampled_from(variants))
    of = topology(name, values)
    scopes = sorted(of.scopes)
    folded = draw(st.sets(st.sampled_from(scopes))) if scopes else set()
    return name, lay_out(of, frozenset(folded))


def assert_clear(layout: Layout) -> None:
    """What holds in every picture of every graph, also of one that does not show all of it."""
    assert np.all(np.isfinite(layout.rects))
    np.testing.assert_allclose(layout.rects, measure.rectangles(layout.boxes), atol=1e-9)
    assert not measure.overlaps(layout)
    assert not measure.outside_of_areas(layout)
    assert not measure.loose_ends(layout)
    assert not measure.slanted(layout)
    # every node is seen somewhere, a hidden one in the box of its outermost folded scope
    assert set(layout.box_of_node) == set(range(len(layout.topology.graph)))


def assert_sound(layout: Layout) -> None:
    """What holds in every picture that shows all of its graph."""
    assert_clear(layout)
    graph = layout.topology.graph
    for item in layout.topology.items:
        around = ["/".join(item.path[:k]) for k in range(1, len(item.path))]
        hiding = next((s for s in around if s in layout.folded), None)
        shown = {layout.boxes[k] for k in layout.boxes_of_node[item.node]}
        if hiding is None:
            kind = "node" if item.consumer is None else "alias"
            assert (kind, item.node, item.consumer) in {(b.kind, b.node, b.consumer) for b in shown}
        else:
            assert ("scope", hiding) in {(b.kind, b.scope) for b in shown}
            box = next(k for k, b in enumerate(layout.boxes) if (b.kind, b.scope) == ("scope", hiding))
            assert item.node in layout.members[box]
            assert item.consumer is not None or layout.box_of_node[item.node] == box
    # every edge of the graph is drawn once, or lies inside one box
    drawn = measure.drawn(layout)
    place = {(i.node, i.consumer): i for i in layout.topology.items}
    for consumer, inputs in enumerate(graph.inputs):
        for slot, node in enumerate(inputs):
            alias = place.get((node, consumer))
            hidden = layout.box_of_node[node] == layout.box_of_node[consumer]
            if alias is not None:  # the alias stands in its consumer's scope
                hidden = layout.boxes[layout.box_of_node[consumer]].kind == "scope"
            assert drawn.pop((consumer, slot), 0) == (0 if hidden else 1)
    assert not drawn
    # and leads from a box that shows its source to one that shows its target
    for edge in layout.edges:
        assert edge.source != edge.target
        for consumer, slot in edge.members:
            assert edge.source in layout.boxes_of_node[graph.inputs[consumer][slot]]
            assert edge.target == layout.box_of_node[consumer]


# Every scene


@pytest.mark.parametrize(("name", "values"), titled([*VARIANTS, *LONG, *OTHERS]))
def test_scene_is_drawn_soundly(name: str, values: dict[str, Any]) -> None:
    of = topology(name, values)
    for folded in standard_folds(name, of):
        layout = lay_out(of, folded)
        assert_sound(layout)
        assert measure.hits(layout) == []
        assert measure.back_and_forth(layout) == []


@settings(max_examples=60, deadline=None)
@given(folded_scenes([*VARIANTS, *OTHERS]))
def test_any_folding_is_drawn_soundly(scene: tuple[str, Layout]) -> None:
    assert_sound(scene[1])
    assert measure.hits(scene[1]) == []


@settings(max_examples=40, deadline=None)
@given(folded_scenes(RECURRENT))
def test_same_op_same_row_in_every_time_step(scene: tuple[str, Layout]) -> None:
    for op, spread in measure.row_spread(scene[1]).items():
        assert spread <= 0.5, op


@pytest.mark.parametrize(("name", "values"), titled(RECURRENT))
def test_columns_are_equal_and_equally_spaced(name: str, values: dict[str, Any]) -> None:
    of = topology(name, values)
    for folded in standard_folds(name, of)[:2]:
        layout = lay_out(of, folded)
        widths, pitches = measure.column_widths(layout), measure.column_pitches(layout)
        assert [len(w) for w in widths.values()] == [values["T"]]
        for figures in (*widths.values(), *pitches.values()):
            if len(figures):
                assert np.ptp(figures) <= 1e-6 * np.mean(figures)
        assert all(np.all(p > w[:-1]) for p, w in zip(pitches.values(), widths.values(), strict=True))


@pytest.mark.parametrize("opened", [1, 2, 3])
def test_columns_that_are_folded_alike_are_equal(opened: int) -> None:
    of = topology("lstm", {"T": 3, "stage": "forget"})
    folded = default_folds(SCENES["lstm"], of)
    layout = lay_out(of, folded - {f"lstm/t={opened}/forget"})
    width = {c.time: c.x1 - c.x0 for c in layout.columns}
    others = [width[t] for t in width if t != opened]
    assert others[0] == pytest.approx(others[1], abs=1e-6)
    assert width[opened] > others[0] + 50
    closed = {c.time: c.x1 - c.x0 for c in lay_out(of, folded).columns}
    assert others[0] == pytest.approx(closed[1], abs=1e-6)


@pytest.mark.parametrize(("name", "values"), titled(CARRYING))
def test_state_line_is_straight_through_all_steps(name: str, values: dict[str, Any]) -> None:
    of = topology(name, values)
    letter = "C_" if name == "cec" else "c_"
    for folded in standard_folds(name, of)[:2]:
        layout = lay_out(of, folded)
        names = of.graph.names
        state = [i for i, n in enumerate(names) if n.startswith((letter, "keep_")) and not n.endswith("_0")]
        assert len(state) == values["T"] * (2 if "keep_1" in names else 1)
        heights = [layout.boxes[layout.box_of_node[i]].y for i in state]
        heights += list(measure.state_line_heights(layout))
        assert np.ptp(heights) <= 0.5
        # into every state, out of the initial one too
        assert sum(edge.state_line for edge in layout.edges) >= len(state)


@settings(max_examples=25, deadline=None)
@given(folded_scenes(CARRYING))
def test_state_line_stays_straight_under_any_folding(scene: tuple[str, Layout]) -> None:
    heights = measure.state_line_heights(scene[1])
    assert len(heights) == 0 or np.ptp(heights) <= 0.5


def test_a_branch_to_a_peephole_is_no_part_of_the_state_line() -> None:
    of = topology("lstm", {"T": 3, "stage": "peephole"})
    for folded in standard_folds("lstm", of)[:2]:
        layout = lay_out(of, folded)
        for edge in layout.edges:
            if edge.state_line:
                target = of.graph.names[layout.boxes[edge.target].node]
                assert layout.boxes[edge.target].kind == "node"
                assert target.startswith(("keep_", "c_")), target


# Folding


@pytest.mark.parametrize(
    ("name", "values"), titled([("bptt", {"T": 3}), ("lstm", {"T": 3}), ("mlp", {"layers": 3})])
)
def test_folding_back_gives_the_very_same_picture(name: str, values: dict[str, Any]) -> None:
    of = topology(name, values)
    start = default_folds(SCENES[name], of)
    before = measure.fingerprint(lay_out(of, start))
    for path in sorted(of.scopes):
        assert measure.fingerprint(lay_out(of, start ^ {path})) != before or path.count("/") > 1
        assert measure.fingerprint(lay_out(of, (start ^ {path}) ^ {path})) == before
    recording = SCENES[name].build(values)
    assert measure.fingerprint(lay_out(Topology(recording.graph, recording.loss.id), start)) == before


@pytest.mark.parametrize(
    ("name", "values"), titled(v for v in VARIANTS if v[1].get("T") == 3 or "layers" in v[1])
)
def test_opening_a_scope_leaves_row_and_order_of_the_boxes_beside_it(
    name: str, values: dict[str, Any]
) -> None:
    of = topology(name, values)
    for start in standard_folds(name, of):
        before = lay_out(of, start)
        for path in sorted(start):
            after = lay_out(of, start - {path})
            assert measure.order_flips(before, after) == (0, 0, 0), path


def test_opening_a_gate_moves_columns_before_it_not_at_all_and_those_after_it_alike() -> None:
    of = topology("lstm", {"T": 5, "stage": "forget"})
    start = default_folds(SCENES["lstm"], of)
    before = measure.paths(lay_out(of, start))
    after = measure.paths(lay_out(of, start - {"lstm/t=3/forget"}))
    moved: dict[int, set[float]] = {}
    for path, box in before.items():
        if path[:1] == ("lstm",) and path in after and path[1] != "t=3":
            moved.setdefault(int(path[1][2:]), set()).add(round(after[path].x - box.x, 6))
    assert moved[1] == moved[2] == {0.0}
    assert moved[4] == moved[5]
    assert len(moved[4]) == 1 and moved[4].pop() > 50


def test_unknown_paths_are_ignored_and_the_innermost_fold_waits_for_the_outer_one() -> None:
    of = topology("lstm", {"T": 3, "stage": "forget"})
    assert measure.fingerprint(lay_out(of, frozenset({"nowhere/t=9"}))) != ""
    outer = lay_out(of, frozenset({"lstm"}))
    both = lay_out(of, frozenset({"lstm", "lstm/t=1/forget"}))
    assert measure.positions(measure.paths(outer)) == measure.positions(measure.paths(both))


# Time


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9])
@pytest.mark.parametrize(
    ("name", "values"),
    titled(
        [
            ("bptt", {}),
            ("cec", {}),
            *(("lstm", {"stage": s}) for s in STAGES),
            ("lstm", {"loss_at": "last step"}),
        ]
    ),
)
def test_one_more_time_step_moves_nothing_in_the_earlier_ones(
    name: str, values: dict[str, Any], steps: int
) -> None:
    for everything_open in (False, True):
        seen = []
        for t in (steps, steps + 1):
            of = topology(name, {**values, "T": t})
            layout = lay_out(of, frozenset() if everything_open else default_folds(SCENES[name], of))
            origin = layout.columns[0].x0
            seen.append({p: (b.x - origin, b.y) for p, b in measure.paths(layout).items()})
        earlier, later = seen
        kept = [p for p in earlier if len(p) > 2 and p in later]
        assert len({p[1] for p in kept}) == steps
        for path in kept:
            assert later[path] == pytest.approx(earlier[path], abs=1e-6), path


def recorded_otherwise(graph: Graph, loss: int, seed: int) -> tuple[Graph, int]:
    """The same network with its nodes recorded in another order that works."""
    rng = np.random.default_rng(seed)
    waiting = [len(set(inputs)) for inputs in graph.inputs]
    consumers: list[list[int]] = [[] for _ in range(len(graph))]
    for v, inputs in enumerate(graph.inputs):
        for j in set(inputs):
            consumers[j].append(v)
    ready = [i for i, n in enumerate(waiting) if n == 0]
    other = Graph()
    new: dict[int, int] = {}
    while ready:
        i = ready.pop(int(rng.integers(len(ready))))
        other._go_to(graph.scopes[i], graph.times[i], graph.time_depths[i])
        inputs = tuple(new[j] for j in graph.inputs[i])
        args = (graph.ops[i], inputs, graph.values[i], graph.attrs[i], graph.names[i], graph.kinds[i])
        new[i] = other.append(*args).id
        for v in consumers[i]:
            waiting[v] -= 1
            if waiting[v] == 0:
                ready.append(v)
    return other, new[loss]


@pytest.mark.parametrize(
    ("name", "values"), titled(v for v in VARIANTS if v[1].get("T", 3) == 3 and v[0] != "expression")
)
def test_same_picture_whatever_was_recorded_first(name: str, values: dict[str, Any]) -> None:
    recording = SCENES[name].build(values)
    folds = default_folds(SCENES[name], topology(name, values))
    for folded in (folds, frozenset()):
        before = measure.positions(measure.paths(lay_out(topology(name, values), folded)))
        for seed in range(3):
            other = Topology(*recorded_otherwise(recording.graph, recording.loss.id, seed))
            assert measure.positions(measure.paths(lay_out(other, folded))) == before


def test_same_picture_whatever_the_hash_seed() -> None:
    code = (
        "import hashlib\n"
        "from scenes import SCENES\n"
        "from explorer.model.layout import Topology, lay_out\n"
        "from explorer.model.session import default_folds\n"
        "from tests.layout_metrics import fingerprint\n"
        "for name, scene in sorted(SCENES.items()):\n"
        "    r = scene.build()\n"
        "    of = Topology(r.graph, r.loss.id)\n"
        "    for folded in (default_folds(scene, of), frozenset()):\n"
        "        print(name, fingerprint(lay_out(of, folded)))\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "77")
    ]
    outputs = [run.communicate()[0] for run in runs]
    assert all(run.returncode == 0 for run in runs)
    assert len(outputs[0].splitlines()) == 2 * len(SCENES)
    assert len(set(outputs)) == 1


# Shared leaves


def test_a_shared_leaf_has_an_alias_next_to_each_use() -> None:
    of = topology("bptt", {"T": 3})
    layout = lay_out(of)
    W = of.graph.named("W").id
    uses = [v for v, inputs in enumerate(of.graph.inputs) if W in inputs]
    boxes = [layout.boxes[k] for k in layout.boxes_of_node[W]]
    true = layout.boxes[layout.box_of_node[W]]
    aliases = [b for b in boxes if b.kind == "alias"]
    assert (true.kind, true.scope) == ("node", "parameters")
    consumers = [b.consumer for b in aliases if b.consumer is not None]
    assert sorted(consumers) == sorted(uses)
    assert len(uses) == 3
    for alias, use in zip(aliases, consumers, strict=True):
        consumer = layout.boxes[layout.box_of_node[use]]
        assert alias.scope == consumer.scope == f"rnn/t={of.graph.times[use]}"
        assert alias.x < consumer.x
    # the true leaf itself has no lines: they would cross the whole picture
    assert layout.box_of_node[W] not in {k for e in layout.edges for k in (e.source, e.target)}


def test_a_folded_scope_stands_for_all_of_its_nodes() -> None:
    of = topology("lstm", {"T": 3, "stage": "forget"})
    layout = lay_out(of, frozenset({"lstm/t=2"}))
    graph = of.graph
    inside = {i for i in range(len(graph)) if graph.times[i] == 2}
    box = next(k for k, b in enumerate(layout.boxes) if b.kind == "scope")
    assert layout.boxes[box].scope == "lstm/t=2"
    assert inside <= set(layout.members[box])
    assert {layout.box_of_node[i] for i in inside} == {box}
    assert all(layout.box_of_node[i] != box for i in range(len(graph)) if graph.times[i] in (1, 3))
    # what it shows as its value is something that the rest uses
    shown = layout.boxes[box].node
    assert any(shown in graph.inputs[v] for v in range(len(graph)) if v not in inside)
    assert all(a.scope != "lstm/t=2" for a in layout.areas)


# Finding things again


def test_boxes_edges_and_titles_are_found_at_their_points() -> None:
    layout = lay_out(topology("lstm", {"T": 3, "stage": "forget"}))
    for k, box in enumerate(layout.boxes):
        assert layout.box_at(box.x, box.y) == k
    assert layout.box_at(-50.0, -50.0) is None
    for area in layout.areas:
        assert layout.area_header_at((area.x0 + area.x1) / 2, area.y0 + 2) == area.scope
    assert layout.area_header_at(-50.0, -50.0) is None
    for k, edge in enumerate(layout.edges):
        x, y = edge.points[-1]
        found = layout.edge_at(float(x), float(y), 4.0)
        assert found is not None
        assert (
            found == k
            or layout.edges[found].target == edge.target
            or layout.edges[found].source == edge.source
        )
    assert layout.edge_at(-500.0, -500.0, 4.0) is None


# Graphs of one's own


def cycle_between_scopes() -> Tensor:
    x = tensor([1.0, 2.0], "x", "input")
    with scope("a"):
        first = ag.tanh(x)
    with scope("b"):
        second = ag.exp(first)
    with scope("a"):
        third = second * first
    with scope("b"):
        fourth = third + second
    return ag.sum(fourth)


def cycle_of_inner_scopes() -> Tensor:
    y = tensor(0.5, "x", "input")
    for k in range(4):
        with scope("outer"), scope("ab"[k % 2]), scope("in"):
            y = ag.sin(y) + y
    return y * 1.0


def no_scopes() -> Tensor:
    x, w = tensor(0.5, "x", "input"), tensor(2.0, "w")
    return ag.tanh(w * x) * w + 1.0


def time_without_scope() -> Tensor:
    h, w = tensor(0.0, "h_0", "input"), tensor(0.5, "w")
    for t in range(1, 4):
        with at_time(t):
            h = ag.tanh(w * h + tensor(0.1 * t, f"x_{t}", "input")).named(f"h_{t}")
    return ag.sum(h)


def nested_time() -> Tensor:
    total, w = tensor(0.0, "s_0", "input"), tensor(0.5, "w")
    for t in range(2):
        with scope("outer"), at_time(t):
            for k in range(2):
                with scope("inner"), at_time(k):
                    total = ag.tanh(total * w)
    return total * 2.0


def time_from_zero_and_backwards() -> Tensor:
    h = tensor(0.2, "h", "input")
    for t in (3, 2, 1, 0, -1):
        with scope("back"), at_time(t):
            h = ag.tanh(h).named(f"h_{t}")
    return h * h


def beside_the_time_steps() -> Tensor:
    w = tensor(0.3, "w")
    with scope("cell"):
        h = ag.tanh(w)
        for t in range(3):
            with at_time(t):
                h = h * w
        h = h + w
    return ag.exp(h)


def feeds_itself_twice() -> Tensor:
    x = tensor(3.0, "x", "input")
    return x * x


def disconnected_leaf() -> Tensor:
    tensor([1.0, 2.0], "alone")
    with scope("room"):
        tensor([1.0], "lonely", "input")
    with scope("steps"), at_time(2):
        tensor([1.0], "late", "target")
    return ag.sum(tensor([1.0, 2.0], "x", "input"))


def leaf_alone() -> Tensor:
    return tensor(1.0, "x")


def same_names_everywhere() -> Tensor:
    x = tensor(1.0, "x", "input")
    with scope("s"):
        parts = [ag.tanh(x).named("h") for _ in range(4)]
    return ag.add_n(parts).named("h")


def odd_names() -> Tensor:
    x = tensor(1.0, "a/b", "input")
    with scope("t=1"), scope("sc#pe:1"):
        y = ag.exp(x).named("x@y#1")
    with scope("t=1"), at_time(1):
        y = y + x
    with scope("a/b"):
        y = y * x
    with scope("a"), scope("b"):
        y = ag.sin(y)
    with scope(":y"), scope(""):
        y = ag.cos(y)
    return (y * y).named("t=1")


def used_after_the_loss() -> Tensor:
    x = tensor([1.0, 2.0], "x")
    loss = ag.sum(x * x)
    with scope("later"):
        ag.exp(loss) + ag.sum(x)
    return loss


def chain() -> Tensor:
    y = tensor(0.5, "x", "input")
    for _ in range(300):
        y = ag.sin(y)
    return y


def wide() -> Tensor:
    x = tensor(0.1, "x", "input")
    with scope("wide"):
        parts = [ag.sin(x * float(k + 1)) for k in range(30)]
    return ag.add_n(parts)


def skipping_time() -> Tensor:
    h = [tensor(0.1 * k, f"h_{k}", "input") for k in range(2)]
    for t in range(2, 7):
        with scope("rnn"), at_time(t):
            h.append(ag.tanh(h[t - 1] + h[t - 2] * h[0]).named(f"h_{t}"))
    with scope("loss"):
        return ag.add_n(h)


OWN: list[Callable[[], Tensor]] = [
    cycle_between_scopes,
    cycle_of_inner_scopes,
    no_scopes,
    time_without_scope,
    nested_time,
    time_from_zero_and_backwards,
    beside_the_time_steps,
    feeds_itself_twice,
    disconnected_leaf,
    leaf_alone,
    same_names_everywhere,
    odd_names,
    used_after_the_loss,
    chain,
    wide,
    skipping_time,
]
# a line back from a later scope to an earlier one is drawn straight across


def drawn(builder: Callable[[], Tensor]) -> Topology:
    with Graph() as g:
        loss = builder()
    return Topology(g, loss.id)


@pytest.mark.parametrize("builder", OWN, ids=lambda b: b.__name__)
def test_any_graph_can_be_drawn(builder: Callable[[], Tensor]) -> None:
    of = drawn(builder)
    for folded in (frozenset(), frozenset(of.scopes), *(frozenset({s}) for s in of.scopes)):
        assert_sound(lay_out(of, folded))


def test_both_lines_of_a_square_are_drawn() -> None:
    layout = lay_out(drawn(feeds_itself_twice))
    assert sorted(measure.drawn(layout)) == [(1, 0), (1, 1)]


def test_time_without_scope_still_makes_columns() -> None:
    layout = lay_out(drawn(time_without_scope))
    assert [c.time for c in layout.columns] == [1, 2, 3]
    assert all(spread <= 0.5 for spread in measure.row_spread(layout).values())


def test_time_runs_left_to_right_in_the_order_of_its_numbers() -> None:
    columns = lay_out(drawn(time_from_zero_and_backwards)).columns
    assert [c.time for c in sorted(columns, key=lambda c: c.x0)] == [-1, 0, 1, 2, 3]


# Rolled up, and long sequences


@pytest.mark.parametrize(("name", "values"), titled(v for v in RECURRENT if v[1]["T"] in (1, 3)))
def test_a_rolled_sequence_is_one_cell_with_its_loops(name: str, values: dict[str, Any]) -> None:
    of = topology(name, values)
    names, times = of.graph.names, of.graph.times
    for start in standard_folds(name, of)[:2]:
        whole = lay_out(of, start)
        for time in (1, values["T"]):
            rolled = lay_out(of, start | of.rolls.keys(), time)
            assert_clear(rolled)
            assert [c.time for c in rolled.columns] == [time] * len(of.rolls)
            shown = {b.node for b in rolled.boxes if times[b.node] is not None and b.kind == "node"}
            assert {times[n] for n in shown} <= {time}
            # every box of that step, where it is in the unrolled picture
            step = {p: b for p, b in measure.paths(whole).items() if len(p) > 2 and p[1] == f"t={time}"}
            seen = measure.paths(rolled)
            assert step.keys() <= seen.keys()
            assert len({(round(seen[p].x - b.x, 6), round(seen[p].y - b.y, 6)) for p, b in step.items()}) == 1
            # a line is a loop, or it stays within the step
            loops = 0
            for edge in rolled.edges:
                ends = [(times[of.graph.inputs[c][k]], times[c]) for c, k in edge.members]
                within = {a == b for a, b in ends if a is not None and b is not None}
                assert len(within) <= 1
                loops += within == {False}
            assert (loops > 0) == (values["T"] > 1), names


def test_unrolling_gives_the_very_same_picture() -> None:
    of = topology("lstm", {"T": 3, "stage": "forget"})
    before = measure.fingerprint(lay_out(of))
    lay_out(of, frozenset(of.rolls), 2)
    assert measure.fingerprint(lay_out(of)) == before


def long_rnn(steps: int) -> Tensor:
    W, h, losses = tensor(np.eye(2), "W"), tensor(np.zeros(2), "h_0", "input"), []
    for t in range(1, steps + 1):
        with scope("rnn"), at_time(t):
            h = ag.tanh(W @ h + tensor(np.ones(2), f"x_{t}", "input")).named(f"h_{t}")
            losses.append(ag.sum(h).named(f"L_{t}"))
    return ag.add_n(losses).named("E")


def test_the_middle_of_a_long_sequence_can_be_one_column() -> None:
    of = drawn(lambda: long_rnn(60))
    assert list(of.ranges) == ["rnn/t=4…57"]
    layout = lay_out(of, frozenset(of.ranges))
    assert_clear(layout)
    assert [c.time for c in layout.columns] == [1, 2, 3, 58, 59, 60]
    middle = next(k for k, b in enumerate(layout.boxes) if b.kind == "scope")
    graph = of.graph
    assert {graph.times[n] for n in layout.members[middle]} - {None} == set(range(4, 58))
    assert graph.names[layout.boxes[middle].node] == "L_57"
    # every edge is drawn, or lies inside
    inside = set(layout.members[middle])
    edges = {(v, k) for v, js in enumerate(graph.inputs) for k, j in enumerate(js)}
    hidden = {
        (v, k) for v, k in edges if {v, graph.inputs[v][k]} <= inside | {graph.named("W").id} and v in inside
    }
    assert set(measure.drawn(layout)) | hidden == edges
    whole = measure.paths(lay_out(of))
    kept = measure.paths(layout)
    early = [p for p in kept if len(p) > 2 and p[1] in ("t=1", "t=2", "t=3")]
    assert early and len({(round(kept[p].x - whole[p].x, 6)) for p in early}) == 1


def test_short_sequences_have_no_middle() -> None:
    assert not drawn(lambda: long_rnn(50)).ranges


# Shared parameters drawn once


@pytest.mark.parametrize(("name", "values"), titled(v for v in RECURRENT if v[1]["T"] in (1, 3)))
def test_shared_parameters_can_be_drawn_once(name: str, values: dict[str, Any]) -> None:
    recording = SCENES[name].build(values)
    of = Topology(recording.graph, recording.loss.id, once=True)
    for folded in standard_folds(name, of):
        layout = lay_out(of, folded)
        assert_sound(layout)
        assert measure.hits(layout) == []
        assert all(box.kind != "alias" for box in layout.boxes)
    for rows in measure.row_spread(lay_out(of)).values():
        assert rows <= 0.5
