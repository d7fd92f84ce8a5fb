"""Models of one node for every scalar operation, written once for the engine and for micrograd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain as joined
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, tensor


@dataclass(frozen=True)
class Kit:
    """What a model is written with, besides + and *."""

    leaf: Callable[[float], Any]
    relu: Callable[[Any], Any]
    total: Callable[[Iterable[Any]], Any]


Model = Callable[[Kit], tuple[Any, list[Any]]]  # its loss and its parameters

one_by_one: Callable[[Iterable[Any]], Any] = partial(reduce, add)  # a sum of n terms as n - 1 nodes
BINARY = Kit(tensor, ag.relu, one_by_one)  # as micrograd writes it
N_ARY = Kit(tensor, ag.relu, lambda terms: ag.add_n(list(terms)))  # every sum is one node


def record(model: Model, kit: Kit) -> tuple[Graph, Tensor, list[Tensor]]:
    """The model's graph, its loss and its parameters."""
    with Graph() as graph:
        loss, parameters = model(kit)
    return graph, loss, parameters


def mlp(samples: int) -> Model:
    """micrograd's demonstration: 2-16-16-1 on two moons, hinge loss and L2; 337 parameters."""

    def model(kit: Kit) -> tuple[Any, list[Any]]:
        rng = np.random.default_rng(0)
        parameters, layers = [], []
        for n, m in pairwise([2, 16, 16, 1]):
            layer = [([kit.leaf(float(v)) for v in rng.uniform(-1, 1, n)], kit.leaf(0.0)) for _ in range(m)]
            parameters += [p for weights, bias in layer for p in (*weights, bias)]
            layers.append(layer)

        def hinge(point: list[float], side: int) -> Any:
            signals = [kit.leaf(v) for v in point]
            for depth, layer in enumerate(layers):
                sums = []
                for weights, bias in layer:
                    products = (w * s for w, s in zip(weights, signals, strict=True))
                    sums.append(kit.total(joined([bias], products)))
                signals = [kit.relu(s) for s in sums] if depth < 2 else sums
            return kit.relu(signals[0] * kit.leaf(float(-side)) + kit.leaf(1.0))

        points, sides = _moons(rng, samples)
        loss = kit.total(hinge(*case) for case in zip(points, sides, strict=True)) * kit.leaf(1.0 / samples)
        return loss + kit.total(p * p for p in parameters) * kit.leaf(1e-4), parameters

    return model


def _moons(rng: np.random.Generator, samples: int) -> tuple[list[list[float]], list[int]]:
    """Points of two half circles that reach into each other, and on which of them (-1 or 1) each lies."""
    angle, which = rng.uniform(0, np.pi, samples), rng.integers(0, 2, samples)
    moons = np.stack([np.cos(angle), np.sin(angle)], 1)
    moons[which == 1] = [1.0, 0.5] - moons[which == 1]
    moons += 0.1 * rng.normal(size=moons.shape)
    return moons.tolist(), (2 * which - 1).tolist()


def rnn(steps: int, hidden: int) -> Model:
    """A recurrent network that foretells a sine: one input, one output, ReLU, for micrograd has no tanh."""

    def model(kit: Kit) -> tuple[Any, list[Any]]:
        rng = np.random.default_rng(0)

        def leaves(*shape: int) -> Any:
            return np.vectorize(kit.leaf, otypes=[object])(rng.uniform(-1, 1, shape) * np.sqrt(3 / hidden))

        W, U, V = leaves(hidden).tolist(), leaves(hidden, hidden).tolist(), leaves(hidden).tolist()
        h = [kit.leaf(0.0) for _ in range(hidden)]

        def products(weights: list[Any]) -> Iterable[Any]:
            return (u * s for u, s in zip(weights, h, strict=True))

        losses = []
        for t in range(steps):
            x = kit.leaf(float(np.sin(0.3 * t)))
            h = [kit.relu(kit.total(joined([w * x], products(row)))) for w, row in zip(W, U, strict=True)]
            error = kit.total(products(V)) + kit.leaf(-float(np.sin(0.3 * (t + 1))))
            losses.append(error * error)
        return kit.total(losses), [*W, *joined.from_iterable(U), *V]

    return model


def chain(length: int) -> Model:
    """As narrow as can be: h <- w h + b, two operations at a time, each waiting for the one before."""

    def model(kit: Kit) -> tuple[Any, list[Any]]:
        w, b, h = parameters = [kit.leaf(v) for v in (1 - 1e-5, 1e-5, 0.5)]
        for _ in range(length // 2):
            h = h * w + b
        return h, parameters

    return model


def chain_by_hand(length: int) -> np.ndarray:
    """The chain's gradients with respect to w, b and the first h, along with the values."""
    w, b, h = 1 - 1e-5, 1e-5, 0.5
    to_w, to_b, to_h = 0.0, 0.0, 1.0
    for _ in range(length // 2):
        to_w, to_b, to_h = to_w * w + h, to_b * w + 1, to_h * w
        h = h * w + b
    return np.array([to_w, to_b, to_h])


def with_micrograd(module: Any, model: Model) -> Callable[[], np.ndarray]:
    """One pass in micrograd, and the gradients. Its graph can not be run again: a pass is building it and
    going back."""
    kit = Kit(module.Value, lambda v: v.relu(), one_by_one)

    def run() -> np.ndarray:
        loss, parameters = model(kit)
        _backward(loss)
        return np.array([p.grad for p in parameters])

    return run


def _backward(output: Any) -> None:
    """micrograd's own backward recurses once for every node of a path, too deep for these graphs: the same
    without recursion."""
    order: list[Any] = []
    seen = set()
    stack = [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in node._prev)
    output.grad = 1.0
    for node in reversed(order):
        node._backward()
