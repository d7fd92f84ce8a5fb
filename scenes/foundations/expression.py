"""Any expression that the user types, one node per scalar operation."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd as ag
from autograd import OPS, Tensor, scope
from scenes.foundations.expression_parser import (
    FUNCTIONS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_NAME,
    RESULT,
    parse,
    parse_values,
)
from scenes.scene import Chapter, Leaves, Parameter, Proof, Recording, SceneError, Text, scene

__all__ = ["FUNCTIONS", "MAX_DEPTH", "MAX_LENGTH", "expression", "parse", "parse_values"]

# Forward-mode dual numbers (value, slope), independent of the engine: the closed form next to its gradients


def _step(condition: bool) -> float:
    return 1.0 if condition else 0.0


def _logistic(a: float) -> float:
    return float(np.exp(-np.logaddexp(0.0, -a)))


_VALUES: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "negative": lambda a: -a,
}
_SLOPES: dict[str, tuple[Callable[..., float], ...]] = {
    "add": (lambda a, b: 1.0, lambda a, b: 1.0),
    "subtract": (lambda a, b: 1.0, lambda a, b: -1.0),
    "multiply": (lambda a, b: b, lambda a, b: a),
    "divide": (lambda a, b: 1 / b, lambda a, b: -a / b**2),
    "power": (lambda a, b: b * a ** (b - 1), lambda a, b: a**b * np.log(a)),
    "negative": (lambda a: -1.0,),
    "exp": (np.exp,),
    "log": (lambda a: 1 / a,),
    "sqrt": (lambda a: 0.5 / np.sqrt(a),),
    "abs": (np.sign,),
    "sin": (np.cos,),
    "cos": (lambda a: -np.sin(a),),
    "tanh": (lambda a: 1 / np.cosh(a) ** 2,),
    "sigmoid": (lambda a: _logistic(a) * _logistic(-a),),
    "relu": (lambda a: _step(a > 0),),
    "leaky_relu": (lambda a: 1.0 if a > 0 else 0.01,),
    "elu": (lambda a: 1.0 if a > 0 else np.exp(a),),
    "softplus": (_logistic,),
    "maximum": (lambda a, b: _step(a >= b), lambda a, b: _step(a < b)),
    "minimum": (lambda a, b: _step(a <= b), lambda a, b: _step(a > b)),
    **{name: (lambda a, b: 0.0,) * 2 for name in ("greater", "less", "greater_equal", "less_equal")},
}


def _numeric_slope(function: Callable[..., Any], slot: int, operands: list[float]) -> float:
    """Sixth-order central difference, for an op of the engine that has no slope above."""
    h = 0.01

    def moved(k: int) -> float:
        return float(function(*(a + k * h * (i == slot) for i, a in enumerate(operands))))

    return sum(w * (moved(k) - moved(-k)) for k, w in ((1, 45.0), (2, -9.0), (3, 1.0))) / (60.0 * h)


def _dual(op: str, *operands: tuple[np.float64, np.ndarray]) -> tuple[np.float64, np.ndarray]:
    """One operation on duals: the value, and by the chain rule its slopes in all names at once."""
    at = [np.float64(value) for value, _ in operands]
    function = _VALUES.get(op) or OPS[op].forward
    with np.errstate(all="ignore"):
        slopes = np.zeros_like(operands[0][1])
        for slot, (_, inner) in enumerate(operands):
            if inner.any():  # what does not move has no part in it: a power's constant exponent
                local = _SLOPES[op][slot](*at) if op in _SLOPES else _numeric_slope(function, slot, list(at))
                slopes = slopes + local * inner
        return np.float64(function(*at)), slopes


def _by_duals(r: Recording) -> tuple[np.float64, np.ndarray]:
    formula = parse(str(r.parameters["formula"]))
    unit = dict(zip(formula.names, np.eye(len(formula.names)), strict=True))
    zero = np.zeros(len(formula.names))
    return formula.run(
        lambda name: (np.float64(r.value(name)), unit[name]), lambda number: (np.float64(number), zero), _dual
    )


def _partials(r: Recording) -> tuple[Any, Any]:
    names = parse(str(r.parameters["formula"])).names
    return np.array([r.grad(name) for name in names]), _by_duals(r)[1]


def _result(r: Recording) -> tuple[Any, Any]:
    return r.value(RESULT), np.asarray(_by_duals(r)[0])


def _reuse(r: Recording) -> tuple[Any, Any]:
    names = parse(str(r.parameters["formula"])).names
    sums = [sum(sent for _, sent in r.contributions(name)) for name in names]
    return np.array([r.grad(name) for name in names]), np.array(sums)


@scene(
    "expression",
    family="foundations",
    title=Text("One expression, scalar by scalar", "式を一歩ずつ"),
    summary=Text(
        "Type any expression. Every operation becomes one node, and the chain rule walks back over them "
        "one at a time.",
        "好きな式を入力してください。演算一つが節点一つになり、連鎖律がそれを一つずつさかのぼります。",
    ),
    source="–",
    parameters=(
        Parameter(
            "formula",
            "tanh(w1*x1 + w2*x2 + b)",
            Text(
                "names, numbers, + - * / ** and functions; names that start with x are inputs",
                "名前、数、+ - * / **、関数。x で始まる名前は入力になる",
            ),
            check_text=parse,
        ),
        Parameter(
            "values",
            "",
            Text(
                "values for some names, as in w1=0.5, x1=-1; the others are drawn from the seed",
                "名前の値。例: w1=0.5, x1=-1。残りはシードから決まる",
            ),
            check_text=parse_values,
        ),
    ),
    formulas=(
        r"y = f(w, x)",
        r"\frac{\partial y}{\partial a} = \sum_{k\,:\,a \to k} \frac{\partial y}{\partial k}"
        r"\,\frac{\partial k}{\partial a}",
    ),
    chapters=(
        Chapter(
            "forward",
            Text("Forward: one operation at a time", "順伝播: 一度に一つの演算"),
            Text(
                "The formula is `y = $formula`. Each box is **one** operation on plain numbers: it waits "
                "until its inputs are there, computes, and hands the result on.\n\n"
                "Step through it and check each number by hand; nothing is hidden in a box.",
                "式は `y = $formula` です。箱一つが、ただの数に対する**一つ**の演算です。"
                "入力がそろうと計算し、結果を次へ渡します。\n\n"
                "一歩ずつ進め、数を手で確かめてください。箱の中に隠れているものはありません。",
            ),
            "start",
            "forward y",
        ),
        Chapter(
            "seed",
            Text("The first gradient is 1", "最初の勾配は 1"),
            Text(
                "How much does `y` change when `y` changes? Just as much: `∂y/∂y = 1`. This 1 starts the "
                "way back. The last operation multiplies it by its *local* derivative, one for each "
                "input.\n\n"
                "Select the box of `y`: the inspector shows its rule, and the same rule with the numbers "
                "put in.",
                "`y` が変わると `y` はどれだけ変わるでしょうか。もちろん同じだけで、`∂y/∂y = 1` です。この "
                "1 が帰り道の出発点です。最後の演算は、これに入力ごとの*局所*微分を掛けます。\n\n"
                "`y` の箱を選ぶと、規則と、数を代入した同じ規則がインスペクタに出ます。",
            ),
            "loss",
            "backward y",
            ("y",),
            ("y",),
        ),
        Chapter(
            "chain-rule",
            Text("The chain rule, walked backwards", "連鎖律をさかのぼる"),
            Text(
                "Every box does the same small thing: it takes the gradient that arrived and multiplies it "
                "by its local derivative. A `+` passes it on unchanged, a `×` multiplies by *the other "
                "factor*, a function by its slope.\n\n"
                "No box knows the whole formula, and still each name ends up with its exact partial "
                "derivative.",
                "どの箱がすることも同じで、届いた勾配に自分の局所微分を掛けるだけです。`+` はそのまま渡し、"
                "`×` は*もう一方の数*を掛け、関数は傾きを掛けます。\n\n"
                "式全体を知っている箱はありませんが、それでも各名前に正確な偏微分が届きます。",
            ),
            "backward y",
            "end",
        ),
        Chapter(
            "reuse",
            Text("A name that is used twice", "二回使われる名前"),
            Text(
                "A name is one leaf however often it stands in the formula. Each use sends its own "
                "instalment, and the gradient is their **sum**. Try `x1*x1 + x1`: the bar of `x1` fills in "
                "three instalments, and the total is `2·x1 + 1`.\n\n"
                "Recurrent networks live on exactly this: one weight, used at every time step.",
                "式に何度現れても、一つの名前は一つの葉です。使われた場所ごとに勾配が分割で届き、"
                "その**和**が勾配になります。`x1*x1 + x1` を試してください。`x1` には三回に分けて届き、"
                "合計は `2·x1 + 1` です。\n\n"
                "再帰型ネットワークは、まさにこの仕組みで動いています。一つの重みを毎時刻で使うのです。",
            ),
            "backward y",
            "end",
            ("parameters", "inputs"),
        ),
    ),
    proofs=(
        Proof(
            "value",
            Text("the value, computed apart from the engine", "エンジンとは別に計算した値"),
            r"y = f(w, x)",
            _result,
        ),
        Proof(
            "partials",
            Text("all partial derivatives, by dual numbers", "双対数で求めた偏微分"),
            r"f(a + \varepsilon) = f(a) + f'(a)\,\varepsilon,\quad \varepsilon^2 = 0",
            _partials,
        ),
        Proof(
            "instalments",
            Text("the uses' parts add up to the gradient", "使われた場所ごとの分の和が勾配"),
            r"\frac{\partial y}{\partial a} = \sum_k \left(\frac{\partial y}{\partial a}\right)_k",
            _reuse,
        ),
    ),
)
def expression(p: Any, leaves: Leaves) -> Any:
    formula = parse(p.formula)
    given = parse_values(p.values)
    for name in given.keys() - set(formula.names):
        raise SceneError(
            f"values: {name[:MAX_NAME]!r} is not in the formula, expected {', '.join(formula.names)}",
            f"values: {name[:MAX_NAME]!r} は数式にありません。使えるのは {', '.join(formula.names)} です",
        )
    made = {name: _leaf(leaves, name, given.get(name), formula.wants_positive) for name in formula.names}
    y = formula.run(made.__getitem__, float, lambda op, *operands: getattr(ag, op)(*operands))
    if len(formula.steps) == 1:
        y = 1.0 * y  # a name alone: the result still gets a node of its own
    if not np.isfinite(y.value):
        raise SceneError(
            f"formula: the result is {float(y.value)} at these values, expected a finite number; "
            "choose others with the parameter values, or another seed",
            f"formula: この値では結果が {float(y.value)} となり、有限の数になりません。"
            "パラメータ values で値を変えるか、別のシードを選んでください",
        )
    return y.named(RESULT)


def _leaf(leaves: Leaves, name: str, given: float | None, positive: bool) -> Any:
    """A scalar leaf of ±0.1 … ±2.0, never 0, so that a quotient of names is finite."""
    if given is None:
        rng = np.random.default_rng([leaves.seed, zlib.crc32(name.encode())])
        size, negative = rng.integers(1, 21) / 10.0, rng.integers(2)
        given = -size if negative and not positive else size
    if name.startswith("x"):
        with scope("inputs"):
            leaf = leaves.input(name, given)
    else:
        leaf = leaves.parameter(name, given)
    return leaf if isinstance(leaf, Tensor) else leaf[()]
