"""What a scene is: a builder of a graph with parameters, chapters, proofs and its source.

A scene file decorates one function with `@scene(...)`; the function gets its parameters and a `Leaves` to
make leaves with, records the network and returns the loss. Knows the engine, nothing of the window.
"""

from __future__ import annotations

import difflib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Template
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd import Graph, Tensor, Trace, scalars, scope, tensor

SCENES: dict[str, Scene] = {}
FAMILIES = ("foundations", "vision", "recurrent", "words", "sequences")
MOST_NODES = 50_000
Value = bool | int | float | str


@dataclass(frozen=True)
class Text:
    """The same words in both languages."""

    en: str
    ja: str

    def __getitem__(self, language: str) -> str:
        return self.ja if language == "ja" else self.en

    def fill(self, values: Mapping[str, Any]) -> Text:
        """Put parameter values in the place of `$name`."""
        return Text(Template(self.en).safe_substitute(values), Template(self.ja).safe_substitute(values))

    def as_dict(self) -> dict[str, str]:
        return {"en": self.en, "ja": self.ja}


class SceneError(ValueError):
    """Something that a user asked of a scene can not be: one sentence for the user, in both languages.

    As a string it is the English one. A sentence that is translated already stands for both.
    """

    def __init__(self, en: str, ja: str = "") -> None:
        super().__init__(en)
        self.text = Text(en, ja or en)


@dataclass(frozen=True)
class Parameter:
    """One thing that a user may choose. Its type is the type of its default."""

    name: str
    default: Value
    help: Text
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    label: Text | None = None
    check_text: Callable[[str], object] | None = None  # raises SceneError for a text that can not be used

    @property
    def type(self) -> str:
        """One of bool, int, float, choice, text."""
        if self.choices:
            return "choice"
        return {bool: "bool", int: "int", float: "float", str: "text"}[type(self.default)]

    @property
    def allowed(self) -> Text:
        if self.choices:
            names = ", ".join(self.choices)
            return Text(f"one of {names}", f"{names} のいずれか")
        if self.type == "bool":
            return Text("true or false", "true か false のどちらか")
        if self.type == "text":
            return Text("a text", "文字列")
        kind = Text("a whole number", "整数") if self.type == "int" else Text("a number", "数")
        return Text(f"{kind.en} from {self.low} to {self.high}", f"{self.low}～{self.high} の{kind.ja}")

    def parse(self, text: str) -> Value:
        """The value that a text on the command line stands for."""
        if self.type == "bool":
            words = {"true": True, "yes": True, "1": True, "on": True}
            words |= {"false": False, "no": False, "0": False, "off": False}
            if text.lower() not in words:
                raise self._refuse(text)
            return words[text.lower()]
        if self.type in ("int", "float"):
            try:
                return self.check(int(text) if self.type == "int" else float(text))
            except ValueError:
                raise self._refuse(text) from None
        return self.check(text)

    def check(self, value: Any) -> Value:
        """The value if it is allowed; raises SceneError that names the parameter, the value and the range."""
        kind = self.type
        if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        expected: type = {"bool": bool, "int": int, "float": float}.get(kind, str)
        if type(value) is not expected:  # an int subclass such as True is not an int here
            raise self._refuse(value)
        checked: Any = value
        if self.choices and value not in self.choices:
            raise self._refuse(value)
        if kind in ("int", "float"):
            assert self.low is not None and self.high is not None
            if not self.low <= float(checked) <= self.high:  # NaN fails too
                raise self._refuse(value)
        if self.check_text is not None:
            self.check_text(checked)
        return checked

    def _refuse(self, value: Any) -> SceneError:
        shown, allowed = repr(str(value)[:60]), self.allowed
        return SceneError(
            f"parameter {self.name} can not be {shown}: it takes {allowed.en}",
            f"パラメータ {self.name} に {shown} は使えません。{allowed.ja}を指定してください",
        )


