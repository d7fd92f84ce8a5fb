"""Shared by all tests: no display is needed, and nothing of the user's settings is read or written."""

import os
import sys

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Every test has settings of its own and starts in English."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    from explorer.model import text

    text.set_language("en")
    # a window that a test leaves changed closes without asking; tests of the question ask for themselves
    if "explorer.view.dialogs" in sys.modules:
        monkeypatch.setattr("explorer.view.dialogs.ask_keep", lambda *_: "discard")
    yield
    text.set_language("en")
