"""Back-propagation in a multi-layer perceptron, in the letters of the FF notes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from autograd import scope
from scenes.bricks import SLOPES, activate, named, squared_loss, total
from scenes.data_sets import DATA_SETS, examples
from scenes.foundations import classifier
from scenes.scene import Chapter, Data, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

ONE_EXAMPLE = "one example"


def _layers(r: Recording) -> range:
    return range(1, int(r.parameters["layers"]) + 1)


def _before(r: Recording, layer: int) -> np.ndarray:
    """z⁽ˡ⁻¹⁾, what the layer gets; the first one gets x."""
    return r.value(f"z_{layer - 1}" if layer > 1 else "x")


def _error(r: Recording) -> np.ndarray:
    """∂E/∂y: y − d of one example; with classes (p − d)/B, where p is the softmax of each column."""
    y, d = r.value("y"), r.value("d")
    return y - d if y.ndim == 1 else classifier.error_by_hand(y, d)


def _product(delta: np.ndarray, before: np.ndarray) -> np.ndarray:
    """δ zᵀ; of a batch the sum over its columns."""
    return np.outer(delta, before) if delta.ndim == 1 else delta @ before.T


def _delta_by_hand(r: Recording) -> dict[int, np.ndarray]:
    """δ⁽ˡ⁾ = ∂E/∂u⁽ˡ⁾ by the FF notes' recursion, from values alone."""
    last = _layers(r)[-1]
    slope = SLOPES[str(r.parameters["activation"])]
    delta = {last: _error(r)}
    for layer in reversed(_layers(r)[:-1]):
        back = r.value(f"W_{layer + 1}").T @ delta[layer + 1]
        delta[layer] = back * slope(r.value(f"u_{layer}"))
    return delta


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays])


def _output_layer(r: Recording) -> tuple[Any, Any]:
    last = _layers(r)[-1]
    return r.grad(f"W_{last}"), _product(_error(r), _before(r, last))


def _recursion(r: Recording) -> tuple[Any, Any]:
    delta, last = _delta_by_hand(r), _layers(r)[-1]
    got = [r.grad("y" if layer == last else f"u_{layer}") for layer in _layers(r)]
    return _flat(got), _flat([delta[layer] for layer in _layers(r)])


def _weights(r: Recording) -> tuple[Any, Any]:
    delta = _delta_by_hand(r)
    closed = [_product(delta[layer], _before(r, layer)) for layer in _layers(r)]
    return _flat([r.grad(f"W_{layer}") for layer in _layers(r)]), _flat(closed)


def _biases(r: Recording) -> tuple[Any, Any]:
    delta = _delta_by_hand(r)
    closed = [d if d.ndim == 1 else d.sum(axis=1) for d in (delta[layer] for layer in _layers(r))]
    return _flat([r.grad(f"b_{layer}") for layer in _layers(r)]), _flat(closed)


def data(p: Any, seed: int) -> Data | None:
    """The chosen data set; one example needs none."""
    return None if p.data == ONE_EXAMPLE else examples(p.data, seed)


def share_right(r: Recording) -> float:
    """Of a batch that has classes; nan for one example, which has none."""
    return float("nan") if r["y"].ndim == 1 else classifier.share_right(r)


def _recipe(p: Any) -> dict[str, Any]:
    if p.data == ONE_EXAMPLE:
        return {"optimizer": "sgd", "lr": 0.1, "epochs": 50}
    return {"optimizer": "adam", "lr": 0.01, "epochs": 100}


