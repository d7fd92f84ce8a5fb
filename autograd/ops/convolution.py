"""Convolution and pooling over images: batch, channel, row, column, as PyTorch orders them.

A window is a stretch of the padded image; an output along one axis has
`(size + padding at the start + padding at the end − reach) // stride + 1` of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from autograd.ops.definition import Sample, op
from autograd.tape import summed_at


@dataclass(frozen=True)
class _Windows:
    """Where the windows of one call lie, per axis (rows, columns)."""

    size: tuple[int, ...]  # of the image
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    start: tuple[int, ...]  # padding before
    end: tuple[int, ...]  # padding after
    out: tuple[int, ...]  # how many windows

    def padded(self, x, fill=0.0):
        """The image with its margin."""
        if not any(self.start + self.end):
            return x
        margins = [(0, 0), (0, 0), *zip(self.start, self.end, strict=True)]
        return np.pad(x, margins, constant_values=fill)

    def seen(self, x, fill=0.0):
        """All windows as a view: batch, channel, window row and column, place in the kernel."""
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        every = np.lib.stride_tricks.sliding_window_view(self.padded(x, fill), reach, axis=(2, 3))
        (sh, sw), (dh, dw) = self.stride, self.dilation
        return every[:, :, ::sh, ::sw, ::dh, ::dw]

    def summed(self, parts, batch, channels):
        """The image with what the windows sent to its pixels: `parts(i, j)` for place i, j of the kernel."""
        shape = [n + p + q for n, p, q in zip(self.size, self.start, self.end, strict=True)]
        every = list(np.ndindex(*self.kernel))
        places = [self.place(i, j) for i, j in every]
        image = summed_at((batch, channels, *shape), places, [parts(i, j) for i, j in every])
        return image[..., *(slice(p, p + n) for p, n in zip(self.start, self.size, strict=True))]

    def place(self, i, j):
        """What place i, j of the kernel touches in the padded image, over all windows."""
        touched = [
            slice(at * d, at * d + s * (n - 1) + 1, s)
            for at, d, s, n in zip((i, j), self.dilation, self.stride, self.out, strict=True)
        ]
        return ..., *touched


def _pair(value, name, least):
    """Rows and columns from one whole number or two."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    whole = len(pair) == 2 and all(isinstance(n, int | np.integer) and n >= least for n in pair)
    if not whole:
        raise ValueError(f"{name} must be one or two whole numbers from {least}, not {value!r}")
    return pair


