"""Words and numbers for people: translation, labels with sub- and superscripts, numbers, shapes.

The translation layer is `tr`: English is written in the code, other languages are a file each in
`assets/translations`. Used by the whole of `explorer`; knows no widgets.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scenes.scene import Notation, SceneError

ASSETS = Path(__file__).resolve().parents[2] / "assets"
LANGUAGES = {"en": "English", "ja": "日本語"}
_language = "en"
NUMBER_STYLES = ("automatic", "fixed", "scientific")
_number_style = "automatic"


def set_language(language: str) -> None:
    """Make `tr` answer in `language`; raises ValueError for one that there is no translation for."""
    global _language
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
    _language = language


def language() -> str:
    return _language


def set_number_style(style: str) -> None:
    """How `number` writes: `automatic`, `fixed` (decimals) or `scientific`; ValueError for another word."""
    global _number_style
    if style not in NUMBER_STYLES:
        raise ValueError(f"number style {style!r} is not one of {', '.join(NUMBER_STYLES)}")
    _number_style = style


def number_style() -> str:
    return _number_style


def system_language() -> str:
    """The language that the environment asks for, English when it is none of ours."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        code = os.environ.get(name, "")[:2]
        if code:
            return code if code in LANGUAGES else "en"
    return "en"


def tr(english: str) -> str:
    """The sentence in the present language; placeholders like `{name}` are for the caller's `.format`."""
    return english if _language == "en" else _catalogue(_language).get(english, english)


def sentence(error: Exception) -> str:
    """What an error says to the user, in the present language where it knows it."""
    return error.text[_language] if isinstance(error, SceneError) else str(error)


@cache
def _catalogue(language: str) -> dict[str, str]:
    return json.loads((ASSETS / "translations" / f"{language}.json").read_text("utf-8"))


@dataclass(frozen=True)
class Label:
    """A symbol with its indices, as a textbook sets it."""

    base: str
    sub: str = ""
    sup: str = ""

    def __str__(self) -> str:
        """In one line of plain characters, with Unicode indices where every character has one."""
        text = self.base
        if self.sup.startswith("⟨"):
            return f"{text}{_raised(self.sub, _SUBSCRIPTS) or f'_{self.sub}' if self.sub else ''}{self.sup}"
        if self.sub:
            text += _raised(self.sub, _SUBSCRIPTS) or "_" + self.sub
        if self.sup:
            text += _raised(self.sup, _SUPERSCRIPTS) or "^" + self.sup
        return text


_SUPERSCRIPTS = dict(zip("0123456789+-()tnT", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵗⁿᵀ", strict=True))
_SUBSCRIPTS = dict(zip("0123456789+-()", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎", strict=True))


def _raised(text: str, table: dict[str, str]) -> str:
    return "".join(table[c] for c in text) if all(c in table for c in text) else ""


def label(name: str, time: int | None, notation: Notation) -> Label:
    """How the notes write the node called `name`: `u_3` at time step 3 is u³ or u₃ or u<3>.

    An index that is the node's time step (or, for an initial state, 0) goes where the notation has time.
    """
    base, _, index = name.partition("_")
    element = ""
    if "[" in index or "[" in base:
        head, _, rest = name.partition("[")
        base, _, index = head.partition("_")
        element = rest.rstrip("]")
    base = notation.letters.get(name, notation.letters.get(base, base))
    base, _, inner = base.partition("_")
    is_time = index.isdigit() and (
        (time is not None and int(index) == time) or (time is None and index == "0")
    )
    if not is_time:
        sub = ",".join(part for part in (inner, index, element) if part)
        return Label(base, sub)
    sub = ",".join(part for part in (inner, element) if part)
    if notation.time == "sup":
        return Label(base, sub, index)
    if notation.time == "angle":
        return Label(base, sub, f"⟨{index}⟩")
    return Label(base, ",".join(part for part in (inner, index, element) if part))


def scope_title(path: str) -> str:
    """A scope's name in the present language where it is one of the usual ones."""
    outer, _, name = path.rpartition("/")
    if name.endswith((" +", " ←")):  # what was moved out of a scope of that name
        return scope_title(f"{outer}/{name[:-2]}") + name[-2:]
    if name == "t=*":
        return tr("time")
    if name.startswith("t="):
        return f"t = {name[2:]}"
    usual = {
        "parameters": tr("parameters"),
        "initial": tr("initial state"),
        "loss": tr("loss"),
        "input": tr("input"),
        "output": tr("output"),
        "inputs": tr("inputs"),
        "read-out": tr("read-out"),
        "forward": tr("forwards"),
        "backward": tr("backwards"),
        "product": tr("product"),
        "joined": tr("joined"),
        "chain": tr("chain"),
        "prediction": tr("prediction"),
        "norm": tr("norm"),
        "dropout": tr("dropout"),
        "data": tr("data"),
        "penalty": tr("penalty"),
        "total": tr("total"),
        "check": tr("check"),
        "training": tr("training"),
        "validation": tr("validation"),
        "clip": tr("clip"),
        "update": tr("update"),
    }
    if "t=" in outer or not outer:  # inside a cell these are its gates
        usual |= {
            "forget": tr("forget gate"),
            "candidate": tr("candidate"),
            "reset": tr("reset gate"),
            "relevance": tr("relevance gate"),
        }
    if "t=" in outer:
        usual |= {
            "input": tr("input gate"),
            "output": tr("output gate"),
            "update": tr("update gate"),
        }
    if name in usual:
        return usual[name]
    if name.startswith("layer") and name[5:].strip().isdigit():
        return tr("layer {n}").format(n=name[5:].strip())
    return name


def scope_labels(path: str, notation: Notation) -> list[Label]:
    """A scope's title as it stands on its box; a unit of a layer is the product that it computes, W₀·x."""
    name = path.rpartition("/")[2]
    if "[" not in name:
        return [Label(scope_title(path))]
    factors = [label(factor, None, notation) for factor in name.split("·")]
    return [part for factor in factors for part in (Label("·"), factor)][1:]


def number(x: float, digits: int = 4) -> str:
    """A number for people: `digits` digits in the present style, a true minus sign, words for the rest."""
    x = float(x)
    if np.isnan(x):
        return "NaN"
    if np.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    if _number_style == "fixed" and abs(x) < 10**9:
        return f"{x:.{digits}f}".replace("-", "−")
    if _number_style == "scientific" or abs(x) >= 10**5 or abs(x) < 10**-3:
        mantissa, _, exponent = f"{x:.{max(digits - 2, 1)}e}".partition("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    text = f"{x:.{digits}g}"
    if "e" in text:  # rounded up to a power of ten that has more digits than asked for
        text = f"{x:.0f}"
    return text.replace("-", "−")


def shape(s: tuple[int, ...]) -> str:
    """A shape for people: `3×4`, empty for a scalar."""
    return "×".join(map(str, s))


def array(value: Any, digits: int = 3, most: int = 6) -> str:
    """A short one-line text of a number, a vector or a matrix; long ones are cut with an ellipsis."""
    a = np.asarray(value, dtype=float)
    if a.ndim == 0:
        return number(a.item(), digits)
    rows = [array(row, digits, most) for row in a[:most]]
    return "[" + ", ".join(rows) + (", …" if len(a) > most else "") + "]"
