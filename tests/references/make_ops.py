"""Make `ops.npz`: values and gradients of the operations by PyTorch.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_ops.py

A case is the name of an op, its inputs and its attributes. Kept are the value y and the gradients of
`sum(y * weights)`, with drawn weights; inputs, weights, values and gradients stand one after the other in
one array, because a thousand small arrays are mostly file headers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

HERE = Path(__file__).parent
Shape = tuple[int, ...]


def along(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A torch reduction called as NumPy calls it."""

    def reduction(a: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        axes = tuple(range(a.ndim)) if axis is None else axis
        return function(a, dim=axes, keepdim=keepdims)

    return reduction


def extreme(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """`max` and `min` along one axis, or over everything as along one: the gradient goes to one element."""

    def reduction(a: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
        if axis is not None:
            return function(a, dim=axis, keepdim=keepdims).values
        y = function(a.reshape(-1), dim=0).values
        return y.reshape((1,) * a.ndim) if keepdims else y

    return reduction


def cumsum(a: Tensor, axis: int | None = None) -> Tensor:
    return torch.cumsum(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)


def margins(x: Tensor, kernel: Shape, stride: Shape, dilation: Shape, padding: Any) -> tuple[list[int], Any]:
    """Padding for `F.pad`, last axis first, as the notes define `same` (with a stride) and `full`."""
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if padding == "full":
        return [reach[1] - 1] * 2 + [reach[0] - 1] * 2, 0
    if padding == "same":
        found = []
        for n, s, r in reversed(list(zip(x.shape[2:], stride, reach, strict=True))):
            margin = max(s * int(np.ceil(n / s)) - n + r - s, 0)
            found += [int(np.floor(margin / 2)), int(np.ceil(margin / 2))]
        return found, 0
    return [0, 0, 0, 0], 0 if padding == "valid" else padding


def pair(n: Any) -> Shape:
    return (n, n) if isinstance(n, int) else tuple(n)


def conv2d(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Tensor:
    margin, rest = margins(x, tuple(w.shape[2:]), pair(stride), pair(dilation), padding)
    return F.conv2d(F.pad(x, margin), w, b, stride=stride, padding=rest, dilation=dilation)


def cross_entropy(u: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Classes come last here and as axis 1 in torch, which averages over the rest."""
    if u.ndim == 1:
        u, target = u[None], target[None]
    classes = target.ndim < u.ndim
    u = torch.movedim(u, axis, 1)
    if classes:
        return F.cross_entropy(u, target.detach().long())
    return F.cross_entropy(u, torch.movedim(target, axis, 1))


def bce(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda p, target: function(p, target.expand_as(p))


TORCH: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "negative": torch.neg,
    "power": torch.pow,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "softplus": lambda a: F.softplus(a, threshold=50.0),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "where": lambda c, a, b: torch.where(c != 0.0, a, b),
    "clip": lambda *abc: torch.clamp(*torch.broadcast_tensors(*abc)),  # clamp sums no stretched gradient back
    "matmul": torch.matmul,
    "dot": torch.dot,
    "outer": torch.outer,
    "cosine_similarity": lambda a, b, axis=-1: F.cosine_similarity(a, b, dim=axis),
    "embedding": lambda w, indices: F.embedding(torch.tensor(indices), w),
    "sum": along(torch.sum),
    "mean": along(torch.mean),
    "var": along(lambda a, dim, keepdim: torch.var(a, dim, correction=0, keepdim=keepdim)),
    "norm": along(lambda a, dim, keepdim: torch.linalg.vector_norm(a, dim=dim, keepdim=keepdim)),
    "logsumexp": along(torch.logsumexp),
    "max": extreme(torch.max),
    "min": extreme(torch.min),
    "cumsum": cumsum,
    "transpose": lambda a, axes=None: torch.permute(a, axes or tuple(reversed(range(a.ndim)))),
    "reshape": lambda a, shape: torch.reshape(a, tuple(shape)),
    "concatenate": lambda *parts, axis=0: torch.cat(parts, axis),
    "stack": lambda *parts, axis=0: torch.stack(parts, axis),
    "getitem": lambda a, index: a[tuple(torch.tensor(i) if isinstance(i, list) else i for i in index)],
    "softmax": lambda a, axis=-1: torch.softmax(a, axis),
    "log_softmax": lambda a, axis=-1: torch.log_softmax(a, axis),
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": bce(F.binary_cross_entropy),
    "binary_cross_entropy_with_logits": bce(F.binary_cross_entropy_with_logits),
    "batch_norm": lambda x, w, b, eps=1e-5: F.batch_norm(x, None, None, w, b, training=True, eps=eps),
    "dropout": lambda a, p, training: F.dropout(a, p, training),  # without chance only
    "conv2d": conv2d,
    "max_pool2d": F.max_pool2d,
    "avg_pool2d": F.avg_pool2d,
}


@dataclass
class Case:
    op: str
    inputs: list[np.ndarray]
    attrs: dict[str, Any] = field(default_factory=dict)
    plain: tuple[int, ...] = ()  # inputs whose gradient is not compared


class Draw:
    """Inputs of given shapes from one generator."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(20)
        self.cases: list[Case] = []

    def numbers(self, shape: Shape, low: float = -2.0, high: float = 2.0) -> np.ndarray:
        return self.rng.uniform(low, high, shape)

    def add(self, op: str, *shapes: Shape, low: float = -2.0, high: float = 2.0, **attrs: Any) -> None:
        self.cases.append(Case(op, [self.numbers(s, low, high) for s in shapes], attrs))

    def given(self, op: str, *inputs: Any, plain: tuple[int, ...] = (), **attrs: Any) -> None:
        self.cases.append(Case(op, [np.array(x, dtype=np.float64) for x in inputs], attrs, plain))


def elementwise(d: Draw) -> None:
    shapes: list[Shape] = [(), (3,), (2, 3), (2, 1, 4)]
    pairs: list[tuple[Shape, Shape]] = [((2, 3), (2, 3)), ((2, 3), (3,)), ((), (2, 2)), ((3, 1), (1, 4)),
                                        ((2, 1, 3), (4, 1)), ((1,), (2, 2))]  # fmt: skip
    for op in ("add", "subtract", "multiply", "maximum", "minimum"):
        for a, b in pairs:
            d.add(op, a, b)
    for op in ("divide", "power"):
        for a, b in pairs:
            d.add(op, a, b, low=0.3)
    d.given("power", [-2.0, 0.0, 3.0], 2.0, plain=(1,))
    d.given("power", [-2.0, 0.5, 3.0], -3.0, plain=(1,))
    for op in (
        "negative",
        "exp",
        "abs",
        "sin",
        "cos",
        "tanh",
        "sigmoid",
        "relu",
        "softplus",
        "leaky_relu",
        "elu",
    ):
        for a in shapes:
            d.add(op, a)
    for op in ("log", "sqrt"):
        for a in shapes:
            d.add(op, a, low=0.1)
    d.add("leaky_relu", (4,), negative_slope=0.3)
    d.add("elu", (4,), alpha=0.4)
    far = [-800.0, -40.0, -5.0, 0.0, 5.0, 40.0, 800.0]
    for op in ("tanh", "sigmoid", "relu", "softplus", "leaky_relu", "elu", "abs"):
        d.given(op, far)
    d.given("relu", [-1.0, -0.0, 0.0, 1e-300])
    for a, b, c in (((2, 3),) * 3, ((2, 1), (3,), ()), ((3,), (2, 1), (2, 3))):
        condition = np.array(d.rng.integers(0, 2, a), dtype=np.float64)
        d.given("where", condition, d.numbers(b), d.numbers(c), plain=(0,))
        d.given("clip", 2 * d.numbers(a), d.numbers(b, -1.5, -0.5), d.numbers(c, 0.5, 1.5))
    d.given("clip", [-3.0, -1.0, 0.0, 1.0, 3.0], -1.0, 1.0)


def products(d: Draw) -> None:
    sizes: list[tuple[Shape, Shape]] = [((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((3,), (3,)),
                                        ((2, 2, 3), (3, 4)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
                                        ((2, 1, 2, 3), (3, 3, 2)), ((1, 3), (3, 1))]  # fmt: skip
    for a, b in sizes:
        d.add("matmul", a, b)
    d.add("dot", (4,), (4,))
    d.add("outer", (3,), (2,))
    for a, b, axis in (((3,), (3,), -1), ((2, 4), (2, 4), -1), ((4, 2), (4, 2), 0), ((2, 4), (4,), -1),
                       ((2, 3, 4), (3, 4), 1), ((2, 3, 4), (2, 3, 4), -2)):  # fmt: skip
        d.add("cosine_similarity", a, b, axis=axis)
    d.add("embedding", (5, 3), indices=[0, 2, 2, 4])
    d.add("embedding", (5, 3), indices=3)
    d.add("embedding", (5, 2), indices=[[0, 1, 1], [4, 4, 4]])


def reductions(d: Draw) -> None:
    ways: list[dict[str, Any]] = [{}, {"keepdims": True}]
    ways += [{"axis": k, "keepdims": keep} for k in (0, 1, -1) for keep in (False, True)]
    several: list[dict[str, Any]] = [{"axis": [0, 2]}, {"axis": [1, 2], "keepdims": True}, {"axis": [-1, 0]}]
    for op in ("sum", "mean", "var", "norm", "logsumexp", "max", "min"):
        for way in ways:
            d.add(op, (2, 3), **way)
            d.add(op, (3, 2, 2), **way)
        d.add(op, (4,))
        if op not in ("max", "min"):
            for way in several:
                d.add(op, (2, 3, 4), **way)
    for op in ("max", "min"):
        d.given(op, [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [5.0, -1.0, -1.0]], axis=1)
        d.given(op, [[1.0, 3.0], [1.0, 3.0], [3.0, 1.0]], axis=0, keepdims=True)
        d.given(op, [[1.0, 3.0], [3.0, 1.0]])
    d.given("norm", [[0.0, 0.0], [3.0, 4.0]], axis=1)
    d.given("logsumexp", [[1e3, 1e3, -1e3], [-np.inf, 0.0, 1.0]], axis=1)
    for axis in (None, 0, 1, -1):
        d.add("cumsum", (3, 4), axis=axis)
        d.add("cumsum", (2, 3, 2), axis=axis)


def shapes(d: Draw) -> None:
    d.add("transpose", (2, 3))
    d.add("transpose", (2, 3, 4))
    for axes in ([0, 2, 1], [1, 2, 0], [2, 0, 1]):
        d.add("transpose", (2, 3, 4), axes=axes)
    for shape in ([6], [3, 2], [-1, 2], [1, 6, 1]):
        d.add("reshape", (2, 3), shape=shape)
    for axis in (0, 1, -1):
        d.add("stack", (2, 3), (2, 3), (2, 3), axis=axis)
    d.add("concatenate", (2,), (3,), (1,))
    d.add("concatenate", (2, 3), (1, 3))
    d.add("concatenate", (2, 3), (2, 1), (2, 2), axis=-1)
    indices: list[list[Any]] = [[[0, 2, 2, 1]], [[-1, 0], [1, 1]], [[[0, 1], [2, 2]]], [1, [3, 3, 0]], [-2]]
    for index in indices:
        d.add("getitem", (3, 4), index=index)


def probabilities(d: Draw) -> None:
    for op in ("softmax", "log_softmax"):
        for axis in (-1, 0, 1):
            d.add(op, (2, 3), axis=axis)
            d.add(op, (2, 3, 4), axis=axis)
        d.add(op, (5,))
        d.given(op, [[1e3, 1e3, -1e3], [-1e6, 0.0, 1.0]])
    d.given("softmax", [[-np.inf, 0.0, 1.0]])
    for n, classes in ((1, 2), (4, 3), (3, 7)):
        u = 3 * d.numbers((n, classes))
        d.given("cross_entropy", u, d.rng.integers(0, classes, n), plain=(1,))
        d.given("cross_entropy", u, np.eye(classes)[d.rng.integers(0, classes, n)])
        d.given("cross_entropy", u, d.rng.dirichlet(np.ones(classes), n))
        d.given("cross_entropy", u, d.numbers((n, classes), 0.0, 1.0))  # no sum of 1
        d.given("cross_entropy", u.T, d.rng.integers(0, classes, n), plain=(1,), axis=0)
    d.given("cross_entropy", d.numbers((5,)), 3, plain=(1,))
    d.given("cross_entropy", d.numbers((5,)), d.rng.dirichlet(np.ones(5)))
    d.given("cross_entropy", d.numbers((2, 3, 4)), d.rng.integers(0, 4, (2, 3)), plain=(1,))
    d.given("cross_entropy", d.numbers((2, 4, 3)), d.rng.integers(0, 4, (2, 3)), plain=(1,), axis=1)
    d.given("cross_entropy", [[1e3, 0.0, -1e3], [-1e3, 1e3, 1e3]], [2, 0], plain=(1,))
    for op, low, high in (
        ("binary_cross_entropy", 0.01, 0.99),
        ("binary_cross_entropy_with_logits", -4.0, 4.0),
    ):
        for shape in ((), (4,), (3, 2)):
            d.given(op, d.numbers(shape, low, high), d.numbers(shape, 0.0, 1.0))
            d.given(op, d.numbers(shape, low, high), d.rng.integers(0, 2, shape))
        d.given(op, d.numbers((3, 2), low, high), 1.0)
    d.given("binary_cross_entropy", [0.0, 1.0, 1e-9], [0.0, 1.0, 0.0], plain=(1,))
    d.given("binary_cross_entropy", [0.0, 1.0, 1e-30], [1.0, 0.0, 1.0], plain=(0, 1))
    d.given("binary_cross_entropy_with_logits", [-800.0, -40.0, 0.0, 40.0, 800.0], [0.0, 0.0, 1.0, 1.0, 1.0])
    d.given("binary_cross_entropy_with_logits", [-800.0, -40.0, 40.0, 800.0], [1.0, 1.0, 0.0, 0.0])


def layers(d: Draw) -> None:
    for shape in ((4, 3), (2, 3, 2, 3), (5, 2, 4)):
        for eps in (1e-5, 0.1):
            d.add("batch_norm", shape, shape[1:2], shape[1:2], eps=eps)
    d.add("dropout", (3, 4), p=0.5, training=False)
    d.add("dropout", (3, 4), p=0.0, training=True)
    d.add("dropout", (3, 4), p=1.0, training=True)
    convolutions: list[tuple[Shape, Shape]] = [((2, 1, 5, 5), (2, 1, 3, 3)), ((1, 3, 6, 5), (2, 3, 2, 3)),
                                               ((1, 2, 7, 8), (1, 2, 4, 2))]  # fmt: skip
    paddings: list[Any] = ["valid", "same", "full", 1, [2, 1]]
    for x, w in convolutions:
        for padding in paddings:
            for stride in (1, 2, [2, 3]):
                d.add("conv2d", x, w, w[:1], padding=padding, stride=stride)
            for dilation in (2, [1, 2]):
                if padding != "valid":
                    d.add("conv2d", x, w, w[:1], padding=padding, dilation=dilation)
            d.add("conv2d", x, w, padding=padding, stride=[1, 2], dilation=[1, 2])
    d.add("conv2d", (1, 4, 3, 3), (2, 4, 1, 1), (2,))
    d.add("conv2d", (1, 1, 9, 9), (1, 1, 3, 3), stride=3, dilation=4)
    for op in ("max_pool2d", "avg_pool2d"):
        for way in (
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 1},
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": [2, 3], "stride": [1, 2]},
            {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 0]},
        ):
            d.add(op, (2, 2, 5, 6), **way)
            d.given(op, d.rng.integers(0, 3, (1, 2, 6, 6)), **way)  # many ties
            d.given(op, np.full((1, 1, 4, 4), -3.0), **way)


def by_torch(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Weights, value and gradients."""
    inputs = [torch.tensor(x, requires_grad=k not in case.plain) for k, x in enumerate(case.inputs)]
    y = TORCH[case.op](*inputs, **case.attrs)
    weights = rng.uniform(0.5, 1.5, tuple(y.shape))
    if y.requires_grad:
        (y * torch.tensor(weights)).sum().backward()
    grads = [
        (x.grad if x.grad is not None else torch.zeros_like(x)).numpy() for x in inputs if x.requires_grad
    ]
    return weights, y.detach().numpy(), grads


def main() -> None:
    d = Draw()
    for group in (elementwise, products, reductions, shapes, probabilities, layers):
        group(d)
    rng = np.random.default_rng(21)
    listed, flat = [], []
    for case in d.cases:
        weights, y, grads = by_torch(case, rng)
        listed.append(
            {
                "op": case.op,
                "shapes": [x.shape for x in case.inputs],
                "attrs": case.attrs,
                "plain": case.plain,
                "out": y.shape,
            }
        )
        flat += [x.ravel() for x in (*case.inputs, weights, y, *grads)]
    path = HERE / "ops.npz"
    cases = np.frombuffer(json.dumps(listed).encode(), dtype=np.uint8)
    np.savez_compressed(path, torch=torch.__version__, cases=cases, numbers=np.concatenate(flat))
    print(
        path.name, len(listed), "cases of", len({c.op for c in d.cases}), "ops", path.stat().st_size, "bytes"
    )


if __name__ == "__main__":
    main()
