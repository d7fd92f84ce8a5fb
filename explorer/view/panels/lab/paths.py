"""The strongest paths between two nodes, their factors written out; the one that is clicked is lit."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSpinBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from explorer.model import playback, text
from explorer.model.lab import paths
from explorer.model.lab.sweep import wiring
from explorer.model.text import tr
from explorer.view.fonts import ui_font
from explorer.view.panels import Panel
from explorer.view.panels.lab.view import View, choose, fill
from explorer.view.worker import ProgressMark, Worker

MOST_FACTORS = 60  # written out in one row
AT_ONCE = 500  # nodes of a graph that is searched without a thread


class PathsView(View):
    """A row per path; below, the chosen one edge by edge."""

    def __init__(self, owner: Panel) -> None:
        self.source: int | None = None
        self.target: int | None = None
        self.routes: paths.Routes | None = None
        self.chosen = -1
        self._chosen_ends: tuple[str, ...] = ()  # names of source and target, if they were chosen by hand
        self._kept: tuple[int, ...] = ()  # nodes of the path that was chosen
        self._asked: Any = None
        self._written: Any = None  # of which path the edges are listed
        self._visited: int | None = None  # a node that a click in the list went to: not a new source
        super().__init__(owner)

    def build(self, column: QVBoxLayout) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(4)
        self.to = QComboBox()
        self.to.activated.connect(lambda k: self._set(target=self.to.itemData(k)))
        self.start = QComboBox()
        self.start.setToolTip(tr("Follows the selected node"))
        self.start.activated.connect(lambda k: self._set(source=self.start.itemData(k)))
        for combo in (self.to, self.start):
            combo.setMaxVisibleItems(20)
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(6)
        self.count = QSpinBox()
        self.count.setRange(1, 50)
        self.count.setValue(5)
        self.count.setToolTip(tr("How many paths"))
        self.count.setAccessibleName(tr("How many paths"))
        self.count.valueChanged.connect(lambda _: self._search())
        row = QHBoxLayout()
        row.addWidget(self.to, 1)
        arrow = QLabel("→")
        arrow.setFont(ui_font(15, bold=True))
        row.addWidget(arrow)
        row.addWidget(self.start, 1)
        row.addWidget(self.count)
        form.addRow(tr("from … back to"), row)
        column.addLayout(form)
        self.head = self.words()
        column.addWidget(self.head)
        self.table = QTreeWidget()
        self.table.setRootIsDecorated(False)
        self.table.setUniformRowHeights(True)
        self.table.setHeaderLabels([tr("share"), tr("product"), tr("factors")])
        self.table.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.table.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.table.header().setStretchLastSection(True)
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.table.itemClicked.connect(lambda item: self._choose(self.table.indexOfTopLevelItem(item)))
        self.table.itemActivated.connect(lambda item: self._choose(self.table.indexOfTopLevelItem(item)))
        column.addWidget(self.table)
        self.worker = Worker(self)
        self.worker.finished.connect(self._have)
        column.addWidget(ProgressMark(self.worker, self.theme))
        self.product = self.words(bold=True)
        column.addWidget(self.product)
        self.edges = QTreeWidget()
        self.edges.setRootIsDecorated(False)
        self.edges.setUniformRowHeights(True)
        self.edges.setHeaderHidden(True)
        self.edges.setColumnCount(2)
        self.edges.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)  # hundreds change at once
        self.edges.header().resizeSection(0, self.edges.fontMetrics().horizontalAdvance("× −1.23e−100") + 8)
        self.edges.itemClicked.connect(self._go_to)
        column.addWidget(self.edges, 1)

    def empty(self) -> str:
        if self.session.recording is None:
            return tr("Open a scene: the ways that its gradient takes appear here.")
        return ""

    def follow(self, changed: frozenset[str]) -> None:
        trace = self.session.trace
        fresh = bool(changed & {"everything", "recording"})
        if fresh:
            self._fill()
        picked = self.selected()
        if picked != self._visited:
            self._visited = None
        new = picked not in (self._visited, self.source) and self.start.findData(picked) >= 0
        if picked is not None and new:
            self.source = picked
            choose(self.start, picked)
            if self.target is not None and picked >= self.target:
                self.target = trace.loss
                choose(self.to, self.target)
            self._remember_ends()
            fresh = True
        if fresh or self._asked is None or self._asked[0] is not trace:
            self._search(keep=not fresh)

    def _fill(self) -> None:
        """Named nodes that have a gradient; from a scene's first state to its last, where it has states."""
        trace = self.session.trace
        wires = wiring(trace.graph)
        named = [i for i, name in enumerate(wires.names) if name and wires.needs[i] and trace.arrivals[i]]
        ends = [trace.loss, *reversed([i for i in named if wires.ops[i] is not None and i != trace.loss])]
        self.source, self.target = next(iter(named), None), trace.loss
        for base in wires.states[:1]:
            steps = list(wires.quantities[base].values())
            self.source, self.target = steps[0][0], steps[-1][0]
        by_name = {wires.names[i]: i for i in (trace.loss, *reversed(named))}
        if by_name.keys() >= set(self._chosen_ends) and self._chosen_ends:
            self.source, self.target = (by_name[name] for name in self._chosen_ends)
        fill(self.start, [(self.name(i), i) for i in named], self.source)
        fill(self.to, [(self.name(i), i) for i in ends], self.target)

    def _set(self, *, source: int | None = None, target: int | None = None) -> None:
        self.source = self.source if source is None else source
        self.target = self.target if target is None else target
        self._remember_ends()
        self._search()

    def _remember_ends(self) -> None:
        """They were chosen by hand: the next graph that has nodes of these names keeps them."""
        names = wiring(self.session.trace.graph).names
        self._chosen_ends = tuple(names[end] for end in (self.source, self.target) if end is not None)

    def _search(self, keep: bool = False) -> None:
        """The paths anew; with `keep` the chosen row stays chosen."""
        if self.source is None or self.target is None:
            self.routes = None
            return
        self._kept = self.routes.found[self.chosen].nodes if keep and self.routes and self.chosen >= 0 else ()
        trace, source, target, count = self.session.trace, self.source, self.target, self.count.value()
        self._asked = trace, source, target
        if len(trace.graph) <= AT_ONCE:
            self._have(paths.routes(trace, source, target, count))
        else:
            self.worker.start(lambda progress: paths.routes(trace, source, target, count, progress))

    def _have(self, routes: paths.Routes) -> None:
        if self.session.recording is None or self._asked != (routes.trace, routes.source, routes.target):
            return
        self.routes = routes
        found = routes.found
        self.chosen = next((k for k, r in enumerate(found) if r.nodes == self._kept), 0 if found else -1)
        self._draw()

    def release(self) -> None:
        if self.worker.busy:
            self._asked = None
        self.worker.cancel()

    def _draw(self) -> None:
        assert self.routes is not None and self.source is not None and self.target is not None
        found = self.routes.found
        total = sum(route.share for route in found)
        if not found or total != total:
            words = tr("No gradient goes from {target} back to {source}.")
        elif self.routes.scalar:
            words = tr("∂{target}/∂{source} is the sum over all paths. Shown: {share} of it.")
        else:
            words = tr("What reaches {source} from {target} is the sum over all paths. Shown: {share} of it.")
        self.head.setText(
            words.format(
                source=self.name(self.source),
                target=self.name(self.target),
                share=_percent(total),
            )
        )
        self.table.clear()
        for route in found:
            factors = _factors(route)
            item = QTreeWidgetItem([_percent(route.share), f"{text.number(route.product, 4)}  ", factors])
            item.setToolTip(2, factors)
            for k in (0, 1):
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                item.setTextAlignment(k, right)
            self.table.addTopLevelItem(item)
        row = self.table.sizeHintForRow(0) if found else 20
        self.table.setFixedHeight(self.table.header().height() + row * min(max(len(found), 2), 7) + 6)
        current = self.table.topLevelItem(self.chosen)
        if current is not None:
            self.table.setCurrentItem(current)
            self._draw_edges(found[self.chosen])
        else:
            self.product.setText("")
            self.edges.clear()
            self._written = None

    def _draw_edges(self, route: paths.Route) -> None:
        """One row per edge, in the order in which the gradient takes them."""
        graph, words = self.session.trace.graph, text.number(route.product, 6)
        exact = "" if route.product != 1.0 else "  " + tr("(exactly 1)")
        self.product.setText(f"{_factors(route, 12)} = {words}{exact}")
        if self._written != (graph, route.nodes, route.slots):
            self._written = graph, route.nodes, route.slots
            self.edges.clear()
            self.edges.addTopLevelItems([self._edge(route, k) for k in reversed(range(len(route.factors)))])
        for row, factor in enumerate(reversed(route.factors)):
            self.edges.topLevelItem(row).setText(0, f"× {text.number(factor, 4)}")

    def _edge(self, route: paths.Route, k: int) -> QTreeWidgetItem:
        """What an edge does, in words; its factor is filled in with every edit."""
        trace, notation = self.session.trace, self.session.notation
        to, node = route.nodes[k], route.nodes[k + 1]
        back = playback.back_words(trace.graph, node, route.slots[k], trace.loss, notation)
        line = f"{self.derivative(to)} ← {back}"
        item = QTreeWidgetItem(["", line])
        item.setData(0, Qt.ItemDataRole.UserRole, to)
        item.setToolTip(1, line)
        return item

    # Clicks

    def _choose(self, row: int) -> None:
        if self.routes is None or not 0 <= row < len(self.routes.found):
            return
        self.chosen = row
        route = self.routes.found[row]
        current = self.table.topLevelItem(row)
        if current is not None:
            self.table.setCurrentItem(current)
        self._draw_edges(route)
        self.light_paths([route.nodes])

    def _go_to(self, item: QTreeWidgetItem) -> None:
        """Keep the path lit and make one of its nodes the current one."""
        self._visited = item.data(0, Qt.ItemDataRole.UserRole)
        if self.routes is not None and self.chosen >= 0:
            nodes = self.routes.found[self.chosen].nodes
            self.light_paths([nodes], at=self._visited, selection=(self._visited,))


def _factors(route: paths.Route, most: int = MOST_FACTORS) -> str:
    """`0.93 · 1 · 0.88`, from the target to the source; the middle of a long one is left out."""
    factors = list(reversed(route.factors))
    left_out = len(factors) > most
    shown = [*factors[: most - 4], *factors[-3:]] if left_out else factors
    words = [f"({w})" if w.startswith("−") else w for w in (text.number(f, 3) for f in shown)]
    if left_out:
        words.insert(most - 4, "…")
    return " · ".join(words) or "1"


def _percent(share: float) -> str:
    return "–" if share != share else f"{text.number(100 * share, 3)}\u00a0%"
