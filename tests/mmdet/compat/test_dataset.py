"""The data set of `get_dataset`, against values worked out by hand and against torch's own resizing."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import deep_dissect as dd
from deep_dissect.v1.coco import _resized
from dissect_mmdet import ImageError
from dissect_mmdet.errors import AnnotationError


def write(root: Path, size: tuple[int, int], annotations: list[dict[str, Any]]) -> Path:
    """A data set of one image, number 7, with structure that resizing must keep."""
    (root / "val2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    width, height = size
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x // 16 + y // 16) % 2 * 255], axis=2).astype(
        np.uint8
    )
    Image.fromarray(pixels).save(root / "val2017" / "7.png")
    image = {"id": 7, "file_name": "7.png", "width": width, "height": height}
    content = {
        "images": [image],
        "categories": [],
        "annotations": [{"image_id": 7, **a} for a in annotations],
    }
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return root


ANNOTATIONS: list[dict[str, Any]] = [
    {"id": 1, "category_id": 3, "bbox": [64, 48, 128, 96], "area": 1000.0, "iscrowd": 0},
    {"id": 2, "category_id": 90, "bbox": [600, 400, 100, 200], "area": 2000.0},  # beyond the edges
    {"id": 3, "category_id": 1, "bbox": [0, 0, 640, 480], "area": 9.0, "iscrowd": 1},  # a crowd
    {"id": 4, "category_id": 2, "bbox": [10, 10, 0, 5], "area": 3.0, "iscrowd": 0},  # without area
]


def test_item_by_hand(tmp_path: Path) -> None:
    dataset = dd.get_dataset(write(tmp_path, (640, 480), ANNOTATIONS))
    assert len(dataset) == 1
    assert dataset.ids == [7]
    image, target = dataset[0]
    assert image.shape == (3, 800, 1066)
    assert image.dtype == torch.float32
    with Image.open(tmp_path / "val2017" / "7.png") as file:
        stored = torch.from_numpy(np.asarray(file).copy()).permute(2, 0, 1).float()[None]
    larger = (
        torch.nn.functional.interpolate(stored, (800, 1066), mode="bilinear", align_corners=False)[0] / 255
    )
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (larger - mean[:, None, None]) / deviation[:, None, None]
    assert float((image - expected).abs().max()) < 1.2 / 255 / 0.224  # bytes are rounded once
    assert set(target) == {"boxes", "labels", "area", "iscrowd", "image_id", "orig_size", "size"}
    # As shares of the image: 64 / 640 to 192 / 640 and 48 / 480 to 144 / 480; the second is cut at 640 and 480.
    by_hand = torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.96875, 0.9166667, 0.0625, 0.1666667]])
    torch.testing.assert_close(target["boxes"], by_hand)
    assert target["labels"].tolist() == [3, 90]
    scale = 1066 / 640 * 800 / 480
    torch.testing.assert_close(target["area"], torch.tensor([1000.0, 2000.0]) * scale)
    assert target["iscrowd"].tolist() == [0, 0]
    assert target["image_id"].tolist() == [7]
    assert target["orig_size"].tolist() == [480, 640]
    assert target["size"].tolist() == [800, 1066]
    kinds = {name: value.dtype for name, value in target.items()}
    floats = {"boxes", "area"}
    assert all(kinds[name] == (torch.float32 if name in floats else torch.int64) for name in kinds)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (1066, 800)),
        ((480, 640), (800, 1066)),
        ((500, 500), (800, 800)),
        ((1000, 200), (1335, 267)),  # 1333 · 200 / 1000 = 266.6 rounded, and the longer side after that
        ((200, 1000), (267, 1335)),
        ((800, 1000), (800, 1000)),
        ((2666, 1600), (1333, 800)),
        ((96, 64), (1200, 800)),
    ],
)
def test_sizes_by_hand(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert _resized(*size) == expected


def test_image_without_truth(tmp_path: Path) -> None:
    _, target = dd.get_dataset(write(tmp_path, (64, 48), []))[0]
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].shape == target["area"].shape == target["iscrowd"].shape == (0,)


def test_masks(tmp_path: Path) -> None:
    square = {"id": 1, "category_id": 1, "bbox": [8, 8, 16, 24], "area": 384.0, "iscrowd": 0}
    drawn = {**square, "segmentation": [[8, 8, 24, 8, 24, 32, 8, 32]]}
    empty = {**square, "segmentation": []}
    root = write(tmp_path, (64, 48), [drawn, empty])
    args = SimpleNamespace(dataset_file="coco", coco_path=root, masks=True)
    _, target = dd.build_dataset(image_set="val", args=args)[0]
    assert target["masks"].shape == (2, 800, 1066)
    assert target["masks"].dtype == torch.bool
    rows, columns = target["masks"][0].nonzero().T
    scale = 800 / 48
    assert rows.min() == pytest.approx(8 * scale, abs=1)
    assert rows.max() == pytest.approx(32 * scale, abs=1.5)
    assert columns.min() == pytest.approx(8 * 1066 / 64, abs=1)
    assert columns.max() == pytest.approx(24 * 1066 / 64, abs=1.5)
    assert not target["masks"][1].any()


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        dd.get_dataset(tmp_path)
    assert isinstance(caught.value, AnnotationError)
    root = write(tmp_path / "coco", (64, 48), [])
    (root / "val2017" / "7.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"7\.png: no such file") as gone:
        dd.get_dataset(root)[0]
    assert isinstance(gone.value, ImageError)
    args = SimpleNamespace(dataset_file="coco", coco_path=root, masks=False)
    with pytest.raises(ValueError, match="`image_set` must be 'val', got 'train'"):
        dd.build_dataset("train", args)
    args.dataset_file = "voc"
    with pytest.raises(ValueError, match=r"`args\.dataset_file` must be 'coco', got 'voc'"):
        dd.build_dataset("val", args)


def test_items_are_those_of_the_ids_in_order(tmp_path: Path) -> None:
    root = write(tmp_path, (64, 48), [])
    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    content["images"] = [{**content["images"][0], "id": number} for number in (30, 4, 12)]
    path.write_text(json.dumps(content))
    dataset = dd.get_dataset(root)
    assert [int(target["image_id"]) for _, target in dataset] == [4, 12, 30] == dataset.ids
    with pytest.raises(IndexError):
        dataset[3]


def test_images_are_neither_waited_for_nor_run(tmp_path: Path) -> None:
    """Pillow would start Ghostscript for PostScript, whatever its file is called."""
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(ImageError, match="is PostScript, which is a program"):
        dd.get_image_size(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    with pytest.raises(ImageError, match="FIFO"):
        dd.get_image_size(tmp_path / "b.jpg")
    root = write(tmp_path / "coco", (64, 48), [])
    (root / "val2017" / "7.png").write_bytes((tmp_path / "a.jpg").read_bytes())
    with pytest.raises(ImageError, match="is PostScript"):
        dd.get_dataset(root)[0]
