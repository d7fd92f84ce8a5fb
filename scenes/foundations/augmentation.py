"""One photograph, eight versions of it under the same label, and what each of them teaches the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Graph, Tensor, scope, tensor
from scenes.bricks import constant, named, squared_loss
from scenes.data_sets import flower
from scenes.scene import Chapter, Leaves, Notation, Parameter, Proof, Recording, Text, scene

VERSIONS = ("original", "flip", "rotation", "crop", "colour", "noise", "cut-out", "contrast")
HOLE = 0.4  # side of what is cut out, as a part of the picture's
Places = tuple[np.ndarray, np.ndarray]  # for every pixel (row, column) the row and column it is taken from


def photograph(size: int) -> np.ndarray:
    """The red, the green and the blue plane side by side: (size, 3·size)."""
    return np.round(np.concatenate(np.moveaxis(flower(size), 2, 0), axis=1), 3)


def mirrored(size: int) -> Places:
    """Left and right exchanged."""
    i, j = np.indices((size, size))
    return i, size - 1 - j


def turned(size: int, degrees: float) -> Places:
    """The nearest pixel under a rotation about the middle; beyond the edge the pixel at the edge."""
    middle, angle = (size - 1) / 2, np.deg2rad(degrees)
    i, j = np.indices((size, size)) - middle
    rows, columns = i * np.cos(angle) + j * np.sin(angle), j * np.cos(angle) - i * np.sin(angle)
    return _nearest(rows + middle, size), _nearest(columns + middle, size)


def cropped(size: int, share: float, seed: int) -> Places:
    """A square of that share of the side, at a place drawn from the seed, enlarged to the whole."""
    side = max(1, round(share * size))
    top, left = np.random.default_rng([seed, 5]).integers(0, size - side + 1, 2)
    i, j = np.indices((size, size)) * side // size
    return i + top, j + left


def grain(size: int, spread: float, seed: int) -> np.ndarray:
    """Noise for every number of the picture, (size, 3·size)."""
    return np.round(spread * np.random.default_rng([seed, 6]).normal(size=(size, 3 * size)), 3) + 0.0


def mask(size: int, seed: int) -> np.ndarray:
    """1 for what stays, 0 in a square hole at a place drawn from the seed: (size, 3·size)."""
    side = max(1, round(HOLE * size))
    top, left = np.random.default_rng([seed, 7]).integers(0, size - side + 1, 2)
    kept = np.ones((size, size))
    kept[top : top + side, left : left + side] = 0.0
    return np.tile(kept, 3)


def tint(size: int, seed: int) -> np.ndarray:
    """What is added to all of red, of green and of blue: (3·size,)."""
    return np.repeat(np.round(np.random.default_rng([seed, 8]).uniform(-0.25, 0.25, 3), 2) + 0.0, size)


def _nearest(place: np.ndarray, size: int) -> np.ndarray:
    return np.clip(np.round(place), 0, size - 1).astype(int)


def _at(places: Places) -> Places:
    """The index that takes all three planes from these places."""
    rows, columns = places
    return np.tile(rows, 3), np.concatenate([columns + k * len(rows) for k in range(3)], axis=1)


def _size(r: Recording) -> int:
    return int(r.parameters["size"])


def _places(r: Recording) -> dict[str, Places]:
    p = r.parameters
    return {
        "rotation": turned(_size(r), float(p["angle"])),
        "crop": cropped(_size(r), float(p["crop"]), r.seed),
    }


def _planes(r: Recording, picture: np.ndarray) -> np.ndarray:
    """(rows, 3, columns)."""
    return picture.reshape(_size(r), 3, _size(r))


def _by_hand(r: Recording) -> np.ndarray:
    """All versions of the picture, (8, size, 3·size)."""
    x, c = r.value("x"), float(r.value("c"))
    planes = _planes(r, x)
    moved = [np.stack([planes[i, k, j] for k in range(3)], axis=1) for i, j in _places(r).values()]
    return np.stack(
        [
            x,
            *(m.reshape(x.shape) for m in (np.flip(planes, axis=2), *moved)),
            x + tint(_size(r), r.seed),
            x + grain(_size(r), float(r.parameters["noise"]), r.seed),
            x * mask(_size(r), r.seed),
            c * x + (1 - c) * x.mean(),
        ]
    )


def _errors(r: Recording) -> np.ndarray:
    """y − d of every version."""
    return np.sum(_by_hand(r) * r.value("w"), axis=(1, 2)) - r.value("d")


def _weights(r: Recording) -> tuple[Any, Any]:
    return r.grad("w"), np.tensordot(_errors(r), _by_hand(r), 1)


def _pixels(r: Recording) -> tuple[Any, Any]:
    """∂E/∂x: w goes back through every version, to where the pixels came from."""
    w, c = r.value("w"), float(r.value("c"))
    planes = _planes(r, w)
    moved = [np.flip(planes, axis=2)]
    for i, j in _places(r).values():
        moved.append(np.zeros_like(planes))
        for k in range(3):
            np.add.at(moved[-1][:, k], (i, j), planes[:, k])
    back = [w, *(m.reshape(w.shape) for m in moved), w, w, w * mask(_size(r), r.seed)]
    return r.grad("x"), np.tensordot(_errors(r), np.stack([*back, c * w + (1 - c) * w.mean()]), 1)


def _twice(r: Recording) -> tuple[Any, Any]:
    index = _at(mirrored(_size(r)))
    with Graph():
        return tensor(r.value(_name("flip")))[index].value, r.value("x")


def _seeded(r: Recording) -> tuple[Any, Any]:
    """Crop and noise, and those of another recording with the same seed."""
    again = r.scene.build(r.parameters, seed=r.seed)
    again["x"].value = r.value("x")
    again.graph.forward()
    got, wanted = (np.stack([of.value(_name("crop")), of.value(_name("noise"))]) for of in (r, again))
    return got, wanted


def _hole(r: Recording) -> tuple[Any, Any]:
    """What the version with a hole sends to the pixels in it."""
    sent = [g for consumer, g in r.contributions("x") if consumer.scope == ("cut-out",)]
    engine = np.sum(sent, axis=0) * (1 - mask(_size(r), r.seed))
    return engine, np.zeros_like(engine)


def _name(version: str) -> str:
    return f"v_{VERSIONS.index(version) + 1}"


@scene(
    "augmentation",
    family="foundations",
    title=Text("Data augmentation", "データ拡張"),
    summary=Text(
        "A flower that is mirrored, turned a little, cropped, tinted or made noisy is still a flower. "
        "So one photograph makes eight examples with the same label, and the weights learn from all of them.",
        "花の写真は、左右を反転しても、少し回しても、切り抜いても、色を変えても、ノイズを加えても花です。"
        "一枚の写真から同じラベルのサンプルが八つでき、重みはそのすべてから学習します。",
    ),
    source="CS",
    parameters=(
        Parameter(
            "size",
            "12",
            Text("pixels along each side of the photograph", "写真の一辺のピクセル数"),
            choices=("8", "12", "24", "48"),
        ),
        Parameter("angle", 15.0, Text("degrees of the rotation", "回転の角度 (度)"), -45.0, 45.0),
        Parameter("crop", 0.75, Text("share of the side that is kept", "切り抜く辺の割合"), 0.3, 1.0),
        Parameter("noise", 0.1, Text("spread of the noise", "ノイズの標準偏差"), 0.0, 0.5),
        Parameter("contrast", 1.5, Text("c, factor on the contrast", "コントラストの倍率 c"), 0.2, 3.0),
    ),
    notations={
        "CS": Notation("sub", {"mean": "x̄", "apart": "x−x̄", "stretched": "", "tint": "t", "grain": "n"})
    },
    formulas=(
        r"v_k = T_k\,x,\qquad y_k = w \cdot v_k,\qquad d_1 = \ldots = d_8",
        r"E = \frac{1}{2} \sum_{k=1}^{8} (y_k - d_k)^2",
        r"\frac{\partial E}{\partial w} = \sum_k (y_k - d_k)\, v_k",
        r"\frac{\partial E}{\partial x} = \sum_k (y_k - d_k)\, T_k^{\top} w",
    ),
    chapters=(
        Chapter(
            "photograph",
            Text("One photograph", "一枚の写真"),
            Text(
                "`x` is a photograph of a dahlia, $size by $size pixels. Its strip shows the three colours "
                "one beside the other: the red plane, in which the flower is bright, then green, then blue. "
                "Numbers run from 0 (dark) to 1 (bright).\n\n"
                "Photographs with labels are expensive. What can be had from this one for nothing?",
                "`x` はダリアの写真で、$size × $size ピクセルです。帯には三つの色が並んでいます。"
                "花が明るく写っている赤、次に緑、そして青です。数は 0 (暗い) から 1 (明るい) までです。\n\n"
                "ラベルのついた写真を集めるには手間がかかります。"
                "この一枚から、ただで何が得られるでしょうか。",
            ),
            "start",
            "forward y",
            highlight=("x",),
        ),
        Chapter(
            "versions",
            Text("Eight versions, one label", "八通りの画像、同じラベル"),
            Text(
                "*Original*; *flip*, left and right exchanged; *rotation* by $angle degrees; *crop*, a part "
                "of the picture enlarged, its place drawn at random; *colour*, a little more or less of red, "
                "green and blue; *noise* on every pixel; *cut-out*, a square that is wiped out; *contrast*, "
                "stretched about the mean.\n\n"
                "Each is still a dahlia, so each keeps the label: all eight numbers in `d` are the same. "
                "That is knowledge of *ours* about the world, handed to the network. A digit may not be "
                "mirrored: it might turn into another one, or into none.",
                "*original* はそのまま、*flip* は左右反転、*rotation* は $angle 度の回転、*crop* "
                "は乱数で決めた場所を切り抜いて拡大、*colour* は赤・緑・青を少し増減、*noise* "
                "は全ピクセルへのノイズ、*cut-out* は正方形の部分の消去、*contrast* "
                "は平均を中心にした引き伸ばしです。\n\n"
                "どれもダリアに違いないので、ラベルは変わりません。`d` の八つの数はすべて同じです。"
                "これは世界についての*私たちの*知識であり、それをネットワークに渡しているのです。"
                "数字の画像なら左右反転はできません。別の数字や、数字でないものになってしまうからです。",
            ),
            "start",
            "forward y",
            highlight=("v_*",),
        ),
        Chapter(
            "batch",
            Text("They become a batch", "バッチになる"),
            Text(
                "The eight versions are stacked to a batch `X`, and the same weights `w` score them all: "
                "`y_k = w · v_k`. A real network would stand here; one product is enough to see the point. "
                "Read `y`: though all eight show the same flower, the untrained `w` gives each another "
                "score. Training on them makes the scores equal.",
                "八枚の画像を重ねてバッチ `X` にし、同じ重み `w` ですべてを採点します: `y_k = w · v_k`。"
                "本物なら深いネットワークが入るところですが、要点を見るには積一つで十分です。`y` "
                "を読んでください。同じ花なのに、学習前の `w` はそれぞれに違う点をつけます。"
                "学習すると点がそろっていきます。",
            ),
            "forward y",
            "forward E",
            highlight=("X", "y", "d", "E"),
        ),
        Chapter(
            "weights",
            Text("The weights hear all eight", "重みは八つすべてに学ぶ"),
            Text(
                "`∂E/∂w = Σ (y_k − d_k) v_k`: every version pulls at the weights with its own pixels. A "
                "weight that helps in one place only is pulled to and fro, as the flower is now here and now "
                "there; what helps in all versions adds up. So augmentation works against overfitting, like "
                "dropout and weight penalties.",
                "`∂E/∂w = Σ (y_k − d_k) v_k`: どの画像も自分のピクセルで重みを引っ張ります。"
                "花の位置は画像ごとに変わるので、一か所でしか役に立たない重みはあちこちに引かれ、"
                "どの画像でも役立つものは積み重なります。だからデータ拡張は、"
                "ドロップアウトや重みの正則化と同じく、過学習を抑えます。",
            ),
            "backward E",
            "backward y",
            ("loss", "parameters"),
            ("w", "X"),
        ),
        Chapter(
            "pixels",
            Text("Back to the pixels", "ピクセルまで戻る"),
            Text(
                "Each version is a plain calculation, so the error runs back through it, and every pixel's "
                "share arrives where that pixel came from: mirrored through the flip, turned back through "
                "the rotation. What the crop left out gets nothing, and into the hole of the cut-out goes "
                "exactly 0: *what was thrown away can not be blamed*.\n\n"
                "Select `x`: the inspector lists the instalments, version by version. Change the seed, and "
                "crop, colour, noise and hole move.",
                "どの変換もただの計算なので、誤差はそこを逆に通り、"
                "各ピクセルの分はそのピクセルがもとあった場所に届きます。"
                "flip では左右が元に戻り、rotation では回転が元に戻ります。crop "
                "で切り捨てた部分には何も届かず、cut-out の穴に届くのはちょうど 0 です。"
                "*捨てたものに責任はない*のです。\n\n"
                "`x` を選ぶと、インスペクタに画像ごとの分が並びます。シードを変えると、"
                "切り抜く場所、色、ノイズ、穴が変わります。",
            ),
            "backward y",
            "end",
            highlight=("x", "v_*"),
        ),
    ),
    proofs=(
        Proof(
            "versions",
            Text("all eight versions", "八枚の画像すべて"),
            r"v_k = T_k\,x",
            lambda r: (r.value("X").reshape(len(VERSIONS), *r["x"].shape), _by_hand(r)),
        ),
        Proof(
            "flip-twice",
            Text("mirrored twice is the original", "二回反転すると元に戻る"),
            r"T_{flip}\,T_{flip}\,x = x",
            _twice,
            exact=True,
        ),
        Proof(
            "seeded",
            Text("the seed decides on crop and noise", "切り抜きとノイズはシードで決まる"),
            r"v_k(\mathrm{seed}) = v_k(\mathrm{seed})",
            _seeded,
            exact=True,
        ),
        Proof(
            "weights",
            Text("every version pulls at the weights", "どの画像も重みを引っ張る"),
            r"\frac{\partial E}{\partial w} = \sum_k (y_k - d_k)\, v_k",
            _weights,
        ),
        Proof(
            "pixels",
            Text("the error goes back to where the pixels came from", "誤差はピクセルの元の場所に戻る"),
            r"\frac{\partial E}{\partial x} = \sum_k (y_k - d_k)\, T_k^{\top} w",
            _pixels,
        ),
        Proof(
            "hole",
            Text("nothing goes into the hole", "穴には何も届かない"),
            r"m_{ij} = 0 \Rightarrow \frac{\partial y_{cut}}{\partial x_{ij}} = 0",
            _hole,
            exact=True,
        ),
    ),
    estimate=lambda p: 34,
    recipe=lambda p: {"optimizer": "sgd", "lr": 0.001, "epochs": 50},
)
def augmentation(p: Any, leaves: Leaves) -> Any:
    size = int(p.size)
    w = leaves.parameter("w", leaves.draw("w", (size, 3 * size), 1 / size))
    with scope("input"):
        x = leaves.input("x", photograph(size))
    versions = []
    for k, version in enumerate(VERSIONS, 1):
        with scope(version):
            made = _version(p, leaves, version, x)
            # in scalar form a flip or a crop takes the pixels' own nodes, and they have their names
            versions.append(named(f"v_{k}", made) if isinstance(made, Tensor) else made)
    with scope("joined"):
        X = ag.reshape(ag.stack(versions), shape=(len(VERSIONS), 3 * size * size))
        X = named("X", X) if isinstance(X, Tensor) else X
    with scope("loss"):
        y = named("y", X @ ag.reshape(w, shape=(3 * size * size,)))
        d = leaves.target("d", np.ones(len(VERSIONS)))
        return named("E", squared_loss(y, d))


def _version(p: Any, leaves: Leaves, version: str, x: Any) -> Any:
    size, seed = int(p.size), leaves.seed
    if version == "flip":
        return x[_at(mirrored(size))]
    if version == "rotation":
        return x[_at(turned(size, p.angle))]
    if version == "crop":
        return x[_at(cropped(size, p.crop, seed))]
    if version == "colour":
        return x + leaves.constant("tint", tint(size, seed))
    if version == "noise":
        return x + leaves.constant("grain", grain(size, p.noise, seed))
    if version == "cut-out":
        return x * leaves.constant("m", mask(size, seed))
    if version == "contrast":
        mean = named("mean", ag.mean(x))
        return named("stretched", constant(leaves, "c", p.contrast) * named("apart", x - mean)) + mean
    return 1.0 * x
