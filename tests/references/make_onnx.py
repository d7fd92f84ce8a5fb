"""Make `onnx.npz`: results of ONNX operators, to hold our operations and cells against.

Made with onnx 1.23.2, onnxruntime 1.31.1 (CPU) and NumPy 2. Run it anywhere; it imports nothing of ours:

    python tests/references/make_onnx.py

Two sources. "node" are the cases that ONNX publishes for its operators, as far as an operation of ours does
the same. Their recurrent cases give all gates equal weights, so that exchanged gates would go unnoticed;
"onnxruntime" are therefore cases with drawn weights, run by onnxruntime.
A case lists its inputs and outputs by place, null where one is left out, whole numbers spelled out, and for
the others a shape; their numbers stand one after the other in `single` (float32) or `double` (float64).
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.backend.test.case.node import collect_testcases

FILE = Path(__file__).with_name("onnx.npz")
OPSET, IR_VERSION = 21, 10
KINDS = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}
POOLS = {"MaxPool", "AveragePool"}
# shape and value of the result depend on nothing but float inputs and plain attributes
SIMPLE = {
    *("Relu", "LeakyRelu", "Elu", "Softplus", "Sigmoid", "Tanh", "Softmax", "LogSoftmax"),
    *("Sqrt", "Exp", "Log", "Abs", "Sin", "Cos", "Neg", "Clip", "Where", "Pow"),
    *("Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    *("Gemm", "MatMul", "Concat", "Transpose", "Reshape", "Gather", "Slice"),
}
REDUCTIONS = {f"Reduce{kind}" for kind in ("Sum", "Mean", "Max", "Min", "LogSumExp", "L2")}
LOSS = "SoftmaxCrossEntropyLoss"
RECURRENT = {"RNN", "LSTM"}
BOXES = "NonMaxSuppression"
COVERED = (
    SIMPLE
    | REDUCTIONS
    | POOLS
    | RECURRENT
    | {"Conv", "BatchNormalization", "CumSum", LOSS, "GRU", "Attention", BOXES}
)

Arrays = list[np.ndarray | None]
Shape = tuple[int, ...]
Drawn = tuple[str, str, Arrays, int, dict[str, Any]]  # name, operator, inputs, how many outputs, attributes


def margins_are_even(attrs: dict[str, Any], x: np.ndarray) -> bool:
    """Whether as much is added before an axis as after it, or one more after it if ONNX calls it so."""
    if attrs.get("auto_pad") == "SAME_LOWER":
        strides = attrs.get("strides", [1, 1])
        sizes = zip(x.shape[2:], attrs["kernel_shape"], strides, strict=True)
        return all(max((-(-n // s) - 1) * s + k - n, 0) % 2 == 0 for n, k, s in sizes)
    pads = attrs.get("pads", [0, 0, 0, 0])
    return pads[:2] == pads[2:]


def obstacle(op: str, attrs: dict[str, Any], inputs: Arrays, outputs: Arrays) -> str:
    """Why no operation of ours does the same; empty when one does."""
    x = inputs[1] if op == "Where" else inputs[0]
    if x is None or x.dtype not in (np.float32, np.float64):
        return "dtype"
    if op in POOLS | {"Conv"}:
        if x.ndim != 4:
            return "not 2-D"
        if attrs.get("ceil_mode"):
            return "ceil_mode"
        if len(outputs) > 1:
            return "indices"
        if op in POOLS and set(attrs.get("dilations", [1])) != {1}:
            return "dilated pooling"
        if not margins_are_even(attrs, x):
            return "odd margin at the start"
        padded = any(attrs.get("pads", ())) or attrs.get("auto_pad", "NOTSET").startswith("SAME")
        if op == "AveragePool" and padded and not attrs.get("count_include_pad"):
            return "padding not counted"
    if op == "BatchNormalization" and not attrs.get("training_mode"):
        return "running statistics"
    if op in {"Max", "Min"} and len(inputs) < 2:
        return "one input"
    if op in REDUCTIONS:
        if attrs.get("noop_with_empty_axes"):
            return "nothing to reduce"
        if not x.size and op not in {"ReduceSum", "ReduceL2"}:
            return "empty"
    if op == "CumSum" and (attrs.get("reverse") or attrs.get("exclusive")):
        return "reverse or exclusive"
    if op == "Reshape" and attrs.get("allowzero"):
        return "allowzero"
    if op == LOSS:
        if attrs.get("reduction") != "mean":
            return "not the mean"
        if len(inputs) > 2 or "ignore_index" in attrs:
            return "weights or ignore_index"
    if op in RECURRENT and attrs.get("direction", "forward") != "forward":
        return "direction"
    if op == "Attention":
        return attention_obstacle(attrs, inputs, outputs)
    return ""


def attention_obstacle(attrs: dict[str, Any], inputs: Arrays, outputs: Arrays) -> str:
    if len(outputs) > 1:
        return "scores or cache given out"
    if len(inputs) > 4:
        return "cache or padding"
    if "softcap" in attrs or "left_window_size" in attrs:
        return "softcap or window"
    heads = [attrs.get("q_num_heads"), attrs.get("kv_num_heads")]
    if inputs[0].ndim == 4:
        heads = [x.shape[1] for x in inputs[:2]]
    return "shared heads" if heads[0] != heads[1] else ""


def attribute(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [attribute(v) for v in value] if isinstance(value, list) else value


def placed(names: list[str], arrays: list[Any]) -> Arrays:
    """Arrays by place, None for a name that is left out."""
    given = iter(arrays)
    return [np.asarray(next(given)) if name else None for name in names]


def node_cases(left_out: list[str]) -> Iterator[dict[str, Any]]:
    """Of ONNX's published cases those that are covered; the names of the others are added to `left_out`."""
    for test in collect_testcases(None):
        nodes = test.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in COVERED:
            continue
        node = nodes[0]
        attrs = {a.name: attribute(helper.get_attribute_value(a)) for a in node.attribute}
        given, wanted = test.data_sets[0]
        inputs, outputs = placed(list(node.input), given), placed(list(node.output), wanted)
        reason = obstacle(node.op_type, attrs, inputs, outputs)
        if reason:
            left_out.append(f"{node.op_type}: {reason}")
            continue
        if node.op_type == "BatchNormalization":
            inputs, outputs = inputs[:3], outputs[:1]  # no running statistics
        yield {
            "name": test.name.removeprefix("test_"),
            "source": "node",
            "op": node.op_type,
            "attrs": attrs,
            "inputs": inputs,
            "outputs": outputs,
        }


