"""What Qt needs from the operating system, and how to get it on Debian and its relatives.

Runs before anything is installed (`python3 explorer/system.py --install`), so it uses the standard library
alone. The window's start-up and `backstep doctor` ask it too.
"""

import argparse
import ctypes
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping

# Shared library -> Debian package, older name first. Only libraries the wheels do not bring along.
OFFSCREEN = {
    "libglib-2.0.so.0": ("libglib2.0-0", "libglib2.0-0t64"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "libglib2.0-0t64"),
    "libGL.so.1": ("libgl1",),
    "libEGL.so.1": ("libegl1",),
    "libX11.so.6": ("libx11-6",),
    "libxkbcommon.so.0": ("libxkbcommon0",),
    "libfontconfig.so.1": ("libfontconfig1",),
    "libfreetype.so.6": ("libfreetype6",),
    "libdbus-1.so.3": ("libdbus-1-3",),
}
XCB = {
    "libX11-xcb.so.1": ("libx11-xcb1",),
    "libxcb.so.1": ("libxcb1",),
    "libxcb-cursor.so.0": ("libxcb-cursor0",),
    "libxcb-icccm.so.4": ("libxcb-icccm4",),
    "libxcb-image.so.0": ("libxcb-image0",),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1",),
    "libxcb-randr.so.0": ("libxcb-randr0",),
    "libxcb-render.so.0": ("libxcb-render0",),
    "libxcb-render-util.so.0": ("libxcb-render-util0",),
    "libxcb-shape.so.0": ("libxcb-shape0",),
    "libxcb-shm.so.0": ("libxcb-shm0",),
    "libxcb-sync.so.1": ("libxcb-sync1",),
    "libxcb-util.so.1": ("libxcb-util1",),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0",),
    "libxcb-xkb.so.1": ("libxcb-xkb1",),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0",),
}
WAYLAND = {
    "libwayland-client.so.0": ("libwayland-client0",),
    "libwayland-cursor.so.0": ("libwayland-cursor0",),
    "libwayland-egl.so.1": ("libwayland-egl1",),
}
PLATFORMS = {"offscreen": OFFSCREEN, "xcb": OFFSCREEN | XCB, "wayland": OFFSCREEN | WAYLAND}

APT = "apt-get install --no-install-recommends"


def wanted_platform(environment: Mapping[str, str] = os.environ) -> str:
    """The Qt platform that a window would use, or `offscreen` when there is no display."""
    chosen = environment.get("QT_QPA_PLATFORM", "").split(";")[0].split(":")[0]
    if chosen:
        return "wayland" if chosen.startswith("wayland") else chosen
    if environment.get("DISPLAY"):
        return "xcb"  # under Wayland too, Qt falls back to it
    return "wayland" if environment.get("WAYLAND_DISPLAY") else "offscreen"


def use_utf8() -> None:
    """Before Qt starts: under a locale without UTF-8 it would change to this one itself, with a warning."""
    name = next((os.environ[k] for k in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(k)), "C")
    if sys.platform == "linux" and "utf" not in name.lower():
        os.environ["LC_ALL"] = "C.UTF-8"


def has_display(environment: Mapping[str, str] = os.environ) -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def missing_libraries(platform: str = "", *, load: Callable[[str], object] = ctypes.CDLL) -> list[str]:
    """The shared libraries that Qt would look for on this platform and not find."""
    if not sys.platform.startswith("linux"):
        return []
    wanted = PLATFORMS.get(platform or wanted_platform(), OFFSCREEN)
    return [library for library in wanted if not _loads(library, load)]


def debian_packages(missing: Iterable[str], *, known: Callable[[str], bool] | None = None) -> list[str]:
    """The packages that bring these libraries, each once; of several names, the one that apt knows."""
    names = OFFSCREEN | XCB | WAYLAND
    packages: list[str] = []
    for library in missing:
        candidates = names.get(library, ())
        if len(candidates) > 1:
            candidates = tuple(filter(known or _known_to_apt, candidates)) or candidates
        packages += candidates[:1]
    return list(dict.fromkeys(packages))


def apt_line(packages: Iterable[str]) -> str:
    return f"{'' if _is_root() else 'sudo '}{APT} {' '.join(packages)}"


def unfit_qt(version: str, python: tuple[int, int] = sys.version_info[:2]) -> str:
    """Why this PySide6 version is excluded, or nothing. The same rule as in pyproject.toml."""
    number = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if number < (6, 8):
        return "older than 6.8"
    if number in {(6, 11, 0), (6, 11, 1)}:
        return "this version breaks docked panels"
    if number >= (6, 12) and python < (3, 12):
        return "this version aborts while painting on Python older than 3.12"
    return ""


def qt_requirement(python: tuple[int, int] = sys.version_info[:2]) -> str:
    """What to give pip, as in pyproject.toml."""
    return "PySide6-Essentials>=6.8,!=6.11.0,!=6.11.1" + (",<6.12" if python < (3, 12) else "")


def why_qt_fails(error: ImportError) -> str:
    """One sentence for someone whose PySide6 could not be imported, with the way on."""
    if isinstance(error, ModuleNotFoundError):
        return f"PySide6 is not installed; run: pip install '{qt_requirement()}'"
    if missing := missing_libraries():
        return _sentence(missing, debian_packages(missing))
    return f"PySide6 is installed but can not be loaded: {error}"


def main(arguments: list[str] | None = None) -> int:
    """Check, and with `--install` mend; 0 when nothing is missing."""
    parser = argparse.ArgumentParser(description="Check the system libraries that Qt needs.")
    parser.add_argument("--install", action="store_true", help="install what is missing, as root or by sudo")
    parser.add_argument("--venv", action="store_true", help="look for what makes .venv as well")
    options = parser.parse_args(arguments)

    missing, packages = _lacking(options.venv)
    if packages and options.install and (prefix := _privilege()) is not None:
        print("Installing system packages:", *packages, flush=True)
        _apt(prefix, "update")
        missing, packages = _lacking(options.venv)  # fresh lists may know the newer names
        _apt(prefix, "install", "--yes", "--no-install-recommends", *packages)
        importlib.invalidate_caches()
        missing, packages = _lacking(options.venv)
    if packages or missing:
        print(f"backstep: {_sentence(missing, packages)}", file=sys.stderr)
        return 1
    return 0


def _lacking(venv: bool) -> tuple[list[str], list[str]]:
    missing = missing_libraries()
    packages = debian_packages(missing)
    if venv and importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        missing = [*missing, "ensurepip"]
        packages.append(f"python3.{sys.version_info.minor}-venv")
    return missing, packages


def _sentence(missing: Iterable[str], packages: list[str]) -> str:
    names = ", ".join(missing)
    if packages and shutil.which("apt-get"):
        return f"{names} missing; run: {apt_line(packages)}"
    return f"{names} missing; install with your system's package manager"


def _loads(library: str, load: Callable[[str], object]) -> bool:
    try:
        load(library)
    except OSError:
        return False
    return True


def _known_to_apt(package: str) -> bool:
    if shutil.which("apt-cache") is None:
        return False
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return shown.returncode == 0 and bool(shown.stdout.strip())


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _privilege() -> list[str] | None:
    """What to put before `apt-get`, or None when packages can not be installed without asking."""
    if shutil.which("apt-get") is None:
        return None
    if _is_root():
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def _apt(prefix: list[str], *arguments: str) -> None:
    # A broken third-party source must not stop us: what counts is what is missing afterwards.
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *arguments]
    subprocess.run(command, check=False)


if __name__ == "__main__":
    sys.exit(main())
