"""Gradient clipping: an exploding RNN, its backward pass written out as a graph, and the gradient cut."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import activate, constant, named, squared_loss, total
from scenes.recurrent.layers import NOTATION, hidden, letters_note, orthogonal, steps
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _written_out(r: Recording) -> tuple[Any, Any]:
    return r.value("g"), r.grad("W")


def _length(r: Recording) -> tuple[Any, Any]:
    """By norm: the length of the whole gradient; by value: the largest element. Both are capped at c."""
    measure = np.linalg.norm if r.parameters["by"] == "norm" else lambda g: np.max(np.abs(g))
    before, after = measure(r.value("g")), measure(r.value("clipped"))
    return after, np.minimum(before, r.value("limit"))


def _direction(r: Recording) -> tuple[Any, Any]:
    """By norm: unit vectors before and after; by value: only the signs are kept."""
    before, after = r.value("g"), r.value("clipped")
    if r.parameters["by"] == "norm":
        return after / np.linalg.norm(after), before / np.linalg.norm(before)
    return np.sign(after), np.sign(before)


def _step(r: Recording) -> tuple[Any, Any]:
    return r.value("W_new"), r.value("W") - r.value("eta") * r.value("clipped")


def _growth(r: Recording) -> tuple[Any, Any]:
    """‖δ^{t−1}‖ / ‖δ^t‖ in the same scene with a linear f."""
    linear = r.scene.build(r.parameters | {"activation": "linear"}, seed=r.seed)
    norms = np.array([np.linalg.norm(linear.value(f"delta_{t}")) for t in steps(r)])
    return norms[:-1] / norms[1:], np.full(len(norms) - 1, float(r.parameters["gain"]))


_LETTERS = {"delta": "δ", "part": "g", "norm": "‖g‖", "clipped": "ĝ", "factor": ""} | {
    "slope": "f′",
    "limit": "c",
    "eta": "η",
}
_NOTATIONS = {
    "RN": Notation("sup", _LETTERS),
    "CS": Notation("angle", _LETTERS | {"z": "a", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "gradient-clipping",
    family="recurrent",
    title=Text("Gradient clipping", "勾配クリッピング"),
    summary=Text(
        "The error of an RNN explodes on its way back. Before the weights take their step the gradient is "
        "cut down: by norm it keeps its direction, by value it does not.",
        "RNNの誤差はさかのぼるうちに爆発します。重みを更新する前に、勾配の大きさを抑えます。"
        "ノルムによる方法では向きが保たれ、値による方法では保たれません。",
    ),
    source="CS",
    parameters=(
        Parameter("T", 4, Text("number of time steps", "時刻の数"), 2, 50),
        hidden("the state z", "状態 z"),
        Parameter(
            "activation",
            "linear",
            Text("f, the squashing of the state", "状態の活性化関数 f"),
            choices=("linear", "tanh"),
        ),
        Parameter(
            "gain",
            2.0,
            Text("W is gain times an orthogonal matrix", "W は直交行列の gain 倍"),
            0.1,
            3.0,
        ),
        Parameter(
            "by",
            "norm",
            Text(
                "scale the whole gradient, or cut each of its elements",
                "勾配全体を縮めるか、成分ごとに切り詰めるか",
            ),
            choices=("norm", "value"),
        ),
        Parameter("limit", 1.0, Text("c, the most that is let through", "通す大きさの上限 c"), 0.01, 1000.0),
        Parameter("eta", 0.1, Text("learning rate η", "学習率 η"), 0.001, 1.0),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"\delta^T = (z^T - d) \odot f'(u^T),\qquad \delta^{t-1} = W^{\top}\delta^t \odot f'(u^{t-1})",
        r"g = \frac{\partial E}{\partial W} = \sum_t \delta^t\, {z^{t-1}}^{\top}",
        r"\hat g = g \cdot \min\left(1, \frac{c}{\|g\|}\right)\quad(\mathrm{norm})",
        r"\hat g_{ij} = \max(-c, \min(c, g_{ij}))\quad(\mathrm{value})",
        r"W' = W - \eta\,\hat g",
    ),
    chapters=(
        Chapter(
            "explodes",
            Text("A network that explodes", "爆発するネットワーク"),
            Text(
                "A plain RNN with one loss at the end, and a `W` whose spectral radius is **$gain**. Going "
                "forwards every step multiplies the state by about that; going backwards the same holds "
                "for the error.\n\n"
                "Look at the colours of `z`: the state is already growing."
                f"{_NOTE.en}",
                "損失が最後に一つだけある普通のRNNで、`W` のスペクトル半径は **$gain** です。順方向には一時刻"
                "ごとに状態がおよそこの倍率で大きくなり、逆方向には誤差が同じように大きくなります。\n\n"
                "`z` の色を見てください。状態がもう大きくなり始めています。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward E",
            highlight=("z_*", "W"),
        ),
        Chapter(
            "written-out",
            Text("The backward pass as a graph", "逆伝播を計算グラフとして書く"),
            Text(
                "To do something *with* a gradient it has to be a value. So the scope *backwards* writes "
                "the backward pass out by hand: `δ^T = (z^T − d) ⊙ f′(u^T)`, then `δ^{t−1} = Wᵀδ^t ⊙ "
                "f′(u^{t−1})`, from right to left. With *linear* f one step multiplies the length of δ by "
                "exactly $gain.\n\n"
                "Every step's part of the gradient is `g^t = δ^t z^{t−1}ᵀ`, and `g = Σ_t g^t` collects them. "
                "The proof *written out* compares it with what the engine's own backward pass leaves in "
                "`W`: the same numbers.",
                "勾配を*使って*何かをするには、勾配が値として手元になければなりません。そこで「逆方向」の枠では、"
                "逆伝播を手で書き下しています。`δ^T = (z^T − d) ⊙ f′(u^T)` から始めて、`δ^{t−1} = Wᵀδ^t ⊙ "
                "f′(u^{t−1})` を右から左へ計算します。f が *linear* なら、一時刻ごとに δ の長さがちょうど "
                "$gain 倍になります。\n\n"
                "各時刻の分が `g^t = δ^t z^{t−1}ᵀ` で、それを `g = Σ_t g^t` に集めます。"
                "エンジン自身の逆伝播が `W` に残す勾配と同じ数になることは、証明のパネルで確かめられます。",
            ),
            "forward E",
            "forward g",
            highlight=("delta_*", "part_*", "g"),
        ),
        Chapter(
            "cut",
            Text("Before and after", "クリッピングの前と後"),
            Text(
                "Clipping by *$by* with `c` = $limit.\n\n"
                "By **norm**: all gradients together are one long vector `g`. Is it longer than `c`, it is "
                "scaled by `c/‖g‖`; is it shorter, the factor is 1 and nothing happens. One number for all "
                "weights: the direction stays.\n\n"
                "By **value**: every element is cut at ±`c` on its own. Large elements lose, small ones "
                "do not, and the step points somewhere else. Change `by` and compare the colours of `g` and "
                "`ĝ`.",
                "`c` = $limit、方式は *$by* です。\n\n"
                "**norm** (ノルム) の場合、すべての勾配をつないで一本の長いベクトル `g` とみなします。"
                "`c` より長ければ `c/‖g‖` を掛けて縮め、短ければ倍率は 1 で何も起こりません。"
                "どの重みにも同じ数を掛けるので、向きは変わりません。\n\n"
                "**value** (値) の場合、成分を一つずつ ±`c` で切り詰めます。大きい成分だけが削られ、"
                "小さい成分はそのままなので、更新の向きが変わります。`by` を切り替えて、`g` と `ĝ` の色を比"
                "べてみましょう。",
            ),
            "forward g",
            "forward clipped",
            ("clip*", "update*"),
            ("g", "clipped", "norm", "factor"),
        ),
        Chapter(
            "step",
            Text("A step that stays on the map", "行き過ぎない更新"),
            Text(
                "`W′ = W − η ĝ`. A gradient that is a thousand times too long is no better a direction than "
                "a short one; it only throws the weights out of the region where it was measured. After "
                "clipping by norm the step is at most `η c` long.\n\n"
                "Clipping helps against *exploding* gradients only. A gradient that has vanished can not be "
                "made longer this way: which way it pointed is lost.",
                "`W′ = W − η ĝ` と更新します。千倍長い勾配だからといって、向きが千倍正確なわけではありませ"
                "ん。勾配を測った場所の近くから、重みが大きく飛び出してしまうだけです。"
                "ノルムでクリップすれば、一回の更新の長さは `η c` を超えません。\n\n"
                "クリッピングが効くのは勾配*爆発*に対してだけです。消えてしまった勾配をこの方法で伸ばすこと"
                "はできません。どちらを向いていたのかが、もう失われているからです。",
            ),
            "forward clipped",
            "forward W_new",
            ("clip*", "update*"),
            ("W_new", "clipped", "eta"),
        ),
        Chapter(
            "engine",
            Text("The engine's own backward pass", "エンジン自身の逆伝播"),
            Text(
                "Now the usual way back, from `E`. Watch the gradient bars of `z` get stronger to the left: "
                "they are the numbers that the scope *backwards* has computed. Nothing flows back into that "
                "scope itself, because the loss does not depend on it.\n\n"
                "*Misprint in the RN notes:* the recursion is printed with `f(u)`; it is `f′(u)`.",
                "次はいつもどおり `E` から始まる逆伝播です。`z` の勾配が左へ行くほど強くなっていくのを見てく"
                "ださい。「逆方向」の枠で計算したのと同じ数です。損失はこの枠に依存しないので、"
                "枠の中には勾配が流れません。\n\n"
                "*RNノートの誤植:* 漸化式に `f(u)` とありますが、正しくは `f′(u)` です。",
            ),
            "backward E",
            "end",
            highlight=("z_*", "W"),
        ),
    ),
    proofs=(
        Proof(
            "written-out",
            Text("the gradient by hand is the engine's", "手で書いた勾配はエンジンの勾配と等しい"),
            r"\sum_t \delta^t\, {z^{t-1}}^{\top} = \partial E/\partial W",
            _written_out,
        ),
        Proof(
            "length",
            Text("what is left is at most c", "残る大きさは c 以下"),
            r"\|\hat g\| = \min(\|g\|, c)",
            _length,
        ),
        Proof(
            "direction",
            Text("the direction is kept (by value: the signs)", "向きは変わらない (値による場合は符号)"),
            r"\hat g / \|\hat g\| = g / \|g\|",
            _direction,
        ),
        Proof("step", Text("the step", "更新"), r"W' = W - \eta\,\hat g", _step),
        Proof(
            "growth",
            Text(
                "linear f, W = gain × orthogonal: δ grows by gain at every step back",
                "f が線形で W が直交行列の gain 倍なら、δ は一時刻さかのぼるごとに gain 倍",
            ),
            r"\|\delta^{t-1}\| / \|\delta^t\| = g",
            _growth,
        ),
    ),
    errata=(
        Erratum(
            "RN",
            "δ^{t−z−1} = δ^{t−z}{W f(u)}",
            "δ^{t−z−1} = δ^{t−z}{W f′(u)}",
            Text("the slope of f", "f の傾き"),
        ),
    ),
    estimate=lambda p: 20 * p.T + 40,
)
def gradient_clipping(p: Any, leaves: Leaves) -> Any:
    n, draw, straight = p.hidden, leaves.draw, p.activation == "linear"
    W = leaves.parameter("W", p.gain * orthogonal(leaves, "W", n))
    with scope("initial"):
        z = {0: leaves.input("z_0", draw("z_0", (n,), 0.3))}
    for t in range(1, p.T + 1):
        with scope("rnn"), at_time(t):
            x = leaves.input(f"x_{t}", draw(f"x_{t}", (n,), 0.3))
            u = named(f"{'z' if straight else 'u'}_{t}", W @ z[t - 1] + x)
            z[t] = u if straight else named(f"z_{t}", activate(p.activation, u))
    with scope("loss"):
        d = leaves.target("d", draw("d", (n,)))
        E = named("E", squared_loss(z[p.T], d))
    parts: list[Any] = []
    error: Any = None
    for t in range(p.T, 0, -1):
        with scope("backward"), at_time(t):
            error = z[t] - d if t == p.T else error @ W  # Wᵀδ: a row times W
            if not straight:
                error = error * named(f"slope_{t}", 1.0 - z[t] * z[t])
            error = named(f"delta_{t}", error)
            parts.append(named(f"part_{t}", _outer(error, z[t - 1])))
    with scope("clip"):
        g = named("g", total(parts))
        limit = constant(leaves, "limit", p.limit)
        if p.by == "norm":
            norm = named("norm", ag.sqrt(ag.sum(g * g)))
            clipped = named("factor", ag.minimum(1.0, limit / norm)) * g
        else:
            clipped = ag.maximum(ag.minimum(g, limit), -limit)
        named("clipped", clipped)
    with scope("update"):
        eta = constant(leaves, "eta", p.eta)
        named("W_new", W - eta * clipped)
    return E


def _outer(a: Any, b: Any) -> Any:
    return a[:, None] * b[None, :] if isinstance(a, np.ndarray) else ag.outer(a, b)
