"""Compiled plans against the recorded graph: the same numbers, however the leaves change."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import OPS, Graph, scalars, tensor
from autograd.batches import ScalarPlan, compile_plan
from autograd.narrow import NarrowPlan
from autograd.plan import Plan
from scenes import SCENES


def assert_equal_to_graph(plan, graph, loss):
    """Every value, gradient and contribution, up to the order of sums."""
    graph.forward()
    graph.backward(loss)
    arrived = dict.fromkeys(range(len(graph)), 1e-6)  # a sum is as exact as the largest of its parts
    for node in graph.nodes:
        for source, sent in zip(graph.inputs[node.id], node.contributions, strict=True):
            if sent is not None:
                arrived[source] = max(arrived[source], float(np.max(np.abs(sent), initial=0.0)))
    for node in graph.nodes:
        i = node.id
        if i > loss.id:
            continue
        np.testing.assert_allclose(plan.value(i), node.value, rtol=1e-12, atol=1e-13)
        if node.grad is not None:
            got = plan.grad(i)
            scale = np.max(np.abs(node.grad), initial=arrived[i])
            assert got is not None
            assert np.max(np.abs(got - node.grad), initial=0.0) <= 1e-12 * scale, graph.describe(i)
        for slot, sent in enumerate(node.contributions):
            if sent is not None:
                np.testing.assert_allclose(plan.contribution(i, slot), sent, rtol=1e-9, atol=1e-12)


def change_leaves(plan, graph, rng):
    for leaf in graph.leaves("parameter", "input"):
        leaf.value = leaf.value + 0.1 * rng.normal(size=leaf.shape)
        plan.set(leaf.id, leaf.value)
    plan.run()


def plans(graph, loss):
    """The same graph compiled in every way that it can be."""
    scalar = all(node.ndim == 0 for node in graph.nodes)
    ways = [Plan, ScalarPlan, NarrowPlan] if scalar else [Plan]
    assert type(compile_plan(graph, loss)) in (ways[1:] if scalar else ways)
    return [way(graph, loss) for way in ways]


def assert_replays(graph, loss, seed=1):
    """As recorded, and after the leaves changed."""
    compiled = plans(graph, loss)
    for plan in compiled:
        assert_equal_to_graph(plan, graph, loss)
    for plan in compiled:
        change_leaves(plan, graph, np.random.default_rng(seed))
        assert_equal_to_graph(plan, graph, loss)


FORMS = [(scene, scalar) for scene in sorted(SCENES) for scalar in (False, True)]


@pytest.mark.parametrize(("scene", "scalar"), FORMS)
def test_scenes_replay_as_recorded(scene, scalar):
    recording = SCENES[scene].build(scalar=scalar)
    assert_replays(recording.graph, recording.loss)


@pytest.mark.parametrize("stage", ["cec", "gates", "forget", "peephole"])
def test_a_long_lstm_uses_one_product_for_each_matrix(stage):
    recording = SCENES["lstm"].build({"stage": stage, "T": 12, "hidden": 3})
    plan = Plan(recording.graph, recording.loss)
    assert_equal_to_graph(plan, recording.graph, recording.loss)
    dots = sum(call is np.dot for call, _ in plan._backward)
    matrices = sum(leaf.ndim == 2 for leaf in recording.graph.leaves("parameter"))
    assert dots <= 12 * matrices + matrices  # one each per step for the state, one each for the weights


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_can_be_planned(name):
    op = OPS[name]
    rng = np.random.default_rng(3)
    for sample in op.samples:
        with Graph() as graph:
            xs = [
                tensor(rng.uniform(sample.low, sample.high, s), f"x{k}") for k, s in enumerate(sample.shapes)
            ]
            y = getattr(ag, name)(*(xs if op.arity is not None else [xs]), **sample.attrs)
            loss = ag.sum(y * rng.normal(size=y.shape))
        plan = Plan(graph, loss)
        assert_equal_to_graph(plan, graph, loss)
        for leaf in xs:  # small enough a change to stay where the op is smooth
            leaf.value = leaf.value * 1.001
            plan.set(leaf.id, leaf.value)
        plan.run()
        assert_equal_to_graph(plan, graph, loss)


PAIRS = [ag.add, ag.subtract, ag.multiply, ag.maximum]
SINGLES = [ag.tanh, ag.sigmoid, ag.relu, ag.negative, ag.sin]
steps = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40
)


def random_graph(recipe, shape, seed):
    rng = np.random.default_rng(seed)
    with Graph() as graph:
        made = [tensor(rng.normal(size=shape), name) for name in "abc"]
        for kind, i, j in recipe:
            a, b = made[i % len(made)], made[j % len(made)]
            made.append(PAIRS[kind](a, b) if kind < 4 else SINGLES[kind - 4](a))
        out = made[-1] if not shape else ag.sum(made[-1])
        loss = out + ag.add_n([m if not shape else ag.sum(m) for m in made[:5]])
    return graph, loss


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([(), (3,), (2, 2)]), st.integers(0, 1000))
def test_random_graphs_replay_as_recorded(recipe, shape, seed):
    assert_replays(*random_graph(recipe, shape, seed), seed)


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 1000))
def test_batched_equals_unbatched(recipe, seed):
    graph, loss = random_graph(recipe, (), seed)
    one, many, _ = plans(graph, loss)
    for node in graph.nodes:
        np.testing.assert_allclose(many.value(node.id), one.value(node.id), rtol=1e-12, atol=1e-14)
        if node.grad is not None or one.grad(node.id) is not None:
            np.testing.assert_allclose(many.grad(node.id), one.grad(node.id), rtol=1e-11, atol=1e-12)


def test_slices_of_one_array_join_their_gradients():
    with Graph() as graph:
        z = tensor(np.arange(8.0), "z")
        y = ag.tanh(z)
        loss = ag.sum(y[0:4] * y[4:8]) + ag.sum(y[2:6] ** 2) + y[1] + ag.sum(y)
    plan = Plan(graph, loss)
    assert_equal_to_graph(plan, graph, loss)


def test_the_output_may_feed_other_nodes():
    with Graph() as graph:
        x = tensor(2.0, "x")
        loss = x * x
        loss * 3.0
    for kind in (Plan, ScalarPlan):
        plan = kind(graph, loss)
        assert plan.grad(x.id) == 4.0


def test_load_takes_over_the_leaves_of_the_graph():
    recording = SCENES["bptt"].build()
    plan = Plan(recording.graph, recording.loss)
    recording["b"].value = [1.0, 2.0, 3.0]
    plan.load()
    plan.run()
    assert_equal_to_graph(plan, recording.graph, recording.loss)


def test_wrong_values_are_refused_with_the_name():
    recording = SCENES["bptt"].build()
    plan = Plan(recording.graph, recording.loss)
    with pytest.raises(ValueError, match=r"W \(3, 3\) can not take a value of shape \(2,\)"):
        plan.set(recording["W"].id, [1.0, 2.0])
    with pytest.raises(ValueError, match="computed"):
        plan.set(recording["u_1"].id, np.zeros(3))
    with pytest.raises(ValueError, match="scalar output"):
        Plan(recording.graph, recording["u_1"])


def test_a_chain_of_a_hundred_thousand_nodes():
    with Graph() as graph:
        x = tensor(1.0, "x")
        y = x
        for _ in range(100_000):
            y = y * 1.00001
    plan = ScalarPlan(graph, y)
    assert plan.grad(x.id) == pytest.approx(1.00001**100_000, rel=1e-9)


def test_nan_and_infinity_flow_in_silence(recwarn):
    with Graph() as graph:
        x = tensor([1.0, 0.0, -1.0], "x")
        loss = ag.sum(ag.log(x) / x)
    plan = Plan(graph, loss)
    plan.run()
    assert np.isnan(plan.value(loss.id))
    assert not recwarn.list


def test_ten_thousand_runs_do_not_grow():
    recording = SCENES["cec"].build({"T": 2})
    plan = Plan(recording.graph, recording.loss)
    plan.run()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10_000):
        plan.run()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


def test_scalars_and_tensors_agree():
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(3, 4)), rng.normal(size=4)
    with Graph() as whole:
        loss = ag.sum(ag.tanh(tensor(W, "W") @ tensor(x, "x", "input")) ** 2)
    with Graph() as parts:
        w = scalars(W, "W")
        loss_parts = ag.sum(ag.tanh(w @ scalars(x, "x", "input")) ** 2)
    a, b = compile_plan(whole, loss), compile_plan(parts, loss_parts)
    grads = np.array([[b.grad(w[i, j].id) for j in range(4)] for i in range(3)])
    np.testing.assert_allclose(grads, a.grad(whole.named("W").id), rtol=1e-12)


def test_gradients_that_are_handed_on_keep_their_own_array():
    rng = np.random.default_rng(2)
    with Graph() as graph:
        W, b = tensor(rng.normal(size=(3, 3)), "W"), tensor(rng.normal(size=3), "b")
        x, losses = tensor(rng.normal(size=3), "x", "input"), []
        for _ in range(5):
            x = ag.tanh((W @ x) - b)  # the difference hands its gradient on as it is
            losses.append(ag.sum(x))
        loss = ag.add_n(losses)
    plan = Plan(graph, loss)
    change_leaves(plan, graph, rng)
    assert_equal_to_graph(plan, graph, loss)


def rnn(steps, hidden=4):
    rng = np.random.default_rng(5)
    with Graph() as graph:
        U, V = tensor(rng.normal(size=(hidden, hidden)), "U"), tensor(rng.normal(size=(hidden, hidden)), "V")
        h = tensor(np.zeros(hidden), "h_0")
        losses = []
        for _ in range(steps):
            h = ag.tanh(U @ h + tensor(rng.normal(size=hidden), kind="input"))
            losses.append(ag.half_squared_error(V @ h, tensor(rng.normal(size=hidden), kind="target")))
        loss = ag.add_n(losses)
    return graph, loss


def test_what_branches_off_from_time_is_one_call_for_all_steps():
    for steps in (10, 20):
        plan = Plan(*rnn(steps))
        assert_equal_to_graph(plan, *rnn(steps))
        calls = len(plan._forward) + len(plan._backward)
        assert calls <= 6 * steps + 25  # what runs through time, and the rest whatever its length


def test_kinds_that_wait_for_each_other_crosswise():
    with Graph() as graph:
        p, q = tensor(np.full(3, 0.4), "p"), tensor(np.full(3, -0.7), "q")
        one = ag.sin(ag.tanh(p))  # tanh before sin, and
        other = ag.tanh(ag.sin(q))  # sin before tanh: no order has both stacks
        loss = ag.sum(one * other)
    assert_replays(graph, loss)


@pytest.mark.parametrize("join", [ag.stack, ag.concatenate])
def test_pieces_are_computed_in_their_places(join):
    with Graph() as graph:
        x = tensor(np.linspace(-1.0, 1.0, 4), "x")
        pieces = [ag.tanh(x), ag.sin(x), x * x, x]
        whole = join(pieces)
        loss = ag.sum(whole * whole) + ag.sum(pieces[0])
    assert_replays(graph, loss)
    copies = [call for call, _ in Plan(graph, loss)._forward if call is np.positive]
    assert len(copies) == 1  # a leaf has its own place


def test_nothing_visible_is_overwritten():
    with Graph() as graph:
        x = tensor(np.linspace(0.1, 1.0, 5), "x")
        y = x
        for _ in range(4):
            y = ag.sigmoid(-y)  # each value has one reader, and is looked at afterwards
        loss = ag.sum(y)
    plan = Plan(graph, loss)
    plan.backward()
    plan.backward()
    assert_equal_to_graph(plan, graph, loss)


@pytest.mark.parametrize("value", [0.0, 800.0, -1.0, np.inf, np.nan])
def test_what_is_not_finite_is_the_same_one_by_one(value):
    with Graph() as graph:
        x = tensor(value, "x")
        y = ag.exp(x) / (x * 1.0) + ag.log(x) * x + 1.0 / x
        loss = y * y
        x / 0.0  # leads nowhere, and sends nothing back
    graph.forward()
    graph.backward(loss)
    for plan in plans(graph, loss):
        for node in (x, y, loss):
            np.testing.assert_allclose(plan.value(node.id), node.value, rtol=1e-12)
            np.testing.assert_allclose(plan.grad(node.id), node.grad, rtol=1e-12)


def recorded_otherwise(graph, rng):
    """The same network with its nodes recorded in another order that works, and the new number of each."""
    waiting = [len(set(inputs)) for inputs in graph.inputs]
    ready = [i for i, n in enumerate(waiting) if n == 0]
    other, new = Graph(), {}
    while ready:
        i = ready.pop(int(rng.integers(len(ready))))
        inputs = tuple(new[j] for j in graph.inputs[i])
        args = (graph.ops[i], inputs, graph.values[i], graph.attrs[i], graph.names[i], graph.kinds[i])
        new[i] = other.append(*args).id
        for v, js in enumerate(graph.inputs):
            if i in js:
                waiting[v] -= 1
                if waiting[v] == 0:
                    ready.append(v)
    return other, new


@settings(max_examples=40, deadline=None)
@given(steps, st.sampled_from([(), (3,)]), st.integers(0, 1000))
def test_the_order_of_recording_makes_no_difference(recipe, shape, seed):
    graph, loss = random_graph(recipe, shape, seed)
    other, new = recorded_otherwise(graph, np.random.default_rng(seed))
    graph.backward(loss)
    other.backward(new[loss.id])
    plan = compile_plan(other, new[loss.id])
    for i in range(len(graph)):
        grad = graph.grads[i]
        if grad is not None and i <= loss.id:
            np.testing.assert_allclose(other.grads[new[i]], grad, rtol=1e-11, atol=1e-12)
            np.testing.assert_allclose(plan.grad(new[i]), grad, rtol=1e-11, atol=1e-12)


def test_a_graph_takes_over_a_run_without_copying_it_and_goes_on_from_there():
    with Graph() as graph:
        W = tensor([[0.5, -1.0], [2.0, 0.3]], name="W")
        x = tensor([1.0, 2.0], name="x", kind="input")
        h = ag.tanh(W @ x)
        E = ag.sum(h * h)
    graph.backward(E)
    plan = compile_plan(graph, E)
    W.value = W.value * 2.0
    plan.load()
    plan.run()
    values, grads = plan.everything()
    graph.adopt(values, grads, [()] * len(graph))
    taken = h.value
    assert np.array_equal(taken, np.tanh(W.value @ x.value)) and not taken.flags.writeable
    assert E.grad == 1.0 and np.array_equal(graph.grads[W.id], plan.grad(W.id))
    assert list(values)[W.id].shape == (2, 2) and values[-1] == E.value and values[1:2][0] is not None
    plan.set(W.id, np.zeros((2, 2)))
    plan.run()
    assert np.array_equal(h.value, taken)  # a later run changes nothing
    W.value[0, 0] = 7.0  # a leaf is the graph's own
    assert values[W.id][0, 0] == 1.0
    again = ag.sum(h)  # recorded on what was taken over
    assert again.value == taken.sum()
    graph.forward()
    assert np.array_equal(h.value, np.tanh(W.value @ x.value)) and E.value == np.sum(h.value**2)


@pytest.mark.parametrize("count", [3, 400])
def test_snapshots_of_scalar_graphs_say_what_has_no_gradient(count):
    with Graph() as graph:
        xs = [tensor(0.1 * k, f"x{k}", "input") for k in range(count)]
        c = tensor(2.0, "c", "constant")
        E = ag.add_n([c * x for x in xs])
    plan = compile_plan(graph, E)
    values, grads = plan.everything()
    assert grads[c.id] is None and grads[xs[1].id] == 2.0 and grads[xs[1].id].shape == ()
    assert values[E.id] == pytest.approx(2.0 * sum(0.1 * k for k in range(count)))
    graph.adopt(values, grads, [()] * len(graph))
    assert E.value == values[E.id] and graph.scalar_values()[E.id] == values[E.id]
