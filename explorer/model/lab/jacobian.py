"""How much a state depends on an earlier one: ‖∂h_t/∂h_k‖ for all pairs, and the matrix that repeats.

The product of single steps Π ∂h_s/∂h_{s−1} vanishes or explodes with its singular values (Pascanu, Mikolov
and Bengio, ICML 2013). All pairs come from one sweep with a seed for every element of every state, so that
detours, as through an LSTM's cell, count too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autograd import Trace
from explorer.model.lab.sweep import Progress, Wiring, sweep, wiring

MOST_ELEMENTS = 8_000  # of all states together: the stacks of more would not fit


@dataclass(frozen=True)
class StateJacobians:
    """Row t, column k of `sizes` is the spectral norm of ∂h_t/∂h_k; nan above the diagonal."""

    trace: Trace
    base: str
    times: tuple[int, ...]
    sizes: np.ndarray
    blocks: tuple[np.ndarray, ...]  # of column k: ∂h_t/∂h_k for t from the last time down to k

    def matrix(self, row: int, column: int) -> np.ndarray:
        """∂h_t/∂h_k, states flattened; rows are elements of h_t."""
        return self.blocks[column][len(self.times) - 1 - row]

    def singular_values(self, row: int, column: int) -> np.ndarray:
        """Largest first; nan where the Jacobian is not finite."""
        matrix = self.matrix(row, column)
        if not np.all(np.isfinite(matrix)):
            return np.full(min(matrix.shape), np.nan)
        return np.linalg.svd(matrix, compute_uv=False)


def states(trace: Trace) -> tuple[str, ...]:
    """Quantities that go from one time step to the next."""
    return wiring(trace.graph).states


def state_jacobians(trace: Trace, base: str, progress: Progress | None = None) -> StateJacobians:
    """∂h_t/∂h_k for all k ≤ t. Raises KeyError for no such quantity, ValueError for one that is too large."""
    groups = wiring(trace.graph).quantities[base]
    sizes = {t: [trace.values[n].size for n in nodes] for t, nodes in groups.items()}
    if sum(map(sum, sizes.values())) > MOST_ELEMENTS:
        raise ValueError(f"{base} has more than {MOST_ELEMENTS} elements in all")
    if len({sum(s) for s in sizes.values()}) > 1:
        raise ValueError(f"{base} has not the same size at every time")
    half = None if progress is None else lambda share: progress(0.6 * share)
    nodes = sorted((n for group in groups.values() for n in group), reverse=True)
    seeds = [(n, np.eye(trace.values[n].size).reshape(-1, *trace.values[n].shape)) for n in nodes]
    stacks = sweep(trace, seeds, nodes, progress=half)
    return _arranged(trace, base, groups, nodes, stacks, progress)


def _arranged(
    trace: Trace,
    base: str,
    groups: dict[int, tuple[int, ...]],
    order: list[int],
    stacks: dict[int, np.ndarray],
    progress: Progress | None,
) -> StateJacobians:
    """The stacks, cut into one matrix per pair of times."""
    times = tuple(groups)
    width = sum(trace.values[n].size for n in groups[times[0]])
    first: dict[int, int] = {}
    rows = 0
    for node in order:
        first[node] = rows
        rows += trace.values[node].size
    index = {
        t: np.concatenate([first[n] + np.arange(trace.values[n].size) for n in nodes])
        for t, nodes in groups.items()
    }
    sizes = np.full((len(times), len(times)), np.nan)
    blocks = []
    for column, k in enumerate(times):
        later = times[: column - 1 : -1] if column else times[::-1]
        picked = np.concatenate([index[t] for t in later])
        parts = []
        for node in groups[k]:
            stack = stacks[node].reshape(len(stacks[node]), -1)
            if len(picked) == len(stack) and picked[-1] == len(stack) - 1 and np.all(np.diff(picked) == 1):
                parts.append(stack)  # in order already, as the states of a chain are
                continue
            part = np.zeros((len(picked), stack.shape[1]))
            reached = picked < len(stack)  # rows behind are of seeds that came later in the sweep
            part[reached] = stack[picked[reached]]
            parts.append(part)
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        block = joined.reshape(len(later), width, width)
        blocks.append(block)
        sizes[column:, column] = spectral_norms(block)[::-1]
        if progress is not None:
            progress(0.6 + 0.4 * (column + 1) / len(times))
    return StateJacobians(trace, base, times, sizes, tuple(blocks))


def spectral_norms(matrices: np.ndarray) -> np.ndarray:
    """Largest singular value of each matrix in (n, rows, columns); inf or nan for one that is not finite."""
    with np.errstate(all="ignore"):
        top = np.max(np.abs(matrices), axis=(1, 2), initial=0.0)
        good = np.isfinite(top) & (top > 0)
        result = top.copy()
        scaled = matrices[good] / top[good][:, None, None]
        # an eigenvalue of AᵀA costs a third of a singular value; the largest one loses no digits that way
        gram = np.swapaxes(scaled, 1, 2) @ scaled
        result[good] = top[good] * np.sqrt(np.linalg.eigvalsh(gram)[:, -1])
    return result


def recurrent_matrices(trace: Trace) -> tuple[int, ...]:
    """Square parameters that take the state of one step into the state of the next."""
    graph, wires = trace.graph, wiring(trace.graph)
    ends = {n for base in wires.states for nodes in wires.quantities[base].values() for n in nodes}
    found = []
    for leaf in graph.leaves("parameter"):
        shape = trace.values[leaf.id].shape
        if len(shape) != 2 or shape[0] != shape[1]:
            continue
        for use in wires.consumers[leaf.id]:
            op, time = wires.ops[use], wires.times[use]
            if op is None or op.name != "matmul" or time is None:
                continue
            other = next((j for j in wires.inputs[use] if j != leaf.id), None)
            if other is not None and _from_before(wires, other, time) and _reaches(wires, use, ends):
                found.append(leaf.id)
                break
    return tuple(found)


def _from_before(wires: Wiring, node: int, time: int) -> bool:
    """Whether a node is, or comes by element-wise operations alone from, something of an earlier step."""
    waiting, seen = [node], set()
    while waiting:
        i = waiting.pop()
        seen.add(i)
        op = wires.ops[i]
        if wires.times[i] not in (None, time):
            return True
        if wires.times[i] == time and op is not None and op.elementwise:
            waiting += [j for j in wires.inputs[i] if j not in seen and wires.needs[j]]
    return False


def _reaches(wires: Wiring, node: int, ends: set[int]) -> bool:
    """Whether a node leads to one of the ends within its own time step."""
    waiting, seen = [node], set()
    while waiting:
        i = waiting.pop()
        if i in ends:
            return True
        seen.add(i)
        waiting += [c for c in wires.consumers[i] if c not in seen and wires.times[c] == wires.times[node]]
    return False


def spectral_radius(matrix: np.ndarray) -> float:
    """Largest absolute eigenvalue; nan for a matrix that is not finite."""
    if not np.all(np.isfinite(matrix)):
        return float("nan")
    return float(np.max(np.abs(np.linalg.eigvals(matrix)), initial=0.0))


def with_radius(matrix: np.ndarray, radius: float) -> np.ndarray:
    """The matrix scaled to a spectral radius; unchanged when its own is 0."""
    own = spectral_radius(matrix)
    return matrix * (radius / own) if own > 0 else matrix
