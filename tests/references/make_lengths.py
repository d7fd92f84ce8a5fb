"""Make `lengths.npz`: gradients by PyTorch of every recurrent scene at 1, 2, 10 and 50 steps, 20 seeds each.

Made with torch 2.13.0 (CPU) and NumPy 2, all in float64. Run it from the project's root:

    python tests/references/make_lengths.py

The networks are those of `make_recurrent.py` and `make_sequences.py`: torch's own layers where they compute
the same, else torch operations. Of each leaf's gradient a few numbers are kept, its products with fixed drawn
directions: no error but one that is orthogonal to all of them escapes, and no step of time is left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from scenes import SCENES  # noqa: E402  found through the line above
from scenes.scene import Recording  # noqa: E402
from tests.references import make_recurrent, make_sequences  # noqa: E402

FILE = HERE / "lengths.npz"
LENGTHS, SEEDS = (1, 2, 10, 50), range(20)
KEPT = {"parameter": 2, "input": 1}  # numbers of each leaf, by its kind
SIZES = {"inputs": 2, "hidden": 3, "units": 3, "batch": 2}  # not alike, so that no transpose passes
VARIANTS: dict[str, list[tuple[str, dict[str, Any]]]] = {  # by the scene: network, parameters
    "rnn": [
        *(("rnn", {"shape": s}) for s in ("one to one", "one to many", "many to one", "many to many")),
        ("rnn", {"shape": "many, then many", "output": "tanh"}),
        ("rnn", {"output_from": "input and state", "output": "sigmoid"}),
    ],
    "bptt": [
        ("nn_rnn", {}),
        ("nn_rnn", {"activation": "relu", "loss_at": "last step"}),
        ("bptt", {"activation": "sigmoid"}),
        ("bptt", {"truncate": 3}),
    ],
    "vanishing-gradient": [
        ("vanishing-gradient", {}),
        ("vanishing-gradient", {"activation": "linear", "gain": 1.1}),
    ],
    "gradient-clipping": [
        ("gradient-clipping", {}),
        ("gradient-clipping", {"activation": "tanh", "by": "value"}),
    ],
    "cec": [("cec", {}), ("cec", {"activation": "linear"}), ("cec", {"pulse": 1})],
    "lstm": [
        *(("lstm", {"stage": stage}) for stage in ("cec", "gates", "peephole")),
        *(("nn_lstm", {"stage": "forget", "loss_at": at}) for at in ("every step", "last step")),
    ],
    "gated-units": [
        ("gated", {"unit": "gru"}),
        *(("gated", {"relevance": r, "read": read}) for r in (True, False) for read in ("tanh c", "c")),
    ],
    "gru": [
        *(("gru", {"reset": "before", "keep": keep}) for keep in ("z", "1-z")),
        *(("nn_gru", {"reset": "after", "keep": keep}) for keep in ("z", "1-z")),
    ],
    "birnn": [("nn_birnn", {}), ("birnn", {"activation": "sigmoid", "loss_at": "last step"})],
    "bilstm": [("nn_bilstm", {}), ("nn_bilstm", {"loss_at": "last step"})],
    "deep-rnn": [("nn_deep", {"layers": 2}), ("nn_deep", {"layers": 3, "activation": "relu"})],
    "rnnlm": [("rnnlm", {}), ("rnnlm", {"text": "cat", "activation": "relu"})],
    "ngram": [("ngram", {"smoothing": s, "n": 3}) for s in ("add-k", "interpolated")],
    "memory": [
        ("memory", {"task": task, "cell": cell})
        for task in ("first symbol", "adding")
        for cell in ("rnn", "lstm")
    ],
}


def cases(scene: str) -> list[dict[str, Any]]:
    """What is compared: network and parameters; every variant at every length that the scene has."""
    steps = SCENES[scene].parameter("T")
    assert steps.low is not None
    assert steps.high is not None
    lengths = dict.fromkeys(min(T, int(steps.high)) for T in LENGTHS if steps.low <= T)
    sizes = {n: size for n, size in SIZES.items() if n in SCENES[scene].defaults()}
    return [
        {"scene": scene, "network": network, "values": {"T": T, **sizes, **choice}}
        for network, choice in VARIANTS[scene]
        for T in lengths
        if T == 1 or choice.get("shape") != "one to one"  # which has a single step whatever T is
    ]


def by_torch(network: str, recording: Recording) -> tuple[float, dict[str, np.ndarray]]:
    """The loss, and the gradient of every leaf that has one here, by torch's own autograd."""
    maker = make_sequences if network in make_sequences.NETWORKS else make_recurrent
    return maker.by_torch(network, recording)


def main() -> None:
    listed = [case for scene in VARIANTS for case in cases(scene)]
    rows: list[list[np.ndarray]] = []
    directions = np.random.default_rng(0).normal(size=(max(KEPT.values()), 500))
    for case in listed:
        made = []
        for seed in SEEDS:
            recording = SCENES[case["scene"]].build(case["values"], seed=seed)
            loss, grads = by_torch(case["network"], recording)
            case["leaves"] = [(n, min(KEPT[str(recording[n].kind)], g.size)) for n, g in grads.items()]
            drawn = sum(directions[0, : leaf.size] @ leaf.value.ravel() for leaf in recording.graph.leaves())
            parts = [directions[:kept, : grads[n].size] @ grads[n].ravel() for n, kept in case["leaves"]]
            made.append(np.concatenate([[loss, drawn], *parts]))
        rows.append(made)
    arrays: dict[str, Any] = {f"rows_{k}": np.array(made) for k, made in enumerate(rows)}
    np.savez_compressed(
        FILE, torch=torch.__version__, directions=directions, cases=json.dumps(listed), **arrays
    )
    print(FILE.name, len(listed), "cases of", len(SEEDS), "seeds,", FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
