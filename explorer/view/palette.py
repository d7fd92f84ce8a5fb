"""The command palette: every action, scene, panel, node and recent file by typing a few letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence

from explorer.model import playback
from explorer.model.actions import ACTIONS
from explorer.model.finding import NodeIndex, fuzzy, node_place
from explorer.model.text import language, tr
from explorer.view.search import Lookup, Row
from scenes import SCENES

if TYPE_CHECKING:
    from explorer.view.window import Window

MOST_NODES = 30
NODE_LETTERS = 2  # a query of fewer letters finds no nodes: one letter fits half of the graph


@dataclass(frozen=True)
class Offer:
    """Something that the palette can do: its words, other words for it, and what happens."""

    words: str
    hint: str
    run: Callable[[], object]
    also: tuple[str, ...] = ()  # found by these as well, such as the English title
    enabled: bool = True
    tip: str = ""
    bonus: float = 0.0  # of two that fit alike, the higher one comes first


class Palette(Lookup):
    """Ctrl+K. What is chosen is run when the palette has gone."""

    def __init__(self, window: Window) -> None:
        super().__init__(window, tr("Command palette"), tr("Action, scene, panel, node or recent file"))
        self._index: NodeIndex | None = None
        self._offers: list[Offer] = []

    def open(self) -> None:
        self._offers = [*self._actions(), *self._scenes(), *self._panels(), *self._files()]
        self.field.clear()
        super().open()

    def take(self, what: object) -> None:
        assert isinstance(what, Offer)
        self.leave()
        what.run()

    def rows(self, query: str) -> list[Row]:
        found = []
        for order, offer in enumerate(self._offers):
            matches = [fuzzy(query, words) for words in (offer.words, *offer.also)]
            scores = [m.score for m in matches if m is not None]
            if scores:
                places = matches[0].places if matches[0] is not None else ()
                found.append((-max(scores) - offer.bonus - 10 * offer.enabled, order, offer, places))
        if query.strip():
            found.sort(key=lambda row: row[:2])
        rows = [Row(o, o.words, o.hint, places, o.enabled, o.tip) for _, _, o, places in found]
        return rows + self._nodes(query)

    # What is offered

    def _actions(self) -> list[Offer]:
        host = self.host

        def offer(id: str) -> Offer:
            action = ACTIONS[id]
            keys = ", ".join(
                QKeySequence(k).toString(QKeySequence.SequenceFormat.NativeText) for k in action.keys
            )
            enabled = host.menus.actions[id].isEnabled()
            run = host.menus.actions[id].trigger
            return Offer(tr(action.title), keys, run, (action.title,), enabled, tr(action.tip), 6.0)

        return [offer(id) for id in ACTIONS if id != "open_palette"]

    def _scenes(self) -> list[Offer]:
        host = self.host
        return [
            Offer(
                scene.title[language()],
                tr("Scene"),
                partial(host.open_scene, id),
                (id, scene.title.en, scene.title.ja),
                tip=scene.summary[language()],
                bonus=4.0,
            )
            for id, scene in SCENES.items()
        ]

    def _panels(self) -> list[Offer]:
        host = self.host
        if host.session.recording is None:
            return []
        return [
            Offer(panel.windowTitle(), tr("Panel"), partial(host.show_panel, id), (panel.heading,), bonus=2.0)
            for id, panel in host.panels.items()
        ]

    def _files(self) -> list[Offer]:
        host = self.host
        return [
            Offer(Path(path).name, tr("Recent file"), partial(host.keeping.open, path), tip=path, bonus=2.0)
            for path in host.settings.recent
        ]

    def _nodes(self, query: str) -> list[Row]:
        session = self.host.session
        if session.recording is None or len(query.strip()) < NODE_LETTERS:
            return []
        if self._index is None or not self._index.fits(session):
            self._index = NodeIndex(session)
        rows = []
        for node in self._index.find(query, MOST_NODES):
            words = playback.node_words(session.trace.graph, node, session.notation)
            match = fuzzy(query, words)
            go = Offer(words, node_place(session, node), partial(self.host.reveal, node))
            rows.append(Row(go, words, go.hint, match.places if match else ()))
        return rows
