"""A whole graph in a scene file: what no builder of the catalogue makes, written node by node.

Operations are looked up by name, inputs are ids of earlier nodes, and every shape is inferred before
anything is computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np

from explorer.model import whole as rows
from explorer.model.files import schema
from explorer.model.files.limits import LIMITS, Faults, depth, without_tags
from explorer.model.files.schema import Graph1, Node1, Problem, inside
from explorer.model.text import tr
from explorer.model.whole import LEAF, Row, Whole

KINDS = ("parameter", "input", "target", "constant")
_FLOAT = np.dtype(np.float64)
_ID = re.compile(r"[A-Za-z0-9_.:\[\]-]+")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# From a graph to the section of a file


def written(whole: Whole) -> dict[str, Any]:
    """The section as `schema.pretty` writes it; a node's id is its number."""
    values: dict[str, Any] = {}
    ids = [str(i) for i in range(len(whole.rows))]
    nodes = [
        Node1(
            id=id,
            op=op,
            inputs=tuple([ids[j] for j in inputs]) if inputs else (),
            attrs=_attrs_out(op, attrs, id, values) if attrs else {},
            kind=kind,
            name=name,
            scope=scope,
            time=time,
            outside=outside,
            value=None if value is None else _value_out(value, id, values),
        )
        for id, (op, inputs, attrs, value, kind, name, scope, time, outside) in zip(
            ids, whole.rows, strict=True
        )
    ]
    return {"loss": str(whole.loss), "nodes": nodes, **({"values": values} if values else {})}


def _value_out(value: np.ndarray, id: str, values: dict[str, Any]) -> Any:
    """A number stands in its node's line; everything else among the values."""
    if value.ndim == 0 and value.dtype == _FLOAT:
        number = float(value)
        if math.isfinite(number):
            return number
        if math.isinf(number):  # a NaN has bits of its own to keep
            return "inf" if number > 0 else "-inf"
    values[id] = schema.from_array(value)
    return None


