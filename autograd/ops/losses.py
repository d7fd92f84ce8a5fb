"""Losses, each one node: from predictions and targets to one number."""

from __future__ import annotations

import numpy as np

from autograd.ops.arithmetic import add_n
from autograd.ops.definition import OPS, Sample, op
from autograd.ops.probability import log_softmax

_log_softmax = OPS[log_softmax.__name__].forward  # on arrays


def _half_squared_scalars(a, b):
    return 0.5 * add_n([(x - y) ** 2 for x, y in zip(a.flat, b.flat, strict=True)])


@op(
    "½‖a−b‖²",
    r"y = \frac{1}{2}\sum_i (a_i - b_i)^2",
    "½‖{a} − {b}‖²",
    vjp=(lambda g, y, a, b: g * (a - b), lambda g, y, a, b: g * (b - a)),
    partials=(r"\frac{\partial y}{\partial a} = a - b", r"\frac{\partial y}{\partial b} = b - a"),
    back=("{g} ⊙ ({a} − {b})", "{g} ⊙ ({b} − {a})"),
    samples=(Sample(((3,), (3,))), Sample(((2, 3), (2, 3)))),
    scalar=_half_squared_scalars,
)
def half_squared_error(a, b):
    """Half the squared distance: the loss whose gradient is simply output minus target."""
    if a.shape != b.shape:
        raise ValueError("both shapes must be equal")
    return 0.5 * np.sum((a - b) ** 2)


def _holds_classes(logits, target, axis):
    """Whether the target holds class numbers; else it holds a probability for every class."""
    if target.shape == logits.shape:
        return False
    shape = list(logits.shape)
    if logits.ndim == 0:
        raise ValueError("the first input needs an axis of classes")
    del shape[axis]
    if target.shape != tuple(shape):
        raise ValueError(
            f"the target must hold class numbers, shape {tuple(shape)}, or probabilities, {logits.shape}"
        )
    return True


def _classes_exist(logits, target, axis):
    if _holds_classes(logits, target, axis):
        count = logits.shape[axis]
        wrong = target[~((target >= 0) & (target < count) & (target == np.floor(target)))]
        if wrong.size:
            raise ValueError(f"class {wrong.flat[0]:g} is not one of 0 … {count - 1}")
    return {"axis": axis}


def _target_probabilities(logits, target, axis):
    """The target as probabilities: one-hot rows for class numbers."""
    if not _holds_classes(logits, target, axis):
        return target
    shape = [1] * logits.ndim
    shape[axis] = -1
    classes = np.reshape(np.arange(logits.shape[axis]), shape)
    return (np.expand_dims(target, axis) == classes) * 1.0


def _cross_entropy_logits(g, y, logits, target, axis):
    t = _target_probabilities(logits, target, axis)
    p = np.exp(_log_softmax(logits, axis))
    count = logits.size / logits.shape[axis]
    return g * (p * np.sum(t, axis=axis, keepdims=True) - t) / count


def _cross_entropy_target(g, y, logits, target, axis):
    if _holds_classes(logits, target, axis):
        return 0.0 * target  # a class number is no quantity
    return -g * _log_softmax(logits, axis) * (logits.shape[axis] / logits.size)


@op(
    "CE",
    r"y = -\frac{1}{n} \sum_i t_i \log p_i, \quad p = \mathrm{softmax}(a)",
    "cross_entropy({a}, {b})",
    vjp=(_cross_entropy_logits, _cross_entropy_target),
    partials=(
        r"\frac{\partial y}{\partial a_i} = \frac{1}{n}(p_i - t_i)",
        r"\frac{\partial y}{\partial t_i} = -\frac{1}{n}\log p_i",
    ),
    back=("{g} (softmax({a}) − {b}) / n", "−{g} log softmax({a}) / n"),
    samples=(
        Sample(((3,), (3,)), low=0.1),
        Sample(((2, 3), (2, 3)), low=0.1),
        Sample(((3, 2), (3, 2)), low=0.1, attrs={"axis": 0}),
    ),
    prepare=_classes_exist,
)
def cross_entropy(logits, target, axis=-1):
    """Softmax and cross-entropy in one: scores against classes, averaged. The gradient is p minus target."""
    t = _target_probabilities(logits, target, axis)
    terms = np.where(t == 0.0, 0.0, t * _log_softmax(logits, axis))
    return -np.sum(terms) * (logits.shape[axis] / logits.size)


