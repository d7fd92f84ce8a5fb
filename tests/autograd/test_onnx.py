"""Operations and recurrent cells next to ONNX's, frozen by `tests/references/make_onnx.py`.

The numbers of ONNX are float32, ours float64: what is compared is which formula is computed, in what order
gates and axes stand, and what is padded. That the cases can tell is proved by cells with a planted mistake.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd import Graph
from scenes.bricks import ACTIVATIONS, gate, lstm_cell

FILE = Path(__file__).parents[1] / "references" / "onnx.npz"
TOLERANCE = {"single": 1e-5, "double": 1e-12}  # relative to the largest number of an array
MISTAKE = 1e-3  # a planted mistake shows at least this much


def _cases() -> list[dict[str, Any]]:
    with np.load(FILE) as file:
        listed, pools = json.loads(file["cases"].tobytes()), {pool: file[pool] for pool in TOLERANCE}
    at = dict.fromkeys(pools, 0)

    def taken(entry: dict[str, Any] | None, pool: str) -> np.ndarray | None:
        if entry is None:
            return None
        if "whole" in entry:
            return np.array(entry["whole"], dtype=np.int64)
        start, size = at[pool], int(np.prod(entry["shape"], dtype=int))
        at[pool] += size
        return pools[pool][start : at[pool]].reshape(entry["shape"])

    for case in listed:
        for side in ("inputs", "outputs"):
            case[side] = [taken(entry, case["pool"]) for entry in case[side]]
    assert all(at[pool] == numbers.size for pool, numbers in pools.items())
    return listed


CASES = _cases()
DRAWN = {
    op: [case for case in CASES if case["op"] == op and case["source"] == "onnxruntime"]
    for op in ("RNN", "LSTM")
}


# ONNX's operators by our operations: inputs by place, attributes by name with ONNX's defaults


def gemm(
    a: Any, b: Any, c: Any = 0.0, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0
) -> Any:
    a, b = (ag.transpose(m) if flipped else m for m, flipped in ((a, transA), (b, transB)))
    return alpha * ag.matmul(a, b) + ag.multiply(beta, c)


def cut(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    index = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for axis, *limits in zip(axes, starts, ends, steps, strict=True):
        index[axis] = slice(*map(int, limits))
    return ag.getitem(x, index=tuple(index))


def reshape(x: Any, shape: Any) -> Any:
    """A 0 keeps the size of that axis."""
    return ag.reshape(x, shape=tuple(int(n) or x.shape[k] for k, n in enumerate(shape)))


def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(x: Any, axes: Any = (), keepdims: int = 1) -> Any:
        return function(x, axis=tuple(map(int, axes)) or None, keepdims=bool(keepdims))

    return reduced


def loss(x: Any, target: Any, reduction: str = "mean") -> list[Any]:
    """The mean, and the logarithms of the probabilities."""
    assert reduction == "mean"
    return [ag.cross_entropy(x, target, axis=1), ag.log_softmax(x, axis=1)]


def margin(auto_pad: str, pads: Any, kernel: Any, dilation: Any) -> Any:
    if auto_pad != "NOTSET":
        return {"SAME_UPPER": "same", "SAME_LOWER": "same", "VALID": "valid"}[auto_pad]
    assert pads[:2] == pads[2:]
    full = all(p == d * (k - 1) for p, k, d in zip(pads[:2], kernel, dilation, strict=True))
    return "full" if full else tuple(pads[:2])


def convolution(
    x: Any,
    w: Any,
    b: Any = None,
    kernel_shape: Any = None,
    strides: Any = (1, 1),
    pads: Any = (0, 0, 0, 0),
    dilations: Any = (1, 1),
    auto_pad: str = "NOTSET",
) -> Any:
    padding = margin(auto_pad, pads, kernel_shape, dilations)
    return ag.conv2d(x, w, b, stride=tuple(strides), padding=padding, dilation=tuple(dilations))


def pooling(function: Callable[..., Any]) -> Callable[..., Any]:
    def pooled(
        x: Any,
        kernel_shape: Any,
        strides: Any = (1, 1),
        pads: Any = (0, 0, 0, 0),
        auto_pad: str = "NOTSET",
        count_include_pad: int = 0,  # without padding it makes no difference
    ) -> Any:
        padding = margin(auto_pad, pads, kernel_shape, (1, 1))
        return function(x, kernel_size=tuple(kernel_shape), stride=tuple(strides), padding=padding)

    return pooled


Step = Callable[..., tuple[Any, ...]]


def unrolled(step: Step, x: np.ndarray, states: list[np.ndarray], layout: int) -> list[Any]:
    """All outputs, then the last states; `step` takes one sample and its states, the output being the first.

    The axes are step, direction, sample, unit; with layout 1 the samples come first.
    """
    if layout:
        x, states = x.swapaxes(0, 1), [s.swapaxes(0, 1) for s in states]
    rows, last = [], []
    for n in range(x.shape[1]):
        state, row = tuple(ag.tensor(s[0, n]) for s in states), []
        for t in range(len(x)):
            state = step(ag.tensor(x[t, n]), *state)
            row.append(state[0])
        rows.append(ag.stack(row))
        last.append(state)
    every = ag.stack([ag.stack(rows, axis=1)], axis=1)
    ends = [ag.stack([ag.stack(parts)]) for parts in zip(*last, strict=True)]
    if layout:
        return [ag.transpose(every, axes=(2, 0, 1, 3)), *(ag.transpose(e, axes=(1, 0, 2)) for e in ends)]
    return [every, *ends]


def leaves(order: str, w: Any, r: Any, b: Any, recurrent_bias: bool) -> dict[str, Any]:
    """The weights of the gates in that order, as the bricks name them."""
    size = r.shape[2]
    biases = np.zeros((2, len(w[0]))) if b is None else b.reshape(2, -1).astype(np.float64)
    bias = biases[0] + biases[1] if recurrent_bias else biases[0]
    found = {}
    for k, letter in enumerate(order):
        rows = slice(k * size, (k + 1) * size)
        for name, values in (("W", w[0, rows]), ("U", r[0, rows]), ("b", bias[rows])):
            found[f"{name}_{letter}"] = ag.tensor(values, name=f"{name}_{letter}")
    return found


def at_rest(x: Any, states: tuple[Any, ...], hidden: int, layout: int) -> list[Any]:
    samples = x.shape[0 if layout else 1]
    shape = (samples, 1, hidden) if layout else (1, samples, hidden)
    return [np.zeros(shape) if s is None else s for s in states]


def all_steps(x: Any, lengths: Any, layout: int) -> bool:
    return lengths is None or set(lengths) == {x.shape[1 if layout else 0]}


def rnn(
    x: Any,
    w: Any,
    r: Any,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    hidden_size: int = 0,
    activations: Any = ("Tanh",),
    layout: int = 0,
    recurrent_bias: bool = True,
    transposed: bool = False,
) -> list[Any]:
    assert all_steps(x, lengths, layout)
    weights = leaves("h", w, r.swapaxes(1, 2) if transposed else r, b, recurrent_bias)
    squash = ACTIVATIONS[activations[0].lower()]

    def step(x: Any, h: Any) -> tuple[Any, ...]:
        return (gate(weights, "h", x, h, None, squash),)

    return unrolled(step, x, at_rest(x, (h,), hidden_size, layout), layout)


def lstm(
    x: Any,
    w: Any,
    r: Any,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    c: Any = None,
    p: Any = None,
    hidden_size: int = 0,
    layout: int = 0,
    order: str = "iofc",
    peepholes: str = "iof",
    recurrent_bias: bool = True,
    cell: Callable[..., tuple[Any, Any]] = lstm_cell,
) -> list[Any]:
    assert all_steps(x, lengths, layout)
    weights = leaves(order, w, r, b, recurrent_bias)
    if p is not None:
        parts = zip(peepholes, np.split(p[0], 3), strict=True)
        weights |= {f"V_{letter}": ag.tensor(v) for letter, v in parts if letter != "-"}

    def step(x: Any, h: Any, c: Any) -> tuple[Any, ...]:
        return cell(weights, x, h, c, "t")

    return unrolled(step, x, at_rest(x, (h, c), hidden_size, layout), layout)


ADAPTERS: dict[str, Callable[..., Any]] = {
    "Abs": ag.abs,
    "Add": ag.add,
    "AveragePool": pooling(ag.avg_pool2d),
    "BatchNormalization": lambda x, scale, shift, epsilon=1e-5, training_mode=1: ag.batch_norm(
        x, scale, shift, eps=epsilon
    ),
    "Clip": ag.clip,
    "Concat": lambda *parts, axis: ag.concatenate(parts, axis=axis),
    "Conv": convolution,
    "Cos": ag.cos,
    "CumSum": lambda x, axis: ag.cumsum(x, axis=int(axis)),
    "Div": ag.divide,
    "Elu": ag.elu,
    "Exp": ag.exp,
    "Gather": lambda x, indices, axis=0: ag.getitem(x, index=(slice(None),) * axis + (indices,)),
    "Gemm": gemm,
    "Greater": ag.greater,
    "GreaterOrEqual": ag.greater_equal,
    "LSTM": lstm,
    "LeakyRelu": lambda x, alpha=0.01: ag.leaky_relu(x, negative_slope=alpha),
    "Less": ag.less,
    "LessOrEqual": ag.less_equal,
    "Log": ag.log,
    "LogSoftmax": ag.log_softmax,
    "MatMul": ag.matmul,
    "Max": lambda *terms: reduce(ag.maximum, terms),
    "MaxPool": pooling(ag.max_pool2d),
    "Min": lambda *terms: reduce(ag.minimum, terms),
    "Mul": ag.multiply,
    "Neg": ag.negative,
    "Pow": ag.power,
    "RNN": rnn,
    "ReduceL2": reduction(ag.norm),
    "ReduceLogSumExp": reduction(ag.logsumexp),
    "ReduceMax": reduction(ag.max),
    "ReduceMean": reduction(ag.mean),
    "ReduceMin": reduction(ag.min),
    "ReduceSum": reduction(ag.sum),
    "Relu": ag.relu,
    "Reshape": reshape,
    "Sigmoid": ag.sigmoid,
    "Sin": ag.sin,
    "Slice": cut,
    "Softmax": ag.softmax,
    "SoftmaxCrossEntropyLoss": loss,
    "Softplus": ag.softplus,
    "Sqrt": ag.sqrt,
    "Sub": ag.subtract,
    "Sum": lambda *terms: ag.add_n(terms),
    "Tanh": ag.tanh,
    "Transpose": lambda x, perm=None: ag.transpose(x, axes=perm),
    "Where": ag.where,
}


def difference(case: dict[str, Any], **mistake: Any) -> float:
    """Largest difference of the outputs in units of each one's largest number; shapes must be the same."""
    with Graph():
        result = ADAPTERS[case["op"]](*case["inputs"], **case["attrs"], **mistake)
    results, errors = result if isinstance(result, list) else [result], []
    assert len(results) >= len(case["outputs"])
    for got, wanted in zip(results, case["outputs"], strict=False):
        if wanted is not None:
            assert got.shape == wanted.shape
            assert np.all(np.isfinite(wanted))
            scale = float(np.max(np.abs(wanted), initial=0.0)) or 1.0
            errors.append(np.max(np.abs(got.value - wanted), initial=0.0) / scale)
    return float(np.max(errors))  # NaN when one is NaN


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['op']}-{case['name']}")
def test_result_is_that_of_onnx(case: dict[str, Any]) -> None:
    assert difference(case) <= TOLERANCE[case["pool"]]


