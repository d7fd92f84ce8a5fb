"""Plots in the theme's colours: lines on linear or logarithmic axes, our fonts, no menus of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, floor, log10
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from explorer.model import text
from explorer.view.fonts import ui_font
from explorer.view.theme import Theme

MARKS = ("o", "s", "t1", "d", "+", "x", "star")
MARK_LETTERS = "●■▲◆+×★"
MARK_SIZES = ((25, 8), (60, 5.5))  # up to so many numbers in a line
SMALLEST_MARK = 4


def line_colours(theme: Theme) -> tuple[str, ...]:
    """Colours for lines in one plot, told apart by their marks too."""
    return (
        theme.gradient, theme.value, theme.input, theme.parameter, theme.target, theme.state_line, theme.loss
    )  # fmt: skip


@cache
def _axes() -> tuple[type, type]:
    """Kinds of axis: whole numbers, and powers of ten."""
    import pyqtgraph as pg

    class WholeNumbers(pg.AxisItem):
        def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
            low, high = min(low, high), max(low, high)
            most = max(size / 36, 2)
            step = next(s * 10**e for e in range(9) for s in (1, 2, 5) if (high - low) / (s * 10**e) <= most)
            return [(step, [step * k for k in range(ceil(low / step), floor(high / step) + 1)])]

        def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
            return [str(round(v)) for v in values]

    class Powers(pg.AxisItem):
        def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
            """Places are logarithms: whole decades, or 1, 2 and 5 in a short range."""
            low, high = min(low, high), max(low, high)
            if high - low < 2.2:
                marks = [e + log10(m) for e in range(floor(low), ceil(high) + 1) for m in (1, 2, 5)]
                return [(1.0, [m for m in marks if low <= m <= high])]
            step = max(1, ceil((high - low) * 34 / max(size, 1)))
            return [(float(step), [float(e) for e in range(ceil(low), floor(high) + 1) if e % step == 0])]

        def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
            if all(v == round(v) for v in values) and len(values) > 2:
                return [str(text.Label("10", sup=str(round(v)))) for v in values]
            return [text.number(10.0**v, 2) for v in values]

    return WholeNumbers, Powers


def make_plot(theme: Theme, x_title: str, y_title: str, *, log_x: bool = False, log_y: bool = True) -> Any:
    """An empty pyqtgraph plot. Logarithmic axes take the numbers themselves, not their logarithms."""
    import pyqtgraph as pg

    whole, powers = _axes()
    sides = {"bottom": (powers if log_x else whole)("bottom"), "left": (powers if log_y else whole)("left")}
    plot = pg.PlotWidget(background=theme.canvas, axisItems=sides)
    plot.setAntialiasing(True)
    plot.setFrameShape(plot.Shape.NoFrame)
    plot.setMinimumSize(180, 140)
    item = plot.getPlotItem()
    item.setMenuEnabled(False)
    item.hideButtons()
    item.setLogMode(log_x, log_y)
    item.showGrid(x=True, y=True, alpha=0.18)
    for side, title in (("bottom", x_title), ("left", y_title)):
        axis = item.getAxis(side)
        axis.setPen(QColor(theme.line))
        axis.setTextPen(QColor(theme.ink))
        axis.setStyle(tickFont=ui_font(11.5))
        axis.enableAutoSIPrefix(False)
        axis.setLabel(title)
        axis.label.setFont(ui_font(12.5))
        axis.label.setDefaultTextColor(QColor(theme.ink))
    return plot


def show_range(plot: Any, times: np.ndarray, sizes: np.ndarray) -> None:
    """Axes around some times and numbers; their ends keep to tenths of a decade, so that they seldom move."""
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    low, high = (np.log10(sizes.min()), np.log10(sizes.max())) if sizes.size else (-1.0, 0.0)
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.16, 0.55)
    plot.setXRange(float(times.min()), float(times.max()), padding=0.04)
    plot.setYRange(floor(10 * (middle - half)) / 10, ceil(10 * (middle + half)) / 10, padding=0)


class Line:
    """One line of a plot with a mark at every number; a hollow mark where something is still to come."""

    def __init__(self, plot: Any, theme: Theme, number: int, *, width: float = 2.0, name: str = "") -> None:
        import pyqtgraph as pg

        self.colour = line_colours(theme)[number % len(line_colours(theme))]
        colour = QColor(self.colour)
        self._full, self._hollow = pg.mkBrush(colour), pg.mkBrush(theme.canvas)
        self.mark = MARKS[number % len(MARKS)]
        self.letter = MARK_LETTERS[number % len(MARKS)]
        self.curve = plot.plot(
            pen=pg.mkPen(colour, width=width),
            symbol=self.mark,
            symbolSize=MARK_SIZES[0][1],
            symbolPen=pg.mkPen(colour, width=1.5),
            connect="finite",
            name=name or None,
        )
        self.guide = plot.plot(pen=pg.mkPen(colour, width=1.2, style=Qt.PenStyle.DashLine))
        plate = QColor(theme.canvas)
        plate.setAlpha(200)
        self.name = pg.TextItem(color=colour, anchor=(0, 1), fill=pg.mkBrush(plate))
        self.name.setFont(ui_font(12.5, bold=True))
        plot.addItem(self.name, ignoreBounds=True)
        self.name.hide()
        self.start: tuple[float, float] | None = None  # where the line begins, in the plot's coordinates
        self.rises = False  # from there on
        self._key: tuple[bytes, ...] = ()

    def show(self, x: np.ndarray, y: np.ndarray, whole: np.ndarray | None = None) -> None:
        """Numbers that are not positive have no place on a logarithmic axis and are left out."""
        key = (x.tobytes(), y.tobytes(), b"" if whole is None else whole.tobytes())
        if key == self._key:
            return
        self._key = key
        y = np.where(np.isfinite(y) & (y > 0), y, np.nan)
        there = np.flatnonzero(~np.isnan(y))
        if not len(there):
            self.start = None
            self.curve.setData([], [])
            return
        self.start = float(x[there[0]]), float(np.log10(y[there[0]]))
        self.rises = bool(np.log10(y[there[len(there) // 3]]) > self.start[1] + 0.01)
        size = next((size for most, size in MARK_SIZES if len(x) <= most), SMALLEST_MARK)
        brushes = self._full if whole is None else [self._full if w else self._hollow for w in whole]
        self.curve.setData(x, y, symbolBrush=brushes, symbolSize=size)

    def show_guide(self, x: np.ndarray, y: np.ndarray) -> None:
        """A dashed straight line; empty arrays take it away."""
        self.guide.setData(x, y)

    def remove(self, plot: Any) -> None:
        for item in (self.curve, self.guide, self.name):
            plot.removeItem(item)


def name_lines(plot: Any, names: Sequence[tuple[Line, str]]) -> None:
    """Write names at the beginnings of lines, below those that rise, none over another one."""
    view = plot.getPlotItem().getViewBox()
    low, high = view.viewRange()[1]
    for line, words in names:
        line.name.setVisible(line.start is not None)
        line.name.setText(f"{line.letter} {words}")
    begun = [(line.start, line) for line, _ in names if line.start is not None]
    least = low
    for (x, y), line in sorted(begun, key=lambda of: of[0][1]):
        step = line.name.boundingRect().height() * (high - low) / max(view.height(), 1.0)
        place = min(max(y - step if line.rises else y, least), high - step)
        line.name.setPos(x, place)
        least = place + step
