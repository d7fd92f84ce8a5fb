"""Every operation: its gradient, its value, its texts, and what happens at the edges of its domain."""

from __future__ import annotations

import re
import string
import warnings
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd import OPS, Graph, Op, Tensor, check_gradients, tensor
from autograd.ops import Sample, record

SAMPLES = [
    pytest.param(op, sample, id=f"{op.name}-{k}")
    for op in OPS.values()
    for k, sample in enumerate(op.samples)
]
FLAT = {"stop_gradient"}  # its gradient is not its derivative, on purpose
every_op = pytest.mark.parametrize("op", OPS.values(), ids=OPS.keys())
every_sample = pytest.mark.parametrize(("op", "sample"), SAMPLES)


def recorded(op: Op, sample: Sample) -> tuple[list[Tensor], Tensor]:
    """Leaves and result of an op on drawn values."""
    rng = np.random.default_rng(7)
    with Graph():
        leaves = [
            tensor(rng.uniform(sample.low, sample.high, shape), name=f"in_{k}")
            for k, shape in enumerate(sample.shapes)
        ]
        return leaves, record(op, leaves, op.defaults | sample.attrs)


def gradients(function: Any, *values: Any, seed: Any = None) -> list[np.ndarray]:
    with Graph():
        leaves = [tensor(v) for v in values]
        output = function(*leaves)
        output.backward(seed if seed is not None else np.ones(output.shape))
    return [np.asarray(leaf.grad) for leaf in leaves]


def value(function: Any, *values: Any) -> np.ndarray:
    with Graph():
        return function(*(tensor(v) for v in values)).value


@every_sample
def test_gradient_agrees_with_central_differences(op: Op, sample: Sample) -> None:
    leaves, y = recorded(op, sample)
    weights = np.random.default_rng(8).uniform(0.5, 1.5, y.shape)
    # every element of the result counts differently, so that no mixed-up element goes unseen
    loss = ag.sum(y * weights)
    for report in check_gradients(loss, leaves):
        assert report.passes(1e-6), (report.leaf, report.error, report.worst)


@every_sample
def test_contributions_have_the_shape_of_the_input(op: Op, sample: Sample) -> None:
    leaves, y = recorded(op, sample)
    y.backward(np.ones(y.shape))
    for leaf, sent in zip(leaves, y.contributions, strict=True):
        assert isinstance(sent, np.ndarray)
        assert sent.shape == leaf.shape
        assert sent.dtype == np.float64
        assert leaf.grad.shape == leaf.shape


@every_op
def test_op_is_described(op: Op) -> None:
    assert op.formula.startswith("y")
    assert op.symbol.strip()
    assert op.doc.endswith(".")
    assert op.samples or op.name in FLAT, "an op without a sample is not checked"
    inputs = op.arity
    if inputs is None:  # any number of inputs share one text
        assert len(op.partials) == len(op.back) == 1
    else:
        assert len(op.partials) == len(op.back) == inputs
        for sample in op.samples:
            assert len(sample.shapes) == inputs
    for tex in (op.formula, *op.partials):
        assert tex.count("{") == tex.count("}")
        assert r"\partial" in tex or tex is op.formula
    known = {"a", "b", "g", "n", "plus", "list"}
    for text in (op.text, *op.back):
        fields = {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}
        assert fields <= known, text
    assert "g" not in {field for _, field, _, _ in string.Formatter().parse(op.text)}


@every_op
def test_registered_name_is_the_public_function(op: Op) -> None:
    function = getattr(ag, op.name)
    assert function.__doc__
    assert op.name in ag.__all__


A = np.array([[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]])
B = np.array([[1.5, 0.5, -2.0], [0.75, 1.25, 3.0]])
P = np.array([[0.5, 1.25, 2.0], [1.5, 0.25, 0.75]])
V = np.array([0.5, -1.5, 2.5])
ROW = np.array([1.0, 2.0, 4.0])

