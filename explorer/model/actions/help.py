"""The Help menu: finding one's way in the window."""

from __future__ import annotations

from explorer.model.actions.registry import Host, action, always


@action("Command palette", "Help", "Ctrl+K", icon="command", enabled=always)
def open_palette(host: Host) -> None:
    """Everything by typing: actions, scenes, nodes, recent files"""
    host.open_palette()


@action("Tour", "Help", icon="help")
def show_tour(host: Host) -> None:
    """Five hints about this window"""
    host.show_tour()


@action("Keys", "Help", "F1", icon="keyboard", enabled=always)
def show_keys(host: Host) -> None:
    """Every action with its key"""
    host.show_keys()


@action("About Backstep", "Help", icon="info", enabled=always)
def show_about(host: Host) -> None:
    """Version, licence, and where the fonts and icons come from"""
    host.show_about()
