"""The command line: one function per sub-command, in `COMMANDS`.

What is meant for machines goes to standard output, everything else to standard error; a user's mistake is one
sentence and exit code 2. NumPy and Qt are imported where they are used, so that `--version` is instant.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import fnmatch
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from explorer.model.session import Session

MOST_SEED = 2**63 - 1


class Stop(Exception):
    """The command can not do what was asked; the message is one sentence for the user."""


@dataclass(frozen=True)
class Command:
    """One sub-command."""

    name: str
    help: Callable[[], str]  # a function, because the language is only known later
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: dict[str, Command] = {}
Run = Callable[[argparse.Namespace], int]


def tr(english: str) -> str:
    """`text.tr`, imported at the first use."""
    from explorer.model import text

    return text.tr(english)


def command(
    name: str, help: Callable[[], str], arguments: Callable[[argparse.ArgumentParser], None]
) -> Callable[[Run], Run]:
    """Register the decorated function as the sub-command of that name."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, help, arguments, run)
        return run

    return register


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        from explorer.model.version import version

        print(f"backstep {version()}")
        return 0
    if not _speaks_unicode() and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse, after --help or --version
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 0
    except Exception as error:
        return _refused(error, words)


def _run(words: list[str]) -> int:
    from explorer.model import text

    before = text.language()
    try:
        text.set_language(_language(words))
        options = _parse(words)
        return options.run(options)
    except BrokenPipeError:
        raise
    except Exception as error:  # said here, while the language is the one that was asked for
        return _refused(error, words)
    finally:
        text.set_language(before)


def _refused(error: Exception, words: list[str]) -> int:
    """Say in one sentence what went wrong; returns the exit code."""
    if "--debug" in words:
        import traceback

        traceback.print_exception(error)
    print(f"backstep: {_one_line(_sentence(error))}", file=sys.stderr)
    return 2


def _language(words: list[str]) -> str:
    """The language of help and errors, needed before the options can be parsed."""
    from explorer.model.text import LANGUAGES, system_language

    asked = ""
    for k, word in enumerate(words):
        if word == "--lang":
            asked = words[k + 1] if k + 1 < len(words) else ""
        elif word.startswith("--lang="):
            asked = word[len("--lang=") :]
    return asked if asked in LANGUAGES else system_language()


def _sentence(error: Exception) -> str:
    from explorer.model.text import sentence
    from scenes.scene import SceneError

    if isinstance(error, (Stop, SceneError)):
        return sentence(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    if isinstance(error, ImportError):
        return tr("{problem}; `backstep doctor` says what is missing").format(problem=error)
    if isinstance(error, MemoryError):
        return tr("there is not enough memory for this")
    problem = f"{type(error).__name__}: {error}"
    return tr("this should not have happened: {problem} (--debug shows where)").format(problem=problem)


def _one_line(words: str) -> str:
    """Printable characters in one line, whatever a name or a file contained."""
    return "".join(c if c.isprintable() else " " for c in " ".join(words.split()))


def _forget_stdout() -> None:
    """The reader of our output is gone: keep the interpreter from complaining about it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# Parsing


class _Parser(argparse.ArgumentParser):
    """argparse with errors as we say them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise Stop(tr("{problem}; see `{command} --help`").format(problem=message, command=self.prog))


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="backstep",
        usage="backstep [SCENE|FILE] | backstep COMMAND ...",
        description=tr("Watch back-propagation happen. Without a command, opens the window."),
    )
    _common(parser)
    first = _first_word(words)
    if first is not None and first not in COMMANDS:
        _known_target(first)
    if first is None or first not in COMMANDS:
        parser.add_argument("target", nargs="?", metavar="SCENE|FILE", help=tr("what to open"))
        listed = "\n".join(f"  {c.name:<9} {c.help()}" for c in COMMANDS.values())
        parser.epilog = f"{tr('commands:')}\n{listed}"
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.set_defaults(run=open_window)
        return parser.parse_args(words)
    chosen = COMMANDS[first]
    words = list(words)
    words.remove(first)  # options may stand before the command as well as after it
    own = _Parser(prog=f"backstep {first}", description=chosen.help())
    _common(own)
    chosen.arguments(own)
    own.set_defaults(run=chosen.run)
    return own.parse_intermixed_args(words)


