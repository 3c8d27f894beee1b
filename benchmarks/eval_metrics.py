"""Time the metrics of dissect-eval on a made-up COCO of 5,000 images, beside other programs for the same numbers.

    python benchmarks/eval_metrics.py [--images 5000] [--small] [--only TEXT ...]

Every row runs in a child process of its own. CPU is processor time; ratios are to the first row of a group; memory is
the most that a row needs above its input. All start from data in memory, except Deep Dissect 1.0's way, which reads its
pickle in each pass, and the variants, which read the annotation file. Annotation ids start at 1 and all scores differ,
so that every engine can be right.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _generator import Problem, problem, records, variant

import dissect_eval
from dissect_eval import coco_ap, matched_metrics

REPLICATES = 1000
VARIANTS = 10
PAIRED = ("matched_giou", "matched_f1")

Task = Callable[[], dict[str, float]]


class UnavailableError(Exception):
    """A row cannot run here."""


def ap_numbers(result: Any) -> dict[str, float]:
    return {"AP": result.AP, "AP50": result.AP50, "AR100": result.AR100}


def ap_first(found: Problem) -> Task:
    return lambda: ap_numbers(coco_ap(found.truth, found.detections))


def ap_next(found: Problem) -> Task:
    coco_ap(found.truth, variant(found.detections, 0))
    return ap_first(found)


def ap_pycocotools(found: Problem) -> Task:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content, rows = records(found)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        return _cocoeval(COCOeval(truth, truth.loadRes(rows), "bbox"))


def ap_faster(found: Problem) -> Task:
    try:
        from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]
    except ImportError as exc:
        raise UnavailableError("faster-coco-eval is not installed: `pip install faster-coco-eval`") from exc
    content, rows = records(found)
    truth = COCO(content)
    return _cocoeval(COCOeval_faster(truth, truth.loadRes(rows), "bbox"))


def _cocoeval(run: Any) -> Task:
    def task() -> dict[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            run.evaluate()
            run.accumulate()
        return {}

    def numbers() -> dict[str, float]:
        with contextlib.redirect_stdout(io.StringIO()):
            run.summarize()
        return {"AP": float(run.stats[0]), "AP50": float(run.stats[1]), "AR100": float(run.stats[8])}

    task.numbers = numbers  # type: ignore[attr-defined]
    return task


def matched_one_pass(found: Problem) -> Task:
    def task() -> dict[str, float]:
        result = matched_metrics(found.truth, found.detections).legacy()
        return {"mean GIoU": result.average_giou, "F1": result.overall_f1_score}

    return task


def matched_four_passes(found: Problem) -> Task:
    try:
        import _old_way
    except ImportError as exc:
        raise UnavailableError(
            f"the way of Deep Dissect 1.0 needs {exc.name}, which is not installed"
        ) from exc
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "igt_0.pkl"
    path.write_bytes(pickle.dumps(_old_way.samples(found)))

    def task() -> dict[str, float]:
        with folder:
            giou, _, f1, _ = (one_pass(path) for one_pass in _old_way.PASSES)
        return {"mean GIoU": giou, "F1": f1}

    return task


def variants(count: int) -> Callable[[Problem], Task]:
    def prepare(found: Problem) -> Task:
        evaluate = _of_package("evaluate_variants")
        sets = {f"variant {i}": variant(found.detections, i) for i in range(count)}
        folder = tempfile.TemporaryDirectory()
        annotations = Path(folder.name) / "instances.json"
        annotations.write_text(json.dumps(records(found)[0]), encoding="utf-8")

        def task() -> dict[str, float]:
            with folder:  # from the annotation file, as somebody with a list of detectors would begin
                table = evaluate(dissect_eval.GroundTruth.from_coco(annotations), sets)
            first = {row.metric: row.value for row in table if row.variant == "variant 0"}
            return {"AP": first["AP"], "mean GIoU": first["matched_giou"]}

        return task

    return prepare


def replicates(metrics: tuple[str, ...]) -> Callable[[Problem], Task]:
    def prepare(found: Problem) -> Task:
        bootstrap = _of_package("bootstrap")
        sets = (found.truth, found.detections, variant(found.detections, 0))

        def task() -> dict[str, float]:
            results = bootstrap(*sets, metrics=metrics, n_replicates=REPLICATES, seed=0)
            return {f"Δ {result.metric}": result.estimate for result in results}

        return task

    return prepare


def _of_package(name: str) -> Any:
    if not hasattr(dissect_eval, name):
        raise UnavailableError(f"`dissect_eval.{name}` is not available")
    return getattr(dissect_eval, name)


ROWS: dict[str, Callable[[Problem], Task]] = {
    "COCO AP: `coco_ap`, a new truth": ap_first,
    "COCO AP: `coco_ap`, a truth seen before": ap_next,
    "COCO AP: pycocotools, evaluate + accumulate": ap_pycocotools,
    "COCO AP: faster-coco-eval, evaluate + accumulate": ap_faster,
    "matched: `matched_metrics`, all four in one pass": matched_one_pass,
    "matched: Deep Dissect 1.0's four passes": matched_four_passes,
    "variants: `evaluate_variants`, 1 set": variants(1),
    f"variants: `evaluate_variants`, {VARIANTS} sets": variants(VARIANTS),
    f"bootstrap: matched GIoU and F1, {REPLICATES:,} paired": replicates(PAIRED),
    f"bootstrap: AP, {REPLICATES:,} paired": replicates(("AP",)),
}
AGAIN = {  # what replicates would cost if each evaluated both resampled sets anew
    f"bootstrap: matched GIoU and F1, {REPLICATES:,} paired": "matched: `matched_metrics`, all four in one pass",
    f"bootstrap: AP, {REPLICATES:,} paired": "COCO AP: `coco_ap`, a new truth",
}


def memory(key: str) -> float:
    """Return a figure of this process in MiB, NaN if the system has none: VmRSS is now, VmHWM the most so far."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(key):
                return int(line.split()[1]) / 1024
    return float("nan")


