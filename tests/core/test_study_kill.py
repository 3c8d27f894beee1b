"""A study that is killed at any moment loses nothing that was finished, and ends with the same bytes."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import studies
from dissect_core import StudyLockedError
from dissect_core.ending import ended_as_by_ctrl_c
from dissect_core.engine import StopRequest
from dissect_core.engine._stop import stop_on_interrupt
from dissect_core.store import Study, StudyFolder

pytestmark = pytest.mark.slow

N_KILLS = 12


def start(images: Path, out: Path) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, studies.__file__, str(images), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(studies.__file__).parent), *sys.path[1:]]),
        },
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def end(child: "subprocess.Popen[str]", number: int) -> str:
    child.send_signal(number)
    return child.communicate(timeout=30)[1]


def batches_finished(out: Path) -> int:
    return Study.open(out).progress()[0] if out.exists() else 0


def test_kills_leave_the_same_bytes_as_none(tmp_path: Path) -> None:
    images = studies.scenes(tmp_path / "images", 60)
    whole = studies.run_toy(images, tmp_path / "whole")
    assert whole.is_complete
    moments, out, history = random.Random(4), tmp_path / "killed", [0]
    for _ in range(N_KILLS):
        child = start(tmp_path / "images", out)
        # By what it has done, not by the clock: a third fall before its first batch, the others after one or two.
        enough = history[-1] + moments.randrange(3)
        while batches_finished(out) < enough and child.poll() is None:
            time.sleep(0.03)
        time.sleep(moments.uniform(0, 0.1))
        end(child, signal.SIGKILL)
        if not out.exists():
            continue  # killed before the folder was made: nothing is there, not half of it
        study = Study.open(out)
        done, wanted = study.progress()
        assert done >= history[-1]
        history.append(done)
        if done:
            # Whatever is there is right, also while the study is not complete.
            found, expected = study.found("baseline").by_image(), whole.found("baseline").by_image()
            assert len(found) == 2 * done
            assert all((found[i].boxes == expected[i].boxes).all() for i in found)
    assert len(set(history)) > 3, "the kills fell on different moments of the run"
    assert wanted == 30
    resumed = studies.run_toy(images, out)
    assert resumed.is_complete
    assert studies.digests(out) == studies.digests(tmp_path / "whole")
    assert not list(out.rglob("*.tmp")), "what was half-written is cleared away"
    assert "taken over" in (out / "log.jsonl").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_after_the_batch_and_says_how(tmp_path: Path, number: signal.Signals) -> None:
    images = studies.scenes(tmp_path / "images", 22)
    child = start(tmp_path / "images", tmp_path / "out")
    while not list((tmp_path / "out").glob("detections/*.parquet")):
        time.sleep(0.01)
    child.send_signal(number)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0
    assert errors == ""
    assert Study.open(tmp_path / "out").held_by is None
    done, wanted = Study.open(tmp_path / "out").progress()
    assert 0 < done < wanted
    assert '"event": "stopped"' in (tmp_path / "out" / "log.jsonl").read_text()
    studies.run_toy(images, tmp_path / "out")
    studies.run_toy(images, tmp_path / "whole")
    assert studies.digests(tmp_path / "out") == studies.digests(tmp_path / "whole")


def test_a_second_sigterm_ends_at_once_and_what_is_ignored_stays_so(tmp_path: Path) -> None:
    request, said = StopRequest(), []
    with ended_as_by_ctrl_c(), stop_on_interrupt(request, said.append):
        signal.raise_signal(signal.SIGTERM)
        assert (request.asked, len(said)) == (True, 1)
        signal.raise_signal(signal.SIGHUP)  # of a terminal that goes away, shell and system tell
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        request = StopRequest()
        with ended_as_by_ctrl_c(), stop_on_interrupt(request, said.append):
            signal.raise_signal(signal.SIGHUP)
        assert not request.asked
    finally:
        signal.signal(signal.SIGHUP, before)
    request = StopRequest()
    with ended_as_by_ctrl_c(), stop_on_interrupt(request, _nobody_reads):
        signal.raise_signal(signal.SIGHUP)
    assert request.asked


def _nobody_reads(_text: str) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_second_run_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    images = studies.scenes(tmp_path / "images", 22)
    child = start(tmp_path / "images", tmp_path / "out")
    while not (tmp_path / "out" / "run.json").exists():
        time.sleep(0.01)
    with pytest.raises(StudyLockedError, match=rf"process {child.pid} on "):
        studies.run_toy(images, tmp_path / "out")
    assert Study.open(tmp_path / "out").held_by is not None
    end(child, signal.SIGKILL)
    # A lock goes with its process, and what the dead one has written of itself does not count.
    assert Study.open(tmp_path / "out").held_by is None
    assert studies.run_toy(images, tmp_path / "out").is_complete


def test_of_two_that_race_for_a_folder_one_gets_it(tmp_path: Path) -> None:
    study = studies.run_toy(studies.scenes(tmp_path / "images", 2), tmp_path / "out")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom dissect_core.store import StudyFolder\n"
        "from dissect_core import StudyLockedError\nfolder = StudyFolder(Path(sys.argv[1]))\nsys.stdin.readline()\n"
        "try:\n    with folder.locked():\n        time.sleep(0.5)\n        print('mine')\n"
        "except StudyLockedError:\n    print('refused')\n"
    )
    for _ in range(3):
        pair = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(study.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for child in pair:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        assert sorted(child.communicate(timeout=30)[0].strip() for child in pair) == ["mine", "refused"]
    with StudyFolder(study.path).locked():
        pass
