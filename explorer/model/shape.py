"""The picture's geometry in JSON's types, as `backstep layout` writes it."""

from __future__ import annotations

from typing import Any

from autograd import Graph
from explorer.model.session import Session


def geometry(session: Session) -> dict[str, Any]:
    """Where everything is, in JSON's types: x and y are top left corners, y runs downwards."""
    layout, graph = session.layout, session.trace.graph
    boxes = []
    for b in layout.boxes:
        rect = {"x": b.x - b.w / 2, "y": b.y - b.h / 2, "w": b.w, "h": b.h}
        if b.kind == "scope":
            boxes.append({"id": None, "scope": b.scope, "kind": b.kind, **rect, "visible": True})
            continue
        entry = _node_entry(graph, b.node) | {
            "scope": b.scope or None,
            "kind": b.kind,
            **rect,
            "visible": True,
        }
        if b.consumer is not None:
            entry["alias_of_use"] = b.consumer
        boxes.append(entry)
    for k, nodes in layout.members.items():
        place = {name: boxes[k][name] for name in ("scope", "x", "y", "w", "h")}
        boxes += [_node_entry(graph, n) | {"kind": "node", **place, "visible": False} for n in nodes]
    areas = {a.scope: a for a in layout.areas}
    sequences = [s for s in dict.fromkeys(c.scope for c in layout.columns) if s in areas]
    return {
        "scene": session.state.scene,
        "bounds": list(layout.bounds),
        "boxes": boxes,
        "edges": [
            {
                "from": e.source,
                "to": e.target,
                "from_node": graph.inputs[e.members[0][0]][e.members[0][1]],
                "to_node": e.members[0][0],
                "polyline": e.points.tolist(),
                "state_line": bool(e.state_line),
            }
            for e in layout.edges
        ],
        "columns": [{"scope": c.scope, "time": c.time, "x0": c.x0, "x1": c.x1} for c in layout.columns],
        "lanes": [{"scope": s, "y0": areas[s].y0, "y1": areas[s].y1} for s in sequences],
    }


def _node_entry(graph: Graph, node: int) -> dict[str, Any]:
    return {"id": node, "name": graph.names[node], "time": graph.times[node]}
