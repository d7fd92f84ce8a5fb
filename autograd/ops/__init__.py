"""Every operation of the engine, one definition each: forward, vjp, formulas, text, doc and a test sample.

An op is a NumPy function with a decorator. The decorated name records the op on Tensors; `OPS[name]` is
its definition. A vjp gets the gradient `g` of the output `y` and the values of the inputs, and returns
what flows to one input; a shape that NumPy stretched is summed back once, in `Graph`.
Conventions where the derivative is not defined: relu′(0) = 0; max and min go to the first arg-max.
"""

from collections.abc import Callable
from typing import Any

from autograd.graph import Tensor
from autograd.ops.activations import elu, leaky_relu, relu, sigmoid, softplus, tanh
from autograd.ops.arithmetic import add, add_n, divide, maximum, minimum, multiply, negative, power, subtract
from autograd.ops.comparison import greater, greater_equal, less, less_equal
from autograd.ops.convolution import avg_pool2d, conv2d, max_pool2d
from autograd.ops.definition import OPS, Op, Sample, record
from autograd.ops.functions import abs, clamp, clip, cos, exp, log, sin, sqrt, stop_gradient, where
from autograd.ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    half_squared_error,
)
from autograd.ops.normalisation import batch_norm, dropout
from autograd.ops.probability import log_softmax, logsumexp, softmax
from autograd.ops.products import cosine_similarity, dot, embedding, matmul, outer
from autograd.ops.reductions import cumsum, max, mean, min, norm, sum, var
from autograd.ops.shape import concatenate, getitem, reshape, stack, transpose

__all__ = [
    "OPS",
    "Op",
    "Sample",
    "abs",
    "add",
    "add_n",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "clamp",
    "clip",
    "concatenate",
    "conv2d",
    "cos",
    "cosine_similarity",
    "cross_entropy",
    "cumsum",
    "divide",
    "dot",
    "dropout",
    "elu",
    "embedding",
    "exp",
    "getitem",
    "greater",
    "greater_equal",
    "half_squared_error",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "norm",
    "outer",
    "power",
    "record",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "stack",
    "stop_gradient",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "var",
    "where",
]


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: function(other, self)


Tensor.__add__, Tensor.__radd__ = add, _reflected(add)
Tensor.__sub__, Tensor.__rsub__ = subtract, _reflected(subtract)
Tensor.__mul__, Tensor.__rmul__ = multiply, _reflected(multiply)
Tensor.__truediv__, Tensor.__rtruediv__ = divide, _reflected(divide)
Tensor.__pow__, Tensor.__rpow__ = power, _reflected(power)
Tensor.__matmul__, Tensor.__rmatmul__ = matmul, _reflected(matmul)
Tensor.__neg__ = negative
Tensor.__getitem__ = lambda self, index: getitem(self, index=index)
Tensor.__gt__, Tensor.__lt__ = greater, less
Tensor.__ge__, Tensor.__le__ = greater_equal, less_equal
