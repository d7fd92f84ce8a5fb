"""`backstep doctor`: what works here, what does not, and the command that mends it.

It loads Qt in a second process only, because a Qt without its platform plugin aborts the process it is in.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TextIO

from explorer import system

FONTS = Path(__file__).resolve().parent.parent / "assets" / "fonts"

CORE = ("numpy", "pyqtgraph", "msgspec", "highspy")
EXTRAS = {  # extra -> the module and distribution names it brings, and what for
    "film": ((("av", "av"), ("PIL", "pillow")), "films: .mp4, .webm, .gif, .webp"),
    "formula": ((("ziamath", "ziamath"),), "typesetting formulas that are not built in"),
    "torch": ((("torch", "torch"),), "PyTorch models"),
    "onnx": ((("onnx", "onnx"),), "ONNX models"),
}

# Prints facts for `_qt_facts`; the arguments are font files, one of which should know あ and 勾.
PROBE = """
import json, sys
import PySide6
from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication, QRawFont
from PySide6 import QtWidgets
app = QGuiApplication(sys.argv[:1])
fonts = [f for f in sys.argv[1:] if all(map(QRawFont(f, 12.0).supportsCharacter, (0x3042, 0x52FE)))]
print(json.dumps({"pyside": PySide6.__version__, "qt": qVersion(),
                  "platform": app.platformName(), "japanese": fonts}))
"""


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    name: str
    state: Literal["ok", "note", "fault"]  # a note is worth knowing; a fault keeps Backstep from running
    found: str
    advice: str = ""  # the way on, when there is one


def report(stream: TextIO, *, as_json: bool = False) -> int:
    """Write the report; 0 when Backstep can run here, 1 when something it needs is missing."""
    rows = examine()
    usable = all(row.state != "fault" for row in rows)
    if as_json:
        answer = {"usable": usable, "rows": [asdict(row) for row in rows]}
        json.dump(answer, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
    else:
        stream.write(_table(rows))
        stream.write("\nBackstep can run here.\n" if usable else "\nBackstep can not run here yet.\n")
    return 0 if usable else 1


def examine() -> list[Row]:
    display = system.has_display()
    failure = ""
    if display:
        facts, failure = _qt_facts()
    if failure or not display:  # without its window, Qt can still draw
        facts, hidden_failure = _qt_facts("offscreen")
        failure = failure or hidden_failure
    return [
        Row("Backstep", "ok", _version("backstep") or "run from its sources, not installed"),
        Row("Python", "ok", platform.python_version()),  # pip refuses older ones
        _pyside(facts, failure),
        *map(_core, CORE),
        *map(_extra, EXTRAS),
        _platform(facts, failure),
        _display(display),
        _libraries(),
        _japanese(facts),
        Row("OpenGL, GPU", "ok", "not needed: everything is drawn by the processor"),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="backstep doctor", description="What works here and what does not.")
    parser.add_argument("--json", action="store_true", help="the same, for machines")
    return report(sys.stdout, as_json=parser.parse_args(arguments).json)


def _qt_facts(platform_name: str = "") -> tuple[dict, str]:
    """What a Qt application sees of itself, or an empty dict and why there is none."""
    environment = os.environ | ({"QT_QPA_PLATFORM": platform_name} if platform_name else {})
    fonts = [str(file) for file in sorted(FONTS.rglob("*")) if file.suffix in {".otf", ".ttf", ".ttc"}]
    try:
        run = subprocess.run(
            [sys.executable, "-c", PROBE, *fonts],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {}, str(error)
    try:
        return json.loads(run.stdout), ""
    except ValueError:  # it died before it printed
        return {}, _reason(run.stderr)


def _reason(stderr: str) -> str:
    """Of a traceback the last line, of Qt's own complaint the first."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if not lines:
        return "it ended without a word"
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def _pyside(facts: dict, failure: str) -> Row:
    version = facts.get("pyside") or _version("PySide6-Essentials")
    mend = f"pip install '{system.qt_requirement()}'"
    if not version:
        return Row("PySide6", "fault", "not installed", mend)
    if unfit := system.unfit_qt(version):
        return Row("PySide6", "fault", f"{version}: {unfit}", mend)
    if not facts:
        return Row("PySide6", "fault", f"{version}, but it does not start: {failure}", _libraries().advice)
    return Row("PySide6", "ok", f"{version} (Qt {facts['qt']})")


def _core(name: str) -> Row:
    version = _version(name)
    return Row(name, "ok", version) if version else Row(name, "fault", "not installed", f"pip install {name}")


def _extra(name: str) -> Row:
    modules, purpose = EXTRAS[name]
    if all(importlib.util.find_spec(module) for module, _ in modules):
        return Row(f"[{name}]", "ok", ", ".join(f"{dist} {_version(dist)}".strip() for _, dist in modules))
    return Row(f"[{name}]", "note", f"not installed; for {purpose}", f"pip install 'backstep[{name}]'")


def _platform(facts: dict, failure: str) -> Row:
    wanted = system.wanted_platform() if sys.platform.startswith("linux") else "the system's own"
    if not failure:
        return Row("Qt platform", "ok", facts["platform"])
    advice = "`backstep render` needs no display" if facts else ""
    return Row("Qt platform", "fault", f"would be {wanted}: {failure}", advice)


def _display(display: bool) -> Row:
    if not display:
        return Row("Display", "note", "none: no window, but `backstep render` draws and films without one")
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return Row("Display", "ok", shown or "the system's own")


def _libraries() -> Row:
    missing = system.missing_libraries()
    if not missing:
        return Row("System libraries", "ok", "all there")
    packages = system.debian_packages(missing)
    advice = system.apt_line(packages) if shutil.which("apt-get") else "install with your package manager"
    return Row("System libraries", "fault", "missing: " + ", ".join(missing), advice)


def _japanese(facts: dict) -> Row:
    if facts.get("japanese"):
        return Row("Japanese", "ok", f"the bundled font is enough: {Path(facts['japanese'][0]).name}")
    if not facts:
        return Row("Japanese", "note", "not checked, because Qt does not start")
    if _system_speaks_japanese():
        return Row("Japanese", "ok", "the bundled font is missing; a system font stands in")
    return Row("Japanese", "note", "no font found", system.apt_line(["fonts-noto-cjk"]))


def _system_speaks_japanese() -> bool:
    if shutil.which("fc-list") is None:
        return not sys.platform.startswith("linux")
    listed = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, check=False)
    return bool(listed.stdout.strip())


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _table(rows: list[Row]) -> str:
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.name:<{width}}  {row.state:<5}  {row.found}")
        if row.advice:
            lines.append(f"{'':<{width}}         {row.advice}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
