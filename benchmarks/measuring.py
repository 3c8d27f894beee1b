"""Time measuring a stored study: in one process, in several, and by tasks of Ray on this machine.

    python benchmarks/measuring.py [--variants 20] [--images 2000] [--jobs 2] [--replicates 0 1000] [--folder DIR]

The study is made up (20 detections an image, 80 classes; see `panels.py`) and kept in DIR, if one is given. Seconds are
by the clock and have the start of processes, or of Ray, in them; tables are compared byte for byte. Run it with
OMP_NUM_THREADS=1: otherwise one process uses more than one core at times.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from panels import make, timed

from dissect_core.engine.ray import spread_over
from dissect_core.spec import RayExecution
from dissect_core.store import Study
from dissect_eval.study import Settings, StudyTables, here, in_processes, measure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", type=int, default=20)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--replicates", type=int, nargs="*", default=[0, 1000])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    ways = {
        "one process": here,
        f"{options.jobs} processes": in_processes(options.jobs),
        f"Ray, {options.jobs} tasks at a time": spread_over(RayExecution(engine="ray", workers=options.jobs)),
    }
    with nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as root:
        study = Study.open(make(Path(root), options.variants, options.images))
        n = len(study.variants) * len(study.images)
        print(f"{len(study.variants)} variants, {len(study.images):,} images, {os.cpu_count()} cores")
        print("| | resamples | s | ms a variant and image | ratio | tables |")
        print("|---|---|---|---|---|---|")
        for n_replicates in options.replicates:
            settings, first = Settings(n_replicates=n_replicates), None
            for name, spread in ways.items():
                spent, results = timed(partial(measure, study, settings=settings, spread=spread))
                files = StudyTables.of(results).files()
                first = first or (spent, files)
                cells = (
                    name,
                    f"{n_replicates:,}",
                    f"{spent:.1f}",
                    f"{1000 * spent / n:.2f}",
                    f"{first[0] / spent:.2f}",
                    "equal" if files == first[1] else "DIFFERENT",
                )
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
