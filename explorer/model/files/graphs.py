"""A whole graph in a scene file: what no builder of the catalogue makes, written node by node.

Operations are looked up by name, inputs are ids of earlier nodes, and every shape is inferred before
anything is computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from explorer.model import whole as rows
from explorer.model.files import schema
from explorer.model.files.limits import LIMITS, Faults, depth, without_tags
from explorer.model.files.schema import Graph1, Node1, Problem, inside
from explorer.model.text import tr
from explorer.model.whole import LEAF, Row, Whole

KINDS = ("parameter", "input", "target", "constant")
_ID = re.compile(r"[A-Za-z0-9_.:\[\]-]+")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# From a graph to the section of a file


def written(whole: Whole) -> dict[str, Any]:
    """The section as `schema.pretty` writes it; a node's id is its number."""
    values: dict[str, Any] = {}
    ids = [str(i) for i in range(len(whole.rows))]
    nodes = (
        Node1(
            id=ids[i],
            op=row.op,
            inputs=tuple([ids[j] for j in row.inputs]),
            attrs=_attrs_out(row, i, values) if row.attrs else {},
            kind=row.kind,
            name=row.name,
            scope=row.scope,
            time=row.time,
            outside=row.outside,
            value=None if row.value is None else _value_out(row.value, i, values),
        )
        for i, row in enumerate(whole.rows)
    )
    lines = msgspec.json.Encoder().encode_lines(nodes).splitlines()
    return {"loss": str(whole.loss), "nodes": lines, **({"values": values} if values else {})}


def _value_out(value: np.ndarray, i: int, values: dict[str, Any]) -> Any:
    """A number stands in its node's line; everything else among the values."""
    if value.ndim == 0 and value.dtype == np.float64:
        number = float(value)
        if math.isfinite(number):
            return number
        if math.isinf(number):  # a NaN has bits of its own to keep
            return "inf" if number > 0 else "-inf"
    values[str(i)] = schema.from_array(value)
    return None


def _attrs_out(row: Row, i: int, values: dict[str, Any]) -> dict[str, msgspec.Raw]:
    usual = rows.attributes(row.op)
    arrays: list[np.ndarray] = []

    def plain(value: Any, inner: bool = False) -> Any:
        if isinstance(value, list) or (inner and isinstance(value, tuple)):
            # inside of an index a list means what an array does; elsewhere a list is as good as a tuple
            array = np.array(value)
            value = array if array.dtype.kind in "ib" and row.op in ("getitem", "embedding") else tuple(value)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.ndarray):
            arrays.append(value)
            key = f"{i}.{len(arrays)}"
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
        raise TypeError(f"{row.op} has an attribute that no file can hold: {type(value).__name__}")

    return {
        name: msgspec.Raw(msgspec.json.encode(plain(value)))
        for name, value in row.attrs.items()
        if isinstance(value, np.ndarray) or name not in usual or usual[name] is not value
    }


# From a section to a graph


def read(section: Graph1, arrays: Mapping[str, np.ndarray], faults: Faults) -> Whole:
    """The rows, checked; `arrays` are the section's values. What is wrong is noted in `faults`."""
    reader = _Reader(arrays, faults)
    if not section.nodes:
        faults.add("bad_graph", tr("a graph needs at least one node"), "$.graph.nodes")
    if len(section.nodes) > LIMITS.nodes:
        problem = tr("expected at most {most} {unit}").format(most=LIMITS.nodes, unit=tr("entries"))
        raise faults.fatal("too_many", problem, "$.graph.nodes")
    for i, node in enumerate(section.nodes):
        if node is None:  # its fault has been told, and others may refer to it
            reader.gaps = True
            continue
        try:
            reader.add(node)
        except Problem as problem:
            faults.add(problem.code, problem.problem, f"$.graph.nodes[{i}]{problem.path}")
    loss = reader.number.get(section.loss)
    if loss is None:
        if not reader.gaps:
            faults.add("bad_graph", tr("no node has this id"), "$.graph.loss")
    elif math.prod(reader.shapes[loss] or ()) != 1:
        faults.add("bad_graph", tr("the loss must be one number"), "$.graph.loss")
    for key in () if reader.gaps else sorted(arrays.keys() - reader.used):
        faults.add("bad_graph", tr("no node uses this array"), inside("$.graph.values", key))
    return Whole(tuple(reader.rows), loss or 0)


class _Result(NamedTuple):
    """What an operation makes of shapes."""

    shape: tuple[int, ...]
    numbers: int  # in the result
    work: int  # multiplications


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
    return _Result(shape, math.prod(shape), work)


