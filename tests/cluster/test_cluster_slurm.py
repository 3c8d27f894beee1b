"""The script for Slurm, as it runs out of time: its commands are stood in for, Ray and the study are real."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from commands import skip_without_mmdet
from dissect_core.store import Study

SCRIPT = Path(__file__).parents[2] / "docs" / "cluster" / "slurm.sh"
SPEC = """
name: heads
ablations:
  - name: heads
    target: {unit: head, components: [encoder.self_attn, decoder.self_attn, decoder.cross_attn]}
    select: {by: each}
"""
STANDS_IN = {
    "srun": 'while [[ $1 == --* ]]; do shift; done; exec "$@"',
    "hostname": "echo 127.0.0.1",
    "scontrol": 'if [[ $1 == show ]]; then echo a; else echo "$@" >> "$ASKED"; fi',
    # No GPU here, and a core for each worker.
    "deep-dissect": 'exec "$PYTHON" -c "from deep_dissect.cli import main; main()" "$@" $FEWER',
}


@pytest.fixture
def job(tmp_path: Path, environment: str) -> Iterator[dict[str, str]]:
    """Environment of a job of one node; what it starts ends with the test."""
    del environment
    skip_without_mmdet()
    from dissect_mmdet.demo import demo_files, write_split

    for name, text in STANDS_IN.items():
        place = tmp_path / "bin" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/usr/bin/env bash\n{text}\n")
        place.chmod(place.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "bin" / "activate").write_text("")
    images, annotations = write_split(tmp_path / "data", "test", 24)
    images.rename(images.with_name("train2017"))
    annotations.rename(annotations.with_name("instances_train2017.json"))
    (tmp_path / "study.yaml").write_text(SPEC)
    files = demo_files("detr")
    known = {
        "ASKED": str(tmp_path / "asked.txt"),
        "CHECKPOINT": str(files.checkpoint),
        "CONFIG": str(files.config),
        "DATA": str(tmp_path / "data"),
        "FEWER": "--gpus-per-worker 0 --cpus-per-worker 1 --batch-size 2",  # the last one counts
        "PATH": os.pathsep.join(
            [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
        "PYTHON": sys.executable,
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "a",
        "SLURM_JOB_NUM_NODES": "1",  # Ray refuses a second one on 127.0.0.1
        "VENV": str(tmp_path),
    }
    # Ray leaves in this process's environment how its own cluster is to be reached.
    kept = ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
    yield {n: v for n, v in os.environ.items() if not n.startswith("RAY_") or n in kept} | known
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # gone, or somebody else's
            if process.environ().get("ASKED") == known["ASKED"]:
                process.kill()


def submit(job: dict[str, str], out: Path) -> subprocess.Popen[bytes]:
    with out.with_suffix(".txt").open("a") as printed:
        return subprocess.Popen(
            ["bash", SCRIPT, out.with_name("study.yaml"), out], env=job, stdout=printed, stderr=printed
        )


def test_a_job_that_runs_out_of_time_is_queued_again(job: dict[str, str], tmp_path: Path) -> None:
    out, printed = tmp_path / "out", tmp_path / "out.txt"
    first = submit(job, out)
    while not list(out.glob("detections/*.parquet")):
        if first.poll() is not None and "timed out during startup" in printed.read_text():
            pytest.skip("this machine is too busy for Ray to start within its 30 s")
        assert first.poll() is None, printed.read_text()
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)  # as --signal=B:INT does: to the script alone
    first.wait(timeout=60)
    assert "the same command goes on from there" in printed.read_text()
    assert Path(job["ASKED"]).read_text() == f"requeue {job['SLURM_JOB_ID']}\n"
    done, wanted = Study.open(out).progress()
    assert 0 < done < wanted