FORWARD: list[tuple[str, Any, tuple[Any, ...], Any]] = [
    ("add", lambda a, b: a + b, (A, ROW), A + ROW),
    ("subtract", lambda a, b: a - b, (A, B), A - B),
    ("subtract", lambda a: 3.0 - a, (A,), 3.0 - A),
    ("multiply", lambda a, b: a * b, (A, ROW), A * ROW),
    ("divide", lambda a, b: a / b, (A, B), A / B),
    ("divide", lambda a: 2.0 / a, (P,), 2.0 / P),
    ("negative", lambda a: -a, (A,), -A),
    ("power", lambda a: a**3, (A,), A * A * A),
    ("power", lambda a: 2.0**a, (A,), np.exp2(A)),
    ("power", lambda a, b: a**b, (P, B), np.exp(B * np.log(P))),
    ("exp", ag.exp, (A,), np.e**A),
    ("log", ag.log, (P,), np.log(P)),
    ("sqrt", ag.sqrt, (P,), P**0.5),
    ("abs", ag.abs, (A,), np.where(A < 0, -A, A)),
    ("sin", ag.sin, (A,), np.sin(A)),
    ("cos", ag.cos, (A,), np.sin(A + np.pi / 2)),
    ("tanh", ag.tanh, (A,), (np.exp(A) - np.exp(-A)) / (np.exp(A) + np.exp(-A))),
    ("sigmoid", ag.sigmoid, (A,), 0.5 * (1 + np.tanh(A / 2))),
    ("relu", ag.relu, (A,), np.where(A > 0, A, 0)),
    ("leaky_relu", ag.leaky_relu, (A,), np.where(A > 0, A, 0.01 * A)),
    ("leaky_relu", lambda a: ag.leaky_relu(a, 0.2), (A,), np.where(A > 0, A, 0.2 * A)),
    ("elu", ag.elu, (A,), np.where(A > 0, A, np.exp(A) - 1)),
    ("elu", lambda a: ag.elu(a, alpha=0.5), (A,), np.where(A > 0, A, 0.5 * (np.exp(A) - 1))),
    ("softplus", ag.softplus, (A,), np.log(1 + np.exp(A))),
    ("maximum", ag.maximum, (A, B), np.where(A > B, A, B)),
    ("minimum", ag.minimum, (A, B), np.where(A > B, B, A)),
    ("matmul", lambda a, b: a @ b, (A, V), np.array([row @ V for row in A])),
    ("matmul", lambda a, b: a @ b, (A, B.T), np.einsum("ij,kj->ik", A, B)),
    ("matmul", lambda b: A @ b, (V,), np.einsum("ij,j->i", A, V)),
    ("matmul", lambda a, b: a @ b, (V, B.T), np.einsum("j,kj->k", V, B)),
    ("dot", ag.dot, (V, ROW), np.array(0.5 - 3.0 + 10.0)),
    ("outer", ag.outer, (V, ROW), V[:, None] * ROW),
    ("sum", ag.sum, (A,), np.array(2.25)),
    ("sum", lambda a: ag.sum(a, axis=0), (A,), A[0] + A[1]),
    ("sum", lambda a: ag.sum(a, axis=1, keepdims=True), (A,), np.array([[1.25], [1.0]])),
    ("mean", ag.mean, (A,), np.array(0.375)),
    ("mean", lambda a: ag.mean(a, axis=0), (A,), (A[0] + A[1]) / 2),
    ("add_n", lambda a, b, c: ag.add_n([a, b, c]), (A, B, P), A + B + P),
    ("half_squared_error", ag.half_squared_error, (A, B), np.array(0.5 * ((A - B) ** 2).sum())),
    ("stop_gradient", ag.stop_gradient, (A,), A),
    ("transpose", ag.transpose, (A,), A.T),
    ("transpose", lambda a: ag.transpose(a, (1, 0)), (A,), A.T),
    ("reshape", lambda a: ag.reshape(a, (3, 2)), (A,), A.reshape(3, 2)),
    ("reshape", ag.reshape, (A,), A.ravel()),
    ("concatenate", lambda a, b: ag.concatenate([a, b]), (A, B), np.vstack([A, B])),
    ("concatenate", lambda a, b: ag.concatenate([a, b], axis=1), (A, B), np.hstack([A, B])),
    ("stack", lambda a, b: ag.stack([a, b]), (V, ROW), np.vstack([V, ROW])),
    ("stack", lambda a, b: ag.stack([a, b], axis=1), (V, ROW), np.vstack([V, ROW]).T),
    ("getitem", lambda a: a[1], (A,), A[1]),
    ("getitem", lambda a: a[:, 1:], (A,), A[:, 1:]),
    ("getitem", lambda a: a[[2, 0, 2]], (V,), np.array([2.5, 0.5, 2.5])),
    ("softmax", ag.softmax, (A,), np.exp(A) / np.exp(A).sum(axis=1, keepdims=True)),
    ("softmax", lambda a: ag.softmax(a, axis=0), (A,), np.exp(A) / np.exp(A).sum(axis=0)),
    ("log_softmax", ag.log_softmax, (V,), V - np.log(np.exp(V).sum())),
    ("greater", lambda a, b: a > b, (A, B), np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])),
    ("less", lambda a, b: a < b, (A, B), np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])),
    ("greater_equal", lambda a: a >= 0.5, (V,), np.array([1.0, 0.0, 1.0])),
    ("less_equal", lambda a: a <= 0.5, (V,), np.array([1.0, 1.0, 0.0])),
]


