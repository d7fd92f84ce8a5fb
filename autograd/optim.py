"""Optimisers, gradient clipping and learning-rate schedules over the leaves of a graph.

An optimiser is a rule, a pure function from a gradient and a small state to the step to take, and an
`Optimizer` that applies it to leaves: replay, go back, `step()`, again. Hyper-parameters and states are named
as in `torch.optim`, whose results these equal. Gradients are read where `backward` left them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autograd.graph import Tensor

Schedule = Callable[[int], float]  # number of steps already taken -> learning rate
State = Mapping[str, np.ndarray]  # arrays of the leaf's shape by their name
# gradient, state before, number of this step from 1, learning rate -> what is added to the leaf, state after
Rule = Callable[[np.ndarray, State, int, float], tuple[np.ndarray, dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Update:
    """What one step did to one leaf; all arrays have the leaf's shape."""

    leaf: Tensor
    gradient: np.ndarray  # as it was used
    state: State  # after the step: velocity, running means, …
    step: np.ndarray  # what was added to the value
    rate: float


@dataclass
class Optimizer:
    """A rule at work on leaves.

    `steps` and `state` are all that it remembers. A step replaces them and writes into no array, so that
    keeping both, with the leaves' values, and putting them back undoes it.
    """

    name: str
    leaves: tuple[Tensor, ...]
    lr: float | Schedule
    rule: Rule
    frozen: frozenset[int] = frozenset()  # numbers among `leaves` that are left alone
    steps: int = 0
    state: tuple[State, ...] = field(default=())

    def step(self) -> tuple[Update, ...]:
        """Move every leaf that is not frozen by one step of the rule; says what it did, leaf by leaf.

        Values change and the rest of the graph does not follow until `forward`. A frozen leaf keeps its value
        bit for bit. Raises ValueError before `backward`; nothing has moved then.
        """
        moving = [n for n in range(len(self.leaves)) if n not in self.frozen]
        gradients = {n: _gradient(self.leaves[n]) for n in moving}
        rate = _rate(self.lr, self.steps)
        state = list(self.state) or [{} for _ in self.leaves]
        updates = []
        with np.errstate(all="ignore"):
            for n in moving:
                leaf, g = self.leaves[n], gradients[n]
                move, state[n] = self.rule(g, state[n], self.steps + 1, rate)
                leaf.value = leaf.value + move
                updates.append(Update(leaf, g, state[n], move, rate))
        self.steps, self.state = self.steps + 1, tuple(state)
        return tuple(updates)


# Optimisers


