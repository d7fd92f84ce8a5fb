"""Every user action, one function each. Menus, keys, tool bars, palette, key sheet and tests read `ACTIONS`.

An action gets a Host: the session, and the few things that only a window can do. Knows no widgets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from autograd import Graph
from explorer.model import chapters, playback
from explorer.model.breakpoints import first_hit
from explorer.model.finding import hides, outward, scope_of
from explorer.model.layout import ONCE
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.model.walking import Way

MENUS = ("File", "Edit", "View", "Playback", "Training", "Lab", "Help")
ACTIONS: dict[str, Action] = {}


class Host(Protocol):
    """What a window offers to actions."""

    @property
    def session(self) -> Session: ...
    @property
    def panels(self) -> Any: ...  # by their ids
    def new_expression(self) -> None: ...
    def ask_open(self) -> None: ...
    def save(self) -> None: ...
    def ask_save_as(self) -> None: ...
    def ask_export_picture(self) -> None: ...
    def ask_export_film(self) -> None: ...
    def close_scene(self) -> None: ...
    def quit(self) -> None: ...
    def copy_picture(self) -> None: ...
    def copy_value(self, format: str = ...) -> None: ...
    def find_node(self) -> None: ...
    def ask_hold(self) -> None: ...
    def find_again(self, by: int) -> None: ...
    def reveal(self, node: int) -> None: ...
    def look_closer(self, nodes: Sequence[int]) -> None: ...
    def show_in_outline(self, node: int) -> None: ...
    def open_palette(self) -> None: ...
    def show_preferences(self) -> None: ...
    def show_tour(self) -> None: ...
    def random_seed(self) -> None: ...
    def fit(self) -> None: ...
    def follow(self) -> None: ...
    def zoom_by(self, factor: float) -> None: ...
    def zoom_to_selection(self) -> None: ...
    def walk(self, way: Way) -> None: ...
    @property
    def legend(self) -> bool: ...  # whether it is shown
    def toggle_legend(self) -> None: ...
    def toggle_theme(self) -> None: ...
    def next_language(self) -> None: ...
    def toggle_full_screen(self) -> None: ...
    def reset_window(self) -> None: ...
    def find_scene(self) -> None: ...
    def show_keys(self) -> None: ...
    def compare(self) -> None: ...
    def show_about(self) -> None: ...


Run = Callable[[Host], None]


def menu_title(menu: str) -> str:
    """A menu's name in the present language."""
    return {
        "File": tr("File"),
        "Edit": tr("Edit"),
        "View": tr("View"),
        "Playback": tr("Playback"),
        "Training": tr("Training"),
        "Lab": tr("Lab"),
        "Help": tr("Help"),
    }[menu]


def _always(host: Host) -> bool:
    return True


def has_scene(host: Host) -> bool:
    return host.session.recording is not None


def has_selection(host: Host) -> bool:
    return has_scene(host) and bool(host.session.state.selection)


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
    checked: Callable[[Host], bool] | None = None  # whether it is on, of one that is on or off
    on_canvas: bool = False  # its keys count only while the canvas has the keyboard


def action(
    title: str,
    menu: str,
    *keys: str,
    icon: str = "",
    enabled: Callable[[Host], bool] = has_scene,
    separate: bool = False,
    checked: Callable[[Host], bool] | None = None,
    on_canvas: bool = False,
) -> Callable[[Run], Run]:
    """Put the decorated function on the list; its docstring is the tool tip."""

    def register(run: Run) -> Run:
        name = run.__name__
        tip = (run.__doc__ or "").strip()
        ACTIONS[name] = Action(name, title, menu, keys, icon, tip, run, enabled, separate, checked, on_canvas)
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


@action("Copy value", "Edit", "Ctrl+C", icon="copy", enabled=has_selection, separate=True)
def copy_value(host: Host) -> None:
    """Copy the selected node's value as NumPy code"""
    host.copy_value("NumPy")


@action("Copy value as CSV", "Edit", enabled=has_selection)
def copy_csv(host: Host) -> None:
    """Copy the selected node's value as numbers between commas"""
    host.copy_value("CSV")


