"""Pictures and films: read back what was written, and that a frame depends on its number alone."""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from explorer.model import text
from explorer.model.session import Session
from explorer.view import camera as camera_module
from explorer.view import exporters, paint, stage
from explorer.view.camera import Camera
from explorer.view.exporters import EXPORTERS, export
from explorer.view.stage import ExportCancelled, ExportError, Film, Source
from explorer.view.theme import DARK, LIGHT

SIZE = (480, 270)


@pytest.fixture(scope="module", autouse=True)
def application(qapp):
    exporters.application()


@pytest.fixture(scope="module")
def session() -> Session:
    s = Session()
    s.open_scene("expression")
    return s


@pytest.fixture(scope="module")
def lstm() -> Session:
    s = Session()
    s.open_scene("lstm")
    return s


def pixels(image: QImage) -> np.ndarray:
    return exporters._pixels(image.convertToFormat(QImage.Format.Format_RGB32))[:, :, :3]


def film_of(s: Session, width: int, height: int, first: int = 0, last: int | None = None) -> Film:
    source = Source.of(s)
    look = paint.Look(LIGHT, s.notation)
    return Film(source, look, width, height, first, s.end if last is None else last, 10)


def test_the_registry():
    assert list(EXPORTERS) == [".png", ".svg", ".pdf", ".gif", ".webp", ".mp4"]
    assert [e.kind for e in EXPORTERS.values()] == ["still"] * 3 + ["film"] * 3
    assert all(bool(e.extra) == (e.kind == "film") == bool(e.fps) for e in EXPORTERS.values())


# Stills


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_png_is_the_painted_frame(session, tmp_path, theme):
    file = export(session, tmp_path / "a.PNG", size=SIZE, theme=theme, step=7)
    read = QImage(str(file))
    assert (read.width(), read.height()) == SIZE
    assert read.text("Title") == session.scene.title["en"]
    expected = QImage(*SIZE, QImage.Format.Format_RGB32)
    frame = session.frame(7.0)
    values, gradients = paint.limits(frame)
    look = paint.Look(theme, session.notation, value_limit=values, gradient_limit=gradients)
    painter = QPainter(expected)
    paint.fill_background(painter, QRectF(0, 0, *SIZE), theme)
    painter.setWorldTransform(paint.fit(paint.bounds(frame), *SIZE))
    paint.paint(painter, frame, look)
    painter.end()
    assert np.array_equal(pixels(read), pixels(expected))
    assert len(np.unique(pixels(read).reshape(-1, 3), axis=0)) > 50


def test_a_caption_says_what_happens(session, tmp_path):
    bare = QImage(str(export(session, tmp_path / "a.png", size=SIZE, step=7)))
    said = QImage(str(export(session, tmp_path / "b.png", size=SIZE, step=7, caption=True)))
    strip = stage.caption_height(SIZE[1])
    assert not np.array_equal(pixels(bare)[-strip:], pixels(said)[-strip:])
    assert Source.of(session).words(7).startswith("step 7 of")
    assert "Space" not in Source.of(session).words(0)


def test_an_svg_is_xml_with_outlined_text(session, tmp_path):
    file = export(session, tmp_path / "a.svg", size=SIZE, caption=True)
    root = ElementTree.parse(file).getroot()
    name = "{http://www.w3.org/2000/svg}"
    assert root.get("viewBox") == "0 0 480 270"
    assert root.findtext(f"{name}title") == session.scene.title["en"]
    assert "step" in str(root.findtext(f"{name}desc"))
    assert not root.findall(f".//{name}text")  # other machines do not have our fonts
    shapes = {p.get("id") for p in root.findall(f".//{name}defs/{name}path")}
    href = "{http://www.w3.org/1999/xlink}href"
    used = {str(u.get(href)).removeprefix("#") for u in root.findall(f".//{name}use")}
    assert used == shapes and len(shapes) > 5
    assert file.stat().st_size < 200_000


def test_an_svg_draws_like_the_png(session, tmp_path):
    from PySide6.QtSvg import QSvgRenderer

    picture = QImage(str(export(session, tmp_path / "a.png", size=SIZE)))
    drawn = QImage(*SIZE, QImage.Format.Format_RGB32)
    painter = QPainter(drawn)
    QSvgRenderer(str(export(session, tmp_path / "a.svg", size=SIZE))).render(painter)
    painter.end()
    assert np.abs(pixels(picture).astype(int) - pixels(drawn)).mean() < 3.0


