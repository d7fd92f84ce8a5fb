"""Plots: the picture that a scene is best understood by, beside its graph, as plain data.

One function per kind makes a `Plot` of a session at a moment; `PLOTS` says which scene has which. A plot says
what stands where and what may be dragged, in numbers and in the theme's roles; it knows no widgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Literal

import numpy as np

from explorer.model import playback
from explorer.model.session import Session
from explorer.model.text import number, tr
from scenes.foundations import activations, optimizers

PLOTS: dict[str, Callable[[Session, float], Plot]] = {}
FINE = 400  # pieces of a curve
BINS = 24  # of a histogram
REACH = 4.0  # that an axis of points has at least, to either side of 0
DECIMALS = 2  # of what is dragged
TINY, HUGE = 1e-100, 1e100  # axes end between these
LEVELS = (0.01, 0.05, 0.15, 0.35, 0.65, 1.0)  # of contours, as shares of the loss at the start
Role = Literal[
    "value", "gradient", "input", "parameter", "target", "state_line", "accent", "ink", "faint_ink", "ghost"
]  # names of the theme's colours
Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """Places joined by straight pieces; nan leaves a gap."""

    places: np.ndarray  # (n, 2)
    role: Role
    label: str = ""  # in the legend
    width: float = 1.8
    dashes: tuple[float, ...] = ()  # lengths of dash and gap in widths; none: solid


@dataclass(frozen=True)
class Grip:
    """What dragging a mark changes: the elements of a leaf that are its place; None: it stays there."""

    leaf: int
    x: tuple[int, ...] | None
    y: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Marks:
    """Single places."""

    places: np.ndarray  # (n, 2)
    role: Role
    label: str = ""  # in the legend
    shape: Literal["disc", "diamond", "ring", "cross"] = "disc"
    size: float = 4.5  # 0: not drawn, only to be pointed at
    solid: bool = True  # hollow: still to come
    tips: tuple[str, ...] = ()  # what is said of each
    grips: tuple[Grip, ...] = ()  # one for each, or none


@dataclass(frozen=True)
class Bars:
    """Bars from 0, centred at x."""

    x: np.ndarray  # (n,)
    heights: np.ndarray  # (n,)
    width: float
    role: Role


@dataclass(frozen=True)
class Chart:
    """One pair of axes and what stands in it, from the back to the front."""

    title: str
    x: Range
    y: Range
    lines: tuple[Line, ...] = ()
    bars: tuple[Bars, ...] = ()
    marks: tuple[Marks, ...] = ()
    x_title: str = ""
    y_title: str = ""
    counted: bool = False  # x are whole numbers
    chosen: bool = False  # what it shows is selected


@dataclass(frozen=True)
class Plot:
    """Charts in rows, and a sentence about them."""

    rows: tuple[tuple[Chart, ...], ...]
    note: str


def plot_of(session: Session, t: float | None = None) -> Plot | None:
    """The plot of the scene that is open, at t (by default: now); None where it has none."""
    make = PLOTS.get(session.state.scene) if session.recording is not None else None
    return make(session, session.state.t if t is None else t) if make else None


def move(session: Session, grip: Grip, x: float, y: float) -> None:
    """Put what is dragged at a place; `session.settle()` ends the drag."""
    value = session.trace.values[grip.leaf].copy()
    for element, to in ((grip.x, x), (grip.y, y)):
        if element is not None:
            value[element] = round(to, DECIMALS) + 0.0
    session.edit(grip.leaf, value, merge=True)


def plot(*scenes: str) -> Callable[[Callable[[Session, float], Plot]], Callable[[Session, float], Plot]]:
    """The decorated function makes the plot of these scenes."""

    def register(make: Callable[[Session, float], Plot]) -> Callable[[Session, float], Plot]:
        PLOTS.update(dict.fromkeys(scenes, make))
        return make

    return register


# Activation functions


@plot("activations")
def activation_curves(session: Session, t: float) -> Plot:
    """f and f′ with every point where the moment has brought it; the points of x can be dragged."""
    p = _parameters(session)
    x = session.trace.values[_node(session, "x")]
    z = np.linspace(-_reach(x), _reach(x), FINE + 1)
    several = p.function == "softmax"
    curves = [activations.curve(p, z, np.delete(x, k)) for k in range(len(x) if several else 1)]
    charts = []
    curved: tuple[tuple[str, Role], ...] = (("f(z)", "value"), ("f′(z)", "gradient"))
    for order, (title, role) in enumerate(curved):
        heights = [pair[order] for pair in curves]
        lines = [Line(np.stack([z, h], axis=1), role, width=1.0 if several else 2.2) for h in heights]
        charts.append(
            Chart(
                f"{title}, f = {p.function}" if order == 0 else title,
                (z[0], z[-1]),
                _padded(np.concatenate([*heights, [0.0]])),
                (_axis(z[0], z[-1]), *lines),
                marks=tuple(_points(session, p, t, order)),
                x_title="z",
            )
        )
    note = tr("Drag a point along the curve, or press ← and →; Tab goes on to the next one.")
    return Plot(((charts[0],), (charts[1],)), note)


def _points(session: Session, p: SimpleNamespace, t: float, order: int) -> Iterable[Marks]:
    """Those of x, and where another link is at work its own. Hollow: f or its slope is not used yet."""
    trace = session.trace
    for link in {1, _link_at_work(session, int(p.chain), t)}:
        before = _node(session, f"z_{link - 1}" if link > 1 else "x")
        after = _node(session, f"z_{link}")
        if link > 1 and not trace.computed(before, t):
            continue
        z = trace.values[before]
        pairs = [activations.curve(p, z[k], np.delete(z, k)) for k in range(len(z))]
        heights = (trace.values[after], np.array([float(slope) for _, slope in pairs]))
        known = trace.computed(after, t) if order == 0 else bool(trace.backward_step[after] + 1 <= t)
        name, result = (playback.node_words(trace.graph, n, session.notation) for n in (before, after))
        tips = tuple(
            f"{name}[{k}] = {number(u)}: f = {number(f)}, f′ = {number(slope)}"
            for k, (u, f, slope) in enumerate(zip(z, *heights, strict=True))
        )
        yield Marks(
            np.stack([z, heights[order]], axis=1),
            "input" if link == 1 else "state_line",
            f"{name} → {result}",
            "disc" if link == 1 else "diamond",
            solid=known,
            tips=tips,
            grips=tuple(Grip(before, (k,)) for k in range(len(z))) if link == 1 else (),
        )


def _link_at_work(session: Session, links: int, t: float) -> int:
    """That of the selected z, else the one whose z was computed, or sent its gradient, last."""
    trace, chosen = session.trace, session.state.selection
    nodes = [_node(session, f"z_{k}") for k in range(1, links + 1)]
    if chosen and chosen[-1] in nodes:
        return nodes.index(chosen[-1]) + 1
    sent = [k for k, node in enumerate(nodes, 1) if trace.backward_step[node] + 1 <= t]
    computed = [k for k, node in enumerate(nodes, 1) if trace.computed(node, t)]
    return min(sent) if sent else max(computed, default=1)


# Optimisers

TRACKS: dict[str, tuple[Role, tuple[float, ...]]] = {
    "SGD": ("ink", ()),
    "Momentum": ("gradient", ()),
    "RMSprop": ("value", (5.0, 2.0)),
    "Adam": ("input", ()),
    "Adagrad": ("parameter", (2.0, 2.0)),
    "Adadelta": ("target", (6.0, 2.0, 1.5, 2.0)),
}


@plot("optimizers")
def ravine(session: Session, t: float) -> Plot:
    """Contours of the loss and the six tracks over it; the chosen one as far as the moment has come."""
    p, trace = _parameters(session), session.trace
    steps = int(p.steps)
    nodes = [_node(session, f"w_{k}") for k in range(steps + 1)]
    own = np.array([trace.values[n] for n in nodes])
    curvature = trace.values[_node(session, "A")]
    p.steps = optimizers.LONG
    with np.errstate(all="ignore"):
        tracks = optimizers.tracks(p, first=own[0], curvature=curvature)
    seen = np.abs(np.concatenate([own, *tracks.values()]))
    most = np.max(seen, axis=0, where=np.isfinite(seen), initial=0.0)
    half = np.clip(np.fmin(most, 1.6 * np.abs(own[0])), 0.25, HUGE) * 1.12
    lines = [*_contours(curvature, own[0], half)]
    for name, (role, dashes) in TRACKS.items():
        if name != p.optimizer:
            lines.append(Line(tracks[name][: steps + 1], role, name, 1.6, dashes))
            lines.append(Line(tracks[name][steps:], role, width=0.7, dashes=dashes))
    role, _ = TRACKS[p.optimizer]
    reached = max(k for k, node in enumerate(nodes) if trace.computed(node, t))
    if np.allclose(own[-1], tracks[p.optimizer][steps], equal_nan=True):
        lines.append(Line(tracks[p.optimizer][steps:], role, width=1.2))
    lines.append(Line(own[reached:], role, width=1.6, dashes=(2.0, 2.0)))
    lines.append(Line(own[: reached + 1], role, p.optimizer, width=3.4))
    names = [playback.node_words(trace.graph, n, session.notation) for n in nodes]
    tips = tuple(f"{name} = ({number(a)}, {number(b)})" for name, (a, b) in zip(names, own, strict=True))
    selected = [k for k, node in enumerate(nodes) if node in session.state.selection]
    marks = (
        Marks(np.zeros((1, 2)), "faint_ink", shape="cross", tips=(tr("the minimum"),)),
        Marks(own[selected], "accent", shape="ring", size=9.5),
        Marks(own[1:reached], role, size=3.5, tips=tips[1:reached]),
        Marks(own[:1], role, shape="ring", size=6.0, tips=tips[:1], grips=(Grip(nodes[0], (0,), (1,)),)),
        Marks(own[reached : reached + 1], role, size=6.5, tips=tips[reached : reached + 1]),
    )
    title = f"{names[reached]} = ({number(own[reached, 0], 3)}, {number(own[reached, 1], 3)})"
    (x, y) = ((float(-h), float(h)) for h in half)
    note = tr("Drag the start, the ring, or press the arrow keys. Thin lines go on to step {steps}.")
    chart = Chart(title, x, y, tuple(lines), marks=marks, x_title="w₁", y_title="w₂")
    return Plot(((chart,),), note.format(steps=optimizers.LONG))


def _contours(curvature: np.ndarray, start: np.ndarray, half: np.ndarray) -> Iterable[Line]:
    """Ellipses ½ Σ a w² = level; none where the loss has no bottom."""
    with np.errstate(all="ignore"):
        top = 0.5 * float(np.sum(curvature * start**2))
    if 0 < top < np.inf and np.all(curvature > TINY):
        turn = np.linspace(0.0, 2.0 * np.pi, 121)
        for share in LEVELS:
            places = np.sqrt(2 * share * top / curvature) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
            yield Line(places, "ghost", width=0.7)
    yield _axis(-half[0], half[0])


# First weights


@plot("xavier")
def spreads(session: Session, t: float) -> Plot:
    """Histograms of every layer's activations and gradients, on one scale from layer to layer."""
    trace, layers = session.trace, int(_parameters(session).layers)
    nodes = [_node(session, f"z_{k}") for k in range(1, layers + 1)]
    grads = [trace.grads[n] for n in nodes]
    ends = _end(trace.values[n] for n in nodes), _end(g for g in grads if g is not None)
    rows = []
    for node in nodes:
        names = (_name(session, node), playback.derivative(trace.graph, node, trace.loss, session.notation))
        arrays = trace.value(node, t), trace.grad(node, t)
        roles: tuple[Role, Role] = ("value", "gradient")
        charts = map(_histogram, names, arrays, ends, roles)
        rows.append(_chosen(session, node, charts))
    note = tr("How the numbers of each layer are spread: activations, and the gradients that come back.")
    return Plot(tuple(rows), note)


