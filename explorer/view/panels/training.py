"""Training: the recipe, the way through the epochs, what is decided where, and each update as a graph.

Updates are taken on the window's own thread, a few milliseconds at a time, so that nothing is shared between
threads and the window answers in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from math import floor, log10
from time import perf_counter
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model import playback, text
from explorer.model.actions import ACTIONS
from explorer.model.decisions import Plane
from explorer.model.state import Recipe
from explorer.model.text import tr
from explorer.model.training import (
    MOST_EPOCHS,
    OPTIMIZERS,
    SCHEDULES,
    Training,
    first_recipe,
    rule,
    trainable,
    update_frame,
)
from explorer.view.curves import Curves, PlaneView, UpdateView
from explorer.view.fonts import interface_scale, ui_font
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel

SLICE = 0.02  # seconds of training before the window may answer
FOLLOWED = frozenset({"everything", "recording", "trace", "recipe", "parameters", "scene"})
FOLLOW = 0.12  # seconds after which the canvas shows where training is


def optimizer_title(name: str) -> str:
    return {
        "sgd": "SGD",
        "momentum": tr("Momentum"),
        "rmsprop": "RMSprop",
        "adam": "Adam",
        "adagrad": "Adagrad",
        "adadelta": "Adadelta",
    }[name]


def schedule_title(name: str) -> str:
    return {
        "constant": tr("constant rate"),
        "step_decay": tr("in steps"),
        "exponential": tr("exponential"),
        "cosine": tr("cosine"),
        "warm_up": tr("warm-up"),
    }[name]


class Amount(QDoubleSpinBox):
    """A positive number of any size, as short as it can be written; steps are as large as it is."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.setDecimals(12)
        self.setRange(0.0, most)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)

    def textFromValue(self, value: float) -> str:
        return f"{value:.6g}"

    def valueFromText(self, words: str) -> float:
        return float(words)

    def validate(self, words: str, at: int) -> object:
        try:
            good = 0.0 <= float(words) <= self.maximum() or words == self.specialValueText()
        except ValueError:
            good = words == self.specialValueText()
        return QValidator.State.Acceptable if good else QValidator.State.Intermediate, words, at

    def stepBy(self, steps: int) -> None:
        """The next number with one digit, up or down."""
        value = self.value()
        exponent = floor(_log10(value)) if value > 0 else -3
        unit = 10.0 ** (exponent - (steps < 0 and value <= 10.0**exponent * 1.0000001))
        self.setValue(round(value / unit + steps) * unit if value > 0 else unit * max(steps, 0))


def _log10(value: float) -> float:
    return log10(value * 1.0000001)