def test_hostile_titles_stay_text():
    def draw(painter: QPainter) -> None:
        painter.drawText(QRectF(0, 0, 900, 40), "a<b>&\"'</text>")

    source = exporters.svg(draw, 100, 50, "</title><script>&", "d\x00\x1b")
    root = ElementTree.fromstring(source)
    assert root[0].text == "</title><script>&"
    assert root[1].text == "d"
    assert "a<b>&\"'</text>" in {p.get("aria-label") for p in root.iter() if p.get("aria-label")}


def test_a_pdf_has_the_pictures_size(session, tmp_path):
    data = export(session, tmp_path / "a.pdf", size=SIZE).read_bytes()
    assert data.startswith(b"%PDF-") and data.rstrip().endswith(b"%%EOF")
    box = re.search(rb"/MediaBox\s*\[([\d. ]+)\]", data)
    assert box is not None
    assert [float(n) for n in box[1].split()] == pytest.approx([0, 0, 360, 202.5], abs=1)
    title = session.scene.title["en"]
    assert title.encode("utf-16-be") in data or title.encode() in data


# Films


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_read_back(session, tmp_path, suffix):
    image_module = pytest.importorskip("PIL.Image")
    calls = []
    kept = lambda done, all: calls.append((done, all))  # noqa: E731
    file = export(session, tmp_path / f"a{suffix}", size=SIZE, steps=(3, 6), fps=10, progress=kept)
    film = film_of(session, *SIZE, 3, 6)
    assert film.count == 15 + 10
    assert calls == [(k + 1, film.count) for k in range(film.count)]
    with image_module.open(file) as read:
        assert read.size == SIZE
        assert read.info.get("loop") == 0
        assert 10 <= read.n_frames <= film.count  # frames in which nothing moves are one
        total, seen = 0, []
        for k in range(read.n_frames):
            read.seek(k)
            read.load()
            total += read.info["duration"]
            seen.append(np.asarray(read.convert("RGB")).astype(int))
    assert total == pytest.approx(1000 * film.count / 10, abs=10)
    for mine, theirs in ((0, seen[0]), (film.count - 1, seen[-1])):
        source = Source.of(session)
        values, gradients = paint.limits(source.frame(6))
        film.look = paint.Look(LIGHT, session.notation, value_limit=values, gradient_limit=gradients)
        film._sheets.clear()
        drawn = pixels(film.image(mine))[:, :, ::-1].astype(int)
        assert np.abs(drawn - theirs).mean() < 3.0


def test_an_mp4_read_back(session, tmp_path):
    av = pytest.importorskip("av")
    file = export(session, tmp_path / "a.mp4", size=(321, 181), steps=(2, 5), fps=20)
    with av.open(str(file)) as read:
        stream = read.streams.video[0]
        assert (stream.width, stream.height) == (320, 180)
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert read.metadata["title"] == session.scene.title["en"]
        frames = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
    assert len(frames) == 30 + 20
    assert frames[0].std() > 5


def test_a_film_is_never_too_long(lstm):
    assert film_of(lstm, *SIZE).count <= stage.LONGEST * 10
    short = film_of(lstm, *SIZE, 10, 12)
    assert short.moving == 2 * stage.STEP * 10
    times = [short.moment(i) for i in range(short.count)]
    assert times == sorted(times) and times[-1] == 12.0 and times[0] > 10.0
    still = film_of(lstm, *SIZE, 4, 4)
    assert still.moving == 0 and still.moment(0) == 4.0


