"""Every user action, one function each, in the file of its menu; these are found by the menus' names.

Menus, keys, tool bars, palette, key sheet and tests read `ACTIONS`, in the order of the menus. An action gets
a Host: the session, and the few things that only a window can do. Knows no widgets.
"""

import importlib

from explorer.model.actions.registry import ACTIONS, MENUS, Action, Host, menu_title


def _gather() -> None:
    for menu in MENUS:
        importlib.import_module(f"{__name__}.{menu.lower()}")


_gather()

__all__ = ["ACTIONS", "MENUS", "Action", "Host", "menu_title"]