def _attrs_out(op: str, attrs: Mapping[str, Any], id: str, values: dict[str, Any]) -> dict[str, msgspec.Raw]:
    usual = rows.attributes(op)
    arrays: list[np.ndarray] = []

    def plain(value: Any, inner: bool = False) -> Any:
        if isinstance(value, list) or (inner and isinstance(value, tuple)):
            # inside of an index a list means what an array does; elsewhere a list is as good as a tuple
            array = np.array(value)
            value = array if array.dtype.kind in "ib" and op in ("getitem", "embedding") else tuple(value)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.ndarray):
            arrays.append(value)
            key = f"{id}.{len(arrays)}"
            values[key] = schema.from_array(value)
            return {"array": key}
        if isinstance(value, tuple):
            return [plain(x, inner=True) for x in value]
        if isinstance(value, slice):
            return {"slice": [plain(value.start), plain(value.stop), plain(value.step)]}
        if value is Ellipsis:
            return {"rest": True}
        if isinstance(value, float) and not math.isfinite(value):
            return {"number": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{op} has an attribute that no file can hold: {type(value).__name__}")

    return {
        name: msgspec.Raw(msgspec.json.encode(plain(value)))
        for name, value in attrs.items()
        if isinstance(value, np.ndarray) or name not in usual or usual[name] is not value
    }


# From a section to a graph


def read(
    section: Graph1, arrays: Mapping[str, np.ndarray], faults: Faults, *, build: bool = True
) -> Whole | None:
    """The rows, checked; `arrays` are the section's values. None when something is wrong, noted in `faults`.

    Without `build` the checks are the same, and no rows are made.
    """
    if not section.nodes:
        faults.add("bad_graph", tr("a graph needs at least one node"), "$.graph.nodes")
    if len(section.nodes) > LIMITS.nodes:
        problem = tr("expected at most {most} {unit}").format(most=LIMITS.nodes, unit=tr("entries"))
        raise faults.fatal("too_many", problem, "$.graph.nodes")
    before = len(faults.found)
    reader = _Reader(arrays)
    reader.check(section.nodes, faults)
    if section.loss not in reader.shapes:
        if not reader.gaps:
            faults.add("bad_graph", tr("no node has this id"), "$.graph.loss")
    elif math.prod(reader.shapes[section.loss] or ()) != 1:
        faults.add("bad_graph", tr("the loss must be one number"), "$.graph.loss")
    for key in () if reader.gaps else sorted(arrays.keys() - reader.used):
        faults.add("bad_graph", tr("no node uses this array"), inside("$.graph.values", key))
    if reader.gaps or len(faults.found) > before:
        return None
    return reader.built(section) if build else Whole((), 0)


_Shape = tuple[int, ...]
_Result = tuple[_Shape | None, int, int]  # shape (None where an earlier fault leaves it open), numbers, work
_Place = tuple[tuple[str, ...], int | None, int]  # scope, time, and how many parts lie outside of the time
_NUMBER: _Result = ((), 1, 0)
_MISSING: Any = object()  # the shape of a node that is not there
_row = partial(tuple.__new__, Row)  # from a tuple of all fields, in half the time


class _Reader:
    """Checks all nodes, knowing the shape of every one before, and then makes rows of them."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.used: set[str] = set()
        self.shapes: dict[str, _Shape | None] = {}  # by id; None where an earlier fault leaves it open
        self.gaps = False  # whether nodes are left out that are no nodes at all
        self.places: list[_Place] = []
        self.attrs: dict[str, Mapping[str, Any]] = {}  # by id, of the nodes that have some
        self._known: dict[Any, _Result] = {}  # of operations without attributes: by name and shapes
        self._places: dict[_Place, _Place] = {}  # those that have been checked

    def check(self, nodes: Sequence[Node1 | None], faults: Faults) -> None:
        """Note the first fault of every node. A faulty one counts, so that others can refer to it.

        There may be tens of thousands: what most of them have is looked at here, without a call.
        """
        shapes, known = self.shapes, self._known
        before = Node1(id="")  # the last node that lay elsewhere than the one before it
        place: _Place = ((), None, 0)
        numbers = work = 0
        for i, node in enumerate(nodes):
            if node is None:  # its fault has been told, and others may refer to it
                self.gaps = True
                continue
            id, op, name = node.id, node.op, node.name
            try:
                # most ids are numbers, which need no closer look
                if id in shapes or len(id) > LIMITS.key or not (id.isascii() and id.isdecimal()):
                    self._check_id(id)
                if name and (len(name) > LIMITS.key or not name.isprintable()):
                    raise Problem("invalid", tr("this can not be the name of a leaf"), ".name")
                if node.scope != before.scope or node.time != before.time or node.outside != before.outside:
                    before, place = node, self._place(node)
                self.places.append(place)
                if op == LEAF:
                    shape, count, cost = self._leaf(node)
                elif node.kind or node.value is not None:
                    raise Problem("bad_graph", tr("only a leaf has a kind and a value"))
                else:
                    taken = (op, *[shapes.get(x, _MISSING) for x in node.inputs])
                    if node.attrs or taken not in known:
                        shape, count, cost = self._computed(node, taken)
                    else:
                        shape, count, cost = known[taken]
                numbers += count
                work += cost
                if numbers > LIMITS.numbers or work > LIMITS.work:
                    numbers = work = 0  # said once, not for every node that follows
                    raise Problem("too_large", tr("up to here the graph is larger than a scene can have"))
                shapes[id] = shape
            except Problem as problem:
                shapes.setdefault(id, None)
                faults.add(problem.code, problem.problem, f"$.graph.nodes[{i}]{problem.path}")

    def built(self, section: Graph1) -> Whole:
        """The rows of nodes in which nothing is wrong."""
        number = {node.id: i for i, node in enumerate(section.nodes)}
        found = [
            _row(
                (
                    node.op,
                    tuple([number[id] for id in node.inputs]) if node.inputs else (),
                    self.attrs[node.id] if node.attrs else {},
                    self._value(node) if node.op == LEAF else None,
                    node.kind,
                    without_tags(node.name) if "<" in node.name else node.name,
                    scope,
                    time,
                    outside,
                )
            )
            for node, (scope, time, outside) in zip(section.nodes, self.places, strict=True)
        ]
        return Whole(tuple(found), number[section.loss])

    def _value(self, node: Node1) -> np.ndarray:
        if node.value is None:
            return self.arrays[node.id]
        return np.array(_SPECIAL[node.value] if isinstance(node.value, str) else node.value)

    def _check_id(self, id: str) -> None:
        if len(id) > LIMITS.key or not _ID.fullmatch(id) or ".." in id:
            raise Problem("bad_graph", tr("an id is made of letters, digits and _.:[]-"), ".id")
        if id in self.shapes:
            raise Problem("bad_graph", tr("another node has this id"), ".id")

    def _place(self, node: Node1) -> _Place:
        where = (tuple(node.scope), node.time, node.outside)
        if where not in self._places:
            self._places[where] = _place(*where)
        return self._places[where]

    def _leaf(self, node: Node1) -> _Result:
        if node.inputs or node.attrs:
            raise Problem("bad_graph", tr("a leaf has no inputs and no attributes"))
        if node.kind not in KINDS:
            raise Problem("invalid", tr("expected one of {words}").format(words=", ".join(KINDS)), ".kind")
        if node.value is not None:
            return _NUMBER
        if node.id not in self.arrays:
            raise Problem("bad_graph", tr("a leaf needs a value"), ".value")
        self.used.add(node.id)
        value = self.arrays[node.id]
        return value.shape, value.size, 0

    def _computed(self, node: Node1, taken: tuple[Any, ...]) -> _Result:
        """What an operation makes of `taken`, which are its name and its inputs' shapes."""
        if len(node.inputs) > LIMITS.inputs:
            problem = tr("expected at most {most} {unit}").format(most=LIMITS.inputs, unit=tr("entries"))
            raise Problem("too_many", problem, ".inputs")
        if _MISSING in taken:
            if self.gaps:  # it may have been there
                return None, 0, 0
            problem = tr("no node before this one has that id")
            raise Problem("bad_graph", problem, f".inputs[{taken.index(_MISSING) - 1}]")
        attrs = _usual(node.op)
        if node.attrs:
            attrs = self.attrs[node.id] = self._attrs(node)
        if None in taken:  # the fault has been told where it is
            return None, 0, 0
        result = _result(taken[0], taken[1:], attrs)
        if not node.attrs:
            self._known[taken] = result
        return result

    def _attrs(self, node: Node1) -> dict[str, Any]:
        usual = _usual(node.op)
        if len(node.attrs) > LIMITS.attrs:
            problem = tr("expected at most {most} {unit}").format(most=LIMITS.attrs, unit=tr("entries"))
            raise Problem("too_many", problem, ".attrs")
        found = dict(usual)
        for name, raw in node.attrs.items():
            path = inside(".attrs", name)
            if name not in usual:
                raise Problem(
                    "bad_graph", tr("these are not the attributes of {op}").format(op=node.op), path
                )
            data = bytes(raw)
            if len(data) > LIMITS.attr_bytes:
                problem = tr("expected at most {most} {unit}").format(
                    most=LIMITS.attr_bytes, unit=tr("bytes")
                )
                raise Problem("too_many", problem, path)
            if depth(data) > LIMITS.attr_depth:
                raise Problem("too_many", tr("lists and objects are nested too deep"), path)
            try:
                value = msgspec.json.decode(data)
            except msgspec.DecodeError as error:  # a number that no float can hold
                raise Problem("invalid", schema.in_words(str(error))[0], path) from None
            found[name] = self._attr(value, path)
        return found

    def _attr(self, value: Any, path: str) -> Any:
        """As deep as `attr_depth` allows."""
        if isinstance(value, list):
            return tuple(self._attr(x, path) for x in value)
        if not isinstance(value, dict):
            return value
        match list(value.items()):
            case [("array", str(key))] if key in self.arrays:
                self.used.add(key)
                return self.arrays[key]
            case [("slice", [_, _, _] as ends)] if all(x is None or type(x) is int for x in ends):
                return slice(*ends)
            case [("rest", True)]:
                return Ellipsis
            case [("number", ("nan" | "inf" | "-inf") as word)]:
                return _SPECIAL[word]
        raise Problem("bad_graph", tr("this can not be the value of an attribute"), path)


def _place(scope: tuple[str, ...], time: int | None, outside: int) -> _Place:
    if len(scope) > LIMITS.scope_parts:
        raise Problem("too_many", tr("lists and objects are nested too deep"), ".scope")
    if not all(0 < len(part) <= LIMITS.key and part.isprintable() for part in scope):
        raise Problem("invalid", tr("this can not be the path of a scope"), ".scope")
    if time is not None and not -LIMITS.time <= time <= LIMITS.time:
        problem = tr("expected time steps from {least} to {most}")
        raise Problem("invalid", problem.format(least=-LIMITS.time, most=LIMITS.time), ".time")
    if not 0 <= outside <= len(scope) or (outside and time is None):
        raise Problem("bad_graph", tr("the scope has no such part"), ".outside")
    return tuple(map(without_tags, scope)), time, outside


def _result(op: str, shapes: tuple[Any, ...], attrs: Mapping[str, Any]) -> _Result:
    try:
        shape = rows.shape_of(op, shapes, attrs)
        room, work = rows.room(op, shapes, shape, attrs), rows.work(op, shapes, shape, attrs)
    except (ValueError, OverflowError):
        problem = tr("{op} can not take inputs of the shapes {shapes}")
        words = ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:4])
        raise Problem("bad_graph", problem.format(op=op, shapes=words), ".inputs") from None
    except TypeError:
        raise Problem("bad_graph", tr("these are not the attributes of {op}").format(op=op)) from None
    if len(shape) > LIMITS.dims:
        raise Problem("too_large", tr("expected at most {most} dimensions").format(most=LIMITS.dims))
    if room > LIMITS.numbers:
        raise Problem("too_large", tr("the result is larger than a scene can have"))
    return shape, math.prod(shape), work


def _usual(op: str) -> Mapping[str, Any]:
    try:
        return rows.attributes(op)
    except KeyError:
        raise Problem("unknown_op", tr("there is no such operation"), ".op") from None
