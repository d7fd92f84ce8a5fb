"""Make `learning.npz`: losses and gradients by PyTorch for the scenes that learn from data, and tracks.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_learning.py

The networks are written anew in torch operations; only the leaves' values come from the scenes, and a copy
of them is kept, so that a drift of the seeded values is told apart from a wrong gradient. The tracks of the
scene `optimizers` are made by `torch.optim` itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from scenes import SCENES  # noqa: E402  found through the line above
from scenes.foundations import augmentation as pictures  # noqa: E402
from scenes.foundations.optimizers import RATES  # noqa: E402
from scenes.scene import Recording  # noqa: E402

FILE = HERE / "learning.npz"
STEPS, RAVINE, START = 50, 20.0, (-2.0, 1.0)  # of the tracks
Leaves = dict[str, torch.Tensor]
SQUASH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": lambda u: u,
}


def perceptron(v: Leaves, layers: int, squash: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Scores with examples in rows, as torch has them."""
    z = v["x"].T
    for k in range(1, layers + 1):
        z = F.linear(z, v[f"W_{k}"], v[f"b_{k}"][:, 0])
        z = squash(z) if k < layers else z
    return z


def mlp(r: Recording, v: Leaves) -> torch.Tensor:
    p = r.parameters
    return F.cross_entropy(perceptron(v, int(p["layers"]), SQUASH[str(p["activation"])]), v["d"].T)


def mini_batch(r: Recording, v: Leaves) -> torch.Tensor:
    return F.cross_entropy(F.linear(v["x"].T, v["W"], v["b"][:, 0]), v["d"].T)


def overfit_small_batch(r: Recording, v: Leaves) -> torch.Tensor:
    y = perceptron(v, 2, torch.tanh)
    return F.cross_entropy(F.softmax(y, dim=1) if r.parameters["bug"] == "softmax twice" else y, v["d"].T)


def early_stopping(r: Recording, v: Leaves) -> torch.Tensor:
    return F.cross_entropy(perceptron(v, 2, torch.tanh), v["d"].T)


def transfer_learning(r: Recording, v: Leaves) -> torch.Tensor:
    return F.cross_entropy(perceptron(v, int(r.parameters["layers"]), torch.tanh), v["d"].T)


def augmentation(r: Recording, v: Leaves) -> torch.Tensor:
    """The planes as channels, (3, rows, columns)."""
    p, size = r.parameters, int(r.parameters["size"])

    def planes(a: torch.Tensor) -> torch.Tensor:
        return a.reshape(size, 3, size).transpose(0, 1)

    x = planes(v["x"])
    versions = [x, torch.flip(x, (2,))]
    for rows, columns in (
        pictures.turned(size, float(p["angle"])),
        pictures.cropped(size, float(p["crop"]), r.seed),
    ):
        versions.append(x[:, torch.from_numpy(rows), torch.from_numpy(columns)])
    versions += [x + v["tint"].reshape(3, 1, size), x + planes(v["grain"]), x * planes(v["m"])]
    versions.append(torch.lerp(x.mean().expand_as(x), x, float(p["contrast"])))
    y = torch.stack([torch.sum(version * planes(v["w"])) for version in versions])
    return 0.5 * F.mse_loss(y, v["d"], reduction="sum")


def optimizers(r: Recording, v: Leaves) -> torch.Tensor:
    """Every rule written out, because `torch.optim` can not be differentiated."""
    p, w, a, eta = r.parameters, v["w_0"], v["A"], v["eta"]
    beta, other, name = float(p["beta"]), float(p["beta_2"]), p["optimizer"]
    m = s = u = torch.zeros_like(w)
    for k in range(1, int(p["steps"]) + 1):
        g = a * w
        if name == "SGD":
            w = w - eta * g
        elif name == "Momentum":
            m = beta * m + (1 - beta if p["average"] else 1.0) * g
            w = w - eta * m
        elif name == "Adam":
            m, s = torch.lerp(g, m, beta), torch.lerp(g.square(), s, other)
            first, second = (1 - beta**k, 1 - other**k) if p["bias_correction"] else (1.0, 1.0)
            w = torch.addcdiv(w, m / first, (s / second).sqrt() + v["epsilon"], value=-float(eta))
        elif name == "Adadelta":
            s = torch.lerp(g.square(), s, beta)
            change = g * ((u + v["epsilon"]) / (s + v["epsilon"])).sqrt()
            u = torch.lerp(change.square(), u, beta)
            w = w - eta * change
        else:
            s = s + g.square() if name == "Adagrad" else torch.lerp(g.square(), s, beta)
            w = torch.addcdiv(w, g, s.sqrt() + v["epsilon"], value=-float(eta))
    return 0.5 * torch.dot(a, w.square())


