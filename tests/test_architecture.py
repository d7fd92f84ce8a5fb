"""The house rules, kept by reading the code: who may import whom, which folders exist, what is forbidden."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("autograd", "scenes", "explorer", "assets")
TOP_LEVEL = {
    "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile",
    "constraints.txt", ".ci", ".gitignore", "autograd", "scenes", "explorer", "assets", "tests",
}  # fmt: skip

# Besides the standard library and itself, what a place may import. The longest matching place counts. A
# module stands for what lies inside it as well, unless it ends in "!": then it is that module and no other.
MAY_IMPORT: dict[str, set[str]] = {
    "autograd": {"numpy"},
    "scenes": {"numpy", "autograd"},
    "assets": set(),
    "explorer/__init__.py": {"autograd!", "explorer.app", "explorer.model", "explorer.view"},
    "explorer/__main__.py": {"explorer.cli"},
    "explorer/cli": {
        "PySide6",  # asked whether it can be loaded at all
        "autograd!",
        "scenes!",
        "scenes.scene",
        "explorer.model",
        "explorer.view",
        "explorer.app",
        "explorer.doctor",
        "explorer.system",
    },
    "explorer/app.py": {"explorer.system", "PySide6", "scenes.scene", "explorer.model", "explorer.view"},
    "explorer/doctor.py": {"PySide6", "explorer.system"},
    "explorer/system.py": set(),  # runs before anything is installed
    "explorer/model": {"numpy", "autograd", "scenes"},
    "explorer/model/layout": {"numpy", "autograd", "highspy", "explorer.model"},
    "explorer/model/files": {"numpy", "msgspec", "scenes", "explorer.model"},
    # The screen shows what the model has and names its types; it builds nothing of the engine or the scenes.
    "explorer/view": {
        "numpy",
        "PySide6",
        "shiboken6",
        "autograd!",
        "scenes!",
        "scenes.scene",
        "explorer.model",
        "explorer.system",
    },
}

# Slow to load or not always there: only inside the function that needs them, and only in these places.
LATE = {
    "pyqtgraph": {"explorer/view"},
    "ziamath": {"explorer/view/formula.py"},
    "ziafont": {"explorer/view/formula.py"},
    "PIL": {"explorer/view/exporters.py"},
    "av": {"explorer/view/exporters.py"},
    "torch": {"explorer/model"},
    "onnx": {"explorer/model"},
}
NEVER = {"matplotlib", "pickle", "cPickle", "dill", "marshal", "shelve", "pygraphviz", "graphviz", "pydot"}


@dataclass(frozen=True)
class Import:
    """One imported module, where it stands, and whether that is inside a function."""

    file: str
    line: int
    module: str
    late: bool
    types_only: bool  # below `if TYPE_CHECKING:`

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


@cache
def sources() -> dict[str, ast.Module]:
    """Every Python file of the product, by its path."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def modules(node: ast.AST, file: str) -> list[str]:
    """What a statement or a call of `import_module` imports; `from a import b` can mean the module a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parts = file.removesuffix(".py").split("/")
        base = parts[: len(parts) - node.level] if node.level else []
        start = ".".join([*base, *([node.module] if node.module else [])])
        inner = [f"{start}.{a.name}" for a in node.names if is_module(f"{start}.{a.name}")]
        return inner if len(inner) == len(node.names) else [start, *inner]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


@cache
def is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return dotted.split(".")[0] in FOLDERS and (path.is_dir() or path.with_suffix(".py").is_file())


def found_in(tree: ast.AST, file: str, late: bool = False, types_only: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        for module in modules(node, file):
            yield Import(file, getattr(node, "lineno", 0), module, late, types_only)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        yield from found_in(node, file, late or inside, types_only or checking)


@cache
def imports() -> tuple[Import, ...]:
    return tuple(i for file, tree in sources().items() for i in found_in(tree, file))


def within(file: str, place: str) -> bool:
    return file == place or file.startswith(place + "/")


def place_of(file: str) -> str:
    """The narrowest entry of MAY_IMPORT that a file belongs to."""
    places = [place for place in MAY_IMPORT if within(file, place)]
    assert places, f"{file} stands in a place that the table does not name"
    return max(places, key=len)


def covers(allowed: str, module: str) -> bool:
    if allowed.endswith("!"):
        return module == allowed[:-1]
    return module == allowed or module.startswith(allowed + ".")


def allowed(found: Import) -> bool:
    top = found.module.split(".")[0]
    if top in LATE:
        return any(within(found.file, place) for place in LATE[top])
    place = place_of(found.file)
    own = place.removesuffix(".py").replace("/", ".")
    return top in sys.stdlib_module_names or any(
        covers(name, found.module) for name in MAY_IMPORT[place] | {own}
    )


def test_everybody_imports_only_what_the_table_allows():
    assert [str(i) for i in imports() if not allowed(i)] == []


def test_nothing_imports_upward():
    ranks = {"autograd": 0, "scenes": 1, "explorer/model": 2, "explorer/view": 3}

    def rank(place: str) -> int | None:
        return next((r for name, r in ranks.items() if within(place, name)), None)

    upward = []
    for i in imports():
        here, there = rank(i.file), rank(i.module.replace(".", "/"))
        top = i.module == "explorer" or i.module.startswith("explorer.")
        if here is not None and (
            (there is not None and there > here) or (there is None and top and here < 3)
        ):
            upward.append(str(i))
    assert upward == []


def test_the_model_knows_no_screen():
    qt = ("PySide6", "shiboken6", "pyqtgraph")
    outside = ("autograd/", "scenes/", "explorer/model/")
    assert [str(i) for i in imports() if i.file.startswith(outside) and i.module.startswith(qt)] == []


def test_slow_packages_are_imported_late():
    early = [str(i) for i in imports() if i.module.split(".")[0] in LATE and not i.late and not i.types_only]
    assert early == []


def test_some_packages_stay_out():
    assert [str(i) for i in imports() if i.module.split(".")[0] in NEVER] == []


def test_the_command_line_imports_late():
    early = [
        str(i)
        for i in imports()
        if (i.file in ("explorer/__init__.py", "explorer/__main__.py") or within(i.file, "explorer/cli"))
        and not i.late
        and not i.types_only
        and i.module.split(".")[0] not in sys.stdlib_module_names
        and not covers("explorer.cli", i.module)
    ]
    assert early == []


def test_the_table_names_no_place_that_is_gone():
    assert [place for place in MAY_IMPORT if not (ROOT / place).exists()] == []


BROAD = {"Exception", "BaseException"}


def names_in(node: ast.expr | None) -> set[str]:
    """Names of exception classes; of a tuple all of them."""
    if node is None:
        return {"BaseException"}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def faults(node: ast.AST) -> Iterator[str]:
    """What is wrong with one node of the syntax tree."""
    if isinstance(node, ast.ExceptHandler):
        silent = all(
            isinstance(s, ast.Pass | ast.Continue)
            or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            for s in node.body
        )
        if node.type is None:
            yield "catches everything without a name"
        elif silent and names_in(node.type) & BROAD:
            yield "swallows every error"
    elif isinstance(node, ast.Attribute) and node.attr == "setrecursionlimit":
        yield "changes the recursion limit"
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Name) and name in ("eval", "exec", "compile", "__import__"):
            yield f"calls {name}"
        elif name == "suppress" and any(names_in(a) & BROAD for a in node.args):
            yield "swallows every error"
        elif (
            name == "system"
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) == "os.system"
        ):
            yield "runs a shell"
        for k in node.keywords:
            truth = not (isinstance(k.value, ast.Constant) and k.value.value is False)
            if k.arg == "allow_pickle" and truth:
                yield "lets NumPy unpickle"
            if k.arg == "shell" and truth:
                yield "runs a shell"


def test_no_file_does_what_none_may_do():
    wrong = [
        f"{file}:{getattr(node, 'lineno', 0)} {fault}"
        for file, tree in sources().items()
        for node in ast.walk(tree)
        for fault in faults(node)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept Exception: pass",
        "try: f()\nexcept: g()",
        "try: f()\nexcept (ValueError, BaseException):\n    ...",
        "with suppress(Exception): f()",
        "import sys; sys.setrecursionlimit(10**6)",
        "eval('1')",
        "exec(code)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_the_rules_bite(code):
    assert [fault for node in ast.walk(ast.parse(code)) for fault in faults(node)]


@pytest.mark.parametrize(
    "file, code",
    [
        ("autograd/ops.py", "import scenes"),
        ("autograd/ops.py", "import scipy"),
        ("scenes/bricks.py", "from explorer.model.text import tr"),
        ("scenes/bricks.py", "def f():\n    import torch"),
        ("explorer/model/session.py", "from explorer.view import canvas"),
        ("explorer/model/session.py", "from explorer import app"),
        ("explorer/model/session.py", "from ..view import canvas"),
        ("explorer/model/session.py", "import msgspec"),
        ("explorer/model/text.py", "from PySide6.QtGui import QColor"),
        ("explorer/view/paint.py", "from scenes.bricks import gate"),
        ("explorer/view/paint.py", "import autograd.graph"),
        ("explorer/view/paint.py", "import PIL"),
        ("explorer/system.py", "import numpy"),
        ("explorer/view/paint.py", "importlib.import_module('torch')"),
    ],
)
def test_the_table_bites(file, code):
    assert [i for i in found_in(ast.parse(code), file) if not allowed(i)]


def test_the_top_level_is_what_the_design_says():
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone: nothing says which files belong here")
    listed = subprocess.run(
        [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stderr
    assert {name.split("/")[0] for name in listed.stdout.split("\0") if name} == TOP_LEVEL


# What is in memory when


def loaded(code: str, folder: Path) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after `code`."""
    say = "\nimport sys\nprint('loaded:', *sorted({name.split('.')[0] for name in sys.modules}))"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_CONFIG_HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_STATE_HOME": str(folder),
    }
    run = subprocess.run(
        [sys.executable, "-c", code + say],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("loaded:")[2].split())


def test_the_first_frame_needs_no_slow_package(tmp_path):
    code = """
from PySide6.QtCore import QEvent, QObject
from explorer.app import make_application
from explorer.view.window import Window

class Watch(QObject):
    painted = 0
    def eventFilter(self, watched, event):
        self.painted += event.type() == QEvent.Type.Paint
        return False

app = make_application()
window = Window()
window.open_scene("lstm")
watch = Watch()
window.canvas.installEventFilter(watch)
window.show()
while not watch.painted:
    app.processEvents()
"""
    present = loaded(code, tmp_path)
    assert "PySide6" in present
    assert present & {"matplotlib", *LATE} == set()


def test_the_session_needs_no_qt(tmp_path):
    present = loaded("import explorer.model.session", tmp_path)
    assert "numpy" in present
    assert present & {"PySide6", "shiboken6", *LATE} == set()


@pytest.mark.parametrize(
    "code", ["import explorer.cli", "from explorer.cli import main\nassert main(['--version']) == 0"]
)
def test_the_version_needs_neither_numpy_nor_qt(code, tmp_path):
    assert loaded(code, tmp_path) & {"numpy", "PySide6", "autograd", "scenes", *LATE} == set()
