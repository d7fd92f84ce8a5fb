"""Which version this is; for the command line, the window and the head of scene files."""

from functools import cache
from pathlib import Path


@cache
def version() -> str:
    """The installed version, or the one in pyproject.toml when the program runs from its sources."""
    from importlib import metadata

    try:
        return metadata.version("backstep")
    except metadata.PackageNotFoundError:
        import tomllib

        project = Path(__file__).resolve().parents[2] / "pyproject.toml"
        try:
            return str(tomllib.loads(project.read_text("utf-8"))["project"]["version"])
        except OSError:
            return "?"
