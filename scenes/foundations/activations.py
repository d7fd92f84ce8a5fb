"""Activation functions: the curve, its slope, and what a chain of slopes does to a gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, scope, tensor
from scenes.bricks import SLOPES, named, probabilities, within
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _functions(epsilon: float, alpha: float) -> dict[str, Callable[[Any], Any]]:
    return {
        "sigmoid": ag.sigmoid,
        "tanh": ag.tanh,
        "relu": ag.relu,
        "leaky_relu": lambda u: ag.leaky_relu(u, negative_slope=epsilon),
        "elu": lambda u: ag.elu(u, alpha=alpha),
        "softmax": probabilities,
    }


def _jacobian_by_hand(r: Recording, u: np.ndarray) -> np.ndarray:
    """∂f(u)/∂u: a diagonal of slopes, and for softmax `diag(p) − p pᵀ`."""
    kind = str(r.parameters["function"])
    if kind == "softmax":
        p = np.exp(u - u.max()) / np.sum(np.exp(u - u.max()))
        return np.diag(p) - np.outer(p, p)
    negative = {
        "leaky_relu": lambda u: np.full_like(u, float(r.parameters["epsilon"])),
        "elu": lambda u: float(r.parameters["alpha"]) * np.exp(u),
    }
    slope = np.where(u > 0, 1.0, negative[kind](u)) if kind in negative else SLOPES[kind](u)
    return np.diag(slope)


def _inputs_of_links(r: Recording) -> list[np.ndarray]:
    links = int(r.parameters["chain"])
    return [r.value(f"z_{k}" if k else "x") for k in range(links)]


def _chain(r: Recording) -> tuple[Any, Any]:
    """From the loss back: a row of ones, or for softmax of its first output, times all the Jacobians."""
    row = np.ones(r["x"].size)
    if r.parameters["function"] == "softmax":
        row[1:] = 0.0
    for u in reversed(_inputs_of_links(r)):
        row = row @ _jacobian_by_hand(r, u)
    return r.grad("x"), row


def _one_link(r: Recording) -> tuple[Any, Any]:
    return ag.jacobian(r["z_1"], r["x"]), _jacobian_by_hand(r, r.value("x"))


def _slopes_at(points: np.ndarray, functions: list[Callable[[Any], Any]]) -> list[np.ndarray]:
    """The engine's derivatives of functions of one number, at many points at once."""
    found = []
    for function in functions:
        with Graph() as graph:
            u = tensor(points, "u", "input")
            graph.backward(ag.sum(function(u)))
        assert u.grad is not None
        found.append(u.grad)
    return found


