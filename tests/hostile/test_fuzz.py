"""A slice of the fuzzing that `make fuzz` does, with a seed that stays; and that its judge can say no."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import skip_without_mmdet
from hostile.bounded import Ended, call
from hostile.client import TESTS


def test_every_reader_reads_a_damaged_file_rightly_or_refuses_it(tmp_path: Path) -> None:
    skip_without_mmdet()
    pytest.importorskip("pyarrow")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "hostile.fuzz"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "OMP_NUM_THREADS": "1",
            "DISSECT_FUZZ_SEED": "19",
            "DISSECT_FUZZ_CASES": "100",
        },
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def ended(status: int, err: str, **changes: object) -> Ended:
    told = {"cpu_seconds": 0.1, "peak_bytes": 0, "timed_out": False, "attempts": ()} | changes
    return Ended(status=status, out="", err=err, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (ended(1, "internal error: KeyError: 'a'"), "status 1"),
        (ended(-signal.SIGSEGV, ""), "SIGSEGV"),
        (ended(2, ""), "without a line"),
        (ended(2, "error: a\nerror: b\n"), "2 lines"),
        (ended(2, "Traceback (most recent call last):\nerror: a"), "Traceback"),
        (ended(2, f"error: {'a' * 5000}"), "characters"),
        (ended(2, "error: \x1b[2J"), "x1b"),
        (ended(0, "", cpu_seconds=60.0), "took 60 s"),
        (ended(0, "", peak_bytes=2**31), "2048 MB"),
        (ended(0, "", timed_out=True), "not done"),
        (ended(0, "", attempts=("os.system touch",)), "os.system"),
        (ended(0, "/a/b.py:3: UserWarning: do not"), "warning of others"),
    ],
)
def test_what_must_not_be_is_seen(bad: Ended, says: str) -> None:
    assert says in "; ".join(bad.faults())


RULES = "error: s.yaml is not a valid study:\n  a: no such field\n  b: no such field\n"


@pytest.mark.parametrize(
    "good",
    [ended(0, ""), ended(2, "a: 10%|# |\rwarning: odd\nerror: a.pth is empty.\n"), ended(2, RULES)],
)
def test_what_may_be_is_no_fault(good: Ended) -> None:
    assert not good.faults()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_is_watched(tmp_path: Path) -> None:
    """What runs a program, writes elsewhere, computes for too long or takes too much is seen."""
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    inside.mkdir()
    assert "os.system" in str(call(lambda: os.system("true"), inside).attempts)
    assert "open for writing" in str(call(lambda: outside.write_text("x") and 0, inside).attempts)
    assert not call(lambda: Path("a").write_text("x") and 0, inside).attempts
    assert call(lambda: 3, inside).status == 3
    assert call(lambda: sys.exit(2), inside).status == 2
    assert call(lambda: os.kill(os.getpid(), signal.SIGKILL), inside).status == -signal.SIGKILL
    assert "Traceback" in call(lambda: 1 // 0, inside).err
    assert call(lambda: len(bytearray(b"x" * 2**30)) and 0, inside).peak_bytes > 2**29