def measure(row: str, n_images: int) -> dict[str, Any]:
    """Prepare and run a row in this process."""
    try:
        task = ROWS[row](problem(n_images))
    except UnavailableError as exc:
        return {"unavailable": str(exc)}
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(
            "5", encoding="utf-8"
        )  # the most so far is what is there now
    before, start, clock = memory("VmRSS"), time.process_time(), time.perf_counter()
    numbers = task()
    seconds, wall = time.process_time() - start, time.perf_counter() - clock
    peak = max(memory("VmHWM") - before, 0.0)
    return {"seconds": seconds, "wall": wall, "peak": peak, "numbers": numbers or task.numbers()}  # type: ignore[attr-defined]


def in_child(row: str, n_images: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", __file__, "--child", row, "--images", str(n_images)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, encoding="utf-8", env=env)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000, help="each with 200 detections")
    parser.add_argument("--small", action="store_true", help="200 images")
    parser.add_argument("--only", nargs="*", help="rows whose name has one of these texts")
    parser.add_argument("--child", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    if options.child:
        print(json.dumps(measure(options.child, options.images)))
        return
    n_images = 200 if options.small else options.images
    found = problem(n_images)
    print(
        f"{n_images:,} images, {found.truth.n_boxes:,} true boxes, {found.detections.n_boxes:,} detections\n"
    )
    del found
    print(
        "| what | CPU s | wall s | CPU ratio | wall ratio | peak MiB | numbers |\n|---|---|---|---|---|---|---|"
    )
    seconds: dict[str, float] = {}
    walls: dict[str, float] = {}
    for row in ROWS:
        if options.only and not any(text in row for text in options.only):
            continue
        result = in_child(row, n_images)
        if "unavailable" in result:
            print(f"| {row} | – | – | – | – | – | {result['unavailable']} |", flush=True)
            continue
        seconds[row], walls[row] = result["seconds"], result["wall"]
        group = row.split(":")[0]
        first = row if group == "bootstrap" else next(name for name in seconds if name.startswith(group))
        numbers = ", ".join(f"{key} {value:.6f}" for key, value in result["numbers"].items())
        ratios = f"{seconds[row] / seconds[first]:.2f} | {walls[row] / walls[first]:.2f}"
        times = f"{seconds[row]:.2f} | {walls[row]:.2f}"
        print(f"| {row} | {times} | {ratios} | {result['peak']:.0f} | {numbers} |", flush=True)
        if AGAIN.get(row) in seconds:
            anew = 2 * REPLICATES * seconds[AGAIN[row]]
            more = f"{anew:.0f} | – | {anew / seconds[row]:.0f} | – | – |"
            print(f"| the same, if each were evaluated: estimate | {more} |")


if __name__ == "__main__":
    main()
