"""The page that specifies the scene file, made from the structs, limits and codes themselves.

`python -m explorer.model.files.format` writes `assets/format.md`; a test demands that it is up to date.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from explorer.model.files import schema
from explorer.model.files.limits import CODES, LIMITS

PAGE = Path(__file__).resolve().parents[3] / "assets" / "format.md"

# What each field means; a test demands that none is missing.
FIELDS: dict[type[msgspec.Struct], dict[str, str]] = {
    schema.StrictScene2: {
        "format": "always `backstep-scene`",
        "version": "version of the format that the file is written in",
        "min_reader": "the oldest version whose readers can show it",
        "app": "version of the program that wrote it; for people",
        "scene": "id in the catalogue, or `your-graph` for a graph of one's own",
        "parameters": "by name; what is left out has the scene's default",
        "seed": "from which the values of the leaves are drawn",
        "folded": "paths of the folded scopes, as `lstm/t=2`",
        "view": "what was on screen",
        "title": "plain text of one line",
        "notes": "Markdown without HTML, pictures and links; a text of several lines is a list of them",
        "chapters": "the user's own, in their order",
        "ext": "other programs' data by namespace (`org.example`); kept verbatim, never read",
        "graph": "a graph node by node: of `your-graph`, or to stand in for a scene that can not be built",
        "edits": "values set by hand, by the leaf's name, or by `#` and its number where others share it",
        "clamps": "results that are held at a constant whatever their inputs are, by name as the edits",
        "cuts": "edges over which no gradient flows",
        "frozen": "leaves that get no gradient, by name",
        "breakpoints": "where playing stops",
        "recipe": "how the scene is trained; left out: it is not",
        "update": "how many updates were taken before the pass that is shown",
        "trained": "parameters after them, by name as the edits; without them it is shown before the first",
    },
    schema.StrictView1: {
        "t": "the moment, in steps",
        "speed": "of the playback",
        "loop": "first and last step of the stretch that is played again and again",
        "selection": "numbers of the selected nodes; the last one is the current one",
        "camera": "centre x, centre y and zoom; left out: it follows the steps",
        "chapter": "id of the chapter that is read",
    },
    schema.StrictChapter2: {
        "id": "a name of its own",
        "title": "plain text of one line",
        "text": "Markdown, as the notes; written as one text, so that a chapter is one line",
        "start": "first step",
        "stop": "last step",
        "frame": "names of the nodes to bring into view; `#` and its number where others share it",
        "camera": "the framing where no nodes are named",
    },
    schema.StrictGraph1: {
        "loss": "id of the node that the backward pass starts from; one number",
        "nodes": "in the order in which they are computed",
        "values": "of leaves by their id, and the arrays that attributes name",
    },
    schema.StrictNode1: {
        "id": "letters, digits and `_.:[]-`; unique",
        "op": "name of the operation; left out or `leaf`: a leaf",
        "inputs": "ids of earlier nodes, in the order of the operation's arguments",
        "attrs": "of the operation; what is left out has its default",
        "kind": "of a leaf: `parameter`, `input`, `target` or `constant`",
        "name": "plain text",
        "scope": "names of the parts that it lies in, from the outside",
        "time": "time step",
        "outside": "how many parts of the scope lie outside of the time step",
        "value": "of a leaf that is one number",
    },
    schema.StrictRecipe2: {
        "optimizer": "`sgd`, `momentum`, `rmsprop`, `adam`, `adagrad` or `adadelta`",
        "lr": "learning rate",
        "schedule": "`constant`, `step_decay`, `exponential`, `cosine` or `warm_up`",
        "clip": "the joint norm of all gradients at most; 0: as long as they are",
        "decay": "weight decay: so many times a parameter is added to its gradient, after clipping",
        "frozen": "patterns of names of parameters that keep their values",
        "patience": "epochs without a lower validation loss after which it stops; 0: none",
        "epochs": "how far it goes",
    },
    schema.StrictCut2: {
        "node": "the node that sends no gradient: its name, or `#` and its number where others share it",
        "input": "to which of its inputs, counted from 0",
    },
    schema.StrictBreakpoint2: {
        "kind": "`below` or `above`: the norm of a gradient; `saturates`: an output; `nan`: a value",
        "node": "name of the node, `#` and its number, or a pattern of names such as `h_*`",
        "bound": "what the norm is compared with, or how near to its ends an output is",
        "on": "false: playing goes on",
    },
    schema.StrictArray1: {
        "shape": "one size per dimension; `[]` for a number",
        "dtype": "`f8`, `f4`, `i8`, `i4` or `b1`",
        "data": 'the numbers in C order, at most {inline}; `"nan"`, `"inf"` and `"-inf"` as words',
        "b64": "or little-endian bytes as base64, in lines of {line} characters",
    },
}

EXAMPLE = """{
 "format": "backstep-scene",
 "version": 2,
 "min_reader": 1,
 "app": "0.1.0",
 "scene": "your-graph",        // no builder makes it: the graph stands below
 "folded": ["neuron"],
 "view": {"t": 3.5, "selection": [3], "camera": [0.0, 0.0, 1.5]},
 "title": "One neuron",
 "notes": [                    // a list of lines: one changed line is one line of a diff
  "Watch *w*:",
  "its gradient arrives last."
 ],
 "chapters": [
  {"id": "back", "title": "The way back", "text": "To `w`.", "start": 4, "stop": 8, "frame": ["w"]}
 ],
 "ext": {"org.example": {"rating": 5}},    // another program's; comes back byte by byte
 "graph": {
  "loss": "loss",
  "nodes": [                   // in the order of computing; inputs are earlier ids
   {"id": "w", "kind": "parameter", "name": "w"},
   {"id": "x", "kind": "input", "name": "x"},
   {"id": "one", "kind": "constant", "name": "1", "value": 1.0},
   {"id": "u", "op": "matmul", "inputs": ["w", "x"], "scope": ["neuron"]},
   {"id": "y", "op": "tanh", "inputs": ["u"], "name": "y", "scope": ["neuron"]},
   {"id": "e", "op": "subtract", "inputs": ["y", "one"]},
   {"id": "loss", "op": "sum", "inputs": ["e"], "attrs": {"axis": null}}
  ],
  "values": {                  // leaves that are no single number
   "w": {"shape": [2], "dtype": "f8", "data": [0.5, -0.25]},
   "x": {"shape": [2], "dtype": "f8", "data": [1.0, 2.0]}
  }
 },
 "edits": {                    // set by hand; the value above is what "Reset values" brings back
  "w": {"shape": [2], "dtype": "f8", "data": [0.75, "nan"]}
 }
}"""

RULES_OF_READING = """
- **One UTF-8 JSON text**, no byte order mark, no comments, at most {file_bytes} bytes. Written with one
  field, node, chapter, array and line of the notes on a line of its own, and arrays last: differences are
  short.
