"""Plots: curves, tracks, histograms and strips hold the numbers that NumPy gives, at every moment."""

from types import SimpleNamespace

import numpy as np
import pytest

from autograd import optim, tensor
from autograd.graph import Graph
from explorer.model.plots import BINS, PLOTS, Chart, Grip, histogram, move, plot_of
from explorer.model.session import open_session
from explorer.model.text import number
from scenes.foundations import optimizers
from scenes.scene import SCENES

CURVES = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.2 * z), lambda z: np.where(z > 0, 1.0, 0.2)),
    "elu": (lambda z: np.where(z > 0, z, 0.7 * np.expm1(z)), lambda z: np.where(z > 0, 1.0, 0.7 * np.exp(z))),
}


def charts(session, t=None) -> list[Chart]:
    plot = plot_of(session, session.end if t is None else t)
    assert plot is not None
    return [chart for row in plot.rows for chart in row]


def node(session, name):
    return session.trace.graph.named(name).id


@pytest.mark.parametrize("scene", PLOTS)
def test_every_plot_can_be_made_at_every_moment(scene):
    session = open_session(scene)
    for t in np.linspace(0, session.end, 13):
        plot = plot_of(session, float(t))
        assert plot.note and all(c.x[0] < c.x[1] and c.y[0] < c.y[1] for row in plot.rows for c in row)
        for chart in charts(session, float(t)):
            assert all(len(m.grips) in (0, len(m.places)) for m in chart.marks)
            assert all(len(m.tips) in (0, len(m.places)) for m in chart.marks)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308, 1e-320, 0.0])
@pytest.mark.parametrize("scene", PLOTS)
def test_axes_are_finite_whatever_the_numbers_are(scene, value):
    session = open_session(scene)
    for leaf in session.trace.graph.leaves():
        session.edit(leaf.id, np.full(leaf.shape, value))
        for chart in charts(session):
            for low, high in (chart.x, chart.y):
                assert -1e101 < low < high < 1e101
        session.undo()


def test_other_scenes_have_none():
    assert PLOTS.keys() < SCENES.keys()
    assert plot_of(open_session("lstm", T=1)) is None


# Activation functions


@pytest.mark.parametrize("function", CURVES)
def test_the_curves_are_f_and_its_slope(function):
    session = open_session("activations", function=function, epsilon=0.2, alpha=0.7, chain=1)
    for chart, f in zip(charts(session), CURVES[function], strict=True):
        curve = chart.lines[-1].places
        np.testing.assert_allclose(curve[:, 1], f(curve[:, 0]), rtol=1e-12, atol=1e-14)
        (marks,) = chart.marks
        x = session.trace.values[node(session, "x")]
        np.testing.assert_allclose(marks.places, np.stack([x, f(x)], axis=1), rtol=1e-12, atol=1e-14)
        assert chart.x[0] <= x.min() and x.max() <= chart.x[1] and marks.solid


def test_softmax_has_a_curve_for_every_score():
    session = open_session("activations", function="softmax", chain=1, points=4)
    x = session.trace.values[node(session, "x")]
    values, slopes = charts(session)
    p = np.exp(x) / np.exp(x).sum()
    np.testing.assert_allclose(values.marks[0].places[:, 1], p)
    np.testing.assert_allclose(slopes.marks[0].places[:, 1], p * (1 - p))
    for k, line in enumerate(values.lines[1:]):
        z, height = line.places[37]
        moved = np.exp(np.where(np.arange(4) == k, z, x))
        np.testing.assert_allclose(height, moved[k] / moved.sum())


