"""The formula reader: what it takes means what it says; what it refuses gets a column and a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd import OPS, check_gradients
from scenes import SCENES
from scenes.foundations.expression import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, parse, parse_values
from scenes.scene import Recording, SceneError

SCENE = SCENES["expression"]
Check = Callable[[SceneError], None]

# Python's own meaning of a formula, for comparison only
PYTHON = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "relu": lambda a: np.maximum(a, 0.0),
    "softplus": lambda a: np.log1p(np.exp(a)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "elu": lambda a: a if a > 0 else np.expm1(a),
    "leaky_relu": lambda a: a if a > 0 else 0.01 * a,
}


def by_python(formula: str, recording: Recording) -> float:
    values = {name: np.float64(recording.value(name)) for name in parse(formula).names}
    # numbers as NumPy floats, because Python's integers refuse 0**-1 and NumPy's 2**-1
    floats = re.sub(r"(?<![\w.])(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)", r"number(\1)", formula)
    with np.errstate(all="ignore"):
        return float(eval(floats, {"__builtins__": {}, "number": np.float64}, PYTHON | values))


def errors(recording: Recording) -> list[float]:
    """Each proof's difference, relative to the largest number in it."""
    found = []
    for proof in SCENE.proofs:
        got, wanted = (np.asarray(x) for x in proof.compute(recording))
        assert got.shape == wanted.shape
        scale = max(float(np.max(np.abs(wanted))), 1e-300)
        found.append(float(np.max(np.abs(got - wanted))) / scale)
    return found


GOOD = [
    "tanh(w1*x1 + w2*x2 + b)",
    "x",
    "-x",
    "+x",
    "--x",
    "-x**2",
    "2**-x",
    "(-2)**2*x",
    "x**3**0.5",
    "x - 1 - 2 - w",
    "x / w / 2",
    "x*x + x",
    "1e-3*x + .5 + 2.",
    "((((x))))",
    "log(x) + sqrt(w)*x**0.5",
    "x**w",
    "maximum(x, w) - minimum(x, 0.5)*abs(w)",
    "sigmoid(relu(x)) + softplus(w) + elu(-x) + leaky_relu(-w)",
    "exp(sin(x)*cos(w))",
    "tanh(x)*0 + w",
    "α*x + β",
    "_a + A1",
    "x*(w + 1)/(w - 0.05)",
    "+".join(f"x{k}" for k in range(60)),
    "+".join("x" * 150),
]


@pytest.mark.parametrize("formula", GOOD)
@pytest.mark.parametrize("seed", [0, 1])
def test_good_formulas(formula: str, seed: int) -> None:
    recording = SCENE.build({"formula": formula}, seed=seed)
    assert float(recording.loss.value) == pytest.approx(by_python(formula, recording), rel=1e-12, abs=1e-300)
    assert recording.loss.name == "y"
    assert max(errors(recording)) <= 1e-9


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_its_right_slope(name: str) -> None:
    arguments = "x1*w1" if OPS[name].arity == 1 else "x1*w1, x1 - w1"
    for seed in range(5):
        recording = SCENE.build({"formula": f"{name}({arguments})", "values": "x1=0.7, w1=0.4"}, seed=seed)
        assert max(errors(recording)) <= 1e-9
        for report in check_gradients(recording.loss):
            assert report.passes()


def test_elementwise_ops_are_functions() -> None:
    assert {"exp", "log", "tanh", "sigmoid", "relu", "maximum", "softplus"} <= set(FUNCTIONS)
    assert "stop_gradient" not in FUNCTIONS
    assert "matmul" not in FUNCTIONS


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("w×x − b", "w*x - b"),
        ("w·x ÷ b", "w*x / b"),
        ("ｔａｎｈ（ｗ＊ｘ）", "tanh(w*x)"),
        ("w *\n\tx\u3000+ b", "w * x + b"),
        ("  w*x", "w*x"),
    ],
)
def test_typed_signs_are_understood(typed: str, meant: str) -> None:
    assert parse(typed) == parse(meant)


def test_a_name_is_one_leaf_however_often_it_is_used() -> None:
    recording = SCENE.build({"formula": "x*x + x", "values": "x=3"})
    assert [leaf.name for leaf in recording.graph.leaves("input")] == ["x"]
    assert len(recording.contributions("x")) == 3
    assert float(recording.grad("x")) == 7.0


