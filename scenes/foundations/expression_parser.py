"""Reads a formula that the user types, and values for its names.

The text is read in two passes: a scan over its tokens, which knows the column of everything that is wrong,
then Python's `ast`, whose tree is flattened to a list of steps. Nothing is ever evaluated as Python.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograd import OPS
from scenes.scene import SceneError, Text

MAX_LENGTH = 300  # characters, and so at most as many nodes
MAX_DEPTH = 60
MAX_NAME = 20
RESULT = "y"

_OPERATORS: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.USub: "negative",
}
FUNCTIONS = sorted(
    name
    for name, op in OPS.items()
    if op.elementwise and op.arity in (1, 2) and name not in {*_OPERATORS.values(), "stop_gradient"}
)
# What people type or paste, one character for one, so that columns stay true. Full-width forms come from
# Japanese input methods.
_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "\u3000": " "}
    | {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
)
_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_α-ωΑ-Ω][\wα-ωΑ-Ω]*)|(?P<op>\*\*|[-+*/(),])",
    re.ASCII,
)
_HINTS = {
    "^": Text(
        "'^' is not an operator, use ** for a power",
        "'^' は演算子ではありません。べき乗には ** を使ってください",
    ),
    "=": Text(
        "'=' has no place in a formula, expected only the expression itself",
        "数式に '=' は使えません。式そのものだけを書いてください",
    ),
    ".": Text(
        "'.' has no place here, expected a plain name or a number",
        "ここに '.' は置けません。名前か数が必要です",
    ),
    ":": Text(
        "':' has no place in a formula, expected names, numbers and operators",
        "数式に ':' は使えません。名前、数、演算子で書いてください",
    ),
}
_HINTS |= {
    c: Text(
        f"'{c}' has no place in a formula, expected only round brackets",
        f"数式に '{c}' は使えません。括弧は丸括弧だけが使えます",
    )
    for c in "[{"
}
_HINTS |= {
    c: Text(
        "a text has no place in a formula, expected names and numbers",
        "数式に文字列は使えません。名前と数で書いてください",
    )
    for c in "'\""
}
_HINTS |= {
    c: Text(
        f"'{c}' is a comparison, expected + - * / or **",
        f"'{c}' は比較です。使える演算子は + - * / ** です",
    )
    for c in "<>!"
}


@dataclass(frozen=True)
class Formula:
    """A checked formula: its steps in the order in which a stack machine runs them."""

    steps: tuple[tuple[str, Any], ...]  # ("number", value), ("name", name) or (name of an op, its arity)
    names: tuple[str, ...]  # in the order of their first use
    wants_positive: bool  # whether a logarithm, a root or a broken power asks for positive values

    def run(
        self, leaf: Callable[[str], Any], number: Callable[[float], Any], call: Callable[..., Any]
    ) -> Any:
        """Evaluate with any kind of number: `call(op, *operands)` does one operation."""
        stack: list[Any] = []
        for what, detail in self.steps:
            if what == "name":
                stack.append(leaf(detail))
            elif what == "number":
                stack.append(number(detail))
            else:
                operands = stack[-detail:]
                del stack[-detail:]
                stack.append(call(what, *operands))
        return stack[0]


def _wrong(column: int, en: str, ja: str) -> SceneError:
    return SceneError(f"formula: column {column}: {en}", f"formula の {column} 文字目: {ja}")


def _scan(text: str) -> None:
    """Check the order of tokens; raises SceneError with the column (from 1) and what was expected there."""
    at, operand_next, previous = 0, True, ""
    open_brackets: list[tuple[int, bool]] = []  # column, and whether it is a function's
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        match, column = _TOKEN.match(text, at), at + 1
        if match is None:
            unexpected = Text(
                f"unexpected {text[at]!r}, expected a name, number or operator",
                f"ここに {text[at]!r} は使えません。名前、数、演算子のどれかが必要です",
            )
            hint = _HINTS.get(text[at], unexpected)
            raise _wrong(column, hint.en, hint.ja)
        token, kind = match.group(), match.lastgroup
        at = match.end()
        if kind == "name":
            _check_name(token, column, operand_next, followed_by=text[at:].lstrip()[:1])
        if kind != "op":
            if not operand_next:
                product = f"{previous[:MAX_NAME]}*{token}" if kind == "name" and previous[0].isdigit() else ""
                raise _wrong(
                    column,
                    f"expected an operator before {token[:MAX_NAME]!r}"
                    + (f"; write {product}?" if product else ""),
                    f"{token[:MAX_NAME]!r} の前に演算子が必要です"
                    + (f"。{product} ではありませんか。" if product else ""),
                )
            if kind == "number":
                _check_number(token, column)
            operand_next = False
        elif token == "(":
            if not operand_next and (previous == ")" or previous[0].isdigit() or previous[0] == "."):
                raise _wrong(
                    column,
                    "expected an operator before '(', only a named function can be called",
                    "'(' の前に演算子が必要です。呼び出せるのは名前のある関数だけです",
                )
            open_brackets.append((column, not operand_next))
            if len(open_brackets) > MAX_DEPTH:
                raise _too_deep(column)
            operand_next = True
        elif operand_next and token not in "+-":
            inside = Text("", "")
            if token == ")" and open_brackets:
                start = open_brackets[-1][0]
                inside = Text(f" inside the bracket of column {start}", f"{start} 文字目からの括弧の中で、")
            raise _wrong(
                column,
                f"expected a name, a number or '(' before {token!r}{inside.en}",
                f"{inside.ja}{token!r} の前に名前、数、'(' のどれかが必要です",
            )
        elif token == ")":
            if not open_brackets:
                raise _wrong(
                    column,
                    "this ')' closes nothing, expected an operator or the end",
                    "この ')' に対応する開き括弧がありません。演算子を書くか、数式をここで終えてください",
                )
            open_brackets.pop()
        elif token == ",":
            if not open_brackets or not open_brackets[-1][1]:
                raise _wrong(
                    column,
                    "',' only separates what a function takes, expected an operator",
                    "',' は関数の引数を区切るためのものです。ここには演算子が必要です",
                )
            operand_next = True
        else:
            operand_next = True
        previous = token
    if operand_next:
        raise _wrong(
            len(text) + 1,
            "the formula ends here, expected a name, a number or '('",
            "数式がここで終わっています。名前、数、'(' のどれかが必要です",
        )
    if open_brackets:
        raise _wrong(
            open_brackets[-1][0],
            "this '(' is never closed, expected a ')'",
            "この '(' が閉じられていません。')' が必要です",
        )


def _too_deep(column: int) -> SceneError:
    return _wrong(
        column,
        f"nested too deep, expected at most {MAX_DEPTH} levels",
        f"入れ子が深すぎます。{MAX_DEPTH} 段までにしてください",
    )


def _check_name(name: str, column: int, operand_next: bool, followed_by: str) -> None:
    if keyword.iskeyword(name):
        raise _wrong(
            column,
            f"{name!r} is a reserved word, expected a name, a number or an operator",
            f"{name!r} は予約語です。名前、数、演算子のどれかが必要です",
        )
    if len(name) > MAX_NAME:
        raise _wrong(
            column,
            f"the name {name[:MAX_NAME]}… is too long, expected at most {MAX_NAME} characters",
            f"名前 {name[:MAX_NAME]}… が長すぎます。{MAX_NAME} 文字までにしてください",
        )
    if not operand_next:
        return
    if followed_by == "(":
        if name not in FUNCTIONS:
            close = difflib.get_close_matches(name, FUNCTIONS, 1)
            hint = Text(f"expected one of {', '.join(FUNCTIONS)}", f"使えるのは {', '.join(FUNCTIONS)} です")
            if close:
                hint = Text(f"did you mean {close[0]}?", f"{close[0]} ではありませんか。")
            raise _wrong(
                column,
                f"unknown function {name!r}; {hint.en}",
                f"{name!r} という関数はありません。{hint.ja}",
            )
    elif name in FUNCTIONS:
        raise _wrong(
            column,
            f"{name} is a function, expected '(' after it",
            f"{name} は関数です。後ろに '(' が必要です",
        )
    elif name == RESULT:
        raise _wrong(
            column,
            f"{RESULT} is what the formula computes, expected another name",
            f"{RESULT} は数式の結果を表します。別の名前を使ってください",
        )


def _check_number(number: str, column: int) -> None:
    if not math.isfinite(float(number)):
        raise _wrong(
            column,
            f"the number {number[:MAX_NAME]} is too large, expected at most 1.8e308",
            f"数 {number[:MAX_NAME]} が大きすぎます。使えるのは 1.8e308 までです",
        )
    if number.isdigit() and number[0] == "0" and number.strip("0"):  # Python's octal trap
        raise _wrong(
            column,
            f"expected {number[:MAX_NAME]} without zeros in front",
            f"{number[:MAX_NAME]} は先頭のゼロを取って書いてください",
        )


def _flatten(tree: ast.expr, column: Callable[[ast.expr], int]) -> list[tuple[str, Any]]:
    """The steps of a tree, operands first. A loop with its own stack: depth costs nothing."""
    steps: list[tuple[str, Any]] = []
    waiting: list[tuple[ast.expr, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _too_deep(column(node))
        operands: list[ast.expr]
        match node:
            case ast.Constant(value=int() | float() as number):
                steps.append(("number", float(number)))
                continue
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                steps.append(("number", -float(number)))
                continue
            case ast.Name(id=name):
                steps.append(("name", name))
                continue
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                waiting.append((operand, depth + 1))
                continue
            case ast.UnaryOp(operand=operand):
                operands = [operand]
                steps.append((_OPERATORS[type(node.op)], 1))
            case ast.BinOp(left=left, right=right):
                operands = [left, right]
                steps.append((_OPERATORS[type(node.op)], 2))
            case ast.Call(func=ast.Name(id=name), args=operands):
                arity = OPS[name].arity
                if len(operands) != arity:
                    raise _wrong(
                        column(node),
                        f"{name} expected {arity} argument{'s' * (arity != 1)}, got {len(operands)}",
                        f"{name} に必要な引数は {arity} 個ですが、{len(operands)} 個になっています",
                    )
                steps.append((name, arity))
            case _:
                raise _wrong(
                    column(node),
                    "expected names, numbers, operators and functions only",
                    "使えるのは名前、数、演算子、関数だけです",
                )
        for k, operand in enumerate(operands):
            # a long sum leans to the left without being nested for its reader
            level = isinstance(node, ast.BinOp) and k == 0 and isinstance(operand, ast.BinOp)
            waiting.append((operand, depth if level else depth + 1))
    return steps[::-1]


def parse(text: str) -> Formula:
    """Read a formula; raises SceneError with one sentence, the column and what was expected."""
    if len(text) > MAX_LENGTH:
        raise _wrong(
            MAX_LENGTH + 1,
            f"the formula is too long, expected at most {MAX_LENGTH} characters",
            f"数式が長すぎます。{MAX_LENGTH} 文字までにしてください",
        )
    plain = re.sub(r"\s", " ", text.translate(_PLAIN))
    if not plain.strip():
        raise _wrong(
            1,
            "the formula is empty, expected something like tanh(w*x + b)",
            "数式が空です。tanh(w*x + b) のように書いてください",
        )
    _scan(plain)
    source = plain.lstrip()
    shift = len(plain) - len(source) + 1
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _wrong(
            shift,
            "this can not be read, expected names, numbers, operators and functions",
            "この数式は読み取れません。名前、数、演算子、関数で書いてください",
        ) from None
    encoded = source.encode()  # ast counts bytes
    steps = _flatten(tree, lambda node: shift + len(encoded[: node.col_offset].decode()))
    names = tuple(dict.fromkeys(detail for what, detail in steps if what == "name"))
    if not names:
        raise _wrong(
            shift,
            "there is nothing to differentiate by, expected at least one name",
            "微分の対象になる名前がありません。名前が少なくとも一つ必要です",
        )
    return Formula(tuple(steps), names, _wants_positive(steps))


def _wants_positive(steps: list[tuple[str, Any]]) -> bool:
    exponents = [steps[k - 1] for k, (what, _) in enumerate(steps) if what == "power"]
    broken = any(what != "number" or value != round(value) for what, value in exponents)
    return broken or any(what in ("log", "sqrt") for what, _ in steps)


def parse_values(text: str) -> dict[str, float]:
    """`w1=0.5, x1=-1` as a dict; raises SceneError with one sentence."""
    values: dict[str, float] = {}
    plain = text.translate(_PLAIN)
    for part in plain.split(",") if plain.strip() else []:
        name, equals, number = (s.strip() for s in part.partition("="))
        if not equals or not name or name in values:
            raise SceneError(
                f"values: {part.strip()[:40]!r} can not be used, expected each name once as name=number",
                f"values: {part.strip()[:40]!r} は使えません。名前ごとに一度だけ「名前=数」と書いてください",
            )
        try:
            values[name] = float(number)
        except ValueError:
            values[name] = math.nan
        if not math.isfinite(values[name]):
            raise SceneError(
                f"values: {name[:MAX_NAME]} can not be {number[:40]!r}, expected a finite number",
                f"values: {name[:MAX_NAME]} に {number[:40]!r} は使えません。有限の数が必要です",
            )
    return values