NETWORKS: dict[str, Callable[[Recording, Leaves], torch.Tensor]] = {
    "mlp": mlp,
    "mini-batch": mini_batch,
    "overfit-small-batch": overfit_small_batch,
    "early-stopping": early_stopping,
    "transfer-learning": transfer_learning,
    "augmentation": augmentation,
    "optimizers": optimizers,
}
VARIED: dict[str, dict[str, tuple[Any, ...]]] = {
    "mlp": {
        "data": ("moons", "spirals", "iris", "digits"),
        "layers": (1, 3),
        "activation": ("tanh", "relu"),
        "batch": (5,),
    },
    "mini-batch": {"form": ("each example", "one product"), "batch": (1, 4, 0)},
    "overfit-small-batch": {
        "labels": ("true", "shuffled"),
        "bug": ("none", "zero weights", "softmax twice"),
        "batch": (3,),
    },
    "early-stopping": {"units": (3, 16), "noise": (0.1, 0.4)},
    "transfer-learning": {
        "frozen": ("none", "most", "all but the last"),
        "layers": (2, 4),
        "turn": (0.0, 90.0),
    },
    "augmentation": {"size": ("8",), "angle": (-20.0, 15.0), "crop": (0.5, 1.0)},
    "optimizers": {
        "optimizer": tuple(RATES),
        "steps": (1, 6),
        "average": (False, True),
        "bias_correction": (False, True),
    },
}


def cases(scene: str) -> list[dict[str, Any]]:
    """What is compared: every combination of the varied parameters, each with another seed."""
    varied = VARIED[scene]
    return [
        {"scene": scene, "values": dict(zip(varied, values, strict=True)), "seed": seed}
        for seed, values in enumerate(product(*varied.values()))
    ]


def by_torch(recording: Recording) -> tuple[float, dict[str, np.ndarray]]:
    """The loss, and the gradient of every leaf that has one here, by torch's own autograd."""
    leaves = {
        leaf.name: torch.tensor(leaf.value, requires_grad=leaf.kind in ("parameter", "input"))
        for leaf in recording.graph.leaves()
    }
    learned = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
    loss = NETWORKS[recording.scene.id](recording, leaves)
    loss.backward()
    return loss.item(), {
        name: (leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)).numpy()
        for name, leaf in learned.items()
    }


def tracks() -> dict[str, np.ndarray]:
    """Where `torch.optim` walks on the ravine, (STEPS + 1, 2) for each of the six."""
    made: dict[str, Callable[[list[torch.Tensor]], torch.optim.Optimizer]] = {
        "SGD": lambda w: torch.optim.SGD(w, RATES["SGD"]),
        "Momentum": lambda w: torch.optim.SGD(w, RATES["Momentum"], momentum=0.9),
        "RMSprop": lambda w: torch.optim.RMSprop(w, RATES["RMSprop"], alpha=0.9, eps=1e-8),
        "Adam": lambda w: torch.optim.Adam(w, RATES["Adam"], betas=(0.9, 0.999), eps=1e-8),
        "Adagrad": lambda w: torch.optim.Adagrad(w, RATES["Adagrad"], eps=1e-10),
        "Adadelta": lambda w: torch.optim.Adadelta(w, RATES["Adadelta"], rho=0.9, eps=1e-6),
    }
    found = {}
    for name, make in made.items():
        w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
        optimizer, positions = make([w]), [w.detach().numpy().copy()]
        for _ in range(STEPS):
            optimizer.zero_grad()
            (0.5 * torch.dot(torch.tensor([1.0, RAVINE], dtype=torch.float64), w.square())).backward()
            optimizer.step()
            positions.append(w.detach().numpy().copy())
        found[name] = np.array(positions)
    return found


def main() -> None:
    arrays: dict[str, Any] = {"torch": torch.__version__}
    listed, totals = [case for scene in NETWORKS for case in cases(scene)], []
    for k, case in enumerate(listed):
        recording = SCENES[case["scene"]].build(case["values"], seed=case["seed"])
        loss, grads = by_torch(recording)
        totals.append(loss)
        case["leaves"] = list(grads)
        # one array a case: a thousand small ones are mostly file headers
        arrays[f"value_{k}"] = np.concatenate([recording.value(name).ravel() for name in grads])
        arrays[f"grad_{k}"] = np.concatenate([grad.ravel() for grad in grads.values()])
    arrays |= {f"track_{name}": track for name, track in tracks().items()}
    arrays |= {"cases": json.dumps(listed), "loss": np.array(totals)}
    np.savez_compressed(FILE, **arrays)
    print(FILE.name, len(listed), "cases", FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
