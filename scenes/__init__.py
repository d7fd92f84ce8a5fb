"""The catalogue: one scene, one file; importing this package finds them all by walking its folders."""

import importlib
import pkgutil

from scenes.scene import SCENES, Scene, SceneError


def _discover() -> None:
    for module in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        importlib.import_module(module.name)


_discover()

__all__ = ["SCENES", "Scene", "SceneError"]
