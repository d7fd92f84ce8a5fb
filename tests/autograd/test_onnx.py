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
from scenes.bricks import ACTIVATIONS, attention, gate, gru_cell, lstm_cell
from scenes.vision.boxes import nms, nms_by_class

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
    for op in ("RNN", "LSTM", "GRU", "NonMaxSuppression")
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


WAYS = {"forward": (1,), "reverse": (-1,), "bidirectional": (1, -1)}


def gru(
    x: Any,
    w: Any,
    r: Any,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    hidden_size: int = 0,
    layout: int = 0,
    direction: str = "forward",
    linear_before_reset: int = 0,
    order: str = "zrh",
    keep: str = "z",
    recurrent_bias: bool = True,
    misplaced: bool = False,
    turned: bool = False,
) -> list[Any]:
    """Both directions: a backward one reads the steps from the end, its results stand at their steps."""
    assert all_steps(x, lengths, layout)
    if layout:
        x, h = x.swapaxes(0, 1), None if h is None else h.swapaxes(0, 1)
    ways = WAYS[direction]
    start = np.zeros((len(ways), x.shape[1], hidden_size)) if h is None else h
    reset = "after" if bool(linear_before_reset) != misplaced else "before"
    every, last = [], []
    for k, way in enumerate(ways):
        own = slice(k, k + 1)
        biases = np.zeros((1, 6 * hidden_size)) if b is None else b[own].astype(np.float64)
        weights = leaves(order, w[own], r[own], biases, recurrent_bias)
        if reset == "after":  # the recurrent bias of the candidate stands inside the reset
            outer, inner = np.split(biases[0], 6)[2::3]
            weights |= {"b_h": ag.tensor(outer), "bU_h": ag.tensor(inner)}

        def step(x: Any, h: Any, weights: dict[str, Any] = weights) -> tuple[Any, ...]:
            return (gru_cell(weights, x, h, "t", keep=keep, reset=reset),)

        way = abs(way) if turned else way
        states, end = unrolled(step, x[::way], [start[own]], 0)
        every.append(states[::way])
        last.append(end)
    results = [ag.concatenate(every, axis=1), ag.concatenate(last)]
    if layout:
        return [ag.transpose(results[0], axes=(2, 0, 1, 3)), ag.transpose(results[1], axes=(1, 0, 2))]
    return results


def heads(x: Any, count: int) -> Any:
    """Sample, step, all heads' units → sample, head, step, unit."""
    apart = ag.reshape(x, shape=(*x.shape[:2], count, -1))
    return ag.transpose(apart, axes=(0, 2, 1, 3))


def dot_product_attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    scale: float | None = None,
    is_causal: int = 0,
    q_num_heads: int = 0,
    kv_num_heads: int = 0,
    unscaled: bool = False,
    masked: bool = True,
) -> Any:
    """A mask of whole numbers says where looking is allowed; `is_causal` forbids later keys."""
    q, k, v = (ag.tensor(part) for part in (q, k, v))
    if q_num_heads:
        q, k, v = (heads(x, n) for x, n in ((q, q_num_heads), (k, kv_num_heads), (v, kv_num_heads)))
    shift = np.zeros((q.shape[2], k.shape[2]))
    if masked and mask is not None:
        shift = shift + (np.where(mask, 0.0, -np.inf) if mask.dtype.kind == "i" else mask)
    if masked and is_causal:
        shift = np.where(np.tri(*shift.shape[-2:]), shift, -np.inf)
    context, _ = attention(q, k, v, shift, 1.0 if unscaled else scale)
    if q_num_heads:
        context = ag.reshape(ag.transpose(context, axes=(0, 2, 1, 3)), shape=(q.shape[0], q.shape[2], -1))
    return context


def suppression(
    boxes: Any,
    scores: Any,
    most: Any,
    overlap: Any,
    score: Any,
    center_point_box: int = 0,
    exchanged: bool = False,
    flipped: bool = False,
    one_class: bool = False,
) -> Any:
    if exchanged:
        overlap, score = score, overlap
    found = nms_by_class(
        boxes,
        np.max(scores, axis=1, keepdims=True) if one_class else scores,
        score=score[0],
        overlap=overlap[0],
        most=int(most[0]),
        centred=bool(center_point_box) != flipped,
    )
    return ag.tensor(found)


