"""Tape: the NumPy calls that a formula makes, written down by running it once on proxies.

Nothing is defined twice: an op's own forward and vjp are what is run, and every result gets a fixed array. A
tape is a program: a list of calls over arrays that stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Bound = tuple[Callable[..., Any], tuple[Any, ...]]  # a call that is ready to be made
_VIEWS = frozenset({
    "transpose", "expand_dims", "swapaxes", "broadcast_to", "moveaxis", "squeeze", "sliding_window_view",
})  # fmt: skip
_REDUCTIONS = {"sum": np.add, "max": np.maximum, "amax": np.maximum, "min": np.minimum, "amin": np.minimum}


class Rows(tuple[np.ndarray, ...]):
    """Arrays of one shape that a call wants stacked along a new first axis."""


@dataclass(slots=True)
class Call:
    """One call: `function(*arguments)`, which writes `out` and nothing else."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    out: np.ndarray
    part: bool = False  # whether others write the rest of the array that `out` is a part of


class Tape:
    """Calls in order; one that follows another shares its constants."""

    def __init__(self, after: Tape | None = None) -> None:
        self.calls: list[Call] = []
        self._writer: dict[int, int] = {}  # id of an array that nothing reads yet -> the call that writes it
        self._numbers: dict[bytes, np.ndarray] = {} if after is None else after._numbers

    def emit(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], out: np.ndarray, part: bool = False
    ) -> None:
        """Add a call that writes `out`."""
        self._saw(arguments, out)
        if out.base is None:
            self._writer[id(out)] = len(self.calls)
        self.calls.append(Call(function, arguments, out, part))

    def _saw(self, arguments: Iterable[Any], out: np.ndarray | None = None) -> None:
        """Note that something reads arrays, or views of them."""
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                if argument is not out:
                    self._writer.pop(id(argument), None)
            elif isinstance(argument, tuple):
                self._saw(argument)

    def number(self, value: float) -> np.ndarray:
        """A constant as an array: a call takes it faster than a float, and equal ones are one."""
        array = np.array(value)
        return self._numbers.setdefault(array.tobytes(), array)

    def trace(
        self, function: Callable[..., Any], arguments: Iterable[np.ndarray], home: np.ndarray | None = None
    ) -> np.ndarray:
        """Run a NumPy function on proxies; returns the array that holds its result from now on."""
        arrays = list(arguments)
        self._saw(arrays)  # the result may be one of them, or a view: they stay where they are
        mark = len(self.calls)
        try:
            result = function(*(_Proxy(a, self) for a in arrays))
            array = result.array if isinstance(result, _Proxy) else np.array(result, dtype=np.float64)
        except _CanNotTrace:
            del self.calls[mark:]
            array = np.array(function(*arrays), dtype=np.float64)
            self.emit(_call_into, (function, tuple(arrays), array), array)
        if array.dtype != np.float64:
            exact = array.astype(np.float64)
            self.emit(np.copyto, (exact, array), exact)
            array = exact
        return self._at_home(array, home)

    def _at_home(self, array: np.ndarray, home: np.ndarray | None) -> np.ndarray:
        """Have a result in a given place: written there at once where that is possible, else copied."""
        if home is None or array is home:
            return array
        np.copyto(home, array)
        writer = self._writer.pop(id(array), None)
        if writer is not None:
            call = self.calls[writer]
            call.arguments = tuple(home if a is array else a for a in call.arguments)
            call.out = home
        else:
            self.emit(np.positive, (array, home), home)
        return home


def elementwise(function: Callable[..., Any]) -> bool:
    """Whether a call works on each element alone, so that a stack of them is one call on a stack."""
    return isinstance(function, np.ufunc) or function in (maximum, minimum, where_into, np.copyto)


class _CanNotTrace(Exception):
    """A formula did something that a proxy does not know; it is then called as it stands."""