@pytest.mark.parametrize(
    ("name", "function", "values", "wanted"), FORWARD, ids=[f"{k}-{row[0]}" for k, row in enumerate(FORWARD)]
)
def test_value_is_that_of_a_numpy_expression(name: str, function: Any, values: Any, wanted: Any) -> None:
    with Graph():
        y = function(*(tensor(v) for v in values))
    assert y.op == name
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y.value, wanted, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("shape_a", "shape_b"),
    [((2, 3), (3,)), ((), (2, 1)), ((4, 1), (1, 3)), ((1,), (2, 2)), ((2, 1, 3), (5, 1))],
)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "power"])
def test_a_stretched_input_gets_the_sum_over_its_copies(name: str, shape_a: Any, shape_b: Any) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 2.0, shape_a), rng.uniform(0.5, 2.0, shape_b)
    whole = np.broadcast_shapes(shape_a, shape_b)
    seed = rng.uniform(0.5, 1.5, whole)
    got = gradients(getattr(ag, name), a, b, seed=seed)
    copies = gradients(getattr(ag, name), np.broadcast_to(a, whole), np.broadcast_to(b, whole), seed=seed)
    for part, full, shape in zip(got, copies, (shape_a, shape_b), strict=True):
        assert part.shape == shape
        padded = (1,) * (len(whole) - len(shape)) + shape
        axes = tuple(k for k, n in enumerate(padded) if n == 1 and whole[k] != 1)
        np.testing.assert_allclose(part, full.sum(axis=axes, keepdims=True).reshape(shape), rtol=1e-13)


# Where numbers are extreme: filterwarnings turns every warning into a failure


