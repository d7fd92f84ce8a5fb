"""Backstep, the application: a model without a screen, and a view on it.

    import explorer
    session = explorer.open_session("lstm", T=5)
    explorer.show(loss)          # a window on a graph recorded with `autograd`

After `import explorer` a graph draws itself as SVG in a notebook. Imports nothing heavy by itself.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograd import Graph, Tensor
    from explorer.model.session import Session

__all__ = ["open_session", "show"]


def open_session(target: str, **parameters: Any) -> Session:
    """A session without a screen on a catalogue scene or a scene file; `seed=` sets the seed."""
    from explorer.model.session import open_session as opened

    return opened(target, **parameters)


def show(what: Tensor | Graph, *, block: bool = True) -> Any:
    """Open the window on a graph that you recorded, from a script, a REPL or a notebook.

    A Tensor is taken as the loss, of a Graph the last node. With `block=False` the window is returned at
    once and somebody else has to run Qt's event loop. Raises ValueError when the loss is not a scalar.
    """
    from autograd import Graph
    from explorer.app import make_application
    from explorer.model.session import Session
    from explorer.view.window import Window

    loss = what.nodes[-1] if isinstance(what, Graph) else what
    session = Session()
    session.open_graph(loss.graph, loss)
    app = make_application()
    window = Window(session)
    window.show()
    if block:
        app.exec()
    return window


def graph_svg(graph: Graph) -> str:
    """The whole graph with every value and gradient, as SVG."""
    from explorer.model.session import Session
    from explorer.view import exporters, paint
    from explorer.view.theme import LIGHT

    session = Session()
    session.open_graph(graph, graph.nodes[-1])
    source = exporters.Source.of(session)
    exporters.application()
    frame = source.frame(session.end)
    value_limit, gradient_limit = paint.limits(frame)
    look = paint.Look(LIGHT, source.notation, value_limit=value_limit, gradient_limit=gradient_limit)
    whole = paint.bounds(frame)
    width, height = round(whole.width()) + 24, round(whole.height()) + 24
    return exporters.svg(
        lambda painter: exporters.still(painter, source, look, width, height, session.end),
        width,
        height,
        "Backstep",
        source.words(session.end),
    )


def _register_in_notebooks() -> None:
    """Graphs draw themselves. By name in IPython, so that importing this costs no import of the engine."""
    engine = sys.modules.get("autograd.graph")
    if engine is not None:
        engine.Graph._repr_svg_ = graph_svg
    shell = sys.modules.get("IPython")
    if shell is not None and (ip := shell.get_ipython()) is not None:
        ip.display_formatter.formatters["image/svg+xml"].for_type_by_name(
            "autograd.graph", "Graph", graph_svg
        )


_register_in_notebooks()
