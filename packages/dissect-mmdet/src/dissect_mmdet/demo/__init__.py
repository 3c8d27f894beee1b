"""The bundled demo: synthetic scenes, and three small detectors that are trained on them."""

from __future__ import annotations

from ..bundled import DEMO_DETECTORS, DemoFiles, demo_files
from ._data import FORMAT_VERSION, write_split
from ._scenes import CATEGORY_IDS, CLASS_NAMES, Scene, draw_scene
from ._train import train_demo

__all__ = [
    "CATEGORY_IDS",
    "CLASS_NAMES",
    "DEMO_DETECTORS",
    "FORMAT_VERSION",
    "DemoFiles",
    "Scene",
    "demo_files",
    "draw_scene",
    "train_demo",
    "write_split",
]
