"""Altered graphs: nodes held at constants, edges cut, leaves frozen; the same in every way of replaying."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import (
    Graph,
    NarrowPlan,
    Plan,
    ScalarPlan,
    Trace,
    check_gradients,
    compile_plan,
    jacobian,
    paths,
    tensor,
)
from scenes import SCENES

PAIRS = [ag.add, ag.subtract, ag.multiply, ag.maximum]
SINGLES = [ag.tanh, ag.sigmoid, ag.negative, ag.sin]
steps = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=25
)
marks = st.lists(st.tuples(st.sampled_from(["hold", "cut", "freeze"]), st.integers(0, 500)), max_size=8)
shapes = st.sampled_from([(), (3,), (2, 2)])


def recorded(recipe, shape, seed, wrapped=(), replaced=None):
    """A random graph; `wrapped` inputs stand in `stop_gradient`, `replaced` results are constants.

    Both are counted as this function makes them, so that they mean the same in both ways of recording; the
    third result tells which node of the graph each counted one is.
    """
    rng, replaced = np.random.default_rng(seed), replaced or {}
    ids = []
    with Graph() as graph:
        made = [tensor(rng.normal(size=shape), name) for name in "abc"]
        ids += [m.id for m in made]

        def kept(result):
            number = len(ids)
            if number in replaced:
                result = tensor(replaced[number], kind="constant")
            ids.append(result.id)
            return result

        def stopped(x, slot):
            return ag.stop_gradient(x) if (len(ids), slot) in wrapped else x

        for kind, i, j in recipe:
            a, b = stopped(made[i % len(made)], 0), made[j % len(made)]
            if kind < 4:
                made.append(kept(PAIRS[kind](a, stopped(b, 1))))
            else:
                made.append(kept(SINGLES[kind - 4](a)))
        parts = [made[-1], *made[:5]]
        if shape:
            parts = [kept(ag.sum(stopped(m, 0))) for m in parts]
        loss = kept(ag.add_n([stopped(m, k) for k, m in enumerate(parts)]))
    return graph, loss, ids


def alterations(graph, loss, chosen, seed):
    """What the marks mean for a graph: clamps, cuts, frozen leaves."""
    rng = np.random.default_rng(seed)
    ops = [i for i, op in enumerate(graph.ops) if op is not None and i != loss.id]
    edges = [(i, k) for i in [*ops, loss.id] for k in range(len(graph.inputs[i]))]
    leaves = [leaf.id for leaf in graph.leaves()]
    clamps, cuts, frozen = {}, set(), set()
    for what, number in chosen:
        if what == "hold" and ops:
            node = ops[number % len(ops)]
            clamps[node] = rng.normal(size=graph.values[node].shape)
        elif what == "cut":
            cuts.add(edges[number % len(edges)])
        elif what == "freeze":
            frozen.add(leaves[number % len(leaves)])
    return clamps, cuts, frozen


def plans(graph, loss):
    scalar = graph.scalar_values() is not None
    return [way(graph, loss) for way in ([Plan, ScalarPlan, NarrowPlan] if scalar else [Plan])]


def assert_equal_to_graph(plan, graph, loss):
    """Every value, gradient and contribution of the last eager run."""
    for node in graph.nodes:
        i = node.id
        np.testing.assert_allclose(plan.value(i), node.value, rtol=1e-12, atol=1e-13)
        if node.grad is not None:
            got = plan.grad(i)
            if got is None:  # the output itself, when nothing needs a gradient
                assert i == loss and not graph.needs_grad[i]
            else:
                np.testing.assert_allclose(got, node.grad, rtol=1e-9, atol=1e-11)
        for slot, sent in enumerate(node.contributions):
            got = plan.contribution(i, slot)
            if sent is None:
                assert got is None or not graph.sends(i, slot) or not np.any(got), (i, slot)
                assert graph.sends(i, slot) or got is None
            else:
                np.testing.assert_allclose(got, sent, rtol=1e-9, atol=1e-11)


@settings(max_examples=150, deadline=None)
@given(steps, shapes, marks, st.integers(0, 1000))
def test_every_way_of_replaying_agrees(recipe, shape, chosen, seed):
    graph, loss, _ = recorded(recipe, shape, seed)
    altered = graph.altered(*alterations(graph, loss, chosen, seed))
    trace = Trace.run(altered, altered.nodes[loss.id])
    for node in altered.nodes:
        for slot, sent in enumerate(node.contributions):
            got = trace.contributions[node.id][slot]
            assert (got is None) == (sent is None)
            assert got is None or np.array_equal(got, sent)
        assert len(trace.arrivals[node.id]) == sum(
            sent is not None
            for i, sents in enumerate(altered.contributions)
            for j, sent in zip(altered.inputs[i], sents, strict=False)
            if j == node.id
        )
    assert type(compile_plan(altered, loss.id)) in (Plan, ScalarPlan, NarrowPlan)
    compiled = plans(altered, loss.id)
    for plan in compiled:
        assert_equal_to_graph(plan, altered, loss.id)
    rng = np.random.default_rng(seed + 1)
    for leaf in altered.leaves():
        leaf.value = leaf.value + 0.1 * rng.normal(size=leaf.shape)
    for node in altered.held:
        altered.hold(node, rng.normal(size=altered.values[node].shape))
    altered.forward()
    altered.backward(loss.id)
    for plan in compiled:
        plan.load()
        plan.run()
        assert_equal_to_graph(plan, altered, loss.id)


@settings(max_examples=100, deadline=None)
@given(steps, shapes, marks, st.integers(0, 1000))
def test_it_is_what_rebuilding_would_give(recipe, shape, chosen, seed):
    """A cut is `stop_gradient` around that input; what is held, or frozen, is a constant."""
    graph, loss, ids = recorded(recipe, shape, seed)
    clamps, cuts, frozen = alterations(graph, loss, chosen, seed)
    altered = graph.altered(clamps, cuts, frozen)
    altered.forward()
    altered.backward(loss.id)
    number_of = {node: k for k, node in enumerate(ids)}
    rebuilt, its_loss, its_ids = recorded(
        recipe,
        shape,
        seed,
        wrapped={(number_of[i], k) for i, k in cuts},
        replaced={number_of[i]: value for i, value in clamps.items()},
    )
    rebuilt.backward(its_loss)
    for mine, its in zip(ids, its_ids, strict=True):
        np.testing.assert_array_equal(altered.values[mine], rebuilt.values[its])
        if altered.grads[mine] is not None and rebuilt.grads[its] is not None:
            np.testing.assert_allclose(altered.grads[mine], rebuilt.grads[its], rtol=1e-9, atol=1e-12)
        elif mine in clamps or mine in frozen:
            assert altered.grads[mine] is None
        elif altered.grads[mine] is None and rebuilt.grads[its] is not None:
            # nothing behind it wants a gradient: a frozen leaf, or what a cut lets nothing through to
            assert not altered.receivers(mine)


@settings(max_examples=40, deadline=None)
@given(steps, st.sampled_from([(), (2,)]), marks, st.integers(0, 1000))
def test_gradients_are_those_of_central_differences(recipe, shape, chosen, seed):
    graph, loss, _ = recorded([(k, i, j) for k, i, j in recipe if k != 3], shape, seed)
    clamps, _, frozen = alterations(graph, loss, [m for m in chosen if m[0] != "cut"], seed)
    altered = graph.altered(clamps, (), frozen)
    reports = check_gradients(altered.nodes[loss.id])
    assert {r.leaf for r in reports} == {leaf.name for leaf in graph.leaves() if leaf.id not in frozen}
    for report in reports:
        assert report.passes(1e-5), (report.leaf, report.error)


def small():
    with Graph() as graph:
        w, x = tensor([1.0, 2.0], "w"), tensor([0.5, -1.0], "x", kind="input")
        u = (w * x).named("u")
        z = ag.sigmoid(u).named("z")
        loss = ag.sum(z * w).named("E")
    return graph, loss


def test_names_and_numbers_stay_and_the_graph_itself_is_not_touched():
    graph, loss = small()
    graph.backward(loss)
    before = [v.copy() for v in graph.values]
    node = graph.named("z").id
    altered = graph.altered({node: [0.0, 1.0]}, {(loss.id, 0)}, {0})
    altered.nodes[1].value = [9.0, 9.0]
    altered.forward()
    for column in ("inputs", "names", "kinds", "scopes", "times", "time_depths"):
        assert list(getattr(graph, column)) == list(getattr(altered, column))
    assert altered.nodes[node].op == "clamp" and graph.nodes[node].op == "sigmoid"
    assert altered.nodes[node].value.tolist() == [0.0, 1.0]
    for i, value in enumerate(before):
        np.testing.assert_array_equal(graph.values[i], value)
    assert not graph.cuts and not graph.held and all(graph.needs_grad)


def test_what_is_held_sends_nothing_and_what_is_frozen_gets_nothing():
    graph, loss = small()
    u, z = graph.named("u").id, graph.named("z").id
    held = graph.altered({z: [0.25, 0.75]})
    held.forward()
    held.backward(loss.id)
    assert held.grads[z] is None and held.grads[u].tolist() == [0.0, 0.0]
    assert held.grads[0].tolist() == [0.25, 0.75] and held.grads[1].tolist() == [0.0, 0.0]
    frozen = graph.altered(frozen={0, 1})
    frozen.backward(loss.id)
    assert frozen.grads[0] is None and not any(frozen.needs_grad)
    assert Trace.run(frozen, frozen.nodes[loss.id]).steps[-1].phase == "loss"


def test_questions_about_paths_see_the_cut():
    graph, loss = small()
    u, w = graph.named("u"), graph.named("w")
    assert len(paths(graph, w, loss)) == 2
    altered = graph.altered(cuts={(u.id, 0)})
    way = paths(altered, w.id, loss.id)
    assert [p.nodes for p in way] == [(w.id, loss.id - 1, loss.id)]
    assert way[0].share == pytest.approx(1.0)
    assert not jacobian(altered.nodes[u.id], altered.nodes[w.id]).any()
    with pytest.raises(ValueError, match=r"w .* gets no gradient: it is a frozen parameter"):
        paths(graph.altered(frozen={w.id}), w.id, loss.id)


def test_an_infinite_slope_behind_a_cut_does_not_come_through():
    with Graph() as graph:
        x = tensor(0.0, "x")
        loss = ag.log(x) * 2.0 + x
    for kind in (Plan, ScalarPlan, NarrowPlan):
        altered = graph.altered(cuts={(loss.id - 1, 0)})
        assert not np.isfinite(kind(graph, loss).grad(x.id))
        assert kind(altered, loss.id).grad(x.id) == 1.0


@pytest.mark.parametrize(
    ("clamps", "cuts", "frozen", "match"),
    [
        ({0: [1.0, 1.0]}, (), (), "only what an op computes can be held"),
        ({3: [1.0]}, (), (), r"z \(2,\) can not be held at a value of shape \(1,\)"),
        ({99: 1.0}, (), (), "not computed"),
        ({}, {(3, 1)}, (), "no edge"),
        ({}, {(0, 0)}, (), "no edge"),
        ({}, (), {3}, "no leaf"),
        ({}, (), {-1}, "no leaf"),
    ],
)
def test_what_can_not_be_altered_is_refused(clamps, cuts, frozen, match):
    graph, _ = small()
    with pytest.raises(ValueError, match=match):
        graph.altered(clamps, cuts, frozen)


@pytest.mark.parametrize(
    ("scene", "scalar"), [("lstm", False), ("lstm", True), ("mlp", False), ("bptt", True)]
)
def test_scenes_altered_everywhere(scene, scalar):
    recording = SCENES[scene].build(scalar=scalar)
    graph, loss = recording.graph, recording.loss
    rng = np.random.default_rng(0)
    ops = [i for i, op in enumerate(graph.ops) if op is not None and i != loss.id]
    clamps = {int(i): np.full(graph.values[i].shape, 0.5) for i in rng.choice(ops, 5, replace=False)}
    cuts = {(int(i), 0) for i in rng.choice(ops, 8, replace=False)}
    frozen = {graph.leaves("parameter")[0].id}
    altered = graph.altered(clamps, cuts, frozen)
    altered.forward()
    altered.backward(loss.id)
    for plan in plans(altered, loss.id):
        assert_equal_to_graph(plan, altered, loss.id)
