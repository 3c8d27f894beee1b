"""Write the four result files of Deep Dissect 1.0, from the matching of `dissect_eval`."""

from __future__ import annotations

import functools
import json
import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from dissect_core.storage import write_bytes_whole
from dissect_eval import match_pairs, paired_labels_f1

from . import _lazy
from ._constants import CLASSES_DETR, CLASSES_MMDET, class_mapping
from ._mmdet import mmdet

__all__ = [
    "CLASSES_DETR",
    "CLASSES_MMDET",
    "calculate_average_f1_score_overall_and_save_results",
    "calculate_average_f1_score_per_class_and_save_results",
    "calculate_average_giou_overall_and_save_results",
    "calculate_average_giou_per_class_and_save_results",
    "class_mapping",
    "f1_score",
    "generalized_box_iou",
    "json",
    "linear_sum_assignment",
    "os",
    "pickle",
]

COCO_NAMES = {i: name for i, name in enumerate(CLASSES_DETR) if name != "N/A"}


class _Result(NamedTuple):
    """Scores of one file of samples: a value for each of the four result files."""

    average_giou: Mapping[str, float]
    giou_per_class: Mapping[str, float]
    n_named_pairs: int
    overall_f1: Mapping[str, float]
    f1_per_class: Mapping[str, float]


def generalized_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """Compute the GIoU of every box of one set with every box of another, as torchvision's function of this name.

    Parameters
    ----------
    boxes1 : torch.Tensor, shape (n, 4)
    boxes2 : torch.Tensor, shape (m, 4)
        xyxy, on the same device.

    Returns
    -------
    torch.Tensor, shape (n, m)
        In [-1, 1], in the precision of the boxes; NaN for two boxes without area.

    References
    ----------
    Rezatofighi et al., CVPR 2019, arXiv:1902.09630. `dissect_eval.pairwise_giou` computes it in float64.

    Examples
    --------
    >>> generalized_box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 1.0]]))
    tensor([[0.5000]])
    """
    first, second = boxes1[:, None], boxes2[None]
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(dim=-1) for boxes in (first, second)]
    both = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    hull = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    shared, whole = both.clamp(min=0).prod(dim=-1), hull.clamp(min=0).prod(dim=-1)
    union = areas[0] + areas[1] - shared
    return shared / union - (whole - union) / whole


def f1_score(*arguments: Any, **options: Any) -> Any:
    """Compute F1 by scikit-learn's function of this name, which takes the same arguments; it must be installed."""
    return _lazy.imported("sklearn.metrics", "f1_score").f1_score(*arguments, **options)


def calculate_average_giou_overall_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """Write the mean GIoU over all pairs of ground truth and prediction.

    Per image, ground truth and *all* predictions, whatever their score, are paired one-to-one so that the
    total GIoU is as large as can be, regardless of class. Images without ground truth or without predictions
    are skipped. `dissect_eval.matched_metrics` says what this hides, `dissect_eval.detection_metrics` gives
    metrics that count misses and false positives.

    Parameters
    ----------
    input_path : str
        The samples of iteration i are in ``{input_path}{i}.pkl``: a pickled list as
        `run_inference_and_integrate_ground_truth` returns it. Where names of classes are kept in it they are
        used, else COCO's.
    output_path : str
        Put before the names of the result files as it is: end a folder with ``/``.
    iterations : int
        How many files, from `start_idx` on. A missing one is skipped, and a line says so.
    start_idx : int
        The first i.

    Raises
    ------
    PickleRefusedError
        If a file holds anything but samples. It is read without running code.
    AnnotationError
        If the detector's classes and the categories of the truth have no name in common.

    Notes
    -----
    Writes ``{output_path}bbox_regression_gt_pred_average_giou_overall_result_{i}.json``:
    ``{"average_giou": mean}``, dimensionless, in [-1, 1]; 0 if there is no pair.
    """
    _save_each(
        (input_path, output_path, iterations, start_idx),
        "bbox_regression_gt_pred_average_giou_overall_result",
        lambda result: result.average_giou,
    )


