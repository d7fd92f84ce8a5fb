"""The gradient check: it finds what is wrong, stays calm about what is right, and leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd import OPS, Graph, Op, Tensor, check_gradients, tensor


def network() -> tuple[Graph, Tensor]:
    """A small network with one of many kinds of op."""
    rng = np.random.default_rng(0)
    with Graph() as g:
        W = tensor(rng.normal(size=(3, 2)), "W")
        x = tensor([0.3, -0.7], "x", "input")
        b = tensor([0.1, 0.2, -0.3], "b")
        d = tensor([0.0, 0.5, 1.0], "d", "target")
        h = ag.tanh(W @ x + b).named("h")
        s = ag.sigmoid(h).named("s")
        p = ag.softmax(s * h).named("p")
        E = ag.half_squared_error(p - 0.5 * h, d).named("E")
    return g, E


def swapped(g: Graph, name: str, **fields: Any) -> None:
    """Give every node of an op another definition of it."""
    for i, op in enumerate(g.ops):
        if op is not None and op.name == name:
            g.ops[i] = replace(op, **fields)


def vjps(op: Op) -> tuple[Callable[..., Any], ...]:
    assert isinstance(op.vjps, tuple)
    return op.vjps


PLANTED: list[tuple[str, str, tuple[Any, ...]]] = [
    ("f instead of f′", "tanh", (lambda g, y, a: g * y,)),
    ("slope without the square", "tanh", (lambda g, y, a: g * (1 - y),)),
    ("factor lost", "sigmoid", (lambda g, y, a: g * y,)),
    ("not transposed, summed instead", "matmul", (lambda g, y, a, b: np.outer(g, b[::-1]), None)),
    ("wrong sign", "subtract", (None, lambda g, y, a, b: g)),
    ("own factor instead of the other", "multiply", (lambda g, y, a, b: g * a, None)),
    ("one input forgotten", "add", (None, lambda g, y, a, b: 0 * g)),
    ("off by one in a thousand", "tanh", (lambda g, y, a: g * (1 - y * y) * 1.001,)),
    ("only the diagonal of the Jacobian", "softmax", (lambda g, y, a, axis: g * y * (1 - y),)),
    ("factor 2 of the square", "half_squared_error", (lambda g, y, a, b: 2 * g * (a - b), None)),
]


@pytest.mark.parametrize(("bug", "name", "wrong"), PLANTED, ids=[p[0] for p in PLANTED])
def test_a_planted_bug_is_found(bug: str, name: str, wrong: tuple[Any, ...]) -> None:
    g, E = network()
    right = vjps(OPS[name])
    swapped(g, name, vjps=tuple(w or r for w, r in zip(wrong, right, strict=True)))
    assert any(not report.passes(1e-6) for report in check_gradients(E)), bug


def test_a_bug_is_blamed_on_the_leaves_behind_it() -> None:
    g, E = network()
    swapped(g, "matmul", vjps=(lambda g, y, a, b: 2 * np.outer(g, b), vjps(OPS["matmul"])[1]))
    failed = {report.leaf for report in check_gradients(E) if not report.passes(1e-6)}
    assert failed == {"W"}


def test_the_worst_element_is_named() -> None:
    with Graph() as g:
        x = tensor([1.0, 2.0, 3.0], "x")
        E = ag.sum(ag.exp(x))
    swapped(g, "exp", vjps=(lambda g, y, a: g * y * np.array([1.0, 1.01, 1.0]),))
    (report,) = check_gradients(E)
    assert report.worst == (1,)
    assert report.error == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_a_right_network_passes() -> None:
    _, E = network()
    reports = check_gradients(E)
    assert [r.leaf for r in reports] == ["W", "x", "b"]
    for report in reports:
        assert report.passes(1e-6)
        assert report.analytic.shape == report.numeric.shape
        assert np.any(report.numeric)


def test_nan_does_not_pass() -> None:
    with Graph():
        x = tensor(-1.0, "x")
        E = ag.log(x)
    (report,) = check_gradients(E)
    assert not report.passes(1e-6)


@pytest.mark.parametrize("before", ["nothing", "backward", "another output", "a leaf set but not replayed"])
def test_the_graph_is_left_as_it_was_found(before: str) -> None:
    g, E = network()
    if before == "backward":
        E.backward()
    elif before == "another output":
        g.named("h").backward(np.ones(3))
    elif before == "a leaf set but not replayed":
        E.backward()
        g.named("b").value = [1.0, 2.0, 3.0]
    values = [v.copy() for v in g.values]
    grads = [None if x is None else x.copy() for x in g.grads]
    sent = [tuple(None if c is None else c.copy() for c in cs) for cs in g.contributions]
    check_gradients(E)
    assert len(g) == len(values)
    for now, then in zip(g.values, values, strict=True):
        assert np.array_equal(now, then)
    pairs = list(zip(g.grads, grads, strict=True))
    for nows, thens in zip(g.contributions, sent, strict=True):
        pairs += zip(nows, thens, strict=True)
    for after, before_it in pairs:
        assert (after is None) == (before_it is None)
        assert after is None or before_it is None or np.array_equal(after, before_it)


def test_only_the_chosen_leaves_are_checked() -> None:
    g, E = network()
    assert [r.leaf for r in check_gradients(E, [g.named("b")])] == ["b"]
    with Graph():
        nameless = tensor(1.0)
        loss = nameless * 2.0
    assert [r.leaf for r in check_gradients(loss)] == ["#0"]


def test_what_can_not_be_checked_is_refused() -> None:
    g, E = network()
    with pytest.raises(ValueError, match=r"scalar output, h \(3,\)"):
        check_gradients(g.named("h"))
    with pytest.raises(ValueError, match="target"):
        check_gradients(E, [g.named("d")])
