"""YOLOX-Nano, trained on COCO, on real photographs: its published AP, and studies that are checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import deep_dissect as dd
from dissect_core.detectors import BaseDetector
from dissect_eval import Detections, coco_ap, label_to_category
from dissect_eval.coco import NAMES
from dissect_eval.study import StudyDetections
from real.photographs import photographs, pycocotools_numbers, results_list, same

pytestmark = pytest.mark.real

STAGE = "backbone.stage2"
CONV = f"{STAGE}.1.final_conv"
SPEC: dict[str, Any] = {
    "name": "channels of a stage",
    "ablations": [
        {
            "name": "shares",
            "target": {"unit": "channel", "components": f"{STAGE}.*"},
            "select": {"by": "fraction", "fractions": [0.1, 0.5], "repeats": 2},
        },
        {
            "name": "single",
            "target": {"unit": "channel", "components": f"{CONV}.conv"},
            "select": {"by": "indices", "indices": [5]},
        },
    ],
}


@pytest.mark.slow
def test_ap_is_the_published_one(yolox: BaseDetector, data: dd.CocoSplit, tmp_path: Path) -> None:
    found = yolox.predict(data.images, batch_size=8)
    results = results_list(data, found, yolox.class_names)
    theirs = pycocotools_numbers(data, results, tmp_path)
    assert theirs[0] == pytest.approx(0.283, abs=0.001)
    categories = label_to_category(data.truth, yolox.class_names)
    ours = coco_ap(data.truth, Detections.from_arrays(found, data.ids, categories))
    assert [getattr(ours, name) for name in NAMES] == theirs


def test_study_is_exact(yolox: BaseDetector, folder: Path, tmp_path: Path) -> None:
    data = photographs(folder, limit=6)
    study = dd.run_study(SPEC, yolox, data, tmp_path / "study", batch_size=3, verify=1.0)
    assert study.is_complete
    rows = study.measure(replicates=0).tables.summary
    assert len(rows) == 1 + 4 + 1
    assert not any(row["no_op"] for row in rows)
    stored = StudyDetections(study)
    for row in rows:
        results = stored.of(row["id"])[0].to_results()
        theirs = pycocotools_numbers(data, results, tmp_path)
        assert [row[name] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")] == [
            theirs[NAMES.index(name)] for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
        ]


@pytest.mark.parametrize("channel", [0, 5, 63])
def test_a_channel_is_removed_as_by_hand(yolox: BaseDetector, data: dd.CocoSplit, channel: int) -> None:
    module = yolox.model.get_submodule(f"{CONV}.bn")  # type: ignore[attr-defined]  # a torch model

    def remove(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, channel] = 0
        return output

    whole = yolox.predict(data.images[:4], batch_size=2)
    with yolox.ablated(channels={f"{CONV}.conv": channel}) as report:
        ours = yolox.predict(data.images[:4], batch_size=2)
    hook = module.register_forward_hook(remove)
    try:
        by_hand = yolox.predict(data.images[:4], batch_size=2)
    finally:
        hook.remove()
    assert not report.is_no_op
    assert same(ours, by_hand)
    assert not same(ours, whole)
    assert same(yolox.predict(data.images[:4], batch_size=2), whole)