def test_sigmoid_is_accurate_far_out() -> None:
    x = np.array([-800.0, -700.0, -40.0, 0.0, 40.0, 800.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = value(ag.sigmoid, x)
        (slope,) = gradients(ag.sigmoid, x)
    np.testing.assert_allclose(y[1:3], np.exp([-700.0, -40.0]), rtol=1e-12)  # 4.2e-18, not 0
    assert y[0] == 0.0
    assert y[3] == 0.5
    assert y[4] == 1.0 and y[5] == 1.0
    assert slope[2] == pytest.approx(np.exp(-40.0), rel=1e-12)
    assert np.array_equal(slope[[0, 5]], [0.0, 0.0])


def test_softplus_and_its_slope_are_accurate_far_out() -> None:
    x = np.array([-800.0, -40.0, 800.0])
    np.testing.assert_allclose(value(ag.softplus, x), [0.0, np.exp(-40.0), 800.0], rtol=1e-12)
    np.testing.assert_allclose(gradients(ag.softplus, x)[0], [0.0, np.exp(-40.0), 1.0], rtol=1e-12)


@pytest.mark.parametrize("far", [1e3, 1e6, 1e300])
def test_softmax_of_large_scores(far: float) -> None:
    y = value(ag.softmax, [far, far, -far])
    np.testing.assert_allclose(y, [0.5, 0.5, 0.0], rtol=1e-12)
    np.testing.assert_allclose(value(ag.log_softmax, [far, far])[0], -np.log(2), rtol=1e-12)
    (g,) = gradients(ag.softmax, [far, far, -far], seed=[1.0, 0.0, 0.0])
    np.testing.assert_allclose(g, [0.25, -0.25, 0.0], rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_masks_with_minus_infinity(name: str) -> None:
    y = value(getattr(ag, name), [[0.0, -np.inf, 0.0], [1.0, 1.0, 1.0]])
    probabilities = y if name == "softmax" else np.exp(y)
    np.testing.assert_allclose(probabilities, [[0.5, 0.0, 0.5], [1 / 3] * 3], rtol=1e-12)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_nothing_but_minus_infinity_is_no_probability_and_stays_in_its_row(name: str) -> None:
    scores = np.array([[-np.inf, -np.inf], [0.0, 0.0]])
    y = value(getattr(ag, name), scores)
    (g,) = gradients(getattr(ag, name), scores, seed=np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert np.all(np.isnan(y[0]))
    np.testing.assert_allclose(y[1], [0.5, 0.5] if name == "softmax" else -np.log([2, 2]), rtol=1e-12)
    assert np.all(np.isfinite(g[1]))


@pytest.mark.parametrize("name", ["relu", "abs"])
def test_slope_at_the_kink_is_0(name: str) -> None:
    (g,) = gradients(getattr(ag, name), [-1.0, -0.0, 0.0, 1.0])
    assert np.array_equal(g, [0.0 if name == "relu" else -1.0, 0.0, 0.0, 1.0])


def test_relu_never_returns_minus_zero() -> None:
    assert not np.any(np.signbit(value(ag.relu, [-1.0, 0.0, 1.0])))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_a_tie_goes_to_the_first(name: str) -> None:
    a, b = gradients(getattr(ag, name), [2.0, 1.0, 3.0], [2.0, 3.0, 1.0])
    first = [1.0, 0.0, 1.0] if name == "maximum" else [1.0, 1.0, 0.0]
    assert np.array_equal(a, first)
    assert np.array_equal(a + b, np.ones(3))


def test_an_element_taken_twice_receives_both_gradients() -> None:
    (g,) = gradients(lambda a: a[[0, 2, 0]], [1.0, 2.0, 3.0], seed=[1.0, 10.0, 100.0])
    assert np.array_equal(g, [101.0, 0.0, 10.0])


def test_powers_of_zero() -> None:
    (g,) = gradients(lambda a: a**2, [0.0, -3.0])
    assert np.array_equal(g, [0.0, -6.0])
    (g,) = gradients(lambda a: a**1, [0.0])
    assert np.array_equal(g, [1.0])
    (g,) = gradients(lambda a: a**0, [0.0, 2.0])  # a constant
    assert np.array_equal(g, [0.0, 0.0])


@pytest.mark.parametrize("name", ["greater", "less", "greater_equal", "less_equal", "stop_gradient"])
def test_no_gradient_passes(name: str) -> None:
    inputs = ([1.0, -2.0],) if name == "stop_gradient" else ([1.0, -2.0], [0.0, 0.0])
    for g in gradients(getattr(ag, name), *inputs):
        assert np.array_equal(g, [0.0, 0.0])


def test_stop_gradient_cuts_one_way_only() -> None:
    (g,) = gradients(lambda a: a * ag.stop_gradient(a), [3.0])
    assert g == [3.0]


# How ops are called


def test_options_by_place_and_by_name_are_the_same() -> None:
    with Graph():
        a = tensor(A)
        by_place, by_name = ag.sum(a, 1, True), ag.sum(a, axis=1, keepdims=True)
    assert by_place.attrs == by_name.attrs == {"axis": 1, "keepdims": True}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a: ag.add(a), "add takes 2 inputs, 1 given"),
        (lambda a: ag.sum(a, axes=1), "sum has no option axes"),
        (lambda a: ag.tanh(a, 1, 2), "tanh takes at most 0 options, 2 given"),
        (lambda a: ag.add(a, "one"), "add takes tensors, arrays and numbers, not str"),
        (lambda a: a + None, "add takes tensors, arrays and numbers, not NoneType"),
        (lambda a: a * "1.5", "not str"),
        (lambda a: ag.add(a, [1.0, None, 2.0]), "not list"),
    ],
)
def test_wrong_calls_are_refused(call: Any, words: str) -> None:
    with Graph(), pytest.raises(TypeError, match=words):
        call(tensor(A))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: a + b, [r"add", r"left \(2, 3\)", r"right \(2,\)"]),
        (lambda a, b: a @ b, [r"matmul", r"left \(2, 3\)", r"right \(2,\)"]),
        (lambda a, b: ag.concatenate([a, b]), [r"concatenate", r"left \(2, 3\)", r"right \(2,\)"]),
        (lambda a, b: ag.half_squared_error(a, b), ["half_squared_error", r"left \(2, 3\)", "equal"]),
        (lambda a, b: ag.dot(a, b), ["dot", r"left \(2, 3\)", "two vectors"]),
        (lambda a, b: ag.outer(a, b), ["outer", "two vectors"]),
        (lambda a, b: ag.reshape(a, (4, 4)), ["reshape", r"left \(2, 3\)"]),
        (lambda a, b: b[5], ["getitem", r"right \(2,\)"]),
        (lambda a, b: ag.sum(a, axis=4), ["sum", r"left \(2, 3\)"]),
        (lambda a, b: ag.tanh(a) + ag.exp(b), ["add", r"tanh #2 \(2, 3\)", r"exp #3 \(2,\)"]),
    ],
)
def test_shapes_that_do_not_fit_are_named(call: Any, words: list[str]) -> None:
    with Graph() as g:
        a, b = tensor(np.zeros((2, 3)), name="left"), tensor(np.zeros(2), name="right")
        with pytest.raises(ValueError) as error:
            call(a, b)
        for word in words:
            assert re.search(word, str(error.value)), str(error.value)
        # the graph is still good for use
        assert (a + 1.0).shape == (2, 3)
        assert all(value is not None for value in g.values)