- **Nothing in it is run.** Scenes, parameters and operations are looked up by name; there are no paths, no
  addresses and no code. Names and titles are shown as plain text, notes as Markdown without HTML, pictures
  and links.
- **Versions.** `version` is this reader's: every field must be known, but for those in `ext`. Older: read
  with the structs of that version, which never change, and carried on version by version. Newer, and
  `min_reader` allows it: shown read-only, without what is not known here. Newer, and it does not: refused.
- **Order of checks.** Size; counts of brackets, colons and commas; head; types and fields; limits; the
  scene's estimate, or the shape of every node of a graph; then, and not before, something is built.
- **What was on screen never keeps a file from opening**: camera, moment, speed, loop and selection that can
  not be are put right without a word.
- **Duplicate keys**: the last one counts.
- **A graph** has unique ids, inputs that are defined before they are used, known operations with the right
  number of inputs and known attributes, and shapes that follow by rule. An attribute is JSON, or
  `{{"array": KEY}}` for an array among the values, `{{"slice": [start, stop, step]}}`, `{{"rest": true}}` for
  `...`, or `{{"number": "nan"}}` (`"inf"`, `"-inf"`). Lists stand for tuples.
- **When the scene can not be built** (another catalogue, another grammar) and there is a graph, the graph is
  shown read-only.
"""


def document() -> str:
    """The whole page."""
    parts = [
        "# The Backstep scene file",
        "A `.backstep` file keeps everything that a user can change. It may come from anybody: reading one "
        "ends in a scene or in one error with a stable code. This page is made by "
        "`python -m explorer.model.files.format`; `backstep validate FILE...` checks files against it.",
        "## Rules",
        RULES_OF_READING.strip().format(**vars(LIMITS)),
        "## Fields",
        *(_fields(kind, words) for kind, words in FIELDS.items()),
        "## Example",
        f"With comments, which a real file can not have.\n\n```jsonc\n{EXAMPLE}\n```",
        "## Limits",
        _table(
            ("limit", "most", "of"),
            [(f"`{f.name}`", _number(getattr(LIMITS, f.name)), f.metadata["of"]) for f in fields(LIMITS)],
        ),
        "## Error codes",
        "Every error is one printable line of at most 300 characters, with a place such as `$.edits.W.shape` "
        "or a line and a column. `backstep validate` lists all of them, at most "
        f"{LIMITS.faults}, as `FILE: PLACE: CODE: SENTENCE`.",
        _table(("code", "meaning"), [(f"`{code}`", words) for code, words in CODES.items()]),
        "## JSON Schema",
        "Generated from the structs that read the file; what a schema can not say stands above.",
        "```json\n" + json.dumps(json_schema(), indent=1) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the present version."""
    strict = schema.VERSIONS[schema.VERSION].strict
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(strict)}


def _fields(kind: type[msgspec.Struct], words: dict[str, str]) -> str:
    rows = []
    for field in msgspec.structs.fields(kind):
        said = words[field.encode_name].format(inline=LIMITS.inline, line=LIMITS.line)
        rows.append((f"`{field.encode_name}`", "yes" if field.required else "", said))
    name = kind.__name__.removeprefix("Strict").rstrip("0123456789")
    return f"### {name}\n\n" + _table(("field", "needed", "meaning"), rows)


def _number(value: Any) -> str:
    if isinstance(value, tuple):
        return " … ".join(map(_number, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(document(), "utf-8")
