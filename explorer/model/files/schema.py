"""What stands in a scene file: one set of frozen structs per version, arrays, and readable JSON.

Each version that was ever released keeps its structs for good; `VERSIONS` says how to get from one to the
next. A changed format is a new set, a new entry and a corpus of real files, never an edit of an old set.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import numpy as np
from msgspec import Meta, Raw, Struct

from explorer.model.files.limits import LIMITS, Code, Faults, clean
from explorer.model.text import tr

FORMAT = "backstep-scene"
Dtype = Literal["f8", "f4", "i8", "i4", "b1"]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Camera = tuple[float, float, float]
Lines = str | Sequence[str]  # a text of several lines is a list of them, for readable differences


class Head(Struct):
    """What every version has; read first, so that a newer file can say that it is one."""

    format: Any = None
    version: Any = None
    min_reader: Any = 1


class Array1(Struct, frozen=True, kw_only=True):
    shape: Sequence[Int64]
    dtype: Dtype
    data: Sequence[bool | int | float | Literal["nan", "inf", "-inf"]] | None = None
    b64: Sequence[str] | None = None


class View1(Struct, frozen=True, kw_only=True, omit_defaults=True):
    t: float = 0.0
    speed: float = 1.0
    loop: tuple[float, float] | None = None
    selection: Sequence[Int64] = ()
    camera: Camera | None = None
    chapter: str = ""


class Chapter1(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    title: str = ""
    text: Lines = ""
    start: float = 0.0
    stop: float = 0.0
    camera: Camera | None = None


class Node1(Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    op: str = "leaf"
    inputs: Sequence[str] = ()
    attrs: Mapping[str, Raw] = {}
    kind: str = ""
    name: str = ""
    scope: Sequence[str] = ()
    time: Int64 | None = None
    outside: Int64 = 0
    value: float | Literal["nan", "inf", "-inf"] | None = None


class Graph1(Struct, frozen=True, kw_only=True, omit_defaults=True):
    loss: str
    nodes: Sequence[Node1]
    values: Mapping[str, Array1] = {}


class Scene1(Struct, frozen=True, kw_only=True, omit_defaults=True):
    format: str
    version: int
    min_reader: int = 1
    app: str = ""
    scene: str
    parameters: Mapping[str, bool | Int64 | float | str] = {}
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    folded: Sequence[str] = ()
    view: View1 = View1()
    title: str = ""
    notes: Lines = ""
    chapters: Sequence[Chapter1] = ()
    ext: Mapping[str, Raw] = {}
    graph: Graph1 | None = None
    edits: Mapping[str, Array1] = {}


class StrictArray1(Array1, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictView1(View1, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictChapter1(Chapter1, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictNode1(Node1, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictGraph1(Graph1, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nodes: Sequence[StrictNode1]
    values: Mapping[str, StrictArray1] = {}


class StrictScene1(Scene1, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reads a file of version 1: an unknown field is a mistake."""

    view: StrictView1 = StrictView1()
    chapters: Sequence[StrictChapter1] = ()
    graph: StrictGraph1 | None = None
    edits: Mapping[str, StrictArray1] = {}


class Chapter2(Chapter1, frozen=True, kw_only=True, omit_defaults=True):
    frame: Sequence[str] = ()


class Recipe2(Struct, frozen=True, kw_only=True, omit_defaults=True):
    optimizer: str = "sgd"
    lr: float = 0.1
    schedule: str = "constant"
    clip: float = 0.0
    decay: float = 0.0
    frozen: Sequence[str] = ()
    patience: Int64 = 0
    epochs: Int64 = 50


class Cut2(Struct, frozen=True, kw_only=True, omit_defaults=True):
    node: str
    input: Int64 = 0


