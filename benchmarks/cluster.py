"""Time the Ray engine against the local one, and measure what leading a large study costs.

    python benchmarks/cluster.py [--images 80] [--rounds 3] [--engines local,one,two] [--shards 1000,10000,100000]

Starts Ray on this machine, on 127.0.0.1. The study runs a bundled DETR with one thread a worker, with prefix replay, in
shards of four batches of five images; the engines take turns, some rounds long. Its seconds are by the clock from
`run`'s call to its return, on a cluster that is up already: they hold starting workers and opening detectors. Leading
is measured with workers that do nothing.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from dissect_core.engine import Listener, RunOptions, StopRequest, run
from dissect_core.engine._task import Caller
from dissect_core.engine.ray._crew import Crew
from dissect_core.engine.ray._engine import _shards
from dissect_core.engine.ray._tracker import Tracker
from dissect_core.engine.ray._worker import Step, WorkerPlace
from dissect_core.progress import no_bar
from dissect_core.spec import Execution, LocalExecution, RayExecution, load_spec
from dissect_core.store import ImageRef, StudyFolder
from dissect_core.store._holder import Holder

SHARD_IMAGES = 20
ENGINES: dict[str, Execution] = {
    "local": LocalExecution(),
    "one": RayExecution(engine="ray", workers=1),
    "two": RayExecution(engine="ray", workers=2),
}
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


class Times(NamedTuple):
    """Seconds of `run`, and of them those in which passes were run."""

    all: float
    running: float


def study_times(n_images: int, n_rounds: int, names: Sequence[str]) -> None:
    """Print the times of one and two workers beside the local engine's: in turns, since a machine's speed drifts."""
    import ray
    import torch

    from dissect_core.detectors import open_detector
    from dissect_core.spec import DetectorSpec
    from dissect_eval import GroundTruth
    from dissect_mmdet import image_paths
    from dissect_mmdet.demo import write_split

    torch.set_num_threads(1)
    detector = DetectorSpec(adapter="mmdet", options={"checkpoint": "demo:detr"})
    engines = {name: ENGINES[name] for name in names}
    rounds: list[dict[str, Times]] = []
    written: set[tuple[tuple[str, bytes], ...]] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images, annotations = write_split(folder / "data", "test", n_images)
        paths = image_paths(images, GroundTruth.from_coco(annotations).file_names)
        open_detector(detector)  # imports
        start = time.perf_counter()
        start_ray(2)
        print(f"starting Ray took {time.perf_counter() - start:.1f} s", flush=True)
        for number in range(n_rounds):
            rounds.append({})
            for name, execution in engines.items():
                out = folder / f"{name} {number}"
                start = time.perf_counter()
                study = run(
                    load_spec(SPEC),
                    detector,
                    paths,
                    out,
                    RunOptions(batch_size=5, shard_images=SHARD_IMAGES),
                    execution=execution,
                    listener=Listener(bar=no_bar, say=lambda _text: None),
                )
                took = Times(time.perf_counter() - start, study.log()[-1]["seconds"])
                rounds[-1][name] = took
                written.add(tuple(sorted((p.name, p.read_bytes()) for p in out.rglob("*.parquet"))))
                print(f"round {number + 1}: {name}: {took.all:.1f} s, {took.running:.1f} running", flush=True)
        ray.shutdown()
        n_variants = len(study.variants)
    print(
        f"bundled DETR, {n_variants} variants, {n_images} images in shards of {SHARD_IMAGES}, "
        f"a thread a worker; median of {n_rounds} rounds (least to most)"
    )
    print(f"{'engine':8} {'seconds':>24} {'of them running':>24}")
    for name in engines:
        print(
            f"{name:8} {_spread([r[name].all for r in rounds], 1):>24} "
            f"{_spread([r[name].running for r in rounds], 1):>24}"
        )
    for one, other, what in (("one", "local", "time"), ("one", "two", "speed-up")):
        if {one, other} <= set(engines):
            for part in Times._fields:
                ratios = [getattr(r[one], part) / getattr(r[other], part) for r in rounds]
                print(f"{one} worker to {other}, {what}, {part}: {_spread(ratios, 2)}")
    print(f"tables byte-equal: {len(written) == 1}")


def _spread(values: Sequence[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


class Idle:
    """A worker that does nothing, and reports every batch as done."""

    def open(self) -> WorkerPlace:
        """Open nothing."""
        return WorkerPlace("here", os.getpid(), "")

    def join(self, _job: Any) -> WorkerPlace:
        """Join at once."""
        return self.open()

    def shard(self, batches: Sequence[int], _wants_effects: bool) -> Iterator[Step]:
        """Say that each batch is done."""
        for batch in batches:
            yield Step(2, "nothing", batch)

    def stop(self) -> None:
        """Do nothing: there is nothing to stop."""


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
        caller = Caller(Listener(bar=no_bar, say=print), StopRequest(), Holder())
        with no_bar(0, "", "") as shown:
            tracker = Tracker(folder, n_shards, shown, caller, lambda: crew.n_ready)
            crew.on_step, crew.on_end, crew.on_failed = tracker.step, tracker.end, tracker.give_up
            crew.fill()
            done = folder.detections.tidy()
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
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="local,one,two", help="That run the study; empty: none.")
    parser.add_argument("--shards", default="1000,10000,100000", help="Planned, for leading; empty: none.")
    parser.add_argument("--lead", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["OMP_NUM_THREADS"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if options.lead:
        lead(options.lead)
        return
    engines, numbers = (list(filter(None, text.split(","))) for text in (options.engines, options.shards))
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"--engines must be some of {', '.join(ENGINES)}, got {', '.join(sorted(unknown))}")
    if engines:
        study_times(options.images, options.rounds, engines)
    if numbers:
        print(
            f"{'shards':>10} {'seconds':>10} {'ms a shard':>14} {'MiB before':>14} {'MiB more':>14}",
            flush=True,
        )
    for number in numbers:
        subprocess.run([sys.executable, __file__, "--lead", number], check=True)


if __name__ == "__main__":
    main()