@action("Copy value as LaTeX", "Edit", enabled=has_selection)
def copy_latex(host: Host) -> None:
    """Copy the selected node's value as a matrix for LaTeX"""
    host.copy_value("LaTeX")


@action("Copy value as text", "Edit", enabled=has_selection)
def copy_text(host: Host) -> None:
    """Copy the selected node's value as plain columns, as a spreadsheet takes them"""
    host.copy_value("text")


@action("Copy picture", "Edit", "Ctrl+Shift+C")
def copy_picture(host: Host) -> None:
    """Copy what the canvas shows as a picture"""
    host.copy_picture()


@action("Add a chapter", "Edit", "Ctrl+Shift+N", icon="chapters", separate=True)
def add_chapter(host: Host) -> None:
    """Write a chapter of your own, from this moment on and on the selected nodes"""
    host.panels["chapters"].add()


@action("Notes on the scene", "Edit", "Ctrl+Shift+M", icon="note")
def write_notes(host: Host) -> None:
    """Write notes, which are saved with the scene"""
    host.panels["chapters"].write_notes()


@action("Find a node…", "Edit", "Ctrl+F", icon="search", separate=True)
def find_node(host: Host) -> None:
    """Search nodes by name, op, scope, shape or time step"""
    host.find_node()


@action("Find next", "Edit", "F3")
def find_next(host: Host) -> None:
    """Go to the next node that the search found"""
    host.find_again(+1)


@action("Find previous", "Edit", "Shift+F3")
def find_previous(host: Host) -> None:
    """Go to the node that the search found before"""
    host.find_again(-1)


@action("To a consumer", "Edit", "Alt+Right", enabled=has_selection, separate=True, on_canvas=True)
def to_consumer(host: Host) -> None:
    """Go along an edge to a box that uses the selected one"""
    host.walk("consumer")


@action("To an input", "Edit", "Alt+Left", enabled=has_selection, on_canvas=True)
def to_input(host: Host) -> None:
    """Go back along an edge to a box that the selected one is computed from"""
    host.walk("input")


@action("To the box above", "Edit", "Alt+Up", enabled=has_selection, on_canvas=True)
def to_box_above(host: Host) -> None:
    """Go to the nearest box above the selected one"""
    host.walk("above")


@action("To the box below", "Edit", "Alt+Down", enabled=has_selection, on_canvas=True)
def to_box_below(host: Host) -> None:
    """Go to the nearest box below the selected one"""
    host.walk("below")


@action("Preferences…", "Edit", "Ctrl+,", icon="settings", enabled=_always, separate=True)
def show_preferences(host: Host) -> None:
    """Theme, language, numbers, colours, letters and motion"""
    host.show_preferences()


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


@action("Zoom to selection", "View", "Z", icon="zoom-selection", enabled=has_selection)
def zoom_to_selection(host: Host) -> None:
    """Show the selected nodes large"""
    host.zoom_to_selection()


@action("Legend", "View", "Shift+L", checked=lambda h: h.legend)
def legend(host: Host) -> None:
    """Say in a corner of the picture what the colours of values and gradients mean"""
    host.toggle_legend()


@action("Fold everything", "View", "Shift+F", icon="fold", separate=True)
def fold_all(host: Host) -> None:
    """Close every scope inside the time steps, or every scope where there are none"""
    session = host.session
    paths = list(session.topology.scopes)
    inner = [p for p in paths if "t=" in p.rpartition("/")[0]]
    folded = session.state.folded & {ONCE} | frozenset(inner or paths)
    session.update(folded=folded, title="Fold everything")


@action("Unfold everything", "View", "U", icon="unfold")
def unfold_all(host: Host) -> None:
    """Open every scope"""
    host.session.update(folded=host.session.state.folded & {ONCE}, title="Unfold everything")


@action("Roll up time", "View", "R", icon="loop", enabled=lambda h: bool(h.session.rolls))
def roll_time(host: Host) -> None:
    """Show a recurrent network as one cell with its loops, at the time step of the moment; and back"""
    session = host.session
    rolled = session.state.folded & session.rolls
    folded = session.state.folded - rolled if rolled else session.state.folded | session.rolls
    session.update(folded=folded, title=tr("Unroll time") if rolled else tr("Roll up time"))


