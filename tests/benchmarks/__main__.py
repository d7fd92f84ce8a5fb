"""`python -m tests.benchmarks`: measures speed, prints a table, writes out/bench.json (`make bench`)."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence

from tests.benchmarks.measure import ROOT, Row, missing

SUITES = ("engine", "layout", "canvas", "lab", "startup", "files", "training")


def main() -> int:
    """Run the suites that were asked for; 1 if one of them failed. A goal that is not met is no failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller cases, under a minute")
    options = parser.parse_args()
    unknown = [name for name in options.suites if name not in SUITES]
    if unknown:
        parser.error(f"there is no suite {', '.join(unknown)}")
    # CPU time counts all threads, so there must be one. No display is needed.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder  # a new user's settings, and nobody's own are touched
        return measure(options.suites or SUITES, options.quick)


def measure(suites: Sequence[str], quick: bool) -> int:
    """Run suites one after the other, print their rows and write all of them down."""
    rows: list[Row] = []
    failed = []
    print(_line("name", "value", "peer", "peer's", "ratio", "goal", ""), flush=True)
    for suite in suites:
        start = time.monotonic()
        try:
            module = importlib.import_module(f"tests.benchmarks.{suite}")
            _quieten_qt()
            for row in module.run(quick):
                rows.append(row)
                print(_words(row), flush=True)
        except Exception:  # one suite that breaks must not hide what the others measured
            failed.append(suite)
            sys.excepthook(*sys.exc_info())
        print(f"  {suite}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    out = ROOT / "out" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([row.as_dict() for row in rows], indent=1) + "\n", "utf-8")
    verdicts = [row.met for row in rows if row.met is not None]
    print(f"\n{sum(verdicts)} of {len(verdicts)} goals met; {out.relative_to(ROOT)}")
    if missing:
        print(f"not installed, so not compared with: {', '.join(sorted(missing))}; `make bench-peers`")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _quieten_qt() -> None:
    """Keep what Qt says of every window without a display from between the rows, and nothing else."""
    if "PySide6.QtCore" not in sys.modules:  # a suite without a screen is measured without Qt
        return
    from PySide6.QtCore import QMessageLogContext, QtMsgType, qFormatLogMessage, qInstallMessageHandler

    def say(kind: QtMsgType, context: QMessageLogContext, words: str | None) -> None:
        if words != "This plugin does not support propagateSizeHints()":
            print(qFormatLogMessage(kind, context, words or ""), file=sys.stderr, flush=True)

    qInstallMessageHandler(say)


def _number(x: float | None, unit: str = "") -> str:
    return "" if x is None else f"{x:.3g} {unit}".rstrip() if abs(x) < 1000 else f"{x:.0f} {unit}".rstrip()


def _words(row: Row) -> str:
    verdict = {None: "", True: "met", False: "NOT MET"}[row.met]
    peer_value = _number(row.peer_value, row.unit)
    return _line(
        row.name,
        _number(row.value, row.unit),
        row.peer or "",
        peer_value,
        _number(row.ratio),
        row.goal or "",
        verdict,
    )


def _line(*cells: str) -> str:
    widths = (38, 16, 16, 10, 7, 24, 8)
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main())
