"""A toy detector's split, and a bundled detector with a few drawn images, made once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from helpers import DemoData
from toy_split import Split, write_split

if TYPE_CHECKING:
    from dissect_mmdet import MMDetDetector


@pytest.fixture(scope="session", autouse=True)
def scenes_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the scenes that are drawn out of the user's folder for caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEP_DISSECT_CACHE", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return write_split(tmp_path_factory.mktemp("toy"), 8)


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> DemoData:
    from dissect_mmdet.demo import write_split as write_scenes

    return DemoData(*write_scenes(tmp_path_factory.mktemp("demo"), "test", 6))


@pytest.fixture(scope="session")
def detr() -> MMDetDetector:
    from dissect_mmdet import open_mmdet
    from dissect_mmdet.demo import demo_files

    files = demo_files("detr")
    return open_mmdet(config=files.config, checkpoint=files.checkpoint)