@action("Look inside", "View", "X", enabled=has_selection)
def look_inside(host: Host) -> None:
    """Show the selected operations scalar by scalar, with the same numbers; Backspace returns"""
    host.look_closer(host.session.state.selection)


@action("Look inside the scope", "View", "Shift+X", enabled=has_selection)
def look_inside_scope(host: Host) -> None:
    """Show everything in the scope of the selected node, a cell or a layer, scalar by scalar"""
    session = host.session
    scope = scope_of(session.topology, session.state.selection[-1])
    path = session.topology.scopes.get(scope, ())
    inside = [i for i in session.topology.items if i.path[: len(path)] == path and i.consumer is None]
    host.look_closer([item.node for item in inside])


@action("Draw shared parameters once", "View", "B")
def draw_once(host: Host) -> None:
    """One box for each shared parameter with lines to all of its uses, or a small copy next to each use"""
    session = host.session
    once = ONCE in session.state.folded
    title = tr("Draw shared parameters at each use") if once else tr("Draw shared parameters once")
    session.update(folded=session.state.folded ^ {ONCE}, title=title)


@action("Fold around the selection", "View", "C", enabled=has_selection)
def fold_around(host: Host) -> None:
    """Close the scope in which the selected node stands; again, the one around it"""
    session = host.session
    around = outward(scope_of(session.topology, session.state.selection[-1]))
    inner = next((path for path in around if not hides(session, path)), None)
    if inner is not None:
        session.fold(inner, True)


@action("Bring the selection into view", "View", "V", enabled=has_selection)
def reveal(host: Host) -> None:
    """Unfold what hides the selected node, and move there"""
    host.reveal(host.session.state.selection[-1])


@action("Show in outline", "View", "O", enabled=has_selection)
def show_in_outline(host: Host) -> None:
    """Find the selected node in the list of all nodes"""
    host.show_in_outline(host.session.state.selection[-1])


@action("Gradient flow over time", "View", "Ctrl+1", icon="chart", separate=True)
def lab_flow(host: Host) -> None:
    """Norms of the gradient against time, while it comes back, and how fast they decay"""
    host.panels["lab"].show_view("flow")


@action("Contributions through time", "View", "Ctrl+2", icon="histogram")
def lab_contributions(host: Host) -> None:
    """What each time step, and each loss, adds to the gradient of a shared weight"""
    host.panels["lab"].show_view("contributions")


@action("Strongest paths", "View", "Ctrl+3", icon="path")
def lab_paths(host: Host) -> None:
    """The ways that a gradient takes, with the product of local derivatives on each"""
    host.panels["lab"].show_view("paths")


@action("Jacobians of the state", "View", "Ctrl+4", icon="graph")
def lab_jacobian(host: Host) -> None:
    """How much each state depends on the earlier ones; scale the recurrent matrix through 1"""
    host.panels["lab"].show_view("jacobian")


@action("Constant error carousel", "View", "Ctrl+8", icon="graph")
def lab_carousel(host: Host) -> None:
    """What a cell state keeps of its gradient along its own line, and by every way"""
    host.panels["lab"].show_view("carousel")


@action("Proofs", "View", "Ctrl+5", icon="formula")
def lab_proofs(host: Host) -> None:
    """Every closed form beside the engine's number, and the misprints of the notes"""
    host.panels["lab"].show_view("proofs")


@action("Gradient check", "View", "Ctrl+6", icon="check")
def lab_check(host: Host) -> None:
    """Backpropagation against finite differences for every step size"""
    host.panels["lab"].show_view("check")


@action("Plot of the scene", "View", "Ctrl+7", icon="chart")
def show_plot(host: Host) -> None:
    """The picture that the scene is best understood by: curves, tracks or histograms"""
    host.panels["plot"].show_panel()


@action("Next theme", "View", "Ctrl+D", icon="theme-dark", enabled=_always, separate=True)
def toggle_theme(host: Host) -> None:
    """Change between the light, the dark and the projector theme"""
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
        again = session.state.t >= session.end and not session.more
        session.update(playing=True, t=0.0 if again else session.state.t)


