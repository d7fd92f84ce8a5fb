"""Gradient checking on any scene: the same network three times, one number as it is, a little up and down."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd import scope
from autograd.graph import current_graph
from scenes.bricks import constant, named, within
from scenes.scene import (
    Chapter,
    Leaves,
    Notation,
    Parameter,
    Proof,
    Recording,
    Scene,
    SceneError,
    Text,
    find_scene,
    scene,
)

STEPS = 10.0 ** -np.arange(1, 13)  # every h that `digits` can ask for
# Eighth-order central difference, with a step so large that round-off does not matter
_WEIGHTS, _STEP = (4 / 5, -1 / 5, 4 / 105, -1 / 280), 0.005


def checkable(id: str) -> Scene:
    """The scene of that name; raises SceneError for an unknown one and for this one."""
    found = find_scene(id)
    if found.id == "gradient-check":
        raise SceneError(
            "parameter of can not be 'gradient-check': it takes any other scene",
            "パラメータ of に 'gradient-check' は使えません。ほかのシーンを指定してください",
        )
    return found


def _find(leaves: Mapping[str, Any], words: str) -> tuple[str, tuple[int, ...]]:
    """The leaf and the place in it that `W_1[0,2]` names; no name: the first leaf, no index: its start."""
    name, bracket, numbers = words.replace(" ", "").rstrip("]").partition("[")
    name = name if words.strip() else next(iter(leaves))
    if name not in leaves:
        known = ", ".join(list(leaves)[:8])
        raise SceneError(
            f"parameter leaf can not be {words[:40]!r}: it takes one of {known}",
            f"パラメータ leaf に {words[:40]!r} は使えません。{known} などを指定してください",
        )
    shape = leaves[name].shape
    parts = numbers.split(",") if bracket else ["0"] * len(shape)
    if len(parts) != len(shape) or not all(
        k.isdecimal() and int(k) < n for k, n in zip(parts, shape, strict=True)
    ):
        last = ",".join(str(n - 1) for n in shape)
        raise SceneError(
            f"parameter leaf can not be {words[:40]!r}: the last place is `{name}[{last}]`",
            f"パラメータ leaf に {words[:40]!r} は使えません。最後の要素は `{name}[{last}]` です",
        )
    return name, tuple(map(int, parts))


class _Shared(Leaves):
    """Makes every leaf once, so that copies of a network share them; what is in `moved` stands for a leaf."""

    def __init__(self, leaves: Leaves) -> None:
        super().__init__(leaves.seed)
        self._new, self._make = leaves._make, self._once
        self.made: dict[str, Any] = {}
        self.moved: dict[str, Any] = {}

    def _once(self, value: Any, name: str, kind: str) -> Any:
        if name not in self.made:
            self.made[name] = self._new(value, name, kind)
        return self.moved.get(name, self.made[name])


def _chosen(r: Recording) -> tuple[str, tuple[int, ...]]:
    leaves = {leaf.name: leaf for kind in ("parameter", "input") for leaf in r.graph.leaves(kind)}
    return _find(leaves, str(r.parameters["leaf"]))


def _losses(r: Recording, moves: list[tuple[tuple[int, ...], float]]) -> np.ndarray:
    """The loss with one number of the leaf moved, for each of the moves; leaves the graph as it was."""
    graph, leaf = r.graph, r[_chosen(r)[0]]
    original, losses = leaf.value, []
    with graph.preserved():
        for index, amount in moves:
            value = original.copy()
            value[index] += amount
            leaf.value = value
            graph.forward()
            losses.append(r.loss.value.item())
    return np.array(losses)


def sweep(r: Recording) -> np.ndarray:
    """Error of the central difference for every h in STEPS, as a part of the leaf's largest gradient."""
    name, index = _chosen(r)
    up = _losses(r, [(index, h) for h in STEPS])
    down = _losses(r, [(index, -h) for h in STEPS])
    scale = max(float(np.max(np.abs(r.grad(name)))), np.finfo(float).tiny)
    return np.abs((up - down) / (2 * STEPS) - r.grad(name)[index]) / scale


def _quotient(r: Recording) -> tuple[Any, Any]:
    h, (_, index) = float(r.value("h")), _chosen(r)
    up, down = _losses(r, [(index, h), (index, -h)])
    return r.value("numeric"), (up - down) / (2 * h)