def sgd(
    leaves: Iterable[Tensor], lr: float | Schedule = 0.001, *, frozen: Iterable[Tensor] = ()
) -> Optimizer:
    """Gradient descent: w ← w − lr·g (Robbins and Monro, Ann. Math. Stat. 22, 1951). No state.

    `torch.optim.SGD` without momentum. Leaves may have any shape; `lr` is a number or a schedule. Raises
    ValueError for what is no leaf, gets no gradient or comes twice, for a negative rate, and for a tensor in
    `frozen` that is not among the leaves. The same holds for every optimiser here.
    """

    def rule(g: np.ndarray, state: State, t: int, rate: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return -rate * g, {}

    return _optimizer("sgd", leaves, lr, rule, frozen)


def momentum(
    leaves: Iterable[Tensor],
    lr: float | Schedule = 0.001,
    momentum: float = 0.9,
    *,
    average: bool = False,
    frozen: Iterable[Tensor] = (),
) -> Optimizer:
    """Momentum: v ← momentum·v + g, w ← w − lr·v, from v = 0. State: `momentum_buffer`, the velocity v.

    This is the convention of `torch.optim.SGD(momentum=…)`. Polyak (USSR Comput. Math. 4, 1964) and Sutskever
    et al. (ICML 2013) put the rate into the velocity, v ← momentum·v − lr·g, w ← w + v: the same while the
    rate is constant. With `average` v ← momentum·v + (1 − momentum)·g, a running mean, as some lecture notes
    have it: the same track as without it at the rate lr·(1 − momentum). Raises ValueError for momentum
    outside [0, 1].
    """
    _within("momentum", momentum, 0.0, 1.0)
    weight = 1.0 - momentum if average else 1.0

    def rule(g: np.ndarray, state: State, t: int, rate: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        v = momentum * state.get("momentum_buffer", np.zeros_like(g)) + weight * g
        return -rate * v, {"momentum_buffer": v}

    return _optimizer("momentum", leaves, lr, rule, frozen)


def rmsprop(
    leaves: Iterable[Tensor],
    lr: float | Schedule = 0.01,
    alpha: float = 0.99,
    eps: float = 1e-8,
    *,
    frozen: Iterable[Tensor] = (),
) -> Optimizer:
    """RMSprop: s ← alpha·s + (1 − alpha)·g², w ← w − lr·g / (√s + eps). State: `square_avg`, s, from 0.

    Tieleman and Hinton, Coursera "Neural Networks for Machine Learning", lecture 6.5, 2012; eps outside of
    the root as in `torch.optim.RMSprop`. With eps = 0 an element whose gradient was always 0 becomes nan.
    Raises ValueError for alpha outside [0, 1] and a negative eps.
    """
    _within("alpha", alpha, 0.0, 1.0)
    _within("eps", eps, 0.0)

    def rule(g: np.ndarray, state: State, t: int, rate: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        s = alpha * state.get("square_avg", np.zeros_like(g)) + (1.0 - alpha) * g * g
        return -rate * g / (np.sqrt(s) + eps), {"square_avg": s}

    return _optimizer("rmsprop", leaves, lr, rule, frozen)


def adam(
    leaves: Iterable[Tensor],
    lr: float | Schedule = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    *,
    bias_correction: bool = True,
    frozen: Iterable[Tensor] = (),
) -> Optimizer:
    """Adam: m ← β₁m + (1 − β₁)g, s ← β₂s + (1 − β₂)g², w ← w − lr·m̂ / (√ŝ + eps), from m = s = 0.

    m̂ = m/(1 − β₁ᵗ) and ŝ = s/(1 − β₂ᵗ) undo the pull towards the start at 0 (Kingma and Ba, "Adam", ICLR
    2015, algorithm 1; `torch.optim.Adam`). `bias_correction=False` uses m and s as they are, as some cheat
    sheets print it; the first step is then (1 − β₁)/√(1 − β₂) times as long. State: `exp_avg`, m, and
    `exp_avg_sq`, s, before the correction. Raises ValueError for betas outside [0, 1) and a negative eps.
    """
    first, second = betas
    for name, beta in (("betas[0]", first), ("betas[1]", second)):
        _within(name, beta, 0.0, 1.0, open_end=True)
    _within("eps", eps, 0.0)

    def rule(g: np.ndarray, state: State, t: int, rate: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        m = first * state.get("exp_avg", np.zeros_like(g)) + (1.0 - first) * g
        s = second * state.get("exp_avg_sq", np.zeros_like(g)) + (1.0 - second) * g * g
        after = {"exp_avg": m, "exp_avg_sq": s}
        if bias_correction:
            m, s = m / (1.0 - first**t), s / (1.0 - second**t)
        return -rate * m / (np.sqrt(s) + eps), after

    return _optimizer("adam", leaves, lr, rule, frozen)


def adagrad(
    leaves: Iterable[Tensor],
    lr: float | Schedule = 0.01,
    lr_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    *,
    frozen: Iterable[Tensor] = (),
) -> Optimizer:
    """Adagrad: s ← s + g², w ← w − lr/(1 + (t − 1)·lr_decay) · g / (√s + eps). State: `sum`, s.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011; as `torch.optim.Adagrad`. s begins
    at `initial_accumulator_value`. Raises ValueError for a negative hyper-parameter.
    """
    _within("lr_decay", lr_decay, 0.0)
    _within("initial_accumulator_value", initial_accumulator_value, 0.0)
    _within("eps", eps, 0.0)

    def rule(g: np.ndarray, state: State, t: int, rate: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        s = state.get("sum", np.full_like(g, initial_accumulator_value)) + g * g
        return -rate / (1.0 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps), {"sum": s}

    return _optimizer("adagrad", leaves, lr, rule, frozen)


def adadelta(
    leaves: Iterable[Tensor],
    lr: float | Schedule = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    *,
    frozen: Iterable[Tensor] = (),
) -> Optimizer:
    """Adadelta: s ← ρs + (1 − ρ)g², Δ = √(u + eps)/√(s + eps) · g, u ← ρu + (1 − ρ)Δ², w ← w − lr·Δ.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701, 2012, algorithm 1, where lr is 1;
    eps inside of the roots, as in `torch.optim.Adadelta`. State: `square_avg`, s, and `acc_delta`, u, from 0.
    Raises ValueError for rho outside [0, 1] and a negative eps.
    """
    _within("rho", rho, 0.0, 1.0)
    _within("eps", eps, 0.0)

    def rule(g: np.ndarray, state: State, t: int, rate: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        s = rho * state.get("square_avg", np.zeros_like(g)) + (1.0 - rho) * g * g
        u = state.get("acc_delta", np.zeros_like(g))
        delta = np.sqrt(u + eps) / np.sqrt(s + eps) * g
        return -rate * delta, {"square_avg": s, "acc_delta": rho * u + (1.0 - rho) * delta * delta}

    return _optimizer("adadelta", leaves, lr, rule, frozen)


# Gradient clipping


def clip_by_norm(leaves: Iterable[Tensor], most: float) -> float:
    """Scale the gradients of all leaves together so that their joint norm is at most `most`.

    Returns the joint norm before: g ← g · most/‖g‖ if ‖g‖ > most (Pascanu, Mikolov and Bengio, ICML 2013,
    algorithm 1). The direction is kept. `torch.nn.utils.clip_grad_norm_` divides by ‖g‖ + 1e-6 instead.
    Replaces the leaves' gradients; what flowed over the edges stays. Raises ValueError before `backward`, for
    a negative or nan `most`, a leaf that comes twice, and a gradient that is not finite: it has no direction.
    """
    chosen, gradients = _to_clip(leaves, most)
    for leaf, g in zip(chosen, gradients, strict=True):
        if not np.all(np.isfinite(g)):
            raise ValueError(
                f"the gradient of {leaf.graph.describe(leaf.id)} is not finite; it can not be scaled"
            )
    top = max((float(np.max(np.abs(g), initial=0.0)) for g in gradients), default=0.0)
    # the largest element is divided out first, so that no square overflows
    inner = math.sqrt(sum(float(np.sum((g / top) ** 2)) for g in gradients)) if top else 0.0
    if top * inner > most:
        for leaf, g in zip(chosen, gradients, strict=True):
            leaf.graph.grads[leaf.id] = g / top * (most / inner)
    return top * inner


def clip_by_value(leaves: Iterable[Tensor], most: float) -> None:
    """Bring every element of the leaves' gradients into [−most, most]; the direction may change.

    As `torch.nn.utils.clip_grad_value_` (Mikolov, "Statistical Language Models Based on Neural Networks", PhD
    thesis, Brno 2012). Replaces the leaves' gradients; what flowed over the edges stays. Raises ValueError
    before `backward`, for a negative or nan `most`, and a leaf that comes twice. A nan stays nan.
    """
    for leaf, g in zip(*_to_clip(leaves, most), strict=True):
        leaf.graph.grads[leaf.id] = np.clip(g, -most, most)


# Learning rates


def constant(lr: float) -> Schedule:
    """The same rate at every step."""
    return lambda step: lr


def step_decay(lr: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """lr · gamma^⌊step/step_size⌋, as `torch.optim.lr_scheduler.StepLR`. ValueError for step_size < 1."""
    _within("step_size", step_size, 1)
    return lambda step: lr * gamma ** (step // step_size)


def exponential(lr: float, gamma: float) -> Schedule:
    """lr · gamma^step, as `torch.optim.lr_scheduler.ExponentialLR`."""
    return lambda step: lr * gamma**step


def cosine(lr: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """eta_min + (lr − eta_min)·(1 + cos(π·step/T_max))/2 up to T_max, then eta_min.

    Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5, without restarts; `torch.optim.lr_scheduler.
    CosineAnnealingLR` is the same up to T_max and then rises again. ValueError for T_max < 1.
    """
    _within("T_max", T_max, 1)
    return lambda step: eta_min + (lr - eta_min) * (1.0 + math.cos(math.pi * min(step, T_max) / T_max)) / 2.0


def warm_up(schedule: float | Schedule, steps: int) -> Schedule:
    """`schedule` times (step + 1)/steps during the first `steps` steps, then `schedule` alone.

    Goyal et al., "Accurate, Large Minibatch SGD", arXiv:1706.02677, 2017, section 2.2. ValueError for
    steps < 1.
    """
    _within("steps", steps, 1)
    return lambda step: _rate(schedule, step) * min(1.0, (step + 1) / steps)


def _optimizer(
    name: str, leaves: Iterable[Tensor], lr: float | Schedule, rule: Rule, frozen: Iterable[Tensor]
) -> Optimizer:
    if not callable(lr):
        _within("lr", lr, 0.0)
    chosen = _distinct(leaves)
    places = {_key(leaf): n for n, leaf in enumerate(chosen)}
    still = []
    for leaf in frozen:
        if _key(leaf) not in places:
            raise ValueError(f"{leaf.graph.describe(leaf.id)} is frozen but not among the leaves")
        still.append(places[_key(leaf)])
    return Optimizer(name, chosen, lr, rule, frozenset(still))


def _distinct(leaves: Iterable[Tensor]) -> tuple[Tensor, ...]:
    chosen = tuple(leaves)
    seen = set()
    for leaf in chosen:
        label = leaf.graph.describe(leaf.id)
        if leaf.graph.ops[leaf.id] is not None:
            raise ValueError(f"{label} is computed; only a leaf's value can be set")
        if not leaf.graph.needs_grad[leaf.id]:
            raise ValueError(f"{label} gets no gradient: it is a {leaf.kind}")
        if _key(leaf) in seen:
            raise ValueError(f"{label} comes twice among the leaves")
        seen.add(_key(leaf))
    return chosen


def _key(leaf: Tensor) -> tuple[int, int]:
    return id(leaf.graph), leaf.id


def _gradient(leaf: Tensor) -> np.ndarray:
    if leaf.grad is None:
        raise ValueError(f"{leaf.graph.describe(leaf.id)} has no gradient yet: run backward first")
    return leaf.grad


def _to_clip(leaves: Iterable[Tensor], most: float) -> tuple[Sequence[Tensor], Sequence[np.ndarray]]:
    _within("most", most, 0.0)
    chosen = _distinct(leaves)
    return chosen, [_gradient(leaf) for leaf in chosen]


def _rate(lr: float | Schedule, step: int) -> float:
    return float(lr(step) if callable(lr) else lr)


def _within(name: str, value: float, low: float, high: float = math.inf, *, open_end: bool = False) -> None:
    """Raise ValueError unless low ≤ value ≤ high (< high with `open_end`); nan is nowhere."""
    if not (low <= value <= high) or (open_end and value == high):
        bound = (
            f"at least {low:g}"
            if high == math.inf
            else f"from {low:g} {'to below' if open_end else 'to'} {high:g}"
        )
        raise ValueError(f"{name} can not be {value}: it takes a number {bound}")
