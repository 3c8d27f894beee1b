"""Architectures beyond those of `zoo`: each opens from a file, lists its components, and runs a variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("mmdet")
pytest.importorskip("mmcv")

import zoo
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_mmdet import MMDetDetector, open_mmdet
from dissect_mmdet.ops import enable_mmcv_ops

enable_mmcv_ops()

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.slow,
]

MORE = {
    "GFL": "gfl/gfl_r50_fpn_1x_coco.py",
    "VFNet": "vfnet/vfnet_r50_fpn_1x_coco.py",
    "TOOD": "tood/tood_r50_fpn_1x_coco.py",
    "YOLOF": "yolof/yolof_r50-c5_8xb8-1x_coco.py",
    "YOLOv3": "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py",
    "Mask2Former": "mask2former/mask2former_r50_8xb2-lsj-50e_coco.py",
    "Soft Teacher": "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py",
    "TridentNet": "tridentnet/tridentnet_r50-caffe_1x_coco.py",
    "CenterNet": "centernet/centernet_r18_8xb16-crop512-140e_coco.py",
    "CondInst": "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py",
    "RetinaNet, Swin-T": "swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py",
    "RetinaNet, PVT-T": "pvt/retinanet_pvt-t_fpn_1x_coco.py",
    "RetinaNet, EffNet-B3": "efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py",
}
WITH_HEADS = {"Mask2Former", "RetinaNet, Swin-T", "RetinaNet, PVT-T"}


def opened(name: str, folder: Path) -> MMDetDetector:
    """Open an architecture from a file of random weights, with images made small by its own test pipeline."""
    model, config = zoo.build_detector(MORE[name])
    for part in model.modules():
        if type(part).__name__ == "TridentConv":  # whose constructor leaves whatever was in memory
            torch.nn.init.kaiming_uniform_(part.weight, generator=torch.Generator().manual_seed(0))
    for step in config.test_dataloader.dataset.pipeline:
        if "scale" in step:
            step["scale"] = zoo.SCALE
    file = folder / "random.pth"
    torch.save({"state_dict": model.state_dict()}, file)
    del model
    detector = open_mmdet(file, config=config)
    file.unlink()
    return detector


@pytest.mark.parametrize("name", MORE)
def test_architecture_opens_and_runs_a_variant(name: str, tmp_path: Path) -> None:
    detector = opened(name, tmp_path)
    anatomy = detector.anatomy
    parameters = {key for key, _ in detector.model.named_parameters()}
    assert {component.name for component in anatomy.components} == parameters
    # Soft Teacher holds two detectors, of which the teacher detects.
    backbone = "teacher.backbone.*" if name == "Soft Teacher" else "backbone.*"
    assert any(component.name.startswith(backbone[:-1]) for component in anatomy.components)
    assert any(group.unit == "channel" for group in anatomy.groups)
    assert bool(anatomy.attention) == (name in WITH_HEADS)
    image = zoo.random_image()
    before = detector.predict(image)
    assert len(before.scores) >= 5

    units: dict[str, Any] = {"unit": "channel", "components": [backbone]}
    if name == "Soft Teacher":
        assert {block.path.partition(".")[0] for block in anatomy.blocks} == {"teacher"}
        assert {"backbone", "neck", "head.rpn", "head.roi", "head.bbox"} <= set(anatomy.roles)
        assert "the teacher detects" in " ".join(anatomy.notes)
        units = {"unit": "channel", "components": ["backbone"]}  # its role
    if name in WITH_HEADS:
        units = {"unit": "head", "components": ["*"]}
    half = {"name": "half", "target": units, "select": {"by": "fraction", "fractions": [0.5]}}
    spec = load_spec({"name": name, "ablations": [half]})
    (variant,) = [one for one in plan(spec, anatomy) if one.kind == "ablation"]
    with detector.ablated(variant) as report:
        assert report.changed > 0
        found = detector.predict(image)
    assert not np.array_equal(found.scores, before.scores)
    again = detector.predict(image)
    assert np.array_equal(again.boxes, before.boxes)
    assert np.array_equal(again.scores, before.scores)
