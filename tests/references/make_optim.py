"""Make `optim.npz`: tracks of leaves under the optimisers and schedules of PyTorch.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_optim.py

Losses are written in torch operations; the test writes them anew with the engine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

STEPS = 50
# Optimiser here, options, optimiser there: the options have the same names. Steps that are too long for the
# ravine multiply round-off by a factor each, so that no two programs agree: these rates are small enough.
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("sgd", {"lr": 0.02}, "SGD"),
    ("momentum", {"lr": 0.01, "momentum": 0.9}, "SGD"),
    ("momentum", {"lr": 0.03, "momentum": 0.5}, "SGD"),
    ("rmsprop", {"lr": 0.01}, "RMSprop"),
    ("rmsprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3}, "RMSprop"),
    ("adam", {"lr": 0.05}, "Adam"),
    ("adam", {"lr": 0.02, "betas": [0.7, 0.95], "eps": 1e-3}, "Adam"),
    ("adagrad", {"lr": 0.1}, "Adagrad"),
    ("adagrad", {"lr": 0.2, "lr_decay": 0.05, "initial_accumulator_value": 0.1, "eps": 1e-3}, "Adagrad"),
    ("adadelta", {}, "Adadelta"),
    ("adadelta", {"lr": 0.1, "rho": 0.7, "eps": 1e-3}, "Adadelta"),
]
SCHEDULES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "step_decay": ({"step_size": 7, "gamma": 0.5}, "StepLR", {"step_size": 7, "gamma": 0.5}),
    "exponential": ({"gamma": 0.9}, "ExponentialLR", {"gamma": 0.9}),
    "cosine": ({"T_max": 60, "eta_min": 0.01}, "CosineAnnealingLR", {"T_max": 60, "eta_min": 0.01}),
    "warm_up": ({"steps": 10}, "LinearLR", {"start_factor": 0.1, "total_iters": 9}),
}


def start() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "p": np.array([-1.0, 0.6]),
        "W": np.round(rng.normal(size=(2, 3)), 2),
        "b": np.round(rng.normal(size=2), 2),
        "x": np.round(rng.normal(size=3), 2),
        "d": np.array([0.4, -0.3]),
    }


def loss(v: dict[str, torch.Tensor]) -> torch.Tensor:
    """A curved ravine in p, and a small network in W and b."""
    ravine = 0.5 * (v["p"][0] ** 2 + 10.0 * (v["p"][1] - v["p"][0] ** 2) ** 2)
    return ravine + 0.5 * ((torch.tanh(v["W"] @ v["x"] + v["b"]) - v["d"]) ** 2).sum()


def track(name: str, options: dict[str, Any], schedule: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Values of p, W and b in one row per step, and the rate of each step."""
    leaves = {k: torch.tensor(v, requires_grad=k in "pWb") for k, v in start().items()}
    moving = [leaves[k] for k in "pWb"]
    optimizer = getattr(torch.optim, name)(moving, **options, foreach=False)
    scheduler = None
    if schedule:
        _, theirs, settings = SCHEDULES[schedule]
        scheduler = getattr(torch.optim.lr_scheduler, theirs)(optimizer, **settings)
    rows, rates = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(leaves).backward()
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        rows.append(np.concatenate([leaf.detach().numpy().ravel() for leaf in moving]))
    return np.array(rows), np.array(rates)


def pushed(name: str, options: dict[str, Any], gradients: np.ndarray) -> np.ndarray:
    """Values of one leaf, from 1, that receives these gradients whatever its value is."""
    leaf = torch.ones(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([leaf], **options, foreach=False)
    rows = []
    for g in gradients:
        leaf.grad = torch.tensor(g)
        optimizer.step()
        rows.append(leaf.detach().numpy().copy())
    return np.array(rows)


def clipped(most: float) -> np.ndarray:
    """Gradients of p, W and b after clipping by value."""
    leaves = {k: torch.tensor(v, requires_grad=k in "pWb") for k, v in start().items()}
    loss(leaves).backward()
    torch.nn.utils.clip_grad_value_([leaves[k] for k in "pWb"], most)
    return np.concatenate([np.ravel(leaves[k].grad) for k in "pWb"])


def main() -> None:
    arrays: dict[str, Any] = {"torch": torch.__version__, **{f"start_{k}": v for k, v in start().items()}}
    rng = np.random.default_rng(6)
    arrays["gradients"] = rng.normal(size=(STEPS, 4)) * 10.0 ** rng.uniform(-3, 2, (STEPS, 1))
    cases = []
    for n, (ours, options, theirs) in enumerate(CASES):
        cases.append({"optimizer": ours, "options": options})
        arrays[f"track_{n}"], _ = track(theirs, options)
        arrays[f"pushed_{n}"] = pushed(theirs, options, arrays["gradients"])
    for name, (settings, _, _) in SCHEDULES.items():
        cases.append({"optimizer": "momentum", "options": {"lr": 0.02}, "schedule": name, "with": settings})
        options = {"lr": 0.02, "momentum": 0.9}
        arrays[f"track_{len(cases) - 1}"], arrays[f"rates_{name}"] = track("SGD", options, name)
    arrays["clipped"] = clipped(0.1)
    arrays["cases"] = json.dumps(cases)
    path = Path(__file__).with_name("optim.npz")
    np.savez_compressed(path, **arrays)
    print(path.name, len(cases), "cases", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
