"""The command line: what each command prints and writes, and that every mistake is one sentence."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from explorer.cli import commands, main
from explorer.cli.output import Bar
from explorer.model import text
from scenes import SCENES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def surroundings(qapp, monkeypatch, tmp_path):
    """No display, English, and a folder of our own."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys):
    """Runs a command line in this process: (exit code, standard output, standard error)."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def outside(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command line as a user does."""
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    command = [sys.executable, "-m", "explorer", *words]
    environment = kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | environment
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=60)


def refused(result: tuple[int, str, str]) -> str:
    """The one sentence of a command that could not do what was asked."""
    code, out, err = result
    assert code == 2
    assert out == ""
    assert err.startswith("backstep: ") and err.endswith("\n") and err.count("\n") == 1
    assert "Traceback" not in err
    assert "this should not have happened" not in err
    return err


# What each command does


def test_version(run):
    code, out, err = run("--version")
    assert (code, err) == (0, "") and out.startswith("backstep ")
    assert run("list", "--version")[:2] == (0, out)


def test_version_is_instant():
    code = "import sys; import explorer.cli as c; c.main(['--version']); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", cwd=ROOT)
    assert result.returncode == 0
    assert not {"numpy", "PySide6", "scenes", "autograd"} & set(result.stdout.split())


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in commands.COMMANDS)])
def test_help(run, words):
    code, out, err = run(*words)
    assert code == 0 and err == "" and out.startswith("usage: backstep")


def test_list(run):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert all(name in out for name in SCENES)
    code, out, err = run("list", "--json")
    listed = json.loads(out)
    assert (code, err) == (0, "") and [s["id"] for s in listed] == list(SCENES)
    lstm = next(s for s in listed if s["id"] == "lstm")
    assert set(lstm["title"]) == {"en", "ja"} and lstm["family"] == "recurrent"
    by_name = {p["name"]: p for p in lstm["parameters"]}
    assert by_name["T"]["type"] == "int" and by_name["T"]["range"][0] == 1
    assert "forget" in by_name["stage"]["choices"] and set(by_name["T"]["help"]) == {"en", "ja"}
    assert [c["id"] for c in lstm["chapters"]] == [c.id for c in SCENES["lstm"].chapters]


def test_trace(run, tmp_path):
    code, out, err = run("trace", "lstm", "--set", "T=2", "--seed", "7", "--out", "-")
    trace = json.loads(out)
    assert (code, err) == (0, "")
    assert (trace["scene"], trace["seed"], trace["parameters"]["T"]) == ("lstm", 7, 2)
    assert run("trace", "lstm", "--set", "T=2", "--seed", "7", "--out", "a.json") == (0, "", "")
    assert json.loads(Path("a.json").read_text("utf-8")) == trace
    assert run("trace", "lstm", "--set", "T=2", "--scalar", "--out", "a.npz") == (0, "", "")
    with np.load("a.npz", allow_pickle=False) as arrays:
        head = json.loads(str(arrays["trace"]))
        assert head["scalar"] is True and len(head["nodes"]) > len(trace["nodes"])
        assert arrays[f"value_{head['loss']}"].size == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.npz"]


def test_seeds_change_values(run):
    values = [run("trace", "mlp", "--seed", seed, "--out", "-")[1] for seed in (0, 1, 2**63 - 1)]
    assert len(set(values)) == 3


