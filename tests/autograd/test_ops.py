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
FLAT = {"stop_gradient", "clamp"}  # its gradient is not its derivative, on purpose
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


def value(function: Any, *values: Any, **options: Any) -> np.ndarray:
    with Graph():
        return function(*(tensor(v) for v in values), **options).value


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
    known = {"a", "b", "c", "g", "n", "plus", "list"}
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

IMAGE = np.random.default_rng(5).uniform(-2.0, 2.0, (2, 3, 5, 4))
FILTERS = np.random.default_rng(6).uniform(-2.0, 2.0, (2, 3, 2, 3))


def convolved(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The definition, place by place."""
    rows, columns = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    y = np.empty((len(x), len(w), rows, columns))
    for n, k, i, j in np.ndindex(*y.shape):
        y[n, k, i, j] = (x[n, :, i : i + w.shape[2], j : j + w.shape[3]] * w[k]).sum()
    return y


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
    ("clamp", lambda a: ag.clamp([a], value=[0.5, 2.0]), (A,), np.array([0.5, 2.0])),
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
    ("var", ag.var, (V,), np.array(((V - 0.5) ** 2).sum() / 3)),
    ("var", lambda a: ag.var(a, axis=1, keepdims=True), (A,), A.var(axis=1, keepdims=True)),
    ("max", ag.max, (A,), np.array(2.0)),
    ("max", lambda a: ag.max(a, axis=0), (A,), np.array([1.5, 0.25, 2.0])),
    ("max", lambda a: ag.max(a, axis=(0, 1), keepdims=True), (A,), np.array([[2.0]])),
    ("min", ag.min, (A,), np.array(-1.25)),
    ("min", lambda a: ag.min(a, axis=1), (A,), np.array([-1.25, -0.75])),
    ("cumsum", ag.cumsum, (A,), np.array([0.5, -0.75, 1.25, 2.75, 3.0, 2.25])),
    ("cumsum", lambda a: ag.cumsum(a, axis=0), (A,), np.vstack([A[0], A[0] + A[1]])),
    ("norm", ag.norm, (np.array([3.0, -4.0]),), np.array(5.0)),
    ("norm", lambda a: ag.norm(a, axis=1, keepdims=True), (A,), np.linalg.norm(A, axis=1, keepdims=True)),
    ("where", ag.where, (A > 0, A, B), np.array([[0.5, 0.5, 2.0], [1.5, 0.25, 3.0]])),
    ("where", lambda a: ag.where(a > 0.0, a, 0.0), (A,), A * (A > 0)),
    ("where", lambda a, b: ag.where([True, False, True], a, b), (V, ROW), np.array([0.5, 2.0, 2.5])),
    ("clip", lambda a: ag.clip(a, -1.0, 0.5), (A,), np.clip(A, -1.0, 0.5)),
    ("clip", lambda a: ag.clip(a, high=1.0), (A,), np.minimum(A, 1.0)),
    ("clip", lambda a: ag.clip(a, low=0.0), (A,), np.maximum(A, 0.0)),
    ("clip", lambda a, b: ag.clip(a, b, b + 1.0), (A, B), np.clip(A, B, B + 1.0)),
    ("logsumexp", ag.logsumexp, (A,), np.log(np.exp(A).sum())),
    ("logsumexp", lambda a: ag.logsumexp(a, axis=0), (A,), np.logaddexp(A[0], A[1])),
    ("cross_entropy", ag.cross_entropy, (V, 2), np.array(np.log(np.exp(V).sum()) - 2.5)),
    ("cross_entropy", ag.cross_entropy, (V, [0, 0, 1]), np.array(np.log(np.exp(V).sum()) - 2.5)),
    ("cross_entropy", ag.cross_entropy, (A, [0, 1]), np.array(np.log(np.exp(A).sum(1)).sum() - 0.75) / 2),
    (
        "cross_entropy",
        lambda u: ag.cross_entropy(u, target=[1, 0, 0], axis=0),
        (A,),
        np.array(np.log(np.exp(A).sum(0)).sum() - 1.5 + 1.25 - 2.0) / 3,
    ),
    (
        "binary_cross_entropy",
        ag.binary_cross_entropy,
        (V / 10 + 0.5, [0, 1, 0]),
        np.log([1 / 0.45, 1 / 0.35, 1 / 0.25]).mean(),
    ),
    (
        "binary_cross_entropy_with_logits",
        ag.binary_cross_entropy_with_logits,
        (V, 1.0),
        np.log1p(np.exp(-V)).mean(),
    ),
    ("cosine_similarity", ag.cosine_similarity, (V, ROW), (V @ ROW) / np.sqrt((V @ V) * (ROW @ ROW))),
    ("cosine_similarity", ag.cosine_similarity, (A, 3.0 * A), np.ones(2)),
    ("embedding", lambda w: ag.embedding(w, [1, 1, 0]), (A,), A[[1, 1, 0]]),
    ("embedding", lambda w: ag.embedding(w, np.array([1.0, 0.0])), (A,), np.eye(2)[[1, 0]] @ A),
    ("embedding", lambda w: ag.embedding(w, 1), (A,), A[1]),
    ("dropout", lambda a: ag.dropout(a, 0.75, mask=A > 0), (A,), np.where(A > 0, 4.0 * A, 0.0)),
    ("dropout", lambda a: ag.dropout(a, training=False), (A,), A),
    (
        "batch_norm",
        lambda x: ag.batch_norm(x, ROW, V, eps=0.0),
        (A,),
        np.sign(A - A.mean(axis=0)) * ROW
        + V,  # of two numbers one is as far above the mean as the other below
    ),
    ("conv2d", ag.conv2d, (IMAGE, FILTERS), convolved(IMAGE, FILTERS)),
    (
        "conv2d",
        ag.conv2d,
        (IMAGE, FILTERS, [1.0, 2.0]),
        np.add(convolved(IMAGE, FILTERS), [[[1.0]], [[2.0]]]),
    ),
    (
        "conv2d",
        lambda x, w: ag.conv2d(x, w, stride=(2, 1), padding=(1, 0)),
        (IMAGE, FILTERS),
        convolved(np.pad(IMAGE, ((0, 0), (0, 0), (1, 1), (0, 0))), FILTERS)[:, :, ::2],
    ),
    (
        "conv2d",
        lambda x, w: ag.conv2d(
            x, w, padding="same"
        ),  # two rows: no margin above, one below; three columns: 1, 1
        (IMAGE, FILTERS),
        convolved(np.pad(IMAGE, ((0, 0), (0, 0), (0, 1), (1, 1))), FILTERS),
    ),
    (
        "conv2d",
        lambda x, w: ag.conv2d(x, w, padding="full"),
        (IMAGE, FILTERS),
        convolved(np.pad(IMAGE, ((0, 0), (0, 0), (1, 1), (2, 2))), FILTERS),
    ),
    ("max_pool2d", ag.max_pool2d, (IMAGE,), IMAGE[:, :, :4, :4].reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5))),
    ("avg_pool2d", ag.avg_pool2d, (IMAGE,), IMAGE[:, :, :4, :4].reshape(2, 3, 2, 2, 2, 2).mean(axis=(3, 5))),
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
    assert y.shape == np.shape(wanted)
    np.testing.assert_allclose(y.value, wanted, rtol=1e-13, atol=1e-15)


def test_the_table_has_every_op() -> None:
    assert {row[0] for row in FORWARD} == OPS.keys()


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


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_nothing_but_minus_infinity_is_no_probability_and_no_nan(name: str) -> None:
    scores = np.array([[-np.inf, -np.inf], [0.0, 0.0]])
    option = {"axis": -1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = value(getattr(ag, name), scores, **option)
    wanted = {"softmax": [[0.0, 0.0], [0.5, 0.5]], "logsumexp": [-np.inf, np.log(2.0)]}
    log = [[-np.inf, -np.inf], [-np.log(2.0)] * 2]
    np.testing.assert_allclose(y, wanted.get(name, log), rtol=1e-12)
    (g,) = gradients(lambda a: getattr(ag, name)(a, **option), scores)
    assert np.all(np.isfinite(g))
    assert name == "log_softmax" or np.array_equal(g[0], [0.0, 0.0])


@pytest.mark.parametrize("far", [1e3, 1e300])
def test_logsumexp_and_cross_entropy_of_large_scores(far: float) -> None:
    assert value(ag.logsumexp, [far, -far]) == far
    assert value(ag.logsumexp, [-far, -2.0 * far]) == -far
    assert value(ag.cross_entropy, [far, 0.0], 1) == far
    (g, _) = gradients(ag.cross_entropy, [far, 0.0, -far], [0.0, 1.0, 0.0])
    assert np.array_equal(g, [1.0, -1.0, 0.0])


def test_cross_entropy_with_masked_scores() -> None:
    u, t = [-np.inf, 0.0, 0.0], [0.0, 1.0, 0.0]
    assert value(ag.cross_entropy, u, t) == pytest.approx(np.log(2.0))
    assert np.array_equal(gradients(ag.cross_entropy, u, t)[0], [0.0, -0.5, 0.5])
    assert value(ag.cross_entropy, u, 0) == np.inf


def test_gradients_of_the_losses_are_prediction_minus_target() -> None:
    u = np.array([[0.5, -1.5, 2.5], [0.0, 1.0, -1.0]])
    p = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    onehot = np.eye(3)[[2, 0]]
    np.testing.assert_allclose(gradients(ag.cross_entropy, u, onehot)[0], (p - onehot) / 2, rtol=1e-12)
    by_number, to_number = gradients(ag.cross_entropy, u, [2, 0])
    np.testing.assert_allclose(by_number, (p - onehot) / 2, rtol=1e-12)
    assert np.array_equal(to_number, [0.0, 0.0])
    (g, _) = gradients(ag.binary_cross_entropy_with_logits, u[0], onehot[0])
    np.testing.assert_allclose(g, (1 / (1 + np.exp(-u[0])) - onehot[0]) / 3, rtol=1e-12)


def test_binary_cross_entropy_is_exact_far_out() -> None:
    loss = ag.binary_cross_entropy_with_logits
    for u, target in ((40.0, 1.0), (-40.0, 0.0)):
        assert value(loss, u, target) == pytest.approx(np.exp(-40.0), rel=1e-12)
    assert value(loss, -800.0, 1.0) == 800.0
    assert gradients(loss, -800.0, 1.0)[0] == -1.0
    assert value(ag.binary_cross_entropy, 0.0, 1.0) == 100.0  # not infinite
    assert value(ag.binary_cross_entropy, [0.0, 1.0], [0.0, 1.0]) == 0.0
    assert np.array_equal(gradients(ag.binary_cross_entropy, [0.0, 1.0], [0.0, 1.0])[0], [0.0, 0.0])


def test_the_zero_vector_has_no_direction() -> None:
    assert np.array_equal(gradients(ag.norm, [0.0, 0.0])[0], [0.0, 0.0])
    (g,) = gradients(lambda a: ag.norm(a, axis=1), [[0.0, 0.0], [3.0, -4.0]])
    np.testing.assert_allclose(g, [[0.0, 0.0], [0.6, -0.8]], rtol=1e-15)
    assert value(ag.cosine_similarity, [0.0, 0.0], [1.0, 2.0]) == 0.0
    for grad in gradients(ag.cosine_similarity, [0.0, 0.0], [1.0, 2.0]):
        assert np.array_equal(grad, [0.0, 0.0])


def test_cosine_gradient_is_orthogonal_to_each_vector() -> None:
    a, b = np.array([1.0, -2.0, 0.5]), np.array([0.5, 1.0, 3.0])
    ga, gb = gradients(ag.cosine_similarity, a, b)
    assert abs(ga @ a) < 1e-15 and abs(gb @ b) < 1e-15


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), (-1, 0)])
@pytest.mark.parametrize("name", ["max", "min"])
def test_extremes_send_to_the_first_of_equals(name: str, axis: Any) -> None:
    a = np.array([[1.0, 3.0, 3.0], [3.0, 1.0, 1.0]]) * (1.0 if name == "max" else -1.0)
    (g,) = gradients(lambda x: getattr(ag, name)(x, axis=axis), a)
    wanted = {0: [[0, 1, 1], [1, 0, 0]], 1: [[0, 1, 0], [1, 0, 0]]}
    assert np.array_equal(g, wanted.get(axis, [[0, 1, 0], [0, 0, 0]]))


def test_max_pool_sends_to_the_first_of_equals() -> None:
    (g,) = gradients(ag.max_pool2d, np.ones((1, 1, 4, 4)))
    assert np.array_equal(g[0, 0], np.kron(np.ones((2, 2)), [[1.0, 0.0], [0.0, 0.0]]))
    # the margin is never the largest
    (g,) = gradients(lambda a: ag.max_pool2d(a, 3, 2, 1), np.full((1, 1, 3, 3), -5.0))
    assert g.sum() == 4.0


def test_where_sends_to_what_was_chosen_and_nowhere_else() -> None:
    c, a, b = gradients(ag.where, [1.0, 0.0, -2.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert np.array_equal(c, [0.0, 0.0, 0.0])
    assert np.array_equal(a, [1.0, 0.0, 1.0])
    assert np.array_equal(b, [0.0, 1.0, 0.0])
    # an infinite gradient of the one side does not become NaN on the other
    _, a, b = gradients(ag.where, [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], seed=np.array([np.inf, np.inf]))
    assert np.array_equal(a, [np.inf, 0.0]) and np.array_equal(b, [0.0, np.inf])


def test_clip_passes_gradient_on_its_limits_and_not_outside() -> None:
    a, low, high = gradients(ag.clip, [-2.0, -1.0, 0.0, 1.0, 2.0], -1.0, 1.0)
    assert np.array_equal(a, [0.0, 1.0, 1.0, 1.0, 0.0])
    assert low == 1.0 and high == 1.0


def test_dropout_drops_the_same_elements_at_every_replay() -> None:
    with Graph() as g:
        a = tensor(np.ones((20, 30)))
        y, other = ag.dropout(a, 0.25, seed=3), ag.dropout(a, 0.25, seed=4)
    first = y.value
    g.forward()
    assert np.array_equal(y.value, first)
    assert not np.array_equal(first, other.value)
    assert set(np.unique(first)) == {0.0, 1.0 / 0.75}
    assert np.mean(first == 0.0) == pytest.approx(0.25, abs=0.06)
    assert np.array_equal(y.attrs["mask"], first > 0)
    y.backward(np.ones(y.shape))
    assert np.array_equal(np.asarray(a.grad), first)
    assert np.array_equal(value(lambda x: ag.dropout(x, 1.0), [1.0, 2.0]), [0.0, 0.0])


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 2)])
def test_batch_norm_standardises_and_its_gradient_sums_to_0(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    axes = (0, *range(2, len(shape)))
    x = rng.uniform(-3.0, 5.0, shape)
    y = value(lambda a: ag.batch_norm(a, np.ones(3), np.zeros(3), eps=0.0), x)
    np.testing.assert_allclose(y.mean(axis=axes), 0.0, atol=1e-14)
    np.testing.assert_allclose(y.var(axis=axes), 1.0, rtol=1e-13)
    gx, _, gbeta = gradients(ag.batch_norm, x, [1.0, 2.0, 3.0], np.zeros(3), seed=rng.uniform(0, 1, shape))
    np.testing.assert_allclose(gx.sum(axis=axes), 0.0, atol=1e-13)
    assert gbeta.shape == (3,)


def test_embedding_is_the_product_with_one_hot_vectors() -> None:
    seed = np.arange(9.0).reshape(3, 3)
    (by_rows,) = gradients(lambda w: ag.embedding(w, [3, 0, 3]), np.ones((4, 3)), seed=seed)
    (by_product,) = gradients(lambda w: np.eye(4)[[3, 0, 3]] @ w, np.ones((4, 3)), seed=seed)
    assert np.array_equal(by_rows, by_product)
    assert not np.any(by_rows[[1, 2]])


@pytest.mark.parametrize(
    "index",
    [
        np.array([0, 2, 2]),
        np.array([[0, 1], [2, 2]]),
        (np.array([0, 2, 0]), np.array([1, 0, 1])),
        (slice(None), np.array([1, 1])),
        (np.array([2, 2]), slice(0, 1)),
        (slice(None), None, 1),
        np.array([True, False, True]),
        (..., -1),
    ],
    ids=str,
)
def test_every_way_to_index(index: Any) -> None:
    a = np.arange(6.0).reshape(3, 2)
    y = value(lambda x: x[index], a)
    assert np.array_equal(y, a[index])
    (g,) = gradients(lambda x: x[index], a, seed=np.arange(1.0, y.size + 1.0).reshape(y.shape))
    wanted = np.zeros(6)
    for place, part in zip(a[index].ravel().astype(int), np.arange(1.0, y.size + 1.0), strict=True):
        wanted[place] += part  # the elements are their own places
    assert np.array_equal(g.ravel(), wanted)


@pytest.mark.parametrize("size", [5, 6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_keeps_the_size_and_puts_the_larger_half_at_the_end(size: int, stride: int) -> None:
    x, w = np.zeros((1, 1, size, size)), np.ones((1, 1, 4, 3))
    assert value(lambda a: ag.conv2d(a, w, stride=stride, padding="same"), x).shape[2] == -(-size // stride)
    x[:, :, 0] = 1.0  # a first row of ones: with less margin at the start, the first window sees it
    y = value(lambda a: ag.conv2d(a, w, padding="same"), x)
    assert np.array_equal(y[0, 0, :3, 1], [3.0, 3.0, 0.0])


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


def test_inputs_by_name_and_left_out() -> None:
    with Graph():
        x, w, b = tensor(IMAGE), tensor(FILTERS), tensor([1.0, 2.0])
        by_place, by_name = ag.conv2d(x, w, b, 2), ag.conv2d(x, w=w, b=b, stride=2)
        assert np.array_equal(by_place.value, by_name.value)
        assert len(ag.conv2d(x, w).inputs) == len(ag.conv2d(x, w, None, 2).inputs) == 2
        assert ag.cross_entropy(logits=b, target=1).op == "cross_entropy"


def test_scalar_form() -> None:
    with Graph():
        a = ag.scalars(A, "a")
        assert ag.where(a, a, 0.0).shape == ag.clip(a, -1.0, 1.0).shape == (2, 3)
        for name in ("max", "var", "dropout", "cumsum", "norm"):
            with pytest.raises(TypeError, match=f"{name} has no scalar form"):
                getattr(ag, name)(a)


SPELLED_OUT = [op for op in OPS.values() if op.scalar is not None]


@pytest.mark.parametrize(("op", "sample"), [(op, s) for op in SPELLED_OUT for s in op.samples])
def test_an_op_spelled_out_in_scalars_is_the_op(op: Op, sample: Sample) -> None:
    rng = np.random.default_rng(5)
    values = [rng.uniform(sample.low, sample.high, shape) for shape in sample.shapes]
    with Graph():
        weights = rng.normal(size=getattr(ag, op.name)(*map(tensor, values), **sample.attrs).shape)
    found = []
    for leaf in (tensor, ag.scalars):
        with Graph() as graph:
            y = getattr(ag, op.name)(*(leaf(v, f"x{k}") for k, v in enumerate(values)), **sample.attrs)
            weighted = y * weights
            loss = weighted if isinstance(weighted, Tensor) else ag.add_n(list(weighted.flat))
            loss = ag.sum(loss)
        graph.backward(loss)
        grads = [np.ravel(leaf.grad) for leaf in graph.leaves("parameter") if leaf.grad is not None]
        found.append((float(loss.value), np.concatenate(grads)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-11, atol=1e-14)


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
        (lambda a: ag.sum(a, 1, axis=1), "sum got axis twice"),
        (lambda a: ag.add(a, a, a=a), "add got a twice"),
        (lambda a: ag.conv2d(a), "conv2d takes at least 2 inputs, 1 given"),
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
        (lambda a, b: ag.where(a, b, 1.0), ["where", r"left \(2, 3\)", r"right \(2,\)"]),
        (lambda a, b: ag.cross_entropy(a, b[:1]), ["cross_entropy", "class numbers", r"left \(2, 3\)"]),
        (lambda a, b: ag.cross_entropy(a, [0, 3]), ["cross_entropy", "class 3 is not one of 0 … 2"]),
        (lambda a, b: ag.cross_entropy(a, [0.5, 1]), ["cross_entropy", "class 0.5 is not one of 0 … 2"]),
        (lambda a, b: ag.binary_cross_entropy(a + 2.0, a), ["binary_cross_entropy", r"\[0, 1\]"]),
        (lambda a, b: ag.binary_cross_entropy(a, b), ["binary_cross_entropy", "equal"]),
        (
            lambda a, b: ag.binary_cross_entropy_with_logits(a, b),
            [r"left \(2, 3\)", r"right \(2,\)", "equal"],
        ),
        (lambda a, b: ag.cosine_similarity(a, b), ["cosine_similarity", r"left \(2, 3\)"]),
        (lambda a, b: ag.embedding(a, [0, 2]), ["embedding", r"left \(2, 3\)", "index 2 is not in 0 … 1"]),
        (lambda a, b: ag.embedding(a, -1), ["embedding", "index -1"]),
        (lambda a, b: ag.embedding(a, [0.5]), ["embedding", "whole numbers"]),
        (lambda a, b: ag.embedding(b, 0), ["embedding", "matrix"]),
        (lambda a, b: ag.dropout(a, 1.5), ["dropout", r"\[0, 1\]"]),
        (lambda a, b: ag.dropout(a, mask=[True]), ["dropout", r"mask has shape \(1,\)"]),
        (lambda a, b: ag.batch_norm(a, b, b), ["batch_norm", r"shape \(3,\)", r"right \(2,\)"]),
        (lambda a, b: ag.batch_norm(b, b, b), ["batch_norm", "batch"]),
        (lambda a, b: ag.conv2d(a, a), ["conv2d", r"left \(2, 3\)", "four axes"]),
        (
            lambda a, b: ag.conv2d(np.ones((1, 2, 3, 3)), np.ones((1, 3, 2, 2))),
            ["2 channels, the filters have 3"],
        ),
        (lambda a, b: ag.conv2d(np.ones((1, 2, 3, 3)), np.ones((1, 2, 2, 2)), a), ["bias", r"\(1,\)"]),
        (lambda a, b: ag.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3))), [r"\(3, 3\) does not fit"]),
        (
            lambda a, b: ag.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), padding="big"),
            ["valid, same, full"],
        ),
        (lambda a, b: ag.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), stride=0), ["stride"]),
        (lambda a, b: ag.max_pool2d(np.ones((1, 1, 2, 2)), padding=2), ["max_pool2d", "see nothing"]),
        (lambda a, b: ag.avg_pool2d(a), ["avg_pool2d", r"left \(2, 3\)", "four axes"]),
        (lambda a, b: ag.max(a, axis=2), ["max", r"left \(2, 3\)"]),
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