def test_kinds_and_values_of_the_leaves() -> None:
    recording = SCENE.build({"formula": "x1*w + xs + b - 2", "values": " w = -0.5 ,x1=1e1"}, seed=3)
    kinds = {leaf.name: leaf.kind for leaf in recording.graph.leaves()}
    assert kinds == {"x1": "input", "xs": "input", "w": "parameter", "b": "parameter", "2": "constant"}
    assert recording.value("w") == -0.5
    assert recording.value("x1") == 10.0
    for seed in range(50):
        b = float(SCENE.build({"formula": "b*x"}, seed=seed).value("b"))
        assert 0.1 <= abs(b) <= 2.0
        assert b == round(b, 1)
        assert float(SCENE.build({"formula": "log(b) + x"}, seed=seed).value("b")) > 0


BAD = [
    ("", 1, "empty"),
    ("   ", 1, "empty"),
    ("x1 +", 5, "ends here"),
    ("* x", 1, "expected a name"),
    ("x * / w", 5, "expected a name"),
    ("x w", 3, "expected an operator"),
    ("2x", 2, "write 2*x?"),
    ("x 2", 3, "expected an operator"),
    ("(x", 1, "never closed"),
    ("tanh(x + (w)", 5, "never closed"),
    ("x)", 2, "closes nothing"),
    ("()", 2, "expected a name"),
    ("x + tanj(w)", 5, "unknown function 'tanj'; did you mean tanh?"),
    ("stop_gradient(x)", 1, "unknown function"),
    ("__import__(x)", 1, "unknown function"),
    ("w(x)", 1, "unknown function"),
    ("tanh", 1, "tanh is a function, expected '('"),
    ("tanh()", 6, "expected a name"),
    ("x + tanh(x, w)", 5, "tanh expected 1 argument, got 2"),
    ("maximum(x)", 1, "maximum expected 2 arguments, got 1"),
    ("maximum(x,)", 11, "expected a name"),
    ("x, w", 2, "only separates"),
    ("tanh((x, w))", 8, "only separates"),
    ("x.real", 2, "'.' has no place"),
    ("tanh(x)(w)", 8, "only a named function"),
    ("2(x)", 2, "only a named function"),
    ("(x)(w)", 4, "only a named function"),
    ("x < 1", 3, "comparison"),
    ("x == 1", 3, "'=' has no place"),
    ("x != 1", 3, "comparison"),
    ("'a' + x", 1, "a text has no place"),
    ('x + "a"', 5, "a text has no place"),
    ("lambda x: x", 1, "reserved word"),
    ("x if w else 1", 3, "reserved word"),
    ("x and w", 3, "reserved word"),
    ("True*x", 1, "reserved word"),
    ("x[0]", 2, "round brackets"),
    ("[x]", 1, "round brackets"),
    ("{x}", 1, "round brackets"),
    ("tanh(a=x)", 7, "'=' has no place"),
    ("x := 2", 3, "':' has no place"),
    ("tanh(*x)", 6, "expected a name"),
    ("x^2", 2, "use ** for a power"),
    ("x ** ** 2", 6, "expected a name"),
    ("x % 2", 3, "unexpected '%'"),
    ("x; w", 2, "unexpected ';'"),
    ("x # note", 3, "unexpected '#'"),
    ("x\\w", 2, "unexpected"),
    ("x + \0", 5, "unexpected"),
    ("x + \ud800", 5, "unexpected"),
    ("重み*x", 1, "unexpected"),
    ("w" * 21 + "*x", 1, "too long"),
    ("x + 1e999", 5, "too large"),
    ("x + 007", 5, "without zeros"),
    ("x + 0x1f", 6, "expected an operator"),
    ("x + 1j", 6, "expected an operator"),
    ("1 + 2", 1, "at least one name"),
    ("y + 1", 1, "another name"),
    ("x" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "too long"),
    ("(" * (MAX_DEPTH + 1) + "x" + ")" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "too deep"),
    ("-" * (MAX_DEPTH + 10) + "x", MAX_DEPTH + 1, "too deep"),
    ("x" + "**x" * 70, 3 * MAX_DEPTH + 1, "too deep"),
    ("（ｘ＋", 4, "ends here"),
]


