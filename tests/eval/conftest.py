from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dissect_eval import GroundTruth
from real_data import needed


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Path]:
    """Path of a real data file beside the repository, or a skip."""

    return lambda name: needed(f"data/{name}")


def make_coco(
    boxes: dict[int, list[tuple[Any, ...]]],
    *,
    categories: dict[int, str] | None = None,
    size: tuple[int, int] = (100, 100),
) -> dict[str, Any]:
    """COCO content from `{image id: [(category id, x, y, w, h[, extra fields])]}`."""
    annotations: list[dict[str, Any]] = []
    for image, rows in boxes.items():
        for category, x, y, w, h, *extra in rows:
            record = {
                "id": len(annotations),
                "image_id": image,
                "category_id": category,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
            }
            annotations.append({**record, **(extra[0] if extra else {})})
    categories = categories or {1: "cat", 2: "dog"}
    return {
        "images": [{"id": i, "width": size[0], "height": size[1]} for i in boxes],
        "categories": [{"id": k, "name": v} for k, v in categories.items()],
        "annotations": annotations,
    }


@pytest.fixture(scope="session")
def coco() -> Callable[..., dict[str, Any]]:
    return make_coco


@pytest.fixture(scope="session")
def truth_of() -> Callable[..., GroundTruth]:
    return lambda boxes, **more: GroundTruth.from_coco(make_coco(boxes, **more))