@panel("training", "Training", Qt.DockWidgetArea.RightDockWidgetArea)
class TrainingPanel(Panel):
    """Form, buttons, curves and pictures; hidden until somebody asks for it."""

    wide = 436

    def __init__(self, window: Any) -> None:
        super().__init__(window)
        self.running = False
        self._worked: Training | None = None  # what is being trained
        self._from = 0  # the update that training was started at
        self._shown_at = 0.0
        self._plane: tuple[Training | None, Plane | None] = (None, None)
        self._open = True  # the form
        self._ticker = QTimer(self, interval=0)
        self._ticker.timeout.connect(self._tick)
        self.hide_at_first()

    # Building

    def build(self) -> QWidget:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(6)
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.setStyleSheet(f"color: {self.theme.faint_ink}")
        column.addWidget(self.hint)
        self.form = self._make_form()
        column.addWidget(self.form)
        self.drive = self._make_buttons()
        column.addWidget(self.drive)
        self.words = QLabel()
        self.trouble = QLabel()
        for label in (self.words, self.trouble):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setFont(ui_font(12.5))
            column.addWidget(label)
        self.trouble.setStyleSheet(f"color: {self.theme.gradient}")
        self.curves = Curves(self.theme)
        self.curves.picked.connect(self.go_to_epoch)
        self.surface = PlaneView(self.theme)
        row = QHBoxLayout()
        row.addWidget(self.curves, 3)
        row.addWidget(self.surface, 2)
        column.addLayout(row, 3)
        self.below = self._make_update()
        column.addWidget(self.below, 2)
        outer = QScrollArea()
        outer.setWidgetResizable(True)
        outer.setWidget(content)
        return outer

    def _make_form(self) -> QWidget:
        form = QWidget()
        grid = QGridLayout(form)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        self.optimizer = _combo(OPTIMIZERS, optimizer_title)
        self.optimizer.activated.connect(lambda k: self._set(optimizer=self.optimizer.itemData(k)))
        self.schedule = _combo(SCHEDULES, schedule_title)
        self.schedule.activated.connect(lambda k: self._set(schedule=self.schedule.itemData(k)))
        self.lr, self.clip, self.decay = Amount(1e6), Amount(1e12), Amount(1e6)
        for amount in (self.clip, self.decay):
            amount.setSpecialValueText(tr("off"))
        self.lr.valueChanged.connect(lambda v: self._set(lr=v))
        self.clip.valueChanged.connect(lambda v: self._set(clip=v))
        self.decay.valueChanged.connect(lambda v: self._set(decay=v))
        self.epochs, self.patience, self.batch = QSpinBox(), QSpinBox(), QSpinBox()
        for spin in (self.epochs, self.patience, self.batch):
            spin.setKeyboardTracking(False)
        self.epochs.setRange(1, MOST_EPOCHS)
        self.epochs.setStepType(QSpinBox.StepType.AdaptiveDecimalStepType)
        self.patience.setRange(0, MOST_EPOCHS)
        self.patience.setSpecialValueText(tr("off"))
        self.batch.setSpecialValueText(tr("all"))
        self.epochs.valueChanged.connect(lambda v: self._set(epochs=v))
        self.patience.valueChanged.connect(lambda v: self._set(patience=v))
        self.batch.valueChanged.connect(self._set_batch)
        self.freeze = QToolButton()
        self.freeze.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.freeze.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.freeze.setSizePolicy(self.epochs.sizePolicy())
        rows = (
            (tr("optimiser"), self.optimizer, tr("The rule that makes a step of a gradient")),
            (tr("rate"), self.lr, tr("Learning rate: how long the steps are")),
            (tr("schedule"), self.schedule, tr("How the rate changes from the first to the last epoch")),
            (tr("clip"), self.clip, tr("Gradients together are at most this long")),
            (tr("decay"), self.decay, tr("Weight decay: so many times a parameter is added to its gradient")),
            (tr("freeze"), self.freeze, tr("Parameters that keep their values")),
            (tr("epochs"), self.epochs, tr("How often all examples are used")),
            (tr("patience"), self.patience, tr("Stop after so many epochs no better than the best")),
            (tr("batch"), self.batch, tr("Examples in one update")),
        )
        self.batch_label = QLabel()
        for k, (name, field, tip) in enumerate(rows):
            label = self.batch_label if field is self.batch else QLabel()
            label.setText(name)
            label.setFont(ui_font(12.5))
            label.setBuddy(field)
            for widget in (label, field):
                widget.setToolTip(tip)
            field.setAccessibleName(name)
            field.setMinimumWidth(round(64 * interface_scale()))
            grid.addWidget(label, k // 2, 2 * (k % 2))
            grid.addWidget(field, k // 2, 2 * (k % 2) + 1)
        return form

    def _make_buttons(self) -> QWidget:
        drive = QWidget()
        row = QHBoxLayout(drive)
        row.setContentsMargins(0, 0, 0, 0)
        buttons = []
        for id, title in (("train", ""), ("cancel_training", tr("Cancel")), ("best_epoch", tr("Best"))):
            action = ACTIONS[id]
            keys = f" ({', '.join(action.keys)})" if action.keys else ""
            button = QPushButton(title)
            button.setToolTip(f"{tr(action.tip)}{keys}")
            button.clicked.connect(lambda _=False, a=action: self.host.run(a))
            row.addWidget(button)
            buttons.append(button)
        self.start, self.stop, self.to_best = buttons
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.bar.setAccessibleName(tr("Progress"))
        row.addWidget(self.bar, 1)
        unfold = QToolButton()
        unfold.setAutoRaise(True)
        unfold.setCheckable(True)
        unfold.setChecked(self._open)
        unfold.setIcon(icon("settings", self.theme.ink))
        unfold.setToolTip(tr("Show the recipe, or make room for the pictures"))
        unfold.setAccessibleName(tr("Recipe"))
        unfold.toggled.connect(self._unfold)
        row.addWidget(unfold)
        return drive

    def _make_update(self) -> QWidget:
        below = QWidget()
        column = QVBoxLayout(below)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.leaf = QComboBox()
        self.leaf.setToolTip(tr("The parameter whose update is shown below"))
        self.leaf.setAccessibleName(tr("Parameter"))
        self.leaf.activated.connect(lambda _: self._show_update())
        self.rule = QLabel()
        self.rule.setWordWrap(True)
        self.rule.setTextFormat(Qt.TextFormat.PlainText)
        self.rule.setFont(ui_font(12.5))
        self.small = UpdateView(self.theme)
        row = QHBoxLayout()
        row.addWidget(self.leaf)
        row.addWidget(self.rule, 1)
        column.addLayout(row)
        column.addWidget(self.small, 1)
        return below

    # Following the session

    @property
    def recipe(self) -> Recipe:
        """What the form shows: the session's, or what would be used if training began."""
        recording = self.session.recording
        return self.session.state.recipe or (first_recipe(recording) if recording else Recipe())

    def refresh(self, changed: frozenset[str]) -> None:
        session = self.session
        if self.running and session.training is not self._worked:  # another network, or another recipe
            self.pause()
        if not self.isVisible() and "everything" not in changed:
            return
        if not changed & FOLLOWED:
            return
        ready = session.recording is not None and bool(trainable(session.recording))
        self.hint.setVisible(not ready)
        self.hint.setText(
            tr("This scene has no parameters to train.")
            if session.recording
            else tr("Open a scene: here it learns, update by update.")
        )
        for widget in (self.drive, self.words, self.curves, self.below):
            widget.setVisible(ready)
        self.form.setVisible(ready and self._open)
        self.surface.setVisible(False)
        self.trouble.setVisible(False)
        if not ready:
            return
        if changed & FOLLOWED - {"trace"}:
            self._fill()
        self._show_way()
        self._show_pictures()

    def _fill(self) -> None:
        """Show the recipe without answering our own echo."""
        session, recipe = self.session, self.recipe
        assert session.recording is not None and session.scene is not None
        for combo, name in ((self.optimizer, recipe.optimizer), (self.schedule, recipe.schedule)):
            with QSignalBlocker(combo):
                combo.setCurrentIndex(combo.findData(name))
        fields: tuple[tuple[Any, float], ...] = (
            (self.lr, recipe.lr),
            (self.clip, recipe.clip),
            (self.decay, recipe.decay),
            (self.epochs, recipe.epochs),
            (self.patience, recipe.patience),
        )
        for field, value in fields:
            with QSignalBlocker(field):
                field.setValue(value)
        batch = next((p for p in session.scene.parameters if p.name == "batch"), None)
        for widget in (self.batch, self.batch_label):
            widget.setVisible(batch is not None and session.recording.data is not None)
        if batch is not None:
            with QSignalBlocker(self.batch):
                self.batch.setRange(int(batch.low or 0), int(batch.high or 0))
                self.batch.setValue(int(session.state.parameters["batch"]))
        self._fill_frozen()
        graph, chosen = session.recording.graph, self.leaf.currentData()
        self.leaf.clear()
        for i in trainable(session.recording):
            self.leaf.addItem(playback.node_words(graph, i, session.notation), i)
        self.leaf.setCurrentIndex(max(self.leaf.findData(chosen), 0))

    def _fill_frozen(self) -> None:
        """One entry per parameter; a pattern of the recipe shows as the parameters that it names."""
        recording, recipe = self.session.recording, self.recipe
        assert recording is not None
        old = self.freeze.menu()
        menu = QMenu(self.freeze)
        still = []
        for i in trainable(recording):
            key = recording.graph.names[i] or f"#{i}"
            q = menu.addAction(playback.node_words(recording.graph, i, self.session.notation))
            q.setCheckable(True)
            q.setChecked(any(fnmatchcase(key, p) for p in recipe.frozen))
            q.setData(key)
            still += [q.text()] if q.isChecked() else []
            q.toggled.connect(self._set_frozen)
        self.freeze.setMenu(menu)
        count = f"{len(still)} / {len(menu.actions())}"
        self.freeze.setText(count if len(still) > 1 else "".join(still) or tr("none"))
        if old is not None:
            old.deleteLater()

    def _show_way(self) -> None:
        """Buttons, words, progress and curves."""
        state, training = self.session.state, self.session.training
        self.start.setText(tr("Pause") if self.running else tr("Train"))
        self.start.setIcon(icon("pause" if self.running else "train", self.theme.accent))
        self.start.setEnabled(self.running or training is None or not training.finished)
        self.stop.setEnabled(self.running)
        self.to_best.setEnabled(training is not None and len(training.curves) > 1)
        if training is None:
            self.words.setText(tr("Press Train, or change the recipe, to begin."))
            self.bar.setValue(0)
            self.curves.show_curves((), 0.0, best=-1, stopped=-1, diverged=-1)
            return
        per = training.per_epoch
        words = tr("update {k} of {last} · epoch {epoch}").format(
            k=state.update, last=training.last, epoch=text.number(state.update / per, 3)
        )
        if state.update % per == 0 and state.update // per < len(training.curves):
            words += f" · {self.curves_words(state.update // per)}"
        self.words.setText(words)
        self.bar.setValue(round(1000 * training.head.update / max(training.last, 1)))
        stopped, diverged = training.stopped_at, training.diverged_at
        self.curves.show_curves(
            tuple(training.curves),
            state.update / per,
            best=float(training.best) if len(training.curves) > 1 else -1.0,
            stopped=-1.0 if stopped is None else float(stopped),
            diverged=-1.0 if diverged is None else diverged / per,
        )
        self.trouble.setText(training.trouble)
        self.trouble.setVisible(bool(training.trouble))

    def curves_words(self, epoch: int) -> str:
        training = self.session.training
        assert training is not None
        return f"{tr('loss')} {text.number(training.curves[epoch].loss, 4)}"

    def _show_pictures(self) -> None:
        training = self.session.training
        if self._plane[0] is not training:
            self._plane = training, Plane.of(training) if training else None
        self._show_update()
        self._show_surface()

    def _show_update(self) -> None:
        """The update that follows; at the end the one that led there."""
        training, update = self.session.training, self.session.state.update
        node = self.leaf.currentData()
        known = training is not None and training.knows(update)
        taken = training.step(update) or training.step(update - 1) if training and known else None
        if training is None or taken is None or node not in training.moving:
            self.rule.setText(self._why_no_update(training, known))
            self.small.show_frame(None)
            return
        graph, notation = self.session.trace.graph, self.session.notation
        gradient = playback.derivative(graph, node, self.session.trace.loss, notation)
        name = playback.node_words(graph, node, notation)
        words = rule(training.recipe, taken).format(w=name, g=gradient)
        # lines break between formulas only: neither at their spaces nor at a fraction's stroke
        words = words.replace(" ", "\u00a0").replace("/", "/\u2060").replace(",\u00a0\u00a0", ", ")
        last = tr("last update: {words}").format(words=words)
        self.rule.setText(words if taken.before.update == update else last)
        self.small.show_frame(update_frame(training, taken, node))

    def _why_no_update(self, training: Training | None, known: bool) -> str:
        if training is None:
            return tr("Updates appear here.")
        if not known:
            return tr("These parameters are from a file. Train, and the updates that led to them appear.")
        moves = self.leaf.currentData() in training.moving
        return tr("No update can be taken.") if moves else tr("This parameter is frozen.")

    def _show_surface(self) -> None:
        plane = self._plane[1]
        update = self.session.state.update
        self.surface.setVisible(plane is not None)
        known = plane is not None and plane.training.knows(update)
        self.surface.show_decision(plane, plane.at(update) if plane is not None and known else None)

    def _unfold(self, on: bool) -> None:
        self._open = on
        self.form.setVisible(on)

    # The user's hand

    def _set(self, **changes: Any) -> None:
        recipe = replace(self.recipe, **changes)
        if recipe != self.recipe or self.session.state.recipe is None:
            title, merge = tr("Change the recipe"), f"recipe {'/'.join(changes)}"
            self.host.attempt(lambda: self.session.update(recipe=recipe, title=title, merge=merge))

    def _set_batch(self, size: int) -> None:
        title = tr("Change {name}").format(name="batch")
        self.host.attempt(lambda: self.session.update(parameters={"batch": size}, title=title, merge="batch"))

    def _set_frozen(self) -> None:
        self._set(frozen=tuple(q.data() for q in self.freeze.menu().actions() if q.isChecked()))

    def go_to_epoch(self, epoch: int) -> None:
        """Show the network after so many epochs; training that runs pauses."""
        self.pause()
        training = self.session.training
        if training is not None:
            update = min(epoch * training.per_epoch, training.head.update)
            self.session.update(update=update, playing=False)

    def toggle(self) -> None:
        """Train from the furthest update on, or pause."""
        if self.running:
            self.pause()
            return
        if not self.isVisible():
            self.show_panel()
        if self.session.state.recipe is None:
            self._set()
        training = self.session.training
        if training is None or training.finished:
            self._show_way()
            return
        self.running, self._worked = True, training
        self._from, self._shown_at = self.session.state.update, perf_counter()
        self.session.update(playing=False)
        self._ticker.start()
        self._show_way()

    def pause(self) -> None:
        """Stop where training is, and show it."""
        if self._halt():
            assert self._worked is not None
            if self.session.training is self._worked:
                self.session.update(update=self._worked.head.update)
            self._show_way()

    def cancel(self) -> None:
        """Stop, and show what was shown before."""
        if self._halt():
            if self.session.training is self._worked:
                self.session.update(update=self._from)
            self._show_way()

    def _halt(self) -> bool:
        """True when training was running."""
        was, self.running = self.running, False
        self._ticker.stop()
        return was

    def _tick(self) -> None:
        """Some updates; now and then the canvas follows."""
        training = self._worked
        if training is None or self.session.training is not training or not self.host.isVisible():
            self._halt()  # the scene or the window has gone
            return
        going = training.advance(SLICE)
        now = perf_counter()
        if going and now - self._shown_at < FOLLOW:
            self.bar.setValue(round(1000 * training.head.update / max(training.last, 1)))
            return
        self._shown_at = now
        if going:
            self.session.update(update=training.head.update)
            return
        self._halt()
        stopped = training.stopped_at is not None
        goal = training.best * training.per_epoch if stopped else training.head.update
        self.session.update(update=goal)
        self._show_way()
        self.host.announce(self.words.text())


def _combo(names: Any, title: Callable[[str], str]) -> QComboBox:
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    for name in names:
        combo.addItem(title(name), name)
    return combo
