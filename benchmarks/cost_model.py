"""Forecast COCO train × 1,000 variants on 64 workers from measured stage times, and check the forecast.

    python benchmarks/cost_model.py [--images 40] [--full-images 4]

Stage times come from the log of a run of each detector on one CPU core. The forecast is held against real runs of the
bundled detector on a Ray cluster of this machine, and against a simulation of every shard. For GPUs the measured share
of a pass that a variant takes is kept, and the pass itself is set to what is published for the detector.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from study import Case

from cluster import start_ray
from cluster_simulation import simulated
from dissect_core.detectors import ImageDetections
from dissect_core.engine import Listener, PassDone, RunOptions, run
from dissect_core.engine.ray import Cluster, Costs, Workload, forecast
from dissect_core.progress import no_bar
from dissect_core.spec import DetectorSpec, RayExecution
from dissect_core.store import Row, Study
from dissect_core.store._rows import rows_to_table
from dissect_core.store._shards import write_shard

SHARD_SECONDS = 0.0033
"""Seconds that a shard costs the leader and Ray, from `benchmarks/cluster.py`."""
PUBLISHED = {"DETR": 28.0}
"""Images a second on one V100 (Carion et al. 2020, arXiv:2005.12872, table 1)."""
COCO = Workload(images=118_000, variants=1000)


def measured(study: Study, case: Case) -> tuple[Costs, float]:
    """Return stage times an image of a run in this process, and detections of a variant in an image."""
    stages = study.log()[-1]["stages"]
    n_images, n_variants = len(study.images), len(study.variants)
    counts = study.table(columns=["scores"]).column("scores")
    detections = sum(len(row) for row in counts.to_pylist())
    size = sum(path.stat().st_size for path in (study.path / "detections").iterdir())
    costs = Costs(
        load=loading(case),
        baseline=plain_pass(case),  # the first batch of `baseline` is also traced
        variant=(stages["variants"] + stages.get("effects", 0.0)) / n_images / n_variants,
        write=writing(),
        shard=SHARD_SECONDS,
        start=0.0,
        plan=0.0,
        detection_bytes=size / detections,
    )
    return costs, detections / n_images / n_variants


def loading(case: Case) -> float:
    """Return the seconds to read and prepare an image, by one thread."""
    start = time.perf_counter()
    for _ in case.detector.prepare(case.paths, 1):
        pass
    return (time.perf_counter() - start) / len(case.paths)


def plain_pass(case: Case) -> float:
    """Return the seconds of a pass for one image, without replay's records."""
    batch = next(case.detector.prepare(case.paths[: case.batch_size], case.batch_size))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        case.detector.predict_batch(batch)
        times.append(time.perf_counter() - start)
    return min(times) / min(case.batch_size, len(case.paths))


def writing(n_variants: int = 1000, n_images: int = 4, n_boxes: int = 100) -> float:
    """Return the seconds to write a detection to a file, with a batch of many variants as a part of its shard."""
    rng = np.random.default_rng(0)
    rows = [
        Row(
            variant,
            image,
            "ok",
            1,
            1,
            ImageDetections(
                rng.uniform(0, 800, (n_boxes, 4)).astype(np.float32).astype(np.float64),
                np.sort(rng.random(n_boxes).astype(np.float32).astype(np.float64))[::-1],
                rng.integers(0, 80, n_boxes),
            ),
        )
        for variant in range(n_variants)
        for image in range(n_images)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        start = time.perf_counter()
        write_shard(Path(temporary) / "part.parquet", rows_to_table(rows), "print")
        return (time.perf_counter() - start) / (n_variants * n_images * n_boxes)


def note_time(times: list[float], _passed: PassDone) -> None:
    """Add the time of a pass."""
    times.append(time.perf_counter())


def check_on_real_runs(case: Case, costs: Costs, detections: float, folder: Path) -> None:
    """Print forecasts beside real runs with one and two workers on this machine."""
    import ray

    start_ray(2)
    given = DetectorSpec(adapter="mmdet", options={"config": case.config, "checkpoint": case.checkpoint})
    print("\nbundled DETR on this machine: seconds from the first shard on\n")
    print(f"{'workers':>8} {'forecast':>9} {'run':>7}")
    for workers in (1, 2):
        begun: list[float] = []
        study = run(
            case.spec,
            given,
            case.paths,
            folder / f"on{workers}",
            RunOptions(batch_size=5, shard_images=5),
            execution=RayExecution(engine="ray", workers=workers),
            listener=Listener(bar=no_bar, watch=partial(note_time, begun), say=lambda _text: None),
        )
        work = Workload(len(case.paths), len(study.variants), 5, 5, detections=detections)
        told = forecast(work, costs, Cluster(workers)).hours * 3600
        print(f"{workers:>8} {told:9.1f} {begun[-1] - begun[0]:7.1f}", flush=True)
    ray.shutdown()


def table(name: str, costs: Costs, detections: float) -> None:
    """Print the forecast for COCO train and a thousand variants."""
    work = COCO._replace(detections=detections)
    print(f"\n{name}: {work.images:,} images × {work.variants:,} variants, shards of {work.shard_images}\n")
    print(
        "| workers | lost an hour | hours | simulated | busy | storage | read | written | shards a second |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for cluster in (Cluster(8), Cluster(64), Cluster(64, 0.05, 120.0), Cluster(64, 0.5, 300.0), Cluster(512)):
        told = forecast(work, costs, cluster)
        print(
            f"| {cluster.workers} | {cluster.failures:.0%} | {told.hours:.1f} | "
            f"{simulated(work, costs, cluster):.1f} | {told.busy:.1%} | {told.storage_gib:,.0f} GiB | "
            f"{told.read_gib:,.0f} GiB, {told.read_mib_s:.0f} MiB/s | "
            f"{told.written_gib:,.0f} GiB, {told.written_mib_s:.0f} MiB/s | {told.dispatches:.2f} |"
        )


def main() -> None:
    """Print what was measured, and the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--full-images", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "small").mkdir()
        small = Case("detr", folder / "small", options.images, 1, "cpu")
        small.batch_size = 5
        study = small.run(folder / "local")
        costs, detections = measured(study, small)
        print("bundled DETR:", costs)
        check_on_real_runs(small, costs, detections, folder)
        (folder / "full").mkdir()
        full = Case("DETR", folder / "full", options.full_images, 1, "cpu")
        study = full.run(folder / "local-full")
        costs, detections = measured(study, full)
    costs = costs._replace(start=30.0, plan=60.0)
    share = costs.variant / costs.baseline
    print(
        f"\nDETR R-50, 800 × 1066: {costs}\na variant takes {share:.3f} of a baseline's pass, {detections:.0f} boxes"
    )
    table("DETR R-50 on CPU cores, all times measured", costs, detections)
    each = 1 / PUBLISHED["DETR"]
    on_gpu = costs._replace(baseline=each, variant=share * each)
    table(f"DETR R-50 on GPUs that run {PUBLISHED['DETR']:g} images a second", on_gpu, detections)


if __name__ == "__main__":
    main()
