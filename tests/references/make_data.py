"""Make the files in `assets/data`: digits, irises and a photograph, cut down to what a lesson needs.

Made with scikit-learn 1.9.1, which ships the originals, and Pillow. Run it from the project's root:

    python tests/references/make_data.py
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_iris

DATA = Path(__file__).parents[2] / "assets" / "data"
EACH = 50  # digits of every class, the first ones
CUT, SIZE = (170, 0, 597, 427), 48  # the square around the flower, and what it is scaled to


def digits() -> str:
    """A line for each: the class, then 64 characters, row by row, 0 … 9 and a … g for 0 … 16."""
    source = load_digits()
    lines = []
    for k in range(10):
        for image in source.data[source.target == k][:EACH].astype(int):
            lines.append(f"{k} " + "".join("0123456789abcdefg"[v] for v in image))
    return "\n".join(lines) + "\n"


def iris() -> str:
    source = load_iris()
    names = ",".join(name.removesuffix(" (cm)").replace(" ", "_") for name in source.feature_names)
    rows = [
        ",".join(f"{v:g}" for v in row) + f",{source.target_names[k]}"
        for row, k in zip(source.data, source.target, strict=True)
    ]
    return "\n".join([f"{names},species", *rows]) + "\n"


def flower() -> bytes:
    """A portable pixmap: 8 bits each of red, green and blue, row by row."""
    with Image.open(str(files("sklearn.datasets.images") / "flower.jpg")) as photo:
        small = photo.convert("RGB").crop(CUT).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return f"P6\n{SIZE} {SIZE}\n255\n".encode() + np.asarray(small).tobytes()


def main() -> None:
    DATA.mkdir(exist_ok=True)
    (DATA / "digits.txt").write_text(digits(), "utf-8")
    (DATA / "iris.csv").write_text(iris(), "utf-8")
    (DATA / "flower.ppm").write_bytes(flower())
    for name in ("digits.txt", "iris.csv", "flower.ppm"):
        print(name, (DATA / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
