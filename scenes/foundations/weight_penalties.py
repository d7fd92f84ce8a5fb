"""LASSO, Ridge and Elastic Net: a second gradient that pulls every weight towards 0."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import scope
from scenes.bricks import constant, named, squared_loss
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene


def _shares(r: Recording) -> tuple[float, float]:
    """λ times the share of ‖θ‖₁, and λ times the share of ‖θ‖₂²."""
    strength = float(r.value("lambda"))
    if r.parameters["penalty"] == "Elastic Net":
        alpha = float(r.value("alpha"))
        return strength * (1 - alpha), strength * alpha
    return (strength, 0.0) if r.parameters["penalty"] == "LASSO" else (0.0, strength)


def _pull(r: Recording) -> np.ndarray:
    first, second = _shares(r)
    return first * np.sign(r.value("theta")) + second * 2 * r.value("theta")


def _push(r: Recording) -> np.ndarray:
    x = r.value("x")
    return x.T @ (x @ r.value("theta") - r.value("d"))


def _arrived(r: Recording, part: str) -> np.ndarray:
    """What the engine sent to θ from one part of the picture."""
    sent = [g for consumer, g in r.contributions("theta") if consumer.scope == (part,)]
    return np.sum(sent, axis=0)


def _value(r: Recording) -> tuple[Any, Any]:
    first, second = _shares(r)
    theta, error = r.value("theta"), r.value("x") @ r.value("theta") - r.value("d")
    return r.value("J"), error @ error / 2 + first * np.abs(theta).sum() + second * theta @ theta


def _total(r: Recording) -> tuple[Any, Any]:
    return r.grad("theta"), _push(r) + _pull(r)


@scene(
    "weight-penalties",
    family="foundations",
    title=Text("LASSO, Ridge, Elastic Net", "重みの正則化"),
    summary=Text(
        "The loss gets a second term that grows with the weights. Its gradient pulls every weight towards "
        "0: by a fixed amount (LASSO), in proportion to it (Ridge), or both (Elastic Net).",
        "損失に、重みとともに大きくなる項を加えます。その勾配はどの重みも 0 に引き寄せます。一定の力で "
        "(LASSO)、重みに比例して (Ridge)、またはその両方で (Elastic Net)。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "penalty",
            "LASSO",
            Text("which term is added to the loss", "損失に加える項の種類"),
            choices=("LASSO", "Ridge", "Elastic Net"),
        ),
        Parameter("strength", 0.5, Text("λ, how strong the penalty is", "λ。正則化の強さ"), 0.0, 5.0),
        Parameter(
            "mix",
            0.5,
            Text("α of Elastic Net: 0 is LASSO, 1 is Ridge", "Elastic Netの α。0 で LASSO、1 で Ridge"),
            0.0,
            1.0,
        ),
        Parameter("weights", 5, Text("number of weights θ", "重み θ の個数"), 2, 32),
        Parameter(
            "batch", 3, Text("examples that the weights are fitted to", "当てはめるサンプルの数"), 1, 32
        ),
    ),
    notations={
        "CS": Notation(
            "sub",
            {"theta": "θ", "lambda": "λ", "alpha": "α", "norm_1": "‖θ‖", "norm_2": "‖θ‖²", "Omega": "Ω"}
            | {"sizes": "|θ|", "squares": "θ²", "rest": "1−α", "share_1": "", "share_2": ""},
        )
    },
    formulas=(
        r"J = E + \lambda \|\theta\|_1\quad(\mathrm{LASSO})",
        r"J = E + \lambda \|\theta\|_2^2\quad(\mathrm{Ridge})",
        r"J = E + \lambda\left[(1 - \alpha)\|\theta\|_1 + \alpha \|\theta\|_2^2\right]"
        r"\quad(\mathrm{Elastic\;Net})",
        r"\frac{\partial}{\partial \theta}\,\lambda\|\theta\|_1 = \lambda\,\mathrm{sign}\,\theta,\qquad"
        r" \frac{\partial}{\partial \theta}\,\lambda\|\theta\|_2^2 = 2\lambda\theta",
    ),
    chapters=(
        Chapter(
            "two-terms",
            Text("Two wishes in one loss", "一つの損失に二つの願い"),
            Text(
                "The upper way is the model: `y = x·θ` for $batch examples, compared with `d`. The lower "
                "way looks at nothing but the weights: `$penalty` measures how large they are, and `λ = "
                "$strength` says how much that counts. `J = E + P` wants both: *fit the data* and *stay "
                "small*.\n\n"
                "With more weights than examples ($weights against $batch) the data alone leave many "
                "answers open.",
                "上の道はモデルです。$batch 個のサンプルについて `y = x·θ` を計算し、`d` と比べます。"
                "下の道は重みだけを見ます。`$penalty` が重みの大きさを測り、`λ = $strength` "
                "がその重要さを決めます。`J = E + P` は*データに合わせる*ことと*小さくとどまる*ことの両"
                "方を求めます。\n\n"
                "重みのほうがサンプルより多い ($weights 個と $batch 個) とき、"
                "データだけでは答えが一つに定まりません。",
            ),
            "start",
            "forward J",
            highlight=("theta", "E", "P", "J"),
        ),
        Chapter(
            "penalty-gradient",
            Text("The pull towards zero", "0 へ引く力"),
            Text(
                "First the penalty sends its part to `θ`. LASSO: `λ·sign θ`, the same pull however small "
                "the weight is, so small weights reach 0 and stay there. Ridge: `2λθ`, a pull that fades "
                "with the weight, so weights become small but hardly ever 0. Elastic Net mixes them with "
                "`α`.\n\n"
                "Look at the weight that is exactly 0: `sign 0 = 0`, nothing pulls. Switch `penalty` and "
                "compare the strip.",
                "まず正則化の項が `θ` に勾配を送ります。LASSO では `λ·sign θ` で、"
                "重みがどんなに小さくても同じ力で引くため、小さい重みは 0 に達してそこにとどまります。"
                "Ridge では `2λθ` で、重みとともに力も弱まるため、小さくはなってもほとんど 0 "
                "にはなりません。Elastic Net は両者を `α` で混ぜます。\n\n"
                "ちょうど 0 の重みを見てください。`sign 0 = 0` なので引かれません。`penalty` "
                "を切り替えて帯を比べましょう。",
            ),
            "backward J",
            "backward E",
            ("penalty", "theta", "total"),
            ("theta", "P"),
        ),
        Chapter(
            "sum",
            Text("Push and pull add up", "二つの勾配の和"),
            Text(
                "Then the data send theirs, `xᵀ(y − d)`. The gradient of `θ` arrives in instalments and "
                "is their sum: select `θ`, the inspector lists them one by one. Where push and pull "
                "cancel, the weight rests.\n\n"
                "Move `strength`: at 0 only the data speak; at 5 nearly every weight is told to shrink.",
                "次にデータが自分の分 `xᵀ(y − d)` を送ります。`θ` の勾配は分割で届き、その和になります。"
                "`θ` を選ぶと、インスペクタに一つずつ並びます。"
                "押す力と引く力がつり合うところで重みは止まります。\n\n"
                "`strength` を動かしましょう。0 ではデータだけが語り、5 "
                "ではほぼすべての重みに「縮め」と伝わります。",
            ),
            "backward E",
            "end",
            ("data", "penalty", "parameters"),
            ("theta",),
        ),
    ),
    proofs=(
        Proof(
            "value",
            Text("the loss with its penalty", "正則化を含む損失"),
            r"J = E + \lambda\,\Omega(\theta)",
            _value,
        ),
        Proof(
            "pull",
            Text("the penalty's part of the gradient", "正則化の項の勾配"),
            r"\lambda\,\mathrm{sign}\,\theta,\quad 2\lambda\theta,\quad"
            r" \lambda[(1 - \alpha)\,\mathrm{sign}\,\theta + 2\alpha\theta]",
            lambda r: (_arrived(r, "penalty"), _pull(r)),
        ),
        Proof(
            "push",
            Text("the data's part of the gradient", "データの項の勾配"),
            r"\frac{\partial E}{\partial \theta} = x^{\top}(x\,\theta - d)",
            lambda r: (_arrived(r, "data"), _push(r)),
        ),
        Proof(
            "total",
            Text("both parts together", "両方の和"),
            r"\frac{\partial J}{\partial \theta} = x^{\top}(x\,\theta - d) + \lambda\,\Omega'(\theta)",
            _total,
        ),
    ),
    estimate=lambda p: 24,
)
def weight_penalties(p: Any, leaves: Leaves) -> Any:
    draw = leaves.draw
    start = draw("theta", (p.weights,))
    start[1] = 0.0  # one weight that LASSO has already brought to 0
    theta = leaves.parameter("theta", start)
    with scope("data"):
        x = leaves.input("x", draw("x", (p.batch, p.weights)))
        d = leaves.target("d", draw("d", (p.batch,)))
        E = named("E", squared_loss(named("y", x @ theta), d))
    with scope("penalty"):
        P = named("P", constant(leaves, "lambda", p.strength) * _penalty(p, leaves, theta))
    with scope("total"):
        return named("J", E + P)


def _penalty(p: Any, leaves: Leaves, theta: Any) -> Any:
    """Ω(θ): ‖θ‖₁, ‖θ‖₂² or the mix of both."""

    def norm1() -> Any:
        return named("norm_1", ag.sum(named("sizes", ag.abs(theta))))

    def norm2() -> Any:
        return named("norm_2", ag.sum(named("squares", theta**2)))

    if p.penalty != "Elastic Net":
        return norm1() if p.penalty == "LASSO" else norm2()
    alpha = constant(leaves, "alpha", p.mix)
    first = named("share_1", named("rest", 1.0 - alpha) * norm1())
    return named("Omega", first + named("share_2", alpha * norm2()))
