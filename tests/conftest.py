"""Shared by all tests: no display is needed, and nothing of the user's settings is read or written."""

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Every test has settings of its own and starts in English."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    from explorer.model import text

    text.set_language("en")
    yield
    text.set_language("en")
