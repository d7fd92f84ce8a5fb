"""Finding by words: fuzzy matching of titles, and the nodes of a graph by name, op, scope, shape and time.

Used by the search, the command palette and the outline. Knows no widgets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from weakref import WeakKeyDictionary

from autograd import Graph
from explorer.model import playback, text
from explorer.model.layout import Topology
from explorer.model.session import Session
from explorer.model.text import tr

# What a word is worth by where it was found; the letters' places only break ties.
WHOLE, AT_START, AT_WORD, INSIDE, SCATTERED = 100.0, 80.0, 60.0, 40.0, 10.0
LONGEST_GAP = 12  # between letters of a scattered match: beyond it the eye sees no connection


@cache
def _plain_letter(c: str) -> str:
    return {"×": "x", "−": "-", "⟨": "<", "⟩": ">"}.get(c) or unicodedata.normalize("NFKC", c).casefold()


def plain(words: str) -> str:
    """Words as they are compared: no case, no raised or lowered figures, one kind of minus and times."""
    return "".join(map(_plain_letter, words))


# Fuzzy matching


@dataclass(frozen=True)
class Match:
    """How well a query fits, and which characters of the text it found."""

    score: float
    places: tuple[int, ...] = ()


def fuzzy(query: str, words: str) -> Match | None:
    """Every word of the query somewhere in `words`, as a part of it or letter by letter; None if not."""
    letters = [(p, k) for k, c in enumerate(words) for p in _plain_letter(c)]
    folded = "".join(p for p, _ in letters)
    score = 0.0
    places: set[int] = set()
    for word in plain(query).split():
        found = _place(word, folded)
        if found is None:
            return None
        score += found.score
        places.update(letters[k][1] for k in found.places)
    return Match(score - len(folded) / 100, tuple(sorted(places)))


def _place(word: str, folded: str) -> Match | None:
    """The best place of one word."""
    starts = [k for k in range(len(folded) - len(word) + 1) if folded.startswith(word, k)]
    if starts:
        at_word = [k for k in starts if k == 0 or not folded[k - 1].isalnum()]
        best = (at_word or starts)[0]
        worth = AT_START if best == 0 else AT_WORD if at_word else INSIDE
        return Match(WHOLE if word == folded else worth, tuple(range(best, best + len(word))))
    scattered = [_scattered(word, folded, k) for k, c in enumerate(folded) if c == word[0]]
    whole = [places for places in scattered if places]
    if not whole:
        return None
    best_places = min(whole, key=lambda places: places[-1] - places[0])
    return Match(SCATTERED * len(word) / (1 + best_places[-1] - best_places[0]), best_places)


def _scattered(word: str, folded: str, start: int) -> tuple[int, ...]:
    """Places of the word's letters in their order, from `start` on with short gaps; or nothing."""
    places = [start]
    for c in word[1:]:
        k = folded.find(c, places[-1] + 1, places[-1] + 1 + LONGEST_GAP)
        if k < 0:
            return ()
        places.append(k)
    return tuple(places)


# Nodes


@dataclass(frozen=True)
class Keys:
    """What one node can be found by, made plain."""

    names: tuple[str, ...]  # as the notes write it and as it is typed: u³, u_3
    op: tuple[str, ...]
    scope: tuple[str, ...]
    shape: str
    time: str
    everything: str


_FIELDS: dict[str, Callable[[Keys, str], bool]] = {
    "name": lambda keys, word: any(word in name for name in keys.names),
    "op": lambda keys, word: any(word in op for op in keys.op),
    "scope": lambda keys, word: any(word in scope for scope in keys.scope),
    "shape": lambda keys, word: keys.shape == word,
    "t": lambda keys, word: keys.time == word,
}
_TERM = re.compile(r"(name|op|scope|shape|t|time)[:=](\S+)")
_SHAPE = re.compile(r"\d+(x\d+)+")


