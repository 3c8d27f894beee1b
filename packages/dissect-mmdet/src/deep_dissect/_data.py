"""COCO's validation images, and box conversions on tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dissect_mmdet import read_image
from dissect_mmdet._samples import annotations_by_image, read_annotations


class CocoVal:
    """Images and annotations of one split, by position.

    Made by `get_dataset`.

    Parameters
    ----------
    folder : Path
        Holds the images.
    content : mapping
        Content of the annotation file.

    Attributes
    ----------
    ids : list of int
        COCO's image ids, ascending: the order of the items.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self._folder = folder
        self._names = {image["id"]: image["file_name"] for image in content["images"]}
        self._annotations = annotations_by_image(content["annotations"])
        self.ids: list[int] = sorted(self._names)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, list[Mapping[str, Any]]]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, list[Mapping[str, Any]]]:
        """Image (3, height, width) of float32 in [0, 1], RGB; and its annotations as the file has them."""
        image_id = self.ids[index]
        pixels = read_image(self._folder / self._names[image_id])[:, :, ::-1].copy()
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255, self._annotations.get(image_id, [])


def get_dataset(coco_path: Path | str) -> CocoVal:
    """COCO's validation data: a sequence of (image, target).

    Parameters
    ----------
    coco_path : Path or str
        Folder with ``val2017`` and ``annotations/instances_val2017.json``.

    Returns
    -------
    CocoVal
        Item i is the image as a float32 tensor (3, height, width) in [0, 1], RGB, and the list of its
        annotations. Models that want normalised colours, as DETR of torch.hub does, must be given them
        normalised.

    Raises
    ------
    AnnotationError
        If the annotation file cannot be read.
    ImageError
        By an item whose image is missing or cannot be decoded.
    """
    root = Path(coco_path)
    return CocoVal(root / "val2017", read_annotations(root / "annotations" / "instances_val2017.json"))


def get_image_size(path: Path | str) -> tuple[int, int]:
    """Width and height of an image, in pixels.

    Raises
    ------
    ImageError
        If the image is missing or cannot be decoded.
    """
    height, width = read_image(path).shape[:2]
    return width, height


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
        The same layout, in [0, 1] for boxes inside the image.

    Examples
    --------
    >>> normalize_bboxes([[10, 20, 50, 100]], (100, 200))
    tensor([[0.1000, 0.1000, 0.5000, 0.5000]])
    """
    boxes = torch.as_tensor(bboxes)
    width, height = size
    return boxes / torch.tensor([width, height, width, height], dtype=torch.float32, device=boxes.device)


def box_xyxy_to_cxcywh(x: torch.Tensor) -> torch.Tensor:
    """Corners to centre and size, in the same unit, dtype and device; gradients pass.

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
    low, high = x[..., :2], x[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def box_cxcywh_to_xyxy(x: torch.Tensor) -> torch.Tensor:
    """Centre and size to corners: the inverse of `box_xyxy_to_cxcywh`.

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
