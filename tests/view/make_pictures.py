"""Draws the pictures that `test_pictures` compares with: `python -m tests.view.make_pictures`.

To be run after every change of looks that is meant, and the pictures then looked at. A process of its own
draws them, in which no setting, font or screen of this machine counts.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

FOLDER = Path(__file__).parent / "pictures"
VIEWS = ("window", "canvas", "far", "start")
THEMES = ("light", "dark")
LANGUAGES = ("en", "ja")
NO_FONTS = '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig></fontconfig>'


def draw(into: Path, theme: str, language: str) -> None:
    """All views in one theme and language, by a process that knows nothing of this one."""
    with tempfile.TemporaryDirectory() as home:
        fonts = Path(home, "fonts.conf")
        fonts.write_text(NO_FONTS)
        own = {
            "HOME": home,
            "QT_QPA_PLATFORM": "offscreen",
            "FONTCONFIG_FILE": str(fonts),
            "LC_ALL": "C.UTF-8",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QT_", "XDG_", "LC_", "LANG"))}
        command = [sys.executable, "-m", "tests.view.make_pictures", "--draw", str(into), theme, language]
        subprocess.run(command, env=kept | own, cwd=FOLDER.parents[2], check=True)


def draw_here(into: Path, theme: str, language: str) -> None:
    """The same in this process, which has to end afterwards: settings are the user's."""
    from PySide6.QtGui import QImage
    from PySide6.QtWidgets import QApplication

    from explorer.app import make_application
    from explorer.model import text
    from explorer.view.canvas import Canvas
    from explorer.view.panels.gallery import SceneList
    from explorer.view.settings import Settings
    from explorer.view.window import Window

    app = make_application()
    QApplication.setCursorFlashTime(0)
    text.set_language(language)
    settings = Settings()
    settings.theme, settings.language, settings.reduced_motion = theme, language, True
    window = Window(settings=settings)
    window.resize(1000, 640)
    window.show()

    def save(view, widget):
        app.processEvents()
        lists = window.findChildren(SceneList)
        while any(scenes.waiting and not scenes.visibleRegion().isEmpty() for scenes in lists):
            app.processEvents()  # thumbnails come one by one
        app.processEvents()
        image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
        if not image.save(str(into / f"{view}-{theme}-{language}.png"), "PNG", 0):
            raise OSError(f"cannot write into {into}")

    def moment(share):
        start = session.trace.forward_end
        session.update(t=float(round(start + share * (session.end - start))))

    session = window.session
    save("start", window)
    window.resize(1280, 800)
    canvas = Canvas(session, window.theme)  # without panels
    canvas.legend, canvas.reduced_motion = True, True
    canvas.resize(1000, 600)
    window.open_scene("lstm")
    moment(0.5)
    session.update(selection=(session.trace.graph.named("h_2").id,))
    save("window", window)
    canvas.show()
    session.update(folded=frozenset(), selection=())
    moment(0.6)
    graph = session.trace.graph
    canvas.show_nodes({i for i, time in enumerate(graph.times) if time == 2})
    save("canvas", canvas)
    session.update(parameters={"T": 50})
    session.update(folded=frozenset())
    moment(0.4)
    x, y = session.layout.rects[:, ::2].mean(), session.layout.rects[:, 1::2].mean()
    session.update(camera=(x, y, 0.13))
    save("far", canvas)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.view.make_pictures", description=__doc__)
    parser.add_argument("--draw", nargs=3, metavar=("FOLDER", "THEME", "LANGUAGE"), help="one process's part")
    chosen = parser.parse_args()
    if chosen.draw:
        folder, theme, language = chosen.draw
        draw_here(Path(folder), theme, language)
        return
    with tempfile.TemporaryDirectory() as made:
        for theme, language in product(THEMES, LANGUAGES):
            draw(Path(made), theme, language)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        for picture in Path(made).iterdir():
            shutil.copyfile(picture, FOLDER / picture.name)
    print(f"{sum(p.stat().st_size for p in FOLDER.glob('*.png')) / 1e6:.2f} MB in {FOLDER}: look at them")


if __name__ == "__main__":
    main()
