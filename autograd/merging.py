"""Merging: calls of one kind that do not wait for each other become one call on a stack of their arrays.

`merge` takes tapes and gives back programs that do the same in fewer calls. Four things happen:

1. What was computed before is not computed again.
2. A call whose argument nobody else reads works in place, and a piece that is only computed to be copied into
   a larger array is written there at once.
3. Calls that do the same to arrays of the same shapes form a kind. Within a kind, those with the same number
   of kindred calls before them on their longest way can not depend on each other: they are one stack. (It is
   the agenda of Neubig, Goldberg and Dyer, "On-the-fly operation batching in dynamic computation graphs",
   NIPS 2017, with the depth counted in each kind by itself: what runs through time stays one call per step,
   and what only branches off from it, such as a read-out, becomes one call for all steps.)
4. Arrays that a stack wants side by side get their places as rows of one block.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from autograd.tape import Bound, Call, Rows, Tape, elementwise, stacked_product

SHARED = 3  # a leaf that so many calls read tells them from calls that read another one
TABLE = 20_000_000  # entries of the table of ranks at a time


class View(NamedTuple):
    """A part of a buffer, from its first byte on."""

    buffer: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(slots=True)
class _Buffer:
    """An array that owns its memory: a leaf, a constant, or what a call computes."""

    array: np.ndarray
    fixed: bool  # not one row after the other, so that it can not be moved
    writers: list[int] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    inside: tuple[int, int] | None = None  # the buffer that it is a part of from now on, and where


Program = list[Bound]
Group = tuple[int, ...]  # calls that are made at once


def merge(
    tapes: Sequence[Tape], visible: Iterable[np.ndarray]
) -> tuple[list[Program], Callable[[np.ndarray], np.ndarray]]:
    """One program for each tape, to be run in this order, and a function from an array to where it is now.

    `visible` are the arrays whose contents count afterwards.
    """
    merger = _Merger(tapes, visible)
    return merger.programs(), merger.now


class _Merger:
    def __init__(self, tapes: Sequence[Tape], visible: Iterable[np.ndarray]) -> None:
        self.tapes = len(tapes)
        self.calls: list[Call] = [call for tape in tapes for call in tape.calls]
        self.tape_of = [k for k, tape in enumerate(tapes) for _ in tape.calls]
        self.buffers: list[_Buffer] = []
        self._number: dict[int, int] = {}  # id of an array that owns its memory -> buffer
        self._views: dict[int, View] = {}  # id of any array -> what it shows
        self._roots: dict[int, View] = {}  # the same, told from the outermost buffer
        self._kept: list[np.ndarray] = []  # so that no id is used again
        self._gone: set[int] = set()  # calls that need not be made
        self._moved: dict[int, tuple[np.ndarray, int]] = {}  # buffer -> block, and its first byte there
        self._now: dict[int, np.ndarray] = {}  # id of any array -> the one that takes its place
        self.visible = {self.view(a).buffer for a in visible}
        self.reads = [_reads(call) for call in self.calls]
        self.sources = [[self.view(a).buffer for a in arrays] for arrays in self.reads]
        self.target = [self.view(call.out).buffer for call in self.calls]
        for n, (sources, target) in enumerate(zip(self.sources, self.target, strict=True)):
            for number in sources:
                self.buffers[number].readers.append(n)
            self.buffers[target].writers.append(n)

    def programs(self) -> list[Program]:
        self._compute_once()
        self._write_at_once()
        self._work_in_place()
        self._roots.clear()  # told before everything had its place
        before = self._dependencies()
        steps = self._schedule(self._groups(before), before)
        self._place(steps)
        programs: list[Program] = [[] for _ in range(self.tapes)]
        for step in steps:
            programs[self.tape_of[step[0]]] += self._bound(step)
        return programs

    # Arrays

    def view(self, array: np.ndarray) -> View:
        """What an array shows of which buffer."""
        known = self._views.get(id(array))
        if known is not None:
            return known
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        number = self._number.get(id(owner))
        if number is None:
            number = self._number[id(owner)] = len(self.buffers)
            self.buffers.append(_Buffer(owner, owner.base is not None or not owner.flags.c_contiguous))
        offset = 0 if owner is array else _address(array) - _address(owner)
        self._views[id(array)] = found = View(number, offset, array.shape, array.strides)
        self._kept.append(array)
        return found

    def root(self, array: np.ndarray) -> View:
        """What an array shows, told from the buffer that its own buffer is a part of."""
        found = self._roots.get(id(array))
        if found is None:
            found = self.view(array)
            while (inside := self.buffers[found.buffer].inside) is not None:
                found = View(inside[0], found.offset + inside[1], found.shape, found.strides)
            self._roots[id(array)] = found
        return found

    def now(self, array: np.ndarray) -> np.ndarray:
        """The array as it lies after everything has its place."""
        found = self._now.get(id(array))
        if found is None:
            view = self.root(array)
            moved = view.buffer in self._moved or self.buffers[self.view(array).buffer].inside is not None
            found = self._shown(view, view.offset, view.shape, view.strides) if moved else array
            self._now[id(array)] = found
        return found

    def _shown(self, view: View, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
        block, start = self._moved.get(view.buffer, (self.buffers[view.buffer].array, 0))
        return np.ndarray(shape, block.dtype, block, start + offset, strides)

    def _whole(self, array: np.ndarray) -> bool:
        """Whether an array is all of a buffer that may be moved."""
        buffer = self.buffers[self.view(array).buffer]
        return not buffer.fixed and array.shape == buffer.array.shape and array.flags.c_contiguous

    def _once(self, array: np.ndarray, tape: int) -> bool:
        """Whether an array is computed by one call, in that tape."""
        writers = self.buffers[self.view(array).buffer].writers
        return len(writers) == 1 and self.tape_of[writers[0]] == tape

    # What need not be computed, or copied

    def _compute_once(self) -> None:
        known: dict[tuple[Any, ...], int] = {}  # function and arguments -> buffer with the result
        for n, call in enumerate(self.calls):
            number = self.target[n]
            if call.part or len(self.buffers[number].writers) != 1 or not self._whole(call.out):
                continue
            inputs = [self.buffers[b] for b in self.sources[n]]
            if any(b.writers and b.writers[-1] >= n for b in inputs):
                continue  # it will be another array then
            key = (call.function, *(self._same(a, call.out) for a in call.arguments))
            earlier = known.setdefault(key, number)
            if earlier == number:
                continue
            self.buffers[number].inside = (earlier, 0)
            self._gone.add(n)
            for b in inputs:
                b.readers.remove(n)
            self.buffers[earlier].readers += self.buffers[number].readers
            if number in self.visible:
                self.visible.add(earlier)

    def _same(self, argument: Any, out: np.ndarray) -> Any:
        """What two calls have to agree in to give the same."""
        if argument is out:
            return out.shape, out.dtype
        if isinstance(argument, np.ndarray):
            return self.root(argument)
        return tuple(self._same(a, out) for a in argument) if isinstance(argument, tuple) else argument

    def _write_at_once(self) -> None:
        for n, call in enumerate(self.calls):
            if not call.part or call.function is not np.positive or n in self._gone:
                continue
            piece, place = call.arguments
            source, target = self.buffers[self.view(piece).buffer], self.root(place)
            if (
                self._whole(piece)
                and source.inside is None
                and self._once(piece, self.tape_of[n])
                and place.flags.c_contiguous
                and not self.buffers[target.buffer].fixed
            ):
                source.inside = (target.buffer, target.offset)
                self._gone.add(n)
            elif (
                source.readers == [n]
                and self._once(piece, self.tape_of[n])
                and self.view(piece).buffer not in self.visible
                and self.calls[source.writers[0]].out is piece
                and elementwise(self.calls[source.writers[0]].function)
            ):
                writer = self.calls[source.writers[0]]
                writer.arguments = tuple(place if a is piece else a for a in writer.arguments)
                writer.out, writer.part = place, True
                self._gone.add(n)

    def _work_in_place(self) -> None:
        for n, call in enumerate(self.calls):
            if not isinstance(call.function, np.ufunc) or n in self._gone or call.part:
                continue
            out = call.out
            if not (self._whole(out) and self._once(out, self.tape_of[n])):
                continue
            for array in call.arguments[:-1]:
                view = self.view(array)
                source = self.buffers[view.buffer]
                if (
                    self._whole(array)
                    and array.shape == out.shape
                    and array.dtype == out.dtype
                    and source.inside is None
                    and view.buffer not in self.visible
                    and set(source.readers) == {n}
                    and self._once(array, self.tape_of[n])
                    and not self.calls[source.writers[0]].part
                ):
                    source.inside = (self.view(out).buffer, 0)
                    break

    # Which calls are made together

    def _dependencies(self) -> list[set[int]]:
        """For each call, those that have to be made before it."""
        before: list[set[int]] = [set() for _ in self.calls]
        written: dict[int, list[tuple[int, int, int]]] = defaultdict(list)  # call, first and last byte
        read: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        tape = -1
        self._first_write: dict[int, int] = {}
        for n, call in enumerate(self.calls):
            if n in self._gone:
                continue
            if self.tape_of[n] != tape:  # another tape has been run to its end by then
                tape = self.tape_of[n]
                written.clear()
                read.clear()
            earlier = before[n]
            seen = []
            for array in self.reads[n]:
                buffer, low, high = self._extent(array)
                if buffer in written:
                    earlier.update([m for m, a, b in written[buffer] if a < high and low < b])
                seen.append((buffer, (n, low, high)))
            buffer, low, high = self._extent(call.out)
            if buffer in read:
                earlier.update([m for m, a, b in read[buffer] if a < high and low < b])
            if buffer in written and not call.part:
                earlier.update([m for m, a, b in written[buffer] if a < high and low < b])
            written[buffer].append((n, low, high))
            self._first_write.setdefault(buffer, n)
            for buffer, use in seen:
                read[buffer].append(use)
        return before

    def _extent(self, array: np.ndarray) -> tuple[int, int, int]:
        """The buffer of an array, its first byte and, roughly, its last: from the first element to behind the
        beginning of the last."""
        view = self.root(array)
        low = high = view.offset
        for n, stride in zip(view.shape, view.strides, strict=True):
            if stride < 0:
                low += (n - 1) * stride
            else:
                high += (n - 1) * stride
        return view.buffer, low, high + 1

    def _kind(self, n: int) -> tuple[Any, ...] | None:
        """What two calls have in common that may become one; None for one that stays alone."""
        call = self.calls[n]
        if not (elementwise(call.function) or call.function is np.dot or _reduces(call.function)):
            return None
        parts: list[Any] = [self.tape_of[n], call.function]
        for argument in call.arguments:
            if isinstance(argument, np.ndarray):
                root = self.buffers[self.root(argument).buffer].array
                parts += (argument.shape, argument.strides, root.shape, root.dtype, self._colour(argument))
            elif isinstance(argument, Rows):
                return None
            else:
                parts.append(argument)
        return tuple(parts)

    def _colour(self, array: np.ndarray) -> Any:
        """Where an argument comes from: which call computes it, or which leaf it is if it is used a lot."""
        number = self.view(array).buffer
        buffer = self.buffers[number]
        if buffer.writers:
            writer = buffer.writers[0]
            return self.tape_of[writer], self.calls[writer].function
        return number if len(buffer.readers) >= SHARED else None

    def _groups(self, before: list[set[int]]) -> list[Group]:
        kinds: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for n in range(len(self.calls)):
            kind = None if n in self._gone else self._kind(n)
            if kind is not None:
                kinds[kind].append(n)
        several = [members for members in kinds.values() if len(members) > 1]
        groups: list[Group] = []
        at_a_time = max(TABLE // max(len(self.calls), 1), 1)
        for first in range(0, len(several), at_a_time):
            groups += self._of_one_rank(several[first : first + at_a_time], before)
        return groups

    def _of_one_rank(self, kinds: list[list[int]], before: list[set[int]]) -> Iterator[Group]:
        """Calls of a kind with the same number of kindred calls on their longest way."""
        kind_of = {n: k for k, members in enumerate(kinds) for n in members}
        rank = np.zeros((len(self.calls), len(kinds)), np.int32)
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for n, earlier in enumerate(before):
            row = rank[n]
            if len(earlier) == 1:
                row[:] = rank[next(iter(earlier))]
            elif earlier:
                rank[list(earlier)].max(0, out=row)
            kind = kind_of.get(n)
            if kind is not None:
                groups[kind, int(row[kind])].append(n)
                row[kind] += 1
        return (tuple(members) for members in groups.values() if len(members) > 1)

    def _schedule(self, groups: list[Group], before: list[set[int]]) -> list[Group]:
        """All calls in an order in which each finds what it needs; groups that wait for each other are
        split."""
        while True:
            step_of: dict[int, int] = {n: k for k, group in enumerate(groups) for n in group}
            steps = list(groups)
            for n in range(len(self.calls)):
                if n not in step_of and n not in self._gone:
                    step_of[n] = len(steps)
                    steps.append((n,))
            needs: list[set[int]] = [set() for _ in steps]
            for n, step in step_of.items():
                needs[step].update([step_of[m] for m in before[n]])
            after: list[list[int]] = [[] for _ in steps]
            for k, needed in enumerate(needs):
                for m in needed:
                    after[m].append(k)
            missing = [len(needed) for needed in needs]
            ready = [(self.tape_of[step[0]], step[0], k) for k, step in enumerate(steps) if not missing[k]]
            heapq.heapify(ready)
            ordered = []
            while ready:
                *_, k = heapq.heappop(ready)
                ordered.append(steps[k])
                for m in after[k]:
                    missing[m] -= 1
                    if not missing[m]:
                        heapq.heappush(ready, (self.tape_of[steps[m][0]], steps[m][0], m))
            if len(ordered) == len(steps):
                return ordered
            stuck = sorted((len(g), g) for k, g in enumerate(groups) if missing[k])
            split = {group for _, group in stuck[: (len(stuck) + 1) // 2]}
            groups = [group for group in groups if group not in split]

    # Where arrays lie

    def _place(self, steps: list[Group]) -> None:
        """Buffers that one call wants as a stack become rows of one block, in the order of time."""
        parent: dict[int, int] = {}

        def top(b: int) -> int:
            while parent.setdefault(b, b) != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            return b

        for arrays in self._wanted_stacks(steps):
            roots = list(dict.fromkeys(self.root(a).buffer for a in arrays))
            first = self.buffers[roots[0]].array
            if len(roots) > 1 and all(
                not self.buffers[b].fixed
                and self.buffers[b].array.shape == first.shape
                and self.buffers[b].array.dtype == first.dtype
                for b in roots
            ):
                for b in roots[1:]:
                    parent[top(b)] = top(roots[0])
        pools: dict[int, list[int]] = defaultdict(list)
        for b in parent:
            pools[top(b)].append(b)
        for pool in pools.values():
            pool.sort(key=self._time)
            sample = self.buffers[pool[0]].array
            block = np.empty((len(pool), *sample.shape), sample.dtype)
            for k, b in enumerate(pool):
                block[k] = self.buffers[b].array
                self._moved[b] = block, k * sample.nbytes

    def _wanted_stacks(self, steps: list[Group]) -> Iterator[Sequence[np.ndarray]]:
        for step in steps:
            for column in zip(*(self.calls[n].arguments for n in step), strict=True):
                if len(step) > 1 and isinstance(column[0], np.ndarray):
                    if not self._all_one(column):
                        yield column
                elif isinstance(column[0], Rows):
                    yield column[0]

    def _time(self, buffer: int) -> int:
        """Leaves first, then what runs forward, then what runs backward with the last first."""
        n = self._first_write.get(buffer)
        if n is None:
            return buffer - len(self.buffers)
        return n if self.tape_of[n] == 0 else 2 * len(self.calls) - n

    def _all_one(self, arrays: Sequence[np.ndarray]) -> bool:
        """Whether arrays are one and the same."""
        first = self.view(arrays[0])
        return all(a is arrays[0] or self.view(a) == first for a in arrays[1:])

    def _stack(self, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
        """Arrays as one with a new first axis, without copying; None when they are not evenly spaced."""
        views = [self.root(a) for a in arrays]
        block = self._moved.get(views[0].buffer, (None, 0))[0]
        if block is None:
            if any(v.buffer != views[0].buffer for v in views) or self.buffers[views[0].buffer].fixed:
                return None
            places = [v.offset for v in views]
        else:
            if any(self._moved.get(v.buffer, (None, 0))[0] is not block for v in views):
                return None
            places = [self._moved[v.buffer][1] + v.offset for v in views]
        apart = places[1] - places[0] if len(places) > 1 else 0
        if any(b - a != apart for a, b in pairwise(places)):
            return None
        first = views[0]
        return self._shown(first, first.offset, (len(views), *first.shape), (apart, *first.strides))

    def _gathered(self, arrays: Sequence[np.ndarray], program: Program) -> np.ndarray:
        """The same as `_stack`, copied together where they are scattered."""
        found = self._stack(arrays)
        if found is None:
            found = np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
            for k, array in enumerate(arrays):
                program.append((np.copyto, (found[k, ...], self.now(array))))
        return found

    # The calls that are made in the end

    def _bound(self, step: Group) -> Program:
        if len(step) > 1:
            order = sorted(step, key=lambda n: self._place_of(self.calls[n].out))
            together = self._together([self.calls[n] for n in order])
            if together is not None:
                return together
        program: Program = []
        for n in step:
            call = self.calls[n]
            arguments = [self._argument(a, program) for a in call.arguments]
            if call.function is stacked_product:
                left, right, out = arguments
                program.append((np.dot, (_flat(left, program).T, _flat(right, program), out)))
            else:
                program.append((call.function, tuple(arguments)))
        return program

    def _place_of(self, array: np.ndarray) -> int:
        """Where an array begins in its block."""
        view = self.root(array)
        return view.offset + (self._moved[view.buffer][1] if view.buffer in self._moved else 0)

    def _argument(self, argument: Any, program: Program) -> Any:
        if isinstance(argument, np.ndarray):
            return self.now(argument)
        if isinstance(argument, Rows):
            return self._gathered(argument, program)
        if isinstance(argument, tuple):
            return tuple(self._argument(a, program) for a in argument)
        return argument

    def _together(self, calls: list[Call]) -> Program | None:
        """A group of calls as one call; None where its arrays do not lie evenly: copying would not pay."""
        first = calls[0]
        stacks: list[Any] = []
        same: list[bool] = []
        for column in zip(*(call.arguments for call in calls), strict=True):
            array = isinstance(column[0], np.ndarray)
            same.append(not array or all(self.view(a) == self.view(column[0]) for a in column))
            stacks.append(
                self._stack(column) if not same[-1] else self.now(column[0]) if array else column[0]
            )
            if array and stacks[-1] is None:
                return None
        if first.function is np.dot:
            return _product(stacks, same)
        if _reduces(first.function):
            if same[0]:
                return None
            array, axis, _, out, keepdims = stacks
            ndim = first.arguments[0].ndim
            axes = range(ndim) if axis is None else np.atleast_1d(axis)
            behind = tuple(int(a) % ndim - ndim for a in axes)
            return [(first.function, (array, behind, None, out, keepdims))]
        depth = max(a.ndim for a in first.arguments)
        arguments = [s if one else _widened(s, depth) for s, one in zip(stacks, same, strict=True)]
        return [(first.function, tuple(arguments))]


def _reads(call: Call) -> list[np.ndarray]:
    """The arrays that a call reads."""
    arrays: list[np.ndarray] = []
    written = 0
    for argument in call.arguments:
        if isinstance(argument, np.ndarray):
            arrays.append(argument)
            if argument is call.out:
                written = len(arrays)
        elif isinstance(argument, tuple):
            arrays += [a for a in argument if isinstance(a, np.ndarray)]
    return arrays[: written - 1] + arrays[written:]  # what it adds to, it reads as well


def _reduces(function: Callable[..., Any]) -> bool:
    return isinstance(getattr(function, "__self__", None), np.ufunc) and function.__name__ == "reduce"


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _widened(stack: np.ndarray, depth: int) -> np.ndarray:
    """A stack of arrays with axes behind its first, so that the arrays broadcast as they did alone."""
    missing = depth + 1 - stack.ndim
    return stack.reshape(stack.shape[0], *(1,) * missing, *stack.shape[1:]) if missing else stack


def _flat(stack: np.ndarray, program: Program) -> np.ndarray:
    """All rows of a stack of vectors or matrices below each other."""
    if stack.ndim > 2 and not stack.flags.c_contiguous:
        whole = np.empty(stack.shape)
        program.append((np.copyto, (whole, stack)))
        stack = whole
    return stack.reshape(-1, stack.shape[-1])


def _product(stacks: list[np.ndarray], same: list[bool]) -> Program:
    """Products a·b of a stack, with one factor for all where there is one."""
    a, b, out = stacks
    column = not same[1] and b.ndim == 3 and b.shape[2] == 1  # single columns are vectors
    if same[0] and not same[1] and a.ndim == 2 and (b.ndim == 2 or column):
        a, b, out = (b[..., 0] if column else b), a.T, (out[..., 0] if column else out)
    elif not (same[1] and not same[0] and b.ndim == 2):
        rows = a.ndim - (not same[0]) == 1
        columns = b.ndim - (not same[1]) == 1
        a = a[..., None, :] if rows else a
        b = b[..., :, None] if columns else b
        out = out[..., None, :] if rows else out
        return [(np.matmul, (a, b, out[..., None] if columns else out))]
    shape = (-1, a.shape[-1])
    if not (a.flags.c_contiguous or a.ndim == 2) or not out.flags.c_contiguous:
        return [(np.matmul, (a, b, out))]
    return [(np.dot, (a.reshape(shape), b, out.reshape(-1, out.shape[-1])))]
