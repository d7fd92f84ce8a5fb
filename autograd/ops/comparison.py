"""Comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd.ops.definition import Sample, op

_TEX = {"≥": r"\ge", "≤": r"\le"}


def _define_comparison(name: str, symbol: str, compare: Callable[..., Any]) -> Callable[..., Any]:
    def forward(a, b):
        return compare(a, b) * 1.0

    forward.__name__ = name
    forward.__doc__ = f"1 where a {symbol} b, else 0; a step, so that no gradient passes."
    return op(
        symbol,
        rf"y = [\,a {_TEX.get(symbol, symbol)} b\,]",
        f"[{{a}} {symbol} {{b}}]",
        vjp=(lambda g, y, a, b: 0.0 * g, lambda g, y, a, b: 0.0 * g),
        partials=(r"\frac{\partial y}{\partial a} = 0", r"\frac{\partial y}{\partial b} = 0"),
        back=("0", "0"),
        samples=(Sample(((2, 3), ())),),
        elementwise=True,
    )(forward)


greater = _define_comparison("greater", ">", np.greater)
less = _define_comparison("less", "<", np.less)
greater_equal = _define_comparison("greater_equal", "≥", np.greater_equal)
less_equal = _define_comparison("less_equal", "≤", np.less_equal)
