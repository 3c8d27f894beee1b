"""Every architecture of the table runs through mmdet's own test path, without a compiler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import zoo
from dissect_mmdet.errors import MissingOperatorError
from dissect_mmdet.ops import enable_mmcv_ops

pytest.importorskip("mmdet")
pytest.importorskip("mmcv")

BACKEND = enable_mmcv_ops()

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.slow,
]

NMS = {"DDQ", "Mask R-CNN", "RetinaNet", "FCOS", "ATSS", "ATSS, DyHead", "YOLOX", "RTMDet"}
ROI = {"Faster R-CNN", "Faster R-CNN, soft-NMS", "Faster R-CNN, DCN", "Faster R-CNN, DCNv2", "Mask R-CNN"}
ROI |= {"Cascade R-CNN", "Sparse R-CNN"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine cost more than these small images gain by them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what the operators are really given and what they take away."""
    import mmcv._ext as ext

    counted: Counter[str] = Counter()

    def spy(name: str, count: Any) -> None:
        original = getattr(ext, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            counted.update(count(args, result))
            return result

        monkeypatch.setattr(ext, name, wrapper)

    spy("nms", lambda args, kept: {"suppressed": len(args[0]) - len(kept), "kept": len(kept)})
    spy("softnms", lambda args, kept: {"softened": len(args[0])})
    spy("roi_align_forward", lambda args, _: {"regions": len(args[1])})
    spy("deform_conv_forward", lambda args, _: {"deform_conv": 1})
    spy("modulated_deform_conv_forward", lambda args, _: {"modulated_deform_conv": 1})
    return counted


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_architecture_detects(name: str, work: Counter[str]) -> None:
    # DDQ's random boxes overlap only where there are many.
    model, config = zoo.build_detector(zoo.ARCHITECTURES[name], whole=name == "DDQ")
    image = zoo.random_image()
    height, width = image.shape[:2]

    found = zoo.detect(model, config, image, zoo.SCALE).pred_instances

    boxes, scores, labels = found.bboxes, found.scores, found.labels
    assert len(found) >= 20
    assert boxes.shape == (len(found), 4)
    assert boxes.isfinite().all()
    assert scores.isfinite().all()
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    assert (scores[1:] <= scores[:-1]).all(), "best first"
    assert ((labels >= 0) & (labels < 80)).all()
    assert len(boxes.unique(dim=0)) >= 20, "boxes must differ for the test to mean anything"
    if name not in zoo.UNCLIPPED:
        right, bottom = (max(height, width),) * 2 if name in zoo.PADDED else (width, height)
        limits = torch.tensor([right, bottom, right, bottom]) + 1e-3
        assert (boxes >= -1e-3).all()
        assert (boxes <= limits).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
    if name == "Mask R-CNN":
        assert found.masks.shape == (len(found), height, width)
    if name in NMS:
        assert work["suppressed"] > 0, "non-maximum suppression had nothing to do"
    if name in ROI:
        assert work["regions"] > 0
    assert (work["softened"] > 0) == (name == "Faster R-CNN, soft-NMS")
    assert (work["deform_conv"] > 0) == (name == "Faster R-CNN, DCN")
    assert (work["modulated_deform_conv"] > 0) == (name in ("Faster R-CNN, DCNv2", "ATSS, DyHead"))


@pytest.mark.skipif(BACKEND == "compiled", reason="a compiled mmcv is installed, so nothing is missing")
@pytest.mark.parametrize("name", zoo.UNSUPPORTED)
def test_what_does_not_run_says_which_operator_is_missing(name: str) -> None:
    path, operator = zoo.UNSUPPORTED[name]
    model, config = zoo.build_detector(path)
    with pytest.raises(MissingOperatorError, match=f"'{operator}'.*dissect-mmdet\\[full\\]"):
        zoo.detect(model, config, zoo.random_image(), zoo.SCALE)


@pytest.mark.parametrize("name", ["DINO", "RetinaNet"])
def test_random_detectors_are_the_same_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Memory that nothing has written yet is filled with NaN, which equals nothing.
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        first, second = (zoo.build_detector(zoo.ARCHITECTURES[name])[0].state_dict() for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(first[key], second[key]) for key in first)
