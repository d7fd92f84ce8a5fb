"""The View menu: zoom, folds, looks, and which panels are shown. Knows nothing of how they are drawn."""

from __future__ import annotations

from explorer.model.actions.registry import Host, action, always, has_selection
from explorer.model.finding import hides, outward, scope_of
from explorer.model.layout import ONCE
from explorer.model.text import tr


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


@action("Next theme", "View", "Ctrl+D", icon="theme-dark", enabled=always, separate=True)
def toggle_theme(host: Host) -> None:
    """Change between the light, the dark and the projector theme"""
    host.toggle_theme()


@action("Language: English / 日本語", "View", "Ctrl+L", icon="language", enabled=always)
def next_language(host: Host) -> None:
    """Change the language of the whole window"""
    host.next_language()


@action("Full screen", "View", "F11", icon="fullscreen", enabled=always)
def full_screen(host: Host) -> None:
    """Use the whole screen, or leave it"""
    host.toggle_full_screen()


@action("Find a scene", "View", "Ctrl+G", icon="search", enabled=always, separate=True)
def find_scene(host: Host) -> None:
    """Search the gallery"""
    host.find_scene()


@action("Reset panel layout", "View", enabled=always)
def reset_window(host: Host) -> None:
    """Put every panel back where it was when the window was new"""
    host.reset_window()
