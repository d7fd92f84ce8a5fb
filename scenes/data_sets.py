"""Examples to train on: small real data from `assets/data`, and shapes in the plane made from a seed.

Used by scenes that bring `data`. Nothing is read before it is asked for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from scenes.scene import Data

FILES = Path(__file__).resolve().parents[1] / "assets" / "data"
DATA_SETS = ("moons", "spirals", "iris", "digits")
SPECIES = ("setosa", "versicolor", "virginica")
HELD_OUT = 0.25  # the share of the examples that is kept for validation
Examples = tuple[np.ndarray, np.ndarray]  # features (count, n) and the class of each, whole numbers (count,)


def digits() -> Examples:
    """500 handwritten digits, 50 of each: 64 shades from 0 to 1, row by row of 8 × 8 pixels."""
    lines = [line.split() for line in _text("digits.txt").splitlines()]
    shades = [[int(shade, 17) for shade in pixels] for _, pixels in lines]
    return np.array(shades) / 16, np.array([int(k) for k, _ in lines])


def iris() -> Examples:
    """150 irises, 50 of each of SPECIES: sepal length and width, petal length and width, all in cm."""
    rows = [line.split(",") for line in _text("iris.csv").splitlines()[1:]]
    return np.array([row[:4] for row in rows], float), np.array([SPECIES.index(row[4]) for row in rows])


def flower(size: int = 48) -> np.ndarray:
    """A photograph of a dahlia, (size, size, 3): red, green and blue from 0 to 1; size has to divide 48.

    Each pixel is the mean of the block of the 48 × 48 that it stands for.
    """
    kind, sides, _, pixels = (FILES / "flower.ppm").read_bytes().split(b"\n", 3)
    assert kind == b"P6"
    width, height = map(int, sides.split())
    shades = np.frombuffer(pixels, np.uint8).reshape(height, width, 3) / 255
    block = width // size
    return shades.reshape(size, block, size, block, 3).mean(axis=(1, 3))


def moons(count: int, seed: int, *, noise: float = 0.15) -> Examples:
    """Two half circles of radius 1 that reach into each other; `noise` is the spread around them."""
    rng = np.random.default_rng([seed, 1])
    classes = np.arange(count) % 2
    angle = rng.uniform(0, np.pi, count)
    side = 1 - 2 * classes  # the second moon is the first one, turned round and moved
    points = np.stack([side * np.cos(angle) + classes - 0.5, side * (np.sin(angle) - 0.25)], axis=1)
    return points + noise * rng.normal(size=points.shape), classes


def spirals(count: int, seed: int, *, noise: float = 0.04, turns: float = 1.25) -> Examples:
    """Two arms that wind around each other from the middle out to radius 1.5."""
    rng = np.random.default_rng([seed, 2])
    classes = np.arange(count) % 2
    along = np.sqrt(rng.uniform(0.02, 1, count))
    angle = 2 * np.pi * turns * along + np.pi * classes
    points = 1.5 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + noise * rng.normal(size=points.shape), classes


def examples(name: str, seed: int) -> Data:
    """One of DATA_SETS as columns: `x` (features, count) and one-hot `d` (classes, count).

    The seed decides which quarter is kept for validation and, of moons and spirals, where the points lie.
    The features of the irises are standardised by what there is to train on.
    """
    if name == "digits":
        return columns(*digits(), seed, names=tuple("0123456789"))
    if name == "iris":
        return columns(*iris(), seed, names=SPECIES, standardise=True)
    made = moons(240, seed) if name == "moons" else spirals(400, seed)
    return columns(*made, seed, names=("0", "1"))


def columns(
    features: np.ndarray,
    classes: np.ndarray,
    seed: int,
    *,
    names: tuple[str, ...],
    held_out: float = HELD_OUT,
    standardise: bool = False,
) -> Data:
    """Examples side by side, shuffled and split by the seed: leaves `x` and, one-hot, `d`."""
    order = np.random.default_rng([seed, 3]).permutation(len(classes))
    cut = len(order) - round(held_out * len(order))
    if standardise:
        seen = features[order[:cut]]
        features = (features - seen.mean(axis=0)) / seen.std(axis=0)
    x, d = np.round(features[order].T, 4), one_hot(classes[order], len(names))
    return Data({"x": x[:, :cut], "d": d[:, :cut]}, {"x": x[:, cut:], "d": d[:, cut:]}, classes=names)


def one_hot(classes: np.ndarray, count: int) -> np.ndarray:
    """A column for each example, with a 1 in the row of its class: (count, examples)."""
    return (np.arange(count)[:, None] == classes) * 1.0


@cache
def _text(name: str) -> str:
    return (FILES / name).read_text("utf-8")
