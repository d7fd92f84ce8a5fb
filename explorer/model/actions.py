"""Every user action, one function each. Menus, keys, tool bars, the keyboard sheet and tests read `ACTIONS`.

An action gets a Host: the session, and the few things that only a window can do. Knows no widgets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from explorer.model import playback
from explorer.model.session import Session

MENUS = ("File", "Edit", "View", "Playback", "Help")
ACTIONS: dict[str, Action] = {}


class Host(Protocol):
    """What a window offers to actions."""

    @property
    def session(self) -> Session: ...
    def new_expression(self) -> None: ...
    def ask_open(self) -> None: ...
    def save(self) -> None: ...
    def ask_save_as(self) -> None: ...
    def ask_export_picture(self) -> None: ...
    def ask_export_film(self) -> None: ...
    def close_scene(self) -> None: ...
    def quit(self) -> None: ...
    def copy_picture(self) -> None: ...
    def copy_value(self) -> None: ...
    def random_seed(self) -> None: ...
    def fit(self) -> None: ...
    def follow(self) -> None: ...
    def zoom_by(self, factor: float) -> None: ...
    def zoom_to_selection(self) -> None: ...
    def toggle_theme(self) -> None: ...
    def next_language(self) -> None: ...
    def toggle_full_screen(self) -> None: ...
    def reset_window(self) -> None: ...
    def find_scene(self) -> None: ...
    def show_keys(self) -> None: ...
    def show_about(self) -> None: ...


Run = Callable[[Host], None]


def _always(host: Host) -> bool:
    return True


def has_scene(host: Host) -> bool:
    return host.session.recording is not None


@dataclass(frozen=True)
class Action:
    """One thing that a user can do. Texts are English; they are translated where they are shown."""

    id: str
    title: str
    menu: str
    keys: tuple[str, ...]
    icon: str
    tip: str
    run: Run
    enabled: Callable[[Host], bool]
    separate: bool  # a line above it in the menu


def action(
    title: str,
    menu: str,
    *keys: str,
    icon: str = "",
    enabled: Callable[[Host], bool] = has_scene,
    separate: bool = False,
) -> Callable[[Run], Run]:
    """Put the decorated function on the list; its docstring is the tool tip."""

    def register(run: Run) -> Run:
        name = run.__name__
        ACTIONS[name] = Action(
            name, title, menu, keys, icon, (run.__doc__ or "").strip(), run, enabled, separate
        )
        return run

    return register


# File


@action("New expression…", "File", "Ctrl+N", icon="new", enabled=_always)
def new_expression(host: Host) -> None:
    """Type any formula and watch it computed and differentiated"""
    host.new_expression()


@action("Open…", "File", "Ctrl+O", icon="open", enabled=_always)
def open_file(host: Host) -> None:
    """Open a scene file"""
    host.ask_open()


@action("Save", "File", "Ctrl+S", icon="save", separate=True)
def save(host: Host) -> None:
    """Save the scene with your values, folds and place on the timeline"""
    host.save()


@action("Save as…", "File", "Ctrl+Shift+S", icon="save-as")
def save_as(host: Host) -> None:
    """Save the scene under another name"""
    host.ask_save_as()


@action("Export picture…", "File", "Ctrl+E", icon="export-picture", separate=True)
def export_picture(host: Host) -> None:
    """Write the whole graph at this moment as PNG, SVG or PDF"""
    host.ask_export_picture()


@action("Export film…", "File", "Ctrl+Shift+E", icon="export-film")
def export_film(host: Host) -> None:
    """Film the whole pass, or the loop, as MP4, GIF or WebP"""
    host.ask_export_film()


@action("Start page", "File", "Ctrl+W", icon="home", separate=True)
def close_scene(host: Host) -> None:
    """Close the scene and go back to the start page"""
    host.close_scene()


@action("Quit", "File", "Ctrl+Q", enabled=_always)
def quit_app(host: Host) -> None:
    """Close the window"""
    host.quit()


# Edit


@action("Undo", "Edit", "Ctrl+Z", icon="undo", enabled=lambda h: bool(h.session.undo_title))
def undo(host: Host) -> None:
    """Take back the last change of the scene; playback is not touched"""
    host.session.undo()


@action("Redo", "Edit", "Ctrl+Shift+Z", "Ctrl+Y", icon="redo", enabled=lambda h: bool(h.session.redo_title))
def redo(host: Host) -> None:
    """Make the last undone change again"""
    host.session.redo()


@action("Reset values", "Edit", icon="reset", enabled=lambda h: bool(h.session.state.edits), separate=True)
def reset_values(host: Host) -> None:
    """Give every leaf back the value that the seed drew"""
    host.session.reset_edits()


@action("New random values", "Edit", "Ctrl+R", icon="random")
def random_seed(host: Host) -> None:
    """Draw new values for all leaves with another seed"""
    host.random_seed()


@action(
    "Copy value",
    "Edit",
    "Ctrl+C",
    icon="copy",
    enabled=lambda h: bool(h.session.state.selection),
    separate=True,
)
def copy_value(host: Host) -> None:
    """Copy the selected node's value as NumPy code"""
    host.copy_value()


@action("Copy picture", "Edit", "Ctrl+Shift+C")
def copy_picture(host: Host) -> None:
    """Copy what the canvas shows as a picture"""
    host.copy_picture()