def test_a_frame_depends_on_its_number_alone(lstm):
    film, other = film_of(lstm, *SIZE), film_of(lstm, *SIZE)
    picks = [0, 1, film.count // 3, film.count // 2, film.count - 1]
    forward = [pixels(film.image(i)) for i in picks]
    for i, expected in reversed(list(zip(picks, forward, strict=True))):
        assert np.array_equal(pixels(other.image(i)), expected)


def test_the_camera_is_a_function_of_t(lstm):
    source = Source.of(lstm)
    camera = Camera(source.trace, source.layout, 640, 320, 0.3)
    assert camera.follows and camera.zoom >= camera_module.LEGIBLE
    times = np.linspace(0, lstm.end, 500)
    there = [camera.corner(t) for t in times]
    again = Camera(source.trace, source.layout, 640, 320, 0.3)
    assert [again.corner(t) for t in reversed(times)] == there[::-1]
    x = np.array([camera.centre(t)[0] for t in times])
    assert np.abs(np.diff(x)).max() < 0.12 * 640 / camera.zoom  # it glides
    assert np.mean(np.diff(x) == 0) > 0.4  # and it rests
    for k, step in enumerate(source.trace.steps):
        box = source.layout.boxes[source.layout.box_of_node[step.node]]
        shot = next(s for s in camera.shots if s.first <= k < s.last)
        view = camera.view((shot.first + shot.last) / 2)
        assert view.left() <= box.x <= view.right(), step


def test_what_is_legible_is_shown_whole(session):
    source = Source.of(session)
    camera = Camera(source.trace, source.layout, 640, 320)
    assert not camera.follows
    assert len(camera.shots) == 1
    assert camera.view(0.0).contains(camera.rect)
    assert camera.corner(0.0) == camera.corner(5.0)


# Names, errors, cancelling


def test_cancelling_leaves_nothing(session, tmp_path):
    pytest.importorskip("av")
    for suffix in EXPORTERS:
        seen = []
        with pytest.raises(ExportCancelled):
            export(
                session,
                tmp_path / f"a{suffix}",
                size=SIZE,
                progress=lambda done, _, seen=seen: seen.append(done),
                cancelled=lambda seen=seen: len(seen) >= 3,
            ) if EXPORTERS[suffix].kind == "film" else export(
                session, tmp_path / f"a{suffix}", size=SIZE, cancelled=lambda: True
            )
        assert not list(tmp_path.iterdir()), suffix


def test_an_error_keeps_the_old_file(session, tmp_path):
    file = tmp_path / "a.gif"
    file.write_bytes(b"old")
    with pytest.raises(ExportCancelled):
        export(session, file, size=SIZE, cancelled=lambda: True)
    assert file.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
    export(session, file, size=SIZE, steps=(0, 1))
    assert file.read_bytes().startswith(b"GIF89a") and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.bmp", {}, r"a\.bmp does not end in one of \.png"),
        ("a", {}, "does not end in"),
        ("missing/a.png", {}, "there is no folder"),
        ("a.png", {"size": (63, 100)}, "outside of 64 to 8192"),
        ("a.png", {"size": (100, 8193)}, "outside of 64 to 8192"),
        ("a.png", {"step": -1}, "outside of 0 to 11"),
        ("a.png", {"step": 12}, "outside of 0 to 11"),
        ("a.png", {"step": float("nan")}, "outside of 0 to 11"),
        ("a.gif", {"steps": (5, 4)}, "not a range within 0 to 11"),
        ("a.gif", {"steps": (0, 12)}, "not a range within 0 to 11"),
        ("a.gif", {"fps": 0}, "outside of 1 to 60"),
        ("a.mp4", {"fps": 61}, "outside of 1 to 60"),
    ],
)
def test_mistakes_are_one_sentence(session, tmp_path, name, options, words):
    with pytest.raises(ExportError, match=words) as error:
        export(session, tmp_path / name, **{"size": SIZE, **options})
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_unwritable_places(session, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ExportError, match="is a folder"):
        export(session, tmp_path / "folder.png", size=SIZE)
    if Path("/proc/self").is_dir():
        for suffix in EXPORTERS:
            with pytest.raises(ExportError, match="can not write"):
                export(session, f"/proc/self/a{suffix}", size=SIZE)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_stays_a_link(session, tmp_path):
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    link.symlink_to(real)
    export(session, link, size=SIZE)
    assert link.is_symlink() and real.is_file()


@pytest.mark.parametrize(
    ("suffix", "module"), [(".gif", "PIL.Image"), (".webp", "PIL.Image"), (".mp4", "av")]
)
def test_a_missing_extra_is_named(session, tmp_path, monkeypatch, suffix, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExportError, match=r"needs the film extra: pip install 'backstep\[film\]'"):
        export(session, tmp_path / f"a{suffix}", size=SIZE)
    assert not list(tmp_path.iterdir())


def test_nothing_open_is_a_sentence(tmp_path):
    with pytest.raises(ExportError, match="no scene is open"):
        export(Session(), tmp_path / "a.png")


def test_the_language_is_put_back(session, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_catalogue", lambda language: {})
    file = export(session, tmp_path / "a.svg", size=SIZE, language="ja")
    assert session.scene.title["ja"] in file.read_text("utf-8")
    assert text.language() == "en"
