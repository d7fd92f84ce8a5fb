"""What if: the alterations of a session in words, and a typed value as the numbers that a node is held at."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from explorer.model import text
from explorer.model.session import Session
from explorer.model.text import tr
from scenes.scene import SceneError


def summary(session: Session) -> str:
    """How much is altered: `1 held, 2 cut`; empty when nothing is."""
    state = session.state
    parts = (
        (tr("{n} held"), len(state.clamps)),
        (tr("{n} cut"), len(state.cuts)),
        (tr("{n} frozen"), len(state.frozen)),
    )
    return tr(", ").join(words.format(n=n) for words, n in parts if n)


def box_words(session: Session, nodes: Collection[int]) -> list[str]:
    """What is altered of a box, a sentence each; a folded one only says how much of it is."""
    graph = session.trace.graph
    if len(nodes) == 1:
        (node,) = nodes
        lines = [tr("held at {value}").format(value=text.array(graph.values[node]))] * (node in graph.held)
        return lines + [tr("frozen: it gets no gradient")] * (node in graph.frozen)
    held, frozen = (len(some.intersection(nodes)) for some in (graph.held, graph.frozen))
    cut = sum(i in nodes and i not in graph.held for i, _ in graph.cuts)
    parts = ((tr("{n} held"), held), (tr("{n} cut"), cut), (tr("{n} frozen"), frozen))
    words = tr(", ").join(form.format(n=n) for form, n in parts if n)
    return [tr("inside: {words}").format(words=words)] if words else []


def typed_value(words: str, shape: tuple[int, ...]) -> np.ndarray:
    """One number for all elements, or as many as there are, in C order; raises SceneError."""
    cleaned = words.replace("−", "-").translate(str.maketrans("[](),;、，", "        "))
    try:
        numbers = [float(word) for word in cleaned.split()]
    except ValueError:
        raise SceneError(tr("these are no numbers: {words}").format(words=words[:60])) from None
    if len(numbers) == 1:
        return np.full(shape, numbers[0])
    size = int(np.prod(shape))
    if len(numbers) != size:
        raise SceneError(tr("one number is wanted, or {size} of them").format(size=size))
    return np.array(numbers).reshape(shape)