# View


@action("Fit to window", "View", "F", icon="fit")
def fit(host: Host) -> None:
    """Show the whole graph"""
    host.fit()


@action("Follow the steps", "View", "G", icon="eye")
def follow(host: Host) -> None:
    """Leave the view to the playback"""
    host.follow()


@action("Zoom in", "View", "+", "=", icon="zoom-in")
def zoom_in(host: Host) -> None:
    """Enlarge the picture"""
    host.zoom_by(1.25)


@action("Zoom out", "View", "-", icon="zoom-out")
def zoom_out(host: Host) -> None:
    """Shrink the picture"""
    host.zoom_by(0.8)


@action(
    "Zoom to selection", "View", "Z", icon="zoom-selection", enabled=lambda h: bool(h.session.state.selection)
)
def zoom_to_selection(host: Host) -> None:
    """Show the selected nodes large"""
    host.zoom_to_selection()


@action("Fold everything", "View", "Shift+F", icon="fold", separate=True)
def fold_all(host: Host) -> None:
    """Close every scope inside the time steps, or every scope where there are none"""
    session = host.session
    paths = list(session.topology.scopes)
    inner = [p for p in paths if "t=" in p.rpartition("/")[0]]
    session.update(folded=frozenset(inner or paths), title="Fold everything")


@action("Unfold everything", "View", "U", icon="unfold")
def unfold_all(host: Host) -> None:
    """Open every scope"""
    host.session.update(folded=frozenset(), title="Unfold everything")


@action("Light or dark", "View", "Ctrl+D", icon="theme-dark", enabled=_always, separate=True)
def toggle_theme(host: Host) -> None:
    """Change between the light and the dark theme"""
    host.toggle_theme()


@action("Language: English / 日本語", "View", "Ctrl+L", icon="language", enabled=_always)
def next_language(host: Host) -> None:
    """Change the language of the whole window"""
    host.next_language()


@action("Full screen", "View", "F11", icon="fullscreen", enabled=_always)
def full_screen(host: Host) -> None:
    """Use the whole screen, or leave it"""
    host.toggle_full_screen()


@action("Find a scene", "View", "Ctrl+G", icon="search", enabled=_always, separate=True)
def find_scene(host: Host) -> None:
    """Search the gallery"""
    host.find_scene()


@action("Reset panel layout", "View", enabled=_always)
def reset_window(host: Host) -> None:
    """Put every panel back where it was when the window was new"""
    host.reset_window()


# Playback


@action("Play or pause", "Playback", "Space", icon="play")
def play(host: Host) -> None:
    """Let the steps run; at the end it starts again"""
    session = host.session
    if session.state.playing:
        session.update(playing=False)
    else:
        t = 0.0 if session.state.t >= session.end else session.state.t
        session.update(playing=True, t=t)


def _go(host: Host, t: float) -> None:
    host.session.update(t=t, playing=False)


@action("Step forward", "Playback", "Right", icon="step-forward", separate=True)
def step_forward(host: Host) -> None:
    """Take one step"""
    _go(host, playback.next_step(host.session.state.t, host.session.end))


@action("Step back", "Playback", "Left", icon="step-back")
def step_back(host: Host) -> None:
    """Go back one step"""
    _go(host, playback.previous_step(host.session.state.t))


@action("Next scope", "Playback", "Shift+Right", icon="step-scope-forward")
def next_scope(host: Host) -> None:
    """Run to the next scope"""
    marks = playback.boundaries(host.session.trace, "scope")
    _go(host, playback.next_mark(marks, host.session.state.t))


@action("Previous scope", "Playback", "Shift+Left", icon="step-scope-back")
def previous_scope(host: Host) -> None:
    """Go back to where this scope's turn began"""
    marks = playback.boundaries(host.session.trace, "scope")
    _go(host, playback.previous_mark(marks, host.session.state.t))


@action("Next time step", "Playback", "Ctrl+Right")
def next_time(host: Host) -> None:
    """Run to the next time step of the network"""
    marks = playback.boundaries(host.session.trace, "time")
    _go(host, playback.next_mark(marks, host.session.state.t))


@action("Previous time step", "Playback", "Ctrl+Left")
def previous_time(host: Host) -> None:
    """Go back one time step of the network"""
    marks = playback.boundaries(host.session.trace, "time")
    _go(host, playback.previous_mark(marks, host.session.state.t))


@action("Go to start", "Playback", "Home", icon="skip-start", separate=True)
def first(host: Host) -> None:
    """Go to before anything is computed"""
    _go(host, 0.0)


@action("Go to end", "Playback", "End", icon="skip-end")
def last(host: Host) -> None:
    """Go to when every gradient has arrived"""
    _go(host, float(host.session.end))


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
    a, b = session.chapter_range(session.state.chapter) if session.state.chapter else (0, session.end)
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
    assert session.scene is not None
    ids = [c.id for c in session.scene.chapters]
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


# Help


@action("Keys", "Help", "F1", icon="keyboard", enabled=_always)
def show_keys(host: Host) -> None:
    """Every action with its key"""
    host.show_keys()


@action("About Backstep", "Help", icon="info", enabled=_always)
def show_about(host: Host) -> None:
    """Version, licence, and where the fonts and icons come from"""
    host.show_about()
