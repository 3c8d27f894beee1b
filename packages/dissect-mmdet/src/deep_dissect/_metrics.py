"""The four result files of Deep Dissect 1.0, from `dissect_eval`'s ``matched`` mode."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from dissect_core.files import write_whole
from dissect_eval import MatchedMetrics, matched_metrics
from dissect_mmdet._pickles import load_samples
from dissect_mmdet._samples import Naming, naming_of, truth_and_detections
from dissect_mmdet.errors import DissectMMDetError

from ._constants import CLASSES_DETR, CLASSES_MMDET

COCO = Naming(tuple(CLASSES_MMDET), {i: name for i, name in enumerate(CLASSES_DETR) if name != "N/A"})


class _Result(NamedTuple):
    """Metrics of one file of samples, and the names of their categories by number."""

    metrics: MatchedMetrics
    names: tuple[str, ...]


def calculate_average_giou_overall_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """Mean GIoU over all pairs of ground truth and prediction.

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
        How many files, from `start_idx` on. A missing one is said and skipped.
    start_idx : int
        The first i.

    Raises
    ------
    PickleRefusedError
        If a file holds anything but samples. It is read without running code.
    AnnotationError, dissect_eval.DetectionError
        If labels and names do not belong together.

    Notes
    -----
    Writes ``{output_path}bbox_regression_gt_pred_average_giou_overall_result_{i}.json``:
    ``{"average_giou": mean}``, dimensionless, in [-1, 1]; 0 if there is no pair.
    """
    _save_each(
        (input_path, output_path, iterations, start_idx),
        "bbox_regression_gt_pred_average_giou_overall_result",
        lambda result: {"average_giou": result.metrics.legacy().average_giou},
    )


def calculate_average_giou_per_class_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """Mean GIoU per class, over the pairs whose predicted class is the true one.

    Pairs, parameters and errors are those of `calculate_average_giou_overall_and_save_results`.

    Notes
    -----
    Writes ``{output_path}bbox_regression_gt_pred_average_giou_per_class_result_{i}.json``: mean by class
    name. Classes without such a pair are left out.
    """

    def per_class(result: _Result) -> dict[str, float]:
        return {result.names[number]: mean for number, mean in result.metrics.giou_per_class.items()}

    _save_each(
        (input_path, output_path, iterations, start_idx),
        "bbox_regression_gt_pred_average_giou_per_class_result",
        per_class,
    )


def calculate_average_f1_score_overall_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """F1 of the pairs' labels, averaged over classes weighted by true count.

    Pairs, parameters and errors are those of `calculate_average_giou_overall_and_save_results`.

    Notes
    -----
    Writes ``{output_path}f1_score_classification_overall_result_{i}.json``: ``{"Overall_F1_Score": f1}``, in
    [0, 1]; 0 if there is no pair.
    """
    _save_each(
        (input_path, output_path, iterations, start_idx),
        "f1_score_classification_overall_result",
        lambda result: {"Overall_F1_Score": result.metrics.legacy().overall_f1_score},
    )


def calculate_average_f1_score_per_class_and_save_results(
    input_path: str, output_path: str, iterations: int, start_idx: int = 0
) -> None:
    """One-vs-rest F1 of each class over the pairs' labels.

    Pairs, parameters and errors are those of `calculate_average_giou_overall_and_save_results`.

    Notes
    -----
    Writes ``{output_path}f1_score_classification_per_class_result_{i}.json``: F1 by class name, for all
    classes; 0 where it is undefined because no pair has the class.
    """

    def per_class(result: _Result) -> dict[str, float]:
        scores = result.metrics.f1_per_class
        return {name: scores.get(number, 0.0) for number, name in enumerate(result.names)}

    _save_each(
        (input_path, output_path, iterations, start_idx),
        "f1_score_classification_per_class_result",
        per_class,
    )


def _save_each(
    where: tuple[str, str, int, int], stem: str, value_of: Callable[[_Result], Mapping[str, float]]
) -> None:
    input_path, output_path, iterations, start_idx = where
    for i in range(start_idx, start_idx + iterations):
        print(f"Processing iteration: {i + 1}/{iterations}")
        path = Path(f"{input_path}{i}.pkl")
        if not path.is_file():
            print(f"File not found: {input_path}{i}.pkl")
            continue
        stat = path.stat()
        result = _score(path.resolve(), stat.st_mtime_ns, stat.st_size)
        _write_json(Path(f"{output_path}{stem}_{i}.json"), value_of(result))


@functools.lru_cache(maxsize=16)
def _score(path: Path, modified_ns: int, size: int) -> _Result:
    """Score a file once for all four functions; a file that has changed is another one."""
    samples = load_samples(path)
    naming = naming_of(samples, COCO)
    return _Result(matched_metrics(*truth_and_detections(samples, naming)), naming.names)


def _write_json(path: Path, value: Mapping[str, float]) -> None:
    """Write a file whole or not at all."""
    write_whole(path, lambda file: file.write(json.dumps(value, indent=4).encode()), DissectMMDetError)