def _same_shape(prediction, target):
    if target.shape not in (prediction.shape, ()):
        raise ValueError("both shapes must be equal, or the target one number")


def _probabilities_only(p, target):
    if not np.all((p >= 0.0) & (p <= 1.0)):
        raise ValueError("the first input must hold probabilities in [0, 1]; for scores use …_with_logits")
    return {}


_LEAST_LOG = -100.0  # log 0 is counted as this, so that one sure mistake does not make the mean infinite


@op(
    "BCE",
    r"y = -\frac{1}{n}\sum_i \left( t_i \log p_i + (1 - t_i) \log(1 - p_i) \right)",
    "BCE({a}, {b})",
    vjp=(
        lambda g, y, p, target: g * (p - target) / np.maximum(p * (1.0 - p), 1e-12) / p.size,
        lambda g, y, p, target: (
            g * (np.maximum(np.log1p(-p), _LEAST_LOG) - np.maximum(np.log(p), _LEAST_LOG)) / p.size
        ),
    ),
    partials=(
        r"\frac{\partial y}{\partial p_i} = \frac{1}{n} \frac{p_i - t_i}{p_i (1 - p_i)}",
        r"\frac{\partial y}{\partial t_i} = \frac{1}{n} \log \frac{1 - p_i}{p_i}",
    ),
    back=("{g} ({a} − {b}) / ({a} ⊙ (1 − {a})) / n", "{g} log((1 − {a}) / {a}) / n"),
    samples=(
        Sample(((3,), (3,)), low=0.1, high=0.9),
        Sample(((2, 3), (2, 3)), low=0.1, high=0.9),
        Sample(((2, 2), ()), low=0.1, high=0.9),
    ),
    prepare=_probabilities_only,
)
def binary_cross_entropy(p, target):
    """Cross-entropy of yes-or-no probabilities, averaged. A logarithm is never counted as less than −100."""
    _same_shape(p, target)
    yes, no = np.maximum(np.log(p), _LEAST_LOG), np.maximum(np.log1p(-p), _LEAST_LOG)
    return -np.sum(target * yes + (1.0 - target) * no) / p.size


@op(
    "BCE σ",
    r"y = -\frac{1}{n}\sum_i \left( t_i \log \sigma(u_i) + (1 - t_i) \log(1 - \sigma(u_i)) \right)",
    "BCE(σ({a}), {b})",
    vjp=(
        lambda g, y, u, target: g * (1.0 / (1.0 + np.exp(-u)) - target) / u.size,
        lambda g, y, u, target: -g * u / u.size,
    ),
    partials=(
        r"\frac{\partial y}{\partial u_i} = \frac{1}{n}(\sigma(u_i) - t_i)",
        r"\frac{\partial y}{\partial t_i} = -\frac{1}{n} u_i",
    ),
    back=("{g} (σ({a}) − {b}) / n", "−{g} {a} / n"),
    samples=(Sample(((3,), (3,))), Sample(((2, 3), (2, 3))), Sample(((2, 2), ()))),
)
def binary_cross_entropy_with_logits(u, target):
    """Sigmoid and binary cross-entropy in one, exact far out too. The gradient is output minus target."""
    _same_shape(u, target)
    # the small logarithm comes last: beside a large u it would lose its digits
    return np.sum((np.maximum(u, 0.0) - u * target) + np.log1p(np.exp(-np.abs(u)))) / u.size
