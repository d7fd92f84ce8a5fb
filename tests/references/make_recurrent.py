"""Make `lstm.npz`, `gru.npz` and others: losses and gradients by PyTorch for scenes of the catalogue.

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


def gru(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """Both conventions and both places of the reset, cell by cell."""
    h, outputs = v["h_0"], []
    for t in range(1, p["T"] + 1):
        x = v[f"x_{t}"]
        r, z = torch.sigmoid(gate(v, "r", x, h, h)), torch.sigmoid(gate(v, "z", x, h, h))
        past = torch.mv(v["U_h"], r * h) if p["reset"] == "before" else r * torch.mv(v["U_h"], h)
        new = torch.tanh(torch.nn.functional.linear(x, v["W_h"], v["b_h"]) + past)
        h = torch.lerp(new, h, z) if p["keep"] == "z" else torch.lerp(h, new, z)
        outputs.append(h)
    return losses(v, outputs, p["loss_at"])


def inputs(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    return torch.stack([v[f"x_{t}"] for t in range(1, p["T"] + 1)])


def nn_gru(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """`torch.nn.GRU`, whose reset stands after the product; in the reverse convention z changes its sign."""
    sign = {"r": 1.0, "z": 1.0 if p["keep"] == "z" else -1.0, "h": 1.0}
    joined = {
        "weight_ih_l0": torch.cat([sign[k] * v[f"W_{k}"] for k in "rzh"]),
        "weight_hh_l0": torch.cat([sign[k] * v[f"U_{k}"] for k in "rzh"]),
        "bias_ih_l0": torch.cat([sign[k] * v[f"b_{k}"] for k in "rzh"]),
        "bias_hh_l0": torch.zeros(3 * p["hidden"], dtype=torch.float64),
    }
    module = torch.nn.GRU(p["inputs"], p["hidden"], dtype=torch.float64)
    states, _ = torch.func.functional_call(module, joined, (inputs(p, v), v["h_0"][None]))
    return losses(v, list(states), p["loss_at"])


def plain_weights(v: Leaves, mark: str, ending: str) -> Leaves:
    """One layer or direction of `torch.nn.RNN`."""
    return {
        f"weight_ih_{ending}": v[f"W{mark}_in"],
        f"weight_hh_{ending}": v[f"W{mark}"],
        f"bias_ih_{ending}": v[f"b{mark}"],
        f"bias_hh_{ending}": torch.zeros_like(v[f"b{mark}"]),
    }


def read_out(p: dict[str, Any], v: Leaves, states: Any, bias: str = "c") -> torch.Tensor:
    return losses(v, [torch.mv(v["W_out"], z) + v[bias] for z in states], p["loss_at"])


def nn_birnn(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    joined = plain_weights(v, "F", "l0") | plain_weights(v, "B", "l0_reverse")
    module = torch.nn.RNN(
        p["inputs"], p["hidden"], nonlinearity=p["activation"], bidirectional=True, dtype=torch.float64
    )
    start = torch.stack([v["zF_0"], v[f"zB_{p['T'] + 1}"]])
    states, _ = torch.func.functional_call(module, joined, (inputs(p, v), start))
    return read_out(p, v, states)


def birnn(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """Two plain chains, step by step."""
    f, T = SQUASH[p["activation"]], p["T"]
    states: dict[str, dict[int, torch.Tensor]] = {"F": {}, "B": {}}
    for mark, order in (("F", range(1, T + 1)), ("B", range(T, 0, -1))):
        z = v["zF_0"] if mark == "F" else v[f"zB_{T + 1}"]
        for t in order:
            z = f(torch.mv(v[f"W{mark}_in"], v[f"x_{t}"]) + torch.mv(v[f"W{mark}"], z) + v[f"b{mark}"])
            states[mark][t] = z
    return read_out(p, v, [torch.cat([states["F"][t], states["B"][t]]) for t in range(1, T + 1)])


def nn_bilstm(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    joined: Leaves = {}
    for mark, ending in (("F", "l0"), ("B", "l0_reverse")):
        joined |= {
            f"weight_ih_{ending}": torch.cat([v[f"W{mark}_{k}"] for k in "ifco"]),
            f"weight_hh_{ending}": torch.cat([v[f"U{mark}_{k}"] for k in "ifco"]),
            f"bias_ih_{ending}": torch.cat([v[f"b{mark}_{k}"] for k in "ifco"]),
            f"bias_hh_{ending}": torch.zeros(4 * p["hidden"], dtype=torch.float64),
        }
    module = torch.nn.LSTM(p["inputs"], p["hidden"], bidirectional=True, dtype=torch.float64)
    start = [torch.stack([v[f"{k}F_0"], v[f"{k}B_{p['T'] + 1}"]]) for k in "hc"]
    states, _ = torch.func.functional_call(module, joined, (inputs(p, v), tuple(start)))
    return read_out(p, v, states, "b_out")


def nn_deep(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    joined: Leaves = {}
    for layer in range(1, p["layers"] + 1):
        joined |= plain_weights(v, str(layer), f"l{layer - 1}")
    module = torch.nn.RNN(
        p["inputs"], p["hidden"], p["layers"], nonlinearity=p["activation"], dtype=torch.float64
    )
    start = torch.stack([v[f"z{layer}_0"] for layer in range(1, p["layers"] + 1)])
    states, _ = torch.func.functional_call(module, joined, (inputs(p, v), start))
    return read_out(p, v, states)


def deep(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """Layer by layer, each over all steps."""
    below = [v[f"x_{t}"] for t in range(1, p["T"] + 1)]
    for layer in range(1, p["layers"] + 1):
        z, states = v[f"z{layer}_0"], []
        for x in below:
            u = torch.mv(v[f"W{layer}_in"], x) + torch.mv(v[f"W{layer}"], z) + v[f"b{layer}"]
            z = SQUASH[p["activation"]](u)
            states.append(z)
        below = states
    return read_out(p, v, below)


def rnn(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    """All five shapes: what there is at a step is what has a leaf there."""
    z, terms = v["z_0"], []
    last = max(int(name[2:]) for name in v if name[:2] in ("x_", "d_"))
    if p["shape"] == "many, then many":
        last = p["T"] + p["T_y"]
    for t in range(1, last + 1):
        before, u = z, torch.mv(v["W"], z) + v["b"]
        if f"x_{t}" in v:
            u = u + torch.mv(v["W_in"], v[f"x_{t}"])
        z = SQUASH[p["activation"]](u)
        if f"d_{t}" in v:
            out = torch.mv(v["W_out"], before if p["output_from"] == "input and state" else z) + v["c"]
            if "W_xout" in v and f"x_{t}" in v:
                out = out + torch.mv(v["W_xout"], v[f"x_{t}"])
            terms.append(half_square(SQUASH[p["output"]](out), v[f"d_{t}"]))
    return torch.stack(terms).sum()


def gated(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    lstm = p["unit"] == "lstm"
    c, outputs = v["c_0"], []
    a = v["a_0"] if lstm else c
    for t in range(1, p["T"] + 1):
        x = v[f"x_{t}"]
        opened = {k: torch.sigmoid(gate(v, k, x, a, c)) for k in "urfo" if f"W_{k}" in v}
        new = torch.tanh(gate(v, "c", x, opened["r"] * a if "r" in opened else a, c))
        c = opened["u"] * new + (opened["f"] if lstm else 1 - opened["u"]) * c
        a = opened["o"] * (torch.tanh(c) if p["read"] == "tanh c" else c) if lstm else c
        outputs.append(a)
    return losses(v, outputs, p["loss_at"])


def cec(p: dict[str, Any], v: Leaves) -> torch.Tensor:
    added = SQUASH[p["activation"]](torch.nn.functional.linear(inputs(p, v), v["W_in"])).sum(dim=0)
    return half_square(torch.mv(v["W_out"], v["C_0"] + added), v["d"])


NETWORKS = {
    **{"lstm": lstm, "nn_lstm": nn_lstm, "bptt": bptt, "nn_rnn": nn_rnn, "mlp": mlp},
    **{"gru": gru, "nn_gru": nn_gru, "birnn": birnn, "nn_birnn": nn_birnn, "nn_bilstm": nn_bilstm},
    **{"deep": deep, "nn_deep": nn_deep, "rnn": rnn, "gated": gated, "cec": cec},
}
OUTPUT_FROM = ("state", "input and state")
SIZES = ((1, 2, 2), (2, 3, 2), (10, 3, 4))  # steps, inputs, hidden units
CHOICES: dict[str, list[dict[str, Any]]] = {
    "gru": [{"keep": keep, "reset": reset} for keep in ("z", "1-z") for reset in ("before", "after")],
    "birnn": [{"activation": f} for f in ("tanh", "relu", "sigmoid", "linear")],
    "bilstm": [{"forget_bias": bias} for bias in (1.0, -2.0)],
    "deep-rnn": [
        {"layers": n, "activation": f}
        for n, f in ((1, "tanh"), (2, "relu"), (2, "sigmoid"), (3, "tanh"), (4, "relu"))
    ],
    "rnn": [
        *({"shape": s, "output": "tanh"} for s in ("one to one", "one to many", "many to one")),
        *({"shape": s, "output_from": o} for s in ("many to many", "many, then many") for o in OUTPUT_FROM),
        {"activation": "relu", "output": "sigmoid", "output_from": "input and state"},
    ],
    "gated-units": [
        {"unit": "gru"},
        *({"relevance": r, "read": read} for r in (True, False) for read in ("tanh c", "c")),
    ],
}


def further_cases(scene: str) -> list[dict[str, Any]]:
    """Every choice at every size; by torch's own layers too where they compute the same."""
    found: list[dict[str, Any]] = []
    for T, n, hidden in SIZES:
        for k, choice in enumerate(CHOICES[scene]):
            for loss_at in ("every step", "last step"):
                values = {"T": T, "inputs": n, "hidden": hidden, **choice}
                if scene != "rnn":
                    values["loss_at"] = loss_at
                elif loss_at == "last step":
                    continue
                for network in networks(scene, values):
                    found.append({"network": network, "values": values, "seed": len(found) % 7 + k})
    return found


def networks(scene: str, values: dict[str, Any]) -> list[str]:
    native = values.get("activation", "tanh") in ("tanh", "relu")
    if scene == "gru":
        return ["gru", "nn_gru"] if values["reset"] == "after" else ["gru"]
    if scene == "birnn":
        return ["birnn", "nn_birnn"] if native else ["birnn"]
    if scene == "deep-rnn":
        return ["deep", "nn_deep"] if native else ["deep"]
    return [{"bilstm": "nn_bilstm", "rnn": "rnn", "gated-units": "gated"}[scene]]


def cases(scene: str) -> list[dict[str, Any]]:
    """What is compared: network, parameters and seed."""
    if scene in CHOICES:
        return further_cases(scene)
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
    for scene in ("lstm", "bptt", "mlp", *CHOICES):
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
