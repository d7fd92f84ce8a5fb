"""Scenes of long sequences and of language: against PyTorch within 1e-12, and what training makes of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from autograd import Plan
from autograd.optim import adam, clip_by_norm
from scenes import SCENES
from scenes.recurrent import ngram, rnnlm
from scenes.recurrent.corpus import corpus, perplexity, sample, windows
from scenes.scene import Recording
from tests.scenes.agreement import arrays, compare, compare_frozen, failing, frozen, live, maker

NAMES = ("vanishing-gradient", "gradient-clipping", "rnnlm", "memory", "ngram")
every_scene = pytest.mark.parametrize("name", NAMES)
DRIFT = 1e-14  # what comes from a QR decomposition may differ in its last bits


@every_scene
def test_equals_frozen_torch_values(name: str) -> None:
    assert {case["values"]["T"] for case in compare_frozen(name, DRIFT)} == {2, 3, 10}


@live
@every_scene
def test_equals_torch_live(name: str) -> None:
    torch = maker("make_sequences")
    for case in torch.cases(name):
        recording = SCENES[name].build(case["values"], seed=case["seed"] + 100)
        compare(recording, *torch.by_torch(name, recording))


# A weight's gradient of another leaf: each proof of gradients must notice
NOTICED = {
    "rnnlm": {"E": "embedding", "W_in": "weights", "W": "weights", "b": "weights", "W_out": "weights"},
    "memory": {"W_f": "weights", "U_i": "weights", "b_o": "weights", "W_out": "weights", "x_1": "inputs"},
    "gradient-clipping": {"W": "written-out"},
    "ngram": {"k": "smoothing"},
    "vanishing-gradient": {"z_2": "recursion", "C_2": "carousel"},
}


@every_scene
def test_a_wrong_gradient_fails_its_proof(name: str) -> None:
    for leaf, proof in NOTICED[name].items():
        recording = SCENES[name].build()
        recording.graph.grads[recording[leaf].id] = 1.001 * recording.grad(leaf)
        assert failing(recording) == [proof], leaf


@pytest.mark.parametrize("name", ["gradient-clipping", "rnnlm", "memory"])
def test_proofs_hold_for_edited_leaves(name: str) -> None:
    rng = np.random.default_rng(1)
    recording = SCENES[name].build({"T": 3})
    for leaf in recording.graph.leaves("parameter"):
        leaf.value = leaf.value + rng.normal(0.0, 0.3, leaf.shape)
    recording.graph.forward()
    recording.graph.backward(recording.loss)
    assert failing(recording) == []


# Vanishing gradients and clipping


def decay(recording: Recording, letter: str) -> float:
    """How much smaller the error is at the first state than at the last one."""
    T = recording.parameters["T"]
    first, last = (np.linalg.norm(recording.grad(f"{letter}_{t}")) for t in (1, T))
    return float(first / last)


def test_the_gain_decides_what_becomes_of_the_error() -> None:
    for gain in (0.5, 1.0, 2.0):
        values = {"T": 21, "gain": gain, "activation": "linear"}
        recording = SCENES["vanishing-gradient"].build(values)
        assert decay(recording, "z") == pytest.approx(gain**20, rel=1e-9)
        assert decay(recording, "C") == 1.0
    for bias, least, most in ((-5.0, 0.0, 1e-6), (5.0, 0.3, 3.0)):
        recording = SCENES["vanishing-gradient"].build({"T": 21, "forget_bias": bias})
        assert least <= decay(recording, "c") <= most


def test_clipping_is_what_torch_does() -> None:
    """torch divides by the norm plus 1e-6, which is seen only where it scales."""
    scaled, kept = 0, arrays("gradient-clipping")
    for k, (_, recording, _, grads) in enumerate(frozen("gradient-clipping", DRIFT)):
        mine, theirs = recording.value("clipped"), kept[f"clipped_{k}"]
        scaled += not np.array_equal(grads["W"], theirs)
        tolerance = 1e-5 if recording.parameters["by"] == "norm" else 1e-12
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=1e-12)
    assert scaled >= 6


def test_a_step_by_norm_is_never_longer_than_the_limit_allows() -> None:
    recording = SCENES["gradient-clipping"].build({"T": 20, "gain": 3.0, "limit": 0.5, "eta": 0.1})
    step = recording.value("W_new") - recording.value("W")
    assert np.linalg.norm(recording.grad("W")) > 1e6
    assert np.linalg.norm(step) == pytest.approx(0.05)


# Language


@pytest.mark.parametrize("name", ["house", "cat"])
def test_the_texts(name: str) -> None:
    text = corpus(name)
    assert text.words[text.end] in (".", "。")
    assert text.train[-1] == text.held_out[0] == text.held_out[-1] == text.end
    share = (len(text.held_out) - 1) / (len(text.held_out) + len(text.train) - 2)
    assert 0.15 <= share < 0.25
    assert set(text.train) | set(text.held_out) == set(range(len(text.words)))
    assert len(set(text.held_out) - set(text.train)) > 0  # words that no count can know


def test_windows_are_stretches_of_the_text() -> None:
    stream = np.arange(100, 110)
    assert windows(stream, 3).tolist() == [[k, k + 1, k + 2] for k in range(100, 108)]
    assert windows(stream, 3, most=4).tolist() == [[k, k + 1, k + 2] for k in range(100, 108, 2)]
    assert windows(stream, 11).shape == (0, 11)


def test_each_example_of_the_language_model_is_followed_by_its_next_word() -> None:
    recording = SCENES["rnnlm"].build({"T": 3, "batch": 5})
    for t in (1, 2):
        assert np.array_equal(recording.value(f"d_{t}"), recording.value(f"x_{t + 1}"))
    assert recording.data is not None
    assert recording.data.count == len(windows(corpus("house").train, 4))
    assert recording.data.classes == corpus("house").words


def test_counts_by_hand() -> None:
    text = corpus("house")
    number = {word: i for i, word in enumerate(text.words)}
    follows = ngram.counts(text.train, [number["that"]], len(text.words))
    words = [text.words[i] for i in text.train]
    for word, count in zip(text.words, follows, strict=True):
        assert count == sum(pair == ("that", word) for pair in pairwise(words))
    assert follows[number["ate"]] == 8
    after = ngram.counts(text.train, [number["rat"], number["that"]], len(text.words))
    assert after.sum() == after[number["ate"]] == 8  # with the rat before it there is no doubt
    once = ngram.counts(text.train, [], len(text.words))
    assert once.sum() == len(text.train) - 1


@pytest.mark.parametrize("name", ["house", "cat"])
def test_probabilities_of_every_smoothing_add_up_to_one(name: str) -> None:
    text = corpus(name)
    models = [ngram.add_k(text, 3, 0.1), ngram.interpolated(text, 3, (0.5, 0.3, 0.1, 0.1))]
    for predict in models:
        for t in range(0, len(text.held_out), 5):
            p = predict(text.held_out[:t])
            assert p.sum() == pytest.approx(1.0, abs=1e-12)
            assert p.min() > 0


@pytest.mark.parametrize("smoothing", ["add-k", "interpolated"])
def test_the_pure_model_is_the_recorded_one(smoothing: str) -> None:
    recording = SCENES["ngram"].build({"T": 6, "n": 3, "smoothing": smoothing})
    text = corpus("house")
    predict = ngram.add_k(text, 3, 0.1) if smoothing == "add-k" else ngram.interpolated(text, 3, [0.25] * 4)
    for t in range(1, 7):
        np.testing.assert_allclose(recording.value(f"p_{t}"), predict(text.held_out[:t]), rtol=1e-12)
    assert perplexity(predict, text.held_out[:7]) == pytest.approx(float(recording.value("PP")), rel=1e-12)


def test_without_smoothing_an_unseen_word_makes_perplexity_infinite() -> None:
    text = corpus("house")
    assert perplexity(ngram.add_k(text, 2, 0.0), text.held_out) == np.inf
    assert perplexity(ngram.add_k(text, 2, 0.1), text.held_out) < len(text.words)
    # on its own text a longer history always looks better
    seen = [perplexity(ngram.add_k(text, n, 0.0), text.train) for n in (1, 2, 3, 4)]
    assert seen == sorted(seen, reverse=True)


def test_samples_are_sentences_of_the_text_s_words_and_depend_on_the_seed_only() -> None:
    text = corpus("cat")
    predict = ngram.interpolated(text, 2, (0.9, 0.08, 0.02))
    first = sample(predict, text, 3)
    assert first == sample(predict, text, 3) != sample(predict, text, 4)
    assert set(first) <= set(text.words)
    assert first[-1] == "。" or len(first) == 60
    certain = ngram.add_k(text, 3, 0.0)
    assert sample(certain, text, 0)[-1] == "。"
    assert sample(lambda ids: np.eye(len(text.words))[1], text, 0, most=4) == [text.words[1]] * 4


def train(name: str, values: dict[str, Any], epochs: int, *, seed: int = 0) -> tuple[Recording, Recording]:
    """Adam at a rate of 0.01, clipped at 1; the network on its last batch, and on what is held out."""
    recording = SCENES[name].build(values, seed=seed)
    data, size = recording.data, int(values["batch"])
    assert data is not None
    plan, optimizer = (
        Plan(recording.graph, recording.loss),
        adam(recording.graph.leaves("parameter"), 0.01),
    )
    for update in range(epochs * data.per_epoch(size)):
        for fed, array in data.batch(data.rows(update, size, seed)).items():
            plan.set(recording[fed].id, array)
        for leaf in optimizer.leaves:
            plan.set(leaf.id, leaf.value)
        plan.run()
        for leaf in optimizer.leaves:
            recording.graph.grads[leaf.id] = np.asarray(plan.grad(leaf.id))
        clip_by_norm(optimizer.leaves, 1.0)
        optimizer.step()
    judged = SCENES[name].build(values, seed=seed, batch=data.validation)
    for leaf in optimizer.leaves:
        judged[leaf.name].value = leaf.value
    judged.graph.forward()
    return recording, judged


def score(recording: Recording) -> float:
    assert recording.scene.score is not None
    return recording.scene.score(recording)


def test_a_trained_language_model_beats_word_pairs_and_not_the_longest_counts() -> None:
    values = {"T": 8, "embed": 12, "hidden": 24, "batch": 16}
    recording, judged = train("rnnlm", values, 20)
    weights = {leaf.name: leaf.value for leaf in recording.graph.leaves("parameter")}
    text = corpus("house")

    def predict(ids: Any) -> np.ndarray:
        return rnnlm.predict(weights, ids)

    assert perplexity(predict, text.train) < 1.2
    mine = perplexity(predict, text.held_out)
    pairs = min(perplexity(ngram.add_k(text, 2, k), text.held_out) for k in (0.001, 0.01, 0.1, 1.0))
    longer = min(perplexity(ngram.add_k(text, 3, k), text.held_out) for k in (0.001, 0.01, 0.1, 1.0))
    assert longer < mine < 0.6 * pairs
    assert score(judged) > 0.7
    # the pure function is the network
    first = rnnlm.predict(weights, text.held_out[:1])
    np.testing.assert_allclose(judged.value("p_1")[:, 0], first, rtol=1e-9)
    assert sample(predict, text, 2)[:3] == ["this", "is", "the"]


LONG = {"T": 50, "hidden": 16, "batch": 32, "symbols": 4}


@pytest.mark.parametrize(
    ("task", "bias", "epochs", "least"), [("first symbol", 5.0, 8, 0.95), ("adding", 3.0, 20, 0.9)]
)
def test_only_the_lstm_remembers_for_fifty_steps(task: str, bias: float, epochs: int, least: float) -> None:
    values = LONG | {"task": task, "forget_bias": bias}
    _, lstm = train("memory", values | {"cell": "lstm"}, epochs)
    _, rnn = train("memory", values | {"cell": "rnn"}, epochs)
    assert score(lstm) > least
    assert score(rnn) < 0.35  # one in four, or a guess near 1
    assert float(lstm.loss.value) < 0.2 * float(rnn.loss.value)


@pytest.mark.parametrize("task", ["first symbol", "adding"])
def test_four_steps_are_no_problem_for_either(task: str) -> None:
    values = LONG | {"T": 4, "task": task}
    for cell in ("rnn", "lstm"):
        _, judged = train("memory", values | {"cell": cell}, 8)
        assert score(judged) > 0.85, cell


def test_the_answers_are_in_the_examples() -> None:
    symbols = SCENES["memory"].build({"T": 5, "batch": 0})
    first = symbols.value("x_1")
    assert np.array_equal(first[:-1], symbols.value("d"))
    assert np.all(first[-1] == 1)
    assert not any(symbols.value(f"x_{t}")[-1].any() for t in range(2, 6))
    adding = SCENES["memory"].build({"T": 5, "batch": 0, "task": "adding"})
    x = np.stack([adding.value(f"x_{t}") for t in range(1, 6)])
    assert np.all(x[:2, 1].sum(axis=0) == 1)
    assert np.all(x[2:, 1].sum(axis=0) == 1)
    np.testing.assert_allclose((x[:, 0] * x[:, 1]).sum(axis=0), adding.value("d")[0])