def _common(parser: argparse.ArgumentParser) -> None:
    from explorer.model.text import LANGUAGES
    from explorer.model.version import version

    parser.add_argument("--version", action="version", version=f"backstep {version()}")
    parser.add_argument("--debug", action="store_true", help=tr("show where an error comes from"))
    parser.add_argument("--lang", choices=tuple(LANGUAGES), help=tr("language (default: the system's)"))
    parser.add_argument("--theme", choices=("light", "dark", "projector"), help=tr("colours"))


def _first_word(words: list[str]) -> str | None:
    """The first word that is neither an option nor the value of a common one."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("--lang", "--theme"):
            skip = True
        elif not word.startswith("-"):
            return word
    return None


def _known_target(word: str) -> None:
    """Raises Stop for a word that is no command, no scene and no file."""
    from explorer.model.files import is_scene_file
    from scenes import SCENES

    if word in SCENES or is_scene_file(word):
        return
    close = difflib.get_close_matches(word, [*COMMANDS, *SCENES], 1)
    hint = (
        tr("did you mean {name}?").format(name=close[0]) if close else tr("`backstep list` names the scenes")
    )
    raise Stop(
        tr("there is no command, scene or file {word}; {hint}").format(word=repr(word[:60]), hint=hint)
    )


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help=tr("a scene of the catalogue or a scene file"))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_setting,
        help=tr("a parameter of the scene (again for more)"),
    )
    parser.add_argument("--seed", type=_seed, metavar="N", help=tr("seed of the values"))


def _out(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--out", required=True, metavar="FILE", help=help)


# argparse shows the message of an ArgumentTypeError as it is.


def _setting(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(tr("{word} is not NAME=VALUE").format(word=repr(word[:60])))
    return name, value


def _whole(word: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", word):
        raise argparse.ArgumentTypeError(tr("{word} is not a whole number").format(word=repr(word[:60])))
    return int(word)


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        problem = tr("{word} is not a number").format(word=repr(word[:60]))
        raise argparse.ArgumentTypeError(problem) from None


def _seed(word: str) -> int:
    seed = _whole(word)
    if not 0 <= seed <= MOST_SEED:
        raise argparse.ArgumentTypeError(
            tr("the seed {word} is outside of 0 to {most}").format(word=word, most=MOST_SEED)
        )
    return seed


def _size(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,6})[xX×]([0-9]{1,6})", word)
    if not found:
        raise argparse.ArgumentTypeError(
            tr("{word} is not a size like 1280x720").format(word=repr(word[:60]))
        )
    return int(found[1]), int(found[2])


def _range(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", word)
    if not found:
        raise argparse.ArgumentTypeError(
            tr("{word} is not a range of steps like 0:20").format(word=repr(word[:60]))
        )
    return int(found[1]), int(found[2])


def open_session(options: argparse.Namespace) -> Session:
    """The session that TARGET, --set and --seed ask for."""
    from explorer.model import session
    from explorer.model.files import is_scene_file, load
    from explorer.model.whole import OWN
    from scenes.scene import SceneError, find_scene

    target = options.target
    id = load(target).state.scene if is_scene_file(target) else target
    if id == OWN and (options.set or options.seed is not None):
        raise SceneError(tr("a graph of your own has no parameters and no seed"))
    scene = None if id == OWN else find_scene(id)
    chosen = {name: scene.parameter(name).parse(value) for name, value in options.set} if scene else {}
    seed = {} if options.seed is None else {"seed": options.seed}
    return session.open_session(target, **seed, **chosen)


# Output


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, ensure_ascii=not _speaks_unicode(), allow_nan=False, indent=1))


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _write_json(value: Any, out: str) -> None:
    import json

    from explorer.model.files.atomic import write_atomic

    if out == "-":
        _print_json(value)
        return
    with _Writing(out):
        write_atomic(
            out, json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n", backup=False
        )


class _Writing:
    """Turns what goes wrong while a file is written into a sentence that names it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            reason = error.strerror or str(error)
            raise Stop(tr("can not write {path}: {reason}").format(path=self.path, reason=reason)) from error


