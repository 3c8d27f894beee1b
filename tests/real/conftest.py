"""Real detectors and photographs, opened once for all tests of this folder; without them these tests skip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import deep_dissect as dd
from commands import skip_without_mmdet
from real.photographs import FOLDER, photographs
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
