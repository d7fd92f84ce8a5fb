"""Numbers to colours: diverging maps for values and gradients, zero always at the neutral centre.

Used by the painting of heat strips, matrices and plots. Arrays in, arrays out; must not know Qt or themes.
The maps are our own (see the file's generator under `tests/assets`), safe for red-green blindness.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np

COLORMAPS = Path(__file__).resolve().parents[2] / "assets" / "colormaps.json"
#: The entry that means zero. 128 entries lie below it and 127 above.
CENTRE = 128
#: Colours of what is not a finite number, far from every colour of every map.
NAN_COLOUR = (255, 0, 255)
POS_INF_COLOUR = (255, 235, 0)
NEG_INF_COLOUR = (0, 235, 160)
#: With `symlog`, numbers below this part of the limit are spread linearly and those above by their decades.
LINEAR_PART = 1e-3


@cache
def names() -> tuple[str, ...]:
    """Every map there is."""
    return tuple(_maps())


@cache
def _maps() -> dict[str, np.ndarray]:
    maps = {}
    for name, text in json.loads(COLORMAPS.read_text(encoding="utf-8")).items():
        # Made from bytes an array is read-only, as one that is shared has to be.
        maps[name] = np.frombuffer(bytes.fromhex(text), dtype=np.uint8).reshape(256, 3)
    return maps


def table(name: str) -> np.ndarray:
    """The 256 colours of a map, uint8[256, 3], negative end first; read-only."""
    try:
        return _maps()[name]
    except KeyError:
        raise KeyError(f"no colour map is called {name!r}; there are {', '.join(names())}") from None


def index(values: np.ndarray, limit: float, symlog: bool = False) -> np.ndarray:
    """Entries of a map, uint8: -limit is 0, 0 is 128, limit is 255.

    What lies beyond the limit stays at the end, NaN at the centre. A limit of 0 (nothing but zeros was seen)
    leaves only the signs.
    """
    if not (np.isfinite(limit) and limit >= 0):
        raise ValueError(f"the limit of a colour map must be finite and not negative, got {limit}")
    values = np.asarray(values, dtype=np.float64)
    values = np.where(np.isnan(values), 0.0, values)
    part = np.clip(values, -limit, limit) / limit if limit > 0 else np.sign(values)
    if symlog:
        part = np.sign(part) * np.log1p(np.abs(part) / LINEAR_PART) / np.log1p(1 / LINEAR_PART)
    # Each arm has its own number of entries, so equal sizes get equal strength and zero its own entry.
    return (CENTRE + np.rint(part * np.where(part < 0, CENTRE, 255 - CENTRE))).astype(np.uint8)


def rgb(values: np.ndarray, limit: float, name: str, symlog: bool = False) -> np.ndarray:
    """Colours of `values`, uint8[..., 3]; NaN and the infinities get colours that no number has."""
    packed = argb(values, limit, name, symlog)
    return np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=-1).astype(np.uint8)


def argb(values: np.ndarray, limit: float, name: str, symlog: bool = False) -> np.ndarray:
    """The same as pixels of an opaque image, uint32 0xAARRGGBB."""
    values = np.asarray(values, dtype=np.float64)
    colours = _packed(name)[index(values, limit, symlog)]
    finite = np.isfinite(values)
    if finite.all():
        return colours
    special = ((values == np.inf, POS_INF_COLOUR), (values == -np.inf, NEG_INF_COLOUR))
    for chosen, colour in ((np.isnan(values), NAN_COLOUR), *special):
        colours = np.where(chosen, _pixel(*colour), colours)
    return colours


@cache
def _packed(name: str) -> np.ndarray:
    """The map as pixels, uint32[256]."""
    return np.array([_pixel(*colour) for colour in table(name).tolist()], dtype=np.uint32)


def _pixel(r: int, g: int, b: int) -> np.uint32:
    return np.uint32(0xFF000000 | r << 16 | g << 8 | b)
