"""Checks: a scene's closed forms and a gradient check, side by side with the engine's numbers.

`backstep check` prints the rows and the window shows them. Computes only; knows neither tables nor colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import check_gradients
from explorer.model.text import array, tr
from explorer.model.traces import numbers
from scenes.scene import Proof, Recording, Text

PROOF, GRADIENT = 1e-9, 1e-6  # relative errors that pass
GRADIENT_CHECK = "gradient-check"


@dataclass(frozen=True)
class Row:
    """One comparison."""

    scene: str
    proof: str  # id
    title: Text
    engine: np.ndarray
    closed_form: np.ndarray
    relative_error: float
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        return {
            "scene": self.scene,
            "proof": self.proof,
            "engine": numbers(self.engine),
            "closed_form": numbers(self.closed_form),
            "relative_error": numbers(np.array(self.relative_error)),
            "passed": self.passed,
        }


def check(recording: Recording) -> Iterator[Row]:
    """Every proof of a scene, then the gradient check; one row each, as they are computed."""
    for proof in recording.scene.proofs:
        yield check_proof(recording, proof)
    yield check_gradient(recording)


def check_proof(recording: Recording, proof: Proof) -> Row:
    """Does what the engine computed agree with what is derived by hand?"""
    engine, closed = (np.asarray(x, dtype=np.float64) for x in proof.compute(recording))
    error = relative_error(engine, closed)
    passed = bool(np.array_equal(engine, closed)) if proof.exact else error <= PROOF
    return Row(recording.scene.id, proof.id, proof.title, engine, closed, error, passed)


def check_gradient(recording: Recording) -> Row:
    """Backpropagation against central differences; the row shows the leaf where they differ most."""
    title = Text("gradient check", "勾配チェック")
    reports = check_gradients(recording.loss)
    if not reports:
        nothing = np.empty(0)
        return Row(recording.scene.id, GRADIENT_CHECK, title, nothing, nothing, 0.0, True)
    worst = max(reports, key=lambda r: r.error)
    passed = all(r.passes(GRADIENT) for r in reports)
    return Row(recording.scene.id, GRADIENT_CHECK, title, worst.analytic, worst.numeric, worst.error, passed)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """max |a − b| / max |b|; infinite when the shapes differ or something is not a number."""
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0 or np.array_equal(a, b):
        return 0.0
    with np.errstate(all="ignore"):
        error = float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), np.finfo(float).tiny))
    return error if not np.isnan(error) else float("inf")


def table(rows: list[Row], language: str) -> str:
    """The rows as aligned text, a scene's name before its own."""
    cells = [
        (
            "  " + row.title[language],
            array(row.engine, 4, 2),
            array(row.closed_form, 4, 2),
            f"{row.relative_error:.1e}" if row.relative_error else "0",
            tr("✓ pass") if row.passed else tr("✗ FAIL"),
        )
        for row in rows
    ]
    head = ("", tr("engine"), tr("closed form"), tr("relative error"), tr("verdict"))
    widths = [max(wide(line[k]) for line in (head, *cells)) for k in range(len(head))]

    def line(words: tuple[str, ...]) -> str:
        padded = (w + " " * (width - wide(w)) for w, width in zip(words, widths, strict=True))
        return "  ".join(padded).rstrip()

    lines = [line(head)]
    scene = None
    for row, words in zip(rows, cells, strict=True):
        if row.scene != scene:
            scene = row.scene
            lines.append(scene)
        lines.append(line(words))
    return "\n".join(lines)


def wide(words: str) -> int:
    """Columns that a text takes in a terminal: Japanese characters take two."""
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(c) in "WF" else 1 for c in words)
