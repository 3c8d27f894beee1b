"""The arithmetic of Deep Dissect 1.0's four metric functions: each reads the pickle and matches all images again."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from _generator import Problem
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import f1_score
from torch import Tensor

Sample = dict[str, dict[str, Tensor]]


def samples(found: Problem) -> list[Sample]:
    """Return what a notebook of 1.0 pickles: per image ground truth and predictions as float32 tensors."""
    truth, detections = found.truth, found.detections
    out = []
    for i in range(truth.n_images):
        t = slice(*truth.image_splits[i : i + 2])
        d = slice(*detections.image_splits[i : i + 2])
        out.append(
            {
                "gt_instances": {
                    "bboxes": torch.tensor(truth.boxes[t], dtype=torch.float32),
                    "labels": torch.tensor(truth.category_ids[t]),
                },
                "pred_instances": {
                    "bboxes": torch.tensor(detections.boxes[d], dtype=torch.float32),
                    "labels": torch.tensor(detections.category_ids[d]),
                    "scores": torch.tensor(detections.scores[d], dtype=torch.float32),
                },
            }
        )
    return out


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the GIoU of all pairs."""
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(1) for x in (a, b))
    low, high = torch.max(a[:, None, :2], b[:, :2]), torch.min(a[:, None, 2:], b[:, 2:])
    inter = (high - low).clamp(min=0).prod(2)
    union = area_a[:, None] + area_b - inter
    low, high = torch.min(a[:, None, :2], b[:, :2]), torch.max(a[:, None, 2:], b[:, 2:])
    hull = (high - low).clamp(min=0).prod(2)
    return inter / union - (hull - union) / hull


def pairs(path: Path) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield GIoU, true and predicted labels of the pairs of each image."""
    for sample in pickle.loads(path.read_bytes()):
        truth, predicted = sample["gt_instances"], sample["pred_instances"]
        if len(truth["bboxes"]) == 0 or len(predicted["bboxes"]) == 0:
            continue
        giou = generalized_iou(truth["bboxes"], predicted["bboxes"])
        rows, columns = linear_sum_assignment((1 - giou).numpy())
        yield giou[rows, columns], truth["labels"][rows], predicted["labels"][columns]


def giou_overall(path: Path) -> float:
    values = [value for giou, _, _ in pairs(path) for value in giou.tolist()]
    return sum(values) / len(values) if values else 0.0


def giou_per_class(path: Path) -> dict[int, float]:
    values = defaultdict(list)
    for giou, true, predicted in pairs(path):
        for value, a, b in zip(giou.tolist(), true.tolist(), predicted.tolist(), strict=True):
            if a == b:
                values[a].append(value)
    return {label: sum(of) / len(of) for label, of in values.items()}


def _labels(path: Path) -> tuple[list[int], list[int]]:
    true: list[int] = []
    found: list[int] = []
    for _, a, b in pairs(path):
        true += a.tolist()
        found += b.tolist()
    return true, found


def f1_overall(path: Path) -> float:
    true, found = _labels(path)
    return float(f1_score(true, found, average="weighted", zero_division=0)) if true else 0.0


def f1_per_class(path: Path) -> dict[int, float]:
    true, found = _labels(path)
    labels = sorted({*true, *found})
    scores = f1_score(true, found, labels=labels, average=None, zero_division=0)
    return dict(zip(labels, scores.tolist(), strict=True))


PASSES: tuple[Callable[[Path], Any], ...] = (giou_overall, giou_per_class, f1_overall, f1_per_class)