def _histogram(name: str, array: np.ndarray | None, end: float, role: Role) -> Chart:
    """Of the numbers from −end to end; what is not computed yet leaves the axes empty."""
    if array is None:
        return Chart(f"Var {name} = …", (-end, end), (0.0, 1.0))
    counts, edges = histogram(array, end)
    middles = (edges[1:] + edges[:-1]) / 2
    with np.errstate(all="ignore"):
        variance = float(np.var(array))
    bars = Bars(middles, counts.astype(float), float(edges[1] - edges[0]), role)
    title = f"Var {name} = {number(variance, 3)}"
    return Chart(title, (-end, end), (0.0, float(max(counts.max(), 1)) * 1.05), bars=(bars,))


def histogram(array: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
    """How many numbers lie in each of BINS parts of [−end, end], (BINS,), and their edges, (BINS + 1,)."""
    known = array[np.isfinite(array)]
    return np.histogram(known, bins=BINS, range=(-end, end))


# Before and after


@plot("dropout")
def dropped(session: Session, t: float) -> Plot:
    """Each unit before and after the mask, forth and back."""
    trace = session.trace
    rows = []
    nodes = [_node(session, name) for name in ("z", "a")]
    grads = [trace.grads[n] for n in nodes]
    ends = _end(trace.values[n] for n in nodes), _end(g for g in grads if g is not None)
    off = trace.values[nodes[1]] == 0.0
    for node in nodes:
        names = (_name(session, node), playback.derivative(trace.graph, node, trace.loss, session.notation))
        arrays = trace.value(node, t), trace.grad(node, t)
        roles: tuple[Role, Role] = ("value", "gradient")
        charts = (_units(*column, off) for column in zip(names, arrays, ends, roles, strict=True))
        rows.append(_chosen(session, node, charts))
    note = tr(
        "Units before dropout (above) and after it (below). A cross: dropped, value and gradient are 0."
    )
    return Plot(tuple(rows), note)


def _units(name: str, array: np.ndarray | None, end: float, role: Role, off: np.ndarray) -> Chart:
    """One bar for each unit, and a cross where it is 0 because it was dropped."""
    places = np.arange(1.0, off.size + 1)
    x, y = (0.4, off.size + 0.6), (-1.1 * end, 1.1 * end)
    base = _axis(*x)
    if array is None:
        return Chart(f"{name} = …", x, y, (base,), counted=True)
    gone = places[off & (array == 0.0)]
    marks = Marks(np.stack([gone, np.zeros(gone.size)], axis=1), "ink", shape="cross", size=4.0)
    tips = Marks(
        np.stack([places, array], axis=1),
        role,
        size=0.0,
        tips=tuple(f"{name}[{k}] = {number(v)}" for k, v in enumerate(array)),
    )
    return Chart(name, x, y, (base,), (Bars(places, array, 0.7, role),), (tips, marks), counted=True)


@plot("batch-norm")
def normalised(session: Session, t: float) -> Plot:
    """The examples of the batch, unit by unit, before and after they are normalised."""
    p, trace = _parameters(session), session.trace
    nodes = [_node(session, "u" if p.placement == "before f" else "a"), _node(session, "n")]
    end = _end(trace.values[n] for n in nodes)
    forms = (tr("{name}, before"), tr("{name}, after"))
    roles: tuple[Role, Role] = ("value", "state_line")
    charts: list[Chart] = []
    for node, form, role in zip(nodes, forms, roles, strict=True):
        name, array = _name(session, node), trace.value(node, t)
        chart = _strips(form.format(name=name), name, array, trace.values[node].shape[1], end, role)
        charts += _chosen(session, node, [chart])
    note = tr("A dot for each example. Lines: mean and standard deviation over the batch, unit by unit.")
    return Plot((tuple(charts),), note)


def _strips(title: str, name: str, array: np.ndarray | None, units: int, end: float, role: Role) -> Chart:
    x, y = (0.4, units + 0.6), (-1.1 * end, 1.1 * end)
    zero = _axis(*x)
    if array is None:
        return Chart(f"{title} …", x, y, (zero,), x_title=tr("unit"), counted=True)
    lines, marks = [zero], []
    for k, column in enumerate(array.T, 1):
        with np.errstate(all="ignore"):
            mean, spread = float(np.mean(column)), float(np.std(column))
        lines.append(Line(np.array([[k - 0.32, mean], [k + 0.32, mean]]), "ink", width=2.4))
        lines.append(Line(np.array([[k + 0.2, mean - spread], [k + 0.2, mean + spread]]), "ink", width=1.4))
        places = np.stack([np.full(column.size, float(k)), column], axis=1)
        words = f"{name}[:, {k - 1}]: μ = {number(mean, 3)}, σ = {number(spread, 3)}"
        marks.append(Marks(places, role, size=3.5, tips=(words,) * column.size))
    return Chart(title, x, y, tuple(lines), marks=tuple(marks), x_title=tr("unit"), counted=True)


# Shared


def _parameters(session: Session) -> SimpleNamespace:
    assert session.recording is not None
    return SimpleNamespace(**session.recording.parameters)


def _node(session: Session, name: str) -> int:
    return session.trace.graph.named(name).id


def _name(session: Session, node: int) -> str:
    return playback.node_words(session.trace.graph, node, session.notation)


def _chosen(session: Session, node: int, charts: Iterable[Chart]) -> tuple[Chart, ...]:
    """Charts of a node, marked where it is selected."""
    return tuple(replace(chart, chosen=node in session.state.selection) for chart in charts)


def _reach(x: np.ndarray) -> float:
    """A round number behind the outermost finite point."""
    far = float(np.max(np.abs(x), where=np.isfinite(x), initial=0.0))
    return max(REACH, float(np.ceil(1.15 * min(far, HUGE))))


def _end(arrays: Iterable[np.ndarray]) -> float:
    """The largest finite size among all numbers, 1 where all are as good as 0."""
    sizes = [np.max(np.abs(a), where=np.isfinite(a), initial=0.0) for a in arrays]
    end = min(float(max(sizes, default=0.0)), HUGE)
    return end if end > TINY else 1.0


def _padded(heights: np.ndarray) -> Range:
    known = heights[np.isfinite(heights)]
    low, high = np.clip([known.min(), known.max()], -HUGE, HUGE).tolist()
    rim = 0.08 * (high - low if high - low > TINY else 1.0)
    return low - rim, high + rim


def _axis(low: float, high: float) -> Line:
    """The horizontal line through 0."""
    return Line(np.array([[low, 0.0], [high, 0.0]]), "faint_ink", width=0.7)