class _Proxy(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array while a formula is traced: computes for real, and notes every call."""

    __array_priority__ = 2000

    def __init__(self, array: np.ndarray, tape: Tape) -> None:
        self.array = array
        self.tape = tape

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    dtype = property(lambda self: self.array.dtype)
    T = property(lambda self: self._view(self.array.T))

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise _CanNotTrace

    def __bool__(self) -> bool:
        raise _CanNotTrace

    def __float__(self) -> float:
        raise _CanNotTrace

    def __iter__(self) -> Any:
        raise _CanNotTrace

    def __getitem__(self, index: Any) -> _Proxy:
        if not is_basic(index):
            raise _CanNotTrace
        return self._view(self.array[index])

    def reshape(self, *shape: Any) -> _Proxy:
        out = self.array.reshape(*shape)
        if np.may_share_memory(out, self.array):
            return self._view(out)
        out = np.array(out)  # of its own
        place = out.reshape(self.array.shape)
        self.tape.emit(np.positive, (self.array, place), place)
        return _Proxy(out, self.tape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> _Proxy:
        return self._reduce(np.add, axis, keepdims)

    def _view(self, array: Any) -> _Proxy:
        if not isinstance(array, np.ndarray) or not np.may_share_memory(array, self.array):
            raise _CanNotTrace
        self.tape._saw([self.array])
        return _Proxy(array, self.tape)

    def _reduce(self, ufunc: np.ufunc, axis: Any, keepdims: bool) -> _Proxy:
        out = np.asarray(ufunc.reduce(self.array, axis=axis, keepdims=keepdims))
        self.tape.emit(ufunc.reduce, (self.array, axis, None, out, keepdims), out)
        return _Proxy(out, self.tape)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = [self._array(x) for x in inputs]
        if method == "outer" and not kwargs:
            a, b = arrays
            arrays = [a.reshape(a.shape + (1,) * b.ndim), b.reshape((1,) * a.ndim + b.shape)]
            self.tape._saw((a, b))
        elif method == "reduce":
            known = {"axis", "keepdims"}
            if kwargs.keys() - known:
                raise _CanNotTrace
            return self._reduce(ufunc, kwargs.get("axis", 0), kwargs.get("keepdims", False))
        elif method != "__call__" or kwargs or ufunc.nout != 1:
            raise _CanNotTrace
        out = np.asarray(ufunc(*arrays))
        call: Callable[..., Any] = ufunc
        if ufunc is np.matmul and all(1 <= a.ndim <= 2 for a in arrays):
            call = np.dot  # the same product, at little more than half the price of a call
        if ufunc is np.maximum:
            call = maximum
        elif ufunc is np.minimum:
            call = minimum
        self.tape.emit(call, (*arrays, out), out)
        return _Proxy(out, self.tape)

    def _array(self, x: Any) -> np.ndarray:
        if isinstance(x, _Proxy):
            return x.array
        number = isinstance(x, int | float) and not isinstance(x, bool)
        return self.tape.number(float(x)) if number else np.asarray(x)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = function.__name__
        if name in _VIEWS:
            return args[0]._view(function(args[0].array, *args[1:], **kwargs))
        if name in ("reshape", "ravel"):
            return args[0].reshape(*args[1:] or (-1,))
        if name in _REDUCTIONS and not kwargs.keys() - {"axis", "keepdims"}:
            axis = args[1] if len(args) > 1 else kwargs.get("axis")
            return args[0]._reduce(_REDUCTIONS[name], axis, kwargs.get("keepdims", False))
        if name == "mean" and not kwargs.keys() - {"axis", "keepdims"}:
            total = self.__array_function__(np.sum, types, args, kwargs)
            return total / (args[0].size / max(total.size, 1))
        if name == "outer" and len(args) == 2:
            return np.reshape(args[0], (-1, 1)) * np.reshape(args[1], (1, -1))
        if name == "size":
            return args[0].size
        if name == "dot" and len(args) == 2 and not kwargs:
            a, b = map(self._array, args)
            out = np.asarray(np.dot(a, b))
            self.tape.emit(np.dot, (a, b, out), out)
            return _Proxy(out, self.tape)
        if name == "where" and len(args) == 3:
            arrays = [self._array(x) for x in args]
            out = np.where(*arrays)
            self.tape.emit(where_into, (*arrays, out), out)
            return _Proxy(out, self.tape)
        if name in ("concatenate", "stack"):
            return self._joined(function, *args, **kwargs)
        if name == "pad" and kwargs.keys() == {"constant_values"}:
            return self._padded(*args, **kwargs)
        if name == "summed_at":
            return self._summed_at(*args)
        raise _CanNotTrace

    def _padded(self, x: _Proxy, widths: Any, constant_values: float) -> _Proxy:
        """The margin is written once; what is inside is written by every run."""
        out = np.pad(x.array, widths, constant_values=constant_values)
        place = out[tuple(slice(p, p + n) for (p, _), n in zip(widths, x.shape, strict=True))]
        self.tape.emit(np.positive, (x.array, place), place, part=True)
        return _Proxy(out, self.tape)

    def _summed_at(self, shape: tuple[int, ...], places: Sequence[Any], parts: Sequence[Any]) -> _Proxy:
        """Parts that do not overlap are written to their places, the others are added there."""
        arrays = [self._array(x) for x in parts]
        out = summed_at(shape, places, arrays)
        times = summed_at(shape, places, [np.ones(a.shape) for a in arrays])
        if times.max() > 1.0:
            self.tape.emit(np.copyto, (out, self.tape.number(0.0)), out)
        for index, a in zip(places, arrays, strict=True):
            place = part_of(out, index)
            if times.max() > 1.0:
                self.tape.emit(np.add, (place, a, place), place)
            else:  # where no part lies stays what `summed_at` left there: zero
                self.tape.emit(np.positive, (a, place), place, part=True)
        return _Proxy(out, self.tape)

    def _joined(self, function: Callable[..., Any], parts: Sequence[Any], axis: int = 0) -> _Proxy:
        """Pieces are written to their places, one call each."""
        arrays = [self._array(x) for x in parts]
        out = function(arrays, axis=axis)
        axis %= out.ndim
        at = 0
        for a in arrays:
            size = 1 if function is np.stack else a.shape[axis]
            place = out[(slice(None),) * axis + (at if function is np.stack else slice(at, at + size), ...)]
            self.tape.emit(np.positive, (a, place), place, part=True)
            at += size
        return _Proxy(out, self.tape)


def maximum(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    np.maximum(a, b, out=out)  # this one and its twin want their output by name


def minimum(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    np.minimum(a, b, out=out)


def where_into(condition: np.ndarray, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    np.copyto(out, b)
    np.copyto(out, a, where=condition)


def _call_into(function: Callable[..., Any], arguments: tuple[np.ndarray, ...], out: np.ndarray) -> None:
    np.copyto(out, function(*arguments))


def is_basic(index: Any) -> bool:
    """Whether an index takes a view: slices and whole numbers."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(p, slice | int | np.integer | type(None) | type(Ellipsis)) for p in parts)


def part_of(array: np.ndarray, index: Any) -> np.ndarray:
    """The view that a basic index takes, also where NumPy would take a plain number."""
    parts = index if isinstance(index, tuple) else (index,)
    return array[parts] if any(p is Ellipsis for p in parts) else array[(*parts, Ellipsis)]


def summed_at(shape: tuple[int, ...], places: Sequence[Any], parts: Sequence[Any]) -> Any:
    """Zeros of a shape to which each part is added at its place, a basic index."""
    for part in parts:
        if isinstance(part, _Proxy):
            return part.__array_function__(summed_at, (), (shape, places, parts), {})
    out = np.zeros(shape)
    for place, part in zip(places, parts, strict=True):
        out[place] += part
    return out


def stacked_product(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Σ leftᵀ right over all rows of two stacks of vectors or matrices."""
    np.dot(left.reshape(-1, left.shape[-1]).T, right.reshape(-1, right.shape[-1]), out)
