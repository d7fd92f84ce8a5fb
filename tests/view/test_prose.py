"""Text that may come from somebody's file: shown, but nothing is fetched for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from explorer.view.panels.chapters import Prose


@pytest.mark.parametrize("form", ["![seen]({})", "`![seen]({})`", "a ![seen](file://{}) b"])
def test_a_picture_is_not_read_from_the_disk(form: str, tmp_path: Path, qtbot: QtBot) -> None:
    green = QImage(60, 60, QImage.Format.Format_RGB32)
    green.fill(QColor(0, 255, 0))
    file = tmp_path / "green.png"
    assert green.save(str(file))
    prose = Prose()
    qtbot.addWidget(prose)
    prose.resize(300, 200)
    prose.show_markdown(f"before {form.format(file)} after")
    prose.show()
    qtbot.waitExposed(prose)
    drawn = prose.grab().toImage()
    colours = {drawn.pixelColor(x, y).name() for x in range(0, 300, 2) for y in range(0, 200, 2)}
    assert "#00ff00" not in colours
    text = prose.toPlainText()
    assert text.startswith("before") and text.rstrip().endswith("after")
    assert "\ufffc" not in text
