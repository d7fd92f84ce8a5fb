"""Networks of any length for the layout benchmark: only their shape counts, so every vector has one entry.

A step of an LSTM has 38 boxes (26 operations and leaves, 12 aliases of shared parameters) and gates that are
scopes. Nothing adds up the losses of all steps, as that one box would be all that dot is busy with.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, at_time, scope, tensor

Recorded = tuple[Graph, Tensor]
Weights = dict[str, Tensor]
GATES = {"f": "forget", "i": "input", "g": "candidate", "o": "output"}
MLP = (64, 128, 128, 64, 10)  # 725 nodes, 33,748 edges


def lstm(steps: int) -> Recorded:
    """One LSTM with an output at every step."""
    with Graph() as graph:
        weights = _weights(GATES)
        with scope("initial"):
            c, h = _vector("c_0"), _vector("h_0")
        for t in range(1, steps + 1):
            with scope("lstm"), at_time(t):
                h, c = _lstm_cell(weights, _vector(f"x_{t}"), h, c, str(t))
                ag.sigmoid(h).named(f"y_{t}")
    return graph, h


def bilstm(steps: int) -> Recorded:
    """Two LSTMs in lanes of their own, one of them backwards, and an output that reads both at every step."""
    with Graph() as graph:
        both = {"forward": range(1, steps + 1), "backward": range(steps, 0, -1)}
        weights = {lane: _weights(GATES, lane[0]) for lane in both}
        with scope("initial"):
            states = {
                lane: (_vector(f"h{lane[0]}_{t}"), _vector(f"c{lane[0]}_{t}"))
                for lane, t in (("forward", 0), ("backward", steps + 1))
            }
        xs: dict[int, Tensor] = {}
        hs: dict[tuple[str, int], Tensor] = {}
        for lane, times in both.items():
            for t in times:
                with scope("bilstm"), scope(lane), at_time(t):
                    if t not in xs:
                        xs[t] = _vector(f"x_{t}")
                    states[lane] = _lstm_cell(weights[lane], xs[t], *states[lane], str(t), lane[0])
                    hs[lane, t] = states[lane][0]
        for t in range(1, steps + 1):
            with scope("bilstm"), scope("read-out"), at_time(t):
                y = ag.sigmoid(ag.concatenate([hs["forward", t], hs["backward", t]])).named(f"y_{t}")
    return graph, y


def seq2seq(read: int, written: int) -> Recorded:
    """Two GRUs; every step of the second scores all states of the first and reads their mixture."""
    with Graph() as graph:
        with scope("initial"):
            h = _vector("h_0")
        states = []
        for t in range(1, read + 1):
            with scope("encoder"), at_time(t):
                h = _gru_cell(_vector(f"x_{t}"), h).named(f"h_{t}")
                states.append(h)
        s = h
        for t in range(1, written + 1):
            with scope("decoder"), at_time(t):
                with scope("attention"):
                    scores = [ag.dot(state, s).named(f"score{k}_{t}") for k, state in enumerate(states, 1)]
                    share = ag.softmax(ag.stack(scores))
                mixture = share @ ag.stack(states)
                x = mixture * _vector(f"y_{t}")
                with scope("gru"):
                    s = _gru_cell(x, s).named(f"s_{t}")
                ag.softmax(s).named(f"out_{t}")
    return graph, s


def mlp(sizes: Sequence[int], *, flat: bool) -> Recorded:
    """A box for each sum and each squash, every one linked with all of the layer before; one scope for
    everything or one for each layer."""
    with Graph() as graph, scope("mlp") if flat else nullcontext():
        with nullcontext() if flat else scope("inputs"):
            layer = [tensor(0.1 * k, f"x{k}", "input") for k in range(sizes[0])]
        for depth, size in enumerate(sizes[1:], 1):
            with nullcontext() if flat else scope(f"layer {depth}"):
                sums = [ag.add_n(layer).named(f"z{depth}.{k}") for k in range(size)]
                layer = [ag.tanh(z).named(f"a{depth}.{k}") for k, z in enumerate(sums)]
        loss = ag.add_n(layer).named("E")
    return graph, loss


def _vector(name: str) -> Tensor:
    return tensor(np.array([0.5]), name, "input")


def _weights(gates: Iterable[str], mark: str = "") -> Weights:
    """For each gate, of input and state: W and U; and b."""
    with scope("parameters"):
        return {
            f"{letter}_{gate}": tensor(
                np.array([[0.5]]) if letter != "b" else np.array([0.1]), f"{letter}{mark}_{gate}"
            )
            for gate, letter in itertools.product(gates, "WUb")
        }


def _lstm_cell(
    w: Weights, x: Tensor, h: Tensor, c: Tensor, tag: str, mark: str = ""
) -> tuple[Tensor, Tensor]:
    """One step, `(h, c)` after it, named so that the first step knows its states."""
    squashed = {}
    for gate, name in GATES.items():
        with scope(name):
            z = (w[f"W_{gate}"] @ x + w[f"U_{gate}"] @ h) + w[f"b_{gate}"]
            squashed[gate] = (ag.tanh if gate == "g" else ag.sigmoid)(z).named(f"{gate}{mark}_{tag}")
    kept = (squashed["f"] * c).named(f"keep{mark}_{tag}")
    c = (kept + squashed["i"] * squashed["g"]).named(f"c{mark}_{tag}")
    return (squashed["o"] * ag.tanh(c)).named(f"h{mark}_{tag}"), c


def _gru_cell(x: Tensor, h: Tensor) -> Tensor:
    """One step as a figure draws it, with one box for each gate: any op of two inputs that is not linear."""
    r, z = ag.maximum(x, h), ag.minimum(x, h)
    n = ag.minimum(x, r * h)
    return ag.negative(z) * n + z * h
