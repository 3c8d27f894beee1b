"""A run is asked to stop from another process, by its folder, and stops after the batch at hand."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import studies
from dissect_core import StudyError
from dissect_core.store import Study, StudyFolder
from dissect_core.store._holder import Holder
from dissect_core.store._lock import locked
from dissect_core.store._stopping import STOP


def held(folder: Path, seconds: float = 20) -> bool:
    """Whether a request reaches who holds the folder."""
    asked = threading.Event()
    with locked(folder, Holder(on_stop=asked.set)):
        assert not (folder / STOP).exists(), "what was asked of an earlier run does not count"
        Study.open(folder).ask_to_stop()
        return asked.wait(seconds)


def test_a_request_reaches_the_run_once_and_leaves_nothing(tmp_path: Path) -> None:
    folder = studies.run_toy(studies.scenes(tmp_path / "images", 4), tmp_path / "out").path
    with pytest.raises(StudyError, match=r"is not running: there is nothing to stop\.$"):
        Study.open(folder).ask_to_stop()
    (folder / STOP).touch()
    assert held(folder)
    assert not (folder / STOP).exists()
    assert held(folder), "and so does the next one's"


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import studies
from toy_detector import ToyDetector

class Slow(ToyDetector):
    def predict_batch(self, batch):
        time.sleep(0.15)
        return super().predict_batch(batch)

studies.run_toy(sorted(Path({images!r}).glob("*")), {out!r}, Slow())
"""


def test_the_command_stops_a_run_of_another_process(tmp_path: Path) -> None:
    images = studies.scenes(tmp_path / "images", 12)
    code = SLOW.format(
        tests=str(Path(__file__).parents[1]), images=str(images[0].parent), out=str(tmp_path / "out")
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (tmp_path / "out" / "spec.yaml").exists() and Study.open(tmp_path / "out").held_by:
                break
            time.sleep(0.1)
        told = subprocess.run(
            [sys.executable, "-m", "deep_dissect", "stop", str(tmp_path / "out")],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert told.stdout.startswith(f"asked: process {run.pid} on ")
        run.wait(60)
    finally:
        run.kill()
        run.wait()
    study = Study.open(tmp_path / "out")
    done, wanted = study.progress()
    assert 0 <= done < wanted
    assert study.held_by is None
    assert StudyFolder(tmp_path / "out")