@pytest.mark.parametrize(("formula", "column", "words"), BAD)
def test_bad_formulas(formula: str, column: int, words: str, said_in_both: Check) -> None:
    with pytest.raises(SceneError) as error:
        SCENE.build({"formula": formula})
    message = str(error.value)
    assert message.startswith(f"formula: column {column}: ")
    assert words in message
    assert "\n" not in message
    said_in_both(error.value)
    assert error.value.text["ja"].startswith(f"formula の {column} 文字目: ")


@pytest.mark.parametrize(("formula", "words"), [("1/(x - x)", "inf"), ("log(x - x - 1)", "nan")])
def test_a_result_that_is_no_number_gets_a_sentence(formula: str, words: str, said_in_both: Check) -> None:
    with pytest.raises(SceneError, match=f"formula: the result is {words}") as error:
        SCENE.build({"formula": formula})
    assert "values" in str(error.value)
    said_in_both(error.value)
    assert words in error.value.text["ja"] and "values" in error.value.text["ja"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("w1", "name=number"),
        ("w1=", "a finite number"),
        ("=1", "name=number"),
        ("w1=one", "'one'"),
        ("w1=nan", "a finite number"),
        ("w1=1e999", "a finite number"),
        ("w1=1, w1=2", "once"),
        ("w1=1,,", "name=number"),
        ("q=1", "'q' is not in the formula, expected w1, x1, w2, x2, b"),
    ],
)
def test_bad_values(values: str, words: str, said_in_both: Check) -> None:
    with pytest.raises(SceneError, match="values: ") as error:
        SCENE.build({"values": values})
    assert words in str(error.value)
    said_in_both(error.value)
    assert error.value.text["ja"].startswith("values: ")


def test_no_values_is_fine() -> None:
    assert parse_values(" ") == {}


leaf_texts = st.sampled_from(["x", "w", "x1", "b", "0.5", "2", "1.5e0", "3"])
formulas = st.recursive(
    leaf_texts,
    lambda inner: st.one_of(
        st.builds("({}{}{})".format, inner, st.sampled_from(["+", "-", "*", " / ", " + "]), inner),
        st.builds("{}{}{}".format, inner, st.sampled_from(["+", "-", "*", " - "]), inner),
        st.builds("-{}".format, inner),
        st.builds("({})**{}".format, inner, st.sampled_from(["2", "3", "-1"])),
        st.builds("{}({})".format, st.sampled_from(["tanh", "sin", "cos", "sigmoid", "softplus"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["maximum", "minimum"]), inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(formulas, st.integers(0, 3))
def test_generated_formulas_mean_what_python_means(formula: str, seed: int) -> None:
    try:
        parsed = parse(formula)
        recording = SCENE.build({"formula": formula}, seed=seed)
    except SceneError as error:
        assert any(word in str(error) for word in ("at least one name", "the result is", "too long"))
        return
    wanted = by_python(formula, recording)
    largest = max(float(np.max(np.abs(v))) for v in recording.graph.values)
    assert float(recording.loss.value) == pytest.approx(wanted, rel=1e-12, abs=1e-13 * largest)
    assert set(parsed.names) == {leaf.name for leaf in recording.graph.leaves("input", "parameter")}


@settings(max_examples=150, deadline=None)
@given(formulas.filter(lambda f: "/" not in f and "**-1" not in f and "**(-1)" not in f), st.integers(0, 3))
def test_generated_formulas_have_the_partials_of_their_duals(formula: str, seed: int) -> None:
    try:
        recording = SCENE.build({"formula": formula}, seed=seed)
    except SceneError:
        return
    largest = max(float(np.max(np.abs(g))) for g in recording.graph.grads if g is not None)
    largest *= max(1.0, *(float(np.max(np.abs(v))) for v in recording.graph.values))
    if not math.isfinite(largest):
        return
    for proof in SCENE.proofs:
        got, wanted = (np.asarray(x) for x in proof.compute(recording))
        assert np.max(np.abs(got - wanted)) <= 1e-12 * max(largest, 1e-300)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="xwb12.e+-*/(), tanhmx^=<'[]:_λ重\n", max_size=40))
def test_no_text_gets_anything_but_a_formula_or_one_sentence(text: str) -> None:
    try:
        parse(text)
    except SceneError as error:
        assert str(error).startswith("formula: column ")
        assert error.text["ja"].startswith("formula の ")
        assert "\n" not in str(error) + error.text["ja"]
