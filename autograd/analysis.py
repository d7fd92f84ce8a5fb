"""Questions about a recorded graph: which way the gradient came, through which time step, and how strongly.

Everything is asked of the values that the graph holds now. Creation order is topological order, so every
answer is one or more loops over it; nothing is sorted or recursed. A graph's `grads` and `contributions` stay
as they were found.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from autograd.graph import Graph, Tensor

_PLACE = re.compile(r"\{(\w+)\}")  # where a text of an op wants an operand


@dataclass(frozen=True)
class Path:
    """One way from a node to the target, and the part of the node's gradient that came this way."""

    nodes: tuple[int, ...]  # from source to target
    factors: tuple[float, ...] | tuple[str, ...]  # one per edge: the local derivative, or what it does to g
    product: float | np.ndarray  # a float on scalar graphs, else an array of the source's shape
    share: float  # ⟨product, gradient⟩ / ‖gradient‖²; all paths together make 1; nan if the gradient is 0


def paths(graph: Graph, source: Tensor | int, target: Tensor | int, k: int = 5) -> list[Path]:
    """The `k` strongest paths from `source` to the scalar `target`, strongest first; all if there are fewer.

    By the chain rule ∂target/∂source is the sum over all paths of the product of their local derivatives
    (Bauer, "Computational graphs and rounding error", SIAM J. Numer. Anal. 11, 1974), so that the products
    of all paths add up to the gradient. An input that an op takes twice, as in `a * a`, makes two paths with
    the same nodes. A path that meets a value that is not finite counts as the strongest.

    Where every node on the way has shape (), a path's `factors` and `product` are floats and the answer is
    exact: a node's k best paths are among the k best of its consumers, each times one local derivative.
    Otherwise `product` is the vector-Jacobian products along the path applied to 1, shape of `source`, and
    `factors` say in words what each edge does to the gradient g. Paths are then ranked by Euclidean norm,
    and each node keeps the max(4k, 32) parts of largest norm: exact while no node has more ways to the
    target than that, else the best of a beam, which can miss a path that is weak near the target.

    Without a way from source to target the list is empty. Raises ValueError for a target with more than one
    element, for a source that gets no gradient, and for k < 1.
    """
    start, end = _number(graph, source), _number(graph, target)
    if k < 1:
        raise ValueError(f"paths takes k of at least 1, not {k}")
    if graph.values[end].size != 1:
        raise ValueError(f"paths needs a scalar target, {graph.describe(end)} is none")
    _require_gradient(graph, start)
    between = _between(graph, [start], [end])
    if not between:
        return []
    with np.errstate(all="ignore"):
        seed = np.ones(graph.values[end].shape)
        gradient = _sweep(graph, between, end, seed)[start]
        scalar = all(graph.values[i].ndim == 0 for i in between)
        found = (
            _scalar_paths(graph, between, start, end, k)
            if scalar
            else _tensor_paths(graph, between, start, end, k)
        )
        return [Path(n, f, p, _share(np.asarray(p), gradient)) for n, f, p in found]


def jacobian(output: Tensor, leaf: Tensor) -> np.ndarray:
    """∂output/∂leaf at the recorded values, an array of shape `output.shape + leaf.shape`.

    `leaf` may be any node that gets a gradient; an output that does not depend on it gives zeros. One
    backward pass per element of the output (reverse accumulation; Griewank and Walther, "Evaluating
    Derivatives", 2008, ch. 3). Raises ValueError for tensors of two graphs and for a leaf that gets no
    gradient.
    """
    graph = output.graph
    if leaf.graph is not graph:
        raise ValueError("jacobian can not join tensors of two graphs")
    _require_gradient(graph, leaf.id)
    between = _between(graph, [leaf.id], [output.id])
    result = np.zeros((output.size, *leaf.shape))
    if between:
        for row, grads in enumerate(_sweeps(graph, between, output.id)):
            result[row] = grads[leaf.id]
    return result.reshape(output.shape + leaf.shape)