@dataclass(frozen=True)
class Chapter:
    """A named stretch of steps with something to say about it.

    `start` and `stop` are moments: `start`, `loss`, `end`, `forward NAME`, `backward NAME` (when that node
    begins to compute or to send, for start; when it has done so, for stop). `$T` in a name is a parameter.
    """

    id: str
    title: Text
    text: Text  # Markdown
    start: str = "start"
    stop: str = "end"
    frame: tuple[str, ...] = ()  # patterns of node names or scopes to bring into view; none: everything
    highlight: tuple[str, ...] = ()  # patterns of node names


@dataclass(frozen=True)
class Proof:
    """A closed form that a student derives by hand, next to the engine's number."""

    id: str
    title: Text
    formula: str  # TeX
    compute: Callable[[Recording], tuple[Any, Any]]  # (engine's value, closed form), same shape
    exact: bool = False  # must agree bit for bit


@dataclass(frozen=True)
class Erratum:
    """A misprint of the source notes and what is right; the engine computes what is right."""

    where: str
    printed: str
    right: str
    note: Text


@dataclass(frozen=True)
class Notation:
    """How a set of notes writes: where the time index stands, and letters that differ."""

    time: str = "sub"  # sub, sup or angle
    letters: Mapping[str, str] = field(default_factory=dict)  # our base letter -> theirs; "" hides a name


@dataclass(frozen=True)
class Data:
    """Examples that a scene can be trained on.

    Each array holds what one leaf takes, for all examples side by side along `axis`; the leaf itself holds
    those of one batch.
    """

    train: Mapping[str, np.ndarray]  # by the name of the leaf
    validation: Mapping[str, np.ndarray] = field(default_factory=dict)
    axis: int = -1
    classes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many examples there are to train on."""
        return next(iter(self.train.values())).shape[self.axis]

    def per_epoch(self, size: int) -> int:
        """How many batches of that size an epoch has; size 0 is one batch of everything."""
        return max(1, self.count // size) if size else 1

    def rows(self, update: int, size: int, seed: int) -> np.ndarray:
        """The examples of one update's batch. Every epoch is shuffled anew, and leaves out what does not fill
        a batch; a batch of everything keeps its order."""
        if not size or size >= self.count:
            return np.arange(self.count)
        epoch, k = divmod(update, self.per_epoch(size))
        order = np.random.default_rng([seed, epoch]).permutation(self.count)
        return order[k * size : (k + 1) * size]

    def batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the leaves take for some of the examples to train on."""
        return {name: np.take(array, rows, self.axis) for name, array in self.train.items()}