def _checked_ending(out: str, known: Sequence[str]) -> None:
    """Refuse a file's ending before anything is computed."""
    if Path(out).suffix.lower() not in known:
        raise Stop(
            tr("{name} does not end in one of {known}").format(
                name=Path(out).name[:80], known=", ".join(known)
            )
        )


class Bar:
    """A progress bar on a terminal; silent anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.shown = -1
        self.visible = stream.isatty()

    def __call__(self, done: int, everything: int) -> None:
        percent = 100 * done // max(everything, 1)
        if not self.visible or percent == self.shown:
            return
        self.shown = percent
        filled = percent * 30 // 100
        self.stream.write(f"\r{'█' * filled}{'░' * (30 - filled)} {percent:3d} %")
        self.stream.flush()

    def close(self) -> None:
        if self.shown >= 0:
            self.stream.write("\r" + " " * 40 + "\r")
            self.stream.flush()


def _need_qt() -> None:
    from explorer import system

    try:
        import PySide6.QtGui
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        raise Stop(system.why_qt_fails(error)) from error


# Commands


def open_window(options: argparse.Namespace) -> int:
    """Without a sub-command: the window."""
    from explorer import system

    if not system.has_display() and system.wanted_platform() in ("offscreen", "minimal"):
        raise Stop(
            tr("there is no display for a window; `backstep render SCENE --out FILE` draws without one")
        )
    _need_qt()
    from explorer.app import run

    return run(options.target, options.lang, options.theme)


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=tr("the same, for machines"))


@command("list", lambda: tr("list the scenes"), _list_arguments)
def list_scenes(options: argparse.Namespace) -> int:
    from explorer.model.checks import wide
    from explorer.model.text import language
    from scenes import SCENES
    from scenes.scene import FAMILIES

    if options.json:
        _print_json([_scene_entry(scene) for scene in SCENES.values()])
        return 0
    families = {
        "foundations": tr("foundations"),
        "vision": tr("vision"),
        "recurrent": tr("recurrent networks"),
        "words": tr("words"),
        "sequences": tr("sequences"),
    }
    width = max(map(wide, SCENES), default=0)
    for family in FAMILIES:
        members = [s for s in SCENES.values() if s.family == family]
        if members:
            print(families[family])
        for scene in members:
            print(f"  {scene.id:<{width}}  {scene.title[language()]}")
    return 0


def _scene_entry(scene: Any) -> dict[str, Any]:
    parameters = []
    for p in scene.parameters:
        entry: dict[str, Any] = {"name": p.name, "type": p.type, "default": p.default}
        if p.choices:
            entry["choices"] = list(p.choices)
        elif p.type in ("int", "float"):
            entry["range"] = [p.low, p.high]
        parameters.append({**entry, "help": p.help.as_dict()})
    return {
        "id": scene.id,
        "family": scene.family,
        "title": scene.title.as_dict(),
        "summary": scene.summary.as_dict(),
        "parameters": parameters,
        "chapters": [{"id": c.id, "title": c.title.as_dict()} for c in scene.chapters],
    }


def _trace_arguments(parser: argparse.ArgumentParser) -> None:
    _target(parser)
    parser.add_argument("--scalar", action="store_true", help=tr("one node per scalar operation"))
    _out(parser, tr(".json or .npz; - prints JSON"))


@command("trace", lambda: tr("run forward and backward and write everything to a file"), _trace_arguments)
def trace(options: argparse.Namespace) -> int:
    from explorer.model import traces

    if options.out != "-":
        _checked_ending(options.out, traces.SUFFIXES)
    session = open_session(options)
    recording, record = session.recording, session.trace
    assert recording is not None
    if options.scalar:
        recording, record = _scalar_form(session)
    if options.out == "-":
        print(traces.as_json(recording, record))
    else:
        with _Writing(options.out):
            traces.save(recording, record, Path(options.out))
    return 0


def _scalar_form(session: Session) -> tuple[Any, Any]:
    """The session's scene recorded with one node per scalar operation, the user's edits put in, and what is
    held and frozen; a cut edge may be many there, and is refused."""
    from itertools import product

    from autograd import Tensor, Trace
    from explorer.model.session import leaf_key, nodes_by_key
    from scenes.scene import SceneError

    state, scene, training = session.state, session.scene, session.training
    assert scene is not None
    examples = training.batch(state.update) if training else {}
    batch = {leaf_key(session.trace.graph, node): value for node, value in examples.items()}
    if state.cuts:
        raise Stop(tr("a scene with cut edges has no scalar form"))

    def elements(key: str, shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        for index in product(*map(range, shape)):
            yield index, recording[f"{key}[{','.join(map(str, index))}]" if index else key]

    try:
        recording = scene.build(state.parameters, seed=state.seed, scalar=True)
        for key, value in {**state.edits, **state.trained, **batch}.items():
            for index, leaf in elements(key, value.shape):
                leaf.value = value[index]
        held = {e.id: v[i] for key, v in state.clamps.items() for i, e in elements(key, v.shape)}
        values, by_key = session.trace.values, nodes_by_key(session.trace.graph)
        frozen = {e.id for key in state.frozen for _, e in elements(key, values[by_key[key]].shape)}
        graph = recording.graph.altered(held, (), frozen) if held or frozen else recording.graph
        return recording, Trace.run(graph, graph.nodes[recording.loss.id])
    except SceneError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise Stop(
            tr("scene {scene} has no scalar form: {problem}").format(scene=scene.id, problem=error)
        ) from error


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=tr("scenes or scene files (default: all)")
    )
    parser.add_argument("--all", action="store_true", help=tr("every scene of the catalogue"))
    parser.add_argument("--json", action="store_true", help=tr("the same, for machines"))


@command(
    "check", lambda: tr("compare the engine with closed forms and with finite differences"), _check_arguments
)
def check(options: argparse.Namespace) -> int:
    from explorer.model import checks
    from explorer.model.session import open_session
    from explorer.model.text import language
    from scenes import SCENES

    targets = list(options.targets)
    if options.all or not targets:
        targets += [name for name in SCENES if name not in targets]
    rows: list[checks.Row] = []
    for target in targets:
        session = open_session(target)
        session.restore()  # closed forms are those of the scene without what a file holds, cuts or freezes
        recording = session.recording
        assert recording is not None
        rows += checks.check(recording)
    failed = sum(not row.passed for row in rows)
    if options.json:
        _print_json([row.as_dict() for row in rows])
    else:
        print(checks.table(rows, language()))
        print()
        print(tr("{passed} of {count} pass").format(passed=len(rows) - failed, count=len(rows)))
    return 1 if failed else 0


def _render_arguments(parser: argparse.ArgumentParser) -> None:
    _target(parser)
    _out(parser, ".png .svg .pdf .gif .webp .mp4")
    moment = parser.add_mutually_exclusive_group()
    moment.add_argument(
        "--step", type=_whole, metavar="N", help=tr("the moment after N steps (default: the last)")
    )
    moment.add_argument("--steps", type=_range, metavar="A:B", help=tr("a range of steps to film"))
    moment.add_argument("--chapter", metavar="NAME", help=tr("the steps of a chapter"))
    parser.add_argument(
        "--size", type=_size, default=(1280, 720), metavar="WxH", help=tr("in pixels (1280x720)")
    )
    parser.add_argument("--fps", type=_whole, metavar="N", help=tr("frames a second of a film, 1 to 60"))
    parser.add_argument(
        "--caption", action="store_true", help=tr("add a caption to a still (films always have one)")
    )


@command("render", lambda: tr("draw a picture or a film; needs no display"), _render_arguments)
def render(options: argparse.Namespace) -> int:
    _need_offscreen_qt()
    from explorer.model.text import language
    from explorer.view import exporters

    bar = Bar(sys.stderr)
    try:
        exporters.find_exporter(options.out)
        session = open_session(options)
        steps = options.steps
        if options.chapter is not None:
            steps = _chapter_range(session, options.chapter)
        exporters.export(
            session,
            options.out,
            size=options.size,
            theme=options.theme or "light",
            language=language(),
            step=options.step,
            steps=steps,
            fps=options.fps,
            caption=options.caption,
            progress=bar,
        )
    except exporters.ExportError as error:
        raise Stop(str(error)) from error
    finally:
        bar.close()
    print(options.out)
    return 0


def _need_offscreen_qt() -> None:
    """Drawing needs no display, so none is asked for; an application that already runs is left alone."""
    core = sys.modules.get("PySide6.QtCore")
    if core is None or core.QCoreApplication.instance() is None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    _need_qt()


def _chapter_range(session: Session, name: str) -> tuple[int, int]:
    assert session.scene is not None
    chapters = [c.id for c in session.scene.chapters] + [c.id for c in session.state.chapters]
    if name not in chapters:
        close = difflib.get_close_matches(name, chapters, 1)
        hint = tr("did you mean {name}?").format(name=close[0]) if close else ", ".join(chapters)
        raise Stop(
            tr("scene {scene} has no chapter {name}; {hint}").format(
                scene=session.scene.id, name=repr(name[:60]), hint=hint
            )
        )
    return session.chapter_range(name)


def _validate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help=tr("scene files"))


@command("validate", lambda: tr("check scene files without running them"), _validate_arguments)
def validate(options: argparse.Namespace) -> int:
    from explorer.model.files import faults

    worst = 0
    for file in options.files:
        found = faults(file)
        if not found:
            print(f"{_one_line(file)}: OK")
        for fault in found:
            if fault.code in ("not_found", "unreadable"):
                print(f"backstep: {_one_line(str(fault))}", file=sys.stderr)
                worst = 2
            else:
                print(_one_line(f"{file}: {fault.place}: {fault.code}: {fault.problem}"))
                worst = max(worst, 1)
    return worst


def _save_arguments(parser: argparse.ArgumentParser) -> None:
    _target(parser)
    _out(parser, tr("the scene file, .backstep"))


@command("save", lambda: tr("write a scene file"), _save_arguments)
def save(options: argparse.Namespace) -> int:
    from explorer.model import files

    _checked_ending(options.out, (files.SUFFIX,))
    session = open_session(options)
    kept: dict[str, Any] = {}
    if files.is_scene_file(options.target):
        kept = files.load(options.target).extras()
    with _Writing(options.out):
        files.save(options.out, session.state, **kept | {"graph": session.whole()})
    print(options.out)
    return 0


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    from explorer.model.training import OPTIMIZERS, SCHEDULES

    _target(parser)
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=VALUE",
        type=_setting,
        help=tr("parameters of the scene, as with --set"),
    )
    parser.add_argument("--epochs", type=_whole, metavar="N", help=tr("how often all examples are used"))
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help=tr("the rule of an update"))
    parser.add_argument("--lr", type=_number, metavar="X", help=tr("learning rate"))
    parser.add_argument("--schedule", choices=SCHEDULES, help=tr("how the rate changes"))
    parser.add_argument("--clip", type=_number, metavar="X", help=tr("largest joint norm of the gradients"))
    parser.add_argument(
        "--decay",
        type=_number,
        metavar="X",
        help=tr("weight decay: X times a parameter is added to its gradient"),
    )
    parser.add_argument(
        "--freeze",
        action="append",
        metavar="NAME",
        help=tr("a parameter that keeps its value (may be a pattern; again for more)"),
    )
    parser.add_argument(
        "--patience",
        type=_whole,
        metavar="N",
        help=tr("stop after N epochs that are no better than the best"),
    )
    parser.add_argument("--save", metavar="FILE", help=tr("write a scene file with the trained parameters"))


@command("train", lambda: tr("train a scene and print how good it becomes"), _train_arguments)
def train(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from explorer.model import files
    from explorer.model.training import first_recipe

    if options.save is not None:
        _checked_ending(options.save, (files.SUFFIX,))
    options.set += options.settings
    session = open_session(options)
    asked: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("epochs", "optimizer", "lr", "schedule", "clip", "decay", "patience")
        if getattr(options, name) is not None
    }
    assert session.recording is not None
    if options.freeze:
        asked["frozen"] = tuple(options.freeze)
        names = [leaf.name for leaf in session.recording.graph.leaves("parameter")]
        for pattern in options.freeze:
            if not fnmatch.filter(names, pattern):
                form = tr("nothing to freeze is called {name}; the parameters are {names}")
                raise Stop(form.format(name=repr(pattern[:60]), names=", ".join(names[:12])))
    session.update(recipe=replace(session.state.recipe or first_recipe(session.recording), **asked))
    training = session.training
    assert training is not None
    bar = Bar(sys.stderr)
    try:
        training.run(progress=lambda share: bar(round(100 * share), 100))
    finally:
        bar.close()
    _print_curves(training)
    best = training.recipe.patience and training.best * training.per_epoch
    session.update(update=best or training.head.update, t=0.0)
    if options.save is not None:
        kept = files.load(options.target).extras() if files.is_scene_file(options.target) else {}
        with _Writing(options.save):
            files.save(options.save, session.state, **kept | {"graph": session.whole()})
        print(options.save)
    if training.trouble:
        print(f"backstep: {training.trouble}", file=sys.stderr)
    return 1 if training.trouble else 0


MOST_LINES = 18  # of losses that are printed


def _print_curves(training: Any) -> None:
    """Some of the epochs, evenly spread, and the last and the best."""
    from math import isnan

    last = len(training.curves) - 1
    every = max(1, -(-last // MOST_LINES))
    columns = {
        tr("loss"): "loss",
        tr("score"): "score",
        tr("validation loss"): "validation_loss",
        tr("validation score"): "validation_score",
    }
    shown = {n: f for n, f in columns.items() if not all(isnan(getattr(e, f)) for e in training.curves)}
    print("\t".join([tr("epoch"), *shown]))
    for k, epoch in enumerate(training.curves):
        if k % every == 0 or k in (last, training.best):
            print("\t".join([str(k), *(f"{getattr(epoch, field):.6g}" for field in shown.values())]))


def _layout_arguments(parser: argparse.ArgumentParser) -> None:
    _target(parser)
    for name, help in (
        ("--fold", tr("scopes to fold (may be a pattern)")),
        ("--unfold", tr("scopes to unfold")),
    ):
        parser.add_argument(name, action="append", default=[], metavar="SCOPE", help=help)
    _out(parser, tr("a .json file; - prints it"))


@command("layout", lambda: tr("write the picture's geometry"), _layout_arguments)
def layout(options: argparse.Namespace) -> int:
    session = open_session(options)
    folded = set(session.state.folded)
    for pattern in options.fold:
        folded |= _matching_scopes(session, pattern)
    for pattern in options.unfold:
        folded -= _matching_scopes(session, pattern)
    session.update(folded=frozenset(folded))
    from explorer.model.shape import geometry

    _write_json(geometry(session), options.out)
    return 0


def _matching_scopes(session: Session, pattern: str) -> set[str]:
    from fnmatch import fnmatchcase

    scopes = list(session.topology.scopes)
    found = {path for path in scopes if fnmatchcase(path, pattern)}
    if not found:
        close = difflib.get_close_matches(pattern, scopes, 1, 0.3)
        hint = tr("did you mean {name}?").format(name=close[0]) if close else tr("it has no scopes")
        raise Stop(
            tr("scene {scene} has no scope {name}; {hint}").format(
                scene=session.state.scene, name=repr(pattern[:60]), hint=hint
            )
        )
    return found


@command("doctor", lambda: tr("say what works here and what to install"), _list_arguments)
def doctor(options: argparse.Namespace) -> int:
    from explorer import doctor

    return doctor.report(sys.stdout, as_json=options.json)
