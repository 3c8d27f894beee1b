"""A detector is one and the same however it is named, and another one where its model or its pipeline is another."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mmdet")

from dissect_core.detectors import DetectorRequest, bundled_detector, open_detector
from dissect_core.engine._fingerprint import detector_facts as describe
from dissect_core.spec import DetectorSpec
from dissect_mmdet import open_mmdet
from dissect_mmdet.demo import DEMO_DETECTORS, demo_files
from dissect_mmdet.detector import detector_facts


@pytest.mark.parametrize("name", DEMO_DETECTORS)
def test_a_bundled_detector_is_one_however_it_is_named(name: str, tmp_path: Path) -> None:
    files = demo_files(name)
    moved = shutil.copy(files.checkpoint, tmp_path / "renamed.pth")
    expected = describe(open_mmdet(checkpoint=f"demo:{name}"))
    assert describe(open_mmdet(config=files.config, checkpoint=files.checkpoint)) == expected
    assert describe(open_mmdet(checkpoint=moved)) == expected
    for named in (f"demo:{name}", DetectorSpec(adapter=f"demo:{name}"), bundled_detector(name)):
        assert describe(open_detector(named)) == expected
    by_option = DetectorSpec(adapter="mmdet", options={"checkpoint": f"demo:{name}"})
    assert describe(open_detector(DetectorRequest(by_option))) == expected
    assert str(files.checkpoint.parent) not in str(expected)


def test_only_model_and_test_pipeline_of_a_config_count() -> None:
    detector = open_mmdet(checkpoint="demo:detr")
    before = detector_facts(detector.config)

    def changed(change: Any) -> list[str]:
        config = copy.deepcopy(detector.config)
        change(config)
        now = detector_facts(config)
        return [name for name in before["config"] if before["config"][name] != now["config"][name]]

    def trained_otherwise(config: Any) -> None:
        config.optim_wrapper = {"type": "SGD"}
        config.work_dir = "elsewhere"
        config.model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": "elsewhere.pth"}

    def other_model(config: Any) -> None:
        config.model.test_cfg = {"max_per_img": 7}

    def other_pipeline(config: Any) -> None:
        config.test_dataloader.dataset.pipeline[1]["scale"] = (64, 64)

    assert changed(trained_otherwise) == []
    assert changed(other_model) == ["model"]
    assert changed(other_pipeline) == ["test_pipeline"]
