"""The deep RNN: recurrent layers stacked on top of each other, a grid of layers and time steps."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, named, rnn_cell, total
from scenes.recurrent.layers import (
    ACTIVATION,
    INPUTS,
    LOSS_AT,
    NOTATION,
    OUTPUTS,
    STEPS,
    add_loss,
    hidden,
    leaf_values,
    letters_note,
    output_error,
    over_time,
    replay,
    rnn_weights,
    side_by_side,
    steps,
)
from scenes.scene import SCENES, Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene

DEEPEST = 6


def _layers(r: Recording) -> range:
    return range(1, int(r.parameters["layers"]) + 1)


def _backward_by_hand(r: Recording) -> dict[int, dict[int, np.ndarray]]:
    """δ of layer l at step t from values alone: from the right in its own layer, from the layer above."""
    slope = SLOPES[str(r.parameters["activation"])]
    top = _layers(r)[-1]
    delta: dict[int, dict[int, np.ndarray]] = {}
    for layer in reversed(_layers(r)):
        delta[layer] = {}
        for t in reversed(steps(r)):
            if layer == top:
                error = r.value("W_out").T @ output_error(r, "y", t)
            else:
                error = r.value(f"W{layer + 1}_in").T @ delta[layer + 1][t]
            if t + 1 in delta[layer]:
                error = error + r.value(f"W{layer}").T @ delta[layer][t + 1]
            delta[layer][t] = error * slope(r.value(f"u{layer}_{t}"))
    return delta


def _recursion(r: Recording) -> tuple[Any, Any]:
    delta = _backward_by_hand(r)
    got = [[r.grad(f"u{layer}_{t}") for t in steps(r)] for layer in _layers(r)]
    return np.array(got), np.array([[delta[layer][t] for t in steps(r)] for layer in _layers(r)])


def _weights(r: Recording) -> tuple[Any, Any]:
    got, closed = [], []
    for layer, delta in _backward_by_hand(r).items():
        below = f"z{layer - 1}" if layer > 1 else "x"
        got += [r.grad(f"W{layer}_in"), r.grad(f"W{layer}"), r.grad(f"b{layer}")]
        closed += [over_time(r, delta, below), over_time(r, delta, f"z{layer}", -1), sum(delta.values())]
    return side_by_side(*got), side_by_side(*closed)


def _output_weights(r: Recording) -> tuple[Any, Any]:
    error = {t: output_error(r, "y", t) for t in steps(r)}
    closed = [over_time(r, error, f"z{_layers(r)[-1]}"), sum(error.values())]
    return side_by_side(r.grad("W_out"), r.grad("c")), side_by_side(*closed)


def _one_layer(r: Recording) -> tuple[Any, Any]:
    """States, outputs and gradients with one layer, and those of the scene `rnn` with the same leaves."""
    p = {k: r.parameters[k] for k in ("T", "inputs", "hidden", "outputs", "activation")}
    shape = "many to many" if r.parameters["loss_at"] == "every step" else "many to one"
    shallow = r.scene.build(r.parameters | {"layers": 1}, seed=r.seed)
    rnn = SCENES["rnn"].build(p | {"shape": shape})
    copied = {"W1_in": "W_in", "W1": "W", "b1": "b", "z1_0": "z_0"}
    values = leaf_values(shallow)
    replay(rnn, {copied.get(name, name): value for name, value in values.items()})
    got = [shallow.loss.value, *(shallow.value(f"z1_{t}") for t in steps(r)), *map(shallow.grad, copied)]
    seen = [rnn.loss.value, *(rnn.value(f"z_{t}") for t in steps(r)), *map(rnn.grad, copied.values())]
    return side_by_side(*got), side_by_side(*seen)


_RN = {f"{k}{layer}": f"{k}_({layer})" for layer in range(1, DEEPEST + 1) for k in "zuWb"}
_CS = _RN | {f"z{layer}": f"a_[{layer}]" for layer in range(1, DEEPEST + 1)}
_NOTATIONS = {
    "RN": Notation("sup", _RN),
    "CS": Notation("angle", _CS | {"y": "ŷ", "d": "y", "E": "L"}),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "deep-rnn",
    family="recurrent",
    title=Text("Deep RNN", "深層RNN"),
    summary=Text(
        "Recurrent layers on top of each other: the states of one layer are the inputs of the next. A grid, "
        "time to the right, depth upwards; the error takes every path through it back.",
        "再帰層を積み重ねます。ある層の状態が、次の層の入力になります。横が時間、縦が深さの格子で、"
        "誤差はその中のあらゆる道を通って戻ります。",
    ),
    source="CS",
    parameters=(
        Parameter("layers", 2, Text("how many recurrent layers", "再帰層の数"), 1, DEEPEST),
        STEPS,
        INPUTS,
        hidden("every layer's state z", "各層の状態 z"),
        OUTPUTS,
        ACTIVATION,
        LOSS_AT,
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"u^{(l),t} = W_{in}^{(l)}\, z^{(l-1),t} + W^{(l)}\, z^{(l),t-1} + b^{(l)},\qquad z^{(0),t} = x^t",
        r"z^{(l),t} = f(u^{(l),t})",
        r"y^t = W_{out}\, z^{(L),t} + c,\qquad E = \sum_t \frac{1}{2}\|y^t - d^t\|^2",
        r"\delta^{(l),t} = \left({W^{(l)}}^{\top} \delta^{(l),t+1} + {W_{in}^{(l+1)}}^{\top} "
        r"\delta^{(l+1),t}\right) \odot f'(u^{(l),t})",
    ),
    chapters=(
        Chapter(
            "grid",
            Text("A grid of layers and steps", "層と時刻の格子"),
            Text(
                "There are $layers layers and $T steps. Each cell of the grid has two inputs: the state of "
                "its own layer one step *earlier*, and the state of the layer *below* at the same step. "
                "Layer 1 stands on the input.\n\n"
                "Every layer has weights of its own, and each layer uses its own at every step."
                f"{_NOTE.en}",
                "層は $layers 個、時刻は $T 個です。格子のどのセルにも入力が二つあります。同じ層の一つ*前*の"
                "時刻の状態と、同じ時刻の一つ*下*の層の状態です。第 1 層の下は入力です。\n\n"
                "層ごとに自分の重みがあり、それをすべての時刻で使います。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward z1_1",
            ("*/t=1", "initial"),
            ("z1_1", "u1_1"),
        ),
        Chapter(
            "waves",
            Text("Up and to the right", "上へ、そして右へ"),
            Text(
                "Watch the order: at each step the values climb through the layers, then the next step "
                "begins. It could be another one: all cells on a diagonal of the grid depend only on "
                "diagonals before, so they could be computed at once.\n\n"
                "Lower layers follow the input closely; upper ones see it through what the layers below made "
                "of it.",
                "計算の順序を見てください。各時刻で値が層を登り、それから次の時刻が始まります。"
                "別の順序でもかまいません。格子の対角線上のセルは、それより前の対角線だけに依存するので、"
                "同時に計算することもできます。\n\n"
                "下の層は入力に密着し、上の層は下の層がまとめたものを通して入力を見ます。",
            ),
            "forward z1_1",
            "forward y_$T",
            highlight=("z*_*",),
        ),
        Chapter(
            "output",
            Text("Only the top is read", "読み出すのは一番上だけ"),
            Text(
                "The output looks at the top layer alone, `y = W_out z + c`. What a lower layer knows "
                "reaches it only through the layers above. The loss is the sum over the steps, as in "
                "`rnn`; with one layer this scene *is* `rnn`, and a proof compares them.",
                "出力は一番上の層だけを見ます: `y = W_out z + c`。下の層が知っていることは、"
                "上の層を通してしか届きません。損失は `rnn` と同じく時刻についての和です。"
                "層が一つなら、この場面は `rnn` *そのもの*で、検証項目の一つが両者を比べます。",
            ),
            "forward y_1",
            "backward E",
            ("deep-rnn/*/read-out", "loss"),
            ("y_*", "E"),
        ),
        Chapter(
            "errors",
            Text("The error comes from above and from the right", "誤差は上と右から来る"),
            Text(
                "At each state two errors meet: one from the layer above, through its `W_inᵀ`, one from the "
                "next step of the same layer, through `Wᵀ`. Their sum times `f′(u)` is δ, and it leaves "
                "downwards and to the left.\n\n"
                "From the last output to the first input there are many paths: every way of going down and "
                "left through the grid. Each has a factor per edge, so depth makes gradients vanish or "
                "explode just as time does.",
                "どの状態でも二つの誤差が合流します。上の層から `W_inᵀ` を通って来るものと、"
                "同じ層の次の時刻から `Wᵀ` を通って来るものです。その和に `f′(u)` を掛けたものが δ で、"
                "下と左へ出ていきます。\n\n"
                "最後の出力から最初の入力までは、格子を下と左へ進むあらゆる道があります。"
                "一歩ごとに係数が掛かるので、時間と同じく深さも勾配を消失させたり発散させたりします。",
            ),
            "backward E",
            "end",
            ("*/t=*",),
            ("u*_*", "z*_*"),
        ),
        Chapter(
            "weights",
            Text("Each layer collects its own", "各層は自分の分を集める"),
            Text(
                "`∂E/∂W⁽ˡ⁾ = Σ_t δ⁽ˡ⁾ᵗ (z⁽ˡ⁾ᵗ⁻¹)ᵀ` over the steps of its own layer, and "
                "`∂E/∂W_in⁽ˡ⁾ = Σ_t δ⁽ˡ⁾ᵗ (z⁽ˡ⁻¹⁾ᵗ)ᵀ` with the state of the layer below. Select `W1_in`: one "
                "row per step.",
                "`∂E/∂W⁽ˡ⁾ = Σ_t δ⁽ˡ⁾ᵗ (z⁽ˡ⁾ᵗ⁻¹)ᵀ` は同じ層の全時刻の和です。`∂E/∂W_in⁽ˡ⁾ = Σ_t δ⁽ˡ⁾ᵗ "
                "(z⁽ˡ⁻¹⁾ᵗ)ᵀ` では下の層の状態が掛かります。`W1_in` を選ぶと、時刻ごとの行が並びます。",
            ),
            "backward E",
            "end",
            ("parameters", "*/t=1"),
            ("W*",),
        ),
    ),
    proofs=(
        Proof(
            "one-layer",
            Text("with one layer it is the plain RNN", "層が一つなら普通のRNN"),
            r"L = 1:\quad z^{(1),t} = z^t",
            _one_layer,
        ),
        Proof(
            "recursion",
            Text("δ goes left and down", "δ は左と下へ進む"),
            r"\delta^{(l),t} = ({W^{(l)}}^{\top}\delta^{(l),t+1} + {W_{in}^{(l+1)}}^{\top}\delta^{(l+1),t}) "
            r"\odot f'(u^{(l),t})",
            _recursion,
        ),
        Proof(
            "weights",
            Text("weights and biases of every layer", "全層の重みとバイアス"),
            r"\partial E/\partial W_{in}^{(l)} = \sum_t \delta^{(l),t}\, {z^{(l-1),t}}^{\top},\quad"
            r" \partial E/\partial W^{(l)} = \sum_t \delta^{(l),t}\, {z^{(l),t-1}}^{\top}",
            _weights,
        ),
        Proof(
            "W_out",
            Text("output weights and bias", "出力の重みとバイアス"),
            r"\partial E/\partial W_{out} = \sum_t \delta_{out}^t\, {z^{(L),t}}^{\top},\quad"
            r" \partial E/\partial c = \sum_t \delta_{out}^t",
            _output_weights,
        ),
    ),
    estimate=lambda p: (5 * p.layers + 5) * p.T + 4 * p.layers + 3,
)
def deep_rnn(p: Any, leaves: Leaves) -> Any:
    layers = range(1, p.layers + 1)
    sizes = {layer: p.inputs if layer == 1 else p.hidden for layer in layers}
    w = {layer: rnn_weights(leaves, sizes[layer], p.hidden, str(layer)) for layer in layers}
    W_out = leaves.parameter("W_out", leaves.draw("W_out", (p.outputs, p.hidden), 0.7))
    c = leaves.parameter("c", leaves.draw("c", (p.outputs,), 0.2))
    with scope("initial"):
        states = {layer: leaves.input(f"z{layer}_0", np.zeros(p.hidden)) for layer in layers}
    losses: list[Any] = []
    for t in range(1, p.T + 1):
        below = None
        for layer in layers:
            with scope("deep-rnn"), scope(f"layer {layer}"), at_time(t):
                if below is None:
                    below = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,)))
                below = states[layer] = rnn_cell(
                    w[layer], below, states[layer], str(t), activation=p.activation, mark=str(layer)
                )
        with scope("deep-rnn"), scope("read-out"), at_time(t):
            y = named(f"y_{t}", total([W_out @ below, c]))
            add_loss(p, leaves, losses, y, t)
    with scope("loss"):
        return named("E", ag.add_n(losses))
