"""Pictures and films: one definition per file format, all drawn by `explorer.view.paint`.

The command line and the window's export dialog call `export`; `EXPORTERS` tells them what there is. A film's
frame depends on its number alone, so films can be cut, sampled and tested. Knows nothing of widgets.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import secrets
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape, unescape

import numpy as np
from PySide6.QtCore import QMarginsF, QPointF, QRect, QSize, QSizeF
from PySide6.QtGui import (
    QImage,
    QPageLayout,
    QPageSize,
    QPainter,
    QPainterPath,
    QPdfWriter,
)

from explorer.model import text
from explorer.model.session import Session
from explorer.model.text import tr
from explorer.view.fonts import picture_font
from explorer.view.look import Look
from explorer.view.paint import (
    limits,
)
from explorer.view.stage import ExportCancelled, ExportError, Film, Source, application, still
from explorer.view.theme import THEMES, Theme

SMALLEST, LARGEST = 64, 8192  # sides of a picture in pixels
SLOWEST, FASTEST = 1, 60  # frames a second
Kind = Literal["still", "film"]


@dataclass(frozen=True)
class Job:
    """What the function behind a format gets."""

    path: Path
    width: int
    height: int
    fps: float
    title: str
    description: str
    theme: Theme
    draw: Callable[[QPainter], None]  # a still
    count: int  # of a film's frames
    image: Callable[[int], QImage]  # any of them
    frames: Callable[[], Iterator[QImage]]  # all of them, with progress and cancel


@dataclass(frozen=True)
class Exporter:
    """One file format."""

    suffix: str
    title: str
    kind: Kind
    write: Callable[[Job], None]
    extra: str = ""  # of our package, when the format needs one
    fps: float = 0.0  # frames a second unless the user says otherwise


EXPORTERS: dict[str, Exporter] = {}


def exporter(
    suffix: str, title: str, kind: Kind, *, extra: str = "", fps: float = 0.0
) -> Callable[[Callable[[Job], None]], Callable[[Job], None]]:
    """Register the decorated function as the one that writes files with this ending."""

    def register(write: Callable[[Job], None]) -> Callable[[Job], None]:
        EXPORTERS[suffix] = Exporter(suffix, title, kind, write, extra, fps)
        return write

    return register


def find_exporter(path: str | os.PathLike[str]) -> Exporter:
    """The format that a file's ending asks for; raises ExportError."""
    suffix = Path(path).suffix.lower()
    if suffix not in EXPORTERS:
        known = ", ".join(EXPORTERS)
        name = Path(path).name[:80]
        raise ExportError(tr("{name} does not end in one of {known}").format(name=name, known=known))
    return EXPORTERS[suffix]


