"""Long answers beside the window: one thread, the latest question wins, progress and cancel."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from time import monotonic
from typing import Any

import shiboken6
from numpy.linalg import LinAlgError
from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QToolButton, QWidget

from explorer.model.lab.sweep import Cancelled, Progress
from explorer.model.text import tr
from explorer.view.icons import icon
from explorer.view.theme import Theme

TOLD_EVERY = 0.05  # seconds between two words on the progress: each has the window paint
Work = Callable[[Progress], Any]


class Worker(QObject):
    """Runs one piece of work at a time. Work that is asked for meanwhile replaces the one that runs."""

    finished = Signal(object)  # the answer
    failed = Signal(str)  # a sentence
    advanced = Signal(float)  # share that is done; 1 at the end, whichever way it ended
    _ended = Signal(int, object, str)
    _told = Signal(int, float)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thread: Thread | None = None
        self._stop = Event()
        self._waiting: Work | None = None
        self._number = 0
        self._ended.connect(self._end, Qt.ConnectionType.QueuedConnection)
        self._told.connect(self._tell, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        return self._thread is not None

    def start(self, work: Work) -> None:
        """Answer a question; an older one that is not answered yet is given up."""
        if self._thread is not None:
            self._waiting = work
            self._stop.set()
            return
        self._number += 1
        self._stop = Event()
        self._thread = Thread(target=self._run, args=(work, self._number, self._stop), daemon=True)
        self._thread.start()
        self.advanced.emit(0.0)

    def cancel(self) -> None:
        """Give up what runs and what waits; returns when the thread has ended."""
        self._waiting = None
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._number += 1  # what it may still have sent is not wanted
            self.advanced.emit(1.0)

    def give_up(self) -> None:
        """Want no answer any more; what runs may go on, as some work can not be stopped."""
        self._waiting = None
        self._stop.set()
        self._thread = None
        self._number += 1

    def _run(self, work: Work, number: int, stop: Event) -> None:
        told = monotonic()

        def progress(share: float) -> None:
            nonlocal told
            if stop.is_set():
                raise Cancelled
            if monotonic() - told > TOLD_EVERY:
                told = monotonic()
                self._send(self._told, number, share)

        answer, trouble = None, ""
        try:
            answer = work(progress)
        except Cancelled:
            trouble = "cancelled"
        except (ValueError, LinAlgError) as error:
            trouble = str(error)
        self._send(self._ended, number, answer, trouble)

    def _send(self, signal: Any, *words: Any) -> None:
        if shiboken6.isValid(self):
            signal.emit(*words)

    def _tell(self, number: int, share: float) -> None:
        if number == self._number and self._thread is not None:
            self.advanced.emit(min(share, 0.99))

    def _end(self, number: int, answer: object, trouble: str) -> None:
        if number != self._number or self._thread is None:
            return
        self._thread.join()
        self._thread = None
        self.advanced.emit(1.0)
        if self._waiting is not None:
            work, self._waiting = self._waiting, None
            self.start(work)
        elif not trouble:
            self.finished.emit(answer)
        elif trouble != "cancelled":
            self.failed.emit(trouble)


class ProgressMark(QWidget):
    """A thin bar with a way to cancel; takes its place also while there is nothing to wait for."""

    def __init__(self, worker: Worker, theme: Theme) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.bar.setStyleSheet(
            f"QProgressBar {{ background: {theme.area_line}; border: none; border-radius: 3px; }}"
            f"QProgressBar::chunk {{ background: {theme.accent}; border-radius: 3px; }}"
        )
        self.bar.setAccessibleName(tr("Progress"))
        self.button = QToolButton()
        self.button.setAutoRaise(True)
        self.button.setIcon(icon("close", theme.ink))
        self.button.setIconSize(QSize(12, 12))
        self.button.setToolTip(tr("Cancel"))
        self.button.clicked.connect(worker.cancel)
        row.addWidget(self.bar, 1)
        row.addWidget(self.button)
        self.setFixedHeight(self.button.sizeHint().height())
        self._show(1.0)
        worker.advanced.connect(self._show)

    def _show(self, share: float) -> None:
        running = share < 1.0
        self.bar.setVisible(running)
        self.button.setVisible(running)
        self.bar.setValue(round(100 * share))
