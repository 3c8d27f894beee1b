"""Time the panels on a stored study of COCO's size and on a small one: opening them, and what a click costs.

    python benchmarks/panels.py [--variants 200] [--images 5000] [--small-variants 141] [--small-images 73]
                                [--folder DIR]

The study is made up (20 detections an image, 80 classes, each with its object query) and kept in DIR, if one is given.
Beside each panel stands the time to read all variants' detections first, as a panel without a column for the variant
would have to. Seconds are by the clock, each the median of three; the first opening has a column of its own. Below are
what a click costs in the results once their pictures are drawn, in milliseconds of the process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _generator import problem, records
from matplotlib.image import imsave

from dissect_core import Component
from dissect_core.anatomy import Anatomy
from dissect_core.detectors import ImageDetections
from dissect_core.engine import RunOptions, run
from dissect_core.spec import load_spec
from dissect_core.store import Study
from dissect_eval import GroundTruth
from dissect_eval.study import Settings, StudyTables, measure
from dissect_widgets import ImageBrowser, QueryPanel, ResultsExplorer, Workbench

PER_IMAGE, QUERIES = 20, 100
SIZE = (640, 480)


class Report(NamedTuple):
    """What a variant changed."""

    masked: int = 1
    changed: int = 1


class MadeUp:
    """Detects true boxes, worse ones the more is removed, and some false ones."""

    def __init__(self, truth: GroundTruth, names: Sequence[str]) -> None:
        self.class_names = tuple(names)
        self.anatomy = Anatomy([Component("head.weight", (1000, 10), "float32")])
        self._of = {category: label for label, category in enumerate(sorted(truth.category_names))}
        self._truth, self._noise = truth, 0.02

    def prepare(self, images: Sequence[Path], batch_size: int = 1) -> Iterator[list[int]]:
        """Read nothing: the number of an image is enough."""
        for start in range(0, len(images), batch_size):
            yield [int(path.stem) for path in images[start : start + batch_size]]

    def predict_batch(self, batch: list[int]) -> list[ImageDetections]:
        """Make up detections."""
        return [self._detect(image) for image in batch]

    def _detect(self, image: int) -> ImageDetections:
        rng = np.random.default_rng([image, int(1000 * self._noise)])
        part = slice(*self._truth.image_splits[image : image + 2])
        true, labels = self._truth.boxes[part][:PER_IMAGE], self._truth.category_ids[part][:PER_IMAGE]
        n_false = PER_IMAGE - len(true)
        low = rng.uniform(0, 400, (n_false, 2))
        size = np.tile(true[:, 2:] - true[:, :2], 2)
        boxes = np.vstack([true + rng.normal(0, self._noise, true.shape) * size, np.hstack([low, low + 50])])
        scores = np.concatenate([rng.beta(5, 2, len(true)), rng.beta(2, 6, n_false)])
        of_class = np.concatenate([[self._of[c] for c in labels.tolist()], rng.integers(80, size=n_false)])
        queries = rng.permutation(QUERIES)[:PER_IMAGE]
        return ImageDetections(boxes, scores, of_class.astype(np.int64), queries)

    def ablated(self, variant: Any, *, reference: Any = None) -> AbstractContextManager[Report]:
        """Detect worse, by the dose."""
        self._noise = 0.02 + 0.2 * variant.dose + 0.001 * len(variant.id)
        return nullcontext(Report())


def make(folder: Path, n_variants: int, n_images: int) -> Path:
    """Run and measure the made-up study, unless the folder holds it."""
    if (folder / "study" / "summary.json").is_file():
        return folder / "study"
    truth = problem(n_images).truth
    content, _ = records(problem(n_images))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    paths = [folder / "images" / f"{i:06}.png" for i in range(n_images)]
    for path, entry in zip(paths, content["images"], strict=True):
        imsave(path, np.full((SIZE[1], SIZE[0], 3), 0.5))
        entry["file_name"] = path.name
    (folder / "truth.json").write_text(json.dumps(content))
    truth = GroundTruth.from_coco(folder / "truth.json")
    doses = [0.05, 0.1, 0.3, 0.5, 0.9]
    spec = load_spec(
        {
            "name": "panels",
            "ablations": [
                {
                    "name": "values",
                    "target": {"unit": "element", "components": "head.weight"},
                    "select": {"by": "fraction", "fractions": doses, "repeats": n_variants // len(doses)},
                }
            ],
        }
    )
    names = [truth.category_names[category] for category in sorted(truth.category_names)]
    study = run(
        spec,
        MadeUp(truth, names),
        paths,
        folder / "study",
        RunOptions(batch_size=100),
        truth=truth,
    )
    for name, data in StudyTables.of(measure(study, settings=Settings(n_replicates=0))).files().items():
        (study.path / name).write_bytes(data)
    return study.path


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = action()
    return time.perf_counter() - start, found


def everything(folder: Path) -> int:
    """Read the detections of all variants."""
    study = Study.open(folder)
    return sum(len(study.found(variant).scores) for variant in study.variants)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", type=int, default=200)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--small-variants", type=int, default=141)
    parser.add_argument("--small-images", type=int, default=73)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    sizes = {
        "large": (options.variants, options.images),
        "small": (options.small_variants, options.small_images),
    }
    with nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as root:
        for name, (n_variants, n_images) in sizes.items():
            report(Path(root) / name, n_variants, n_images)


def report(place: Path, n_variants: int, n_images: int) -> None:
    """Print the tables of one study."""
    spent, folder = timed(lambda: make(place, n_variants, n_images))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    print(f"{n_variants} variants, {n_images:,} images: {size:,.0f} MiB, made in {spent:.0f} s")
    whole, n = timed(lambda: everything(folder))
    print(f"reading all {n:,} detections first: {whole:.2f} s\n")
    print(f"{'panel':16} {'first':>7} {'again':>7} {'change':>7} {'of reading all':>15}")
    thresholds = iter(np.linspace(0.2, 0.8, 50))

    def threshold(panel: Any) -> None:
        panel.threshold.value = float(next(thresholds))

    def metric(panel: Any) -> None:
        panel.metric.value = "f1" if panel.metric.value != "f1" else "AP"

    changes = {ResultsExplorer: metric, ImageBrowser: threshold, QueryPanel: threshold, Workbench: None}
    for kind, change in changes.items():
        opened = []
        for _ in range(4):
            spent, panel = timed(lambda kind=kind: kind(folder))  # type: ignore[misc]
            opened.append(spent)
            redrawn = [timed(lambda p=panel, c=change: c(p))[0] for _ in range(3)] if change else []
            panel.close()
        again = statistics.median(opened[1:])
        text = f"{statistics.median(redrawn):7.3f}" if redrawn else f"{'':7}"
        print(f"{kind.__name__:16} {opened[0]:7.2f} {again:7.2f} {text} {again / whole:15.2f}")
    print(
        "\na click in the results: " + ", ".join(f"{what} {ms:.0f} ms" for what, ms in clicks(folder)) + "\n"
    )


def clicks(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield what a click costs in the results, in milliseconds of the process, the median of nine."""
    panel = ResultsExplorer(folder)
    views = panel.model.views
    for view in views:
        panel.view.value = view
    rows = iter(panel.table.rows[i].id for i in panel.model.order())
    turn = iter(range(1000))
    actions: dict[str, Callable[[], Any]] = {
        "view": lambda: setattr(panel.view, "value", views[next(turn) % len(views)]),
        "search": lambda: setattr(panel.search, "value", f"draw {next(turn) % 5 + 1}"),
        "sort": lambda: panel.table.do("sort", ("value", "change")[next(turn) % 2]),
        "choice": lambda: panel.table.choose(next(rows)),
    }
    for what, action in actions.items():
        if what == "choice":
            panel.view.value = "doses"  # in the view of classes a choice draws its detail
        spent = []
        for _ in range(9):
            start = time.process_time()
            action()
            spent.append(1000 * (time.process_time() - start))
        yield what, statistics.median(spent)
    panel.close()


if __name__ == "__main__":
    main()
