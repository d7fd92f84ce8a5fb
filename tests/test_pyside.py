"""Painting must not wear out `None`, and the versions known to do harm must stay excluded."""

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath

from explorer import system

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
ROUNDS = 2000
DRIFT = 50  # a faulty binding loses one reference a call, so thousands


def test_painting_keeps_the_references_to_none(qapp):
    image = QImage(64, 64, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.white)
    path = QPainterPath()
    path.addEllipse(1, 1, 5, 5)
    ink = QColor("teal")
    painter = QPainter(image)
    before = sys.getrefcount(None)
    for _ in range(ROUNDS):
        painter.setPen(ink)
        painter.setBrush(ink)
        painter.drawRect(0, 0, 2, 2)
        painter.drawLine(0, 0, 2, 2)
        painter.drawPath(path)
        painter.fillRect(0, 0, 2, 2, ink)
    drift = sys.getrefcount(None) - before
    painter.end()
    assert image.pixelColor(0, 0) == ink
    if sys.version_info < (3, 12):  # from 3.12 on None is immortal: arriving here is the whole test
        assert abs(drift) < DRIFT


def allowed(version: str, python: str) -> bool:
    requirements = map(Requirement, tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"])
    mine = [
        requirement
        for requirement in requirements
        if requirement.name == "PySide6-Essentials"
        and (requirement.marker is None or requirement.marker.evaluate({"python_version": python}))
    ]
    assert mine
    return all(requirement.specifier.contains(version) for requirement in mine)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("version", ["6.7.3", "6.8.0", "6.10.2", "6.11.0", "6.11.1", "6.11.3", "6.12.0"])
def test_the_project_and_the_start_up_check_exclude_the_same_versions(version, python):
    major, minor = map(int, python.split("."))
    assert allowed(version, python) == (not system.unfit_qt(version, (major, minor)))


def test_harmful_versions_are_excluded():
    assert not any(allowed(version, "3.11") for version in ("6.11.0", "6.11.1", "6.12.0"))
    assert not any(allowed(version, "3.13") for version in ("6.11.0", "6.11.1"))
    assert allowed("6.11.3", "3.11")
    assert allowed("6.12.0", "3.12")