def test_check(run):
    code, out, err = run("check", "lstm", "expression", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert {row["scene"] for row in rows} == {"lstm", "expression"}
    assert set(rows[0]) == {"scene", "proof", "engine", "closed_form", "relative_error", "passed"}
    assert [r["proof"] for r in rows].count("gradient-check") == 2
    assert all(r["passed"] and np.shape(r["engine"]) == np.shape(r["closed_form"]) for r in rows)
    code, out, _ = run("check", "lstm")
    assert code == 0 and "✓ pass" in out and "FAIL" not in out


def test_check_says_no(run, monkeypatch):
    from explorer.model import checks

    honest = checks.check_gradients

    def wrong(output):
        reports = honest(output)
        object.__setattr__(reports[0], "error", 0.5)
        return reports

    monkeypatch.setattr(checks, "check_gradients", wrong)
    code, out, err = run("check", "mlp")
    assert code == 1 and err == "" and "✗ FAIL" in out and "5.0e-01" in out
    assert run("check", "mlp", "--json")[0] == 1


def test_relative_error():
    from explorer.model.checks import relative_error

    a = np.array([1.0, 2.0])
    assert relative_error(a, a) == 0.0
    assert relative_error(a, np.array([1.0, 4.0])) == 0.5
    assert relative_error(a, np.ones(3)) == relative_error(a, a * np.nan) == float("inf")
    assert relative_error(np.array([np.inf]), np.array([np.inf])) == 0.0
    assert relative_error(np.array([1e-300]), np.array([0.0])) > 1


def test_check_without_targets_checks_all(run, monkeypatch):
    from explorer.model import checks

    asked = []
    monkeypatch.setattr(checks, "check", lambda recording: asked.append(recording.scene.id) or [])
    assert run("check")[0] == 0 and asked == list(SCENES)
    asked.clear()
    assert run("check", "--all", "lstm")[0] == 0 and sorted(asked) == sorted(SCENES)


def test_render(run, tmp_path):
    from PySide6.QtGui import QImage

    assert run("render", "mlp", "--out", "a.png", "--size", "320x200") == (0, "a.png\n", "")
    assert (QImage("a.png").width(), QImage("a.png").height()) == (320, 200)
    for words in (("--theme", "dark"), ("--step", "3"), ("--caption",), ("--chapter", "loss")):
        assert run("render", "mlp", "--out", "b.png", "--size", "320x200", *words) == (0, "b.png\n", "")
        assert Path("a.png").read_bytes() != Path("b.png").read_bytes(), words


def test_render_lights_a_path(run):
    words = ("render", "cec", "--size", "640x200")
    assert run(*words, "--out", "a.svg")[0] == run(*words, "--out", "b.svg", "--path", "C_0:C_3")[0] == 0
    plain, lit = (Path(name).read_text("utf-8") for name in ("a.svg", "b.svg"))
    assert len(lit) > len(plain)
    for path, said in (
        ("C_3:C_0", "no gradient goes from C_0 back to C_3"),
        ("C_0:zz", "'zz'"),
        ("C_0", "pair"),
    ):
        code, _, err = run(*words, "--out", "c.svg", "--path", path)
        assert code == 2 and said in err and err.count("\n") == 1
        assert not Path("c.svg").exists()


def test_render_films(run):
    image_module = pytest.importorskip("PIL.Image")
    words = ("--size", "160x90", "--fps", "5")
    assert run("render", "mlp", "--steps", "0:2", "--out", "a.gif", *words)[:2] == (0, "a.gif\n")
    assert run("render", "mlp", "--step", "2", "--out", "b.webp", *words)[:2] == (0, "b.webp\n")
    assert run("render", "mlp", "--chapter", "loss", "--out", "c.gif", *words)[:2] == (0, "c.gif\n")
    for name in ("a.gif", "b.webp", "c.gif"):
        with image_module.open(name) as film:
            assert film.n_frames > 2


def test_render_japanese(run, monkeypatch):
    monkeypatch.setattr(text, "_catalogue", lambda language: {})
    assert run("render", "mlp", "--out", "a.svg", "--lang", "ja")[0] == 0
    assert SCENES["mlp"].title["ja"] in Path("a.svg").read_text("utf-8")
    assert SCENES["mlp"].title["ja"] in run("--lang=ja", "list")[1]
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert SCENES["mlp"].title["ja"] in run("list")[1]
    assert SCENES["mlp"].title["ja"] not in run("list", "--lang", "en")[1]
    assert text.language() == "en"


def test_save_validate_and_open_again(run):
    assert run("save", "lstm", "--set", "T=2", "--seed", "5", "--out", "a.backstep") == (
        0,
        "a.backstep\n",
        "",
    )
    assert run("validate", "a.backstep") == (0, "a.backstep: OK\n", "")
    from_file = run("trace", "a.backstep", "--out", "-")
    assert from_file == run("trace", "lstm", "--set", "T=2", "--seed", "5", "--out", "-")
    changed = json.loads(run("trace", "a.backstep", "--set", "T=3", "--out", "-")[1])
    assert (changed["parameters"]["T"], changed["seed"]) == (3, 5)


def test_edits_of_a_file_reach_the_scalar_form(run):
    from explorer.model import files
    from explorer.model.session import Session

    session = Session()
    session.open_scene("mlp")
    leaf = session.trace.graph.leaves("parameter")[0]
    session.edit(leaf.id, leaf.value * 0 + 0.5)
    files.save("a.backstep", session.state)
    code, out, _ = run("trace", "a.backstep", "--scalar", "--out", "-")
    scalars = [n for n in json.loads(out)["nodes"] if n["name"].startswith(f"{leaf.name}[")]
    assert code == 0 and len(scalars) == leaf.size
    assert {n["value"] for n in scalars} == {0.5}


def test_validate_names_every_fault(run):
    Path("a.backstep").write_text('{"format": "backstep-scene"', "utf-8")
    Path("b.backstep").write_text("\x1b[31mnot a scene", "utf-8")
    code, out, err = run("validate", "a.backstep", "b.backstep")
    lines = out.splitlines()
    assert (code, err) == (1, "") and len(lines) >= 2
    assert all(line.startswith(("a.backstep: ", "b.backstep: ")) and line.isprintable() for line in lines)
    code, out, err = run("validate", "a.backstep", "none.backstep")
    assert code == 2 and out.startswith("a.backstep: ")
    assert err.startswith("backstep: none.backstep") and err.count("\n") == 1


def test_layout(run):
    code, out, err = run("layout", "lstm", "--set", "T=3", "--out", "-")
    picture = json.loads(out)
    assert (code, err) == (0, "")
    assert run("layout", "lstm", "--set", "T=3", "--out", "a.json") == (0, "", "")
    assert json.loads(Path("a.json").read_text("utf-8")) == picture
    boxes = picture["boxes"]
    shown = [b for b in boxes if b["visible"]]
    assert boxes[: len(shown)] == shown  # edges count visible boxes
    trace = json.loads(run("trace", "lstm", "--set", "T=3", "--out", "-")[1])
    assert {b["id"] for b in boxes} - {None} == {n["id"] for n in trace["nodes"]}
    for edge in picture["edges"]:
        first, last = edge["polyline"][0], edge["polyline"][-1]
        a, b = boxes[edge["from"]], boxes[edge["to"]]
        assert a["x"] - 1 <= first[0] <= a["x"] + a["w"] + 1
        assert b["x"] - 1 <= last[0] <= b["x"] + b["w"] + 1
        assert edge["from_node"] in trace["nodes"][edge["to_node"]]["inputs"]
    assert [c["time"] for c in picture["columns"]] == [1, 2, 3]
    assert len(picture["lanes"]) == 1 and picture["lanes"][0]["y0"] < picture["lanes"][0]["y1"]
    assert any(e["state_line"] for e in picture["edges"])
    assert any("alias_of_use" in b for b in json.loads(run("layout", "bptt", "--out", "-")[1])["boxes"])


def test_folding(run):
    def scopes(*words: str) -> set[str]:
        code, out, _ = run("layout", "lstm", *words, "--out", "-")
        assert code == 0
        return {b["scope"] for b in json.loads(out)["boxes"] if b["kind"] == "scope"}

    assert "lstm/t=1/forget" in scopes()
    assert scopes("--unfold", "*") == set()
    assert scopes("--unfold", "*/forget") == scopes() - {f"lstm/t={t}/forget" for t in (1, 2, 3)}
    assert "lstm/t=2" in scopes("--fold", "lstm/t=2")


def test_doctor(run):
    code, out, _ = run("doctor", "--json")
    assert code in (0, 1) and "rows" in json.loads(out)


def test_the_window_is_asked_for(run, monkeypatch):
    from types import ModuleType

    asked = []
    module = ModuleType("explorer.app")
    module.run = lambda *words: asked.append(words) or 0
    monkeypatch.setitem(sys.modules, "explorer.app", module)
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setattr("explorer.system.has_display", lambda: True)
    assert run()[0] == run("lstm", "--theme", "dark")[0] == run("--lang", "en", "a.backstep")[0] == 0
    assert asked == [(None, None, None), ("lstm", None, "dark"), ("a.backstep", "en", None)]


# Mistakes


def test_no_display(run):
    for words in ((), ("lstm",)):
        assert "`backstep render" in refused(run(*words))


def test_unknown_words(run):
    assert "did you mean lstm?" in refused(run("lsmt"))
    assert "did you mean render?" in refused(run("rendr"))
    assert "`backstep list`" in refused(run("qqqqqq"))
    assert "did you mean lstm?" in refused(run("trace", "lsmt", "--out", "-"))
    refused(run("\x1b[31m\nevil"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--set", "U=1"], "no parameter 'U'"),
        (["--set", "T=0"], "parameter T can not be '0': it takes a whole number from 1 to"),
        (["--set", "T=many"], "parameter T can not be 'many'"),
        (["--set", "T=2.5"], "parameter T can not be '2.5'"),
        (["--set", "stage=forgetful"], "it takes one of"),
        (["--set", "forget_bias=nan"], "parameter forget_bias"),
        (["--set", "T"], "'T' is not NAME=VALUE"),
        (["--set", "=3"], "'=3' is not NAME=VALUE"),
        (["--seed", "-1"], "the seed -1 is outside of 0 to"),
        (["--seed", str(2**63)], "is outside of 0 to"),
        (["--seed", "9" * 5000], "is not a whole number"),
        (["--seed", "1.5"], "'1.5' is not a whole number"),
        (["--frob"], "unrecognized arguments: --frob"),
        (["--lang", "xx"], "invalid choice: 'xx'"),
        (["--theme", "pink"], "invalid choice: 'pink'"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_bad_options(run, words, expected):
    for command in (["trace", "lstm", "--out", "-"], ["render", "lstm", "--out", "a.png"]):
        assert expected in refused(run(*command, *words))
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lstm", "--set", "T=0"], "パラメータ T に '0' は使えません。1～"),
        (["lstm", "--set", "hiden=3"], "hidden ではありませんか。"),
        (["expression", "--set", "formula=x1 +"], "formula の 5 文字目: 数式がここで終わっています。"),
        (["expression", "--set", "values=q=1"], "values: 'q' は数式にありません。"),
        (["lsmt"], "シーン 'lsmt' はありません。lstm ではありませんか。"),
    ],
)
def test_a_scene_refuses_in_the_language_asked_for(run, words, expected):
    assert expected in refused(run("trace", *words, "--out", "-", "--lang", "ja"))
    assert not re.search("[ぁ-んァ-ヶ]", refused(run("trace", *words, "--out", "-")))


def test_what_a_scene_file_asks_for_is_refused_in_the_language_asked_for(run):
    assert run("save", "lstm", "--set", "T=2", "--out", "a.backstep")[0] == 0
    file = json.loads(Path("a.backstep").read_text("utf-8"))
    file["parameters"]["T"] = 0
    Path("a.backstep").write_text(json.dumps(file), "utf-8")
    said = refused(run("trace", "a.backstep", "--out", "-", "--lang", "ja"))
    assert "a.backstep" in said and "パラメータ T に '0' は使えません" in said
    assert "parameter T can not be '0'" in refused(run("trace", "a.backstep", "--out", "-"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--step", "136"], "step 136 is outside of 0 to 135"),
        (["--step", "-1"], "step -1 is outside of 0 to 135"),
        (["--step", "x"], "'x' is not a whole number"),
        (["--steps", "5:1"], "steps 5:1 are not a range"),
        (["--steps", "5"], "'5' is not a range of steps"),
        (["--steps", "0:999"], "not a range within 0 to 135"),
        (["--step", "1", "--steps", "1:2"], "not allowed with"),
        (["--chapter", "gate"], "has no chapter 'gate'; did you mean gates?"),
        (["--size", "10x10"], "outside of 64 to 8192"),
        (["--size", "9000x100"], "outside of 64 to 8192"),
        (["--size", "big"], "'big' is not a size like 1280x720"),
        (["--size", "-5x9"], "--size"),
    ],
)
def test_bad_pictures(run, words, expected):
    assert expected in refused(run("render", "lstm", "--out", "a.png", *words))
    assert not list(Path().iterdir())


def test_bad_films(run):
    for fps in ("0", "61", "-3", "fast"):
        refused(run("render", "lstm", "--out", "a.gif", "--fps", fps))
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "command",
    [
        ["trace", "mlp", "--out", "{}.json"],
        ["trace", "mlp", "--out", "{}.npz"],
        ["layout", "mlp", "--out", "{}.json"],
        ["save", "mlp", "--out", "{}.backstep"],
        ["render", "mlp", "--out", "{}.png"],
        ["render", "mlp", "--out", "{}.pdf"],
    ],
)
def test_outputs_that_can_not_be(run, command):
    *rest, out = command
    refused(run(*rest, out.format("missing/a")))
    if Path("/proc/self").is_dir():
        refused(run(*rest, out.format("/proc/self/a")))
    folder = Path(out.format("b"))
    folder.mkdir()
    refused(run(*rest, str(folder)))
    if command[0] != "layout":
        assert "does not end in one of" in refused(run(*rest, "a.xyz"))
    refused(run(*rest[:-1]))  # no --out
    assert list(Path().iterdir()) == [folder] and not list(folder.iterdir())


def test_a_missing_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install 'backstep[film]'" in refused(run("render", "mlp", "--out", "a.mp4"))
    assert not list(Path().iterdir())


def test_a_missing_qt(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "PySide6.QtWidgets", None)
    assert "PySide6 is not installed" in refused(run("render", "mlp", "--out", "a.png"))
    monkeypatch.setattr("explorer.system.has_display", lambda: True)
    assert "PySide6 is not installed" in refused(run("mlp"))


def test_folding_what_is_not_there(run):
    assert "did you mean lstm/t=" in refused(run("layout", "lstm", "--fold", "lstm/t=99", "--out", "-"))
    assert "no scopes" in refused(run("layout", "lstm", "--unfold", "☃", "--out", "-"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"format": "\x1b[2J"}',
        b'{"format": "backstep-scene", "version": 99999}',
        json.dumps({"format": "backstep", "version": 1, "scene": "../../etc/passwd"}).encode(),
    ],
)
def test_hostile_files(run, content):
    Path("a.backstep").write_bytes(content)
    for command in (
        ["trace", "a.backstep", "--out", "-"],
        ["render", "a.backstep", "--out", "b.png"],
        ["check", "a.backstep"],
    ):
        assert "\x1b" not in refused(run(*command))
    code, out, err = run("validate", "a.backstep")
    assert (code, err) == (1, "") and "\x1b" not in out
    assert [p.name for p in Path().iterdir()] == ["a.backstep"]