class _Reader:
    """Goes through the nodes in order; knows the shape of every one before it."""

    def __init__(self, arrays: Mapping[str, np.ndarray], faults: Faults) -> None:
        self.arrays = arrays
        self.used: set[str] = set()
        self.rows: list[Row] = []
        self.shapes: list[tuple[int, ...] | None] = []  # None where an earlier fault leaves it open
        self.number: dict[str, int] = {}
        self.gaps = False  # whether nodes are left out that are no nodes at all
        self.numbers = 0
        self.work = 0
        self._known: dict[Any, _Result] = {}  # what an operation without attributes makes of shapes
        self._places: dict[Any, Any] = {}  # scopes and times that have been checked

    def add(self, node: Node1) -> None:
        """Check one node and append it; a faulty one is appended too, so that others can refer to it."""
        id = node.id
        try:
            # most ids are numbers, which need no closer look
            if id in self.number or len(id) > LIMITS.key or not (id.isascii() and id.isdecimal()):
                self._check_id(id)
            row, shape = self._leaf(node) if node.op == LEAF else self._computed(node)
        except Problem:
            self.number.setdefault(id, len(self.rows))
            self.rows.append(Row())
            self.shapes.append(None)
            raise
        self.number[id] = len(self.rows)
        self.rows.append(row)
        self.shapes.append(shape)

    def _check_id(self, id: str) -> None:
        if len(id) > LIMITS.key or not _ID.fullmatch(id) or ".." in id:
            raise Problem("bad_graph", tr("an id is made of letters, digits and _.:[]-"), ".id")
        if id in self.number:
            raise Problem("bad_graph", tr("another node has this id"), ".id")

    def _place(self, node: Node1) -> tuple[str, tuple[str, ...], int | None, int]:
        name = node.name
        if name:
            if len(name) > LIMITS.key or not name.isprintable():
                raise Problem("invalid", tr("this can not be the name of a leaf"), ".name")
            if "<" in name:
                name = without_tags(name)
        where = (tuple(node.scope), node.time, node.outside)
        place = self._places.get(where)
        if place is None:
            self._check_place(*where)
            place = self._places[where] = (tuple(map(without_tags, node.scope)), *where[1:])
        return name, *place

    def _check_place(self, scope: tuple[str, ...], time: int | None, outside: int) -> None:
        if len(scope) > LIMITS.scope_parts:
            raise Problem("too_many", tr("lists and objects are nested too deep"), ".scope")
        if not all(0 < len(part) <= LIMITS.key and part.isprintable() for part in scope):
            raise Problem("invalid", tr("this can not be the path of a scope"), ".scope")
        if time is not None and not -LIMITS.time <= time <= LIMITS.time:
            problem = tr("expected time steps from {least} to {most}")
            raise Problem("invalid", problem.format(least=-LIMITS.time, most=LIMITS.time), ".time")
        if not 0 <= outside <= len(scope) or (outside and time is None):
            raise Problem("bad_graph", tr("the scope has no such part"), ".outside")

    def _leaf(self, node: Node1) -> tuple[Row, tuple[int, ...]]:
        if node.inputs or node.attrs:
            raise Problem("bad_graph", tr("a leaf has no inputs and no attributes"))
        if node.kind not in KINDS:
            raise Problem("invalid", tr("expected one of {words}").format(words=", ".join(KINDS)), ".kind")
        if node.value is not None:
            given = _SPECIAL[node.value] if isinstance(node.value, str) else node.value
            value = np.array(given, dtype=np.float64)
        elif node.id in self.arrays:
            self.used.add(node.id)
            value = self.arrays[node.id]
        else:
            raise Problem("bad_graph", tr("a leaf needs a value"), ".value")
        self._spend(value.size, 0)
        return Row._make((LEAF, (), {}, value, node.kind, *self._place(node))), value.shape

    def _computed(self, node: Node1) -> tuple[Row, tuple[int, ...] | None]:
        if node.kind or node.value is not None:
            raise Problem("bad_graph", tr("only a leaf has a kind and a value"))
        if len(node.inputs) > LIMITS.inputs:
            problem = tr("expected at most {most} {unit}").format(most=LIMITS.inputs, unit=tr("entries"))
            raise Problem("too_many", problem, ".inputs")
        try:
            inputs = tuple([self.number[id] for id in node.inputs])
        except KeyError as missing:
            if self.gaps:
                return Row(), None
            k = list(node.inputs).index(missing.args[0])
            raise Problem("bad_graph", tr("no node before this one has that id"), f".inputs[{k}]") from None
        shapes = tuple([self.shapes[i] for i in inputs])
        attrs: Mapping[str, Any] = {}
        known = None
        if node.attrs:
            attrs = self._attrs(node)
        elif (known := self._known.get((node.op, shapes))) is None:
            attrs = _usual(node.op)
        row = Row._make((node.op, inputs, attrs, None, "", *self._place(node)))
        if known is None:
            if None in shapes:  # the fault has been told where it is
                return row, None
            known = _result(node.op, shapes, attrs)
            if not node.attrs:
                self._known[node.op, shapes] = known
        self._spend(known.numbers, known.work)
        return row, known.shape

    def _spend(self, numbers: int, work: int) -> None:
        self.numbers += numbers
        self.work += work
        if self.numbers > LIMITS.numbers or self.work > LIMITS.work:
            self.numbers = self.work = 0  # said once, not for every node that follows
            raise Problem("too_large", tr("up to here the graph is larger than a scene can have"))

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


def _usual(op: str) -> Mapping[str, Any]:
    try:
        return rows.attributes(op)
    except KeyError:
        raise Problem("unknown_op", tr("there is no such operation"), ".op") from None
