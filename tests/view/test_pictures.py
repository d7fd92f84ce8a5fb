"""What the window looks like, compared with pictures that were looked at when they were made.

After a change of looks that is meant: `python -m tests.view.make_pictures`, then look at what it has drawn.
"""

from itertools import product

import numpy as np
import pytest
from PySide6.QtGui import QImage

from tests.view.make_pictures import FOLDER, LANGUAGES, THEMES, VIEWS, draw

NEAR = 8  # of 255: what anti-aliasing differs by from one version of Qt to the next
FEW = 0.002  # of all pixels, may differ by more
RENEW = "python -m tests.view.make_pictures"
NAMES = [f"{view}-{theme}-{language}" for view, theme, language in product(VIEWS, THEMES, LANGUAGES)]


def pixels(image):
    """Its colours, uint8[height, width, 3]."""
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 4 * image.width()].reshape(image.height(), image.width(), 4)[..., 2::-1].copy()


def differing(actual, wanted):
    """Where two pictures of one size differ visibly, bool[height, width]."""
    return np.abs(actual.astype(int) - wanted).max(axis=2) > NEAR


def alike(actual, wanted):
    return actual.shape == wanted.shape and differing(actual, wanted).mean() <= FEW


def save(colours, path):
    h, w, _ = colours.shape
    data = np.ascontiguousarray(colours)
    assert QImage(data.data, w, h, 3 * w, QImage.Format.Format_RGB888).save(str(path))


def complaint(name, actual, wanted, folder):
    """What differs, and where the pictures of it are."""
    if actual.shape != wanted.shape:
        return f"{name} is {actual.shape[1]}x{actual.shape[0]} and not {wanted.shape[1]}x{wanted.shape[0]}"
    where = differing(actual, wanted)
    pale = 255 - (255 - wanted) // 3
    save(np.where(where[..., None], np.array([220, 0, 0], np.uint8), pale), folder / f"{name}-differs.png")
    y, x = np.nonzero(where)
    return (
        f"{name}: {where.mean():.2%} of its pixels differ,"
        f" within x {x.min()}-{x.max()} and y {y.min()}-{y.max()}."
        f" See {folder}/{name}.png and {name}-differs.png. If it is meant: {RENEW}"
    )


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("theme", THEMES)
def test_it_looks_as_it_did(theme, language, tmp_path):
    draw(tmp_path, theme, language)
    wrong = []
    for view in VIEWS:
        name = f"{view}-{theme}-{language}"
        actual, wanted = (pixels(QImage(str(folder / f"{name}.png"))) for folder in (tmp_path, FOLDER))
        if not alike(actual, wanted):
            wrong.append(complaint(name, actual, wanted, tmp_path))
    assert not wrong, "\n".join(wrong)


def test_the_pictures_are_those_of_the_views_and_small():
    files = sorted(FOLDER.glob("*"))
    assert [f.stem for f in files] == sorted(NAMES)
    assert sum(f.stat().st_size for f in files) <= 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_and_another_colour_are_noticed(name, tmp_path):
    wanted = pixels(QImage(str(FOLDER / f"{name}.png")))
    for axis in (0, 1):
        shifted = np.roll(wanted, 1, axis)
        assert not alike(shifted, wanted)
        assert name in complaint(name, shifted, wanted, tmp_path)
    assert (pixels(QImage(str(tmp_path / f"{name}-differs.png"))) == [220, 0, 0]).all(axis=2).any()
    flat = wanted.reshape(-1, 3).astype(int) @ [65536, 256, 1]
    colours, counts = np.unique(flat, return_counts=True)
    common = colours[np.argsort(counts)[-4:]]  # grounds, and what is drawn most
    for colour in common:
        other = wanted.copy().reshape(-1, 3)
        other[flat == colour] ^= 16
        assert not alike(other.reshape(wanted.shape), wanted)
    assert not alike(wanted[:, 1:], wanted)
    assert "not" in complaint(name, wanted[:, 1:], wanted, tmp_path)


@pytest.mark.parametrize("name", NAMES[:1])
def test_what_nobody_sees_is_let_pass(name):
    wanted = pixels(QImage(str(FOLDER / f"{name}.png")))
    rng = np.random.default_rng(0)
    noise = rng.integers(-NEAR, NEAR + 1, wanted.shape)
    noisy = np.clip(wanted + noise, 0, 255).astype(np.uint8)
    assert alike(noisy, wanted)
    specks = rng.random(wanted.shape[:2]) < FEW / 2
    noisy[specks] = 255 - noisy[specks]
    assert alike(noisy, wanted)