def test_points_are_hollow_until_their_number_is_used_and_the_link_at_work_is_shown():
    session = open_session("activations", chain=3)
    trace = session.trace
    first, last = node(session, "z_1"), node(session, "z_3")
    done = float(trace.forward_step[first] + 1)
    assert not charts(session, done - 1)[0].marks[0].solid and charts(session, done)[0].marks[0].solid
    back = float(trace.backward_step[first] + 1)
    assert not charts(session, back - 1)[1].marks[0].solid and charts(session, back)[1].marks[0].solid
    at_loss = charts(session, float(trace.forward_end))[0].marks
    assert len(at_loss) == 2 and at_loss[1].label == "z₂ → z₃" and not at_loss[1].grips
    np.testing.assert_array_equal(at_loss[1].places[:, 1], trace.values[last])
    assert len(charts(session)[0].marks) == 1  # at the end the first link was the last to send
    session.update(selection=(node(session, "z_2"),))
    assert charts(session)[0].marks[1].label == "z₁ → z₂"


def test_moving_a_point_edits_its_element_and_a_drag_is_undone_at_once():
    session = open_session("activations")
    x = node(session, "x")
    before = session.trace.values[x].copy()
    grip = charts(session)[0].marks[0].grips[2]
    assert grip == Grip(x, (2,))
    for to in (0.3, 0.777, -1.23456):
        move(session, grip, to, 99.0)
    session.settle()
    expected = before.copy()
    expected[2] = -1.23
    np.testing.assert_array_equal(session.trace.values[x], expected)
    assert charts(session)[0].marks[0].places[2, 1] == session.trace.values[node(session, "z_1")][2]
    session.undo()
    np.testing.assert_array_equal(session.trace.values[x], before)


# Optimisers


def walk(name, h, first, curvature, steps):
    """Positions by the engine's own optimiser of that name."""
    with Graph() as graph:
        w = tensor(first.copy(), kind="parameter")
    rule = {
        "SGD": lambda: optim.sgd([w], h["eta"]),
        "Momentum": lambda: optim.momentum([w], h["eta"], h["beta_1"]),
        "RMSprop": lambda: optim.rmsprop([w], h["eta"], h["beta_1"], h["epsilon"]),
        "Adam": lambda: optim.adam([w], h["eta"], (h["beta_1"], h["beta_2"]), h["epsilon"]),
        "Adagrad": lambda: optim.adagrad([w], h["eta"], eps=h["epsilon"]),
        "Adadelta": lambda: optim.adadelta([w], h["eta"], h["beta_1"], h["epsilon"]),
    }[name]()
    walked = [w.value]
    for _ in range(steps):
        graph.grads[w.id] = curvature * w.value
        rule.step()
        walked.append(w.value)
    return walked


@pytest.mark.parametrize("name", optimizers.RULES)
def test_tracks_are_those_of_the_optimizers(name):
    session = open_session("optimizers", optimizer=name, steps=4)
    (chart,) = charts(session)
    first, curvature = (session.trace.values[node(session, n)] for n in ("w_0", "A"))
    for other in optimizers.RULES:
        h = optimizers.settings(SimpleNamespace(**session.state.parameters), other)
        line = next(line for line in chart.lines if line.label == other)
        np.testing.assert_allclose(line.places, walk(other, h, first, curvature, 4), rtol=1e-10, atol=1e-13)
    widest = max((line for line in chart.lines if line.label), key=lambda line: line.width)
    assert widest.label == name


def test_the_chosen_track_comes_as_far_as_the_moment():
    session = open_session("optimizers", steps=3)
    for k in range(4):
        at = session.trace.forward_step[node(session, f"w_{k}")] + 1 if k else 0
        (chart,) = charts(session, float(at))
        own = next(line for line in chart.lines if line.label == "Momentum")
        assert len(own.places) == k + 1
        np.testing.assert_array_equal(own.places[-1], session.trace.values[node(session, f"w_{k}")])
        np.testing.assert_array_equal(chart.marks[-1].places, own.places[-1:])


def test_the_start_can_be_moved_and_all_tracks_follow():
    session = open_session("optimizers")
    (chart,) = charts(session)
    (grip,) = next(m.grips for m in chart.marks if m.grips)
    move(session, grip, 1.5, -0.5)
    for line in charts(session)[0].lines:
        if line.label:
            np.testing.assert_array_equal(line.places[0], [1.5, -0.5])