def _go(host: Host, t: float) -> None:
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


# Training


def can_train(host: Host) -> bool:
    recording = host.session.recording
    return recording is not None and bool(recording.graph.leaves("parameter"))


def in_training(host: Host) -> bool:
    return host.session.state.recipe is not None


@action("Training panel", "Training", "Ctrl+Shift+T", icon="train", enabled=can_train)
def show_training(host: Host) -> None:
    """Choose how the scene is trained, and watch it learn"""
    host.panels["training"].show_panel()


@action("Train or pause", "Training", "Ctrl+T", enabled=can_train, separate=True)
def train(host: Host) -> None:
    """Take updates at full speed as far as the recipe says, or pause"""
    host.panels["training"].toggle()


@action("Cancel training", "Training", enabled=in_training)
def cancel_training(host: Host) -> None:
    """Stop, and go back to where training was started from"""
    host.panels["training"].cancel()


def _go_to_update(host: Host, update: int) -> None:
    """Training that runs pauses; what is shown is what was asked for."""
    host.panels["training"].pause()
    host.session.update(update=update, playing=False)


@action("Next update", "Training", "Ctrl+Shift+Right", enabled=in_training, separate=True)
def next_update(host: Host) -> None:
    """Go to the next batch, with the parameters after this update"""
    _go_to_update(host, host.session.state.update + 1)


@action("Previous update", "Training", "Ctrl+Shift+Left", enabled=in_training)
def previous_update(host: Host) -> None:
    """Go back to the batch before"""
    _go_to_update(host, host.session.state.update - 1)


@action("Go to the first epoch", "Training", "Ctrl+Home", enabled=in_training, separate=True)
def first_epoch(host: Host) -> None:
    """Go to before the first update"""
    _go_to_update(host, 0)


@action("Go to the best epoch", "Training", "Ctrl+B", enabled=in_training)
def best_epoch(host: Host) -> None:
    """Go to where the validation loss is lowest so far, the training loss where there is no other"""
    training = host.session.training
    assert training is not None
    _go_to_update(host, training.best * training.per_epoch)


@action("Go to the last epoch", "Training", "Ctrl+End", enabled=in_training)
def last_epoch(host: Host) -> None:
    """Go to where training has come to"""
    training = host.session.training
    assert training is not None
    _go_to_update(host, training.head.update)


@action("Leave training", "Training", enabled=in_training, separate=True)
def leave_training(host: Host) -> None:
    """Show the scene as it is without training"""
    host.session.update(recipe=None, title=tr("Leave training"))


# Lab


def _chosen(host: Host, wanted: Callable[[Graph, int], bool]) -> list[int]:
    """The selected nodes of a kind."""
    session = host.session
    if session.recording is None:
        return []
    return [n for n in session.state.selection if wanted(session.trace.graph, n)]


def _computed(host: Host) -> list[int]:
    return _chosen(host, lambda graph, n: graph.ops[n] is not None)


def _held(host: Host) -> list[int]:
    return _chosen(host, lambda graph, n: n in graph.held)


def _leaves(host: Host) -> list[int]:
    """Selected leaves that get a gradient."""
    kinds = ("parameter", "input")
    return _chosen(host, lambda graph, n: graph.kinds[n] in kinds and n not in graph.frozen)


def _frozen(host: Host) -> list[int]:
    return _chosen(host, lambda graph, n: n in graph.frozen)


def _edges(host: Host, cut: bool) -> list[tuple[int, int]]:
    """Edges between selected nodes that are cut, or that are not."""
    session = host.session
    chosen = set(session.state.selection) if session.recording is not None else set()
    graph = session.trace.graph if chosen else None
    return [
        (i, k)
        for i in chosen
        if graph is not None and i not in graph.held
        for k, j in enumerate(graph.inputs[i])
        if j in chosen and ((i, k) in graph.cuts) == cut
    ]


@action("Hold at a constant…", "Lab", "H", icon="pin", enabled=lambda h: bool(_computed(h)))
def hold(host: Host) -> None:
    """Hold the selected results at numbers of your own, whatever their inputs are"""
    host.ask_hold()


