"""A little that NumPy does not do as is needed here."""

import numpy as np


def distinct(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Every value (or row, along an axis) once, ascending.

    As np.unique, which loads masked arrays for it when it is asked for nothing else: a part of the start.
    """
    return np.unique(values, axis=axis, return_counts=True)[0]