def test_files_that_can_not_be_read(run):
    refused(run("trace", "none.backstep", "--out", "-"))
    refused(run("trace", ".", "--out", "-"))
    refused(run("check", "none"))
    refused(run("validate"))


def test_debug_shows_where(run):
    code, out, err = run("trace", "lsmt", "--out", "-", "--debug")
    assert code == 2 and out == "" and "Traceback" in err
    assert err.splitlines()[-1].startswith("backstep: there is no scene")


def test_interrupted(run, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "open_session", interrupt)
    assert run("trace", "lstm", "--out", "-") == (130, "", "")


def test_the_progress_bar_is_for_terminals():
    class Terminal:
        written = ""

        def write(self, words: str) -> None:
            self.written += words

        def flush(self) -> None: ...

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    bar = Bar(terminal)
    for k in range(1, 2001):
        bar(k, 2000)
    bar.close()
    assert "100 %" in terminal.written and terminal.written.count("\r") == 101 + 2
    silent = Bar(sys.stderr)
    silent.visible = False
    silent(1, 2)
    silent.close()


# As a user runs it


def test_from_outside(tmp_path):
    result = outside("render", "mlp", "--out", str(tmp_path / "a.png"), DISPLAY=":99")  # no such display
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path / 'a.png'}\n"
    result = outside("lstm")
    assert refused((result.returncode, result.stdout, result.stderr)).count("render") == 1


def test_a_reader_that_goes_away():
    command = f"{shlex.quote(sys.executable)} -m explorer trace lstm --out - | head -c 10"
    result = subprocess.run(["sh", "-c", command], capture_output=True, encoding="utf-8", cwd=ROOT)
    assert (len(result.stdout), result.stderr) == (10, "")


def test_a_terminal_without_unicode():
    result = outside("list", "--json", PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    assert result.returncode == 0 and result.stdout.isascii() and json.loads(result.stdout)
    result = outside("check", "mlp", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert result.returncode == 0 and result.stderr == ""


@pytest.mark.bench
def test_version_takes_no_time():
    best = min(_seconds("--version") for _ in range(3))
    bare = min(_seconds("-c", "") for _ in range(3))
    assert best - bare < 0.3


def _seconds(*words: str) -> float:
    start = time.perf_counter()
    if words[0] == "-c":
        subprocess.run([sys.executable, *words], check=True)
    else:
        outside(*words)
    return time.perf_counter() - start