class Breakpoint2(Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: Literal["below", "above", "saturates", "nan"]
    node: str
    bound: float = 0.0
    on: bool = True


class Scene2(Scene1, frozen=True, kw_only=True, omit_defaults=True):
    """Reads a newer file: what it does not know is dropped."""

    recipe: Recipe2 | None = None
    update: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    trained: Mapping[str, Array1] = {}
    chapters: Sequence[Chapter2] = ()
    clamps: Mapping[str, Array1] = {}
    cuts: Sequence[Cut2] = ()
    frozen: Sequence[str] = ()
    breakpoints: Sequence[Breakpoint2] = ()


class StrictChapter2(Chapter2, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictRecipe2(Recipe2, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictCut2(Cut2, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictBreakpoint2(Breakpoint2, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StrictScene2(Scene2, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reads a file of version 2: an unknown field is a mistake."""

    recipe: StrictRecipe2 | None = None
    trained: Mapping[str, StrictArray1] = {}
    clamps: Mapping[str, StrictArray1] = {}
    cuts: Sequence[StrictCut2] = ()
    breakpoints: Sequence[StrictBreakpoint2] = ()
    view: StrictView1 = StrictView1()
    chapters: Sequence[StrictChapter2] = ()
    graph: StrictGraph1 | None = None
    edits: Mapping[str, StrictArray1] = {}


def _from_1(old: Scene1) -> Scene2:
    """What is new in version 2 has its default."""
    chapters = [c and Chapter2(**msgspec.structs.asdict(c)) for c in old.chapters]  # None: a fault was told
    return Scene2(**msgspec.structs.asdict(old) | {"chapters": chapters})


@dataclass(frozen=True)
class Version:
    strict: type[Any]
    lax: type[Any]
    upgrade: Callable[[Any], Any] | None = None  # from this version's structs to the next one's


VERSIONS: dict[int, Version] = {
    1: Version(StrictScene1, Scene1, _from_1),
    2: Version(StrictScene2, Scene2),
}
VERSION = max(VERSIONS)
MIN_READER = 1  # the oldest program that can show what this one writes


def upgraded(document: Any, version: int) -> Scene2:
    """The document of that version as one of the present version, one step at a time."""
    for step in range(version, VERSION):
        upgrade = VERSIONS[step].upgrade
        assert upgrade is not None, f"version {step} has no way on"
        document = upgrade(document)
    return document


# Faults in the structure, all of them and with their places


class _Bad:
    pass


_BAD = _Bad()


def explain(data: Raw | bytes, kind: Any, faults: Faults, place: str = "$") -> Any:
    """Decode piece by piece; notes a fault for each piece that does not fit and returns what is left.

    As deep as the structs nest, whatever the file does.
    """
    with contextlib.suppress(msgspec.ValidationError):  # most pieces are fine, and quickly read as a whole
        return msgspec.json.decode(data, type=kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _explain_struct(data, kind, faults, place)
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType and bytes(data) != b"null":
        structs = [arm for arm in args if isinstance(arm, type) and issubclass(arm, Struct)]
        if structs:
            return _explain_struct(data, structs[0], faults, place)
    if origin is Mapping and args[1] is not Raw:
        entries = _attempt(data, dict[str, Raw], faults, place)
        if entries is _BAD:
            return _BAD
        found = {key: explain(raw, args[1], faults, inside(place, key)) for key, raw in entries.items()}
        return {key: value for key, value in found.items() if value is not _BAD}
    if origin is Sequence and isinstance(args[0], type) and issubclass(args[0], Struct):
        items = _attempt(data, list[Raw], faults, place)
        if items is _BAD:
            return _BAD
        read = [explain(raw, args[0], faults, f"{place}[{i}]") for i, raw in enumerate(items)]
        return [None if item is _BAD else item for item in read]  # the others may have faults of their own
    return _attempt(data, kind, faults, place)


def _explain_struct(data: Raw | bytes, kind: type[Struct], faults: Faults, place: str) -> Any:
    entries = _attempt(data, dict[str, Raw], faults, place)
    if entries is _BAD:
        return _BAD
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    if kind.__struct_config__.forbid_unknown_fields:
        for key in entries:
            if key not in fields:
                problem = tr("there is no such field; known are {fields}").format(fields=", ".join(fields))
                faults.add("invalid", problem, inside(place, key))
    values = {}
    for key, field in fields.items():
        if key in entries:
            value = explain(entries[key], field.type, faults, inside(place, key))
            if value is not _BAD:
                values[field.name] = value
        elif field.required:
            faults.add("invalid", tr("the field is missing"), inside(place, key))
    complete = all(field.name in values for field in fields.values() if field.required)
    return kind(**values) if complete else _BAD


def _attempt(data: Raw | bytes, kind: Any, faults: Faults, place: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        problem, path = in_words(str(error))
        if get_origin(kind) is Literal:
            problem = tr("expected one of {words}").format(words=", ".join(get_args(kind)))
        faults.add("invalid", problem, place + path)
        return _BAD


def inside(place: str, key: str) -> str:
    """The place of an entry, as `$.edits.W` or `$.edits["x 1"]`."""
    key = clean(key, 60)
    return f"{place}.{key}" if re.fullmatch(r"[A-Za-z_]\w*", key) else f'{place}["{key}"]'


_EXPECTED = re.compile(
    r"Expected `(?P<kinds>[^`]+)`(?: of length (?P<length>\d+)| (?P<sign>[<>]=?) (?P<bound>\S+))?"
    r"(?:, got `?(?P<got>[\w ]+)`?)?"
)


def in_words(message: str) -> tuple[str, str]:
    """The decoder's message as a sentence for the user, and the path below the decoded piece."""
    said, _, where = message[:2000].rpartition(" - at `$")
    said, path = (said, where.rstrip("`")) if said else (message[:2000], "")
    match = _EXPECTED.match(said)
    if match is None:
        if said.startswith("Invalid enum value"):
            return tr("this word is not one of those that are allowed here"), path
        if "out of range" in said:
            return tr("the number is out of range"), path
        return said, path
    words = tr(" or ").join(dict.fromkeys(_word(kind) for kind in match["kinds"].split(" | ")))
    if match["length"]:
        return tr("expected a list of {count} entries").format(count=match["length"]), path
    if match["bound"]:
        return tr("expected {what} {sign} {bound}").format(
            what=words, sign=match["sign"], bound=match["bound"]
        ), path
    if match["got"]:
        return tr("expected {what}, found {found}").format(what=words, found=_word(match["got"])), path
    return tr("expected {what}").format(what=words), path


def _word(kind: str) -> str:
    words = {
        "int": tr("a whole number"),
        "float": tr("a number"),
        "str": tr("a text"),
        "bool": tr("true or false"),
        "null": tr("nothing"),
        "array": tr("a list"),
        "object": tr("an object in braces"),
    }
    return words.get(kind, kind)


# Arrays


class Problem(Exception):
    """What is wrong with one entry; becomes a fault where the file and the place are known."""

    def __init__(self, code: Code, problem: str, path: str = "") -> None:
        super().__init__(problem)
        self.code: Code = code
        self.problem = problem
        self.path = path


_SIZES = {"f8": 8, "f4": 4, "i8": 8, "i4": 4, "b1": 1}
_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def array_bytes(array: Array1) -> int:
    """How much memory the array takes; raises Problem for shapes that can not be."""
    if len(array.shape) > LIMITS.dims:
        problem = tr("expected at most {most} dimensions").format(most=LIMITS.dims)
        raise Problem("too_large", problem, ".shape")
    if any(not 0 <= n <= LIMITS.dim for n in array.shape):
        problem = tr("expected sizes from 0 to {most}").format(most=LIMITS.dim)
        raise Problem("too_large" if min(array.shape) >= 0 else "invalid", problem, ".shape")
    # without the zeros: the strides of an empty array must fit into memory too
    if math.prod(max(n, 1) for n in array.shape) * _SIZES[array.dtype] > LIMITS.array_bytes:
        problem = tr("an array can take at most {most} MB").format(most=LIMITS.array_bytes // 10**6)
        raise Problem("too_large", problem, ".shape")
    return math.prod(array.shape) * _SIZES[array.dtype]


def to_array(array: Array1) -> np.ndarray:
    """The numbers; raises Problem. `array_bytes` has been asked before."""
    size = math.prod(array.shape)
    if (array.data is None) == (array.b64 is None):
        raise Problem("invalid", tr("expected either data or b64"))
    if array.data is not None:
        if len(array.data) > LIMITS.inline:
            problem = tr("at most {most} numbers stand in data, more of them in b64").format(
                most=LIMITS.inline
            )
            raise Problem("too_many", problem, ".data")
        if len(array.data) != size:
            problem = tr("the shape asks for {count} numbers, found {found}")
            raise Problem("invalid", problem.format(count=size, found=len(array.data)), ".data")
        values = [_number(x, array.dtype, i) for i, x in enumerate(array.data)]
        return np.array(values, dtype=array.dtype).reshape(array.shape)
    assert array.b64 is not None
    wanted = size * _SIZES[array.dtype]
    length = sum(map(len, array.b64))
    if length != -(-wanted // 3) * 4 or max(map(len, array.b64), default=0) > LIMITS.line:
        problem = tr("expected {count} characters in lines of {line}, found {found}")
        problem = problem.format(count=-(-wanted // 3) * 4, line=LIMITS.line, found=length)
        raise Problem("invalid", problem, ".b64")
    try:
        content = msgspec.convert("".join(array.b64), bytes)
    except msgspec.ValidationError:
        raise Problem("invalid", tr("this is not base64"), ".b64") from None
    if len(content) != wanted:
        problem = tr("the shape asks for {count} bytes, found {found}")
        raise Problem("invalid", problem.format(count=wanted, found=len(content)), ".b64")
    if array.dtype == "b1" and content.strip(b"\0\1"):
        raise Problem("invalid", tr("expected bytes 0 and 1 only"), ".b64")
    numbers = np.frombuffer(content, dtype="<" + array.dtype)
    return numbers.astype(array.dtype).reshape(array.shape)  # writable, and in this machine's byte order


def _number(x: bool | int | float | str, dtype: str, i: int) -> bool | int | float:
    if dtype == "b1":
        good = isinstance(x, bool)
    elif dtype in ("i8", "i4"):
        bound = 2 ** (8 * _SIZES[dtype] - 1)
        good = type(x) is int and -bound <= x < bound
    elif isinstance(x, str):
        return _WORDS[x]
    else:
        most = float(np.finfo(dtype).max)
        good = not isinstance(x, bool) and -most <= x <= most
        return float(x) if good else _refuse(dtype, i)
    assert not isinstance(x, str) or not good
    return x if good and not isinstance(x, str) else _refuse(dtype, i)


def _refuse(dtype: str, i: int) -> float:
    raise Problem("invalid", tr("the value does not fit into {dtype}").format(dtype=dtype), f".data[{i}]")


def from_array(value: Any) -> dict[str, Any]:
    """The array as it stands in the file, bit for bit; anything but the five types becomes float64."""
    array = np.asarray(value)
    dtype = f"{array.dtype.kind}{array.dtype.itemsize}"
    if dtype not in _SIZES:
        array, dtype = array.astype(np.float64), "f8"
    array = array.astype("<" + dtype, copy=False)
    head = {"shape": list(array.shape), "dtype": dtype}
    content = array.tobytes()  # in C order
    if array.size <= LIMITS.inline:
        data = [_plain(x) for x in array.ravel().tolist()]
        # a NaN with a sign or a payload has no word of its own
        if np.array([_WORDS.get(x, x) for x in data], dtype="<" + dtype).tobytes() == content:
            return Inline(head | {"data": data})
    text = msgspec.to_builtins(content)  # base64, in a third of the time that Python's own takes
    return head | {"b64": [text[i : i + LIMITS.line] for i in range(0, len(text), LIMITS.line)]}


def _plain(x: Any) -> Any:
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    return x


# JSON that people and version control can read: one line per item


class Inline(dict[str, Any]):
    """An object that stands in one line."""


def pretty(value: Any) -> bytes:
    parts: list[bytes] = []
    _write(value, b"\n", parts)
    parts.append(b"\n")
    return b"".join(parts)


def _write(value: Any, newline: bytes, parts: list[bytes]) -> None:
    """As deep as what we write nests: five levels."""
    entries: Iterable[tuple[bytes, Any]]
    if isinstance(value, bytes):  # JSON already, kept as it was
        parts.append(value)
        return
    if isinstance(value, dict) and value and not isinstance(value, Inline):
        entries, brackets = ((msgspec.json.encode(str(k)) + b": ", v) for k, v in value.items()), b"{}"
    elif isinstance(value, list) and value and isinstance(value[0], str | Struct):  # lines, thousands of them
        inner = newline + b" "
        lines = msgspec.json.Encoder().encode_lines(value)  # a line break inside of a text is \n by now
        parts.append(b"[" + inner + lines[:-1].replace(b"\n", b"," + inner) + newline + b"]")
        return
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        entries, brackets = ((b"", item) for item in value), b"[]"
    else:
        text = msgspec.json.encode(value)
        flat = isinstance(value, dict | list)
        parts.append(_spaced(value) if flat and value else text)
        return
    inner = newline + b" "
    mark = brackets[:1] + inner
    for head, item in entries:
        parts.append(mark + head)
        _write(item, inner, parts)
        mark = b"," + inner
    parts.append(newline + brackets[1:])


def _spaced(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"{" + b", ".join(msgspec.json.encode(k) + b": " + _spaced(v) for k, v in value.items()) + b"}"
    if isinstance(value, list):
        return b"[" + b", ".join(msgspec.json.encode(x) for x in value) + b"]"
    return msgspec.json.encode(value)
