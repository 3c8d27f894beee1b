"""Read checkpoints, annotations and images, and convert boxes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from dissect_core.torch import state_dict_of

from ._files import opened_image
from ._mmdet import mmdet
from ._random import set_seed
from .coco import CocoVal, build, build_dataset

__all__ = [
    "Image",
    "box_cxcywh_to_xyxy",
    "box_xyxy_to_cxcywh",
    "build_dataset",
    "get_dataset",
    "get_image_size",
    "get_model_state_dict_and_keys",
    "json",
    "load_annotations",
    "normalize_bboxes",
    "np",
    "parse_image_id_from_path",
    "random",
    "set_seed",
    "torch",
]


def get_model_state_dict_and_keys(PATH_CHECKPOINT_FILE: Path | str) -> tuple[dict[str, Any], list[str]]:
    """Read the weights of a checkpoint, and their names.

    Parameters
    ----------
    PATH_CHECKPOINT_FILE : Path or str
        A file of ``{'state_dict': …, 'meta': …}``. It is read without running code.

    Returns
    -------
    state_dict : dict of str to torch.Tensor
        On the CPU.
    keys : list of str
        All names, in the file's order.

    Raises
    ------
    dissect_core.CheckpointError
        If the file is missing, damaged, or holds more than a checkpoint needs.
    """
    state = state_dict_of(mmdet.load_mmdet_checkpoint(PATH_CHECKPOINT_FILE))
    return state, list(state)


def load_annotations(annotation_path: Path | str) -> dict[str, Any]:
    """Read a COCO annotation file.

    Parameters
    ----------
    annotation_path : Path or str
        A JSON file with ``images``, ``annotations`` and ``categories``.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    AnnotationError
        If the file is not JSON, or lacks a list of images or of annotations; `AnnotationsNotFoundError`, a
        ``FileNotFoundError``, if it is not there.
    """
    content: dict[str, Any] = mmdet.read_annotations(annotation_path)
    return content


def parse_image_id_from_path(img_path: Path | str) -> int:
    """Read COCO's image id from the name of an image of COCO 2017.

    Raises
    ------
    AnnotationError
        A ``ValueError``, if the name is not a number.

    Examples
    --------
    >>> parse_image_id_from_path("coco/val2017/000000000139.jpg")
    139
    """
    stem = Path(img_path).stem
    if not (stem.isascii() and stem.isdigit()):
        raise mmdet.AnnotationError(
            f"image {img_path}: the name must be COCO's image id, like 000000000139.jpg."
        )
    return int(stem)


def get_dataset(coco_path: Path | str) -> CocoVal:
    """Return COCO's validation data as DETR takes it: a sequence of (image, target).

    Parameters
    ----------
    coco_path : Path or str
        Folder with ``val2017`` and ``annotations/instances_val2017.json``.

    Returns
    -------
    CocoVal
        Item i is an image and its target. The image is float32, shape (3, height, width), RGB: the shorter side resized
        to 800 px, the longer to at most 1333, values in [0, 1] and then normalised with ImageNet's mean and deviation.
        The target is a dict of tensors:

        - ``boxes`` (n, 4) float32: centre x, centre y, width, height as shares of the image. Crowd is left out; boxes
          are cut at the image's edges, and those without area dropped.
        - ``labels`` (n,) int64: COCO's category ids. ``area`` (n,): pixels of the resized image; ``iscrowd`` (n,): 0.
        - ``image_id`` (1,); ``orig_size`` and ``size`` (2,): height and width as stored and as resized, in pixels.

    Raises
    ------
    AnnotationError
        If the annotation file cannot be read; `AnnotationsNotFoundError` if it is not there.
    ImageError
        By an item whose image cannot be decoded; `ImageNotFoundError` if it is not there.
    """
    return build("val", SimpleNamespace(coco_path=coco_path, masks=False))


def get_image_size(image_path: Path | str) -> tuple[int, int]:
    """Return width and height of an image as it is stored, in pixels; its EXIF orientation is not applied.

    Raises
    ------
    ImageError
        If the image cannot be decoded; `ImageNotFoundError`, a ``FileNotFoundError``, if it is not there.
    """
    with opened_image(image_path) as image:
        return image.size


def normalize_bboxes(bboxes: Any, size: Sequence[float]) -> torch.Tensor:
    """Divide boxes by the size of their image.

    Parameters
    ----------
    bboxes : torch.Tensor or array-like, shape (..., 4)
        Two horizontal and two vertical values in turns, in pixels: xyxy or cxcywh.
    size : (width, height)
        In pixels.

    Returns
    -------
    torch.Tensor, shape (..., 4)
        In the same order, in [0, 1] for boxes inside the image.

    Examples
    --------
    >>> normalize_bboxes([[10, 20, 50, 100]], (100, 200))
    tensor([[0.1000, 0.1000, 0.5000, 0.5000]])
    """
    boxes = torch.as_tensor(bboxes)
    width, height = size
    return boxes / torch.tensor([width, height, width, height], dtype=torch.float32, device=boxes.device)


def box_xyxy_to_cxcywh(x: torch.Tensor) -> torch.Tensor:
    """Convert corners to centre and size, in the same unit, dtype and device; gradients pass.

    Parameters
    ----------
    x : torch.Tensor, shape (..., 4)
        ``x_min, y_min, x_max, y_max``.

    Returns
    -------
    torch.Tensor, shape (..., 4)
        ``x_centre, y_centre, width, height``.

    Examples
    --------
    >>> box_xyxy_to_cxcywh(torch.tensor([0.0, 0.0, 2.0, 4.0]))
    tensor([1., 2., 2., 4.])
    """
    low, size = x[..., :2], x[..., 2:] - x[..., :2]
    return torch.cat([low + size / 2, size], dim=-1)


def box_cxcywh_to_xyxy(x: torch.Tensor) -> torch.Tensor:
    """Convert centre and size to corners: the inverse of `box_xyxy_to_cxcywh`.

    Parameters
    ----------
    x : torch.Tensor, shape (..., 4)
        ``x_centre, y_centre, width, height``.

    Returns
    -------
    torch.Tensor, shape (..., 4)
        ``x_min, y_min, x_max, y_max``.

    Examples
    --------
    >>> box_cxcywh_to_xyxy(torch.tensor([1.0, 2.0, 2.0, 4.0]))
    tensor([0., 0., 2., 4.])
    """
    centre, half = x[..., :2], x[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)
