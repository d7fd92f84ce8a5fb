"""A closer look: some ops of a trace scalar by scalar, with the same numbers and gradients."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, Trace, at_time, scalars, scope
from explorer.model.text import tr
from scenes.scene import SceneError

MOST_WORK = 6_000  # as `_work` counts: a picture of it is there within some seconds


def scalar_graph(trace: Trace, nodes: Collection[int]) -> tuple[Graph, Tensor]:
    """The ops `nodes` of a trace with one node per scalar operation, and the number that is led back.

    What comes in from outside are leaves with the trace's values. The loss is Σ g·y over everything that goes
    out, g being the gradient that arrived there: so every element has the gradient that it has in the trace,
    as far as it comes through these ops. Raises SceneError for an op that has no scalar form, and where no
    gradient arrives.
    """
    graph = trace.graph
    inside = sorted(i for i in set(nodes) if graph.ops[i] is not None and i not in graph.held)
    if not inside:
        raise SceneError(tr("there is no operation to look into"))
    if sum(_work(trace, i) for i in inside) > MOST_WORK:
        raise SceneError(tr("that is too large to be shown scalar by scalar"))
    chosen = set(inside)
    used_outside = {j for v, js in enumerate(graph.inputs) if v not in chosen for j in js if j in chosen}
    ends = [i for i in inside if i in used_outside or i == trace.loss or not _is_used(graph, i)]
    common = _common([graph.scopes[i] for i in inside])
    timed = len({graph.times[i] for i in inside}) > 1  # one time step needs no column
    made: dict[int, Any] = {}
    with Graph() as closer:
        for i in inside:
            for j in graph.inputs[i]:
                if j not in made:
                    made[j] = _leaf(trace, j)
            with ExitStack() as place:
                _enter(place, graph, i, common, timed)
                operands = [
                    ag.stop_gradient(made[j]) if (i, k) in graph.cuts else made[j]
                    for k, j in enumerate(graph.inputs[i])
                ]
                made[i] = _spelled_out(graph, i, operands)
                _name(made[i], graph.names[i] or ("y" if ends == [i] else ""))
        parts = [part for i in ends if trace.order.reached[i] for part in _led_back(trace.grads[i], made[i])]
        if not parts:
            raise SceneError(tr("no gradient arrives here"))
        loss = ag.add_n(parts).named("Σ g·y") if len(parts) > 1 else parts[0]
    return closer, loss


def _led_back(gradient: np.ndarray | None, y: Any) -> list[Tensor]:
    """g·y for every element of something that goes out."""
    array, g = np.asarray(y, dtype=object), scalars(gradient, "g", "constant")
    return [g[index] * array[index] for index in np.ndindex(array.shape)]


def _name(y: Any, name: str) -> None:
    """Name the elements that an op computed; one that only moves its inputs leaves them their names."""
    array: Any = np.asarray(y, dtype=object)
    for index in np.ndindex(array.shape):
        if name and array[index].op != "leaf" and not array[index].name:
            array[index].name = f"{name}[{','.join(map(str, index))}]" if index else name


def _leaf(trace: Trace, node: int) -> Any:
    graph = trace.graph
    kind = "input" if graph.needs_grad[node] else "constant"
    if graph.kinds[node] == "parameter" and node not in graph.frozen:
        kind = "parameter"
    op = graph.ops[node]
    array = scalars(trace.values[node], graph.names[node] or f"{op.name if op else 'a'}_{node}", kind)
    return array if array.ndim else array[()]


def _spelled_out(graph: Graph, node: int, operands: list[Any]) -> Any:
    op = graph.ops[node]
    assert op is not None
    if op.name == "matmul" and operands[0].ndim == 2 and len(operands[0]) > 1:
        weight, *others = (graph.names[j] for j in graph.inputs[node])
        units = []
        for k, weights in enumerate(operands[0]):  # a unit for each row of weights, with all that it computes
            row = f"{weight or graph.names[node] or 'y'}[{k}]"
            with scope("·".join((row, *others)) if weight and all(others) else row):
                units.append(ag.matmul(weights, operands[1]))
        return np.array(units, dtype=object)
    function = getattr(ag, op.name)
    try:
        if op.arity is None:
            return function(operands, **graph.attrs[node])
        return function(*operands, **graph.attrs[node])
    except TypeError:
        raise SceneError(tr("{name} has no scalar form").format(name=op.name)) from None


def is_unit(scope_path: str) -> bool:
    """Whether a scope of a scalar graph is one unit of a layer."""
    return "[" in scope_path.rpartition("/")[2]


def _enter(place: ExitStack, graph: Graph, node: int, common: int, timed: bool) -> None:
    """The scopes of a node below those that all share, with its time step where it belongs."""
    parts, depth = graph.scopes[node], graph.time_depths[node]
    time = graph.times[node] if timed else None
    for k, part in enumerate(parts[common:], common):
        if time is not None and k == depth:
            place.enter_context(at_time(time))
        place.enter_context(scope(part))
    if time is not None and depth >= len(parts) > common:
        place.enter_context(at_time(time))


def _common(scopes: list[tuple[str, ...]]) -> int:
    """How many outer scopes all have in common."""
    first, last = min(scopes), max(scopes)
    return next(
        (k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )


def _is_used(graph: Graph, node: int) -> bool:
    return any(node in inputs for inputs in graph.inputs[node + 1 :])


def _work(trace: Trace, node: int) -> int:
    """About how many scalar operations an op is, with the numbers that come in."""
    graph = trace.graph
    op, inputs = graph.ops[node], graph.inputs[node]
    inner = trace.values[inputs[0]].shape[-1:] if op and op.name in ("matmul", "dot") else ()
    return trace.values[node].size * (1 + (inner[0] if inner else len(inputs)))
