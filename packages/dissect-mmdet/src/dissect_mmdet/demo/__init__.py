"""The bundled demo: synthetic scenes, and three small detectors that are trained on them."""

from typing import TYPE_CHECKING

from dissect_core.lazy import names_when_used

from ._bundled import DEMO_DETECTORS, DemoFiles, demo_files, scenes
from ._data import write_split
from ._scenes import CATEGORY_IDS, CLASS_NAMES, Scene, draw_scene

if TYPE_CHECKING:
    from ._train import train_demo

__all__ = [
    "CATEGORY_IDS",
    "CLASS_NAMES",
    "DEMO_DETECTORS",
    "DemoFiles",
    "Scene",
    "demo_files",
    "draw_scene",
    "scenes",
    "train_demo",
    "write_split",
]

# Training needs torch; who looks for a bundled file needs none.
__getattr__, __dir__ = names_when_used(__name__, {"_train": "train_demo"})
