"""A small convolutional network on 28 x 28 images in ten classes."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd as ag
from autograd import Tensor, tensor
from tests.benchmarks.networks import Leaves, Network


def cnn(batch: int) -> Network:
    """Twice convolution by 3 x 3 filters (8, then 16), ReLU and the largest of 2 x 2; then a linear layer."""
    rng = np.random.default_rng(0)
    weights = {
        "K": rng.normal(size=(8, 1, 3, 3)) / 3,
        "k": rng.normal(size=8) * 0.1,
        "L": rng.normal(size=(16, 8, 3, 3)) / 9,
        "l": rng.normal(size=16) * 0.1,
        "W": rng.normal(size=(16 * 7 * 7, 10)) / 28,
        "b": rng.normal(size=10) * 0.1,
    }
    images, classes = rng.normal(size=(batch, 1, 28, 28)), rng.integers(0, 10, batch)

    def loss(w: dict[str, Tensor]) -> Tensor:
        maps = tensor(images, "x", "constant")
        for filters, bias in (("K", "k"), ("L", "l")):
            maps = ag.max_pool2d(ag.relu(ag.conv2d(maps, w[filters], w[bias], padding=1)))
        scores = ag.reshape(maps, (batch, -1)) @ w["W"] + w["b"]
        return ag.cross_entropy(scores, tensor(classes, "d", "target")).named("E")

    def with_torch(torch: Any) -> Any:
        F = torch.nn.functional
        inputs, targets = torch.tensor(images), torch.tensor(classes)

        def total(w: Leaves) -> Any:
            maps = inputs
            for filters, bias in (("K", "k"), ("L", "l")):
                maps = F.max_pool2d(torch.relu(F.conv2d(maps, w[filters], w[bias], padding=1)), 2)
            return F.cross_entropy(maps.reshape(batch, -1) @ w["W"] + w["b"], targets)

        return total

    return Network(weights, loss, with_torch, {})
