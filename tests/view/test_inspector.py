"""The inspector says which word a one-hot vector is, and which one the model holds for likeliest."""

from __future__ import annotations

from scenes.recurrent.corpus import corpus


def test_a_word_stands_under_its_numbers(still, qtbot):
    still.open_scene("rnnlm")
    session, inspector = still.session, still.panels["inspector"]
    names, graph = corpus("house").words, session.recording.graph

    def chosen(name: str) -> int:
        node = graph.named(name).id
        session.update(selection=(node,))
        return node

    word = names[int(session.recording.value("x_2").argmax())]
    session.update(t=session.end)
    chosen("x_2")
    assert inspector.said.text() == f"one-hot: “{word}”"
    assert not inspector.said.isHidden()
    chosen("W")
    assert inspector.said.isHidden()
    node = chosen("p_1")
    assert inspector.said.text().startswith("likeliest: “")
    session.update(t=float(session.trace.forward_step[node]))
    assert inspector.said.text() == ""  # not computed yet
