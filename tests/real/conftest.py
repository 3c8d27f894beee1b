"""Real detectors and photographs, opened once for all tests of this folder; without them these tests skip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import deep_dissect as dd
from commands import skip_without_mmdet
from real.photographs import FOLDER, coco_classes, photographs
from real_data import needed

if TYPE_CHECKING:
    from dissect_core.detectors import BaseDetector

collect_ignore = ["atto.py"]  # which needs Transformers


@pytest.fixture(scope="session")
def folder() -> Path:
    """Give the folder of the photographs and their annotations."""
    return needed(FOLDER)


@pytest.fixture(scope="session")
def data(folder: Path) -> dd.CocoSplit:
    """Give all 158 photographs with their truth."""
    return photographs(folder)


@pytest.fixture(scope="session")
def yolox_files() -> dict[str, Path]:
    """Give checkpoint and config of YOLOX-Nano."""
    skip_without_mmdet()
    place = needed("data/yolox_nano")
    return {"checkpoint": place / "yolox_nano_mmdet.pth", "config": place / "yolox_nano.py"}


@pytest.fixture(scope="session")
def yolox(yolox_files: dict[str, Path]) -> BaseDetector:
    """Open YOLOX-Nano by the front door."""
    detector: BaseDetector = dd.open_detector("mmdet", **yolox_files)  # type: ignore[assignment]
    return detector


@pytest.fixture(scope="session")
def atto(data: dd.CocoSplit) -> BaseDetector:
    """Open DEIMv2-Atto by the front door."""
    pytest.importorskip("transformers", reason="Transformers is not installed")
    from real.atto import build, processor

    model = build(needed("data/deimv2") / "atto_transformers.pth", coco_classes(data))
    detector: BaseDetector = dd.open_detector("transformers", model=model, processor=processor())  # type: ignore[assignment]
    return detector
