"""The words of tool tips on the picture: what a box, an edge or a title is, with its numbers at this moment.

Knows the session and where things lie in the scene; must know no widget, mouse or zoom.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF

from explorer.model import one_hot, playback, text, what_if
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view import paint


def tip(session: Session, point: QPointF, reach: float) -> str:
    """What is said about a point of the scene, empty where there is nothing. Edges are met within `reach`."""
    layout, graph, frame = session.layout, session.trace.graph, session.frame()
    k = layout.box_at(point.x(), point.y())
    if k is not None:
        box = layout.boxes[k]
        name = playback.node_words(graph, box.node, session.notation)
        lines = [name]
        if box.kind == "scope":
            lines = [text.scope_title(box.scope), tr("click to unfold")]
        elif graph.ops[box.node] is not None:
            lines[0] = f"{name} = {playback.formula_words(graph, box.node, session.notation)}"
        lines += what_if.box_words(session, layout.members.get(k, (box.node,)))
        value, grad = frame.value(k), frame.grad(k)
        lines.append(
            tr("value {value}").format(value=text.array(value))
            if value is not None
            else tr("not computed yet")
        )
        said = one_hot.words(session.words, value) if box.kind != "scope" else ""
        lines += [said] if said else []
        if frame.expected[k]:
            lines.append(
                tr("gradient {value} ({n} of {m} arrived)").format(
                    value=text.array(grad) if grad is not None else "–",
                    n=int(frame.arrived[k]),
                    m=int(frame.expected[k]),
                )
            )
        return "\n".join(lines)
    e = layout.edge_at(point.x(), point.y(), reach)
    if e is not None:
        slope = frame.slope(e)
        consumer, slot = layout.edges[e].members[0]
        source = playback.node_words(graph, graph.inputs[consumer][slot], session.notation)
        target = playback.node_words(graph, consumer, session.notation)
        words = f"{source} → {target}"
        if session.trace.graph.cuts.intersection(layout.edges[e].members):
            words += "\n" + tr("cut: no gradient goes back here")
        return words if slope is None else f"{words}\n∂/∂: {paint.slope_text(slope)}"
    if layout.area_header_at(point.x(), point.y()) is not None:
        return tr("click to fold")
    return ""