def _analytic(r: Recording) -> tuple[Any, Any]:
    name, _ = _chosen(r)
    closed = np.empty(r[name].shape)
    for index in np.ndindex(closed.shape):
        ends = _losses(r, [(index, side * k * _STEP) for k in (1, 2, 3, 4) for side in (1, -1)])
        closed[index] = np.dot(_WEIGHTS, ends[::2] - ends[1::2]) / _STEP
    return r.grad(name), closed


def _best(r: Recording) -> tuple[Any, Any]:
    return within(sweep(r).min(), 0.0, 1e-6)


@scene(
    "gradient-check",
    family="foundations",
    title=Text("Gradient checking", "勾配チェック"),
    summary=Text(
        "Any scene's network three times: as it is, and with one number moved up and down by h. The "
        "difference of the two losses must give the gradient that back-propagation found.",
        "任意のシーンのネットワークを三つ並べます。そのままのものと、一つの数を h だけ増やしたもの、"
        "減らしたものです。二つの損失の差から、誤差逆伝播法が求めた勾配が得られるはずです。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "of",
            "cross-entropy",
            Text("id of the scene that is checked", "チェックするシーンのid"),
            check_text=checkable,
        ),
        Parameter(
            "leaf",
            "",
            Text(
                "the number that is moved, as in W[0,1]; empty: the first one",
                "動かす数。例: W[0,1]。空なら最初の数",
            ),
        ),
        Parameter(
            "digits", 5, Text("h = 10 to the power of minus this", "h = 10 の「マイナスこの値」乗"), 1, 12
        ),
    ),
    notations={
        "CS": Notation(
            "sub", {"Wx": "", "logp": "log p", "hit": "y·log p"} | {k: "" for k in ("gap", "twice", "step")}
        )
    },
    formulas=(
        r"\frac{\partial f}{\partial x} \approx \frac{f(x + h) - f(x - h)}{2h}",
        r"\mathrm{error}(h) \approx \frac{h^2}{6}\,|f'''(x)| + \frac{\epsilon_{machine}\,|f(x)|}{h}",
    ),
    chapters=(
        Chapter(
            "three-copies",
            Text("One network, three times", "同じネットワークを三つ"),
            Text(
                "The open network is the scene `$of` as it is. The two folded ones beside it are copies "
                "with the *same* leaves, except that one number is moved: up by `h` in the first, down by "
                "`h` in the second. Open one and look: only what lies behind the moved number differs, "
                "and only in the far digits.",
                "開いているのはシーン `$of` のネットワークそのものです。"
                "折りたたまれた二つは*同じ*葉を使うコピーで、一つの数だけが動いています。一方では `h` "
                "だけ増え、他方では `h` だけ減っています。開いて見てください。"
                "違うのは動かした数より先だけで、それも下のほうの桁だけです。",
            ),
            "start",
            "forward gap",
            highlight=("h",),
        ),
        Chapter(
            "quotient",
            Text("The difference quotient", "差分商"),
            Text(
                "The two losses are subtracted and divided by `2h`. That is a slope measured with a "
                "ruler: it knows nothing of the chain rule, so it can not share a mistake with it. Taking "
                "both sides makes the error shrink with `h²`; one side only would shrink with `h`.",
                "二つの損失の差を `2h` で割ります。傾きを定規で測るようなもので、"
                "連鎖律のことは何も知りません。だからこそ、同じ間違いをする心配がありません。"
                "両側をとると誤差は `h²` に比例して減ります。片側だけなら `h` に比例します。",
            ),
            "forward gap",
            "forward numeric",
            highlight=("gap", "numeric"),
        ),
        Chapter(
            "beside",
            Text("Side by side with back-propagation", "誤差逆伝播法と見比べる"),
            Text(
                "Now the backward pass. When it is through, select the moved leaf and compare its "
                "gradient at that place with `numeric`. They agree in many digits, or there is a bug.\n\n"
                "And count: this took two forward passes for *one* number. Back-propagation found all "
                "gradients with one pass back. So the check is for debugging, never for training.",
                "今度は逆伝播です。終わったら、動かした葉を選び、その位置の勾配を `numeric` "
                "と比べてください。多くの桁が一致しなければ、どこかに間違いがあります。\n\n"
                "手間も数えましょう。差分商では*一つの*数に順伝播が二回必要でした。"
                "誤差逆伝播法は一度さかのぼるだけですべての勾配を求めます。ですから、"
                "このチェックはデバッグのためのもので、学習には使いません。",
            ),
            "loss",
            "end",
            highlight=("numeric",),
        ),
        Chapter(
            "which-h",
            Text("Not too large, not too small", "大きすぎず、小さすぎず"),
            Text(
                "Move `digits` from 1 to 12 and watch `numeric`. With a large `h` the curve bends between "
                "the two points: the *truncation* error, a hundredth for every digit. With a tiny `h` the "
                "two losses agree in nearly all of their 16 digits, and what is left of the difference is "
                "*round-off*, ten times worse for every digit.\n\n"
                "Here `h` is 10 to the power of −$digits. The best place is near the cube root of the "
                "machine's precision, about `1e−5`.",
                "`digits` を 1 から 12 まで動かし、`numeric` を見てください。`h` "
                "が大きいと二点の間で曲線が曲がります。これが*打ち切り誤差*で、一桁ごとに 100 分の 1 "
                "になります。`h` が小さすぎると、二つの損失は 16 桁のほとんどが一致し、"
                "差に残るのは*丸め誤差*です。こちらは一桁ごとに 10 倍悪くなります。\n\n"
                "いまの `h` は 10 の −$digits 乗です。最良の値は計算機の精度の立方根あたり、およそ `1e−5` "
                "です。",
            ),
            "forward gap",
            "end",
            highlight=("h", "numeric"),
        ),
    ),
    proofs=(
        Proof(
            "quotient",
            Text(
                "the recorded quotient, computed by replaying the network",
                "ネットワークを再計算して求めた差分商",
            ),
            r"\frac{f(x + h) - f(x - h)}{2h}",
            _quotient,
        ),
        Proof(
            "analytic",
            Text("the leaf's whole gradient, by differences of eighth order", "葉の勾配全体を8次の差分で"),
            r"f'(x) \approx \frac{1}{h}\sum_{k=1}^{4} w_k\,(f(x + k h) - f(x - k h))",
            _analytic,
        ),
        Proof(
            "best-h",
            Text("the error at the best h is at most 1e−6", "最良の h での誤差は 1e−6 以下"),
            r"\min_h \mathrm{error}(h) \le 10^{-6}",
            _best,
        ),
    ),
    folded=("x+h", "x−h"),
    estimate=lambda p: 12 + 3 * _nodes(checkable(p.of)),
)
def gradient_check(p: Any, leaves: Leaves) -> Any:
    checked, shared = checkable(p.of), _Shared(leaves)
    defaults = SimpleNamespace(**checked.defaults())
    data = checked.data(defaults, leaves.seed) if checked.data else None
    if data is not None:
        shared.batch = data.batch(data.rows(0, getattr(defaults, "batch", 0), leaves.seed))

    def copy() -> Any:
        return checked.builder(defaults, shared)

    loss = copy()
    graph = current_graph()
    learned = {
        name: leaf
        for kind in ("parameter", "input")
        for name, leaf in shared.made.items()
        if leaf.size and (leaf.flat[0] if isinstance(leaf, np.ndarray) else leaf).kind == kind
    }
    name, index = _find(learned, p.leaf)
    ends = []
    h = constant(leaves, "h", 10.0**-p.digits)
    for title, mark, sign in (("x+h", "+", 1.0), ("x−h", "-", -1.0)):
        start = len(graph)
        with scope(title):
            shared.moved = {name: _moved(name, learned[name], index, sign * h)}
            ends.append(copy())
        for node in graph.nodes[start:]:
            node.name = _marked(node.name, mark)
    with scope("check"):
        named("numeric", named("gap", ends[0] - ends[1]) / named("twice", 2.0 * h))
    return loss


def _nodes(checked: Scene) -> int:
    return checked.estimate(SimpleNamespace(**checked.defaults())) if checked.estimate else 0


def _moved(name: str, leaf: Any, index: tuple[int, ...], step: Any) -> Any:
    """The leaf with `step` added in one place."""
    if isinstance(leaf, np.ndarray):
        moved = leaf.copy()
        moved[index] = named(leaf[index].name, leaf[index] + step)
        return moved
    place = np.zeros(leaf.shape)
    place[index] = 1.0
    return named(name, leaf + named("step", step * place))


def _marked(name: str, mark: str) -> str:
    """`u_1` as `u_1+`, `E` as `E_+`; an element's index stays behind, and what has no name gets none."""
    head, bracket, index = name.partition("[")
    return name and head + ("" if "_" in head else "_") + mark + bracket + index
