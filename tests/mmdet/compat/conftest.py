"""Small checkpoints, samples and data sets for the tests of the compatibility module."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch

from dissect_mmdet import build_model, load_config, require_mmdet
from dissect_mmdet.demo import demo_files


class TinyDetr(NamedTuple):
    """The bundled DETR's config with random weights, saved as MMEngine saves them."""

    config: Path
    checkpoint: Path


class Coco(NamedTuple):
    """A few images of noise in COCO's layout."""

    root: Path
    images: Path
    annotations: Path

    @property
    def paths(self) -> list[str]:
        """The images, by name."""
        return [str(path) for path in sorted(self.images.iterdir())]


@pytest.fixture(autouse=True)
def _fresh_draws() -> None:
    from deep_dissect import set_seed

    set_seed()


@pytest.fixture(scope="session")
def tiny_detr(tmp_path_factory: pytest.TempPathFactory) -> TinyDetr:
    config = demo_files("detr").config
    torch.manual_seed(0)
    state = build_model(load_config(config)).state_dict()
    extra = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    path = tmp_path_factory.mktemp("tiny") / "tiny.pth"
    classes = ("circle", "square", "triangle", "star", "ring", "cross")
    torch.save({"state_dict": {**extra, **state}, "meta": {"dataset_meta": {"classes": classes}}}, path)
    return TinyDetr(config, path)


@pytest.fixture(scope="session")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Coco:
    root = tmp_path_factory.mktemp("coco")
    categories = [{"id": 1, "name": "circle"}, {"id": 7, "name": "square"}, {"id": 9, "name": "unknown"}]
    return write_coco(root, categories, size=(96, 64))


def write_coco(root: Path, categories: list[dict[str, Any]], size: tuple[int, int], count: int = 3) -> Coco:
    """Write `val2017` and its annotation file; the last image has no truth, one box is a crowd."""
    width, height = size
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (root / "val2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    for number in range(count):
        image_id = 139 + 11 * number
        name = f"{image_id:012d}.jpg"
        assert cv2.imwrite(
            str(root / "val2017" / name), rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        )
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for _ in range(3 if number < count - 1 else 0):
            corner, extent = rng.uniform(0, 0.5, 2) * size, rng.uniform(0.1, 0.5, 2) * size
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": categories[len(annotations) % len(categories)]["id"],
                    "bbox": [*corner.tolist(), *extent.tolist()],
                    "area": float(extent.prod()),
                    "iscrowd": int(len(annotations) == 1),
                }
            )
    path = root / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return Coco(root, root / "val2017", path)


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Any]:
    """Make a DetDataSample from arrays, as inference with ground truth gives it."""
    require_mmdet()
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    def make(truth: tuple[Any, Any], found: tuple[Any, Any, Any], **metainfo: Any) -> Any:
        sample = DetDataSample(metainfo={"img_path": "000000000139.jpg", "ori_shape": (100, 100), **metainfo})
        sample.gt_instances = InstanceData(
            bboxes=torch.as_tensor(truth[0], dtype=torch.float32).reshape(-1, 4),
            labels=torch.as_tensor(truth[1], dtype=torch.int64),
        )
        sample.pred_instances = InstanceData(
            bboxes=torch.as_tensor(found[0], dtype=torch.float32).reshape(-1, 4),
            scores=torch.as_tensor(found[1], dtype=torch.float32),
            labels=torch.as_tensor(found[2], dtype=torch.int64),
        )
        return sample

    return make
