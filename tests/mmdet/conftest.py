"""Bundled detectors and a few drawn images, made once for all tests of this folder."""

import sys
from pathlib import Path
from typing import Any

import pytest

from dissect_mmdet import MMDetDetector, load_config, open_mmdet
from dissect_mmdet.demo import demo_files, write_split
from helpers import DemoData
from mmdet_configs import MODULE


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return DemoData(*write_split(tmp_path_factory.mktemp("demo"), "test", 6))


@pytest.fixture(scope="session")
def detr() -> MMDetDetector:
    files = demo_files("detr")
    return open_mmdet(config=files.config, checkpoint=files.checkpoint)


@pytest.fixture(scope="session", params=["detr", "deformable_detr", "dino"])
def any_detector(request: pytest.FixtureRequest) -> MMDetDetector:
    files = demo_files(request.param)
    return open_mmdet(config=files.config, checkpoint=files.checkpoint)


@pytest.fixture(scope="session")
def config_values() -> dict[str, Any]:
    """Model and test data of a bundled detector, as plain values."""
    config = load_config(demo_files("detr").config).to_dict()
    return {name: config[name] for name in ("model", "test_dataloader")}


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when the stranger's module is imported or its class is made."""
    marker = tmp_path / "ran"
    package = tmp_path / MODULE
    package.mkdir()
    touch = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    text = f"{touch}\nclass Thing:\n    def __init__(self, *a, **k): {touch}\n"
    for name in ("__init__.py", "registry.py", "utils.py"):
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    return marker
