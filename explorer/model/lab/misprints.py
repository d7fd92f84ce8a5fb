"""What a misprinted formula of the notes gives beside the right one, at the values of a run.

A formula is found by how it is printed. Some can not be computed: they name what is not in the scene.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograd import Trace
from explorer.model.lab.sweep import stack_sent, wiring
from scenes.scene import Erratum, Recording

EPSILON = 1e-8  # of Adam


@dataclass(frozen=True)
class Versions:
    """Both results of one formula."""

    of: str  # what is computed, in letters
    printed: np.ndarray
    right: np.ndarray


class _Run:
    """A run, asked by names."""

    def __init__(self, recording: Recording, trace: Trace) -> None:
        self.parameters, self.trace = recording.parameters, trace
        self.ids: dict[str, int] = {}
        for i, name in enumerate(wiring(trace.graph).names):
            if name:
                self.ids.setdefault(name, i)

    def value(self, name: str) -> np.ndarray:
        return self.trace.values[self.ids[name]]

    def grad(self, name: str) -> np.ndarray:
        grad = self.trace.grads[self.ids[name]]
        if grad is None:
            raise KeyError(name)
        return grad

    def last(self, letter: str) -> int:
        """The last time step that a letter has."""
        return max(wiring(self.trace.graph).quantities[letter])


def versions(recording: Recording, trace: Trace, erratum: Erratum) -> Versions | None:
    """What both versions give; None where they can not be compared in this scene."""
    rule = _RULES.get(erratum.printed)
    try:
        return rule(_Run(recording, trace)) if rule else None
    except KeyError:  # a name that this form of the scene does not have
        return None


def _sigmoid(run: _Run) -> Versions:
    wires = wiring(run.trace.graph)
    uses = [wires.inputs[i][0] for i, op in enumerate(wires.ops) if op is not None and op.name == "sigmoid"]
    x = run.trace.values[uses[0]] if uses else np.linspace(-2.0, 2.0, 5)
    with np.errstate(over="ignore"):
        return Versions("σ(x)", np.full(x.shape, 1 / (1 + np.exp(-1.0))), 1 / (1 + np.exp(-x)))


def _relu(run: _Run) -> Versions:
    return Versions("ReLU′(0)", np.array(1.0), np.array(0.0))


def _target(run: _Run) -> Versions:
    """Read as printed, b is the bias of the output."""
    wires = wiring(run.trace.graph)
    y, d = ("y", "d") if "y" in run.ids else (f"v_{run.last('v')}", f"d_{run.last('v')}")
    shape = run.value(y).shape
    parameters = [leaf.id for leaf in run.trace.graph.leaves("parameter") if wires.names[leaf.id]]
    biases = [n for n in parameters if run.trace.values[n].shape == shape]
    if not biases:
        raise KeyError("b")
    return Versions("∂E/∂y", run.value(y) - run.trace.values[biases[-1]], run.value(y) - run.value(d))


def _adam(run: _Run) -> Versions:
    """The first step of Adam, from nothing."""
    g, first, second = run.value("g_1"), float(run.parameters["beta"]), float(run.parameters["beta_2"])
    eta, v, s = run.value("eta"), (1 - first) * g, (1 - second) * g * g
    right = eta * (v / (1 - first)) / (np.sqrt(s / (1 - second)) + EPSILON)
    return Versions("Δw, t = 1", -eta * v / (np.sqrt(s) + EPSILON), -right)


def _recursion(run: _Run) -> Versions:
    """What comes back from the last step to the one before, over the recurrent weights alone."""
    t = run.last("u")
    z = run.ids[f"z_{t - 1}"]
    before = run.value("W").T @ run.grad(f"u_{t}")
    right = stack_sent(run.trace, z, 0, before[None])[0]
    return Versions(f"δ^{t - 1}", before * run.trace.values[z], right)


def _outer(run: _Run) -> Versions:
    t = run.last("z")
    out = f"v_{t}" if f"v_{t}" in run.ids else f"y_{t}"
    delta = run.grad(out)
    of = f"∂E/∂W_out, t = {t}"
    return Versions(of, np.outer(delta, run.value(f"x_{t}")), np.outer(delta, run.value(f"z_{t}")))


def _carousel(run: _Run) -> Versions:
    """One step back, and all of them."""
    steps = run.last("C")
    powers = np.array([1.0, float(steps)])
    return Versions(f"∂C^t/∂C^(t−1), ∂C^{steps}/∂C^0", (-1.0) ** powers, 1.0**powers)


_RULES: dict[str, Callable[[_Run], Versions]] = {
    "σ(x) = 1/(1+e^{−1})": _sigmoid,
    "ReLU′(0) = 0 in the formula, 1 in the code (x >= 0)": _relu,
    "∂E/∂y = y − b": _target,
    "w ← w − η v/(√s + ε)": _adam,
    "δ^{t−z−1} = δ^{t−z}{W f(u)}": _recursion,
    "W_out with [x^t]ᵀ, W with [x^{t−z−1}]ᵀ": _outer,
    "∂/∂C^{t−1}{a^t − C^{t−1}} (−1)": _carousel,
}
