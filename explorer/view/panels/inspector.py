"""The inspector: everything about the selected node at this moment, and the place to edit a leaf."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QScrollArea, QToolButton, QVBoxLayout, QWidget

from autograd import check_gradients
from explorer.model import one_hot, playback, text, what_if
from explorer.model.alterations import ALTERATIONS, leaf_key
from explorer.model.text import tr
from explorer.view import paint
from explorer.view.fonts import ui_font
from explorer.view.formula import FormulaLabel
from explorer.view.icons import icon
from explorer.view.matrix import MatrixView
from explorer.view.panels import Panel, panel
from scenes.scene import SceneError

MOST_CONTRIBUTIONS = 12


@panel("inspector", "Inspector", Qt.DockWidgetArea.RightDockWidgetArea)
class Inspector(Panel):
    """Value, gradient, formula, partials and contributions of the node selected last."""

    def build(self) -> QWidget:
        self.outer = QScrollArea()
        self.outer.setWidgetResizable(True)
        self.outer.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._node: int | None = None
        self._parts = 0
        self.numbers: QLabel | None = None
        return self.outer

    @property
    def node(self) -> int | None:
        """The node shown."""
        selection = self.session.state.selection
        return selection[-1] if selection and self.session.recording is not None else None

    def refresh(self, changed: frozenset[str]) -> None:
        node = self.node
        if changed & {"recording", "everything", "parameters", *ALTERATIONS} or node != self._node:
            self._node = node
            self._make()
        if node is not None and changed & {"t", "trace", "selection", "everything", "recording"}:
            self._fill()

    def _make(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(5)
        node = self.node
        if node is None:
            hint = QLabel(
                tr("Click a box to see its value, gradient and formula, and to change a leaf's numbers.")
            )
            hint.setWordWrap(True)
            hint.setAlignment(Qt.AlignmentFlag.AlignTop)
            hint.setStyleSheet(f"color: {self.theme.faint_ink}")
            column.addWidget(hint)
            column.addStretch(1)
            self.outer.setWidget(content)
            return
        graph = self.session.trace.graph
        op, notation = graph.ops[node], self.session.notation
        head = QHBoxLayout()
        title = QLabel(playback.node_words(graph, node, notation))
        title.setTextFormat(Qt.TextFormat.PlainText)
        title.setFont(ui_font(18, bold=True))
        head.addWidget(title, 1)
        copy = QToolButton()
        copy.setIcon(icon("copy", self.theme.ink))
        copy.setToolTip(tr("Copy the value as NumPy code"))
        copy.clicked.connect(lambda: self.host.copy_value())
        head.addWidget(copy)
        column.addLayout(head)
        where = " / ".join(graph.scopes[node])
        if graph.times[node] is not None:
            where += f"  t = {graph.times[node]}"
        kind = op.name if op else self._kind_words(str(graph.kinds[node]))
        size = text.shape(graph.values[node].shape) or tr("a number")
        self._line(column, " · ".join(w for w in (kind, size, where.strip()) if w), faint=True)
        for words in what_if.box_words(self.session, (node,)):
            self._line(column, words).setFont(ui_font(13, bold=True))
        if op is not None:
            column.addWidget(FormulaLabel(op.formula, pixel_size=16))
            for partial in op.partials:
                column.addWidget(FormulaLabel(partial, pixel_size=14))
            self._line(column, tr(op.doc), faint=True)
            self.numbers = self._line(column, "")
        else:
            self.numbers = None
        editable = op is None and self.session.scene is not None
        self._heading(column, tr("Value"), self.theme.value)
        self.value = MatrixView(self.theme, editable=editable)
        self.value.edited.connect(self._edit)
        self.value.settled.connect(lambda: self.session.settle())
        column.addWidget(self.value)
        self.said = self._line(column, "")
        self.value_words = self._line(column, "", faint=True)
        self._heading(column, tr("Gradient"), self.theme.gradient)
        self.grad = MatrixView(self.theme, gradient=True)
        column.addWidget(self.grad)
        self.grad_words = self._line(column, "", faint=True)
        self.contributions = QWidget()
        self.contribution_grid = QGridLayout(self.contributions)
        self.contribution_grid.setContentsMargins(0, 0, 0, 0)
        self.contribution_grid.setVerticalSpacing(3)
        column.addWidget(self.contributions)
        self._parts = -1
        if editable and graph.needs_grad[node]:
            row = QHBoxLayout()
            check = QToolButton()
            check.setText(tr("Check this gradient"))
            check.setToolTip(tr("Compare with (f(x+h) − f(x−h)) / 2h, element by element"))
            check.clicked.connect(self._check)
            row.addWidget(check)
            row.addStretch(1)
            column.addLayout(row)
            self.check_words = self._line(column, "")
        column.addStretch(1)
        self.outer.setWidget(content)

    def _kind_words(self, kind: str) -> str:
        return {
            "parameter": tr("parameter"),
            "input": tr("input"),
            "target": tr("target"),
            "constant": tr("constant"),
        }[kind]

    def _line(self, column: QVBoxLayout, words: str, *, faint: bool = False) -> QLabel:
        label = QLabel()
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setText(words)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if faint:
            label.setStyleSheet(f"color: {self.theme.faint_ink}")
        column.addWidget(label)
        return label

    def _heading(self, column: QVBoxLayout, words: str, colour: str) -> None:
        label = QLabel(words)
        label.setFont(ui_font(13, bold=True))
        label.setStyleSheet(f"color: {colour}")
        column.addSpacing(4)
        column.addWidget(label)

    # What changes with the moment

    def _fill(self) -> None:
        node, trace, t = self.node, self.session.trace, self.session.state.t
        assert node is not None
        graph, notation = trace.graph, self.session.notation
        value_limit, gradient_limit = paint.limits(self.session.frame())
        value, grad = trace.value(node, t), trace.grad(node, t)
        self.value.show_array(value, value_limit, tr("not computed yet"))
        self.said.setText(one_hot.words(self.session.words, value))
        self.said.setVisible(bool(self.said.text()))
        self.value_words.setText(_statistics(value))
        if self.numbers is not None:
            self.numbers.setText(playback.numbers_words(trace, node) if value is not None else "")
        arrived, expected = trace.arrived(node, t), len(trace.arrivals[node])
        if node == trace.loss:
            self.grad.show_array(grad, gradient_limit, tr("nothing has arrived yet"))
            self.grad_words.setText(tr("the starting gradient: ∂E/∂E = 1"))
        elif expected == 0:
            self.grad.show_array(None, gradient_limit, tr("no gradient reaches this node"))
            self.grad_words.setText("")
        else:
            self.grad.show_array(grad, gradient_limit, tr("nothing has arrived yet"))
            words = tr("{n} of {m} arrived").format(n=arrived, m=expected)
            self.grad_words.setText("  ·  ".join(w for w in (words, _statistics(grad)) if w))
        if arrived != self._parts:
            self._parts = arrived
            self._show_contributions(node, arrived)
        else:
            for k, view in enumerate(self.contributions.findChildren(MatrixView)):
                view.show_array(trace.contribution(trace.arrivals[node][k]), gradient_limit)
        self.setAccessibleDescription(
            tr("{name}: value {value}, gradient {grad}").format(
                name=playback.node_words(graph, node, notation),
                value=text.array(value) if value is not None else "–",
                grad=text.array(grad) if grad is not None else "–",
            )
        )

    def _show_contributions(self, node: int, arrived: int) -> None:
        grid, trace = self.contribution_grid, self.session.trace
        while grid.count():
            widget = grid.takeAt(0).widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        if len(trace.arrivals[node]) < 2 or arrived == 0:
            return
        _, limit = paint.limits(self.session.frame())
        heading = QLabel(tr("Contributions, as they arrived; they add up to the gradient"))
        heading.setWordWrap(True)
        heading.setFont(ui_font(12, bold=True))
        grid.addWidget(heading, 0, 0, 1, 2)
        graph, notation = trace.graph, self.session.notation
        for k, arrival in enumerate(trace.arrivals[node][: min(arrived, MOST_CONTRIBUTIONS)]):
            time = graph.times[arrival.consumer]
            name = playback.node_words(graph, arrival.consumer, notation, 1)
            label = QLabel(f"t = {time}" if time is not None else name)
            label.setToolTip(f"{tr('from')} {name}")
            view = MatrixView(self.theme, gradient=True)
            view.show_array(trace.contribution(arrival), limit)
            grid.addWidget(label, k + 1, 0)
            grid.addWidget(view, k + 1, 1)
        grid.setColumnStretch(1, 1)
        if arrived > MOST_CONTRIBUTIONS:
            more = QLabel(tr("and {n} more").format(n=arrived - MOST_CONTRIBUTIONS))
            grid.addWidget(more, MOST_CONTRIBUTIONS + 1, 0, 1, 2)

    # Editing

    def _edit(self, index: tuple[int, ...], value: float, dragging: bool) -> None:
        node = self.node
        if node is None:
            return
        if not np.isfinite(value):
            self.host.say(tr("{name} takes a number, such as -0.25").format(name=self._key()))
            return
        shown = self.session.trace.value(node, self.session.state.t)
        array = (self.session.trace.values[node] if shown is None else shown).copy()
        array[index] = value
        try:
            self.session.edit(node, array, merge=dragging)
        except SceneError as error:
            self.host.say(text.sentence(error))

    def _key(self) -> str:
        assert self.node is not None
        return leaf_key(self.session.trace.graph, self.node)

    def _check(self) -> None:
        trace, node = self.session.trace, self.node
        assert node is not None
        nodes = trace.graph.nodes
        report = check_gradients(nodes[trace.loss], [nodes[node]])[0]
        words = tr("largest relative error {error}").format(error=text.number(report.error, 3))
        mark = "✓" if report.passes() else "✗"
        if report.worst:
            words += " " + tr("at element {index}").format(index=list(report.worst))
        self.check_words.setText(f"{mark} {words}")


def _statistics(a: np.ndarray | None) -> str:
    if a is None or a.size < 2:
        return ""
    return tr("norm {norm}, mean {mean}, from {low} to {high}").format(
        norm=text.number(float(np.linalg.norm(a)), 4),
        mean=text.number(float(np.mean(a)), 3),
        low=text.number(float(np.min(a)), 3),
        high=text.number(float(np.max(a)), 3),
    )
