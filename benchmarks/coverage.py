"""How often intervals of 95 % hold the true value, of two detectors and of their difference.

    python benchmarks/coverage.py [--populations photographs rare few one] [--samples 300] [--resamples 200]
        [--images 20 40 100]

A population is a set of images, and the true value is the metric over all of them. Samples of so many images are drawn
with replacement; each is evaluated as a data set of its own. Populations: 158 photographs of COCO val2017 with the
detections of DEIMv2-Atto and YOLOX-Nano (`DISSECT_TEST_DATA` names their folder, see CONTRIBUTING.md), and synthetic
ones of 600 images with 80 classes of which most are rare, with ten, and with one.
A minute or more on one core for each population and number of images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "real"))

from populations import Population, coverage, synthetic

METRICS = ("AP", "AP50", "f1", "matched_giou")
PARTS = ("first", "second", "difference")


def of_photographs() -> Population:
    """Return the photographs with what both real detectors find in them."""
    from photographs import FOLDER, photographs

    from dissect_eval import Detections, label_to_category
    from real import open_atto, open_yolox
    from real_data import data_path

    data = photographs(data_path(FOLDER))
    both = []
    for opened in (open_atto(data), open_yolox(data)):
        categories = label_to_category(data.truth, opened.class_names)
        found = opened.predict(data.images, batch_size=8)
        per_image = [(one.boxes, one.scores, one.labels) for one in found]
        both.append(Detections.from_arrays(per_image, data.ids, categories))
    return Population(data.truth, *both)


POPULATIONS: dict[str, Callable[[], Population]] = {
    "photographs": of_photographs,
    "rare": lambda: synthetic(1, 600, 80, 1.0),
    "few": lambda: synthetic(2, 600, 10, 0.7),
    "one": lambda: synthetic(3, 600, 1, 0.0),
}


def main() -> None:
    """Draw samples, and print a table of how many intervals hold the true value, and of the bias of AP."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--populations", nargs="+", choices=list(POPULATIONS), default=list(POPULATIONS))
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--images", type=int, nargs="+", default=[20, 40, 100])
    options = parser.parse_args()
    heads = "".join(f"{metric:>14}" for metric in METRICS)
    print(f"{'population':11} {'images':>6} {'of':10} {'interval':10}{heads}   bias of AP, as told")
    for name in options.populations:
        population = POPULATIONS[name]()
        for n in options.images:
            found = coverage(population, METRICS, n, options.samples, options.resamples, seed=n)
            for method in ("percentile", "t"):
                for of in PARTS:
                    row = {one.metric: one for one in found if (one.of, one.method) == (of, method)}
                    held = "".join(f"{row[metric].held:14.2f}" for metric in METRICS)
                    bias = f"{row['AP'].bias:+.3f}  {row['AP'].bias_told:+.3f}"
                    print(f"{name:11} {n:6} {of:10} {method:10}{held}   {bias}", flush=True)


if __name__ == "__main__":
    main()
