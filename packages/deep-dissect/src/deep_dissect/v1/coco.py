"""COCO's validation images as DETR takes them: resized, normalised, with boxes in its form. Needs no torchvision."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ._files import opened_image
from ._mmdet import mmdet

__all__ = ["CocoVal", "build", "build_dataset"]

SHORTER_SIDE, LONGER_SIDE = 800, 1333
# Of ImageNet's training images, red, green, blue: what the backbones were trained with.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class CocoVal:
    """Images and targets of COCO's validation split, by position.

    Made by `get_dataset` and `build_dataset`.

    Parameters
    ----------
    folder : Path
        Holds the images.
    content : mapping
        Content of the annotation file.
    masks : bool
        Whether targets hold masks.

    Attributes
    ----------
    ids : list of int
        COCO's image ids, ascending: the order of the items.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any], *, masks: bool = False) -> None:
        self._folder = folder
        self._names = {image["id"]: image["file_name"] for image in content["images"]}
        self._annotations = mmdet.annotations_by_image(content["annotations"])
        self._masks = masks
        self.ids: list[int] = sorted(self._names)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return an image of float32 (3, height, width), and its target; see `get_dataset`."""
        image_id = self.ids[index]
        with opened_image(self._folder / self._names[image_id]) as file:
            image = file.convert("RGB")
        target = _target(image_id, self._annotations.get(image_id, []), image.size, masks=self._masks)
        width, height = _resized(*image.size)
        target = _rescaled(target, image.size, (width, height))
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous().float() / 255
        mean, deviation = torch.tensor(MEAN)[:, None, None], torch.tensor(DEVIATION)[:, None, None]
        return (tensor - mean) / deviation, target


def build(image_set: str, args: Any) -> CocoVal:
    """Make the data set of COCO's validation images.

    Parameters
    ----------
    image_set : str
        ``"val"``. DETR's images for training are turned and cut at random, which no comparison of models wants.
    args : object
        With the attributes ``coco_path``, a folder as in `get_dataset`, and ``masks``, whether targets hold masks.

    Returns
    -------
    CocoVal

    Raises
    ------
    ValueError
        If `image_set` is another one.
    AnnotationError
        If the annotation file cannot be read; `AnnotationsNotFoundError` if it is not there.
    """
    if image_set != "val":
        raise ValueError(
            f"`image_set` must be 'val', got {image_set!r}: images are only prepared for evaluation."
        )
    root = Path(args.coco_path)
    content = mmdet.read_annotations(root / "annotations" / "instances_val2017.json")
    return CocoVal(root / "val2017", content, masks=bool(args.masks))


def build_dataset(image_set: str, args: Any) -> CocoVal:
    """Make the data set that `args` names: `build`, for a ``dataset_file`` of ``"coco"``.

    Raises
    ------
    ValueError
        If ``args.dataset_file`` is another one; and what `build` raises.
    """
    if args.dataset_file != "coco":
        raise ValueError(f"`args.dataset_file` must be 'coco', got {args.dataset_file!r}.")
    return build(image_set, args)


def _resized(width: int, height: int) -> tuple[int, int]:
    """Return width and height with the shorter side at 800, or at less so that the longer is at most 1333."""
    shorter, longer = min(width, height), max(width, height)
    side = SHORTER_SIDE
    if longer / shorter * side > LONGER_SIDE:
        side = round(LONGER_SIDE * shorter / longer)
    if width < height:
        return side, int(side * height / width)
    return int(side * width / height), side


def _target(
    image_id: int, annotations: Sequence[Mapping[str, Any]], size: tuple[int, int], *, masks: bool
) -> dict[str, torch.Tensor]:
    """Return the objects of an image, in its pixels: without crowd, boxes cut at the edges, empty ones dropped."""
    width, height = size
    single = [annotation for annotation in annotations if not annotation.get("iscrowd", 0)]
    boxes = torch.tensor([a["bbox"] for a in single], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes[:, 0::2].clamp_(min=0, max=width)
    boxes[:, 1::2].clamp_(min=0, max=height)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    target = {
        "boxes": boxes,
        "labels": torch.tensor([a["category_id"] for a in single], dtype=torch.int64),
        "area": torch.tensor([a["area"] for a in single]),
        "iscrowd": torch.tensor([a.get("iscrowd", 0) for a in single]),
    }
    if masks:
        target["masks"] = _masks([a["segmentation"] for a in single], width, height)
    target = {name: values[kept] for name, values in target.items()}
    return {
        **target,
        "image_id": torch.tensor([image_id]),
        "orig_size": torch.tensor([height, width]),
        "size": torch.tensor([height, width]),
    }


def _masks(segmentations: Sequence[Any], width: int, height: int) -> torch.Tensor:
    """Decode polygons to masks of uint8, shape (n, height, width)."""
    from pycocotools import mask

    found = np.zeros((len(segmentations), height, width), dtype=np.uint8)
    for drawn, polygons in zip(found, segmentations, strict=True):
        if not polygons:
            continue
        with warnings.catch_warnings():  # pycocotools' own, of NumPy 2
            warnings.simplefilter("ignore", DeprecationWarning)
            parts = mask.decode(mask.frPyObjects(polygons, height, width))
        drawn[:] = parts.reshape(height, width, -1).any(axis=2)
    return torch.from_numpy(found)


def _rescaled(
    target: dict[str, torch.Tensor], old: tuple[int, int], new: tuple[int, int]
) -> dict[str, torch.Tensor]:
    """Return a target of a resized image, its boxes as DETR has them: centre and size as shares of the image."""
    width, height = new
    by_x, by_y = width / old[0], height / old[1]
    boxes = target["boxes"] * torch.tensor([by_x, by_y, by_x, by_y])
    low, high = boxes[:, :2], boxes[:, 2:]
    boxes = torch.cat([(low + high) / 2, high - low], dim=1)
    scaled = {
        **target,
        "boxes": boxes / torch.tensor([width, height, width, height], dtype=torch.float32),
        "area": target["area"] * (by_x * by_y),
        "size": torch.tensor([height, width]),
    }
    if "masks" in target:
        drawn = target["masks"][:, None].float()
        larger = torch.nn.functional.interpolate(drawn, size=(height, width), mode="nearest")
        scaled["masks"] = larger[:, 0] > 0.5
    return scaled
