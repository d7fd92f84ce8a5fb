"""Which class a network gives to every point of the plane, for scenes whose examples have two features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autograd import Graph
from explorer.model.training import Measure, Training

SIDE = 64  # points of the grid along each axis
MARGIN = 0.12  # of the examples' range, on every side
OUTPUT = "y"  # how scenes call what the class is read from: the larger its row, the likelier the class


@dataclass(frozen=True)
class Points:
    """Examples in the plane."""

    places: np.ndarray  # (count, 2)
    classes: np.ndarray  # (count,) whole numbers


@dataclass(frozen=True)
class Decision:
    """The plane as a grid. Rows run upwards, from the smallest second feature on."""

    classes: np.ndarray  # (SIDE, SIDE) whole numbers
    certainty: np.ndarray  # (SIDE, SIDE) from 0, as good as any other class, to 1


class Plane:
    """The grid of one training, recorded once; `Plane.of` says whether there is one."""

    def __init__(self, training: Training, inputs: str, targets: str) -> None:
        assert training.data is not None
        data = training.data
        self.training = training
        self.train = _points(data.train, inputs, targets)
        self.validation = _points(data.validation, inputs, targets) if data.validation else None
        both = [p.places for p in (self.train, self.validation) if p is not None]
        places = np.concatenate(both)
        low, high = places.min(axis=0), places.max(axis=0)
        wide = np.where(high > low, high - low, 1.0) * MARGIN
        self.low, self.high = low - wide, high + wide
        x, y = (np.linspace(a, b, SIDE) for a, b in zip(self.low, self.high, strict=True))
        grid = np.stack(np.meshgrid(x, y)).reshape(2, -1)
        nothing = np.zeros((len(data.train[targets]), grid.shape[1]))
        self._measure = Measure(training.on({inputs: grid, targets: nothing}), training.moving)

    @classmethod
    def of(cls, training: Training) -> Plane | None:
        """None when examples are not points of the plane, or the network gives no classes."""
        data, graph = training.data, training.recording.graph
        if data is None or data.axis not in (-1, 1) or not _has(graph, OUTPUT):
            return None
        kinds = {name: graph.named(name).kind for name in data.train}
        inputs = [n for n, kind in kinds.items() if kind == "input" and data.train[n].shape[:-1] == (2,)]
        targets = [n for n, kind in kinds.items() if kind == "target" and data.train[n].ndim == 2]
        if len(data.train) != 2 or not inputs or not targets:
            return None
        classes = len(data.train[targets[0]])
        fits = classes > 1 and graph.named(OUTPUT).shape[:1] == (classes,)
        return cls(training, inputs[0], targets[0]) if fits else None

    def at(self, update: int) -> Decision:
        """What the network says after so many updates."""
        recording = self._measure.forward(self.training.at(update).values)
        with np.errstate(all="ignore"):
            scores = recording.value(OUTPUT)
            shares = np.exp(scores - scores.max(axis=0))
            best = (shares / shares.sum(axis=0)).max(axis=0)
        count = len(scores)
        certainty = np.nan_to_num((best * count - 1) / (count - 1))
        shape = (SIDE, SIDE)
        return Decision(scores.argmax(axis=0).reshape(shape), certainty.reshape(shape))


def _points(examples: Mapping[str, np.ndarray], inputs: str, targets: str) -> Points:
    return Points(examples[inputs].T, examples[targets].argmax(axis=0))


def _has(graph: Graph, name: str) -> bool:
    return name in set(graph.names)
