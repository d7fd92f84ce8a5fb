"""The Edit menu: taking back, values, copying, notes, finding and walking. It keeps no state of its own."""

from __future__ import annotations

from explorer.model.actions.registry import Host, action, always, has_selection


@action("Undo", "Edit", "Ctrl+Z", icon="undo", enabled=lambda h: bool(h.session.undo_title))
def undo(host: Host) -> None:
    """Take back the last change of the scene; playback is not touched"""
    host.session.undo()


@action("Redo", "Edit", "Ctrl+Shift+Z", "Ctrl+Y", icon="redo", enabled=lambda h: bool(h.session.redo_title))
def redo(host: Host) -> None:
    """Make the last undone change again"""
    host.session.redo()


@action("Reset values", "Edit", icon="reset", enabled=lambda h: bool(h.session.state.edits), separate=True)
def reset_values(host: Host) -> None:
    """Give every leaf back the value that the seed drew"""
    host.session.reset_edits()


@action("New random values", "Edit", "Ctrl+R", icon="random")
def random_seed(host: Host) -> None:
    """Draw new values for all leaves with another seed"""
    host.random_seed()


@action("Copy value", "Edit", "Ctrl+C", icon="copy", enabled=has_selection, separate=True)
def copy_value(host: Host) -> None:
    """Copy the selected node's value as NumPy code"""
    host.copy_value("NumPy")


@action("Copy value as CSV", "Edit", enabled=has_selection)
def copy_csv(host: Host) -> None:
    """Copy the selected node's value as numbers between commas"""
    host.copy_value("CSV")


@action("Copy value as LaTeX", "Edit", enabled=has_selection)
def copy_latex(host: Host) -> None:
    """Copy the selected node's value as a matrix for LaTeX"""
    host.copy_value("LaTeX")


@action("Copy value as text", "Edit", enabled=has_selection)
def copy_text(host: Host) -> None:
    """Copy the selected node's value as plain columns, as a spreadsheet takes them"""
    host.copy_value("text")


@action("Copy picture", "Edit", "Ctrl+Shift+C")
def copy_picture(host: Host) -> None:
    """Copy what the canvas shows as a picture"""
    host.copy_picture()


@action("Add a chapter", "Edit", "Ctrl+Shift+N", icon="chapters", separate=True)
def add_chapter(host: Host) -> None:
    """Write a chapter of your own, from this moment on and on the selected nodes"""
    host.panels["chapters"].add()


@action("Notes on the scene", "Edit", "Ctrl+Shift+M", icon="note")
def write_notes(host: Host) -> None:
    """Write notes, which are saved with the scene"""
    host.panels["chapters"].write_notes()


@action("Find a node…", "Edit", "Ctrl+F", icon="search", separate=True)
def find_node(host: Host) -> None:
    """Search nodes by name, op, scope, shape or time step"""
    host.find_node()


@action("Find next", "Edit", "F3")
def find_next(host: Host) -> None:
    """Go to the next node that the search found"""
    host.find_again(+1)


@action("Find previous", "Edit", "Shift+F3")
def find_previous(host: Host) -> None:
    """Go to the node that the search found before"""
    host.find_again(-1)


@action("To a consumer", "Edit", "Alt+Right", enabled=has_selection, separate=True, on_canvas=True)
def to_consumer(host: Host) -> None:
    """Go along an edge to a box that uses the selected one"""
    host.walk("consumer")


@action("To an input", "Edit", "Alt+Left", enabled=has_selection, on_canvas=True)
def to_input(host: Host) -> None:
    """Go back along an edge to a box that the selected one is computed from"""
    host.walk("input")


@action("To the box above", "Edit", "Alt+Up", enabled=has_selection, on_canvas=True)
def to_box_above(host: Host) -> None:
    """Go to the nearest box above the selected one"""
    host.walk("above")


@action("To the box below", "Edit", "Alt+Down", enabled=has_selection, on_canvas=True)
def to_box_below(host: Host) -> None:
    """Go to the nearest box below the selected one"""
    host.walk("below")


@action("Preferences…", "Edit", "Ctrl+,", icon="settings", enabled=always, separate=True)
def show_preferences(host: Host) -> None:
    """Theme, language, numbers, colours, letters and motion"""
    host.show_preferences()
