"""Parameters: a form made from what the scene declares; every change answers at once and can be undone."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer.model.actions import ACTIONS
from explorer.model.text import language, sentence, tr
from explorer.view.fonts import ui_font
from explorer.view.icons import icon
from explorer.view.panels import Panel, panel
from scenes.scene import Parameter, SceneError

SHORT = 36  # pixels that a slider has at least, in a narrow panel


@panel("parameters", "Parameters", Qt.DockWidgetArea.RightDockWidgetArea)
class Parameters(Panel):
    """One row per parameter, then the seed."""

    def build(self) -> QWidget:
        self.outer = QScrollArea()
        self.outer.setWidgetResizable(True)
        self.fields: dict[str, QWidget] = {}
        self.seed: QSpinBox | None = None
        self._for = ""
        return self.outer

    def refresh(self, changed: frozenset[str]) -> None:
        scene = self.session.scene
        id = scene.id if scene else ""
        if changed & {"everything"} or id != self._for:
            self._for = id
            self._make_form()
        elif changed & {"parameters", "seed", "edits"}:
            self._fill()

    def _make_form(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        self.fields = {}
        self.error = QLabel()
        self.error.setWordWrap(True)
        self.error.setTextFormat(Qt.TextFormat.PlainText)
        self.error.setStyleSheet(f"color: {self.theme.gradient}")
        self.error.hide()
        scene = self.session.scene
        if scene is None:
            hint = QLabel(tr("Open a scene to choose its sizes, switches and seed."))
            hint.setWordWrap(True)
            hint.setStyleSheet(f"color: {self.theme.faint_ink}")
            column.addWidget(hint)
            column.addStretch(1)
            self.outer.setWidget(content)
            return
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setVerticalSpacing(3)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for parameter in scene.parameters:
            field = self._field(parameter)
            help = parameter.help[language()]
            label = QLabel(parameter.label[language()] if parameter.label else parameter.name)
            label.setFont(ui_font(13, bold=True))
            label.setBuddy(self.fields[parameter.name])
            for widget in (label, self.fields[parameter.name]):
                widget.setToolTip(help)
            self.fields[parameter.name].setAccessibleName(parameter.name)
            self.fields[parameter.name].setAccessibleDescription(help)
            form.addRow(label, field)
            words = QLabel(help)
            words.setTextFormat(Qt.TextFormat.PlainText)
            words.setWordWrap(True)
            words.setFont(ui_font(11.5))
            words.setStyleSheet(f"color: {self.theme.faint_ink}")
            form.addRow(words)
        column.addLayout(form)
        column.addWidget(self.error)
        row = QHBoxLayout()
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setKeyboardTracking(False)
        self.seed.setToolTip(tr("Same seed, same values, on every machine"))
        self.seed.valueChanged.connect(lambda v: self.host.attempt(lambda: self._set_seed(v)))
        row.addWidget(QLabel(tr("seed")))
        row.addWidget(self.seed, 1)
        dice = QToolButton()
        dice.setIcon(icon("random", self.theme.ink))
        dice.setToolTip(tr(ACTIONS["random_seed"].tip))
        dice.clicked.connect(self.host.random_seed)
        row.addWidget(dice)
        column.addLayout(row)
        self.reset = QPushButton(icon("reset", self.theme.ink), tr("Reset values"))
        self.reset.setToolTip(tr(ACTIONS["reset_values"].tip))
        self.reset.clicked.connect(lambda: self.session.reset_edits())
        column.addWidget(self.reset)
        defaults = QPushButton(tr("Default parameters"))
        defaults.clicked.connect(self._use_defaults)
        column.addWidget(defaults)
        column.addStretch(1)
        self.outer.setWidget(content)
        self._fill()

    def _field(self, p: Parameter) -> QWidget:
        """The input for one parameter; `self.fields` keeps what holds the value."""
        if p.type == "bool":
            box = QCheckBox()
            box.toggled.connect(lambda on, n=p.name: self._set(n, on))
            self.fields[p.name] = box
            return box
        if p.type == "choice":
            combo = QComboBox()
            combo.addItems(p.choices)
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.textActivated.connect(lambda words, n=p.name: self._set(n, words))
            self.fields[p.name] = combo
            return combo
        if p.type == "text":
            line = QLineEdit()
            line.setMaxLength(400)
            line.editingFinished.connect(lambda n=p.name, w=line: self._set(n, w.text()))
            self.fields[p.name] = line
            return line
        assert p.low is not None and p.high is not None
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setMinimumWidth(SHORT)
        slider.setAccessibleName(p.name)
        slider.setToolTip(p.help[language()])
        spin: Any
        if p.type == "int":
            spin = QSpinBox()
            spin.setRange(int(p.low), int(p.high))
            slider.setRange(int(p.low), int(p.high))
            slider.valueChanged.connect(lambda v, s=spin: s.setValue(v))
            spin.valueChanged.connect(lambda v, s=slider: _quietly(s, v))
        else:
            spin = QDoubleSpinBox()
            spin.setDecimals(3)
            spin.setRange(p.low, p.high)
            spin.setSingleStep((p.high - p.low) / 50)
            slider.setRange(0, 200)
            low, span = p.low, p.high - p.low
            slider.valueChanged.connect(lambda v, s=spin: s.setValue(low + span * v / 200))
            spin.valueChanged.connect(lambda v, s=slider: _quietly(s, round((v - low) / span * 200)))
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(lambda v, n=p.name: self._set(n, v, merge=True))
        slider.sliderReleased.connect(lambda: self.session.settle())
        spin.editingFinished.connect(lambda: self.session.settle())
        layout.addWidget(spin)
        layout.addWidget(slider, 1)
        self.fields[p.name] = spin
        return row

    def _set(self, name: str, value: Any, *, merge: bool = False) -> None:
        if self.session.state.parameters.get(name) == value:
            self.error.hide()
            return
        try:
            self.session.update(
                parameters={name: value},
                title=tr("Change {name}").format(name=name),
                merge=f"parameter {name}" if merge else "",
            )
            self.error.hide()
        except SceneError as error:  # what is on screen stays; the sentence says what is wrong
            self.error.setText(sentence(error))
            self.error.show()

    def _set_seed(self, seed: int) -> None:
        if seed != self.session.state.seed:
            self.session.update(seed=seed, title=tr("Change seed"), merge="seed")

    def _use_defaults(self) -> None:
        assert self.session.scene is not None
        defaults = self.session.scene.defaults()
        self.host.attempt(lambda: self.session.update(parameters=defaults, title=tr("Default parameters")))
        self._fill()

    def _fill(self) -> None:
        """Show the state's values without answering our own echo."""
        for name, field in self.fields.items():
            value: Any = self.session.state.parameters.get(name)
            if value is None:
                continue
            with QSignalBlocker(field):
                if isinstance(field, QCheckBox):
                    field.setChecked(value)
                elif isinstance(field, QComboBox):
                    field.setCurrentText(value)
                elif isinstance(field, QLineEdit):
                    if not field.hasFocus() or field.text() == value:
                        field.setText(value)
                elif isinstance(field, QSpinBox | QDoubleSpinBox):
                    field.setValue(value)
            if isinstance(field, QSpinBox | QDoubleSpinBox):
                slider = field.parentWidget().findChild(QSlider)
                parameter = self.session.scene.parameter(name) if self.session.scene else None
                if slider is not None and parameter is not None and parameter.low is not None:
                    share = value if parameter.type == "int" else None
                    if share is None:
                        assert parameter.high is not None
                        share = round((value - parameter.low) / (parameter.high - parameter.low) * 200)
                    _quietly(slider, share)
        if self.seed is not None:
            with QSignalBlocker(self.seed):
                self.seed.setValue(min(self.session.state.seed, 2**31 - 1))
            self.reset.setEnabled(bool(self.session.state.edits))


def _quietly(slider: QSlider, value: int) -> None:
    with QSignalBlocker(slider):
        slider.setValue(value)
