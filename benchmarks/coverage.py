"""How often intervals of 95 % hold the true value, with real detectors on real photographs.

    python benchmarks/coverage.py [--samples 300] [--resamples 200] [--images 20 40 100]

The population are the 158 photographs of COCO val2017 that `DISSECT_TEST_DATA` holds, see CONTRIBUTING.md; the true
value is the metric over all of them. Samples of so many images are drawn with replacement, and intervals made of each:
of DEIMv2-Atto, of YOLOX-Nano, and of their difference. About five minutes on one core for each number of images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "real"))

import numpy as np
from numpy.typing import NDArray
from photographs import FOLDER, photographs

from dissect_eval import Detections, GroundTruth, label_to_category
from dissect_eval.statistics._intervals import percentile_intervals, t_intervals
from dissect_eval.statistics._metrics import MetricSettings, Statistic
from dissect_eval.statistics._resampled import measured_on
from dissect_eval.statistics._statistics import statistics_of
from real import open_atto, open_yolox
from real_data import data_path

METRICS = ("AP", "AP50", "f1", "matched_giou")
CONFIDENCE = 0.95
Floats = NDArray[np.float64]


class Weights(NamedTuple):
    """Weights of the population's images: of a sample, of resamples of it, and of halves of it."""

    sample: Floats
    resamples: Floats
    halves: Floats


def drawn(n_population: int, n: int, n_resamples: int, rng: np.random.Generator) -> Weights:
    """Draw a sample of n images with replacement, and from it resamples and halves."""
    images = rng.integers(0, n_population, n)

    def counted(picked: NDArray[np.int64]) -> Floats:
        weights = np.zeros((n_population, len(picked)))
        np.add.at(weights, (images[picked], np.arange(len(picked))[:, None]), 1.0)
        return weights

    halves = np.argsort(rng.random((n_resamples, n)), axis=1)[:, : n // 2]
    return Weights(
        counted(np.arange(n)[None]), counted(rng.integers(0, n, (n_resamples, n))), counted(halves)
    )


def values(statistics: Sequence[Statistic], weights: Floats) -> Floats:
    """Return the metrics, shape (K, R), for image weights of shape (I, R)."""
    found = measured_on(statistics, [weights])
    return np.stack([found[metric, None] for metric in METRICS])


def intervals(
    estimate: Floats, resamples: Floats, halves: Floats, n: int
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield name, lower and upper ends of each kind of interval."""
    yield ("quantiles", *percentile_intervals(estimate, resamples, CONFIDENCE))
    errors = np.nanstd(resamples, axis=1, ddof=1)
    low, high, _ = t_intervals(estimate, errors, halves, n, CONFIDENCE)
    yield "t", low, high


def main() -> None:
    """Run the detectors, draw samples, and print how many intervals hold the true value."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--images", type=int, nargs="+", default=[20, 40, 100])
    options = parser.parse_args()
    data = photographs(data_path(FOLDER))
    truth: GroundTruth = data.truth
    matched = []
    for opened in (open_atto(data), open_yolox(data)):
        categories = label_to_category(truth, opened.class_names)
        found = opened.predict(data.images, batch_size=8)
        boxes = Detections.from_arrays(
            [(one.boxes, one.scores, one.labels) for one in found], data.ids, categories
        )
        matched.append(statistics_of(truth, boxes, MetricSettings(METRICS)))
    whole = [values(statistics, np.ones((truth.n_images, 1)))[:, 0] for statistics in matched]
    true = {"DEIMv2-Atto": whole[0], "YOLOX-Nano": whole[1], "difference": whole[1] - whole[0]}
    print(f"{'images':>6} {'of':12} {'interval':10}" + "".join(f"{metric:>14}" for metric in METRICS))
    for n in options.images:
        rng = np.random.default_rng(n)
        held: dict[tuple[str, str], list[NDArray[np.bool_]]] = {}
        for _ in range(options.samples):
            weights = drawn(truth.n_images, n, options.resamples, rng)
            parts = [[values(statistics, one) for one in weights] for statistics in matched]
            parts.append([two - one for one, two in zip(*parts, strict=True)])
            for (name, value), (sample, resamples, halves) in zip(true.items(), parts, strict=True):
                for kind, low, high in intervals(sample[:, 0], resamples, halves, n):
                    held.setdefault((name, kind), []).append((low <= value) & (value <= high))
        for (name, kind), hits in held.items():
            shares = np.mean(hits, axis=0)
            print(f"{n:6} {name:12} {kind:10}" + "".join(f"{share:14.2f}" for share in shares), flush=True)


if __name__ == "__main__":
    main()
