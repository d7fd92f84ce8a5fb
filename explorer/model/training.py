"""Training: one update after the other on batches of a scene's examples, and the way back to any of them.

A `Training` keeps where it stood at every epoch and goes on from the nearest of these places, so that an
update gives the same numbers bit for bit however it is reached. It has a plan and leaves of its own and
writes into no graph that it is given. The session asks it what the leaves hold at an update; the window has
it go on a little at a time.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np

import autograd as ag
from autograd import AnyPlan, Graph, Plan, Tensor, Trace, compile_plan, optim, tensor
from explorer.model.frame import Frame, frame_at
from explorer.model.layout import Topology, lay_out
from explorer.model.state import Recipe
from explorer.model.text import number, tr
from explorer.model.whole import Whole
from scenes.scene import Data, Recording, SceneError

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": optim.sgd,
    "momentum": optim.momentum,
    "rmsprop": optim.rmsprop,
    "adam": optim.adam,
    "adagrad": optim.adagrad,
    "adadelta": optim.adadelta,
}
SCHEDULES = ("constant", "step_decay", "exponential", "cosine", "warm_up")
MOST_EPOCHS = 10_000
MOST_KEPT = 200_000_000  # bytes of places to go on from


def check(recipe: Recipe) -> Recipe:
    """The recipe if it can be followed; raises SceneError that names what can not be."""
    if recipe.optimizer not in OPTIMIZERS:
        raise _refused(tr("optimiser"), recipe.optimizer, ", ".join(OPTIMIZERS))
    if recipe.schedule not in SCHEDULES:
        raise _refused(tr("schedule"), recipe.schedule, ", ".join(SCHEDULES))
    for name, value, low, most in (
        (tr("learning rate"), recipe.lr, 0.0, 1e6),
        (tr("clipping"), recipe.clip, 0.0, 1e12),
        (tr("weight decay"), recipe.decay, 0.0, 1e6),
        (tr("patience"), recipe.patience, 0, MOST_EPOCHS),
        (tr("epochs"), recipe.epochs, 1, MOST_EPOCHS),
    ):
        if not low <= value <= most:
            raise _refused(name, value, f"{low:g} – {most:g}")
    return recipe


def _refused(name: str, value: object, allowed: str) -> SceneError:
    form = tr("{name} can not be {value}: it takes {allowed}")
    return SceneError(form.format(name=name, value=repr(str(value)[:40]), allowed=allowed))


def first_recipe(recording: Recording) -> Recipe:
    """What training begins with: what the scene asks for with these parameters, else the usual."""
    asked = recording.scene.recipe
    return Recipe(**asked(SimpleNamespace(**recording.parameters))) if asked else Recipe()


def history(recipe: Recipe) -> Recipe:
    """What of a recipe decides the way of the parameters; the rest only says how far it is followed."""
    constant = recipe.schedule == "constant"
    return replace(recipe, patience=0, epochs=0 if constant else recipe.epochs)


def trainable(recording: Recording) -> tuple[int, ...]:
    """Leaves that can be trained."""
    return tuple(leaf.id for leaf in recording.graph.leaves("parameter"))


@dataclass(frozen=True)
class Point:
    """Where training stands before an update: all that it depends on."""

    update: int
    values: tuple[np.ndarray, ...]  # of the parameters that move
    state: tuple[optim.State, ...] = ()  # of the optimizer, for each of them


@dataclass(frozen=True)
class Taken:
    """One update: from where, how, and where to."""

    before: Point
    after: Point
    updates: tuple[optim.Update, ...]  # one per parameter that moves
    gradients: tuple[np.ndarray, ...]  # theirs before clipping
    factor: float  # on all gradients, from clipping
    rate: float


@dataclass(frozen=True)
class Epoch:
    """How good the network is after so many epochs; nan where it is not measured."""

    loss: float
    score: float = math.nan
    validation_loss: float = math.nan
    validation_score: float = math.nan

    @property
    def judged(self) -> float:
        """The loss that early stopping looks at."""
        return self.loss if math.isnan(self.validation_loss) else self.validation_loss


@dataclass
class Engine:
    """A plan that the trainings of one recording use in turn."""

    plan: AnyPlan
    user: Training | None = None


class Training:
    """A network on its way along a recipe.

    `values` are those of all nodes at the start, by default the recording's; `edits` replace some leaves'. An
    edited leaf that would take examples keeps what it was given, and so do the others of the same batch.
    A training that is `like` this one lends its plan, where it is of the same recording.
    """

    def __init__(
        self,
        recording: Recording,
        recipe: Recipe,
        *,
        values: Sequence[np.ndarray] | None = None,
        edits: Mapping[int, np.ndarray] | None = None,
        like: Training | None = None,
    ) -> None:
        self.recording, self.recipe = recording, check(recipe)
        self.edits = dict(edits or {})
        graph = recording.graph
        source = graph.values if values is None else values
        self._start = {leaf.id: np.array(self.edits.get(leaf.id, source[leaf.id])) for leaf in graph.leaves()}
        names = {i: graph.names[i] or f"#{i}" for i in trainable(recording)}
        self.moving = tuple(
            i
            for i, name in names.items()
            if graph.needs_grad[i] and not any(fnmatchcase(name, p) for p in recipe.frozen)
        )
        if not names:
            raise SceneError(tr("this scene has no parameters to train"))
        self._lent = like._engine if like and like.recording.graph is graph else None
        self._size = int(recording.parameters.get("batch", 0))
        self.data = self._usable(recording.data)
        self.per_epoch = self.data.per_epoch(self._size) if self.data else 1
        self._varies = self.data is not None and 0 < self._size < self.data.count  # from batch to batch
        first = Point(0, tuple(self._start[i] for i in self.moving))
        self.head = self._near = first  # the furthest place so far, and the one that was asked for last
        self._kept = {0: first}
        self._order = [0]  # keys of _kept, rising
        self._every = 1  # of so many epochs one is kept
        self.curves: list[Epoch] = []
        self._best: list[int] = []  # up to each epoch, the one with the lowest judged loss
        self.diverged_at: int | None = None
        self.first_bad: int | None = None  # the node that was no finite number first

    def _usable(self, data: Data | None) -> Data | None:
        """None where the leaves' own values are the one example."""
        if data is None:
            return None
        self._taking = {n: self.recording[n].id for n in data.train}
        return None if self.edits.keys() & self._taking.values() else data

    # How far

    @property
    def last(self) -> int:
        """The last update that can be gone to."""
        whole = self.recipe.epochs * self.per_epoch
        return whole if self.diverged_at is None else min(whole, self.diverged_at)

    @property
    def stopped_at(self) -> int | None:
        """The epoch after which patience is at its end; None as long as it is not."""
        if not self.recipe.patience:
            return None
        best = np.array(self._best[: self.recipe.epochs + 1], dtype=int)
        tired = np.flatnonzero(np.arange(len(best)) - best >= self.recipe.patience)
        return int(tired[0]) if len(tired) else None

    @property
    def best(self) -> int:
        """The epoch with the lowest validation loss so far, or training loss where there is no other."""
        return self._best[-1] if self._best else 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.head.update >= self.last or self.stopped_at is not None

    @property
    def trouble(self) -> str:
        """Why training can not go on; empty when it can."""
        if self.diverged_at is None or self.first_bad is None:
            return ""
        graph, i = self.recording.graph, self.first_bad
        op = graph.ops[i]
        name = graph.names[i] or (op.symbol if op else f"#{i}")
        form = tr("Diverged at update {update}: {name} is no finite number any more. A lower rate may help.")
        return form.format(update=self.diverged_at, name=name)

    # Where it stands

    def knows(self, update: int) -> bool:
        """Whether the update can be shown without training further."""
        return update <= self.head.update

    def at(self, update: int) -> Point:
        """Where training stands after so many updates, bit for bit the same however one comes there."""
        while self.head.update < min(update, self.last):
            self._advance()
        update = min(update, self.head.update)
        if update == self.head.update:
            return self.head
        point = self._kept[self._order[bisect_right(self._order, update) - 1]]
        if point.update < self._near.update <= update:
            point = self._near
        while point.update < update:
            taken = self.taken(point)
            assert taken is not None
            point = taken.after
        self._near = point
        return point

    def rows(self, update: int) -> np.ndarray:
        """The examples of an update's batch."""
        if self.data is None:
            return np.arange(1)
        return self.data.rows(update, self._size, self.recording.seed)

    def batch(self, update: int) -> dict[int, np.ndarray]:
        """What the leaves that take examples hold in an update, by their numbers."""
        if self.data is None:
            return {}
        return {self._taking[name]: value for name, value in self.data.batch(self.rows(update)).items()}

    def leaves(self, update: int) -> dict[int, np.ndarray]:
        """What all leaves hold before an update is taken."""
        point = self.at(update)
        return self._start | dict(zip(self.moving, point.values, strict=True)) | self.batch(update)

    # Going on

    def advance(self, seconds: float) -> bool:
        """Train for about so long; True while something is left to do. At least one update is taken."""
        until = perf_counter() + seconds
        while not self.finished:
            self._advance()
            if perf_counter() >= until:
                break
        if not self.curves:
            self._measure()
        return not self.finished

    def run(
        self,
        epochs: int | None = None,
        progress: Callable[[float], None] = lambda share: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Train as far as the recipe says, or so many epochs in all. Cancelling leaves what was reached."""
        if epochs is not None:
            self.recipe = check(replace(self.recipe, epochs=epochs))
        start = self.head.update
        while not self.finished and not cancelled():
            self._advance()
            progress((self.head.update - start) / max(self.last - start, 1))
        if not self.curves:
            self._measure()

    def _advance(self) -> None:
        """Take one update beyond the furthest."""
        if not self.curves:
            self._measure()
        if self.diverged_at is not None:
            return
        taken = self.step(self.head.update)
        if taken is None:
            return
        self.head = self._near = taken.after
        for i, value in zip(self.moving, self.head.values, strict=True):
            if not np.isfinite(value).all():
                self.diverged_at, self.first_bad = self.head.update, i
                break
        if self.head.update % self.per_epoch == 0:
            self._measure()
            self._keep(self.head)

    def step(self, update: int) -> Taken | None:
        """The update that follows after so many; None after the last one, and where it diverges."""
        if not 0 <= update < self.last:
            return None
        taken = self.taken(self.at(update))
        if taken is None:
            self.diverged_at, self.first_bad = update, self._first_bad()
        return taken

    def taken(self, point: Point) -> Taken | None:
        """The update that follows a place; None when the loss or a gradient is no finite number."""
        plan, holder = self._loaded_plan(), self._optimizer
        for i, value in zip(self.moving, point.values, strict=True):
            plan.set(i, value)  # type: ignore[arg-type]
        if self._varies:  # else it was loaded with the rest
            for i, value in self.batch(point.update).items():
                plan.set(i, value)  # type: ignore[arg-type]
        plan.run()
        gradients = tuple(np.asarray(plan.grad(i), dtype=np.float64) for i in self.moving)
        finite = np.isfinite(plan.value(self.recording.loss.id)).all()
        if not finite or not all(np.isfinite(g).all() for g in gradients):
            return None
        for leaf, value, g in zip(holder.leaves, point.values, gradients, strict=True):
            leaf.value = value
            leaf.graph.grads[leaf.id] = g
        factor = 1.0
        if self.recipe.clip:
            norm = optim.clip_by_norm(holder.leaves, self.recipe.clip)
            factor = self.recipe.clip / norm if norm > self.recipe.clip else 1.0
        if self.recipe.decay:
            _add_decay(holder.leaves, self.recipe.decay)
        holder.steps, holder.state = point.update, point.state
        updates = holder.step()
        after = Point(point.update + 1, tuple(leaf.value for leaf in holder.leaves), holder.state)
        rate = updates[0].rate if updates else 0.0
        return Taken(point, after, updates, gradients, factor, rate)

    @cached_property
    def _engine(self) -> Engine:
        return self._lent or Engine(compile_plan(self.recording.graph, self.recording.loss))

    def _loaded_plan(self) -> AnyPlan:
        """The plan with all that stays the same from update to update."""
        if self._engine.user is not self:
            self._engine.user = self
            for i, value in (self._start | self.batch(0)).items():
                self._engine.plan.set(i, value)  # type: ignore[arg-type]
        return self._engine.plan

    @cached_property
    def _optimizer(self) -> optim.Optimizer:
        """On leaves of its own, in a graph that holds nothing else."""
        with Graph():
            leaves = [tensor(self._start[i], kind="parameter") for i in self.moving]
        return OPTIMIZERS[self.recipe.optimizer](leaves, self._schedule())

    def _schedule(self) -> optim.Schedule:
        lr, whole = self.recipe.lr, self.recipe.epochs * self.per_epoch
        match self.recipe.schedule:
            case "step_decay":
                return optim.step_decay(lr, max(1, math.ceil(whole / 3)))
            case "exponential":
                return optim.exponential(lr, 0.01 ** (1 / whole))
            case "cosine":
                return optim.cosine(lr, whole)
            case "warm_up":
                return optim.warm_up(lr, max(1, whole // 10))
        return optim.constant(lr)

    def _first_bad(self) -> int:
        """After a pass with such numbers: the first value, else the first gradient on the way back.

        What is infinite from the start on, as a mask of −∞, does not count.
        """
        plan, count = self._engine.plan, len(self.recording.graph)
        values = [i for i in range(count) if not _finite(plan.value(i))]
        back = [i for i in range(count - 1, -1, -1) if not _finite(plan.grad(i))]
        self._engine.user = None
        self._loaded_plan().run()
        grown = (i for i in values if _finite(plan.value(i)))
        return next(grown, next(iter(back), self.recording.loss.id))

    def _keep(self, point: Point) -> None:
        """As a place to go on from; when they become too many, every second one is let go."""
        epoch = point.update // self.per_epoch
        if epoch % self._every:
            return
        self._kept[point.update] = point
        insort(self._order, point.update)
        each = sum(v.nbytes for v in point.values) + sum(a.nbytes for s in point.state for a in s.values())
        if each * len(self._kept) > MOST_KEPT and len(self._kept) > 2:
            self._every *= 2
            self._order = [u for u in self._order if u // self.per_epoch % self._every == 0]
            self._kept = {u: self._kept[u] for u in self._order}

    # Measuring

    def _measure(self) -> None:
        if len(self.curves) == self.head.update // self.per_epoch:
            loss, score = self._on_training.of(self.head.values)
            other = self._on_validation.of(self.head.values) if self._on_validation else (math.nan, math.nan)
            self.curves.append(Epoch(loss, score, *other))
            before = self.curves[self.best].judged
            better = math.isnan(before) or self.curves[-1].judged < before
            self._best.append(len(self.curves) - 1 if better else self.best)

    @cached_property
    def _on_training(self) -> Measure:
        r = self.recording
        if self.data is not None:
            return self._measure_on(self.data.train)
        values = [self._start.get(i, value) for i, value in enumerate(r.graph.values)]
        graph, loss = Whole.of(r.graph, r.loss.id, values).build()
        return Measure(replace(r, graph=graph, loss=loss), self.moving)

    @cached_property
    def _on_validation(self) -> Measure | None:
        return self._measure_on(self.data.validation) if self.data and self.data.validation else None

    def _measure_on(self, examples: Mapping[str, np.ndarray]) -> Measure:
        return Measure(self.on(examples), self.moving)

    def on(self, examples: Mapping[str, np.ndarray]) -> Recording:
        """The scene recorded on other examples, with the edits and the frozen values of this training.

        What is held at one number everywhere is held there too; other values belong to their own examples.
        """
        r = self.recording
        other = r.scene.build(r.parameters, seed=r.seed, batch=examples)
        for mine, its in zip(r.graph.leaves(), other.graph.leaves(), strict=True):
            if mine.name not in examples and its.shape == mine.shape:
                its.value = self._start[mine.id]
        held = {i: np.unique(r.graph.values[i]) for i in r.graph.held}
        clamps = {i: np.full(other.graph.values[i].shape, v[0]) for i, v in held.items() if v.size == 1}
        if not clamps:
            return other
        graph = other.graph.altered(clamps)
        return replace(other, graph=graph, loss=graph.nodes[other.loss.id])


class Measure:
    """A network on fixed examples: what comes out with other parameters."""

    def __init__(self, recording: Recording, moving: Sequence[int]) -> None:
        self.recording = recording
        self._moving = moving
        self._plan = Plan(recording.graph, recording.loss)
        self._plan.load()

    def forward(self, values: Sequence[np.ndarray]) -> Recording:
        """The recording, computed with these values of the parameters that move."""
        for i, value in zip(self._moving, values, strict=True):
            self._plan.set(i, value)
        self._plan.forward()
        graph = self.recording.graph
        graph.adopt(self._plan.values, graph.grads, graph.contributions)
        return self.recording

    def of(self, values: Sequence[np.ndarray]) -> tuple[float, float]:
        """Loss and score; nan for a score that the scene does not know."""
        recording = self.forward(values)
        score = recording.scene.score
        with np.errstate(all="ignore"):
            share = float(score(recording)) if score else math.nan
        return float(np.ravel(recording.loss.value)[0]), share


def _add_decay(leaves: Sequence[Tensor], decay: float) -> None:
    """The gradient of ½ λ ‖w‖² on top of each leaf's own, as `weight_decay` of `torch.optim` has it."""
    with np.errstate(all="ignore"):
        for leaf in leaves:
            assert leaf.grad is not None
            leaf.graph.grads[leaf.id] = leaf.grad + decay * leaf.value


def _finite(array: Any) -> bool:
    return array is None or bool(np.isfinite(array).all())


# An update in words, and as a small graph of its own

_RULES = {
    "sgd": "{w} ← {w} − {lr}·{g}",
    "momentum": "v ← 0.9·v + {g},  {w} ← {w} − {lr}·v",
    "rmsprop": "s ← 0.99·s + 0.01·({g})²,  {w} ← {w} − {lr}·{g}/(√s + ε)",
    "adam": "m ← 0.9·m + 0.1·{g},  s ← 0.999·s + 0.001·({g})²,  {w} ← {w} − {lr}·m̂/(√ŝ + ε)",
    "adagrad": "s ← s + ({g})²,  {w} ← {w} − {lr}·{g}/(√s + ε)",
    "adadelta": "s ← 0.9·s + 0.1·({g})²,  Δ = √(u + ε)/√(s + ε)·{g},  {w} ← {w} − {lr}·Δ",
}


def rule(recipe: Recipe, taken: Taken) -> str:
    """What an update does to each parameter, with the numbers in; `{w}` and `{g}` are left open."""
    gradient = "{g}" if taken.factor == 1.0 else number(taken.factor, 3) + "·{g}"
    words = _RULES[recipe.optimizer]
    if recipe.decay:
        words = f"g ← {gradient} + {number(recipe.decay, 3)}·{{w}},  " + words.replace("{g}", "g")
    return words.format(w="{w}", g=gradient, lr=number(taken.rate, 3))


def update_graph(training: Training, taken: Taken, leaf: int) -> tuple[Graph, Tensor]:
    """The rule of one parameter's update, recorded op by op, with the new value as its last node.

    Letters are those of `autograd.optim`; what an update leaves behind has a prime.
    """
    at = training.moving.index(leaf)
    state = taken.before.state[at] if taken.before.state else {}
    name = training.recording.graph.names[leaf] or "w"
    with Graph() as graph, np.errstate(all="ignore"):
        w = tensor(taken.before.values[at], name=name, kind="parameter")
        g = tensor(taken.gradients[at], name="g", kind="input")
        if taken.factor != 1.0:
            g = (g * _by("clip/‖g‖", taken.factor)).named("g′")
        if training.recipe.decay:
            g = (g + _by("λ", training.recipe.decay) * w).named(f"{g.name}′")
        zero = np.zeros(w.shape)

        def old(letter: str, key: str) -> Tensor:
            return tensor(state.get(key, zero), name=letter, kind="constant")

        step = _STEPS[training.recipe.optimizer](g, old, taken.before.update + 1, taken.rate).named("step")
        new = (w + step).named(f"{name}′")
    return graph, new


def update_frame(training: Training, taken: Taken, leaf: int) -> Frame:
    """The same as a picture with everything computed."""
    graph, new = update_graph(training, taken, leaf)
    trace = Trace(graph, None)
    return frame_at(trace, lay_out(Topology(graph, new.id), frozenset(), None), float(trace.end))


_Old = Callable[[str, str], Tensor]


def _by(name: str, value: float) -> Tensor:
    """A number of the rule, shown as its letter."""
    return tensor(value, name=name, kind="constant")


def _sgd(g: Tensor, old: _Old, t: int, rate: float) -> Tensor:
    return _by("−lr", -rate) * g


def _momentum(g: Tensor, old: _Old, t: int, rate: float) -> Tensor:
    v = (_by("0.9", 0.9) * old("v", "momentum_buffer") + g).named("v′")
    return _by("−lr", -rate) * v


def _rmsprop(g: Tensor, old: _Old, t: int, rate: float) -> Tensor:
    s = (_by("α", 0.99) * old("s", "square_avg") + _by("1−α", 1.0 - 0.99) * g * g).named("s′")
    return _by("−lr", -rate) * g / (ag.sqrt(s) + _by("ε", 1e-8))


def _adam(g: Tensor, old: _Old, t: int, rate: float) -> Tensor:
    m = (_by("β₁", 0.9) * old("m", "exp_avg") + _by("1−β₁", 1.0 - 0.9) * g).named("m′")
    s = (_by("β₂", 0.999) * old("s", "exp_avg_sq") + _by("1−β₂", 1.0 - 0.999) * g * g).named("s′")
    m_hat = (m / _by("1−β₁ᵗ", 1.0 - 0.9**t)).named("m̂")
    s_hat = (s / _by("1−β₂ᵗ", 1.0 - 0.999**t)).named("ŝ")
    return _by("−lr", -rate) * m_hat / (ag.sqrt(s_hat) + _by("ε", 1e-8))


def _adagrad(g: Tensor, old: _Old, t: int, rate: float) -> Tensor:
    s = (old("s", "sum") + g * g).named("s′")
    return _by("−lr", -rate) * g / (ag.sqrt(s) + _by("ε", 1e-10))


def _adadelta(g: Tensor, old: _Old, t: int, rate: float) -> Tensor:
    rho, rest, eps = _by("ρ", 0.9), _by("1−ρ", 1.0 - 0.9), _by("ε", 1e-6)
    s = (rho * old("s", "square_avg") + rest * g * g).named("s′")
    u = old("u", "acc_delta")
    delta = (ag.sqrt(u + eps) / ag.sqrt(s + eps) * g).named("Δ")
    (rho * u + rest * delta * delta).named("u′")
    return _by("−lr", -rate) * delta


_STEPS: dict[str, Callable[[Tensor, _Old, int, float], Tensor]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
}
