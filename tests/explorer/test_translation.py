"""Every text that a user sees exists in both languages, and the bundled fonts can draw all of it."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from string import Formatter, Template
from typing import Any

import pytest
from PySide6.QtGui import QRawFont

from autograd import OPS
from explorer.model import text
from explorer.model.actions import ACTIONS
from explorer.model.files import FileError
from explorer.view import fonts
from explorer.view.panels import PANELS, load_panels
from scenes import SCENES
from scenes.scene import SceneError, Text

ROOT = Path(__file__).resolve().parents[2]
TRANSLATIONS = ROOT / "assets" / "translations"

# `tr` of something other than a text in quotes, and where the texts that it can be come from.
NOT_LITERAL = {
    ("explorer/cli/output.py", "english"): "the late import of `tr` itself",
    ("explorer/view", "action.title"): "ACTIONS, collected below",
    ("explorer/view", "action.tip"): "ACTIONS, collected below",
    ("explorer/view/panels/parameters.py", "ACTIONS['random_seed'].tip"): "ACTIONS, collected below",
    ("explorer/view/panels/parameters.py", "ACTIONS['reset_values'].tip"): "ACTIONS, collected below",
    ("explorer/view/panels/inspector.py", "op.doc"): "OPS, collected below",
    ("explorer/view/panels/__init__.py", "self.heading"): "PANELS, collected below",
    ("explorer/view/menus.py", "undo"): "titles of undo entries: `title=` of updates, collected below",
    ("explorer/view/menus.py", "redo"): "titles of undo entries: `title=` of updates, collected below",
}


@cache
def calls() -> tuple[tuple[str, ast.Call], ...]:
    """Every call in explorer/, with the file that it stands in."""
    found = []
    for path in sorted((ROOT / "explorer").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        found += [(name, node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return tuple(found)


def called(call: ast.Call) -> str:
    """The last part of what is called: `tr` of `tr(...)` and of `text.tr(...)`."""
    target = call.func
    return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@cache
def english() -> frozenset[str]:
    """Every English text that is translated where it is shown."""
    load_panels()
    shown = {a.title for a in ACTIONS.values()} | {a.tip for a in ACTIONS.values()}
    shown |= {panel.heading for panel in PANELS.values()}
    shown |= {op.doc for op in OPS.values()}
    for _, call in calls():
        if called(call) == "tr":
            shown |= {ast.literal_eval(a) for a in call.args if is_text(a)}
        elif called(call) == "update":
            shown |= {
                ast.literal_eval(k.value) for k in call.keywords if k.arg == "title" and is_text(k.value)
            }
    return frozenset(shown)


@cache
def catalogue(language: str) -> dict[str, str]:
    return json.loads((TRANSLATIONS / f"{language}.json").read_text("utf-8"))


OTHERS = [language for language in text.LANGUAGES if language != "en"]


@pytest.mark.parametrize("language", OTHERS)
def test_everything_is_translated_and_nothing_is_left_over(language):
    known = catalogue(language).keys()
    assert sorted(english() - known) == [], "texts without a translation"
    assert sorted(known - english()) == [], "translations of texts that nobody shows any more"
    assert all(words.strip() for words in catalogue(language).values())


def test_there_is_one_file_for_each_language():
    assert {path.name for path in TRANSLATIONS.iterdir()} == {f"{language}.json" for language in OTHERS}


@pytest.mark.parametrize("language", OTHERS)
def test_the_file_is_sorted_and_says_nothing_twice(language):
    pairs = json.loads(
        (TRANSLATIONS / f"{language}.json").read_text("utf-8"), object_pairs_hook=lambda items: items
    )
    keys = [key for key, _ in pairs]
    assert keys == sorted(set(keys))


def placeholders(sentence: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(sentence) if name is not None)


@pytest.mark.parametrize("language", OTHERS)
def test_placeholders_survive_translation(language):
    for source, target in catalogue(language).items():
        assert placeholders(source) == placeholders(target), source


@pytest.mark.parametrize("language", OTHERS)
def test_menu_letters_survive_translation_and_differ(language):
    letters = []
    for source, target in catalogue(language).items():
        mnemonic = re.search(r"&(\w)", source)
        if mnemonic:
            assert target.endswith(f"(&{mnemonic[1]})"), source
            letters.append(mnemonic[1])
    assert len(letters) == len(set(letters))


@pytest.mark.parametrize("language", OTHERS)
def test_an_ellipsis_promises_a_dialog_in_every_language(language):
    for source, target in catalogue(language).items():
        assert source.endswith("…") == target.endswith("…"), source


def test_only_texts_in_quotes_go_through_tr():
    unexpected = []
    used = set()
    for file, call in calls():
        if called(call) != "tr":
            continue
        assert len(call.args) == 1 and not call.keywords, f"{file}:{call.lineno}"
        if is_text(call.args[0]):
            continue
        words = ast.unparse(call.args[0])
        allowed = {key for key in NOT_LITERAL if file.startswith(key[0]) and words == key[1]}
        used |= allowed
        if not allowed:
            unexpected.append(f"{file}:{call.lineno}: tr({words})")
    assert unexpected == []
    assert used == set(NOT_LITERAL), "exceptions that nobody needs any more"


def texts(value: Any, place: str) -> Iterator[tuple[str, Text]]:
    """Every Text inside a scene, with the way to it."""
    if isinstance(value, Text):
        yield place, value
    elif isinstance(value, tuple):
        for k, item in enumerate(value):
            yield from texts(item, f"{place}[{k}]")
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name), f"{place}.{field.name}")


@pytest.mark.parametrize("id", list(SCENES))
def test_scenes_speak_both_languages(id):
    found = list(texts(SCENES[id], id))
    assert found
    for place, both in found:
        assert both.en.strip(), place
        assert both.ja.strip(), place
        named = [set(Template(words).get_identifiers()) for words in (both.en, both.ja)]
        assert named[0] == named[1], place
        unknown = named[0] - SCENES[id].defaults().keys()
        assert not unknown, place


def sources_of_scenes() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "scenes").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def test_scenes_refuse_in_both_languages():
    found = [
        (f"{file}:{node.lineno}", node)
        for file, tree in sources_of_scenes()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "SceneError"
    ]
    assert found
    assert [place for place, call in found if len(call.args) != 2] == []


def test_an_error_speaks_the_present_language():
    error = SceneError("no such name", "その名前はありません")
    assert text.sentence(error) == str(error) == "no such name"
    text.set_language("ja")
    assert text.sentence(error) == "その名前はありません"
    assert text.sentence(FileError("not_found", "a.backstep", text.tr("there is no such file"))) == (
        "a.backstep: ファイルが見つかりません"
    )
    assert text.sentence(ValueError("something else")) == "something else"


@pytest.fixture
def faces(qapp) -> list[QRawFont]:
    fonts.load_fonts()
    found = []
    for family in fonts.FAMILIES:
        font = fonts.ui_font(20)
        font.setFamilies([family])
        found.append(QRawFont.fromFont(font))
    return found


def not_drawn(faces: list[QRawFont], words: str) -> str:
    """The characters that none of the faces has."""
    return "".join(
        c for c in sorted(set(words) - {"\n"}) if not any(face.supportsCharacter(ord(c)) for face in faces)
    )


def test_our_fonts_draw_the_window(faces):
    assert not_drawn(faces, "".join(english())) == ""
    for language in OTHERS:
        assert not_drawn(faces, "".join(catalogue(language).values())) == ""
    assert not_drawn(faces, "".join(text.LANGUAGES.values())) == ""


@pytest.mark.parametrize("id", list(SCENES))
def test_our_fonts_draw_the_scenes(id, faces):
    for place, both in texts(SCENES[id], id):
        assert not_drawn(faces, both.en + both.ja) == "", place
    for erratum in SCENES[id].errata:
        assert not_drawn(faces, erratum.where + erratum.printed + erratum.right) == "", erratum.where


def test_our_fonts_draw_what_scenes_refuse_with(faces):
    for file, tree in sources_of_scenes():
        words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        assert not_drawn(faces, "".join(words)) == "", file


def test_a_language_can_be_chosen_and_left():
    text.set_language("ja")
    assert text.tr("Undo") == "元に戻す"
    text.set_language("en")
    assert text.tr("Undo") == "Undo"
    with pytest.raises(ValueError, match="tlh"):
        text.set_language("tlh")
