"""The textbook layout in two stages: `Topology` once per graph, `lay_out` once per folding state."""

from explorer.model.layout.geometry import Area, Box, Column, Edge, Layout
from explorer.model.layout.metric import lay_out
from explorer.model.layout.topology import ONCE, Topology

__all__ = ["ONCE", "Area", "Box", "Column", "Edge", "Layout", "Topology", "lay_out"]
