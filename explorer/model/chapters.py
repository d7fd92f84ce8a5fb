"""The chapters that are shown, the scene's and then the user's own, and what users do to theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from string import Template
from typing import Any

from explorer.model.alterations import leaf_key
from explorer.model.files.limits import LIMITS, without_tags
from explorer.model.session import Session
from explorer.model.state import UserChapter, own_id
from explorer.model.text import language, tr
from scenes.scene import Chapter


@dataclass(frozen=True)
class Page:
    """A chapter as it is shown, in the present language."""

    id: str
    title: str
    text: str  # Markdown
    own: UserChapter | None = None  # where the user wrote it
    frame: tuple[str, ...] = ()  # patterns of scopes and node names to bring into view
    highlight: tuple[str, ...] = ()  # patterns of node names


def pages(session: Session) -> list[Page]:
    """All chapters in their order; none without a scene."""
    return [_page(session, chapter) for chapter in _all(session)]


def page(session: Session, id: str | None = None) -> Page | None:
    """The chapter of that name, by default the one that is read."""
    wanted = session.state.chapter if id is None else id
    return next((_page(session, c) for c in _all(session) if c.id == wanted), None)


def _all(session: Session) -> tuple[Chapter | UserChapter, ...]:
    return (*session.scene.chapters, *session.state.chapters) if session.scene is not None else ()


def _page(session: Session, chapter: Chapter | UserChapter) -> Page:
    if isinstance(chapter, UserChapter):  # tool tips would take tags in it for markup
        return Page(chapter.id, without_tags(chapter.title) or tr("Untitled"), chapter.text, chapter)
    assert session.recording is not None
    values = session.recording.parameters
    frame, highlight = (
        tuple(Template(p).safe_substitute(values) for p in patterns)
        for patterns in (chapter.frame, chapter.highlight)
    )
    title, text = (words.fill(values)[language()] for words in (chapter.title, chapter.text))
    return Page(chapter.id, title, text, None, frame, highlight)


def pointed_at(session: Session, page: Page) -> frozenset[int]:
    """The nodes that a chapter points at; one's own frames them too."""
    assert session.recording is not None
    if page.own is not None:
        return nodes_of(session, page.own.frame)
    names = session.recording.graph.names
    return frozenset(i for i, n in enumerate(names) if n and any(fnmatchcase(n, p) for p in page.highlight))


def nodes_of(session: Session, keys: Iterable[str]) -> frozenset[int]:
    """The nodes that a chapter names, as far as this graph has them."""
    assert session.recording is not None
    names, count = session.recording.graph.names, len(session.recording.graph)
    wanted = set(keys)
    found = {i for i, name in enumerate(names) if name in wanted}
    numbers = (key[1:] for key in wanted if key.startswith("#"))
    return frozenset(found | {int(n) for n in numbers if n.isdecimal() and int(n) < count})


# The user's own


def add(session: Session) -> UserChapter | None:
    """A new chapter of one's own from the present moment on, on the selected nodes; None where there are
    as many as a file can hold."""
    state, loss = session.state, session.trace.forward_end
    if len(state.chapters) >= LIMITS.chapters:
        return None
    start = float(int(state.t))
    stop = float(loss if start < loss else session.end)
    if state.loop is not None:
        start, stop = state.loop
    taken = {c.id for c in _all(session)}
    title = tr("My chapter {number}").format(number=len(state.chapters) + 1)
    chapter = UserChapter(own_id(taken), title, "", start, stop, selected(session))
    session.update(
        chapters=(*state.chapters, chapter), chapter=chapter.id, title=tr("Add a chapter"), playing=False
    )
    return chapter


def selected(session: Session) -> tuple[str, ...]:
    """The selected nodes as a chapter names them."""
    assert session.recording is not None
    graph = session.recording.graph
    return tuple(dict.fromkeys(leaf_key(graph, n) for n in session.state.selection))


def change(session: Session, id: str, **fields: Any) -> None:
    """Change fields of one's own chapter; changes of the same fields in a run are one undo entry."""
    chapters = tuple(replace(c, **fields) if c.id == id else c for c in session.state.chapters)
    if chapters != session.state.chapters:
        merge = f"chapter {id} {' '.join(fields)}"
        session.update(chapters=chapters, title=tr("Edit a chapter"), merge=merge)


def move(session: Session, id: str, by: int) -> None:
    """Exchange one's own chapter with the one before (-1) or after (+1) it."""
    chapters = list(session.state.chapters)
    k = next((k for k, c in enumerate(chapters) if c.id == id), -1)
    if k >= 0 and 0 <= k + by < len(chapters):
        chapters[k], chapters[k + by] = chapters[k + by], chapters[k]
        session.update(chapters=tuple(chapters), title=tr("Move a chapter"))


def delete(session: Session, id: str) -> None:
    """Remove one's own chapter; what stood before it is read then."""
    ids = [c.id for c in _all(session)]
    chapters = tuple(c for c in session.state.chapters if c.id != id)
    if chapters != session.state.chapters:
        left = [other for other in ids if other != id]
        now = session.state.chapter
        if now == id:
            now = left[max(ids.index(id) - 1, 0)] if left else ""
        session.update(chapters=chapters, chapter=now, title=tr("Delete a chapter"))


def write_notes(session: Session, text: str) -> None:
    """The user's notes on the scene; a run of typing is one undo entry."""
    session.update(notes=text, title=tr("Edit the notes"), merge="notes")
