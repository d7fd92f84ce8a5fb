"""Batch normalisation and dropout."""

from __future__ import annotations

import numpy as np

from autograd.ops.definition import Sample, op


def _batch_axes(x):
    """All axes but that of the channels, which is axis 1."""
    return (0, *range(2, x.ndim))


def _per_channel(v, x):
    """A vector over the channels in the shape that stretches over x."""
    return np.reshape(v, (1, -1, *(1,) * (x.ndim - 2)))


def _standardised(x, eps):
    """(x − μ)/σ, and σ, over the batch."""
    axes = _batch_axes(x)
    n = x.size / x.shape[1]
    centred = x - np.sum(x, axis=axes, keepdims=True) / n
    spread = np.sqrt(np.sum(centred * centred, axis=axes, keepdims=True) / n + eps)
    return centred / spread, spread


def _batch_norm_x(g, y, x, gamma, beta, eps):
    # μ and σ² depend on every x of the batch: two more paths, which take the mean of the gradient away
    # and its part along the standardised x
    axes = _batch_axes(x)
    n = x.size / x.shape[1]
    u, spread = _standardised(x, eps)
    mean = np.sum(g, axis=axes, keepdims=True) / n
    along = np.sum(g * u, axis=axes, keepdims=True) / n
    return _per_channel(gamma, x) / spread * (g - mean - u * along)


@op(
    "BN",
    r"y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta",
    "batch_norm({a}; {b}, {c})",
    vjp=(
        _batch_norm_x,
        lambda g, y, x, gamma, beta, eps: np.sum(g * _standardised(x, eps)[0], axis=_batch_axes(x)),
        lambda g, y, x, gamma, beta, eps: np.sum(g, axis=_batch_axes(x)),
    ),
    partials=(
        r"\frac{\partial E}{\partial x} = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}"
        r"\left(g - \bar{g} - \hat{x}\, \overline{g \hat{x}}\right)",
        r"\frac{\partial E}{\partial \gamma} = \sum g\, \hat{x}",
        r"\frac{\partial E}{\partial \beta} = \sum g",
    ),
    back=(
        "γ/σ ⊙ ({g} − its mean − its part along the standardised {a})",
        "Σ {g} ⊙ the standardised {a}",
        "Σ {g}",
    ),
    samples=(
        Sample(((4, 3), (3,), (3,))),
        Sample(((2, 3, 2, 2), (3,), (3,))),
        Sample(((5, 2), (2,), (2,)), attrs={"eps": 0.1}),
    ),
)
def batch_norm(x, gamma, beta, eps=1e-5):
    """Standardise every channel (axis 1) over the batch, then scale and shift by two learned vectors."""
    if x.ndim < 2:
        raise ValueError("batch_norm takes a batch: samples along axis 0, channels along axis 1")
    if gamma.shape != (x.shape[1],) or beta.shape != (x.shape[1],):
        raise ValueError(f"gamma and beta must have the shape {(x.shape[1],)}, one number per channel")
    return _per_channel(gamma, x) * _standardised(x, eps)[0] + _per_channel(beta, x)


def _mask_once(a, p, seed, training, mask):
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"the probability p must be in [0, 1], not {p}")
    if mask is None:
        kept = np.random.default_rng(seed).random(a.shape) >= p
        mask = kept if training else np.ones(a.shape, dtype=bool)
    else:
        mask = np.array(mask, dtype=bool)
    if mask.shape != a.shape:
        raise ValueError(f"the mask has shape {mask.shape}")
    return {"p": p, "seed": seed, "training": training, "mask": mask * 1.0}


def _drop(a, p, seed, training, mask):
    if not training:
        return a * 1.0
    return a * mask * (1.0 / (1.0 - p) if p < 1.0 else 0.0)


@op(
    "dropout",
    r"y = \frac{m}{1 - p} \odot a",
    "dropout({a})",
    vjp=(lambda g, y, a, p, seed, training, mask: _drop(g, p, seed, training, mask),),
    partials=(r"\frac{\partial y}{\partial a} = \frac{m}{1 - p}",),
    back=("{g} ⊙ mask / (1 − p)",),
    samples=(
        Sample(((3, 4),)),
        Sample(((3, 4),), attrs={"p": 0.25, "seed": 1}),
        Sample(((4,),), attrs={"training": False}),
    ),
    prepare=_mask_once,
)
def dropout(a, p=0.5, seed=0, training=True, mask=None):
    """Drop elements with probability p and scale up the rest; the mask is drawn once and kept for replays."""
    return _drop(a, p, seed, training, mask)
