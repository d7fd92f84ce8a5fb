"""What a network is to the benchmarks: recorded by the engine, by hand in NumPy, and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import Graph, Tensor, scope, tensor

Array = np.ndarray
Gradients = dict[str, Array]
Leaves = dict[str, Any]  # a network's weights as leaves of one engine or another
Pass = Callable[[], Gradients]  # one forward and one backward pass


@dataclass(frozen=True)
class Network:
    """One network in every form that is compared, all from the same weights."""

    weights: Gradients
    loss: Callable[[dict[str, Tensor]], Tensor]  # records all but the weights, one node for every operation
    torch: Callable[[Any], Callable[[Leaves], Any]]  # torch -> a function that gives the same loss there
    by_hand: dict[str, Pass]  # NumPy: `plain`, as one writes it first, and `optimised`

    def record(self) -> tuple[Graph, Tensor]:
        """The network's graph, and the loss in it."""
        with Graph() as graph:
            with scope("parameters"):
                leaves = {name: tensor(value, name) for name, value in self.weights.items()}
            loss = self.loss(leaves)
        return graph, loss

    def with_torch(self, torch: Any) -> Pass:
        """One pass in PyTorch, eager, float64, with the same operations."""
        leaves = {name: torch.tensor(value, requires_grad=True) for name, value in self.weights.items()}
        loss = self.torch(torch)

        def run() -> Gradients:
            for leaf in leaves.values():
                leaf.grad = None
            loss(leaves).backward()
            return {name: leaf.grad.numpy() for name, leaf in leaves.items()}

        return run
