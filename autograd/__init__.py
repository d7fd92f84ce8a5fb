"""Backstep's engine: reverse-mode automatic differentiation that remembers everything it did.

    with Graph() as g:
        w = tensor([1.0, 2.0], name="w", kind="parameter")
        loss = sum(w * w)
    loss.backward()
    w.grad

Float64 throughout; functions are named as NumPy names them where NumPy has them, else as
`torch.nn.functional` does. Imports NumPy and nothing else.
"""

from autograd import ops as _ops
from autograd.check import GradientCheck, check_gradients
from autograd.graph import Graph, Tensor, at_time, scalars, scope, tensor
from autograd.ops import OPS, Op
from autograd.ops import *  # noqa: F403  the functions; `ops.__all__` is made from OPS
from autograd.trace import Arrival, Step, Trace

__all__ = [
    "OPS",
    "Arrival",
    "GradientCheck",
    "Graph",
    "Op",
    "Step",
    "Tensor",
    "Trace",
    "at_time",
    "check_gradients",
    "scalars",
    "scope",
    "tensor",
    *_ops.__all__,
]
