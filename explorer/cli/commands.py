"""The sub-commands, in `COMMANDS`: for each its arguments and one function, which returns the exit code.

A command asks the model or the view and prints what they answer; what goes wrong it leaves to `main` to say.
NumPy and Qt are imported where they are used, so that `--version` is instant.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli.arguments import (
    node_pair,
    number,
    open_session,
    out_argument,
    setting,
    size,
    step_range,
    target_arguments,
    whole_number,
)
from explorer.cli.output import Bar, Stop, Writing, checked_ending, one_line, print_json, tr, write_json

if TYPE_CHECKING:
    from explorer.model.session import Session


@dataclass(frozen=True)
class Command:
    """One sub-command."""

    name: str
    help: Callable[[], str]  # a function, because the language is only known later
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: dict[str, Command] = {}
Run = Callable[[argparse.Namespace], int]


def command(
    name: str, help: Callable[[], str], arguments: Callable[[argparse.ArgumentParser], None]
) -> Callable[[Run], Run]:
    """Register the decorated function as the sub-command of that name."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, help, arguments, run)
        return run

    return register


def open_window(options: argparse.Namespace) -> int:
    """Without a sub-command: the window."""
    from explorer import system

    if not system.has_display() and system.wanted_platform() in ("offscreen", "minimal"):
        raise Stop(
            tr("there is no display for a window; `backstep render SCENE --out FILE` draws without one")
        )
    _need_qt()
    gc.disable()  # nothing that is made at the start is garbage; `run` enables it again
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
        print_json([_scene_entry(scene) for scene in SCENES.values()])
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
    target_arguments(parser)
    parser.add_argument("--scalar", action="store_true", help=tr("one node per scalar operation"))
    out_argument(parser, tr(".json or .npz; - prints JSON"))


@command("trace", lambda: tr("run forward and backward and write everything to a file"), _trace_arguments)
def trace(options: argparse.Namespace) -> int:
    from explorer.model import traces

    if options.out != "-":
        checked_ending(options.out, traces.SUFFIXES)
    session = open_session(options)
    recording, record = session.recording, session.trace
    assert recording is not None
    if options.scalar:
        recording, record = traces.scalar_form(session)
    if options.out == "-":
        print(traces.as_json(recording, record))
    else:
        with Writing(options.out):
            traces.save(recording, record, Path(options.out))
    return 0


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
        print_json([row.as_dict() for row in rows])
    else:
        print(checks.table(rows, language()))
        print()
        print(tr("{passed} of {count} pass").format(passed=len(rows) - failed, count=len(rows)))
    return 1 if failed else 0


def _render_arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)
    out_argument(parser, ".png .svg .pdf .gif .webp .mp4")
    moment = parser.add_mutually_exclusive_group()
    moment.add_argument(
        "--step", type=whole_number, metavar="N", help=tr("the moment after N steps (default: the last)")
    )
    moment.add_argument("--steps", type=step_range, metavar="A:B", help=tr("a range of steps to film"))
    moment.add_argument("--chapter", metavar="NAME", help=tr("the steps of a chapter"))
    parser.add_argument(
        "--size", type=size, default=(1280, 720), metavar="WxH", help=tr("in pixels (1280x720)")
    )
    parser.add_argument(
        "--fps", type=whole_number, metavar="N", help=tr("frames a second of a film, 1 to 60")
    )
    parser.add_argument(
        "--path",
        type=node_pair,
        metavar="A:B",
        help=tr("light the path from A to B that carries most gradient"),
    )
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
        if options.path is not None:
            session.update(highlight=_strongest_path(session, *options.path))
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


def _strongest_path(session: Session, source: str, target: str) -> tuple[int, ...]:
    from explorer.model.lab.paths import routes

    graph = session.trace.graph
    for name in (source, target):
        if name not in graph.names:
            raise Stop(tr("there is no node called {name}").format(name=repr(name[:60])))
    found = routes(session.trace, graph.named(source).id, graph.named(target).id, 1).found
    if not found:
        raise Stop(tr("no gradient goes from {target} back to {source}").format(target=target, source=source))
    return found[0].nodes


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
            print(f"{one_line(file)}: OK")
        for fault in found:
            if fault.code in ("not_found", "unreadable"):
                print(f"backstep: {one_line(str(fault))}", file=sys.stderr)
                worst = 2
            else:
                print(one_line(f"{file}: {fault.place}: {fault.code}: {fault.problem}"))
                worst = max(worst, 1)
    return worst


def _save_arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)
    out_argument(parser, tr("the scene file, .backstep"))


@command("save", lambda: tr("write a scene file"), _save_arguments)
def save(options: argparse.Namespace) -> int:
    from explorer.model import files

    checked_ending(options.out, (files.SUFFIX,))
    _write_scene_file(open_session(options), options.target, options.out)
    return 0


def _write_scene_file(session: Session, target: str, out: str) -> None:
    """With what the file that was opened holds beside its state."""
    from explorer.model import files

    kept = files.load(target).extras() if files.is_scene_file(target) else {}
    with Writing(out):
        files.save(out, session.state, **kept | {"graph": session.whole()})
    print(out)


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    from explorer.model.training import OPTIMIZERS, SCHEDULES

    target_arguments(parser)
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="NAME=VALUE",
        type=setting,
        help=tr("parameters of the scene, as with --set"),
    )
    parser.add_argument(
        "--epochs", type=whole_number, metavar="N", help=tr("how often all examples are used")
    )
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help=tr("the rule of an update"))
    parser.add_argument("--lr", type=number, metavar="X", help=tr("learning rate"))
    parser.add_argument("--schedule", choices=SCHEDULES, help=tr("how the rate changes"))
    parser.add_argument("--clip", type=number, metavar="X", help=tr("largest joint norm of the gradients"))
    parser.add_argument(
        "--decay",
        type=number,
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
        type=whole_number,
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
        checked_ending(options.save, (files.SUFFIX,))
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
        _write_scene_file(session, options.target, options.save)
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
    target_arguments(parser)
    for name, help in (
        ("--fold", tr("scopes to fold (may be a pattern)")),
        ("--unfold", tr("scopes to unfold")),
    ):
        parser.add_argument(name, action="append", default=[], metavar="SCOPE", help=help)
    out_argument(parser, tr("a .json file; - prints it"))


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

    write_json(geometry(session), options.out)
    return 0


def _matching_scopes(session: Session, pattern: str) -> set[str]:
    scopes = list(session.topology.scopes)
    found = {path for path in scopes if fnmatch.fnmatchcase(path, pattern)}
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


def _need_qt() -> None:
    from explorer import system

    try:
        import PySide6.QtGui
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        raise Stop(system.why_qt_fails(error)) from error
