"""The recorded graph: what it keeps, how gradients add up, how it runs again, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd import Graph, Tensor, at_time, check_gradients, scalars, scope, tensor


def equal(a: Any, b: Any) -> bool:
    """Every element the same; None is equal to nothing."""
    return np.array_equal(a, b)


# Random networks: a recipe is a list of (operation, which earlier nodes); any two shapes here broadcast

LEAF_SHAPES = ((), (3,), (2, 3), (3,))
Recipe = list[tuple[str, tuple[int, int, int]]]


def _product(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return ag.tanh(a) * b


def _matrix_times_vector(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    whole = np.zeros((2, 3))
    return (ag.sin(a) + whole) @ (b + np.zeros(3) if b.ndim < 2 else ag.sum(b, axis=0))


def _stacked(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return ag.mean(ag.stack([a + 0.0 * b, b + 0.0 * a], axis=-1), axis=-1)


OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "add": lambda a, b, c: a + b,
    "twice": lambda a, b, c: a + a,
    "subtract": lambda a, b, c: a - b,
    "product": _product,
    "square": lambda a, b, c: ag.sin(a) * ag.sin(a),
    "quotient": lambda a, b, c: a / (1.5 + ag.sigmoid(b)),
    "tanh": lambda a, b, c: ag.tanh(a),
    "sigmoid": lambda a, b, c: ag.sigmoid(a),
    "cos": lambda a, b, c: ag.cos(a),
    "softplus": lambda a, b, c: ag.softplus(a),
    "negative": lambda a, b, c: -a,
    "total": lambda a, b, c: ag.sum(a),
    "columns": lambda a, b, c: ag.sum(a + np.zeros((2, 3)), axis=0),
    "add_n": lambda a, b, c: ag.add_n([a, a, a]),
    "softmax": lambda a, b, c: ag.softmax(a + np.zeros(3)),
    "turned": lambda a, b, c: ag.transpose(ag.transpose(a)),
    "picked": lambda a, b, c: ag.sum((a + np.zeros(3))[..., [0, 2, 0]]),
    "matmul": _matrix_times_vector,
    "stacked": _stacked,
}

recipes = st.lists(
    st.tuples(st.sampled_from(sorted(OPERATIONS)), st.tuples(*[st.integers(0, 30)] * 3)),
    min_size=1,
    max_size=9,
)


def built(recipe: Recipe, seed: int) -> tuple[Graph, Tensor]:
    """The network of a recipe; everything nobody uses flows into the loss."""
    rng = np.random.default_rng(seed)
    with Graph() as g:
        pool = [tensor(rng.uniform(-1, 1, shape), f"leaf_{k}") for k, shape in enumerate(LEAF_SHAPES)]
        for name, picks in recipe:
            a, b, c = (pool[p % len(pool)] for p in picks)
            node = OPERATIONS[name](a, b, c)
            # a vector of two from a matrix product would not broadcast with the others
            pool.append(ag.sum(node) if node.shape not in LEAF_SHAPES else node)
        loss = ag.add_n([ag.sum(node * w) for node, w in zip(pool, rng.uniform(0.5, 1.5, 40), strict=False)])
    return g, loss


def summed(g: Graph, node: int) -> np.ndarray | None:
    """All contributions to a node, last recorded consumer first, the slots of one consumer in order."""
    total = None
    for consumer in reversed(g.nodes):
        for j, sent in zip(consumer.inputs, consumer.contributions, strict=True):
            if j == node and sent is not None:
                total = sent if total is None else total + sent
    return total


@settings(max_examples=40, deadline=None)
@given(recipes, st.integers(0, 1000))
def test_random_network_agrees_with_central_differences(recipe: Recipe, seed: int) -> None:
    _, loss = built(recipe, seed)
    for report in check_gradients(loss):
        assert report.passes(1e-5), (report.leaf, report.error)


@settings(max_examples=60, deadline=None)
@given(recipes, st.integers(0, 1000))
def test_contributions_add_up_to_the_gradient_bit_for_bit(recipe: Recipe, seed: int) -> None:
    g, loss = built(recipe, seed)
    loss.backward()
    for node in g.nodes:
        if node.id == loss.id:
            continue
        total = summed(g, node.id)
        if total is None:
            assert node.grad is None or not np.any(node.grad)
        else:
            assert equal(total, node.grad)
            assert total.shape == node.shape


@settings(max_examples=40, deadline=None)
@given(recipes, st.integers(0, 1000), st.integers(1001, 2000))
def test_replay_after_leaves_changed_is_a_fresh_recording(recipe: Recipe, seed: int, other: int) -> None:
    g, loss = built(recipe, seed)
    fresh, fresh_loss = built(recipe, other)
    loss.backward()
    for leaf, wanted in zip(g.leaves(), fresh.leaves(), strict=True):
        leaf.value = wanted.value
    g.forward()
    g.backward(loss)
    fresh_loss.backward()
    for mine, theirs in zip(g.nodes, fresh.nodes, strict=True):
        assert equal(mine.value, theirs.value)
        assert (mine.grad is None) == (theirs.grad is None)
        if mine.grad is not None:
            assert equal(mine.grad, theirs.grad)
        for a, b in zip(mine.contributions, theirs.contributions, strict=True):
            assert a is None if b is None else equal(a, b)


@settings(max_examples=30, deadline=None)
@given(recipes)
def test_recorded_order_is_topological(recipe: Recipe) -> None:
    g, _ = built(recipe, 0)
    assert [node.id for node in g.nodes] == list(range(len(g)))
    assert all(j < node.id for node in g.nodes for j in node.inputs)


# What a graph keeps


def test_names_kinds_scopes_and_times() -> None:
    with Graph() as g:
        W = tensor([[1.0, 2.0]], "W")
        with scope("cell"):
            x = tensor([1.0, 0.0], "x_1", "input")
            with at_time(1):
                with scope("gate"):
                    inner = ag.tanh(W @ x)
                beside = inner * 2.0
            after = beside + 1.0
        outside = -after
    assert (W.name, W.kind, W.scope, W.time, W.op) == ("W", "parameter", (), None, "leaf")
    assert (x.name, x.kind, x.scope, x.time) == ("x_1", "input", ("cell",), None)
    assert (inner.op, inner.kind, inner.scope, inner.time) == ("tanh", None, ("cell", "gate"), 1)
    assert (beside.scope, beside.time) == (("cell",), 1)
    assert (after.scope, after.time) == (("cell",), None)
    assert (outside.scope, outside.time) == ((), None)
    assert g.nodes[inner.inputs[0]].op == "matmul"
    assert g.named("x_1").id == x.id
    assert [leaf.name for leaf in g.leaves("input")] == ["x_1"]
    assert {leaf.kind for leaf in g.leaves()} == {"parameter", "input", "constant"}
    assert inner.named("h").name == "h" == g.nodes[inner.id].name
    with pytest.raises(KeyError, match="no node is named 'nobody'"):
        g.named("nobody")


def test_scope_and_time_end_with_an_error_inside() -> None:
    with Graph():
        with pytest.raises(ZeroDivisionError), scope("cell"), at_time(3):
            raise ZeroDivisionError
        x = tensor(1.0)
    assert (x.scope, x.time) == ((), None)


def test_inner_time_step_replaces_the_outer_one_and_gives_it_back() -> None:
    with Graph(), at_time(1):
        with at_time(7):
            inner = tensor(1.0)
        outer = tensor(1.0)
    assert (inner.time, outer.time) == (7, 1)


def test_a_leaf_has_its_own_copy() -> None:
    array = np.array([1.0, 2.0])
    with Graph():
        x = tensor(array)
    array[0] = 99.0
    assert x.value[0] == 1.0
    x.value = array
    array[1] = 99.0
    assert equal(x.value, [99.0, 2.0])
    assert tensor_of([1, 2]).value.dtype == np.float64


def tensor_of(value: Any) -> Tensor:
    with Graph():
        return tensor(value)


def test_graphs_may_be_nested_and_are_kept_apart() -> None:
    with Graph() as outer:
        a = tensor(1.0)
        with Graph() as inner:
            b = tensor(2.0)
        c = tensor(3.0)
    assert (a.graph, b.graph, c.graph) == (outer, inner, outer)
    assert (len(outer), len(inner)) == (2, 1)


def test_an_op_after_recording_still_joins_its_operands_graph() -> None:
    with Graph() as g:
        x = tensor(2.0)
    y = x * x + 1.0
    assert y.graph is g
    assert y.value == 5.0


# Gradients


def test_a_node_that_feeds_itself_twice_gets_two_contributions() -> None:
    with Graph():
        x = tensor(3.0)
        y = x * x
    y.backward()
    assert [float(c) for c in y.contributions] == [3.0, 3.0]
    assert x.grad == 6.0


def test_only_what_needs_it_gets_a_gradient() -> None:
    with Graph() as g:
        w = tensor([1.0, 2.0], "w")
        x = tensor([3.0, 4.0], "x", "input")
        d = tensor([0.0, 1.0], "d", "target")
        k = tensor([2.0, 2.0], "k", "constant")
        unused = tensor([[1.0, 1.0]], "unused")
        of_constants = k * d
        loss = ag.half_squared_error(w * x + of_constants, d)
        later = ag.exp(w)
    assert all(node.grad is None for node in g.nodes)
    loss.backward()
    assert np.any(w.grad) and np.any(x.grad)
    assert d.grad is None and k.grad is None and of_constants.grad is None
    assert of_constants.contributions == (None, None)
    assert loss.contributions[1] is None
    assert equal(unused.grad, [[0.0, 0.0]])
    assert equal(later.grad, [0.0, 0.0])
    assert later.contributions == (None,)
    assert loss.grad == 1.0


def test_second_backward_replaces_the_first() -> None:
    with Graph() as g:
        x = tensor(2.0)
        y = x * x * x
        z = ag.exp(x)
    y.backward()
    first = x.grad
    y.backward()
    assert equal(x.grad, first) and x.grad == 12.0
    z.backward()
    assert x.grad == np.exp(2.0)
    assert g.contributions[y.id] == (None, None)
    g.backward(y.id)
    assert x.grad == 12.0


def test_both_inputs_of_an_addition_keep_their_own_gradients() -> None:
    # an addition hands the same array to both: accumulating in place would spoil the sibling's
    with Graph():
        a, b = tensor([1.0, 2.0]), tensor([3.0, 4.0])
        s = a + b
        loss = ag.sum(s) + ag.sum(a * a)
    loss.backward()
    assert equal(a.grad, [3.0, 5.0])
    assert equal(b.grad, [1.0, 1.0])
    assert equal(s.grad, [1.0, 1.0])


def test_seed_scales_and_selects() -> None:
    with Graph():
        x = tensor([1.0, 2.0, 3.0], "x")
        y = (x * x).named("y")
    y.backward([0.0, 1.0, 10.0])
    assert equal(x.grad, [0.0, 4.0, 60.0])
    with pytest.raises(ValueError, match=r"seed has shape \(2,\), the output y \(3,\)"):
        y.backward([1.0, 2.0])


def test_output_of_one_element_needs_no_seed() -> None:
    with Graph():
        x = tensor([[3.0]])
        y = x * x
    y.backward()
    assert equal(x.grad, [[6.0]])


def test_a_chain_of_50000_nodes_needs_no_recursion() -> None:
    n = 50_000
    with Graph() as g:
        x = tensor(1.0)
        y = x
        for _ in range(n):
            y = -y
    assert len(g) == n + 1
    y.backward()
    assert x.grad == 1.0
    x.value = 2.0
    g.forward()
    assert y.value == 2.0


def _two_layers(make: Callable[..., Any]) -> tuple[Graph, Any]:
    rng = np.random.default_rng(5)
    with Graph() as g:
        W = make(rng.normal(size=(4, 3)), "W")
        V = make(rng.normal(size=(2, 4)), "V")
        x = make(rng.normal(size=3), "x", "input")
        h = ag.tanh(ag.matmul(W, x))
        y = ag.sigmoid(ag.matmul(V, h * h) - 0.5)
        loss = ag.sum((y - 0.3) ** 2) + ag.mean(h)
    return g, loss


def test_scalar_form_equals_the_tensor_form() -> None:
    g, loss = _two_layers(tensor)
    s, scalar_loss = _two_layers(scalars)
    loss.backward()
    scalar_loss.backward()
    assert all(node.shape == () for node in s.nodes)
    np.testing.assert_allclose(scalar_loss.value, loss.value, rtol=1e-13)
    for leaf in g.leaves("parameter", "input"):
        for index in np.ndindex(leaf.shape):
            element = s.named(f"{leaf.name}[{','.join(map(str, index))}]")
            assert element.value == leaf.value[index]
            mine, theirs = np.asarray(element.grad), np.asarray(leaf.grad)[index]
            np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)


def test_nan_and_infinity_flow_without_a_word() -> None:
    with Graph() as g:
        x = tensor([-1.0, 0.0, 1000.0])
        parts = [ag.log(x), ag.exp(x), ag.sqrt(x), 1.0 / x, x ** (-2.0), ag.softmax(x / 0.0)]
        loss = ag.add_n([ag.sum(p) for p in parts])
    loss.backward()
    g.forward()
    g.backward(loss)
    assert np.isnan(loss.value)
    assert not np.all(np.isfinite(np.asarray(x.grad)))
    assert parts[1].value[2] == np.inf
    assert parts[0].value[1] == -np.inf
    check_gradients(loss)
    assert np.isnan(parts[0].value[0])


def test_a_chosen_branch_keeps_nan_out_of_the_other() -> None:
    with Graph():
        x = tensor([np.nan, 1.0])
        y = ag.sum(x[1:])
    y.backward()
    assert equal(x.grad, [0.0, 1.0])


def test_local_derivative_of_an_elementwise_op() -> None:
    with Graph() as g:
        a, b = tensor([1.0, 2.0]), tensor(3.0)
        y = a * b
        z = ag.sum(y)
    assert equal(g.local_derivative(y.id, 0), [3.0, 3.0])
    assert equal(g.local_derivative(y.id, 1), [1.0, 2.0])
    assert g.local_derivative(z.id, 0) is None
    assert g.local_derivative(a.id, 0) is None


# Refused


def test_backward_on_a_non_scalar_says_so() -> None:
    with Graph():
        y = (2.0 * tensor([1.0, 2.0])).named("y")
    with pytest.raises(ValueError, match=r"scalar output or a seed: y \(2,\) is not a scalar") as error:
        y.backward()
    assert "shape (2,)" in str(error.value)
    assert y.grad is None


def test_tensors_of_two_graphs_can_not_be_joined() -> None:
    with Graph():
        a = tensor(1.0)
    with Graph():
        b = tensor(2.0)
    with pytest.raises(ValueError, match="add can not join tensors of two graphs"):
        a + b


def test_values_of_computed_nodes_can_not_be_set() -> None:
    with Graph():
        x = tensor([1.0, 2.0], "x")
        y = ag.exp(x).named("y")
    with pytest.raises(ValueError, match=r"y \(2,\) is computed"):
        y.value = [0.0, 0.0]
    with pytest.raises(ValueError, match=r"x \(2,\) can not take a value of shape \(3,\)"):
        x.value = [0.0, 0.0, 0.0]
    for wrong in (None, "text", ["1", "2"], [None, 1.0]):
        with pytest.raises((TypeError, ValueError)):
            x.value = wrong
    assert equal(x.value, [1.0, 2.0])


@pytest.mark.parametrize("wrong", [None, "1.5", ["1", "2"], [1.0, None], [[1.0], [1.0, 2.0]], 1j, object()])
def test_a_leaf_takes_numbers_only(wrong: Any) -> None:
    with Graph() as g:
        for make in (tensor, scalars):
            with pytest.raises((TypeError, ValueError)):
                make(wrong)
    assert len(g) == 0


def test_wrong_kind() -> None:
    with (
        Graph(),
        pytest.raises(ValueError, match="'weight' is not one of parameter, input, target, constant"),
    ):
        tensor(1.0, kind="weight")


def test_a_tensor_has_no_truth_value() -> None:
    with Graph():
        x = tensor([1.0, 2.0], "x")
        with pytest.raises(TypeError, match=r"greater #2 \(2,\) has no truth value"):
            if x > 1.0:
                pass
        with pytest.raises(TypeError, match="truth value"):
            _ = 0.0 < x < 1.0


@pytest.mark.parametrize(
    "call", [lambda: tensor(1.0), lambda: scalars([1.0]), lambda: scope("s").__enter__()]
)
def test_outside_of_a_graph_nothing_is_recorded(call: Any) -> None:
    with pytest.raises(ValueError, match="no graph is recording"):
        call()


def test_arrays_on_the_left_come_to_the_tensor() -> None:
    with Graph():
        x = tensor([1.0, 2.0])
        for y, wanted in (
            (np.array([3.0, 4.0]) + x, [4.0, 6.0]),
            (np.array([3.0, 4.0]) * x, [3.0, 8.0]),
            (np.eye(2) @ x, [1.0, 2.0]),
            (np.float64(2.0) - x, [1.0, 0.0]),
        ):
            assert isinstance(y, Tensor)
            assert equal(y.value, wanted)