def export(
    session: Session | Source,
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int] = (1280, 720),
    theme: Theme | str = "light",
    language: str | None = None,
    step: float | None = None,
    steps: tuple[int, int] | None = None,
    fps: float | None = None,
    caption: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Draw one moment, or film a range of steps, into `path`; its ending chooses the format.

    A still shows moment `step`, a film the range `steps`; by default the last moment and the whole run.
    `progress(done, all)` and `cancelled()` are asked once a frame. Raises ExportError and then leaves no
    file behind, and one that was there before as it was.
    """
    source = session if isinstance(session, Source) else Source.of(session)
    chosen = find_exporter(path)
    width, height = _checked_size(size)
    rate = _checked_fps(chosen.fps if fps is None else fps) if chosen.kind == "film" else 1.0
    if chosen.suffix == ".gif":
        rate = 100.0 / _gif_delay(rate)
    if chosen.suffix == ".mp4":
        width, height = width // 2 * 2, height // 2 * 2
    first, last = _checked_range(source.trace.end, chosen.kind, step, steps)
    application()
    colours = THEMES[theme] if isinstance(theme, str) else theme
    with _speaking(language), _replacing(Path(path), chosen) as fresh:
        value_limit, gradient_limit = limits(source.frame(last))
        look = Look(
            colours,
            source.notation,
            value_limit=value_limit,
            gradient_limit=gradient_limit,
            lit=source.lit,
            words=source.vocabulary,
        )
        title = source.title[text.language()]

        def draw(painter: QPainter) -> None:
            still(painter, source, look, width, height, last, caption=caption)

        film = Film(source, look, width, height, int(first), int(last), rate)

        def frames() -> Iterator[QImage]:
            for i in range(film.count):
                _stop_if(cancelled)
                yield film.image(i)
                if progress:
                    progress(i + 1, film.count)

        _stop_if(cancelled)
        description = source.words(last)
        chosen.write(
            Job(fresh, width, height, rate, title, description, colours, draw, film.count, film.image, frames)
        )
        _stop_if(cancelled)
    if chosen.kind == "still" and progress:
        progress(1, 1)
    return Path(path)


# Formats


@exporter(".png", "PNG", "still")
def _png(job: Job) -> None:
    image = QImage(job.width, job.height, QImage.Format.Format_RGB32)
    image.setText("Title", job.title)
    image.setText("Description", job.description)
    painter = QPainter(image)
    job.draw(painter)
    painter.end()
    if not image.save(str(job.path)):
        raise OSError(tr("writing failed"))


@exporter(".svg", "SVG", "still")
def _svg(job: Job) -> None:
    job.path.write_text(svg(job.draw, job.width, job.height, job.title, job.description), "utf-8")


def svg(draw: Callable[[QPainter], None], width: int, height: int, title: str, description: str) -> str:
    """A picture as the text of an SVG file."""
    from PySide6.QtCore import QBuffer
    from PySide6.QtSvg import QSvgGenerator

    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(QSize(width, height))
    generator.setViewBox(QRect(0, 0, width, height))
    generator.setResolution(96)
    painter = QPainter(generator)
    draw(painter)
    painter.end()
    source = _portable_svg(bytes(buffer.data().data()).decode("utf-8"))
    source = re.sub(r"<(title|desc)>[^<]*</\1>\s*", "", source)  # how Qt escapes differs between versions
    about = f"<title>{_printable(title)}</title>\n<desc>{_printable(description)}</desc>\n"
    return source.replace("<defs>", about + "<defs>", 1)


def _printable(words: str) -> str:
    return escape("".join(c for c in words if c.isprintable()))


def _portable_svg(source: str) -> str:
    """Text becomes outlines, so that it looks the same where our fonts are not; heat cells stay sharp."""
    shapes: dict[tuple[str, str, str], str] = {}

    def outlined(found: re.Match[str]) -> str:
        attributes = dict(re.findall(r'([\w:-]+)="([^"]*)"', found[1]))
        key = (found[2], attributes["font-size"], attributes["font-weight"])
        name = shapes.setdefault(key, f"text{len(shapes)}")
        fill = f'fill="{attributes["fill"]}" fill-opacity="{attributes["fill-opacity"]}"'
        place = f'x="{attributes["x"]}" y="{attributes["y"]}"'
        return f'<use xlink:href="#{name}" {place} {fill} stroke="none"/>'

    source = re.sub(r"<text ([^>]*)>([^<]*)</text>", outlined, source)
    source = re.sub(r' ?font-[a-z]+="[^"]*"', "", source)
    source = re.sub(r"<g [^>]*>\s*</g>", "", source)  # Qt writes one for every change of pen
    source = re.sub(r"\n\s*\n+", "\n", source)
    source = source.replace("<image ", '<image style="image-rendering:pixelated" ')
    glyphs = "".join(
        f'<path id="{name}" aria-label="{key[0]}" fill-rule="nonzero" d="{_outline(*key)}"/>\n'
        for key, name in shapes.items()
    )
    return source.replace("<defs>", f"<defs>\n{glyphs}", 1)


def _outline(words: str, size: str, weight: str) -> str:
    """The outline of a line of text as SVG path data, its baseline starting at (0, 0)."""
    path = QPainterPath()
    path.addText(
        QPointF(0, 0), picture_font(float(size), bold=float(weight) > 500), unescape(words, {"&quot;": '"'})
    )
    data, k = [], 0
    while k < path.elementCount():
        e = path.elementAt(k)
        if e.isCurveTo():  # two more elements belong to a curve
            points = [path.elementAt(k + i) for i in range(3)]
            data.append("C" + " ".join(f"{round(p.x, 2):g} {round(p.y, 2):g}" for p in points))
            k += 3
        else:
            data.append(f"{'M' if e.isMoveTo() else 'L'}{round(e.x, 2):g} {round(e.y, 2):g}")
            k += 1
    return "".join(data)


@exporter(".pdf", "PDF", "still")
def _pdf(job: Job) -> None:
    writer = QPdfWriter(str(job.path))
    writer.setResolution(96)
    writer.setTitle(job.title)
    writer.setCreator("Backstep")
    page = QPageSize(
        QSizeF(job.width * 0.75, job.height * 0.75),
        QPageSize.Unit.Point,
        "",
        QPageSize.SizeMatchPolicy.ExactMatch,
    )
    writer.setPageLayout(
        QPageLayout(page, QPageLayout.Orientation.Portrait, QMarginsF(), QPageLayout.Unit.Point)
    )
    painter = QPainter()
    if not painter.begin(writer):
        raise OSError(tr("writing failed"))
    job.draw(painter)
    painter.end()


@exporter(".gif", "GIF", "film", extra="film", fps=12.5)
def _gif(job: Job) -> None:
    """Frame by frame, each only where it differs from the one before, in colours that all frames share."""
    image_module, gif = _needed("PIL.Image", job), _needed("PIL.GifImagePlugin", job)
    palette = _shared_palette(job, image_module)
    table = bytes(palette.getpalette()[: 3 * 255]).ljust(3 * 256, b"\0")
    size = struct.pack("<HH", job.width, job.height)
    with open(job.path, "wb") as file:
        file.write(b"GIF89a" + size + b"\xf7\0\0" + table)
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # for ever
        for box, count, (image, changed) in _changes(job, lambda i: _indexed(i, palette, image_module)):
            x, y, right, bottom = box
            cells = np.asarray(image)[y:bottom, x:right]
            if changed is not None:
                cells = np.where(changed[y:bottom, x:right], cells, 255).astype(np.uint8)
            part = image_module.fromarray(cells)
            part.putpalette(table)
            delay = 10 * count * _gif_delay(job.fps)
            for block in gif.getdata(part, (x, y), duration=delay, transparency=255, disposal=1):
                file.write(block)
        file.write(b";")


@exporter(".webp", "WebP", "film", extra="film", fps=15)
def _webp(job: Job) -> None:
    """As the GIF, in all colours: the container is written here, its frames by Pillow."""
    image_module = _needed("PIL.Image", job)

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def three(n: int) -> bytes:
        return n.to_bytes(3, "little")

    with open(job.path, "w+b") as file:
        head = b"\x02\0\0\0" + three(job.width - 1) + three(job.height - 1)
        file.write(b"RIFF\0\0\0\0WEBP" + chunk(b"VP8X", head) + chunk(b"ANIM", b"\xff\xff\xff\xff\0\0"))
        passed = shown = 0
        for (x, y, right, bottom), count, (image, _) in _changes(job, lambda i: _rgb(i, image_module)):
            x, y = x // 2 * 2, y // 2 * 2  # offsets are kept halved
            packed = BytesIO()
            image.crop((x, y, right, bottom)).save(packed, "WEBP", quality=80, method=2)
            passed += count
            until = round(1000 * passed / job.fps)
            place = three(x // 2) + three(y // 2) + three(right - x - 1) + three(bottom - y - 1)
            file.write(chunk(b"ANMF", place + three(until - shown) + b"\x02" + packed.getvalue()[12:]))
            shown = until
        length = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", length))


@exporter(".mp4", "MP4 (H.264)", "film", extra="film", fps=30)
def _mp4(job: Job) -> None:
    """Encoded in another thread while the next frames are drawn."""
    av = _needed("av", job)
    with av.open(str(job.path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata["title"] = job.title
        stream = container.add_stream("h264", rate=round(job.fps))
        stream.width, stream.height, stream.pix_fmt = job.width, job.height, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        stream.codec_context.colorspace = 1  # BT.709, which players expect of HD

        def encode(pixels: np.ndarray, i: int) -> None:
            frame = av.VideoFrame.from_ndarray(pixels, format="bgra")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts = i
            container.mux(stream.encode(frame))

        pending: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1, "film") as pool:
            for i, image in enumerate(job.frames()):
                pending.append(pool.submit(encode, _pixels(image), i))
                if len(pending) > 4:
                    pending.popleft().result()
            for left in pending:
                left.result()
        container.mux(stream.encode(None))


def _needed(module: str, job: Job) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        chosen = EXPORTERS[job.path.suffix]
        raise ExportError(
            tr("{suffix} needs the {extra} extra: pip install 'backstep[{extra}]'").format(
                suffix=chosen.suffix, extra=chosen.extra
            )
        ) from None


def _pixels(image: QImage) -> np.ndarray:
    """The pixels as an array of its own: rows, columns, and blue, green, red, nothing."""
    flat = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return flat[:, : 4 * image.width()].reshape(image.height(), image.width(), 4).copy()


def _rgb(image: QImage, image_module: Any) -> Any:
    size = (image.width(), image.height())
    return image_module.frombytes("RGB", size, _pixels(image).tobytes(), "raw", "BGRX")


def _gif_delay(fps: float) -> int:
    """Hundredths of a second between two frames; players take less than two for a mistake."""
    return max(2, round(100.0 / fps))


def _shared_palette(job: Job, image_module: Any) -> Any:
    """255 colours for the whole film, from a few of its frames and the theme."""
    picks = sorted({round(k * (job.count - 1) / 7) for k in range(8)})
    sheet = image_module.new("RGB", (job.width, job.height * len(picks)))
    for row, i in enumerate(picks):
        sheet.paste(_rgb(job.image(i), image_module), (0, row * job.height))
    return sheet.quantize(255, dither=image_module.Dither.NONE)


def _indexed(image: QImage, palette: Any, image_module: Any) -> Any:
    return _rgb(image, image_module).quantize(palette=palette, dither=image_module.Dither.NONE)


Change = tuple[tuple[int, int, int, int], int, tuple[Any, np.ndarray | None]]


def _changes(job: Job, convert: Callable[[QImage], Any]) -> Iterator[Change]:
    """The film as changes: (rectangle, for how many frames it stays, (Pillow image, changed pixels))."""
    before: np.ndarray | None = None
    waiting: tuple[tuple[int, int, int, int], tuple[Any, np.ndarray | None]] | None = None
    count = 0
    for drawn in job.frames():
        image = convert(drawn)
        now = np.asarray(image)
        if before is None:
            box, changed = (0, 0, job.width, job.height), None
        else:
            changed = now != before if now.ndim == 2 else (now != before).any(axis=2)
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            if not len(rows):
                count += 1
                continue
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        if waiting is not None:
            yield waiting[0], count, waiting[1]
        before, waiting, count = now, (box, (image, changed)), 1
    if waiting is not None:
        yield waiting[0], count, waiting[1]


# Checks, and the file


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if not all(isinstance(n, int) and SMALLEST <= n <= LARGEST for n in (width, height)):
        raise ExportError(
            tr("the size {width}x{height} is outside of {low} to {high} pixels a side").format(
                width=str(width)[:20], height=str(height)[:20], low=SMALLEST, high=LARGEST
            )
        )
    return width, height


def _checked_fps(fps: float) -> float:
    if not SLOWEST <= fps <= FASTEST:
        raise ExportError(
            tr("{fps} frames a second is outside of {low} to {high}").format(
                fps=str(fps)[:20], low=SLOWEST, high=FASTEST
            )
        )
    return fps


def _checked_range(
    end: int, kind: Kind, step: float | None, steps: tuple[int, int] | None
) -> tuple[float, float]:
    """First and last moment; a still shows the last one."""
    if step is not None:
        if not 0 <= step <= end:
            raise ExportError(tr("step {step} is outside of 0 to {end}").format(step=str(step)[:20], end=end))
        return (max(float(step) - 1.0, 0.0), float(step))
    if steps is None:
        return 0.0, float(end)
    first, last = steps
    if not 0 <= first <= last <= end:
        raise ExportError(
            tr("the steps {first}:{last} are not a range within 0 to {end}").format(
                first=str(first)[:20], last=str(last)[:20], end=end
            )
        )
    return float(first), float(last)


def _stop_if(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise ExportCancelled(tr("The export was cancelled."))


@contextlib.contextmanager
def _speaking(language: str | None) -> Iterator[None]:
    before = text.language()
    text.set_language(language or before)
    try:
        yield
    finally:
        text.set_language(before)


@contextlib.contextmanager
def _replacing(path: Path, chosen: Exporter) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when all went well, and is gone when not."""
    if not path.parent.is_dir():
        raise ExportError(tr("there is no folder {folder}").format(folder=path.parent))
    path = Path(os.path.realpath(path))  # a link stays a link
    if path.is_dir():
        raise ExportError(tr("{path} is a folder").format(path=path))
    fresh = path.parent / f".{path.stem[:40]}.{secrets.token_hex(6)}{chosen.suffix}"
    try:
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, os.strerror(13))
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield fresh
        os.replace(fresh, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExportError(tr("can not write {path}: {reason}").format(path=path, reason=reason)) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()
