"""Vanishing and exploding gradients: a plain RNN, a carousel and an LSTM side by side on one sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import at_time, scope
from scenes.bricks import SLOPES, local_derivative, lstm_cell, named, rnn_cell, squared_loss, within
from scenes.recurrent.layers import (
    ACTIVATION,
    GAMMA,
    INPUTS,
    NOTATION,
    gate_weights,
    hidden,
    letters_note,
    orthogonal,
    steps,
)
from scenes.scene import Chapter, Erratum, Leaves, Notation, Parameter, Proof, Recording, Text, scene

STEEPEST = {"tanh": 1.0, "sigmoid": 0.25, "relu": 1.0, "linear": 1.0}  # the largest f′ that there is


def _errors(r: Recording, letter: str) -> np.ndarray:
    """‖∂E/∂letter_t‖ for t = 1 … T."""
    return np.array([np.linalg.norm(r.grad(f"{letter}_{t}")) for t in steps(r)])


def _factor(r: Recording) -> tuple[Any, Any]:
    """What one step back multiplies the norm with, in the same scene with a linear f."""
    linear = r.scene.build(r.parameters | {"activation": "linear"}, seed=r.seed)
    norms = _errors(linear, "z")
    return norms[:-1] / norms[1:], np.full(len(norms) - 1, float(r.parameters["gain"]))


def _recursion(r: Recording) -> tuple[Any, Any]:
    slope, W, T = SLOPES[str(r.parameters["activation"])], r.value("W"), steps(r)[-1]
    error = {T: r.value(f"z_{T}") - r.value("d")}
    for t in range(T - 1, 0, -1):
        error[t] = W.T @ (error[t + 1] * slope(r.value(f"u_{t + 1}")))
    return np.stack([r.grad(f"z_{t}") for t in steps(r)]), np.stack([error[t] for t in steps(r)])


def _bound(r: Recording) -> tuple[Any, Any]:
    norms, T = _errors(r, "z"), steps(r)[-1]
    each = np.linalg.norm(r.value("W"), 2) * STEEPEST[str(r.parameters["activation"])]
    return within(norms, 0.0, norms[-1] * each ** (T - np.array(steps(r))))


def _carousel(r: Recording) -> tuple[Any, Any]:
    got = np.stack([r.grad(f"C_{t}") for t in steps(r)])
    return got, np.broadcast_to(r.grad(f"C_{steps(r)[-1]}"), got.shape)


def _cell(r: Recording) -> tuple[Any, Any]:
    """∂c_t/∂c_{t−1} along the straight line × → + of the LSTM."""
    path = [local_derivative(r, f"c_{t}", 0) * local_derivative(r, f"keep_{t}", 1) for t in steps(r)]
    return np.stack(path), np.stack([r.value(f"f_{t}") for t in steps(r)])


_PRODUCTS = {"keep": "", "write": ""}
_NOTATIONS = {
    "RN": Notation("sup", _PRODUCTS),
    "CS": Notation(
        "angle",
        # what comes out of the LSTM has an index: the RNN's activation stands beside it
        _PRODUCTS | GAMMA | {"z": "a", "h": "a_c", "a": "C̃", "d": "y", "E": "L"},
    ),
}
_NOTE = letters_note(_NOTATIONS)


@scene(
    "vanishing-gradient",
    family="recurrent",
    title=Text("Vanishing and exploding gradients", "勾配消失・勾配爆発"),
    summary=Text(
        "Three memories read the same sequence and are judged at its end. On the way back the error of the "
        "plain RNN is multiplied at every step, that of the carousel is not, that of the LSTM by its forget "
        "gate.",
        "三つの記憶が同じ系列を読み、最後に評価されます。逆向きの誤差は、普通のRNNでは時刻ごとに何倍かされ、"
        "CECではそのまま、LSTMでは忘却ゲートの値だけ掛けられます。",
    ),
    source="RN, CS",
    parameters=(
        Parameter("T", 6, Text("number of time steps", "時刻の数"), 2, 50),
        INPUTS,
        hidden("the states z, C and c", "状態 z、C、c"),
        ACTIVATION,
        Parameter(
            "gain",
            0.7,
            Text(
                "spectral radius of W, which is gain times an orthogonal matrix: drag it through 1",
                "W のスペクトル半径。W は直交行列の gain 倍。1 をまたいで動かしてみる",
            ),
            0.1,
            3.0,
        ),
        Parameter(
            "forget_bias",
            2.0,
            Text(
                "added to the LSTM's b_f: the larger, the nearer its gate is to 1",
                "LSTMの b_f に加える値。大きいほど忘却ゲートが 1 に近づく",
            ),
            -5.0,
            5.0,
        ),
        NOTATION,
    ),
    notations=_NOTATIONS,
    formulas=(
        r"\frac{\partial E}{\partial z^{t-1}} = W^{\top}\left(\frac{\partial E}{\partial z^{t}} \odot "
        r"f'(u^t)\right)",
        r"\left\|\frac{\partial E}{\partial z^{t}}\right\| \le \left(\|W\|\,\max f'\right)^{T-t}"
        r"\left\|\frac{\partial E}{\partial z^{T}}\right\|",
        r"f(u) = u,\ W = g\,Q,\ Q^{\top}Q = I:\quad "
        r"\log\left\|\frac{\partial E}{\partial z^{t}}\right\| = (T-t)\log g + "
        r"\log\left\|\frac{\partial E}{\partial z^{T}}\right\|",
        r"\frac{\partial C^t}{\partial C^{t-1}} = 1,\qquad \frac{\partial c^t}{\partial c^{t-1}} = f^t"
        r"\quad(\mathrm{direct})",
    ),
    chapters=(
        Chapter(
            "three-memories",
            Text("Three memories, one sequence", "三つの記憶、一つの系列"),
            Text(
                "The same inputs `x` go into three networks: a plain **RNN** with the state `z`, a "
                "**carousel** that only adds to `C`, and an **LSTM** with the cell `c`. After $T steps each "
                "is compared with the same target `d`, and nothing is asked of them before.\n\n"
                "So everything that the first input can still learn has to come back from the very end. How "
                "much of it arrives?"
                f"{_NOTE.en}",
                "同じ入力 `x` を三つのネットワークに入れます。状態 `z` をもつ普通の**RNN**、"
                "`C` に足していくだけの**CEC**、セル `c` をもつ**LSTM**です。$T 時刻のあと、"
                "三つとも同じ目標 `d` と比べます。途中では何も問われません。\n\n"
                "したがって、最初の入力について学べることはすべて、系列の最後から戻ってこなければなりません。"
                "さて、どれだけ届くでしょうか。"
                f"{_NOTE.ja}",
            ),
            "start",
            "forward E",
            highlight=("z_*", "C_*", "c_*"),
        ),
        Chapter(
            "the-start",
            Text("The error where it starts", "出発点の誤差"),
            Text(
                "At the last step each network has an error of its own: `z − d`, `C − d`, `h − d`. Which of "
                "them is larger does not matter here. Remember the colours of each: from here on the only "
                "question is what every step back does to them.",
                "最後の時刻では、それぞれのネットワークに `z − d`、`C − d`、`h − d` という誤差が生じます。"
                "どれが大きいかは、ここでは問題ではありません。それぞれの色を覚えておいてください。"
                "ここから先の問題はただ一つ、一時刻さかのぼるたびに誤差がどうなるかです。",
            ),
            "forward E",
            "backward h_$T",
            ("*/t=$T", "loss"),
            ("z_$T", "C_$T", "h_$T", "E"),
        ),
        Chapter(
            "rnn",
            Text("The RNN multiplies at every step", "RNNは時刻ごとに掛け算をする"),
            Text(
                "One step back costs the RNN two factors: the slope `f′(u)` and the matrix `Wᵀ`. Both come "
                "again at every step, so that after k steps the error is multiplied by something like the "
                "k-th *power* of one number. Here the spectral radius of `W` is **$gain**.\n\n"
                "Below 1 the power dies out: the gradient **vanishes**, and the first steps learn nothing. "
                "Above 1 it grows without end: the gradient **explodes**. The slope of tanh is at most 1 "
                "and that of the sigmoid at most 0.25, so they can only make it smaller.\n\n"
                "*Misprint in the RN notes:* the recursion is printed `δ^{t−z−1} = δ^{t−z}{W f(u)}`; the "
                "factor is the slope `f′(u)`.",
                "RNNでは一時刻さかのぼるたびに、傾き `f′(u)` と行列 `Wᵀ` の二つが掛かります。"
                "これが毎時刻繰り返されるので、k 時刻前の誤差には、ある数の k *乗*のようなものが掛かります。"
                "ここでの `W` のスペクトル半径は **$gain** です。\n\n"
                "1 より小さければ何乗もするうちに 0 に近づき、勾配は**消失**して、最初のほうの時刻は何も学べ"
                "ません。1 より大きければ際限なく大きくなり、勾配は**爆発**します。tanhの傾きは最大でも 1、"
                "シグモイドは最大でも 0.25 なので、これらは誤差を小さくするほうにしか働きません。\n\n"
                "*RNノートの誤植:* 漸化式が `δ^{t−z−1} = δ^{t−z}{W f(u)}` とありますが、"
                "掛かるのは傾き `f′(u)` です。",
            ),
            "backward z_$T",
            "backward z_1",
            ("*/rnn",),
            ("z_*", "u_*", "W"),
        ),
        Chapter(
            "carousel",
            Text("The carousel multiplies by 1", "CECは 1 を掛ける"),
            Text(
                "`C^t = C^{t−1} + a^t`: the derivative of a sum is **exactly 1**, and 1 to any power is 1. "
                "The error at the first `C` is the error at the last one, bit for bit, whatever `gain` "
                "is.\n\n"
                "*Misprint in the RN notes:* they print `∂/∂C^{t−1}{a^t − C^{t−1}}`, which would be −1; it "
                "is `a^t + C^{t−1}`.",
                "`C^t = C^{t−1} + a^t` です。和の微分は**ちょうど 1** で、1 は何乗しても 1 です。"
                "`gain` がいくつでも、最初の `C` の誤差は最後の `C` の誤差と、最後のビットまで一致します。"
                "\n\n"
                "*RNノートの誤植:* `∂/∂C^{t−1}{a^t − C^{t−1}}` とありますが、これでは −1 になってしまいます。"
                "正しくは `a^t + C^{t−1}` です。",
            ),
            "backward C_$T",
            "backward C_1",
            ("*/cec",),
            ("C_*",),
        ),
        Chapter(
            "lstm",
            Text("The LSTM multiplies by what it wants", "LSTMは掛ける数を自分で決める"),
            Text(
                "Along the straight line from cell to cell the derivative is the forget gate, "
                "`∂c_t/∂c_{t−1} = f_t`: a number between 0 and 1 that the network *learns*, element by "
                "element and step by step. Near 1 it is a carousel; near 0 it has forgotten, and then no "
                "error is wanted either.\n\n"
                "Move `forget_bias` from −5 to 5 and watch the gradient of the first `c`. That is why the "
                "bias of the forget gate is often started at 1 or more.",
                "セルからセルへの直線に沿った微分は忘却ゲートそのもので、`∂c_t/∂c_{t−1} = f_t` です。"
                "0 と 1 の間の数で、成分ごと、時刻ごとに、ネットワークが*学習して*決めます。1 に近ければCECと"
                "同じ、0 に近ければ忘れたということで、そのときは誤差が戻ってくる必要もありません。\n\n"
                "`forget_bias` を −5 から 5 まで動かして、最初の `c` の勾配を見てください。"
                "忘却ゲートのバイアスを最初は 1 以上にしておくことが多いのは、このためです。",
            ),
            "backward h_$T",
            "end",
            ("*/lstm",),
            ("c_*", "f_*"),
        ),
        Chapter(
            "log-axis",
            Text("A straight line on a log axis", "対数軸では直線になる"),
            Text(
                "Open *Gradient flow over time* (Ctrl+1) and choose `z`. A power is a straight line "
                "on a logarithmic axis. Set `activation` to *linear*: because `W` is $gain times an "
                "orthogonal matrix, which turns and keeps lengths, every step back multiplies the norm by "
                "exactly **gain**, and the slope of the line is `log gain`.\n\n"
                "Now drag `gain` slowly through 1. The line tips over: falling, level, rising. Level is a "
                "knife's edge, and training never stays on it. Then compare `C` and `c`.",
                "「勾配の流れ (時間方向)」(Ctrl+1) を開き、`z` を選んでください。"
                "何乗もされる量は、対数軸では直線になります。`activation` を *linear* にすると、"
                "`W` は長さを変えない直交行列の $gain 倍なので、一時刻さかのぼるたびにノルムはちょうど "
                "**gain** 倍になり、直線の傾きは `log gain` になります。\n\n"
                "次に `gain` を、1 をまたいでゆっくり動かしてみましょう。直線は右下がりから水平、"
                "右上がりへと傾きを変えます。水平になるのは一点だけで、"
                "学習中にそこへとどまることはありません。"
                "`C` や `c` とも比べてみてください。",
            ),
            "backward z_$T",
            "end",
            highlight=("z_*", "C_*", "c_*"),
        ),
    ),
    proofs=(
        Proof(
            "factor",
            Text(
                "linear f, W = gain × orthogonal: one step back multiplies by gain",
                "f が線形で W が直交行列の gain 倍なら、一時刻で gain 倍",
            ),
            r"\left\|\partial E/\partial z^{t-1}\right\| / \left\|\partial E/\partial z^{t}\right\| = g",
            _factor,
        ),
        Proof(
            "recursion",
            Text("the RNN's error, step by step", "RNNの誤差の漸化式"),
            r"\partial E/\partial z^{t-1} = W^{\top}(\partial E/\partial z^{t} \odot f'(u^t))",
            _recursion,
        ),
        Proof(
            "bound",
            Text("the RNN's error stays below a power", "RNNの誤差はべき乗で抑えられる"),
            r"\|\partial E/\partial z^{t}\| \le (\|W\| \max f')^{T-t}\,\|\partial E/\partial z^{T}\|",
            _bound,
        ),
        Proof(
            "carousel",
            Text("the carousel's error never changes", "CECの誤差は変わらない"),
            r"\partial E/\partial C^{t} = \partial E/\partial C^{T}",
            _carousel,
            exact=True,
        ),
        Proof(
            "cell",
            Text("the LSTM's direct path is its forget gate", "LSTMの直接の経路は忘却ゲート"),
            r"\partial c^t/\partial c^{t-1} = f^t",
            _cell,
            exact=True,
        ),
    ),
    errata=(
        Erratum(
            "RN",
            "δ^{t−z−1} = δ^{t−z}{W f(u)}",
            "δ^{t−z−1} = δ^{t−z}{W f′(u)}",
            Text("the slope of f", "f の傾き"),
        ),
        Erratum(
            "RN",
            "∂/∂C^{t−1}{a^t − C^{t−1}} (−1)",
            "∂/∂C^{t−1}{a^t + C^{t−1}} (+1)",
            Text("the carousel adds", "カルーセルは足し算"),
        ),
    ),
    folded=("*/lstm/*",),
    estimate=lambda p: 36 * p.T + 30,
)
def vanishing_gradient(p: Any, leaves: Leaves) -> Any:
    n = p.hidden
    rnn = {
        "W_in": leaves.parameter("W_in", leaves.draw("W_in", (n, p.inputs), 0.3)),
        "W": leaves.parameter("W", p.gain * orthogonal(leaves, "W", n)),
        "b": leaves.parameter("b", leaves.draw("b", (n,), 0.2)),
    }
    WC_in = leaves.parameter("WC_in", leaves.draw("WC_in", (n, p.inputs), 0.3))
    gates = gate_weights(leaves, "fioc", p.inputs, n, forget_bias=p.forget_bias)
    with scope("initial"):
        z, C, h, c = (leaves.input(f"{letter}_0", np.zeros(n)) for letter in ("z", "C", "h", "c"))
    for t in range(1, p.T + 1):
        with scope("input"), at_time(t):
            x = leaves.input(f"x_{t}", leaves.draw(f"x_{t}", (p.inputs,)))
        with scope("rnn"), at_time(t):
            z = rnn_cell(rnn, x, z, str(t), activation=p.activation)
        with scope("cec"), at_time(t):
            C = named(f"C_{t}", C + named(f"a_{t}", ag.tanh(WC_in @ x)))
        with scope("lstm"), at_time(t):
            h, c = lstm_cell(gates, x, h, c, str(t))
    with scope("loss"):
        d = leaves.target("d", leaves.draw("d", (n,)))
        ends = {"rnn": z, "cec": C, "lstm": h}
        return named("E", ag.add_n([named(f"L_{k}", squared_loss(y, d)) for k, y in ends.items()]))