def curve(p: Any, z: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f and f′ at points z, by the engine.

    Of softmax it is one probability against its own score z, while the `others` stay as they are:
    e^z / (e^z + Σ e^others) = σ(z − log Σ e^others).
    """
    function = _functions(p.epsilon, p.alpha)[p.function]
    shift = 0.0
    if p.function == "softmax":
        function, top = ag.sigmoid, np.max(others)
        shift = float(top + np.log(np.sum(np.exp(others - top))))
    with Graph() as graph:
        u = tensor(z, "u", "input")
        y = function(u - shift)
        graph.backward(ag.sum(y))
    assert u.grad is not None
    return y.value, u.grad


def _at_zero(r: Recording) -> tuple[Any, Any]:
    epsilon, alpha = float(r.parameters["epsilon"]), float(r.parameters["alpha"])
    functions = _functions(epsilon, alpha)
    del functions["softmax"]
    return _slopes_at(np.array(0.0), list(functions.values())), np.array([0.25, 1.0, 0.0, epsilon, alpha])


def _steepest(r: Recording) -> tuple[Any, Any]:
    grid = np.linspace(-8.0, 8.0, 1601)
    slopes = _slopes_at(grid, [ag.sigmoid, ag.tanh])
    return [grid[np.argmax(s)] for s in slopes] + [s.max() for s in slopes], np.array([0.0, 0.0, 0.25, 1.0])


def _fading(r: Recording) -> tuple[Any, Any]:
    steepest = {"sigmoid": 0.25, "softmax": 0.5}.get(str(r.parameters["function"]), 1.0)
    bound = steepest ** int(r.parameters["chain"])
    return within(r.grad("x"), -bound, bound)


@scene(
    "activations",
    family="foundations",
    title=Text("Activation functions", "活性化関数"),
    summary=Text(
        "Points go through a squashing, once or many times; the gradient that comes back is the slope of the "
        "curve at each point, and a chain multiplies the slopes.",
        "いくつかの点を活性化関数に、一度または何度も通します。戻ってくる勾配は各点での曲線の傾きで、"
        "連鎖させると傾きどうしが掛け合わされます。",
    ),
    source="FF, CS",
    parameters=(
        Parameter(
            "function",
            "sigmoid",
            Text("f, the activation function", "活性化関数 f"),
            choices=("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softmax"),
        ),
        Parameter("chain", 3, Text("n, how many times f is applied", "f を適用する回数 n"), 1, 20),
        Parameter("points", 5, Text("number of points x, or of scores", "点 x (またはスコア) の個数"), 2, 16),
        Parameter("spread", 1.5, Text("how far the points lie apart", "点の広がり"), 0.0, 10.0),
        Parameter(
            "epsilon", 0.1, Text("ε, slope of leaky ReLU below 0", "ε。Leaky ReLUの負側の傾き"), 0.0, 1.0
        ),
        Parameter(
            "alpha", 1.0, Text("α, ELU tends to −α far below 0", "α。ELUは負側で −α に近づく"), 0.0, 1.0
        ),
    ),
    formulas=(
        r"\sigma(z) = \frac{1}{1 + e^{-z}},\qquad \sigma'(z) = \sigma(z)\,(1 - \sigma(z))",
        r"\tanh' z = 1 - \tanh^2 z",
        r"\mathrm{ReLU}(z) = \max(0, z),\qquad \mathrm{LReLU}(z) = \max(\varepsilon z, z)",
        r"\mathrm{ELU}(z) = \max(\alpha(e^z - 1), z)",
        r"p_i = \frac{e^{z_i}}{\sum_j e^{z_j}},\qquad"
        r" \frac{\partial p}{\partial z} = \mathrm{diag}(p) - p\,p^{\top}",
        r"\frac{\partial z_n}{\partial x} = \prod_{k=1}^{n} f'(z_{k-1})",
    ),
    chapters=(
        Chapter(
            "curve",
            Text("Points on the curve", "曲線の上の点"),
            Text(
                "`x` holds $points points in ascending order, `z_1 = f(x)` their heights on the curve of "
                "`$function`. Sigmoid squashes into (0, 1), tanh into (−1, 1); ReLU cuts off what is "
                "negative, leaky ReLU and ELU let a little of it through.\n\n"
                "*Misprint in the FF notes:* the sigmoid is printed `1/(1 + e^{−1})`; it is `1/(1 + "
                "e^{−x})`. With the printed line every point would come out as 0.731.",
                "`x` は小さい順に並んだ $points 個の点、`z_1 = f(x)` は `$function` の曲線上での高さです。"
                "シグモイドは (0, 1) に、tanh は (−1, 1) に押し込めます。ReLU は負の部分を切り捨て、Leaky "
                "ReLU と ELU は少しだけ通します。\n\n"
                "*FFノートの誤植:* シグモイドが `1/(1 + e^{−1})` とありますが、正しくは `1/(1 + e^{−x})` "
                "です。誤植のままでは、どの点も 0.731 になってしまいます。",
            ),
            "start",
            "forward z_1",
            highlight=("x", "z_1"),
        ),
        Chapter(
            "slope",
            Text("The gradient is the slope", "勾配は曲線の傾き"),
            Text(
                "`E` is the sum of the results, so every result receives exactly 1. One link further back "
                "the gradient is `f′` at each point: *the derivative curve, read off at the points*. For "
                "sigmoid that is `σ(1 − σ)`, at most 0.25 in the middle; for tanh `1 − tanh²`, at most 1. "
                "Points far out are saturated and get almost nothing.\n\n"
                "*In the FF notes* the formula says `ReLU′(0) = 0` but the code sets 1 (`x >= 0`). It is "
                "a convention; here it is 0. Set a point to 0 in the inspector and look.",
                "`E` は結果の和なので、どの結果にもちょうど 1 が届きます。一つさかのぼると、"
                "勾配は各点での `f′`、つまり*導関数の曲線をその点で読み取った値*です。シグモイドでは `σ(1 "
                "− σ)` で中央でも 0.25 以下、tanh では `1 − tanh²` で 1 以下です。"
                "遠く離れた点は飽和していて、ほとんど何も届きません。\n\n"
                "*FFノートについて:* 式では `ReLU′(0) = 0` ですが、コードでは 1 (`x >= 0`) "
                "になっています。これは取り決めの問題で、ここでは 0 とします。インスペクタで点を 0 "
                "にして確かめてください。",
            ),
            "forward E",
            "backward z_$chain",
            highlight=("z_$chain", "E"),
        ),
        Chapter(
            "chain",
            Text("A chain multiplies slopes", "連鎖は傾きの積"),
            Text(
                "Follow the gradient to the left through $chain links. Each one multiplies by its own "
                "slope. With sigmoid at best `0.25ⁿ` is left: three links keep 1.6 %, ten keep one "
                "millionth. That is the vanishing gradient in its barest form, before any weight is in "
                "play.\n\n"
                "Switch `function` to `relu`: a positive point keeps its 1 all the way.",
                "$chain 個の活性化関数を通って、勾配を左へ追ってください。一つ通るたびに、"
                "その傾きが掛かります。シグモイドでは最良でも `0.25ⁿ` しか残りません。三段で 1.6 %、"
                "十段では百万分の一です。重みが登場する前の、最も素朴な形の勾配消失です。\n\n"
                "`function` を `relu` に変えてみましょう。正の点では 1 のまま最後まで届きます。",
            ),
            "backward z_$chain",
            "end",
            highlight=("z_*", "x"),
        ),
        Chapter(
            "softmax",
            Text("Softmax: all outputs hang together", "ソフトマックス: 出力どうしがつながる"),
            Text(
                "Set `function` to `softmax` and `chain` to 1. Now the points are scores, and the outputs "
                "are probabilities that share the sum 1. `E` is the first probability `p_0`, because the "
                "sum of all would never change.\n\n"
                "The gradient is one row of `diag(p) − p·pᵀ`: positive for its own score, `p_0(1 − p_0)`, "
                "and negative for all others, `−p_0 p_j`. The row adds up to 0: adding the same number to "
                "all scores changes nothing.",
                "`function` を `softmax`、`chain` を 1 にしてください。点はスコアになり、出力は合計が 1 "
                "の確率になります。和はいつも 1 で変わらないので、`E` は最初の確率 `p_0` です。\n\n"
                "勾配は `diag(p) − p·pᵀ` の一行です。自分のスコアには正の `p_0(1 − p_0)`、"
                "ほかのスコアには負の `−p_0 p_j` が届き、合計は 0 です。"
                "すべてのスコアに同じ数を足しても何も変わらないからです。",
            ),
            "backward E",
            "end",
            highlight=("x", "z_1"),
        ),
    ),
    proofs=(
        Proof(
            "jacobian",
            Text(
                "one application: slopes, or softmax's Jacobian",
                "一回分: 傾き、またはソフトマックスのヤコビ行列",
            ),
            r"\frac{\partial f}{\partial z} = \mathrm{diag}(f'(z)),\quad \mathrm{diag}(p) - p\,p^{\top}",
            _one_link,
        ),
        Proof(
            "chain", Text("the chain multiplies the slopes", "連鎖は傾きの積"), r"\prod_k f'(z_{k-1})", _chain
        ),
        Proof(
            "at-zero",
            Text("slopes at 0: σ, tanh, ReLU, leaky ReLU, ELU", "0 での傾き: σ, tanh, ReLU, Leaky ReLU, ELU"),
            r"\frac{1}{4},\; 1,\; 0,\; \varepsilon,\; \alpha",
            _at_zero,
        ),
        Proof(
            "steepest",
            Text("where σ and tanh are steepest, and how steep", "σ と tanh の傾きが最大の位置とその値"),
            r"\max \sigma' = \sigma'(0) = \frac{1}{4},\quad \max \tanh' = \tanh'(0) = 1",
            _steepest,
        ),
        Proof(
            "fading",
            Text("at best this much is left after n links", "n 段の後に残る勾配の上限"),
            r"\left|\frac{\partial z_n}{\partial x}\right| \le \left(\max f'\right)^n",
            _fading,
        ),
    ),
    errata=(
        Erratum("FF", "σ(x) = 1/(1+e^{−1})", "σ(x) = 1/(1+e^{−x})", Text("x was lost", "x が抜けている")),
        Erratum(
            "FF",
            "ReLU′(0) = 0 in the formula, 1 in the code (x >= 0)",
            "ReLU′(0) = 0",
            Text("a convention: 0 at 0", "取り決めの問題。ここでは 0 とする"),
        ),
    ),
    notations={"FF": Notation()},
    estimate=lambda p: p.chain + 2,
)
def activations(p: Any, leaves: Leaves) -> Any:
    f = _functions(p.epsilon, p.alpha)[p.function]
    with scope("input"):
        z = leaves.input("x", np.round(np.sort(p.spread * leaves.draw("x", (p.points,))), 2) + 0.0)
    with scope("chain"):
        for k in range(1, p.chain + 1):
            z = named(f"z_{k}", f(z))
    with scope("loss"):
        return named("E", z[0] * 1.0 if p.function == "softmax" else ag.sum(z))
