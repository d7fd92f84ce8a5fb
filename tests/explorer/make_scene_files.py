"""Writes the corpus of scene files of the present version: `python -m tests.explorer.make_scene_files`.

The files of a released version stay as they are for good: every later version must open them.
"""

from pathlib import Path

import autograd as ag
from explorer.model.files import encode
from explorer.model.files.schema import VERSION
from explorer.model.session import Session, open_session
from tests.soak import full_state

FOLDER = Path(__file__).parent / "scene_files"


def own_graph():
    """A session on a graph with leaves, scopes, time, and attributes of every kind."""
    with ag.Graph() as graph:
        w = ag.tensor([[0.5, -0.25, 0.1], [1.0, 2.0, -1.0]], name="W")
        x = ag.tensor([1.0, 2.0, 3.0], name="x", kind="input")
        h = ag.tensor(0.0, name="h_0", kind="constant")
        for t in (1, 2):
            with ag.scope("cell"), ag.at_time(t), ag.scope("inner"):
                h = ag.tanh(ag.max(w @ x, axis=0) + h).named(f"h_{t}")
        parts = [w[:, 0], w[0, ...][1:], w[(0, 1), (2, 2)], ag.clip(x, high=2.0)]
        loss = ag.sum(ag.dropout(ag.concatenate(parts), p=0.25, seed=3)) * h
    session = Session()
    session.open_graph(graph, loss)
    session.edit(x.id, [float("nan"), 1.0, -0.0])
    return session


def main():
    """Three catalogue scenes, a typed expression and a graph of one's own."""
    folder = FOLDER / str(VERSION)
    folder.mkdir(parents=True, exist_ok=True)
    state, extras = full_state("bptt")
    written = {"bptt-full": encode(state, **extras)}
    for name, session in (
        ("lstm", open_session("lstm", T=4)),
        ("mlp", open_session("mlp")),
        ("expression", open_session("expression", formula="tanh(w*x + b) ** 2")),
        ("own-graph", own_graph()),
    ):
        written[name] = encode(session.state, graph=session.whole())
    for name, data in written.items():
        (folder / f"{name}.backstep").write_bytes(data)


if __name__ == "__main__":
    main()
