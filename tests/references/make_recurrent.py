"""Make `lstm.npz`, `bptt.npz` and `mlp.npz`: losses and gradients by PyTorch for scenes of the catalogue.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_recurrent.py

The networks are written anew in torch operations; only the leaves' values come from the scenes, and a copy
of them is kept, so that a drift of the seeded values is told apart from a wrong gradient.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from scenes import SCENES  # noqa: E402  found through the line above
from scenes.scene import Recording  # noqa: E402

Leaves = dict[str, torch.Tensor]
SQUASH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": lambda u: u,
}


def half_square(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 0.5 * ((a - b) ** 2).sum()


def losses(leaves: Leaves, outputs: list[torch.Tensor], loss_at: str) -> torch.Tensor:
    every = loss_at == "every step"
    steps = [t for t in range(1, len(outputs) + 1) if every or t == len(outputs)]
    return torch.stack([half_square(outputs[t - 1], leaves[f"d_{t}"]) for t in steps]).sum()


def gate(v: Leaves, k: str, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """What gate k squashes; with a peephole where the leaf exists."""
    u = torch.nn.functional.linear(x, v[f"W_{k}"], v[f"b_{k}"]) + torch.mv(v[f"U_{k}"], h)
    return u + torch.mul(v[f"V_{k}"], c) if f"V_{k}" in v else u


def lstm(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """All four stages, cell by cell."""
    h, c, outputs = v["h_0"], v["c_0"], []
    for t in range(1, p["T"] + 1):
        x = v[f"x_{t}"]
        new = torch.tanh(gate(v, "c", x, h, c))
        if p["stage"] != "cec":
            new = torch.sigmoid(gate(v, "i", x, h, c)) * new
        if p["stage"] in ("forget", "peephole"):
            c = torch.sigmoid(gate(v, "f", x, h, c)) * c
        c = c + new
        read = torch.sigmoid(gate(v, "o", x, h, c)) if p["stage"] != "cec" else torch.ones_like(c)
        h = read * torch.tanh(c)
        outputs.append(h)
    return losses(v, outputs, p["loss_at"])


def nn_lstm(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """`torch.nn.LSTM` with our weights put one below the other in its order i, f, g, o."""
    joined = {
        "weight_ih_l0": torch.cat([v[f"W_{k}"] for k in "ifco"]),
        "weight_hh_l0": torch.cat([v[f"U_{k}"] for k in "ifco"]),
        "bias_ih_l0": torch.cat([v[f"b_{k}"] for k in "ifco"]),
        "bias_hh_l0": torch.zeros(4 * p["hidden"], dtype=torch.float64),
    }
    module = torch.nn.LSTM(p["inputs"], p["hidden"], dtype=torch.float64)
    x = torch.stack([v[f"x_{t}"] for t in range(1, p["T"] + 1)])
    states, _ = torch.func.functional_call(module, joined, (x, (v["h_0"][None], v["c_0"][None])))
    return losses(v, list(states), p["loss_at"])


def bptt(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    z, outputs = v["z_0"], []
    for t in range(1, p["T"] + 1):
        z = SQUASH[p["activation"]](v["W_in"] @ v[f"x_{t}"] + v["W"] @ z + v["b"])
        outputs.append(v["W_out"] @ z + v["c"])
        if p["truncate"] and t % p["truncate"] == 0:
            z = z.detach()
    return losses(v, outputs, p["loss_at"])


def nn_rnn(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """`torch.nn.RNN` with a linear read-out."""
    joined = {
        "weight_ih_l0": v["W_in"],
        "weight_hh_l0": v["W"],
        "bias_ih_l0": v["b"],
        "bias_hh_l0": torch.zeros_like(v["b"]),
    }
    module = torch.nn.RNN(p["inputs"], p["hidden"], nonlinearity=p["activation"], dtype=torch.float64)
    x = torch.stack([v[f"x_{t}"] for t in range(1, p["T"] + 1)])
    states, _ = torch.func.functional_call(module, joined, (x, v["z_0"][None]))
    return losses(v, [v["W_out"] @ z + v["c"] for z in states], p["loss_at"])


def mlp(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    z = v["x"]
    for layer in range(1, p["layers"] + 1):
        u = torch.nn.functional.linear(z, v[f"W_{layer}"], v[f"b_{layer}"])
        z = SQUASH[p["activation"]](u)
    return half_square(u, v["d"])


NETWORKS = {"lstm": lstm, "nn_lstm": nn_lstm, "bptt": bptt, "nn_rnn": nn_rnn, "mlp": mlp}


def cases(scene: str) -> list[dict[str, Any]]:
    """What is compared: network, parameters and seed."""
    found = []
    if scene == "lstm":
        for T, inputs, hidden, seed in ((1, 2, 2, 0), (3, 2, 2, 1), (7, 3, 4, 2)):
            sizes = {"T": T, "inputs": inputs, "hidden": hidden}
            for stage in ("cec", "gates", "forget", "peephole"):
                for loss_at in ("every step", "last step"):
                    values = sizes | {"stage": stage, "loss_at": loss_at}
                    found.append({"network": "lstm", "values": values, "seed": seed})
                    if stage == "forget":
                        found.append({"network": "nn_lstm", "values": values, "seed": seed + 3})
    elif scene == "bptt":
        for T, inputs, hidden, outputs, seed in ((1, 2, 3, 2, 0), (3, 2, 3, 2, 1), (7, 3, 5, 2, 2)):
            sizes = {"T": T, "inputs": inputs, "hidden": hidden, "outputs": outputs}
            for activation in ("tanh", "sigmoid", "relu", "linear"):
                for loss_at in ("every step", "last step"):
                    values = sizes | {"activation": activation, "loss_at": loss_at}
                    found.append({"network": "bptt", "values": values, "seed": seed})
                    if activation in ("tanh", "relu"):
                        found.append({"network": "nn_rnn", "values": values, "seed": seed + 3})
        found += [{"network": "bptt", "values": {"T": 7, "truncate": k}, "seed": k} for k in (1, 2, 3)]
    else:
        for layers, inputs, units, outputs, seed in ((1, 2, 3, 2, 0), (3, 2, 3, 2, 1), (6, 4, 5, 3, 2)):
            sizes = {"layers": layers, "inputs": inputs, "units": units, "outputs": outputs}
            for activation in ("tanh", "sigmoid", "relu", "linear"):
                found.append({"network": "mlp", "values": sizes | {"activation": activation}, "seed": seed})
    return found


def by_torch(network: str, recording: Recording) -> tuple[float, dict[str, np.ndarray]]:
    """The loss, and the gradient of every leaf that has one here, by torch's own autograd."""
    kinds = {leaf.name: leaf.kind for leaf in recording.graph.leaves()}
    leaves = {
        name: torch.tensor(recording.value(name), requires_grad=kind in ("parameter", "input"))
        for name, kind in kinds.items()
        if kind != "constant"
    }
    loss = NETWORKS[network](recording.parameters, leaves)
    loss.backward()
    grads = {}
    for name, leaf in leaves.items():
        if leaf.requires_grad:
            grads[name] = (leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)).numpy()
    return loss.item(), grads


def main() -> None:
    for scene in ("lstm", "bptt", "mlp"):
        arrays: dict[str, Any] = {"torch": torch.__version__}
        listed, totals = cases(scene), []
        for k, case in enumerate(listed):
            recording = SCENES[scene].build(case["values"], seed=case["seed"])
            loss, grads = by_torch(case["network"], recording)
            totals.append(loss)
            case["leaves"] = list(grads)
            # one array a case: a thousand small ones are mostly file headers
            arrays[f"value_{k}"] = np.concatenate([recording.value(name).ravel() for name in grads])
            arrays[f"grad_{k}"] = np.concatenate([grad.ravel() for grad in grads.values()])
        arrays |= {"cases": json.dumps(listed), "loss": np.array(totals)}
        path = HERE / f"{scene}.npz"
        np.savez_compressed(path, **arrays)
        print(path.name, len(listed), "cases", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
