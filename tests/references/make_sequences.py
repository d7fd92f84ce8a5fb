"""Make `rnnlm.npz`, `memory.npz` and others: losses and gradients by PyTorch for scenes of sequences.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_sequences.py

The networks are torch's own layers and losses, or written anew in torch operations; only the leaves' values
come from the scenes, and a copy of them is kept, so that a drift of the seeded values is told apart from a
wrong gradient. `gradient-clipping` also keeps what `torch.nn.utils` makes of the gradient.
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


def sequence(p: dict[str, Any], v: Leaves, name: str) -> torch.Tensor:
    """Leaves of every step, (T, batch, size); a leaf is one vector or has a column for each example."""
    steps = [v[f"{name}_{t}"] for t in range(1, p["T"] + 1)]
    return torch.stack([x[None] if x.ndim == 1 else x.T for x in steps])


def lstm_states(v: Leaves, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """`torch.nn.LSTM` on (T, batch, inputs), our weights one below the other in its order i, f, g, o."""
    hidden, inputs = v["W_i"].shape
    joined = {
        "weight_ih_l0": torch.cat([v[f"W_{k}"] for k in "ifco"]),
        "weight_hh_l0": torch.cat([v[f"U_{k}"] for k in "ifco"]),
        "bias_ih_l0": torch.cat([v[f"b_{k}"].reshape(-1) for k in "ifco"]),
        "bias_hh_l0": torch.zeros(4 * hidden, dtype=torch.float64),
    }
    module = torch.nn.LSTM(inputs, hidden, dtype=torch.float64)
    states, _ = torch.func.functional_call(module, joined, (x, (h[None], c[None])))
    return states


def rnn_states(v: Leaves, x: torch.Tensor, z: torch.Tensor, f: str) -> torch.Tensor:
    """`torch.nn.RNN` on (T, batch, inputs) where it knows f, else step by step."""
    hidden, inputs = v["W_in"].shape
    b = v["b"].reshape(-1)
    if f not in ("tanh", "relu"):
        states = []
        for row in x:
            z = SQUASH[f](torch.nn.functional.linear(row, v["W_in"], b) + z @ v["W"].T)
            states.append(z)
        return torch.stack(states)
    joined = {
        "weight_ih_l0": v["W_in"],
        "weight_hh_l0": v["W"],
        "bias_ih_l0": b,
        "bias_hh_l0": torch.zeros_like(b),
    }
    module = torch.nn.RNN(inputs, hidden, nonlinearity=f, dtype=torch.float64)
    states, _ = torch.func.functional_call(module, joined, (x, z[None]))
    return states


def vanishing(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    x = sequence(p, v, "x")
    ends = [
        rnn_states(v, x, v["z_0"][None], p["activation"])[-1, 0],
        v["C_0"] + torch.tanh(x[:, 0] @ v["WC_in"].T).sum(dim=0),
        lstm_states(v, x, v["h_0"][None], v["c_0"][None])[-1, 0],
    ]
    return torch.stack([half_square(end, v["d"]) for end in ends]).sum()


def clipping(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    z = v["z_0"]
    for t in range(1, p["T"] + 1):
        z = SQUASH[p["activation"]](torch.mv(v["W"], z) + v[f"x_{t}"])
    return half_square(z, v["d"])


def rnnlm(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    e = sequence(p, v, "x") @ v["E"].T
    states = rnn_states(v, e, v["z_0"].T, p["activation"])
    scores = torch.nn.functional.linear(states, v["W_out"], v["c"].reshape(-1))
    words = sequence(p, v, "d").argmax(dim=-1)
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), words.flatten())


def memory(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    x = sequence(p, v, "x")
    if p["cell"] == "lstm":
        states = lstm_states(v, x, v["h_0"].T, v["c_0"].T)
    else:
        states = rnn_states(v, x, v["z_0"].T, "tanh")
    out = torch.nn.functional.linear(states[-1], v["W_out"], v["c"].reshape(-1))
    if p["task"] == "adding":
        return 0.5 * torch.nn.functional.mse_loss(out, v["d"].T)
    return torch.nn.functional.cross_entropy(out, v["d"].T.argmax(dim=-1))


def ngram(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    terms = []
    for t in range(1, p["T"] + 1):
        C = v[f"C_{t}"]
        model: Any = torch.distributions.Categorical(probs=C + v["kappa"].exp() if "kappa" in v else C)
        if "g" in v:
            mixture = torch.distributions.Categorical(logits=v["g"])
            model = torch.distributions.MixtureSameFamily(mixture, model, validate_args=False)
        terms.append(model.log_prob(v[f"d_{t}"].argmax()))
    return -torch.stack(terms).mean()


NETWORKS = {
    "vanishing-gradient": vanishing,
    "gradient-clipping": clipping,
    "rnnlm": rnnlm,
    "memory": memory,
    "ngram": ngram,
}
CHOICES: dict[str, list[dict[str, Any]]] = {
    "vanishing-gradient": [{"activation": f, "gain": g} for f in SQUASH for g in (0.7, 1.3)],
    "gradient-clipping": [
        {"activation": f, "by": by, "limit": c}
        for f in ("linear", "tanh")
        for by in ("norm", "value")
        for c in (0.5, 500.0)
    ],
    "rnnlm": [*({"activation": f} for f in SQUASH), {"text": "cat"}],
    "memory": [
        {"task": task, "cell": cell} for task in ("first symbol", "adding") for cell in ("rnn", "lstm")
    ],
    "ngram": [{"smoothing": s, "text": text} for s in ("add-k", "interpolated") for text in ("house", "cat")],
}
SIZES = {  # steps, and the parameters that go with them
    2: {"hidden": 2, "inputs": 2, "batch": 1, "n": 1},
    3: {"hidden": 3, "inputs": 3, "batch": 3, "n": 1},
    10: {"hidden": 4, "inputs": 2, "batch": 2, "n": 2},
}


def cases(scene: str) -> list[dict[str, Any]]:
    """What is compared: parameters and seed; every choice at every size."""
    names = {parameter.name for parameter in SCENES[scene].parameters}
    found = []
    for T, sizes in SIZES.items():
        for k, choice in enumerate(CHOICES[scene]):
            values = {"T": T, **{n: size for n, size in sizes.items() if n in names}, **choice}
            found.append({"values": values, "seed": k % 5 + T})
    return found


def by_torch(scene: str, recording: Recording) -> tuple[float, dict[str, np.ndarray]]:
    """The loss, and the gradient of every leaf that has one here, by torch's own autograd."""
    leaves = {
        leaf.name: torch.tensor(leaf.value, requires_grad=leaf.kind in ("parameter", "input"))
        for leaf in recording.graph.leaves()
        if leaf.name
    }
    loss = NETWORKS[scene](recording.parameters, leaves)
    loss.backward()
    grads = {}
    for name, leaf in leaves.items():
        if leaf.requires_grad:
            grads[name] = (leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)).numpy()
    return loss.item(), grads


