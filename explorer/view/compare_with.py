"""The field in which one says what to compare with; loaded when it is first asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from explorer.model.finding import fuzzy
from explorer.model.text import language, tr
from explorer.view.search import Lookup, Row
from scenes import SCENES

if TYPE_CHECKING:
    from explorer.view.compare import Comparing
    from explorer.view.window import Window


class Chooser(Lookup):
    """What to compare with: the scene as it is now, or one of the catalogue."""

    def __init__(self, window: Window, comparing: Comparing) -> None:
        super().__init__(
            window, tr("Compare with"), tr("Compare with: this scene as it is now, or another one")
        )
        self.comparing = comparing

    def open(self) -> None:
        self.field.clear()
        super().open()

    def rows(self, query: str) -> list[Row]:
        present = self.host.session.scene
        family = present.family if present is not None else ""  # what is alike comes first
        now = tr("This scene as it is now")
        found = []
        offers: list[tuple[str, str, str, tuple[str, ...], str]]
        offers = [("", now, tr("to change its parameters and compare"), (), "")]
        offers += [
            (id, s.title[language()], id, (id, s.title.en, s.title.ja), s.summary[language()])
            for id, s in sorted(SCENES.items(), key=lambda item: item[1].family != family)
        ]
        for order, (id, words, hint, also, tip) in enumerate(offers):
            matches = [fuzzy(query, w) for w in (words, *also)]
            scores = [m.score for m in matches if m is not None]
            if scores:
                places = matches[0].places if matches[0] is not None else ()
                found.append((-max(scores), order, Row(id, words, hint, places, tip=tip)))
        if query.strip():
            found.sort(key=lambda row: row[:2])
        return [row for _, _, row in found]

    def take(self, what: object) -> None:
        assert isinstance(what, str)
        self.leave()
        self.host.attempt(partial(self.comparing.add, what))
