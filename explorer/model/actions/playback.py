"""The Playback menu: to which moment of the steps. How steps run on by themselves is the window's clock's."""

from __future__ import annotations

from explorer.model import chapters, playback
from explorer.model.actions.registry import Host, action
from explorer.model.session import Session


@action("Play or pause", "Playback", "Space", icon="play")
def play(host: Host) -> None:
    """Let the steps run; at the end it starts again"""
    session = host.session
    if session.state.playing:
        session.update(playing=False)
    else:
        again = session.state.t >= session.end and not session.more
        session.update(playing=True, t=0.0 if again else session.state.t)


def go(host: Host, t: float) -> None:
    """To a moment, where playing rests."""
    host.session.update(t=t, playing=False)


@action("Step forward", "Playback", "Right", icon="step-forward", separate=True)
def step_forward(host: Host) -> None:
    """Take one step; at the end of a pass in training, on to the next update"""
    host.session.update(playing=False, **playback.forward(host.session))


@action("Step back", "Playback", "Left", icon="step-back")
def step_back(host: Host) -> None:
    """Go back one step; at the start of a pass in training, to the update before"""
    host.session.update(playing=False, **playback.back(host.session))


@action("Next scope", "Playback", "Shift+Right", icon="step-scope-forward")
def next_scope(host: Host) -> None:
    """Run to the next scope"""
    marks = playback.boundaries(host.session.trace, "scope")
    go(host, playback.next_mark(marks, host.session.state.t))


@action("Previous scope", "Playback", "Shift+Left", icon="step-scope-back")
def previous_scope(host: Host) -> None:
    """Go back to where this scope's turn began"""
    marks = playback.boundaries(host.session.trace, "scope")
    go(host, playback.previous_mark(marks, host.session.state.t))


@action("Next time step", "Playback", "Ctrl+Right")
def next_time(host: Host) -> None:
    """Run to the next time step of the network"""
    marks = playback.boundaries(host.session.trace, "time")
    go(host, playback.next_mark(marks, host.session.state.t))


@action("Previous time step", "Playback", "Ctrl+Left")
def previous_time(host: Host) -> None:
    """Go back one time step of the network"""
    marks = playback.boundaries(host.session.trace, "time")
    go(host, playback.previous_mark(marks, host.session.state.t))


@action("Go to start", "Playback", "Home", icon="skip-start", separate=True)
def first(host: Host) -> None:
    """Go to before anything is computed"""
    go(host, 0.0)


@action("Go to end", "Playback", "End", icon="skip-end")
def last(host: Host) -> None:
    """Go to when every gradient has arrived"""
    go(host, float(host.session.end))


@action("Faster", "Playback", ".", separate=True)
def faster(host: Host) -> None:
    """Play at the next higher speed"""
    _change_speed(host, +1)


@action("Slower", "Playback", ",")
def slower(host: Host) -> None:
    """Play at the next lower speed"""
    _change_speed(host, -1)


def _change_speed(host: Host, by: int) -> None:
    speeds = playback.SPEEDS
    now = min(range(len(speeds)), key=lambda k: abs(speeds[k] - host.session.state.speed))
    host.session.update(speed=speeds[min(max(now + by, 0), len(speeds) - 1)])


@action("Loop this chapter", "Playback", "L", icon="loop")
def loop(host: Host) -> None:
    """Repeat the chapter, or stop repeating"""
    session = host.session
    if session.state.loop is not None:
        session.update(loop=None)
        return
    read = chapters.page(session)
    a, b = session.chapter_range(read.id) if read else (0, session.end)
    session.update(loop=(float(a), float(b)) if b > a else None)


@action("Next chapter", "Playback", "PgDown", separate=True)
def next_chapter(host: Host) -> None:
    """Go to the beginning of the next chapter"""
    _turn_page(host, +1)


@action("Previous chapter", "Playback", "PgUp")
def previous_chapter(host: Host) -> None:
    """Go to the beginning of the chapter before"""
    _turn_page(host, -1)


def _turn_page(host: Host, by: int) -> None:
    session = host.session
    ids = [p.id for p in chapters.pages(session)]
    if ids:
        now = (
            ids.index(session.state.chapter) if session.state.chapter in ids else (-1 if by > 0 else len(ids))
        )
        open_chapter(session, ids[min(max(now + by, 0), len(ids) - 1)])


def open_chapter(session: Session, id: str) -> None:
    """Go to the beginning of a chapter."""
    start, stop = session.chapter_range(id)
    loop = (float(start), float(stop)) if session.state.loop is not None and stop > start else None
    session.update(chapter=id, t=float(start), playing=False, loop=loop)
