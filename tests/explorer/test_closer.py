"""A closer look at ops: the scalar graph has the numbers and gradients of the trace."""

from __future__ import annotations

import numpy as np
import pytest

import autograd as ag
from autograd import Graph, Trace, tensor
from explorer.model.closer import scalar_graph
from explorer.model.layout import Topology, lay_out
from scenes import SCENES
from scenes.scene import SceneError
from tests import layout_metrics as measure

SMALL = ("bptt", "lstm", "gru", "cec", "mlp", "dense", "cross-entropy", "birnn", "deep-rnn")


def sums_by_leaf(graph: Graph) -> dict[str, list[float]]:
    """The gradients of all elements of each leaf, by the name before the brackets."""
    found: dict[str, list[float]] = {}
    for leaf in graph.leaves("parameter", "input"):
        assert leaf.grad is not None
        found.setdefault(leaf.name.partition("[")[0], []).append(float(leaf.grad))
    return found


@pytest.mark.parametrize("name", SMALL)
def test_every_op_sends_back_element_by_element_what_it_sends(name: str) -> None:
    recording = SCENES[name].build()
    trace, graph = recording.trace(), recording.graph
    looked_at = 0
    for node in graph.nodes:
        sent = trace.contributions[node.id]
        if node.op == "leaf" or all(s is None for s in sent):
            continue
        closer, loss = scalar_graph(trace, [node.id])
        assert all(n.ndim == 0 for n in closer.nodes)
        closer.backward(loss)
        grads = sums_by_leaf(closer)
        for k, j in enumerate(node.inputs):
            if sent[k] is None:
                continue
            whole = sum(s for s, i in zip(sent, node.inputs, strict=True) if i == j and s is not None)
            base = graph.names[j] or f"{graph.nodes[j].op}_{j}"
            np.testing.assert_allclose(grads[base], np.ravel(whole), rtol=1e-11, atol=1e-14)
        looked_at += 1
    assert looked_at > 5 or name == "cec"


def test_a_whole_cell_sends_back_what_it_sends() -> None:
    recording = SCENES["lstm"].build({"T": 2})
    trace, graph = recording.trace(), recording.graph
    cell = [n.id for n in graph.nodes if n.time == 2]
    closer, loss = scalar_graph(trace, cell)
    closer.backward(loss)
    for name in ("c_1", "h_1", "U_f"):
        leaf = graph.named(name).id
        into = [(v, k) for v in cell for k, j in enumerate(graph.inputs[v]) if j == leaf]
        whole = sum(s for v, k in into if (s := trace.contributions[v][k]) is not None)
        assert sums_by_leaf(closer)[name] == pytest.approx(list(np.ravel(whole)))
    layout = lay_out(Topology(closer, loss.id))
    assert not measure.overlaps(layout) and not measure.hits(layout)


def test_what_can_not_be_shown_says_why() -> None:
    with Graph() as graph:
        x = tensor(np.ones((1, 1, 4, 4)), "x")
        seen = ag.max_pool2d(x)
        big = tensor(np.ones((300, 300)), "big")
        product = big @ big
        loss = ag.sum(seen) + ag.sum(product)
        aside = ag.exp(x)
    trace = Trace.run(graph, loss)
    for nodes, sentence in (
        ([x.id], "no operation"),
        ([seen.id], "max_pool2d has no scalar form"),
        ([product.id], "too large"),
        ([aside.id], "no gradient"),
    ):
        with pytest.raises(SceneError, match=sentence):
            scalar_graph(trace, nodes)