class NodeIndex:
    """The nodes of one graph, ready to be searched; made once per graph and language."""

    def __init__(self, session: Session) -> None:
        self.graph, self.topology = session.trace.graph, session.topology
        self.language, self.notation = text.language(), session.notation
        loss = session.trace.loss
        # most nodes share these words with many others
        self._plain_words = cache(lambda words: tuple(map(plain, words)))
        self._plain_scope = cache(
            lambda path: (plain(path), *map(plain, map(text.scope_title, outward(path))))
        )
        self._plain_shape = cache(lambda shape: plain(text.shape(shape)) or "scalar")
        self._keys = [self._keys_of(node, node == loss) for node in range(len(self.graph))]

    def fits(self, session: Session) -> bool:
        """Whether it still answers for what is shown."""
        return (
            session.recording is not None
            and self.topology is session.topology
            and self.notation == session.notation
            and self.language == text.language()
        )

    def _keys_of(self, node: int, is_loss: bool) -> Keys:
        graph = self.graph
        name = graph.names[node]
        label = str(playback.node_label(graph, node, self.notation)) if name else ""
        names = tuple(dict.fromkeys((plain(label), plain(name)))) if name else ()
        made_by = graph.ops[node]
        op = self._plain_words(
            (made_by.name, made_by.symbol) if made_by else kind_words(str(graph.kinds[node]))
        )
        if is_loss:
            op += ("loss", plain(tr("loss")))
        scope = self._plain_scope(scope_of(self.topology, node))
        time = "" if graph.times[node] is None else str(graph.times[node])
        shape = self._plain_shape(graph.values[node].shape)
        return Keys(names, op, scope, shape, time, "\n".join((*names, *op, *scope, shape)))

    def find(self, query: str, most: int | None = None) -> list[int]:
        """Nodes that every term of the query fits, the best first, then in the order of computing.

        A term is a word, or one of `name:` `op:` `scope:` `shape:` `t=` with a word; `3x4` is a shape.
        """
        terms = [_term(word) for word in plain(query).replace("t = ", "t=").split()]
        if not terms:
            return []
        scored = []
        for node, keys in enumerate(self._keys):
            score = _score(keys, terms)
            if score:
                scored.append((-score, node))
        return [node for _, node in sorted(scored)[:most]]


def _term(word: str) -> tuple[str, str]:
    """(field, word); the field is empty for a word that may stand anywhere."""
    found = _TERM.fullmatch(word)
    if found:
        return ("t" if found[1] == "time" else found[1]), found[2]
    return ("shape", word) if _SHAPE.fullmatch(word) else ("", word)


def _score(keys: Keys, terms: Iterable[tuple[str, str]]) -> float:
    """Sum over the terms, 0 when one of them does not fit."""
    total = 0.0
    for field, word in terms:
        if field:
            if not _FIELDS[field](keys, word):
                return 0.0
            total += INSIDE
        elif word not in keys.everything:
            return 0.0
        elif word in keys.names:
            total += WHOLE
        elif any(name.startswith(word) for name in keys.names):
            total += AT_START
        else:
            total += AT_WORD if word in keys.op else INSIDE
    return total


def node_kind(graph: Graph, node: int) -> tuple[str, ...]:
    """What a node is, in English and in the present language: an op's name, or the kind of a leaf."""
    op = graph.ops[node]
    return (op.name,) if op is not None else kind_words(str(graph.kinds[node]))


def kind_words(kind: str) -> tuple[str, str]:
    """The kind of a leaf, in English and in the present language."""
    kinds = {
        "parameter": tr("parameter"),
        "input": tr("input"),
        "target": tr("target"),
        "constant": tr("constant"),
    }
    return kind, kinds[kind]


_scopes_of: WeakKeyDictionary[Topology, dict[int, str]] = WeakKeyDictionary()


def scope_of(topology: Topology, node: int) -> str:
    """Path of the scope in which a node stands, empty at the top."""
    if topology not in _scopes_of:
        own = (item for item in topology.items if item.consumer is None)
        _scopes_of[topology] = {item.node: "/".join(item.path[:-1]) for item in own}
    return _scopes_of[topology][node]


def outward(path: str) -> list[str]:
    """A scope and the scopes around it, the innermost first: a/b/c, a/b, a."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:k]) for k in range(len(parts), 0, -1)]


def hidden_by(session: Session, node: int) -> frozenset[str]:
    """The folded scopes that hide a node."""
    return session.state.folded & set(outward(scope_of(session.topology, node)))


def hides(session: Session, path: str) -> bool:
    """Whether a scope is folded, or lies inside one that is."""
    return not session.state.folded.isdisjoint(outward(path))


def node_place(session: Session, node: int) -> str:
    """Where and what a node is, in a few words: `tanh · t = 2 · forget gate · 3×1`."""
    graph = session.trace.graph
    path = scope_of(session.topology, node)
    scopes = [text.scope_title(outer) for outer in reversed(outward(path))]
    shape = text.shape(graph.values[node].shape) or tr("a number")
    return " · ".join([node_kind(graph, node)[-1], *scopes[-2:], shape])