ADAPTERS: dict[str, Callable[..., Any]] = {
    "Abs": ag.abs,
    "Add": ag.add,
    "Attention": dot_product_attention,
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
    "GRU": gru,
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
    "NonMaxSuppression": suppression,
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
    """Largest difference of the outputs in units of each one's largest number; infinite for another shape."""
    with Graph():
        result = ADAPTERS[case["op"]](*case["inputs"], **case["attrs"], **mistake)
    results, errors = result if isinstance(result, list) else [result], []
    assert len(results) >= len(case["outputs"])
    for got, wanted in zip(results, case["outputs"], strict=False):
        if wanted is not None and got.shape != wanted.shape:
            errors.append(np.inf)
        elif wanted is not None:
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
    "gates z and r exchanged": ("GRU", {"order": "rzh"}),
    "candidate before the gates": ("GRU", {"order": "hzr"}),
    "gates of the GRU in another cycle": ("GRU", {"order": "rhz"}),
    "old and new state exchanged": ("GRU", {"keep": "1-z"}),
    "reset on the other side of the product": ("GRU", {"misplaced": True}),
    "recurrent bias of the gates ignored": ("GRU", {"recurrent_bias": False}),
    "backward direction reads forward": ("backward", {"turned": True}),
    "limits of score and overlap exchanged": ("NonMaxSuppression", {"exchanged": True}),
    "centres taken for corners": ("NonMaxSuppression", {"flipped": True}),
    "classes suppress each other": ("classes", {"one_class": True}),
    "scores not scaled": ("attention", {"unscaled": True}),
    "mask ignored": ("mask", {"masked": False}),
}


def _suspects(where: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The cases that a mistake concerns."""
    if where == "peephole":
        return [case for case in DRAWN["LSTM"] if len(case["inputs"]) == 8]
    if where == "backward":
        return [case for case in DRAWN["GRU"] if case["attrs"]["direction"] != "forward"]
    if where == "classes":
        return [case for case in DRAWN["NonMaxSuppression"] if case["inputs"][1].shape[1] > 1]
    if where in ("attention", "mask"):
        looked = [case for case in CASES if case["op"] == "Attention"]
        masked = [case for case in looked if len(case["inputs"]) > 3 or "is_causal" in case["attrs"]]
        return looked if where == "attention" else masked
    if "transposed" in options:  # a single weight is its own transpose
        return [case for case in DRAWN["RNN"] if case["attrs"]["hidden_size"] > 1]
    return DRAWN[where]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_cases_catch_a_planted_mistake(mistake: str) -> None:
    where, options = MISTAKES[mistake]
    cases = _suspects(where, options)
    missed = [case["name"] for case in cases if not difference(case, **options) > MISTAKE]
    assert len(cases) - len(missed) >= 7
    if where not in ("attention", "mask"):  # of ONNX's own cases some have a mask that allows everything
        assert not missed


def test_boxes_at_the_bounds() -> None:
    """Two unit boxes that share half of their area have an IoU of exactly 1/3."""
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.5, 1.0], [5.0, 5.0, 6.0, 6.0]])
    scores = np.array([0.9, 0.8, 0.6])
    third = 0.5 / 1.5
    assert nms(boxes, scores, score=0.6, overlap=third).tolist() == [0, 2]
    assert nms(boxes, scores, score=0.6, overlap=third, strict=True).tolist() == [0, 1]
    assert nms(boxes, scores, score=0.5, overlap=third, most=1).tolist() == [0]
    assert nms(boxes, scores, score=0.95).size == 0


@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_scalar_form(masked: bool) -> None:
    rng = np.random.default_rng(5)
    arrays = [rng.normal(size=shape) for shape in ((2, 3), (4, 3), (4, 2))]
    mask = np.where(np.tri(2, 4, 1), 0.0, -np.inf) if masked else None
    results, grads = [], []
    for make in (ag.tensor, ag.scalars):
        with Graph():
            q, k, v = (make(x) for x in arrays)
            context, weights = attention(q, k, v, mask)
            ag.sum(context * context).backward()
        read = np.frompyfunc(lambda x: float(x.value), 1, 1)
        slope = np.frompyfunc(lambda x: float(x.grad), 1, 1)
        whole = make is ag.tensor
        results.append([x.value if whole else read(x).astype(float) for x in (context, weights)])
        grads.append([x.grad if whole else slope(x).astype(float) for x in (q, k, v)])
    for a, b in zip(results[0] + grads[0], results[1] + grads[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(results[0][1].sum(axis=1), 1.0, rtol=1e-15)


def test_the_cases_are_what_they_are_meant_to_be() -> None:
    assert {case["op"] for case in CASES} == ADAPTERS.keys()
    assert sum(map(len, DRAWN.values())) >= 60
    assert FILE.stat().st_size < 600_000
