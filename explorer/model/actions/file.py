"""The File menu: what is asked of the keeping of files. Knows neither files nor dialogs."""

from __future__ import annotations

from explorer.model.actions.registry import Host, action, always


@action("New expression…", "File", "Ctrl+N", icon="new", enabled=always)
def new_expression(host: Host) -> None:
    """Type any formula and watch it computed and differentiated"""
    host.new_expression()


@action("Open…", "File", "Ctrl+O", icon="open", enabled=always)
def open_file(host: Host) -> None:
    """Open a scene file"""
    host.keeping.ask_open()


@action("Save", "File", "Ctrl+S", icon="save", separate=True)
def save(host: Host) -> None:
    """Save the scene with your values, folds and place on the timeline"""
    host.keeping.save()


@action("Save as…", "File", "Ctrl+Shift+S", icon="save-as")
def save_as(host: Host) -> None:
    """Save the scene under another name"""
    host.keeping.ask_save_as()


@action("Export picture…", "File", "Ctrl+E", icon="export-picture", separate=True)
def export_picture(host: Host) -> None:
    """Write the whole graph at this moment as PNG, SVG or PDF"""
    host.ask_export_picture()


@action("Export film…", "File", "Ctrl+Shift+E", icon="export-film")
def export_film(host: Host) -> None:
    """Film the whole pass, or the loop, as MP4, GIF or WebP"""
    host.ask_export_film()


@action("Start page", "File", "Ctrl+W", icon="home", separate=True)
def close_scene(host: Host) -> None:
    """Close the scene and go back to the start page"""
    host.close_scene()


@action("Quit", "File", "Ctrl+Q", enabled=always)
def quit_app(host: Host) -> None:
    """Close the window"""
    host.quit()
