"""The system check names the right packages, and the doctor always has an answer."""

import ast
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from explorer import doctor, system

SCRIPT = Path(system.__file__)


@pytest.fixture
def linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")


def lacking(*absent):
    """A loader on a machine without these libraries."""

    def load(library):
        if library in absent:
            raise OSError(f"{library}: cannot open shared object file")

    return load


def test_it_uses_the_standard_library_alone():
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_it_runs_on_its_own():
    run = subprocess.run([sys.executable, "-I", str(SCRIPT), "--help"], capture_output=True, text=True)
    assert run.returncode == 0
    assert "--install" in run.stdout


@pytest.mark.parametrize(
    ("environment", "platform"),
    [
        ({}, "offscreen"),
        ({"DISPLAY": ":0"}, "xcb"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "wayland"),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "xcb"),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, "offscreen"),
        ({"QT_QPA_PLATFORM": "wayland-egl;xcb"}, "wayland"),
        ({"QT_QPA_PLATFORM": "vnc:size=800x600"}, "vnc"),
    ],
)
def test_the_platform_follows_the_environment(environment, platform):
    assert system.wanted_platform(environment) == platform


def test_missing_libraries_are_those_that_do_not_load(linux):
    load = lacking("libEGL.so.1", "libxcb-cursor.so.0")
    assert system.missing_libraries("offscreen", load=load) == ["libEGL.so.1"]
    assert system.missing_libraries("xcb", load=load) == ["libEGL.so.1", "libxcb-cursor.so.0"]
    assert system.missing_libraries("vnc", load=load) == ["libEGL.so.1"]


def test_other_systems_lack_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert system.missing_libraries(load=lacking("libGL.so.1")) == []
    assert system.has_display({})


def test_every_library_has_a_package_and_each_is_named_once(linux):
    everything = [*system.PLATFORMS["xcb"], *system.WAYLAND]
    packages = system.debian_packages(everything, known=lambda name: True)
    assert len(packages) == len(set(packages)) == len(everything) - 1  # two libraries of GLib in one package
    assert {"libgl1", "libegl1", "libglib2.0-0", "libxcb-cursor0", "libxkbcommon-x11-0"} <= set(packages)


@pytest.mark.parametrize(
    ("known", "package"),
    [
        ({"libglib2.0-0"}, "libglib2.0-0"),
        ({"libglib2.0-0t64"}, "libglib2.0-0t64"),
        (set(), "libglib2.0-0"),  # no package lists yet
    ],
)
def test_a_renamed_package_goes_by_the_name_apt_knows(known, package):
    assert system.debian_packages(["libglib-2.0.so.0"], known=known.__contains__) == [package]


@pytest.fixture
def bare(linux, monkeypatch):
    """A Debian without libEGL where nothing may be installed without asking."""
    monkeypatch.setattr(system, "missing_libraries", lambda platform="": ["libEGL.so.1"])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "apt-get" else None)
    monkeypatch.setattr(system, "_is_root", lambda: False)


