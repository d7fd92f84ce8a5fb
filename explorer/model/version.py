"""Which version this is; for the command line, the window and the head of scene files."""

VERSION = "0.1.0"  # pyproject.toml takes it from here: to ask what is installed is slow
