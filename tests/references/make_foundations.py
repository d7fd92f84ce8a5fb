"""Make `foundations.npz`: losses and gradients by PyTorch for the foundation scenes of one layer.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_foundations.py

The networks are written anew in torch operations; only the leaves' values and dropout's mask come from the
scenes, and a copy of them is kept, so that a drift of the seeded values is told apart from a wrong gradient.
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
from scenes.scene import Recording  # noqa: E402

FILE = HERE / "foundations.npz"
Leaves = dict[str, torch.Tensor]
SQUASH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}


def half_square(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 0.5 * F.mse_loss(a, b, reduction="sum")


def dense(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    joined = torch.mv(v["Wprime"], torch.cat([v["I"], torch.ones(1, dtype=torch.float64)]))
    return half_square(F.linear(v["I"], v["W"], v["b"]), v["d"]) + half_square(joined, v["d"])


def activations(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    functions = SQUASH | {
        "leaky_relu": lambda u: F.leaky_relu(u, p["epsilon"]),
        "elu": lambda u: F.elu(u, p["alpha"]),
        "softmax": lambda u: F.softmax(u, dim=-1),
    }
    z = v["x"]
    for _ in range(p["chain"]):
        z = functions[p["function"]](z)
    return z[0] if p["function"] == "softmax" else z.sum()


def cross_entropy(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    u = F.linear(v["x"], v["W"], v["b"])
    if p["kind"] == "binary":
        return F.binary_cross_entropy_with_logits(u, v["y"], reduction="sum")
    return F.cross_entropy(u[None], v["y"][None], reduction="sum")


def batch_norm(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    def norm(x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, v["gamma"], v["beta"], training=True, eps=p["epsilon"])

    u, f = v["x"] @ v["W"], SQUASH[p["activation"]]
    return half_square(f(norm(u)) if p["placement"] == "before f" else norm(f(u)), v["d"])


def dropout(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    z = SQUASH[p["activation"]](F.linear(v["x"], v["W_1"], v["b_1"]))
    if p["mode"] == "train":
        z = torch.where(v["mask"] > 0, z / (1 - p["p"]), torch.zeros_like(z))
    return half_square(F.linear(z, v["W_2"], v["b_2"]), v["d"])


def weight_penalties(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    alpha = {"LASSO": 0.0, "Ridge": 1.0, "Elastic Net": p["mix"]}[p["penalty"]]
    size = (1 - alpha) * torch.linalg.vector_norm(v["theta"], 1)
    size = size + alpha * torch.dot(v["theta"], v["theta"])
    return half_square(torch.mv(v["x"], v["theta"]), v["d"]) + p["strength"] * size


NETWORKS: dict[str, Callable[[dict[str, Any], Leaves], torch.Tensor]] = {
    "dense": dense,
    "activations": activations,
    "cross-entropy": cross_entropy,
    "batch-norm": batch_norm,
    "dropout": dropout,
    "weight-penalties": weight_penalties,
}
VARIED: dict[str, dict[str, tuple[Any, ...]]] = {
    "dense": {"inputs": (1, 3, 7), "outputs": (1, 4)},
    "activations": {
        "function": ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softmax"),
        "chain": (1, 4),
        "epsilon": (0.03,),
        "alpha": (0.7,),
    },
    "cross-entropy": {
        "kind": ("binary", "categorical"),
        "form": ("spelled out", "one operation"),
        "classes": (2, 5),
        "gain": (0.3, 1.0),  # a loss next to 0 is what is left of a difference and has fewer digits
    },
    "batch-norm": {
        "placement": ("before f", "after f"),
        "form": ("spelled out", "one operation"),
        "activation": ("tanh", "sigmoid", "relu"),
        "batch": (3, 8),
        "epsilon": (1e-5, 0.1),
    },
    "dropout": {
        "mode": ("train", "eval"),
        "form": ("spelled out", "one operation"),
        "activation": ("tanh", "relu"),
        "p": (0.0, 0.3, 0.8),
    },
    "weight-penalties": {
        "penalty": ("LASSO", "Ridge", "Elastic Net"),
        "strength": (0.0, 0.5, 3.0),
        "mix": (0.2,),
        "batch": (1, 6),
    },
}


def cases(scene: str) -> list[dict[str, Any]]:
    """What is compared: every combination of the varied parameters, each with another seed."""
    varied = VARIED[scene]
    combinations = product(*varied.values())
    return [
        {"scene": scene, "values": dict(zip(varied, values, strict=True)), "seed": seed}
        for seed, values in enumerate(combinations)
    ]


def mask(recording: Recording) -> np.ndarray | None:
    """The mask that a dropout scene drew, wherever it keeps it."""
    if "m" in recording.graph.names:
        return recording.value("m")
    return recording["a"].attrs.get("mask") if "a" in recording.graph.names else None


def by_torch(recording: Recording) -> tuple[float, dict[str, np.ndarray]]:
    """The loss, and the gradient of every leaf that has one here, by torch's own autograd."""
    kinds = {leaf.name: leaf.kind for leaf in recording.graph.leaves()}
    leaves = {
        name: torch.tensor(recording.value(name), requires_grad=kind in ("parameter", "input"))
        for name, kind in kinds.items()
        if kind != "constant"
    }
    learned = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
    drawn = mask(recording) if recording.scene.id == "dropout" else None
    if drawn is not None:
        leaves["mask"] = torch.tensor(drawn)
    loss = NETWORKS[recording.scene.id](recording.parameters, leaves)
    loss.backward()
    return loss.item(), {
        name: (leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)).numpy()
        for name, leaf in learned.items()
    }


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
    arrays |= {"cases": json.dumps(listed), "loss": np.array(totals)}
    np.savez_compressed(FILE, **arrays)
    print(FILE.name, len(listed), "cases", FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
