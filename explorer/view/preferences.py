"""Preferences: everything about the window's look that is remembered. A choice shows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from explorer.model import text
from explorer.model.text import LANGUAGES, tr
from explorer.view.settings import PACES, TEXT_SIZES
from explorer.view.theme import THEMES, theme_title

if TYPE_CHECKING:
    from explorer.view.window import Window


class Preferences(QDialog):
    """A field for each preference; there is nothing to confirm."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.host = window
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        column = QVBoxLayout(self)
        self._content: QWidget | None = None
        self._buttons = QDialogButtonBox()
        self._buttons.addButton(QDialogButtonBox.StandardButton.RestoreDefaults)
        self._buttons.addButton(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        self._buttons.clicked.connect(self._clicked)
        column.addWidget(self._buttons)
        self.rebuild()

    def rebuild(self) -> None:
        """Make the fields anew, in the present language."""
        focused = next((name for name, f in self.__dict__.get("fields", {}).items() if f.hasFocus()), "")
        old = self._content
        self.fields: dict[str, QComboBox | QCheckBox] = {}
        self.setWindowTitle(tr("Preferences"))
        self._content = QWidget()
        form = QFormLayout(self._content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(10)
        settings = self.host.settings
        self._choice(form, "theme", tr("Theme"), {name: theme_title(t) for name, t in THEMES.items()})
        self._choice(form, "language", tr("Language"), LANGUAGES, text.language())
        self._choice(form, "text_size", tr("Size of letters"), {n: f"{n} %" for n in TEXT_SIZES})
        self._choice(
            form,
            "number_style",
            tr("Numbers"),
            {"automatic": "0.1234   1.2e−5", "fixed": "0.1234   0.0000", "scientific": "1.23e−1   1.23e−5"},
        )
        self._choice(
            form,
            "colormap",
            tr("Colours of numbers"),
            {
                "": tr("as the theme has them"),
                "diverging-light": tr("light centre"),
                "diverging-dark": tr("dark centre"),
                "diverging-strong": tr("strong, for projectors and print"),
            },
        )
        paces = dict(zip(PACES, (tr("slow"), tr("normal"), tr("fast")), strict=True))
        self._choice(form, "pace", tr("Animation speed"), paces)
        still = QCheckBox(tr("Reduced motion"))
        still.setChecked(settings.reduced_motion)
        still.setToolTip(tr("Steps, folds and moves of the view happen at once"))
        still.toggled.connect(lambda on: self._set("reduced_motion", on))
        self.fields["reduced_motion"] = still
        form.addRow("", still)
        note = QLabel(tr("The picture and everything around it change at once, and stay so."))
        note.setWordWrap(True)
        note.setStyleSheet(f"color: {self.host.theme.faint_ink}")
        form.addRow(note)
        for button, words in (
            (QDialogButtonBox.StandardButton.RestoreDefaults, tr("Defaults")),
            (QDialogButtonBox.StandardButton.Close, tr("Close")),
        ):
            self._buttons.button(button).setText(words)
        self._buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).setAutoDefault(False)
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setDefault(True)
        column = self.layout()
        assert isinstance(column, QVBoxLayout)
        if old is not None:
            column.removeWidget(old)
            old.hide()
            old.deleteLater()
        column.insertWidget(0, self._content, 1)
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * 60)
        self.fields["pace"].setEnabled(not settings.reduced_motion)
        if focused:
            self.fields[focused].setFocus()
        self.adjustSize()

    def _choice(
        self, form: QFormLayout, name: str, title: str, choices: dict[Any, str], present: Any = None
    ) -> None:
        box = QComboBox()
        for value, words in choices.items():
            box.addItem(words, value)
        chosen = getattr(self.host.settings, name) if present is None else present
        box.setCurrentIndex(list(choices).index(chosen))
        box.setAccessibleName(title)
        values = list(choices)
        box.currentIndexChanged.connect(lambda k: self._set(name, values[k]))
        form.addRow(title, box)
        self.fields[name] = box

    def _set(self, name: str, value: Any) -> None:
        if name == "language":
            self.host.set_language(value)
        else:
            setattr(self.host.settings, name, value)
            self.host.apply_preferences()
        self.rebuild()

    def _clicked(self, button: object) -> None:
        if button is self._buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults):
            self.host.settings.forget_preferences()
            self.host.apply_preferences()
            self.rebuild()
