"""Two small real texts as numbers, and what any language model does with them: sample and be measured.

The files in `assets/data` have a sentence a line, with a space between words. The mark that ends a sentence
is a word too; the next sentence starts from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from scenes.scene import Parameter, Text

FILES = Path(__file__).resolve().parents[2] / "assets" / "data"
HELD_OUT = 0.15  # at least this share of the words, in whole sentences from the end, is kept for judging
TEXT = Parameter(
    "text",
    "house",
    Text(
        "house: “The House That Jack Built”; cat: the beginning of Soseki's “I Am a Cat”, in Japanese",
        "house: 英語の童謡 The House That Jack Built、cat: 小説『吾輩は猫である』の冒頭",
    ),
    choices=("house", "cat"),
)
Ids = Sequence[int] | np.ndarray
Predict = Callable[[Ids], np.ndarray]  # the words so far -> probability of each word to come next


@dataclass(frozen=True)
class Corpus:
    """Words as whole numbers. Both parts begin with the mark that ends a sentence."""

    words: tuple[str, ...]  # in the order in which they first appear
    train: np.ndarray  # (count,)
    held_out: np.ndarray  # (count,)

    @property
    def end(self) -> int:
        """The mark that ends a sentence."""
        return int(self.train[0])


@cache
def corpus(name: str) -> Corpus:
    """One of the choices of TEXT; every word is in the vocabulary, also those that only judge."""
    sentences = [line.split() for line in (FILES / f"{name}.txt").read_text("utf-8").splitlines()]
    every = [word for sentence in sentences for word in sentence]
    words = tuple(dict.fromkeys(every))
    number = {word: i for i, word in enumerate(words)}
    kept = 0
    while sum(map(len, sentences[len(sentences) - kept :])) < HELD_OUT * len(every):
        kept += 1
    parts = []
    for part in (sentences[:-kept], sentences[-kept:]):
        ids = np.array([number[word] for sentence in part for word in sentence])
        parts.append(np.concatenate([ids[-1:], ids]))  # the last word of a part ends its last sentence
    return Corpus(words, *parts)


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    """Columns of the unit matrix: (size, count) for count words."""
    return np.eye(size)[:, ids]


def windows(stream: np.ndarray, length: int, most: int = 512) -> np.ndarray:
    """Stretches of consecutive words at even distances, (count, length); none of a text that is too short."""
    starts = np.arange(len(stream) - length + 1)
    return stream[starts[:: -(-len(starts) // most) or 1, None] + np.arange(length)]


def perplexity(predict: Predict, stream: Ids) -> float:
    """`Π_t (1/p_t)^{1/T}` of a text from its second word on; infinite where a word gets no probability."""
    with np.errstate(divide="ignore"):
        surprise = [-np.log(predict(stream[:t])[stream[t]]) for t in range(1, len(stream))]
    return float(np.exp(np.mean(surprise)))


def sample(predict: Predict, text: Corpus, seed: int, *, most: int = 60) -> list[str]:
    """A sentence drawn word by word until its end mark, or until it has `most` words."""
    rng = np.random.default_rng(seed)
    ids = [text.end]
    while len(ids) <= most and (len(ids) == 1 or ids[-1] != text.end):
        p = predict(ids)
        ids.append(int(rng.choice(len(p), p=p / p.sum())))
    return [text.words[i] for i in ids[1:]]