def calculate_average_giou_per_class_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """Write the mean GIoU per class, over the pairs whose predicted class is the true one.

    Pairs, parameters and errors are those of `calculate_average_giou_overall_and_save_results`.

    Notes
    -----
    Writes ``{output_path}bbox_regression_gt_pred_average_giou_per_class_result_{i}.json``: mean by class
    name. Classes without such a pair are left out.
    """
    _save_each(
        (input_path, output_path, iterations, start_idx),
        "bbox_regression_gt_pred_average_giou_per_class_result",
        lambda result: result.giou_per_class,
    )


def calculate_average_f1_score_overall_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """Write the F1 of the pairs' labels, averaged over classes weighted by true count.

    Pairs, parameters and errors are those of `calculate_average_giou_overall_and_save_results`.

    Notes
    -----
    Writes ``{output_path}f1_score_classification_overall_result_{i}.json``: ``{"Overall_F1_Score": f1}``, in
    [0, 1]; 0 with a warning if there is no pair. Pairs with a category id or a label that has no name do not count.
    """
    _save_each(
        (input_path, output_path, iterations, start_idx),
        "f1_score_classification_overall_result",
        _told_if_undefined,
    )


def calculate_average_f1_score_per_class_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """Write the one-vs-rest F1 of each class over the pairs' labels.

    Pairs, parameters and errors are those of `calculate_average_giou_overall_and_save_results`.

    Notes
    -----
    Writes ``{output_path}f1_score_classification_per_class_result_{i}.json``: F1 by class name, for all
    classes; 0 where it is undefined because no pair has the class.
    """
    _save_each(
        (input_path, output_path, iterations, start_idx),
        "f1_score_classification_per_class_result",
        lambda result: result.f1_per_class,
    )


def _told_if_undefined(result: _Result) -> Mapping[str, float]:
    if result.n_named_pairs == 0:
        warnings.warn(
            "There is no pair of truth and prediction that both have a class: F1 is undefined, and written as 0.",
            stacklevel=4,
        )
    return result.overall_f1


def _save_each(
    where: tuple[str, str, int, int], stem: str, value_of: Callable[[_Result], Mapping[str, float]]
) -> None:
    input_path, output_path, iterations, start_idx = where
    for i in range(start_idx, start_idx + iterations):
        name = f"{input_path}{i}.pkl"
        if not Path(name).exists():
            print(f"File {name} does not exist. Skip...")
            continue
        stat = Path(name).stat()
        result = _score(Path(name).resolve(), stat.st_mtime_ns, stat.st_size)
        _write_json(Path(f"{output_path}{stem}_{i}.json"), value_of(result))


@functools.lru_cache(maxsize=16)
def _score(path: Path, modified_ns: int, size: int) -> _Result:
    """Score a file once for all four functions, and again when it has changed."""
    samples = mmdet.load_samples(path)
    naming = mmdet.naming_of(samples, mmdet.Naming(CLASSES_MMDET, COCO_NAMES))
    truth, detections = mmdet.truth_and_detections(samples, naming)
    aligned = detections.aligned_to(truth)
    pairs = match_pairs(truth, aligned)
    true, predicted = truth.category_ids[pairs.truth_index], aligned.category_ids[pairs.detection_index]
    agree = true == predicted  # never for those without a name: their numbers differ on both sides
    numbers = range(len(naming.names))
    named = (true < len(numbers)) & (predicted < len(numbers))
    labels = paired_labels_f1(true[named], predicted[named], numbers, undefined=0.0)
    return _Result(
        average_giou={"average_giou": float(pairs.giou.mean()) if len(pairs) else 0},
        giou_per_class={
            naming.names[number]: float(pairs.giou[agree & (true == number)].mean())
            for number in np.unique(true[agree]).tolist()
        },
        n_named_pairs=int(named.sum()),
        overall_f1={"Overall_F1_Score": labels.weighted},
        f1_per_class=dict(zip(naming.names, labels.f1.tolist(), strict=True)),
    )


def _write_json(path: Path, value: Mapping[str, float]) -> None:
    """Write a file whole or not at all."""
    if not path.parent.is_dir():
        raise mmdet.FolderNotFoundError(f"`output_path`: there is no folder {path.parent}. Make it first.")
    write_bytes_whole(path, json.dumps(value).encode(), mmdet.DissectMMDetError)
