"""Steps of pipelines that tests use, MMDetection's and some of our own; importing it makes MMDetection ready."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from dissect_mmdet import require_mmdet

require_mmdet()
LoadImageFromFile: Any = importlib.import_module("mmcv.transforms").LoadImageFromFile
_TRANSFORMS: Any = importlib.import_module("mmdet.datasets.transforms")
LoadAnnotations, PackDetInputs, Resize = (
    _TRANSFORMS.LoadAnnotations,
    _TRANSFORMS.PackDetInputs,
    _TRANSFORMS.Resize,
)
# Over one of the same name, as this file may be imported under two.
_register: Any = partial(importlib.import_module("mmdet.registry").TRANSFORMS.register_module, force=True)


@_register()
class LoadImageTwiceAsBright(LoadImageFromFile):
    """A subclass of the usual loader."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        read: dict[str, Any] | None = super().transform(results)
        if read is not None:
            read["img"] = read["img"] * 2
        return read


@_register()
class LoadNothingLikeIt:
    """A loader of its own kind."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        with Image.open(results["img_path"]) as image:
            pixels = np.asarray(image.convert("RGB"))[..., ::-1]
        return {**results, "img": pixels, "img_shape": pixels.shape[:2], "ori_shape": pixels.shape[:2]}


@_register()
class ShiftByOwnChance:
    """A random step that none of the usual generators tells of."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng()

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "img": results["img"] + self._chance.integers(1, 250, dtype=np.uint8)}


class LoadMoreAnnotations(LoadAnnotations):
    """A subclass that no registry knows."""
