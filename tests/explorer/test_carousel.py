"""The state's own line against all ways: closed forms from values alone."""

from __future__ import annotations

import numpy as np
import pytest

from autograd import Trace
from explorer.model.lab.carousel import carousel, carousels, truncated_trace
from scenes import SCENES
from scenes.scene import Recording


def recorded(name: str, **values: object) -> tuple[Recording, Trace]:
    recording = SCENES[name].build(values)
    return recording, recording.trace()


def test_along_the_line_of_an_lstm_only_the_forget_gates_count() -> None:
    r, trace = recorded("lstm", T=6)
    assert carousels(trace) == ("c",)
    found = carousel(trace, "c")
    for k, t in enumerate(found.times.tolist()):
        product = np.ones_like(r.value("c_0"))
        for s in range(t + 1, 7):
            product = product * r.value(f"f_{s}")
        assert found.direct[k] == pytest.approx(np.abs(product).max(), rel=1e-14)
    assert found.direct[-1] == found.total[-1] == 1.0
    assert not np.allclose(found.total[:-1], found.direct[:-1])  # the gates read h, which reads c


def test_a_carousel_without_gates_keeps_one_whichever_way() -> None:
    _, trace = recorded("cec", T=5)
    found = carousel(trace, carousels(trace)[0])
    np.testing.assert_array_equal(found.direct, 1.0)


def test_truncated_as_in_1997_the_error_follows_one_recursion() -> None:
    r, trace = recorded("lstm", T=5)
    cut = truncated_trace(trace, "c")
    graph = trace.graph
    names = {n: i for i, n in enumerate(graph.names) if n}
    for t in range(5, 0, -1):
        # what reaches h_t from its own step's loss alone, then through the output gate's product
        c, h = names[f"c_{t}"], names[f"h_{t}"]
        into_h = cut.grads[h]
        assert into_h is not None
        squashed = np.tanh(r.value(f"c_{t}"))
        expected = into_h * r.value(f"o_{t}") * (1 - squashed**2)
        if t < 5:
            later = cut.grads[names[f"c_{t + 1}"]]
            assert later is not None
            expected = expected + later * r.value(f"f_{t + 1}")
        at_c, whole = cut.grads[c], trace.grads[h]
        assert at_c is not None and whole is not None
        np.testing.assert_allclose(at_c, expected, rtol=1e-12, atol=1e-300)
        sent = [a for a in trace.arrivals[h] if graph.times[a.consumer] != t]
        assert not sent or not np.allclose(whole, into_h)
    full, part = carousel(trace, "c").full, carousel(trace, "c").truncated
    assert full[-1] == pytest.approx(part[-1])
    assert not np.allclose(full[:-1], part[:-1])


def test_only_states_with_a_line_have_a_carousel() -> None:
    for name, lines in (("bptt", ()), ("gru", None), ("mlp", ())):
        _, trace = recorded(name)
        found = carousels(trace)
        assert found == lines if lines is not None else len(found) == 1
    with pytest.raises(KeyError):
        carousel(recorded("bptt")[1], "z")