@scene(
    "mlp",
    family="foundations",
    title=Text("Back-propagation in a multi-layer perceptron", "誤差逆伝播法"),
    summary=Text(
        "Layers of weights and squashings, one loss, and the error δ that is handed back from layer to "
        "layer.",
        "重みと活性化関数の層を重ね、最後に損失を一つ置きます。誤差 δ は層から層へと逆向きに渡されます。",
    ),
    source="FF, CS",
    parameters=(
        Parameter("layers", 3, Text("number of layers with weights", "重みのある層の数"), 1, 6),
        Parameter("inputs", 2, Text("size of x", "入力 x の次元"), 1, 16),
        Parameter("units", 3, Text("units in each hidden layer", "中間層のユニット数"), 1, 32),
        Parameter("outputs", 2, Text("size of y and d", "出力 y と目標 d の次元"), 1, 16),
        Parameter(
            "activation",
            "tanh",
            Text("f, the squashing of the hidden layers", "中間層の活性化関数 f"),
            choices=("tanh", "sigmoid", "relu", "linear"),
        ),
        Parameter("gain", 1.0, Text("factor on all weights", "すべての重みの倍率"), 0.0, 5.0),
        Parameter(
            "data",
            ONE_EXAMPLE,
            Text(
                "one made-up example, or a data set to learn the classes of; it sets the sizes of x and y",
                "架空の一例か、クラスを学習するデータセット (x と y の次元はデータで決まる)",
            ),
            choices=(ONE_EXAMPLE, *DATA_SETS),
        ),
        Parameter(
            "batch",
            16,
            Text(
                "examples of the data set in a batch; 0: all of them",
                "データセットからバッチに入れるサンプル数。0 なら全部",
            ),
            0,
            128,
        ),
    ),
    notations={"FF": Notation("sub", classifier.LETTERS)},
    formulas=(
        r"u^{(l)} = W^{(l)} z^{(l-1)} + b^{(l)},\qquad z^{(0)} = x",
        r"z^{(l)} = f(u^{(l)}),\qquad y = u^{(L)}",
        r"E = \frac{1}{2}\|y - d\|^2",
        r"E = -\frac{1}{B}\sum_{n=1}^{B}\sum_k d_{kn} \log p_{kn},\qquad p = \mathrm{softmax}(y)\quad"
        r"(\mathrm{data})",
        r"\delta^{(L)} = y - d,\qquad \delta^{(l)} = {W^{(l+1)}}^{\top}\delta^{(l+1)} \odot f'(u^{(l)})",
        r"\frac{\partial E}{\partial W^{(l)}} = \delta^{(l)} {z^{(l-1)}}^{\top},\qquad"
        r" \frac{\partial E}{\partial b^{(l)}} = \delta^{(l)}",
    ),
    chapters=(
        Chapter(
            "forward",
            Text("Forward: layer by layer", "順伝播: 層から層へ"),
            Text(
                "Each of the $layers layers does the same two things: a weighted sum `u = W z + b`, then a "
                "squashing `z = f(u)`. The last layer leaves the squashing out: `y` is its `u`.\n\n"
                "Follow `x` to the right. Every value that appears now will be needed again on the way "
                "back, which is why a network keeps them.\n\n"
                "*Misprint in the FF notes:* the sigmoid is printed `1/(1 + e^{−1})`; it is `1/(1 + "
                "e^{−x})`.",
                "$layers 個の層は、どれも同じ二つのことをします。重み付き和 `u = W z + b` と、活性化 `z = "
                "f(u)` です。最後の層では活性化を行わず、`u` がそのまま `y` になります。\n\n"
                "`x` が右へ進むのを追ってください。ここで現れる値は帰り道でもう一度使います。"
                "ネットワークが値を覚えておくのはそのためです。\n\n"
                "*FFノートの誤植:* シグモイドが `1/(1 + e^{−1})` とありますが、正しくは `1/(1 + e^{−x})` で"
                "す。",
            ),
            "start",
            "forward y",
        ),
        Chapter(
            "loss",
            Text("The error at the output", "出力での誤差"),
            Text(
                "`E = ½‖y − d‖²` compares the output with the target `d`. Its gradient is simply the "
                "difference: `∂E/∂y = y − d`. As the last layer has no squashing, this already is its "
                "`δ`.\n\n"
                "*Misprint in the FF notes:* they print `∂E/∂y = y − b`; `b` is the bias, the target is "
                "`d`.",
                "`E = ½‖y − d‖²` は出力を目標 `d` と比べます。勾配は単なる差で、`∂E/∂y = y − d` です。"
                "最後の層には活性化がないので、これがそのまま最後の層の `δ` になります。\n\n"
                "*FFノートの誤植:* `∂E/∂y = y − b` とありますが、`b` はバイアスです。"
                "正しくは目標の `d` です。",
            ),
            "forward E",
            "backward E",
            ("loss", "y"),
            ("y", "d", "E"),
        ),
        Chapter(
            "output-layer",
            Text("The last layer's weights", "出力層の重み"),
            Text(
                "A weight `w_ji` only touches `y_j`, and it was multiplied by `z_i`. So "
                "`∂E/∂w_ji = (y_j − d_j) z_i`: *error at its end times input at its start*. For the bias the "
                "input is 1, so `∂E/∂b = δ`.\n\n"
                "Watch `W_$layers` and `b_$layers`: they receive their gradient now.",
                "重み `w_ji` が影響するのは `y_j` だけで、掛けられた相手は `z_i` です。したがって "
                "`∂E/∂w_ji = (y_j − d_j) z_i`、つまり*出口の誤差 × 入口の値*となります。"
                "バイアスでは入口の値が 1 なので `∂E/∂b = δ` です。\n\n"
                "`W_$layers` と `b_$layers` に、いま勾配が届きます。",
            ),
            "backward y",
            "backward Wz_$layers",
            ("layer$layers", "parameters"),
            ("W_$layers", "b_$layers", "y"),
        ),
        Chapter(
            "hidden-layers",
            Text("δ goes back through the layers", "δ が層をさかのぼる"),
            Text(
                "`δ⁽ˡ⁾ = W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾ ⊙ f′(u⁽ˡ⁾)`: the transposed weights share the error out among the "
                "units, then each unit scales it by the slope of its squashing. A saturated unit has a "
                "slope near 0 and passes almost nothing.\n\n"
                "Compare the sizes of `∂E/∂u` from right to left: with `sigmoid` (slope ≤ 1/4) they shrink "
                "fast.\n\n"
                "*In the FF notes* the formula says `ReLU′(0) = 0` but the code sets 1 (`x >= 0`). It is a "
                "convention; here it is 0.",
                "`δ⁽ˡ⁾ = W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾ ⊙ f′(u⁽ˡ⁾)`: 転置した重みが誤差を各ユニットに割り振り、"
                "次に各ユニットが自分の活性化関数の傾きを掛けます。飽和したユニットの傾きはほぼ 0 なので、"
                "誤差をほとんど通しません。\n\n"
                "`∂E/∂u` の大きさを右から左へ比べてください。`sigmoid` (傾きは 1/4 以下) では急に小さくなり"
                "ます。\n\n"
                "*FFノートについて:* 式では `ReLU′(0) = 0` ですが、コードでは 1 (`x >= 0`) になっています。"
                "これは取り決めの問題で、ここでは 0 とします。",
            ),
            "backward y",
            "end",
            highlight=("u_*", "z_*"),
        ),
        Chapter(
            "all-weights",
            Text("One rule for every weight", "どの重みも同じ規則"),
            Text(
                "Once δ is known, every layer uses the same rule: `∂E/∂W⁽ˡ⁾ = δ⁽ˡ⁾ z⁽ˡ⁻¹⁾ᵀ` and `∂E/∂b⁽ˡ⁾ "
                "= δ⁽ˡ⁾`. One pass forward and one pass back give the gradient of *all* weights; trying "
                "each weight by hand would cost two forward passes per weight.\n\n"
                "Now change one number of `x` in the inspector and see all gradients answer.",
                "δ が分かれば、どの層も同じ規則です。`∂E/∂W⁽ˡ⁾ = δ⁽ˡ⁾ z⁽ˡ⁻¹⁾ᵀ`、`∂E/∂b⁽ˡ⁾ = δ⁽ˡ⁾`。"
                "行きと帰りの一往復で*すべての*重みの勾配が求まります。重みを一つずつ動かして調べると、"
                "重み一つにつき順伝播が二回必要です。\n\n"
                "インスペクタで `x` の数を一つ変え、すべての勾配が変わるのを見てください。",
            ),
            "backward y",
            "end",
            ("parameters",),
            ("W_*", "b_*"),
        ),
        Chapter(
            "batch",
            Text("Many examples at once", "たくさんのサンプルを一度に"),
            Text(
                "Set `data` to `moons`, `spirals`, `iris` or `digits`. `x` becomes a matrix with one example "
                "in each *column*, and so does every `u` and `z`: one product `W z` serves the whole batch, "
                "and the bias is added to each column.\n\n"
                "The outputs are now scores of classes: softmax makes probabilities `p` of them, and "
                "cross-entropy, averaged over the `B` examples, replaces `½‖y − d‖²`. The error at the "
                "output is as plain as before: `∂E/∂y = (p − d)/B`. And `δ zᵀ` adds up over the columns by "
                "itself, because that is what a product of matrices does.",
                "`data` を `moons`、`spirals`、`iris`、`digits` のどれかにしましょう。`x` は*列*ごとに一つの"
                "サンプルが入った行列になり、`u` と `z` も同じ形になります。一回の積 `W z` "
                "でバッチ全体を計算でき、バイアスは各列に加わります。\n\n"
                "出力はクラスのスコアになります。ソフトマックスで確率 `p` に変え、`½‖y − d‖²` の代わりに、"
                "`B` 個のサンプルで平均した交差エントロピーを使います。出力での誤差は相変わらず簡単で、"
                "`∂E/∂y = (p − d)/B` です。`δ zᵀ` を計算すれば、"
                "行列の積なので、列についての和も自然に取れています。",
            ),
            "start",
            "end",
            ("input", "loss", "parameters"),
            ("x", "y", "d", "E"),
        ),
    ),
    proofs=(
        Proof(
            "output-layer",
            Text("the last layer's weights", "出力層の重み"),
            r"\partial E/\partial w_{ji}^{(L)} = (y_j - d_j)\, z_i^{(L-1)}",
            _output_layer,
        ),
        Proof(
            "recursion",
            Text("δ goes back one layer", "δ の漸化式"),
            r"\delta^{(l)} = {W^{(l+1)}}^{\top}\delta^{(l+1)} \odot f'(u^{(l)})",
            _recursion,
        ),
        Proof(
            "weights",
            Text("all weights", "すべての重み"),
            r"\partial E/\partial W^{(l)} = \delta^{(l)} {z^{(l-1)}}^{\top}",
            _weights,
        ),
        Proof(
            "biases",
            Text("all biases", "すべてのバイアス"),
            r"\partial E/\partial b^{(l)} = \delta^{(l)}",
            _biases,
        ),
    ),
    errata=(
        Erratum("FF", "σ(x) = 1/(1+e^{−1})", "σ(x) = 1/(1+e^{−x})", Text("x was lost", "x が抜けている")),
        Erratum("FF", "∂E/∂y = y − b", "∂E/∂y = y − d", Text("d is the target", "d は目標値")),
        Erratum(
            "FF",
            "ReLU′(0) = 0 in the formula, 1 in the code (x >= 0)",
            "ReLU′(0) = 0",
            Text("a convention: 0 at 0", "取り決めの問題。ここでは 0 とする"),
        ),
    ),
    estimate=lambda p: 6 * p.layers + 8,
    data=data,
    score=share_right,
    recipe=_recipe,
)
def mlp(p: Any, leaves: Leaves) -> Any:
    batch = leaves.batch
    start = _start_on_data(p, leaves) if batch else _start(p, leaves)
    weights = [
        (leaves.parameter(f"W_{layer}", np.round(p.gain * W, 4) + 0.0), leaves.parameter(f"b_{layer}", b))
        for layer, (W, b) in enumerate(start, 1)
    ]
    with scope("input"):
        z = leaves.input("x", batch["x"] if batch else leaves.draw("x", (p.inputs,)))
    for layer, (W, b) in enumerate(weights, 1):
        with scope(f"layer{layer}"):
            Wz = named(f"Wz_{layer}", W @ z)
            u = Wz + b if batch else total([Wz, b])
            if layer == p.layers:
                y = named("y", u)
                break
            named(f"u_{layer}", u)
            # f(u) = u still gets a node of its own, so that z can be seen
            z = named(f"z_{layer}", 1.0 * u if p.activation == "linear" else activate(p.activation, u))
    with scope("loss"):
        if batch:
            return classifier.cross_entropy(y, leaves.target("d", batch["d"]))
        d = leaves.target("d", leaves.draw("d", (p.outputs,)))
        return named("E", squared_loss(y, d))


def _start(p: Any, leaves: Leaves) -> list[tuple[np.ndarray, np.ndarray]]:
    sizes = pairwise([p.inputs, *[p.units] * (p.layers - 1), p.outputs])
    return [
        (leaves.draw(f"W_{k}", (n, m), 0.7), leaves.draw(f"b_{k}", (n,), 0.2))
        for k, (m, n) in enumerate(sizes, 1)
    ]


def _start_on_data(p: Any, leaves: Leaves) -> list[tuple[np.ndarray, np.ndarray]]:
    features, classes = len(leaves.batch["x"]), len(leaves.batch["d"])
    return classifier.first_weights(leaves, [features, *[p.units] * (p.layers - 1), classes])
