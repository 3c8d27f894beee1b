"""The bundled demo: synthetic scenes, three small trained detectors, and a study over them."""

from __future__ import annotations

from ..bundled import DEMO_DETECTORS, DemoFiles, demo_files
from ._data import FORMAT_VERSION, write_split
from ._scenes import CATEGORY_IDS, CLASS_NAMES, Scene, draw_scene
from ._study import Measurement, Outcome, Target, demo_targets, run_study
from ._train import train_demo

__all__ = [
    "CATEGORY_IDS",
    "CLASS_NAMES",
    "DEMO_DETECTORS",
    "FORMAT_VERSION",
    "DemoFiles",
    "Measurement",
    "Outcome",
    "Scene",
    "Target",
    "demo_files",
    "demo_targets",
    "draw_scene",
    "run_study",
    "train_demo",
    "write_split",
]