def test_without_rights_it_names_the_packages_in_one_line(bare, capsys):
    assert system.main(["--install"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("backstep: ")
    assert "sudo apt-get install --no-install-recommends libegl1" in said


def test_with_rights_it_installs_and_looks_again(linux, monkeypatch, capsys):
    absent = ["libEGL.so.1", "libGL.so.1"]
    ran = []

    def apt(prefix, *arguments):
        ran.append(arguments)
        if arguments[0] == "install":
            absent.clear()

    monkeypatch.setattr(system, "missing_libraries", lambda: list(absent))
    monkeypatch.setattr(system, "_privilege", list)
    monkeypatch.setattr(system, "_apt", apt)
    assert system.main(["--install"]) == 0
    assert [arguments[0] for arguments in ran] == ["update", "install"]
    assert ran[1][-2:] == ("libegl1", "libgl1")
    assert capsys.readouterr().err == ""


def test_without_install_it_only_looks(linux, monkeypatch):
    monkeypatch.setattr(system, "missing_libraries", lambda: ["libGL.so.1"])
    monkeypatch.setattr(system, "_apt", lambda *arguments: pytest.fail("nothing may be installed"))
    assert system.main([]) == 1


def test_python_without_venv_names_its_package(linux, monkeypatch, capsys):
    monkeypatch.setattr(system, "missing_libraries", list)
    monkeypatch.setattr(system, "_privilege", lambda: None)
    monkeypatch.setattr(system.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert system.main(["--install", "--venv"]) == 1
    assert f"python3.{sys.version_info.minor}-venv" in capsys.readouterr().err
    assert system.main(["--install"]) == 0


def test_a_failed_import_of_qt_becomes_one_sentence(bare, monkeypatch):
    assert "pip install" in system.why_qt_fails(ModuleNotFoundError("No module named 'PySide6'"))
    assert "libegl1" in system.why_qt_fails(ImportError("libEGL.so.1: cannot open shared object file"))
    monkeypatch.setattr(system, "missing_libraries", list)
    assert "strange" in system.why_qt_fails(ImportError("something strange"))


def rows():
    stream = io.StringIO()
    code = doctor.report(stream, as_json=True)
    answer = json.loads(stream.getvalue())
    assert answer["usable"] == (code == 0)
    return code, {row["name"]: row for row in answer["rows"]}


@pytest.fixture
def healthy(linux, monkeypatch):
    """A machine where everything that is needed is there, and no display."""
    facts = {"pyside": "6.11.3", "qt": "6.11.3", "platform": "offscreen", "japanese": ["a/NotoJP.otf"]}
    monkeypatch.setattr(doctor, "_qt_facts", lambda platform="": (facts, ""))
    monkeypatch.setattr(doctor, "_version", lambda name: "1.2.3")
    monkeypatch.setattr(system, "missing_libraries", list)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    return facts


def test_doctor_on_a_healthy_machine(healthy):
    code, found = rows()
    assert code == 0
    assert found["PySide6"]["found"] == "6.11.3 (Qt 6.11.3)"
    assert found["Display"]["state"] == "note"
    assert "NotoJP.otf" in found["Japanese"]["found"]
    assert "not needed" in found["OpenGL, GPU"]["found"]


def test_doctor_prints_a_table(healthy):
    stream = io.StringIO()
    assert doctor.report(stream) == 0
    assert stream.getvalue().startswith("Backstep")
    assert "render" in stream.getvalue()
    assert stream.getvalue().endswith("Backstep can run here.\n")


def test_doctor_names_the_command_for_a_missing_extra(healthy, monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    code, found = rows()
    assert code == 0
    assert found["[film]"]["advice"] == "pip install 'backstep[film]'"


def test_doctor_warns_of_an_excluded_version(healthy):
    healthy["pyside"] = "6.11.0"
    code, found = rows()
    assert code == 1
    assert "docked panels" in found["PySide6"]["found"]
    assert "!=6.11.0" in found["PySide6"]["advice"]


def test_doctor_survives_qt_without_its_libraries(healthy, bare, monkeypatch):
    monkeypatch.setattr(doctor, "_qt_facts", lambda platform="": ({}, "ImportError: libEGL.so.1: absent"))
    monkeypatch.setattr(doctor, "_version", lambda name: "6.11.3")
    code, found = rows()
    assert code == 1
    assert "libEGL.so.1" in found["PySide6"]["found"]
    assert "libegl1" in found["System libraries"]["advice"]


def test_doctor_survives_without_anything(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "")
    monkeypatch.setattr(doctor, "PROBE", "raise ImportError('no Qt here')")
    code, found = rows()
    assert code == 1
    assert found["PySide6"]["found"] == "not installed"
    assert found["numpy"]["advice"] == "pip install numpy"
    assert "no Qt here" in found["Qt platform"]["found"]


def test_doctor_survives_qt_that_aborts(monkeypatch):
    complaint = "import os; os.write(2, b'qt.qpa.xcb: could not connect to display'); os.abort()"
    monkeypatch.setattr(doctor, "PROBE", complaint)
    code, found = rows()
    assert code == 1
    assert "could not connect" in found["Qt platform"]["found"]


def test_doctor_tells_a_dead_display_from_a_broken_qt(healthy, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":7")
    answers = {"": ({}, "could not connect to display :7"), "offscreen": (healthy, "")}
    monkeypatch.setattr(doctor, "_qt_facts", lambda platform="": answers[platform])
    code, found = rows()
    assert code == 1
    assert found["PySide6"]["state"] == "ok"
    assert found["Qt platform"]["found"] == "would be xcb: could not connect to display :7"
    assert "render" in found["Qt platform"]["advice"]


def test_doctor_here():
    _, found = rows()
    assert found["PySide6"]["state"] == found["Qt platform"]["state"] == "ok"
    assert found["numpy"]["state"] == "ok"