def stale_output(w: Any, x: Any, h: Any, c: Any, tag: str) -> tuple[Any, Any]:
    """An LSTM cell whose output gate looks at the cell before the step."""
    _, new = lstm_cell(w, x, h, c, tag)
    return gate(w, "o", x, h, c) * ag.tanh(new), new


def linear_output(w: Any, x: Any, h: Any, c: Any, tag: str) -> tuple[Any, Any]:
    """An LSTM cell that gives its content without squashing it."""
    _, new = lstm_cell(w, x, h, c, tag)
    return gate(w, "o", x, h, new) * new, new


MISTAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "gates i and o exchanged": ("LSTM", {"order": "oifc"}),
    "gates o and f exchanged": ("LSTM", {"order": "ifoc"}),
    "gates in the order of PyTorch": ("LSTM", {"order": "ifco"}),
    "gates from the end": ("LSTM", {"order": "cfoi"}),
    "recurrent bias ignored by the LSTM": ("LSTM", {"recurrent_bias": False}),
    "content not squashed": ("LSTM", {"cell": linear_output}),
    "peepholes ignored": ("peephole", {"peepholes": "---"}),
    "peephole of i ignored": ("peephole", {"peepholes": "-of"}),
    "peephole of o ignored": ("peephole", {"peepholes": "i-f"}),
    "peephole of f ignored": ("peephole", {"peepholes": "io-"}),
    "peepholes o and f exchanged": ("peephole", {"peepholes": "ifo"}),
    "peephole of o looks at the old cell": ("peephole", {"cell": stale_output}),
    "recurrent bias ignored by the RNN": ("RNN", {"recurrent_bias": False}),
    "recurrent weights transposed": ("RNN", {"transposed": True}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_drawn_case_catches_a_planted_mistake(mistake: str) -> None:
    where, options = MISTAKES[mistake]
    cases = DRAWN["RNN" if where == "RNN" else "LSTM"]
    if where == "peephole":
        cases = [case for case in cases if len(case["inputs"]) == 8]
    if "transposed" in options:  # a single weight is its own transpose
        cases = [case for case in cases if case["attrs"]["hidden_size"] > 1]
    assert len(cases) >= 7
    for case in cases:
        assert difference(case, **options) > MISTAKE, case["name"]


def test_the_cases_are_what_they_are_meant_to_be() -> None:
    assert {case["op"] for case in CASES} == ADAPTERS.keys()
    assert sum(map(len, DRAWN.values())) >= 18
    assert FILE.stat().st_size < 600_000
