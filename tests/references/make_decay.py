"""Make `decay.npz`: parameters after each of 50 updates with weight decay by the optimisers of PyTorch.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_decay.py

The network is the scene `mlp` on all of the two moons, written anew in torch operations; the examples and the
first values come from the scene and are kept beside the results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from scenes import SCENES  # noqa: E402  found through the line above

FILE = HERE / "decay.npz"
VALUES = {"data": "moons", "layers": 2, "units": 4, "batch": 0}
RATE, DECAY, CLIP, UPDATES = 0.05, 0.03, 0.4, 50
NAMES = ("W_1", "b_1", "W_2", "b_2")
Make = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda w: torch.optim.SGD(w, RATE, weight_decay=DECAY),
    "momentum": lambda w: torch.optim.SGD(w, RATE, momentum=0.9, weight_decay=DECAY),
    "rmsprop": lambda w: torch.optim.RMSprop(w, RATE, weight_decay=DECAY),
    "adam": lambda w: torch.optim.Adam(w, RATE, weight_decay=DECAY),
    "adagrad": lambda w: torch.optim.Adagrad(w, RATE, weight_decay=DECAY),
    "adadelta": lambda w: torch.optim.Adadelta(w, RATE, weight_decay=DECAY),
}


def walk(
    make: Make, start: dict[str, np.ndarray], x: torch.Tensor, d: torch.Tensor, clip: float
) -> np.ndarray:
    """All parameters in one row after 0, 1, … UPDATES updates."""
    w = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    optimizer = make(w.values())
    rows = []
    for _ in range(UPDATES + 1):
        rows.append(np.concatenate([value.detach().numpy().ravel() for value in w.values()]))
        optimizer.zero_grad()
        z = torch.tanh(F.linear(x, w["W_1"], w["b_1"][:, 0]))
        F.cross_entropy(F.linear(z, w["W_2"], w["b_2"][:, 0]), d).backward()
        if clip:
            norm = torch.linalg.vector_norm(torch.cat([value.grad.ravel() for value in w.values()]))
            for value in w.values():  # exactly g · clip/‖g‖; clip_grad_norm_ divides by ‖g‖ + 1e-6
                value.grad *= min(1.0, clip / float(norm))
        optimizer.step()
    return np.array(rows)


def main() -> None:
    recording = SCENES["mlp"].build(VALUES)
    start = {name: recording.value(name).copy() for name in NAMES}
    x, d = (torch.tensor(recording.value(name).T.copy()) for name in ("x", "d"))
    found: dict[str, Any] = {f"start/{name}": value for name, value in start.items()}
    found |= {"x": x.numpy(), "d": d.numpy()}
    for name, make in OPTIMIZERS.items():
        found[f"walk/{name}"] = walk(make, start, x, d, 0.0)
    found["walk/adam clipped"] = walk(OPTIMIZERS["adam"], start, x, d, CLIP)
    np.savez_compressed(FILE, **found)
    print(FILE, torch.__version__, FILE.stat().st_size)


if __name__ == "__main__":
    main()
