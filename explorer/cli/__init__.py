"""The command line: from the words after `backstep` to an exit code.

What is meant for machines goes to standard output, everything else to standard error; a user's mistake is one
sentence and exit code 2. Finds the command that is meant and the language to speak; `commands` has what each
does, `arguments` what its words mean.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from explorer.cli.commands import COMMANDS, open_window
from explorer.cli.output import Stop, one_line, sentence_of, speaks_unicode, tr


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        from explorer.model.version import VERSION

        print(f"backstep {VERSION}")
        return 0
    if not speaks_unicode() and hasattr(sys.stdout, "reconfigure"):
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
    print(f"backstep: {one_line(sentence_of(error))}", file=sys.stderr)
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


def _forget_stdout() -> None:
    """The reader of our output is gone: keep the interpreter from complaining about it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    from explorer.model.version import VERSION

    parser.add_argument("--version", action="version", version=f"backstep {VERSION}")
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