@dataclass(frozen=True)
class Scene:
    """One entry of the catalogue."""

    id: str
    family: str
    title: Text
    summary: Text
    source: str
    parameters: tuple[Parameter, ...]
    chapters: tuple[Chapter, ...]
    proofs: tuple[Proof, ...]
    formulas: tuple[str, ...]  # TeX
    errata: tuple[Erratum, ...]
    notations: Mapping[str, Notation]  # by value of the parameter `notation`; the first is used without one
    folded: tuple[str, ...]  # patterns of scope paths that open folded
    builder: Callable[[Any, Leaves], Tensor]
    estimate: Callable[[Any], int] | None  # rough number of nodes, asked before anything is built
    # what it is trained on with these parameters and seed; None: on its own leaves, one example
    data: Callable[[Any, int], Data | None] | None = None
    score: Callable[[Recording], float] | None = None  # share of the batch that comes out right
    # how it is trained well with these parameters: `optimizer`, `lr`, `epochs`, …; None: as anything is
    recipe: Callable[[Any], Mapping[str, Any]] | None = None
    # what the rows of one-hot vectors stand for with these parameters; None: the classes of the data
    words: Callable[[Any], tuple[str, ...]] | None = None

    def defaults(self) -> dict[str, Value]:
        return {p.name: p.default for p in self.parameters}

    def parameter(self, name: str) -> Parameter:
        """Raises SceneError for an unknown name, with the nearest one."""
        for p in self.parameters:
            if p.name == name:
                return p
        names = [p.name for p in self.parameters]
        close = difflib.get_close_matches(name, names, 1)
        if close:
            hint = Text(f"did you mean {close[0]}?", f"{close[0]} ではありませんか。")
        elif names:
            hint = Text(f"it has {', '.join(names)}", f"使えるのは {', '.join(names)} です")
        else:
            hint = Text("it has none", "このシーンにはパラメータがひとつもありません")
        raise SceneError(
            f"scene {self.id} has no parameter {name[:60]!r}; {hint.en}",
            f"シーン {self.id} にパラメータ {name[:60]!r} はありません。{hint.ja}",
        )

    def check(self, values: Mapping[str, Any]) -> dict[str, Value]:
        """Defaults overlaid with `values`; raises SceneError for a name or value that is not allowed."""
        return self.defaults() | {name: self.parameter(name).check(v) for name, v in values.items()}

    def build(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        scalar: bool = False,
        batch: Mapping[str, np.ndarray] | None = None,
    ) -> Recording:
        """Record the network once. `scalar` makes one node per scalar operation, from the same builder.

        A scene with data is recorded on its first batch, or on the examples in `batch`.
        """
        chosen = self.check(values or {})
        self._refuse_more_than_fit(self.estimate(SimpleNamespace(**chosen)) if self.estimate else 0)
        if scalar:
            self._refuse_more_than_fit(_scalar_size(self.build(values, seed=seed).graph))
        p = SimpleNamespace(**chosen)
        data = self.data(p, seed) if self.data else None
        if data is not None and batch is None:
            batch = data.batch(data.rows(0, int(chosen.get("batch", 0)), seed))
        with Graph() as graph:
            loss = self.builder(p, Leaves(seed, scalar, batch or {}))
        graph.backward(loss)
        return Recording(self, chosen, seed, scalar, graph, loss, data)

    def _refuse_more_than_fit(self, nodes: int) -> None:
        if nodes > MOST_NODES:
            raise SceneError(
                f"scene {self.id} with these parameters has about {nodes} nodes, at most {MOST_NODES} fit",
                f"このパラメータではシーン {self.id} のノードが約 {nodes} 個になります。"
                f"上限は {MOST_NODES} 個です",
            )


def _scalar_size(graph: Graph) -> int:
    """About how many nodes a graph has with one for each scalar operation: the products dominate."""
    size = 0
    for op, inputs, value in zip(graph.ops, graph.inputs, graph.values, strict=True):
        inner = graph.values[inputs[0]].shape[-1] if op and op.name in ("matmul", "dot") else 1
        size += value.size * (inner + 1 if inner > 1 else 1)
    return size


