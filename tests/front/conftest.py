"""A bundled detector and a few drawn images, made once for all tests of this folder."""

import pytest

from dissect_mmdet import MMDetDetector, open_mmdet
from dissect_mmdet.demo import demo_files, write_split
from helpers import DemoData


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    return DemoData(*write_split(tmp_path_factory.mktemp("demo"), "test", 6))


@pytest.fixture(scope="session")
def detr() -> MMDetDetector:
    files = demo_files("detr")
    return open_mmdet(config=files.config, checkpoint=files.checkpoint)