def time_contributions(graph: Graph, leaf: Tensor | int) -> dict[int | None, np.ndarray]:
    """The gradient of a shared leaf after `backward`, split by the time step of the consumer it came from.

    Back-propagation through time: ∂E/∂W = Σ_t (∂E/∂W)_t (Werbos, Proc. IEEE 78, 1990). Arrays of the leaf's
    shape that add up to its gradient; None stands for consumers outside of any time step. Keys come in the
    order of arrival, so the last time step first. Raises ValueError for a leaf that gets no gradient, and
    before `backward`.
    """
    node = _number(graph, leaf)
    _require_backward(graph, node)
    found: dict[int | None, np.ndarray] = {}
    for i in range(len(graph) - 1, node, -1):
        if node in graph.inputs[i]:
            time = graph.times[i]
            for j, sent in zip(graph.inputs[i], graph.contributions[i], strict=False):
                if j == node and sent is not None:
                    found[time] = found[time] + sent if time in found else sent * 1.0
    return found


def gradient_norms(graph: Graph, names: str | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """‖∂E/∂h_t‖ over time after `backward`: the times, shape (T,), and the Euclidean norms, shape (T,).

    `names` is the prefix of `h_1 … h_T`, or a list of full names, whose time is the number at their end;
    names of one time count as one state, as do elements `h_1[0]`, `h_1[1]` in scalar form. How it fades or
    grows towards early steps is the vanishing or exploding gradient (Bengio, Simard and Frasconi, IEEE
    Trans. Neural Networks 5, 1994). Raises KeyError when no node has such a name, ValueError before
    `backward` and for a name without a number.
    """
    states = _states(graph, names)
    norms = []
    for group in states.values():
        for i in group:
            _require_backward(graph, i)
        norms.append(_norm(_joined([graph.grads[i] for i in group])))
    return np.array(list(states), dtype=int), np.array(norms, dtype=np.float64)


def state_jacobian_norms(graph: Graph, prefix: str, ord: Any = 2) -> np.ndarray:
    """‖∂h_t/∂h_k‖ for k ≤ t in row t, column k of a (T, T) array; nan above the diagonal.

    The states are the nodes `prefix_1 … prefix_T`, in order of time, or their elements in scalar form. `ord`
    is that of `numpy.linalg.norm` for matrices; 2 is the spectral norm. Where h_t depends on earlier states
    through h_{t−1} alone, ∂h_t/∂h_k is the product of the Jacobians of single steps, Π ∂h_s/∂h_{s−1}
    (Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    eq. 5); otherwise, as in an LSTM with its cell beside h, every element of every h_t is propagated back by
    itself. A Jacobian that is not finite has the norm inf or nan.
    Raises KeyError when no node has such a name, ValueError for a state that gets no gradient.
    """
    states = list(_states(graph, prefix).values())
    for group in states:
        for i in group:
            _require_gradient(graph, i)
    rows = _chained(graph, states) if _is_chain(graph, states) else _direct(graph, states)
    result = np.full((len(states), len(states)), np.nan)
    for t, row in enumerate(rows):
        for k, matrix in enumerate(row):
            # an SVD does not converge on what is not finite
            finite = np.all(np.isfinite(matrix))
            result[t, k] = np.linalg.norm(matrix, ord) if finite else np.abs(matrix).max()
    return result


def first_bad(graph: Graph) -> int | None:
    """Number of the first node whose value is not finite although its inputs are; None if all are finite.

    A leaf has no inputs, so one that holds nan or infinity, such as a mask of −∞, is found too. As inputs
    come before their consumers, this is the first node in recorded order that has such a value.
    """
    return next((i for i, value in enumerate(graph.values) if not np.all(np.isfinite(value))), None)


# Walking the graph


def _number(graph: Graph, node: Tensor | int) -> int:
    if not isinstance(node, Tensor):
        if not 0 <= node < len(graph):
            raise ValueError(f"there is no node {node} in a graph of {len(graph)} nodes")
        return int(node)
    if node.graph is not graph:
        raise ValueError(f"{node.graph.describe(node.id)} belongs to another graph")
    return node.id


def _require_gradient(graph: Graph, node: int) -> None:
    if not graph.needs_grad[node]:
        kind = graph.kinds[node] or "result of constants"
        kind = f"frozen {kind}" if kind in ("parameter", "input") else kind
        raise ValueError(f"{graph.describe(node)} gets no gradient: it is a {kind}")


def _require_backward(graph: Graph, node: int) -> None:
    _require_gradient(graph, node)
    if graph.grads[node] is None:
        raise ValueError(f"{graph.describe(node)} has no gradient yet: run backward first")


def _between(graph: Graph, sources: Sequence[int], targets: Sequence[int]) -> list[int]:
    """Nodes on a way from a source to a target, in recorded order; both ends count."""
    first, last = min(sources), max(targets)
    below = bytearray(last + 1)  # 1 where a source is reached
    for i in sources:
        if i <= last:
            below[i] = 1
    for i in range(first, last + 1):
        if not below[i] and any(below[j] for _, j in graph.receivers(i)):
            below[i] = 1
    wanted = bytearray(last + 1)
    for i in targets:
        wanted[i] = below[i]
    for i in range(last, first - 1, -1):
        if wanted[i]:
            for _, j in graph.receivers(i):
                wanted[j] |= below[j]
    return [i for i in range(first, last + 1) if wanted[i]]


def _flow(graph: Graph, node: int, slot: int, g: np.ndarray) -> np.ndarray:
    """What `node` sends to its input `slot` when its own gradient is `g`; shape of that input."""
    op = graph.ops[node]
    assert op is not None
    values = [graph.values[j] for j in graph.inputs[node]]
    return op.sends(slot, g, graph.values[node], values, graph.attrs[node])


def _sweep(graph: Graph, between: Sequence[int], output: int, seed: np.ndarray) -> dict[int, np.ndarray]:
    """One backward pass from `output` over the nodes in `between` alone: the gradient of each it reaches."""
    inside = set(between)
    grads = {output: seed}
    for i in reversed(between):
        g = grads.get(i)
        if g is None:
            continue
        for slot, j in graph.receivers(i):
            if j in inside:
                sent = _flow(graph, i, slot, g)
                grads[j] = grads[j] + sent if j in grads else sent
    return grads


def _sweeps(graph: Graph, between: Sequence[int], output: int) -> Iterator[dict[int, np.ndarray]]:
    """A backward pass for each element of `output`, in C order."""
    shape = graph.values[output].shape
    with np.errstate(all="ignore"):
        for index in np.ndindex(shape):
            seed = np.zeros(shape)
            seed[index] = 1.0
            yield _sweep(graph, between, output, seed)


# Paths

_Found = tuple[tuple[int, ...], tuple[Any, ...], Any]  # nodes, factors, product
_Link = tuple[int, int, int]  # consumer, its slot, which of the consumer's ways
_Way = tuple[float, _Link | None]  # log |product| from here to the end


def _scalar_paths(graph: Graph, between: list[int], start: int, end: int, k: int) -> list[_Found]:
    """Exact: each node's k best ways to the end by log |product|, from those of its consumers."""
    one = np.ones(())
    inside = set(between)
    consumers: dict[int, list[tuple[int, int, float]]] = {i: [] for i in between}
    ways: dict[int, list[_Way]] = {end: [(0.0, None)]}
    factors: dict[tuple[int, int], float] = {}
    for i in reversed(between):
        if i != end:
            merged: list[_Way] = [
                (_plus(log, size), (c, slot, rank))
                for c, slot, size in consumers[i]
                for rank, (log, _) in enumerate(ways[c])
            ]
            # in order already but for where one consumer's ways end, which makes sorting quick
            ways[i] = sorted(merged, key=itemgetter(0), reverse=True)[:k]
        if i == start:
            continue
        for slot, j in graph.receivers(i):
            if j in inside:
                factor = float(_flow(graph, i, slot, one))
                factors[i, slot] = factor
                consumers[j].append((i, slot, _log_size(factor)))
    found = []
    for way in range(len(ways[start])):
        nodes, edges = _follow(start, way, lambda i, r: ways[i][r][1])
        along = [factors[edge] for edge in edges]
        product = 1.0
        for factor in reversed(along):  # from the target, as the gradient comes
            product *= factor
        found.append((nodes, tuple(along), product))
    return _strongest_first(found)


def _tensor_paths(graph: Graph, between: list[int], start: int, end: int, k: int) -> list[_Found]:
    """A beam: each node's parts of largest norm, with the way each of them came."""
    width = max(4 * k, 32)
    inside = set(between)
    # norm, minus the order of arrival so that of equals the first stays, what arrived, how
    heaps: dict[int, list[tuple[float, int, np.ndarray, _Link | None]]] = {i: [] for i in between}
    heaps[end].append((1.0, 0, np.ones(graph.values[end].shape), None))
    links: dict[int, list[_Link | None]] = {}
    arrived = 0
    for i in reversed(between):
        parts = heapq.nlargest(k if i == start else width, heaps.pop(i), key=lambda e: e[:2])
        links[i] = [link for *_, link in parts]
        if i == start:
            break
        for slot, j in graph.receivers(i):
            if j not in inside:
                continue
            heap = heaps[j]
            for rank, (_, _, g, _) in enumerate(parts):
                arrived += 1
                sent = _flow(graph, i, slot, g)
                entry = (_strength(sent), -arrived, sent, (i, slot, rank))
                if len(heap) < width:
                    heapq.heappush(heap, entry)
                elif entry[:2] > heap[0][:2]:
                    heapq.heapreplace(heap, entry)
    found = []
    for way, (_, _, product, _) in enumerate(parts):
        nodes, edges = _follow(start, way, lambda i, r: links[i][r])
        found.append((nodes, tuple(_describe(graph, *edge) for edge in edges), product * 1.0))
    return _strongest_first(found)


def _follow(start: int, way: int, link: Any) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """The nodes of one way from `start` to the end, and its edges as (consumer, slot)."""
    nodes, edges = [start], []
    step = link(start, way)
    while step is not None:
        node, slot, way = step
        nodes.append(node)
        edges.append((node, slot))
        step = link(node, way)
    return tuple(nodes), edges


def _strongest_first(found: list[_Found]) -> list[_Found]:
    """By the products themselves: logarithms are rounded, and of equals the order stays."""
    return sorted(found, key=lambda f: _strength(np.asarray(f[2])), reverse=True)


def _log_size(factor: float) -> float:
    size = abs(factor)
    return -math.inf if size == 0 else math.log(size) if math.isfinite(size) else math.inf


def _plus(a: float, b: float) -> float:
    total = a + b
    return math.inf if total != total else total  # 0 · ∞


def _norm(a: np.ndarray) -> float:
    """Euclidean norm; squares neither overflow nor vanish."""
    flat = np.ravel(a)
    with np.errstate(all="ignore"):
        square = float(flat @ flat)
    if 1e-250 < square < 1e250:
        return math.sqrt(square)
    top = float(np.max(np.abs(a), initial=0.0))
    return top * float(np.linalg.norm(flat / top)) if top > 0 and math.isfinite(top) else top


def _strength(a: np.ndarray) -> float:
    norm = _norm(a)
    return norm if norm == norm else math.inf


def _share(part: np.ndarray, gradient: np.ndarray) -> float:
    size = _norm(gradient)
    return float(np.sum((part / size) * (gradient / size))) if size else math.nan


def _describe(graph: Graph, node: int, slot: int) -> str:
    """What an edge does to the gradient g, as `g ⊙ (1 − tanh² u_3)`."""
    op = graph.ops[node]
    assert op is not None
    inputs = graph.inputs[node]
    called = {"g": "g"}
    for letter, j in zip("abcdef", inputs, strict=False):
        called[letter] = graph.names[j] or f"#{j}"
    text = op.back[min(slot, len(op.back) - 1)] if op.back else f"{op.name} back"
    return _PLACE.sub(lambda m: called.get(m[1], m[1]), text)


# States over time


def _states(graph: Graph, names: str | Sequence[str]) -> dict[int, list[int]]:
    """Node numbers of each state by its time, in order of time; the first node of a name counts."""
    prefix = isinstance(names, str)
    whole = re.escape(str(names)) + r"_[1-9]\d*" if prefix else "|".join(map(re.escape, names))
    pattern = re.compile(rf"({whole})(\[[\d,]+\])?")
    groups: dict[int, list[int]] = {}
    seen: set[str] = set()
    found: set[str] = set()
    for i, name in enumerate(graph.names):
        match = pattern.fullmatch(name) if name and name not in seen else None
        if match:
            seen.add(name)
            found.add(match[1])
            groups.setdefault(_ending(match[1]), []).append(i)
    missing = [f"{names}_1"] * (not groups) if prefix else [n for n in names if n not in found]
    if missing or not groups:
        raise KeyError(f"no node is named {', '.join(missing)}")
    return {t: groups[t] for t in sorted(groups)}


def _ending(name: str) -> int:
    number = re.search(r"\d+$", name)
    if number is None:
        raise ValueError(f"{name} does not end in the number of a time step")
    return int(number[0])


def _is_chain(graph: Graph, states: list[list[int]]) -> bool:
    """Whether each state depends on the earlier ones only through the one before it."""
    step = {i: t for t, group in enumerate(states) for i in group}
    # bit t: a node depends on state t on a way without any state in between
    near = [0] * len(graph)
    for i in range(len(graph)):
        for _, j in graph.receivers(i):
            near[i] |= 1 << step[j] if j in step else near[j]
    return all(near[i] & ~(1 << t - 1 if t else 0) == 0 for i, t in step.items())


def _chained(graph: Graph, states: list[list[int]]) -> Iterator[list[np.ndarray]]:
    """Row t: ∂h_t/∂h_k for k ≤ t, by multiplying the Jacobians of single steps."""
    row: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for t, group in enumerate(states):
            step = _state_jacobians(graph, group, states[t - 1 : t]) if t else []
            row = [*(step[0] @ before for before in row), np.eye(_size(graph, group))]
            yield row


def _direct(graph: Graph, states: list[list[int]]) -> Iterator[list[np.ndarray]]:
    """Row t: ∂h_t/∂h_k for k ≤ t, each by going back from h_t all the way."""
    for t, group in enumerate(states):
        yield [*_state_jacobians(graph, group, states[:t]), np.eye(_size(graph, group))]


def _state_jacobians(graph: Graph, group: list[int], earlier: list[list[int]]) -> list[np.ndarray]:
    """∂group/∂state for each of the earlier states, as matrices."""
    parts = [np.zeros((_size(graph, group), _size(graph, state))) for state in earlier]
    sources = [i for state in earlier for i in state]
    row = 0
    for output in group:
        between = _between(graph, sources, [output]) if sources else []
        for grads in _sweeps(graph, between, output):
            for part, state in zip(parts, earlier, strict=True):
                part[row] = _joined(
                    [grads[i] if i in grads else np.zeros(graph.values[i].shape) for i in state]
                )
            row += 1
    return parts


def _size(graph: Graph, group: list[int]) -> int:
    return sum(graph.values[i].size for i in group)


def _joined(arrays: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays])
