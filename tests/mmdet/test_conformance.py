"""Bundled MMDetection models keep what the detector protocol promises, and are found by their entry point."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

import dissect_mmdet
from dissect_core.detectors import (
    ConformanceReport,
    Detector,
    ImageDetections,
    LossDetector,
    TorchDetector,
    available_detectors,
    check_detector,
    detector_checks,
    open_detector,
)
from dissect_core.errors import DetectorOptionError
from dissect_core.spec import DetectorSpec
from dissect_mmdet import ConfigError, MMDetDetector, read_image
from dissect_mmdet.demo import demo_files
from helpers import DemoData


@pytest.fixture(scope="module")
def report(detr: MMDetDetector, demo_data: DemoData) -> ConformanceReport:
    return check_detector(detr, demo_data.paths[:3])


def test_detr_passes_every_check(report: ConformanceReport) -> None:
    assert {r.name: r.status for r in report.results} == dict.fromkeys(detector_checks(), "passed"), str(
        report
    )


def test_only_padding_shows_in_a_batch(
    any_detector: MMDetDetector, demo_data: DemoData, tmp_path: Path
) -> None:
    """Images of one size give in a batch what they give alone; padded ones need not, and the detector says so."""
    pixels = read_image(demo_data.paths[1])
    smaller = tmp_path / "smaller.png"
    assert cv2.imwrite(str(smaller), pixels[:80, :110])
    for second, allowed in ((demo_data.paths[1], {"passed"}), (smaller, {"passed", "declared"})):
        report = check_detector(any_detector, [demo_data.paths[0], second], n_components=1)
        assert {result.status for result in report.results} <= allowed, str(report)


def test_detr_is_applied_in_every_space(report: ConformanceReport) -> None:
    """Not refused: heads, neurons, channels and queries as activations, layers and sublayers bypassed."""
    (spaces,) = (result.seen for result in report.results if result.name == "other spaces")
    assert spaces.startswith("applied: head, neuron, channel")
    assert spaces.endswith("layer, sublayer; refused: none.")


def test_it_has_a_loss_and_a_torch_model(detr: MMDetDetector) -> None:
    detector: Detector = detr
    with_loss: LossDetector = detr
    of_torch: TorchDetector = detr
    assert isinstance(detector, Detector)
    assert isinstance(with_loss, LossDetector)
    assert isinstance(of_torch, TorchDetector)
    assert of_torch.model is detr.model


def test_detections_are_one_type_under_both_names() -> None:
    assert dissect_mmdet.ImageDetections is ImageDetections


def test_it_is_found_by_its_entry_point(detr: MMDetDetector, demo_data: DemoData) -> None:
    offered = available_detectors()["mmdet"]
    assert offered.opener == "dissect_mmdet:open_mmdet"
    assert offered.distribution.startswith("dissect-mmdet ")
    assert offered.problem is None
    files = demo_files("detr")
    opened = open_detector(DetectorSpec(adapter="mmdet", options={"checkpoint": str(files.checkpoint)}))
    assert isinstance(opened, MMDetDetector)
    (first,) = opened.prepare(demo_data.paths[:1])
    (same,) = detr.prepare(demo_data.paths[:1])
    (found,), (expected,) = opened.predict_batch(first), detr.predict_batch(same)
    assert found.boxes.tobytes() == expected.boxes.tobytes()


def test_options_are_those_of_open_mmdet() -> None:
    message = (
        r"has no option 'weights'\. Near matches of 'weights': weights_prefix\. "
        r"Its options are: checkpoint, model, config, device"
    )
    with pytest.raises(DetectorOptionError, match=message):
        open_detector("mmdet", weights="detr.pth")


def test_its_own_errors_come_through() -> None:
    files = demo_files("detr")
    with pytest.raises(ConfigError, match="no-such-config"):
        open_detector("mmdet", config="no-such-config.py", checkpoint=files.checkpoint)