def test_contours_join_places_of_one_loss():
    session = open_session("optimizers", ravine=7.0)
    (chart,) = charts(session)
    contours = [line.places for line in chart.lines if line.role == "ghost"]
    losses = [0.5 * (c[:, 0] ** 2 + 7.0 * c[:, 1] ** 2) for c in contours]
    assert len(losses) > 3 and all(np.ptp(loss) < 1e-12 for loss in losses)
    first = session.trace.values[node(session, "w_0")]
    np.testing.assert_allclose(losses[-1][0], 0.5 * (first[0] ** 2 + 7.0 * first[1] ** 2))


def test_a_walk_that_diverges_still_has_a_picture():
    session = open_session("optimizers", optimizer="SGD", lr=5.0, steps=50)
    (chart,) = charts(session)
    assert np.isfinite([*chart.x, *chart.y]).all()


# Histograms and strips


def test_histograms_count_and_tell_the_variance():
    session = open_session("xavier", layers=3, start="too large")
    trace = session.trace
    end = max(np.abs(trace.values[node(session, f"z_{k}")]).max() for k in (1, 2, 3))
    for k, (values, grads) in enumerate(plot_of(session, session.end).rows, 1):
        z = trace.values[node(session, f"z_{k}")]
        counts, edges = np.histogram(z, BINS, (-end, end))
        np.testing.assert_array_equal(values.bars[0].heights, counts)
        np.testing.assert_allclose(values.bars[0].x - values.bars[0].width / 2, edges[:-1], atol=1e-12)
        assert values.title == f"Var z{'₀₁₂₃'[k]} = {number(np.var(z), 3)}"
        assert grads.bars[0].heights.sum() == z.size


def test_histograms_appear_as_layers_are_computed():
    session = open_session("xavier")
    trace = session.trace
    for k, rows in ((2, (2, 0)), (4, (4, 0))):
        seen = plot_of(session, float(trace.forward_step[node(session, f"z_{k}")] + 1)).rows
        assert tuple(sum(bool(row[i].bars) for row in seen) for i in (0, 1)) == rows
    seen = plot_of(session, float(trace.backward_step[node(session, "z_5")] + 1)).rows
    assert [bool(row[1].bars) for row in seen] == [False, False, False, True, True]


def test_a_histogram_leaves_out_what_is_no_number():
    counts, edges = histogram(np.array([0.5, np.nan, -np.inf, 0.6]), 1.0)
    assert counts.sum() == 2 and len(counts) == len(edges) - 1 == BINS


def test_dropped_units_are_crossed_out_in_value_and_gradient():
    session = open_session("dropout", p=0.5, units=8)
    trace = session.trace
    (z, dz), (a, _) = plot_of(session, session.end).rows
    gone = np.flatnonzero(trace.values[node(session, "a")] == 0.0) + 1
    assert 0 < len(gone) < 8
    for chart in (dz, a):
        np.testing.assert_array_equal(next(m for m in chart.marks if m.shape == "cross").places[:, 0], gone)
    np.testing.assert_array_equal(z.bars[0].heights, trace.values[node(session, "z")])
    np.testing.assert_array_equal(a.bars[0].heights, trace.values[node(session, "a")])


@pytest.mark.parametrize("placement, name", [("before f", "u"), ("after f", "a")])
def test_strips_show_what_is_normalised(placement, name):
    session = open_session("batch-norm", placement=placement)
    session.update(selection=(node(session, "n"),))
    for chart, source in zip(charts(session), (name, "n"), strict=True):
        array = session.trace.values[node(session, source)]
        np.testing.assert_array_equal(np.stack([m.places[:, 1] for m in chart.marks], axis=1), array)
        means = [line.places[0, 1] for line in chart.lines[1::2]]
        spreads = [np.ptp(line.places[:, 1]) / 2 for line in chart.lines[2::2]]
        np.testing.assert_allclose(means, array.mean(axis=0))
        np.testing.assert_allclose(spreads, array.std(axis=0))
        assert chart.chosen == (source == "n")
