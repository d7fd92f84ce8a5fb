"""What an action is: its registration, and the Host that it gets. It must know no action in particular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from explorer.model.session import Session
from explorer.model.text import tr
from explorer.model.walking import Way

MENUS = ("File", "Edit", "View", "Playback", "Training", "Lab", "Help")
ACTIONS: dict[str, Action] = {}


class Keeping(Protocol):
    """What a window offers to the actions on files."""

    def ask_open(self) -> None: ...
    def save(self) -> None: ...
    def ask_save_as(self) -> None: ...


class Host(Protocol):
    """What a window offers to actions."""

    @property
    def session(self) -> Session: ...
    @property
    def panels(self) -> Any: ...  # by their ids
    @property
    def keeping(self) -> Keeping: ...
    def new_expression(self) -> None: ...
    def ask_export_picture(self) -> None: ...
    def ask_export_film(self) -> None: ...
    def close_scene(self) -> None: ...
    def quit(self) -> None: ...
    def copy_picture(self) -> None: ...
    def copy_value(self, format: str = ...) -> None: ...
    def find_node(self) -> None: ...
    def ask_hold(self) -> None: ...
    def find_again(self, by: int) -> None: ...
    def reveal(self, node: int) -> None: ...
    def look_closer(self, nodes: Sequence[int]) -> None: ...
    def show_in_outline(self, node: int) -> None: ...
    def open_palette(self) -> None: ...
    def show_preferences(self) -> None: ...
    def show_tour(self) -> None: ...
    def random_seed(self) -> None: ...
    def fit(self) -> None: ...
    def follow(self) -> None: ...
    def zoom_by(self, factor: float) -> None: ...
    def zoom_to_selection(self) -> None: ...
    def walk(self, way: Way) -> None: ...
    @property
    def legend(self) -> bool: ...  # whether it is shown
    def toggle_legend(self) -> None: ...
    def toggle_theme(self) -> None: ...
    def next_language(self) -> None: ...
    def toggle_full_screen(self) -> None: ...
    def reset_window(self) -> None: ...
    def find_scene(self) -> None: ...
    def show_keys(self) -> None: ...
    def compare(self) -> None: ...
    def show_about(self) -> None: ...


Run = Callable[[Host], None]


def menu_title(menu: str) -> str:
    """A menu's name in the present language."""
    return {
        "File": tr("File"),
        "Edit": tr("Edit"),
        "View": tr("View"),
        "Playback": tr("Playback"),
        "Training": tr("Training"),
        "Lab": tr("Lab"),
        "Help": tr("Help"),
    }[menu]


def always(host: Host) -> bool:
    return True


def has_scene(host: Host) -> bool:
    return host.session.recording is not None


def has_selection(host: Host) -> bool:
    return has_scene(host) and bool(host.session.state.selection)


@dataclass(frozen=True)
class Action:
    """One thing that a user can do. Texts are English; they are translated where they are shown."""

    id: str
    title: str
    menu: str
    keys: tuple[str, ...]
    icon: str
    tip: str
    run: Run
    enabled: Callable[[Host], bool]
    separate: bool  # a line above it in the menu
    checked: Callable[[Host], bool] | None = None  # whether it is on, of one that is on or off
    on_canvas: bool = False  # its keys count only while the canvas has the keyboard


def action(
    title: str,
    menu: str,
    *keys: str,
    icon: str = "",
    enabled: Callable[[Host], bool] = has_scene,
    separate: bool = False,
    checked: Callable[[Host], bool] | None = None,
    on_canvas: bool = False,
) -> Callable[[Run], Run]:
    """Put the decorated function on the list; its docstring is the tool tip."""

    def register(run: Run) -> Run:
        name = run.__name__
        tip = (run.__doc__ or "").strip()
        ACTIONS[name] = Action(name, title, menu, keys, icon, tip, run, enabled, separate, checked, on_canvas)
        return run

    return register