def run(op: str, inputs: Arrays, outputs: int = 1, **attrs: Any) -> Arrays:
    """One operator by onnxruntime."""
    fed = {f"in_{k}": x for k, x in enumerate(inputs) if x is not None}
    names = [f"in_{k}" if x is not None else "" for k, x in enumerate(inputs)]
    results = [f"out_{k}" for k in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, **attrs)],
        op,
        [helper.make_tensor_value_info(k, KINDS[x.dtype.kind], x.shape) for k, x in fed.items()],
        [helper.make_tensor_value_info(k, KINDS["i" if op == BOXES else "f"], None) for k in results],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    ).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(results, fed)


def recurrent_cases(rng: np.random.Generator) -> Iterator[Drawn]:
    """RNN and LSTM with drawn weights; every gate, bias and peephole has its own numbers."""
    sizes = [  # steps, batch, inputs, hidden units
        *((1, 1, 2, 3), (2, 2, 3, 2), (3, 1, 1, 4), (4, 2, 2, 2)),
        *((5, 3, 4, 3), (6, 1, 3, 5), (6, 2, 5, 7), (3, 2, 1, 1)),
    ]
    for k, (T, batch, n, hidden) in enumerate(sizes):
        for kind, gates in (("rnn", 1), ("lstm", 4), ("peephole", 4)):

            def draw(*shape: int) -> np.ndarray:
                return rng.normal(0.0, 0.8, shape).astype(np.float32)

            x, w, r = draw(T, batch, n), draw(1, gates * hidden, n), draw(1, gates * hidden, hidden)
            states = [draw(1, batch, hidden) if k % 4 != 3 else None for _ in range(2 if gates == 4 else 1)]
            inputs: Arrays = [x, w, r, draw(1, 2 * gates * hidden), None, *states]
            attrs: dict[str, Any] = {"hidden_size": hidden}
            if kind == "peephole":
                inputs.append(draw(1, 3 * hidden))
            elif kind == "rnn" and k in (2, 6):
                attrs["activations"] = ["Relu" if k == 2 else "Sigmoid"]
            yield f"{kind}_{k}", "RNN" if kind == "rnn" else "LSTM", inputs, 3 if gates == 4 else 2, attrs


