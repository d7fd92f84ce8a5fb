"""Arguments of the commands and what their words mean: a scene with its parameters, a seed, a size.

Used by `commands`. Says what is wrong with a word and opens the session that is asked for, but knows nothing
of what is done with it. argparse shows the message of an ArgumentTypeError as it is.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from explorer.cli.output import tr

if TYPE_CHECKING:
    from explorer.model.session import Session

MOST_SEED = 2**63 - 1


def target_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help=tr("a scene of the catalogue or a scene file"))
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=setting,
        help=tr("a parameter of the scene (again for more)"),
    )
    parser.add_argument("--seed", type=seed_number, metavar="N", help=tr("seed of the values"))


def out_argument(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--out", required=True, metavar="FILE", help=help)


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


def setting(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(tr("{word} is not NAME=VALUE").format(word=repr(word[:60])))
    return name, value


def node_pair(word: str) -> tuple[str, str]:
    source, colon, target = word.partition(":")
    if not (source and colon and target):
        problem = tr("{word} is not a pair of names like c_0:c_5")
        raise argparse.ArgumentTypeError(problem.format(word=repr(word[:60])))
    return source, target


def whole_number(word: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", word):
        raise argparse.ArgumentTypeError(tr("{word} is not a whole number").format(word=repr(word[:60])))
    return int(word)


def number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        problem = tr("{word} is not a number").format(word=repr(word[:60]))
        raise argparse.ArgumentTypeError(problem) from None


def seed_number(word: str) -> int:
    seed = whole_number(word)
    if not 0 <= seed <= MOST_SEED:
        raise argparse.ArgumentTypeError(
            tr("the seed {word} is outside of 0 to {most}").format(word=word, most=MOST_SEED)
        )
    return seed


def size(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,6})[xX×]([0-9]{1,6})", word)
    if not found:
        raise argparse.ArgumentTypeError(
            tr("{word} is not a size like 1280x720").format(word=repr(word[:60]))
        )
    return int(found[1]), int(found[2])


def step_range(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", word)
    if not found:
        raise argparse.ArgumentTypeError(
            tr("{word} is not a range of steps like 0:20").format(word=repr(word[:60]))
        )
    return int(found[1]), int(found[2])
