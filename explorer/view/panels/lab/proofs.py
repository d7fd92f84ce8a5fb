"""The closed form next to the engine's number, tick or cross, and the misprints of the notes."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QBoxLayout,
    QGridLayout,
    QHeaderView,
    QScrollArea,
    QStackedWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.checks import Row
from explorer.model.lab.misprints import versions
from explorer.model.lab.proofs import element_errors, indexed, prove
from explorer.model.text import language, tr
from explorer.view.fonts import ui_font
from explorer.view.formula import FormulaLabel
from explorer.view.matrix import MatrixView
from explorer.view.panels import Panel
from explorer.view.panels.lab.view import View
from scenes.scene import Recording

PAUSE = 60  # milliseconds after an edit: a drag is answered when it rests


class ProofsView(View):
    """A row per proof, the chosen one in full below. They are computed one at a time, so nothing stalls."""

    def __init__(self, owner: Panel) -> None:
        self.found: dict[str, Row] = {}
        self.chosen = ""
        self._waiting: list[str] = []
        self._items: dict[str, QTreeWidgetItem] = {}
        self._recording: Recording | None = None
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        self.verdict = self.words(bold=True, size=14)
        column.addWidget(self.verdict)
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setHeaderLabels(["", tr("proof"), tr("relative error")])
        header = self.list.header()
        header.setStretchLastSection(False)
        for section, mode in enumerate(
            (
                QHeaderView.ResizeMode.ResizeToContents,
                QHeaderView.ResizeMode.Stretch,
                QHeaderView.ResizeMode.ResizeToContents,
            )
        ):
            header.setSectionResizeMode(section, mode)
        self.list.currentItemChanged.connect(self._choose)
        column.addWidget(self.list, 3)
        self.detail = QWidget()
        inner = QVBoxLayout(self.detail)
        inner.setContentsMargins(0, 0, 6, 0)
        inner.setSpacing(4)
        self.formula = FormulaLabel(pixel_size=17)
        inner.addWidget(self.formula)
        self.beside = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        inner.addLayout(self.beside)
        inner.addStretch(1)
        self.engine, self.closed, self.apart = (
            MatrixView(self.theme, gradient=True),
            MatrixView(self.theme, gradient=True),
            MatrixView(self.theme),
        )
        for view, words in (
            (self.engine, tr("engine")),
            (self.closed, tr("closed form")),
            (self.apart, tr("difference")),
        ):
            label = self.words(faint=True, size=12)
            label.setWordWrap(False)
            label.setText(words)
            column_of_one = QVBoxLayout()
            column_of_one.setSpacing(1)
            column_of_one.addWidget(label)
            column_of_one.addWidget(view)
            column_of_one.addStretch(1)
            self.beside.addLayout(column_of_one)
        self.erratum = QWidget()
        self._build_erratum(QGridLayout(self.erratum))
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.detail)
        self.pages = QStackedWidget()
        self.pages.addWidget(scroll)
        self.pages.addWidget(self.erratum)
        column.addWidget(self.pages, 5)
        self._timer = QTimer(self, singleShot=True, interval=PAUSE)
        self._timer.timeout.connect(self._prove_next)

    def _build_erratum(self, grid: QGridLayout) -> None:
        """What is printed and what is right, side by side; below each what it gives."""
        grid.setContentsMargins(0, 0, 0, 0)
        self.where, self.correct = self.words(faint=True, size=12), self.words(faint=True, size=12)
        self.printed, self.right = self.words(size=16), self.words(size=16, bold=True)
        font = self.printed.font()
        font.setStrikeOut(True)
        self.printed.setFont(font)
        self.printed.setStyleSheet(f"color: {self.theme.gradient}")
        self.right.setStyleSheet(f"color: {self.theme.input}")
        self.note, self.gives = self.words(), self.words(faint=True, size=12)
        self.versions = MatrixView(self.theme, gradient=True), MatrixView(self.theme, gradient=True)
        for row, both in enumerate(((self.where, self.correct), (self.printed, self.right))):
            for column, label in enumerate(both):
                grid.addWidget(label, row, column, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.note, 2, 0, 1, 2)
        grid.addWidget(self.gives, 3, 0, 1, 2)
        for column, view in enumerate(self.versions):
            grid.addWidget(view, 4, column, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(5, 1)

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: its closed forms and the engine's numbers appear here.")
        if self.session.scene is not None and not self.session.scene.proofs:
            return tr("This graph has no closed forms to compare with.")
        if self.session.altered:
            return tr("Something is held, cut or frozen. Closed forms are those of the scene without it.")
        return ""

    def follow(self, changed: frozenset[str]) -> None:
        scene = self.session.scene
        assert scene is not None
        if changed & {"everything", "recording"}:
            self._recording = None
            self.found = {}
            self._fill()
        if changed & {"everything", "recording", "trace"}:
            self._waiting = [proof.id for proof in scene.proofs]
            if self.pages.currentIndex():
                self._choose(self.list.currentItem())
            self._timer.start(0 if not self.found else PAUSE)

    def release(self) -> None:
        self._timer.stop()

    def _fill(self) -> None:
        scene = self.session.scene
        assert scene is not None
        self.list.clear()
        self._items = {}
        for proof in scene.proofs:
            item = QTreeWidgetItem(["…", proof.title[language()], ""])
            item.setData(0, Qt.ItemDataRole.UserRole, proof.id)
            item.setToolTip(1, proof.title[language()])
            item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.list.addTopLevelItem(item)
            self._items[proof.id] = item
        for number, erratum in enumerate(scene.errata):
            title = tr("misprint in {where}: {printed}").format(where=erratum.where, printed=erratum.printed)
            item = QTreeWidgetItem(["!", title, ""])
            item.setData(0, Qt.ItemDataRole.UserRole, number)
            item.setForeground(0, QColor(self.theme.parameter))
            item.setFont(0, ui_font(15, bold=True))
            item.setToolTip(1, title)
            self.list.addTopLevelItem(item)
        first = self.list.topLevelItem(0)
        if first is not None:
            self.list.setCurrentItem(first)

    def prove_all(self) -> None:
        """Answer at once what is still waiting."""
        while self._waiting:
            self._prove_next()

    def _prove_next(self) -> None:
        recording, scene = self.session.recording, self.session.scene
        if recording is None or scene is None or not self._waiting:
            return
        if self._recording is None or self._recording.graph is not recording.graph:
            self._recording = indexed(recording)
        id = self._waiting.pop(0)
        proof = next((p for p in scene.proofs if p.id == id), None)
        if proof is None:
            return
        row = self.found[id] = prove(self._recording, proof)
        item = self._items[id]
        mark = "✓" if row.passed else "✗"
        if item.text(0) != mark:
            item.setText(0, mark)
            item.setForeground(0, QColor(self.theme.input if row.passed else self.theme.gradient))
            item.setFont(0, ui_font(15, bold=True))
        item.setText(2, text.number(row.relative_error, 3))
        if id == self.chosen:
            self._show(row)
        self._show_verdict()
        if self._waiting:
            self._timer.start(0)

    def _show_verdict(self) -> None:
        scene = self.session.scene
        assert scene is not None
        passed = sum(row.passed for row in self.found.values())
        failed = len(self.found) - passed
        words = tr("{n} of {m} proofs agree").format(n=passed, m=len(scene.proofs))
        self.verdict.setText(("✗ " if failed else "✓ " if passed == len(scene.proofs) else "… ") + words)
        style = f"color: {self.theme.gradient if failed else self.theme.ink}"
        if self.verdict.styleSheet() != style:
            self.verdict.setStyleSheet(style)

    def _choose(self, item: QTreeWidgetItem | None, before: object = None) -> None:
        scene = self.session.scene
        if item is None or scene is None:
            return
        chosen = item.data(0, Qt.ItemDataRole.UserRole)
        self.pages.setCurrentIndex(int(isinstance(chosen, int)))
        if isinstance(chosen, int):
            self._show_erratum(chosen)
            return
        self.chosen = chosen
        proof = next(p for p in scene.proofs if p.id == self.chosen)
        self.formula.set_formula(proof.formula)
        if self.chosen in self.found:
            self._show(self.found[self.chosen])

    def _show(self, row: Row) -> None:
        both = [np.abs(a[np.isfinite(a)]) for a in (row.engine, row.closed_form)]
        narrow = _columns(row.engine) <= 2
        direction = QBoxLayout.Direction  # few columns stand side by side, so that each row is one comparison
        self.beside.setDirection(direction.LeftToRight if narrow else direction.TopToBottom)
        limit = max((float(a.max(initial=0.0)) for a in both), default=0.0) or 1.0
        self.engine.show_array(row.engine, limit)
        self.closed.show_array(row.closed_form, limit)
        errors = element_errors(row)
        self.apart.show_array(errors, 1e-9, tr("the shapes differ"))

    def _show_erratum(self, number: int) -> None:
        scene = self.session.scene
        assert scene is not None
        erratum = scene.errata[number]
        self.where.setText(f"{erratum.where}, {tr('printed')}")
        self.correct.setText(tr("correct"))
        self.printed.setText(erratum.printed)
        self.right.setText(erratum.right)
        self.note.setText(erratum.note[language()])
        assert self.session.recording is not None
        found = versions(self.session.recording, self.session.trace, erratum)
        self.gives.setText("" if found is None else tr("what both give for {name}").format(name=found.of))
        arrays = (None, None) if found is None else (found.printed, found.right)
        limit = max((float(np.max(np.abs(a), initial=0.0)) for a in arrays if a is not None), default=0.0)
        for view, array in zip(self.versions, arrays, strict=True):
            view.setVisible(array is not None)
            view.show_array(array, limit or 1.0)


def _columns(array: np.ndarray) -> int:
    """How many columns MatrixView shows an array with."""
    return array.size // max(len(array), 1) if array.ndim > 1 else array.size