def gru_cases(rng: np.random.Generator) -> Iterator[Drawn]:
    """GRU with drawn weights in all directions; every gate and bias has its own numbers."""
    sizes = [  # steps, batch, inputs, hidden units
        *((2, 1, 2, 3), (3, 2, 3, 2), (4, 1, 1, 4), (5, 3, 4, 3), (6, 1, 3, 5), (7, 2, 2, 7)),
    ]
    for k, (T, batch, n, hidden) in enumerate(sizes):
        for way, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            for after in (0, 1):

                def draw(*shape: int) -> np.ndarray:
                    return rng.normal(0.0, 0.8, shape).astype(np.float32)

                weights = [draw(count, 3 * hidden, n), draw(count, 3 * hidden, hidden)]
                state = draw(count, batch, hidden) if k % 3 != 2 else None
                inputs: Arrays = [draw(T, batch, n), *weights, draw(count, 6 * hidden), None, state]
                attrs = {"hidden_size": hidden, "direction": way, "linear_before_reset": after}
                yield f"gru_{k}_{way}_{('before', 'after')[after]}", "GRU", inputs, 2, attrs


def box_cases(rng: np.random.Generator) -> Iterator[Drawn]:
    """Drawn boxes that overlap a good deal, of several classes and samples."""
    for k in range(12):
        samples, classes, n = 1 + k % 2, 1 + k % 3, (20, 30, 40)[k % 3]
        place, size = rng.uniform(0.0, 3.0, (samples, n, 2)), rng.uniform(0.5, 2.5, (samples, n, 2))
        boxes = np.concatenate([place, size if k % 2 else place + size], axis=2).astype(np.float32)
        if k % 4 == 2:
            boxes[:, ::2] = boxes[:, ::2, [2, 1, 0, 3]]  # the corners in another order
        scores = rng.uniform(0.0, 1.0, (samples, classes, n)).astype(np.float32)
        limits = [np.array([value], np.float32) for value in ((0.3, 0.5, 0.7)[k % 3], (0.2, 0.4)[k % 2])]
        most = np.array([(9, 40, 40)[k // 4]], np.int64)
        yield f"boxes_{k}", BOXES, [boxes, scores, most, *limits], 1, {"center_point_box": k % 2}


def image_cases(rng: np.random.Generator) -> Iterator[Drawn]:
    """Convolution, pooling, normalisation and softmax on drawn images."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    convolutions: list[tuple[Shape, Shape, dict[str, Any]]] = [
        ((1, 1, 5, 5), (1, 1, 3, 3), {}),
        ((2, 3, 6, 5), (4, 3, 3, 2), {}),
        ((2, 2, 7, 6), (3, 2, 3, 3), {"strides": [2, 2]}),
        ((1, 2, 7, 8), (2, 2, 3, 2), {"strides": [3, 1]}),
        ((2, 2, 5, 6), (3, 2, 3, 3), {"pads": [1, 1, 1, 1]}),
        ((1, 3, 5, 6), (2, 3, 2, 4), {"pads": [1, 3, 1, 3]}),  # full
        ((1, 2, 6, 7), (2, 2, 3, 2), {"pads": [2, 0, 2, 0], "strides": [2, 3]}),
        ((2, 2, 8, 9), (2, 2, 3, 2), {"dilations": [2, 3]}),
        ((1, 2, 9, 8), (3, 2, 2, 3), {"dilations": [3, 2], "pads": [1, 2, 1, 2], "strides": [2, 1]}),
        ((2, 2, 6, 7), (2, 2, 4, 2), {"auto_pad": "SAME_UPPER"}),
        ((1, 2, 7, 6), (2, 2, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
        ((1, 1, 4, 4), (2, 1, 4, 4), {"auto_pad": "VALID"}),
    ]
    inputs: Arrays
    for k, (image, filters, attrs) in enumerate(convolutions):
        inputs = [draw(*image), draw(*filters), *([draw(filters[0])] if k % 3 else [])]
        yield f"conv_{k}", "Conv", inputs, 1, {"kernel_shape": list(filters[2:]), **attrs}
    pools: list[tuple[Shape, dict[str, Any]]] = [
        ((2, 2, 4, 6), {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ((1, 3, 5, 6), {"kernel_shape": [3, 2]}),
        ((1, 2, 7, 6), {"kernel_shape": [3, 2], "strides": [2, 3]}),
        ((2, 1, 5, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((1, 2, 6, 5), {"kernel_shape": [2, 3], "pads": [1, 2, 1, 2]}),  # full
        ((1, 2, 5, 7), {"kernel_shape": [2, 4], "strides": [2, 3], "auto_pad": "SAME_UPPER"}),
    ]
    for k, (image, attrs) in enumerate(pools):
        x = draw(*image)
        yield f"max_pool_{k}", "MaxPool", [x], 1, attrs
        yield f"average_pool_{k}", "AveragePool", [x], 1, {**attrs, "count_include_pad": 1}
    for k, shape in enumerate(((4, 3), (7, 1), (2, 3, 4, 5), (3, 2, 1, 3), (1, 4, 3, 3))):
        x = 3.0 * draw(*shape) + draw(1, shape[1], *(1,) * (len(shape) - 2))
        axes = (0, *range(2, len(shape)))
        exact = x.astype(np.float64)
        statistics = [f(exact, axis=axes).astype(np.float32) for f in (np.mean, np.var)]
        inputs = [x, draw(shape[1]), draw(shape[1]), *statistics]
        yield f"batch_norm_{k}", "BatchNormalization", inputs, 1, {"epsilon": (1e-5, 0.1)[k % 2]}
    for k, (shape, axis) in enumerate((((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), -2))):
        for op in ("Softmax", "LogSoftmax"):
            yield f"{op.lower()}_{k}", op, [5.0 * draw(*shape)], 1, {"axis": axis}


def drawn_cases() -> Iterator[dict[str, Any]]:
    first, second = np.random.default_rng(20), np.random.default_rng(21)
    drawn = (*recurrent_cases(first), *image_cases(first), *gru_cases(second), *box_cases(second))
    for name, op, inputs, count, attrs in drawn:
        outputs = run(op, inputs, count, **attrs)
        if op == "BatchNormalization":
            inputs = inputs[:3]  # the statistics are those of the batch
        yield {
            "name": name,
            "source": "onnxruntime",
            "op": op,
            "attrs": attrs,
            "inputs": inputs,
            "outputs": outputs,
        }


def main() -> None:
    warnings.simplefilter("ignore")
    left_out: list[str] = []
    cases = [*node_cases(left_out), *drawn_cases()]
    pools: dict[str, list[np.ndarray]] = {"single": [], "double": []}
    for case in cases:
        arrays = [x for x in (*case["inputs"], *case["outputs"]) if x is not None]
        case["pool"] = "double" if any(x.dtype == np.float64 for x in arrays) else "single"

        def kept(x: np.ndarray | None, pool: list[np.ndarray] = pools[case["pool"]]) -> Any:
            if x is None:
                return None
            if x.dtype.kind in "iub":
                return {"whole": (x * 1).tolist()}
            pool.append(x.ravel())
            return {"shape": x.shape}

        case["inputs"] = [kept(x) for x in case["inputs"]]
        case["outputs"] = [kept(x) for x in case["outputs"]]
    np.savez_compressed(
        FILE,
        versions=f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}",
        cases=np.frombuffer(json.dumps(cases, separators=(",", ":")).encode(), dtype=np.uint8),
        single=np.concatenate(pools["single"], dtype=np.float32),
        double=np.concatenate(pools["double"], dtype=np.float64),
    )
    print(FILE.name, len(cases), "cases,", FILE.stat().st_size, "bytes")
    for source in ("node", "onnxruntime"):
        print(source, dict(sorted(Counter(case["op"] for case in cases if case["source"] == source).items())))
    print("left out", dict(sorted(Counter(left_out).items())))


if __name__ == "__main__":
    main()