def clipped_by_torch(recording: Recording, gradient: np.ndarray) -> np.ndarray:
    """What `clip_grad_norm_` or `clip_grad_value_` leaves of a gradient of W."""
    W = torch.nn.Parameter(torch.tensor(recording.value("W")))
    W.grad = torch.tensor(gradient)
    limit = float(recording.value("limit"))
    if recording.parameters["by"] == "value":
        torch.nn.utils.clip_grad_value_(W, limit)
    else:
        torch.nn.utils.clip_grad_norm_(W, limit)
    return W.grad.numpy()


def main() -> None:
    for scene in NETWORKS:
        arrays: dict[str, Any] = {"torch": torch.__version__}
        listed, totals = cases(scene), []
        for k, case in enumerate(listed):
            recording = SCENES[scene].build(case["values"], seed=case["seed"])
            loss, grads = by_torch(scene, recording)
            totals.append(loss)
            case["leaves"] = list(grads)
            # one array a case: a thousand small ones are mostly file headers
            arrays[f"value_{k}"] = np.concatenate([recording.value(name).ravel() for name in grads])
            arrays[f"grad_{k}"] = np.concatenate([grad.ravel() for grad in grads.values()])
            if scene == "gradient-clipping":
                arrays[f"clipped_{k}"] = clipped_by_torch(recording, grads["W"])
        arrays |= {"cases": json.dumps(listed), "loss": np.array(totals)}
        path = HERE / f"{scene}.npz"
        np.savez_compressed(path, **arrays)
        print(path.name, len(listed), "cases", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
