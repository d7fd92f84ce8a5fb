"""Makes assets/colormaps.json: three diverging maps of our own, drawn in OKLab.

`python tests/assets/make_colormaps.py` rewrites the file; a test compares the two. Each arm goes from a
neutral centre to its end in even steps of lightness; the chroma rises faster, so that small values have
colour too.
"""

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parents[2] / "assets" / "colormaps.json"
CENTRE = 128
# name: (lightness of the centre, of the ends, hue and chroma of the negative end, of the positive end)
MAPS = {
    "diverging-light": (0.970, 0.530, (257.0, 0.170), (52.0, 0.160)),
    "diverging-dark": (0.280, 0.790, (250.0, 0.140), (58.0, 0.165)),
    "diverging-strong": (1.000, 0.400, (262.0, 0.200), (48.0, 0.120)),  # for projectors and print
}

# OKLab (Björn Ottosson, 2020): linear sRGB to cone responses, and their cube roots to L, a, b.
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in 0..1 to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB to OKLab."""
    return np.cbrt(np.asarray(linear) @ CONES.T) @ LAB.T


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """OKLab to linear sRGB, which may lie outside 0..1."""
    return (np.asarray(lab) @ np.linalg.inv(LAB).T) ** 3 @ np.linalg.inv(CONES).T


def colour(lightness: float, chroma: float, hue: float) -> np.ndarray:
    """8-bit sRGB; a chroma that the screen cannot show is lowered at the same lightness and hue."""
    direction = np.array([0.0, np.cos(np.radians(hue)), np.sin(np.radians(hue))])
    grey = np.array([lightness, 0.0, 0.0])
    for share in np.linspace(1.0, 0.0, 201):
        linear = from_oklab(grey + share * chroma * direction)
        if linear.min() >= -1e-4 and linear.max() <= 1 + 1e-4:
            break
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(srgb * 255).astype(np.uint8)


def diverging(
    centre: float, end: float, negative: tuple[float, float], positive: tuple[float, float]
) -> np.ndarray:
    """A table of 256 colours whose neutral centre is entry 128: 128 steps below it, 127 above."""
    rows = []
    for entry in range(256):
        part = (CENTRE - entry) / CENTRE if entry < CENTRE else (entry - CENTRE) / (255 - CENTRE)
        hue, chroma = negative if entry < CENTRE else positive
        rows.append(colour(centre + part * (end - centre), chroma * part**0.65, hue))
    return np.array(rows)


def make() -> dict[str, str]:
    """Every map as 256 colours in hexadecimal, one after the other."""
    return {name: diverging(*recipe).tobytes().hex() for name, recipe in MAPS.items()}


if __name__ == "__main__":
    OUT.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