def _windows(x, kernel, stride, padding, dilation=1):
    """The windows of a call; raises ValueError with the reason when there are none."""
    if x.ndim != 4:
        raise ValueError(f"images have four axes (batch, channel, row, column), not {x.ndim}")
    size, stride, dilation = x.shape[2:], _pair(stride, "stride", 1), _pair(dilation, "dilation", 1)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    if padding == "valid":
        start = end = (0, 0)
    elif padding == "full":
        start = end = tuple(r - 1 for r in reach)
    elif padding == "same":
        # as many windows as strides fit into the image; an odd margin is larger at the end
        margin = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(size, stride, reach, strict=True)]
        start, end = tuple(m // 2 for m in margin), tuple(m - m // 2 for m in margin)
    elif isinstance(padding, str):
        raise ValueError(f"padding must be valid, same, full or whole numbers, not {padding!r}")
    else:
        start = end = _pair(padding, "padding", 0)
    room = [n + p + q - r for n, p, q, r in zip(size, start, end, reach, strict=True)]
    if min(room) < 0:
        raise ValueError(f"a window of {reach} does not fit into {size} with the padding {padding!r}")
    out = tuple(n // s + 1 for n, s in zip(room, stride, strict=True))
    return _Windows(size, kernel, stride, dilation, start, end, out)


def _conv_windows(x, w, stride, padding, dilation):
    if w.ndim != 4:
        raise ValueError(f"filters have four axes (filter, channel, row, column), not {w.ndim}")
    windows = _windows(x, w.shape[2:], stride, padding, dilation)
    if x.shape[1] != w.shape[1]:
        raise ValueError(f"the image has {x.shape[1]} channels, the filters have {w.shape[1]}")
    return windows


def _columns(x, windows):
    """The windows as columns of one matrix per image, for a matrix product with the filters as rows."""
    seen = np.transpose(windows.seen(x), (0, 1, 4, 5, 2, 3))
    return np.reshape(seen, (x.shape[0], -1, windows.out[0] * windows.out[1]))


def _conv_x(g, y, x, w, b=None, stride=1, padding=0, dilation=1):
    windows = _conv_windows(x, w, stride, padding, dilation)
    rows = np.reshape(w, (w.shape[0], -1))
    sent = np.matmul(rows.T, np.reshape(g, (*g.shape[:2], -1)))
    sent = np.reshape(sent, (x.shape[0], *w.shape[1:], *windows.out))
    return windows.summed(lambda i, j: sent[:, :, i, j], x.shape[0], x.shape[1])


def _conv_w(g, y, x, w, b=None, stride=1, padding=0, dilation=1):
    columns = _columns(x, _conv_windows(x, w, stride, padding, dilation))
    each = np.matmul(np.reshape(g, (*g.shape[:2], -1)), np.transpose(columns, (0, 2, 1)))
    return np.reshape(np.sum(each, axis=0), w.shape)


@op(
    "∗",
    r"y_{kij} = \sum_{c,u,v} w_{kcuv}\, x_{c,\, iS+u,\, jS+v} + b_k",
    "conv2d({list})",
    vjp=(_conv_x, _conv_w, lambda g, y, x, w, b, stride, padding, dilation: np.sum(g, axis=(0, 2, 3))),
    partials=(
        r"\frac{\partial E}{\partial x_{cpq}} = \sum_{k,i,j} g_{kij}\, w_{k,c,\, p-iS,\, q-jS}",
        r"\frac{\partial E}{\partial w_{kcuv}} = \sum_{i,j} g_{kij}\, x_{c,\, iS+u,\, jS+v}",
        r"\frac{\partial E}{\partial b_k} = \sum_{i,j} g_{kij}",
    ),
    back=("{g} ∗ the flipped filters", "the windows of {a} ∗ {g}", "Σ {g} per filter"),
    samples=(
        Sample(((1, 2, 4, 4), (2, 2, 3, 3), (2,))),
        Sample(((2, 1, 5, 4), (2, 1, 2, 3), (2,)), attrs={"stride": 2, "padding": "same"}),
        Sample(((1, 1, 3, 3), (1, 1, 2, 2), (1,)), attrs={"padding": "full"}),
        Sample(((1, 1, 5, 6), (1, 1, 2, 2), (1,)), attrs={"dilation": (2, 3), "padding": (1, 0)}),
    ),
)
def conv2d(x, w, b=None, stride=1, padding=0, dilation=1):
    """Slide filters over images (batch, channel, row, column); the same weights look at every place."""
    windows = _conv_windows(x, w, stride, padding, dilation)
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"the bias must have the shape {w.shape[:1]}, one number per filter")
    y = np.matmul(np.reshape(w, (w.shape[0], -1)), _columns(x, windows))
    y = np.reshape(y, (x.shape[0], w.shape[0], *windows.out))
    return y if b is None else y + np.reshape(b, (-1, 1, 1))


def _pool_windows(a, kernel_size, stride, padding):
    kernel = _pair(kernel_size, "kernel_size", 1)
    windows = _windows(a, kernel, kernel if stride is None else stride, padding)
    if any(p >= k for p, k in zip(windows.start, kernel, strict=True)):
        raise ValueError(f"padding {padding!r} lets windows of {kernel} see nothing of the image")
    return windows


def _max_pool_back(g, y, a, kernel_size, stride, padding):
    windows = _pool_windows(a, kernel_size, stride, padding)
    padded = windows.padded(a, -np.inf)
    sent, taken = {}, None
    for place in np.ndindex(*windows.kernel):
        smaller = padded[windows.place(*place)] < y  # NaN counts as the largest
        sent[place] = np.where(smaller if taken is None else smaller | taken, 0.0, g)
        taken = ~smaller if taken is None else taken | ~smaller
    return windows.summed(lambda i, j: sent[i, j], *a.shape[:2])


_POOLS = (
    Sample(((1, 2, 4, 4),)),
    Sample(((2, 1, 5, 4),), attrs={"kernel_size": (3, 2), "stride": (2, 1)}),
    Sample(((1, 1, 5, 5),), attrs={"kernel_size": 3, "stride": 2, "padding": 1}),
    Sample(((1, 1, 3, 5),), attrs={"kernel_size": 2, "stride": 2, "padding": "same"}),
)


@op(
    "max pool",
    r"y_{ij} = \max_{u,v} a_{iS+u,\, jS+v}",
    "max_pool2d({a})",
    vjp=(_max_pool_back,),
    partials=(r"\frac{\partial y_{ij}}{\partial a_{pq}} = [\, (p, q) = \mathrm{argmax} \,]",),
    back=("{g} to the largest element of its window",),
    samples=_POOLS,
)
def max_pool2d(a, kernel_size=2, stride=None, padding=0):
    """The largest of each window; it alone receives the gradient, in a tie the first one."""
    windows = _pool_windows(a, kernel_size, stride, padding)
    padded = windows.padded(a, -np.inf)
    return reduce(np.maximum, [padded[windows.place(i, j)] for i, j in np.ndindex(*windows.kernel)])


def _avg_pool_back(g, y, a, kernel_size, stride, padding):
    windows = _pool_windows(a, kernel_size, stride, padding)
    share = g / (windows.kernel[0] * windows.kernel[1])
    return windows.summed(lambda i, j: share, *a.shape[:2])


@op(
    "avg pool",
    r"y_{ij} = \frac{1}{F^2} \sum_{u,v} a_{iS+u,\, jS+v}",
    "avg_pool2d({a})",
    vjp=(_avg_pool_back,),
    partials=(r"\frac{\partial y_{ij}}{\partial a_{pq}} = \frac{1}{F^2}",),
    back=("{g} / F² to every element of its window",),
    samples=_POOLS,
)
def avg_pool2d(a, kernel_size=2, stride=None, padding=0):
    """The average of each window, in which padding counts as 0; the gradient is shared out evenly."""
    windows = _pool_windows(a, kernel_size, stride, padding)
    padded = windows.padded(a)
    seen = [padded[windows.place(i, j)] for i, j in np.ndindex(*windows.kernel)]
    return reduce(np.add, seen) / len(seen)