@action("Hold at 0", "Lab", enabled=lambda h: bool(_computed(h)))
def hold_at_zero(host: Host) -> None:
    """Hold the selected results at 0: a gate is shut"""
    host.session.hold(_computed(host), 0.0)


@action("Hold at 1", "Lab", enabled=lambda h: bool(_computed(h)))
def hold_at_one(host: Host) -> None:
    """Hold the selected results at 1: a gate is wide open"""
    host.session.hold(_computed(host), 1.0)


@action("Hold at the present value", "Lab", enabled=lambda h: bool(_computed(h)))
def hold_as_it_is(host: Host) -> None:
    """Hold the selected results at what they are now"""
    host.session.hold_as_they_are(_computed(host))


@action("Let go", "Lab", enabled=lambda h: bool(_held(h)))
def let_go(host: Host) -> None:
    """Have the held results computed again"""
    host.session.let_go(_held(host))


@action("Cut the gradient", "Lab", icon="cut", enabled=lambda h: bool(_edges(h, cut=False)), separate=True)
def cut_gradient(host: Host) -> None:
    """Let no gradient go back between the selected nodes"""
    host.session.cut(_edges(host, cut=False))


@action("Mend the gradient", "Lab", enabled=lambda h: bool(_edges(h, cut=True)))
def mend_gradient(host: Host) -> None:
    """Let the gradient go back again between the selected nodes"""
    host.session.cut(_edges(host, cut=True), False)


@action("Freeze", "Lab", icon="lock", enabled=lambda h: bool(_leaves(h)), separate=True)
def freeze(host: Host) -> None:
    """Compute no gradient for the selected parameters; training does not move them"""
    host.session.freeze(_leaves(host))


@action("Thaw", "Lab", enabled=lambda h: bool(_frozen(h)))
def thaw(host: Host) -> None:
    """Compute gradients for the selected parameters again"""
    host.session.freeze(_frozen(host), False)


@action("Restore the scene", "Lab", icon="reset", enabled=lambda h: h.session.altered, separate=True)
def restore_scene(host: Host) -> None:
    """Let go of what is held, mend what is cut, thaw what is frozen"""
    host.session.restore()


@action("Breakpoints", "Lab", "Ctrl+F8", icon="breakpoint", separate=True)
def show_breakpoints(host: Host) -> None:
    """Conditions on gradients and values at which playing stops"""
    host.panels["breakpoints"].show_up()


@action("Add a breakpoint", "Lab", "Shift+F8", enabled=has_selection)
def add_breakpoint(host: Host) -> None:
    """Stop when the gradient of the selected node is below a bound, to be set in the list"""
    host.panels["breakpoints"].add()


@action("Run to the next breakpoint", "Lab", "F8", enabled=lambda h: bool(h.session.state.breakpoints))
def run_to_breakpoint(host: Host) -> None:
    """Go on to the first moment at which a breakpoint holds, or to the end"""
    state, trace = host.session.state, host.session.trace
    hit = first_hit(trace, state.breakpoints, state.t, trace.end)
    _go(host, float(hit.at if hit else trace.end))


@action("Compare…", "Lab", "Shift+C", icon="compare", separate=True)
def compare(host: Host) -> None:
    """Put another scene, or this one as it is now, beside it; again: end the comparison"""
    host.compare()


# Help


@action("Command palette", "Help", "Ctrl+K", icon="command", enabled=_always)
def open_palette(host: Host) -> None:
    """Everything by typing: actions, scenes, nodes, recent files"""
    host.open_palette()


@action("Tour", "Help", icon="help")
def show_tour(host: Host) -> None:
    """Five hints about this window"""
    host.show_tour()


@action("Keys", "Help", "F1", icon="keyboard", enabled=_always)
def show_keys(host: Host) -> None:
    """Every action with its key"""
    host.show_keys()


@action("About Backstep", "Help", icon="info", enabled=_always)
def show_about(host: Host) -> None:
    """Version, licence, and where the fonts and icons come from"""
    host.show_about()
