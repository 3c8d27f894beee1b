"""Time the Ray engine against the local one, and measure what leading a large study costs.

    python benchmarks/cluster.py [--images 120] [--shards 1000,10000,100000] [--skip-study] [--skip-shards]

Starts Ray on this machine, on 127.0.0.1. The study runs a bundled DETR with one thread a worker, with prefix replay, in
shards of four batches of five images; its seconds are by the clock from `run`'s call to its return, on a cluster
that is up already: they hold starting workers and opening detectors. Leading is measured with workers that do nothing.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from dissect_core.cluster._crew import Crew
from dissect_core.cluster._engine import _shards
from dissect_core.cluster._tracker import Tracker
from dissect_core.cluster._worker import Place, Step
from dissect_core.spec import LocalExecution, RayExecution, load_spec
from dissect_core.study import ImageRef, StopRequest, StudyFolder, no_bar, run
from dissect_core.study._caller import Caller
from dissect_core.study._holder import Holder

SPEC = {
    "name": "cluster",
    "ablations": [
        {
            "name": "neurons",
            "target": {"unit": "neuron", "components": "ffn"},
            "select": {"by": "fraction", "fractions": [0.1, 0.3], "repeats": 60},
        }
    ],
}


def start_ray(n_cpus: int) -> None:
    """Start Ray on this machine, quietly."""
    import ray

    ray.init(
        address="local",
        num_cpus=n_cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )


def study_times(n_images: int) -> None:
    """One and two workers against the local engine, in one run."""
    import ray
    import torch

    from dissect_core.detectors import open_detector
    from dissect_core.spec import DetectorSpec
    from dissect_eval import GroundTruth
    from dissect_mmdet import image_paths
    from dissect_mmdet.demo import write_split

    torch.set_num_threads(1)
    detector = DetectorSpec(adapter="mmdet", options={"checkpoint": "demo:detr"})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images, annotations = write_split(folder / "data", "test", n_images)
        paths = image_paths(images, GroundTruth.from_coco(annotations).file_names)
        rows: dict[str, tuple[float, float]] = {}
        open_detector(detector)  # imports
        start = time.perf_counter()
        start_ray(2)
        starting = time.perf_counter() - start
        for name, execution in (
            ("local", LocalExecution()),
            ("one worker", RayExecution(engine="ray", workers=1)),
            ("two workers", RayExecution(engine="ray", workers=2)),
        ):
            start = time.perf_counter()
            study = run(
                load_spec(SPEC),
                detector,
                paths,
                folder / name,
                execution=execution,
                batch_size=5,
                shard_images=20,
                bar=no_bar,
                say=lambda _text: None,
            )
            rows[name] = (time.perf_counter() - start, study.log()[-1]["seconds"])
        same = {
            tuple(sorted((p.name, p.read_bytes()) for p in (folder / name).rglob("*.parquet")))
            for name in rows
        }
        ray.shutdown()
        n_variants = len(study.variants)
    local = rows["local"][0]
    print(
        f"bundled DETR, {n_variants} variants, {n_images} images, {n_images // 20} shards, a thread a worker"
    )
    print(f"{'':12} {'seconds':>8} {'of them running':>16} {'ratio to local':>15}")
    for name, (seconds, running) in rows.items():
        print(f"{name:12} {seconds:8.1f} {running:16.1f} {seconds / local:15.2f}")
    one, two = rows["one worker"], rows["two workers"]
    print(
        f"two workers are {one[1] / two[1]:.2f} times as fast as one while they run, "
        f"{one[0] / two[0]:.2f} with their start"
    )
    print(f"tables byte-equal: {len(same) == 1}; starting Ray took {starting:.1f} s")


class Idle:
    """A worker that does nothing, and says that it has done it."""

    def open(self) -> Place:
        """Be there."""
        return Place("here", os.getpid(), "")

    def join(self, _job: Any) -> Place:
        """Be ready."""
        return self.open()

    def shard(self, batches: Sequence[int], _wants_effects: bool) -> Iterator[Step]:
        """Say that each batch is done."""
        for batch in batches:
            yield Step(2, "nothing", batch)

    def stop(self) -> None:
        """Nothing is to be stopped."""


def lead(n_shards: int, workers: int = 2) -> None:
    """Lead a study of many shards, and print what that costs: called in a process of its own."""
    import ray

    start_ray(workers)
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as temporary:
        spec = load_spec(SPEC)
        refs = [ImageRef(f"{i:012}.jpg", i) for i in range(n_shards)]
        rows = [{"id": "baseline"}, {"id": "nothing"}]
        folder = StudyFolder.create(Path(temporary) / "s", spec, {}, rows, refs, shard_batches=1)
        del refs
        crew = Crew(
            ray, ray.remote(Idle).options(num_cpus=1, max_concurrency=2).remote, lambda: workers, print
        )
        caller = Caller(no_bar, None, print, StopRequest(), Holder())
        with no_bar(0, "", "") as shown:
            tracker = Tracker(folder, n_shards, shown, caller, lambda: crew.n_ready)
            crew.on_step, crew.on_end, crew.on_failed = tracker.step, tracker.end, tracker.give_up
            crew.fill()
            done = folder.tidy()
            before, peak, end = process.memory_info().rss, 0, threading.Event()

            def watch() -> None:
                nonlocal peak
                while not end.wait(0.2):
                    peak = max(peak, process.memory_info().rss)

            watching = threading.Thread(target=watch)
            watching.start()
            first = next(_shards(folder, done))
            start = time.perf_counter()
            crew.run(ray.put(first), _shards(folder, done), lambda: False)
            seconds = time.perf_counter() - start
            end.set()
            watching.join()
        crew.dismiss_all()
    ray.shutdown()
    print(
        f"{n_shards:>10,} {seconds:10.1f} {1000 * seconds / n_shards:14.2f} {before / 2**20:14.0f} "
        f"{(peak - before) / 2**20:14.1f}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=int, default=120)
    parser.add_argument("--shards", default="1000,10000,100000")
    parser.add_argument("--skip-study", action="store_true")
    parser.add_argument("--skip-shards", action="store_true")
    parser.add_argument("--lead", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["OMP_NUM_THREADS"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if options.lead:
        lead(options.lead)
        return
    if not options.skip_study:
        study_times(options.images)
    if not options.skip_shards:
        print(
            f"{'shards':>10} {'seconds':>10} {'ms a shard':>14} {'MiB before':>14} {'MiB more':>14}",
            flush=True,
        )
        for n in map(int, options.shards.split(",")):
            subprocess.run([sys.executable, __file__, "--lead", str(n)], check=True)


if __name__ == "__main__":
    main()