class Leaves:
    """Makes leaves with seeded values. A leaf's values depend on the seed and its own name only."""

    def __init__(
        self, seed: int, scalar: bool = False, batch: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.seed = seed
        self.batch = batch or {}  # of a scene with data: what its leaves take, by their names
        self._make: Callable[..., Any] = scalars if scalar else tensor

    def draw(self, name: str, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
        """Normal values times `scale`, rounded to two decimals so that a person can follow them."""
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        return np.round(rng.normal(size=shape) * scale, 2) + 0.0

    def parameter(self, name: str, value: Any) -> Any:
        """A trainable leaf in the scope `parameters`."""
        with scope("parameters"):
            return self._make(value, name, "parameter")

    def input(self, name: str, value: Any) -> Any:
        return self._make(value, name, "input")

    def target(self, name: str, value: Any) -> Any:
        return self._make(value, name, "target")

    def constant(self, name: str, value: Any) -> Any:
        return self._make(value, name, "constant")


@dataclass(frozen=True)
class Recording:
    """A scene that was built with one set of values."""

    scene: Scene
    parameters: dict[str, Value]
    seed: int
    scalar: bool
    graph: Graph
    loss: Tensor
    data: Data | None = None

    def __getitem__(self, name: str) -> Tensor:
        return self.graph.named(name)

    def value(self, name: str) -> np.ndarray:
        return self[name].value

    def grad(self, name: str) -> np.ndarray:
        grad = self[name].grad
        assert grad is not None, f"{name} has no gradient"
        return grad

    def contributions(self, name: str) -> list[tuple[Tensor, np.ndarray]]:
        """What arrived at a node, one instalment per use of it: (consumer, contribution)."""
        node = self[name].id
        found = []
        for consumer in self.graph.nodes:
            for j, sent in zip(consumer.inputs, consumer.contributions, strict=False):
                if j == node and sent is not None:
                    found.append((consumer, sent))
        return found

    def words(self) -> tuple[str, ...]:
        """What the rows of one-hot vectors and of probabilities stand for; empty where nothing has a name."""
        if self.scene.words is not None:
            return self.scene.words(SimpleNamespace(**self.parameters))
        return self.data.classes if self.data is not None else ()

    def trace(self) -> Trace:
        return Trace(self.graph, self.loss)

    def notation(self) -> Notation:
        notations = self.scene.notations
        return notations[str(self.parameters.get("notation", next(iter(notations))))]

    def moment(self, words: str, trace: Trace, *, after: bool) -> int:
        """The step number that a chapter's `start` (or, with `after`, `stop`) names."""
        words = Template(words).safe_substitute(self.parameters)
        if words in ("start", "loss", "end"):
            return {"start": 0, "loss": trace.forward_end + after, "end": trace.end}[words]
        phase, _, name = words.partition(" ")
        steps = trace.forward_step if phase == "forward" else trace.backward_step
        matches = [int(steps[i]) for i, n in enumerate(self.graph.names) if n == name or _element(n, name)]
        if not matches:
            raise SceneError(
                f"scene {self.scene.id} has no node {name!r} for a chapter to point at",
                f"シーン {self.scene.id} に、章が指すノード {name!r} がありません",
            )
        step = max(matches) + 1 if after else min(matches)
        return max(0, min(step, trace.end))


def _element(name: str, whole: str) -> bool:
    """Whether `name` is an element of `whole` in scalar form, as `W[0,1]` of `W`."""
    inside = name.removeprefix(whole)
    return inside[:1] == "[" and inside != name and re.fullmatch(r"\[[\d,]+\]", inside) is not None


def scene(
    id: str,
    *,
    family: str,
    title: Text,
    summary: Text,
    source: str,
    parameters: tuple[Parameter, ...],
    chapters: tuple[Chapter, ...],
    proofs: tuple[Proof, ...],
    formulas: tuple[str, ...] = (),
    errata: tuple[Erratum, ...] = (),
    notations: Mapping[str, Notation] | None = None,
    folded: tuple[str, ...] = (),
    estimate: Callable[[Any], int] | None = None,
    data: Callable[[Any, int], Data | None] | None = None,
    score: Callable[[Recording], float] | None = None,
    recipe: Callable[[Any], Mapping[str, Any]] | None = None,
    words: Callable[[Any], tuple[str, ...]] | None = None,
) -> Callable[[Callable[[Any, Leaves], Tensor]], Callable[[Any, Leaves], Tensor]]:
    """Put the decorated builder into the catalogue."""

    def register(builder: Callable[[Any, Leaves], Tensor]) -> Callable[[Any, Leaves], Tensor]:
        SCENES[id] = Scene(
            id=id,
            family=family,
            title=title,
            summary=summary,
            source=source,
            parameters=parameters,
            chapters=chapters,
            proofs=proofs,
            formulas=formulas,
            errata=errata,
            notations=notations or {"": Notation()},
            folded=folded,
            builder=builder,
            estimate=estimate,
            data=data,
            score=score,
            recipe=recipe,
            words=words,
        )
        return builder

    return register


def find_scene(id: str) -> Scene:
    """The scene of that name; raises SceneError with the nearest name."""
    if id in SCENES:
        return SCENES[id]
    close = difflib.get_close_matches(id, SCENES, 1)
    hint = Text("`backstep list` names them all", "一覧は `backstep list` で表示できます")
    if close:
        hint = Text(f"did you mean {close[0]}?", f"{close[0]} ではありませんか。")
    raise SceneError(
        f"there is no scene {id[:60]!r}; {hint.en}", f"シーン {id[:60]!r} はありません。{hint.ja}"
    )
