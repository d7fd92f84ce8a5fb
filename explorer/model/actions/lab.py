"""The Lab menu: what if. It finds what is meant in the selection; holding and cutting are the session's."""

from __future__ import annotations

from collections.abc import Callable

from autograd import Graph
from explorer.model.actions.playback import go
from explorer.model.actions.registry import Host, action, has_selection
from explorer.model.breakpoints import first_hit


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
    go(host, float(hit.at if hit else trace.end))


@action("Compare…", "Lab", "Shift+C", icon="compare", separate=True)
def compare(host: Host) -> None:
    """Put another scene, or this one as it is now, beside it; again: end the comparison"""
    host.compare()
