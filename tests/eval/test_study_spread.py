"""Work for each variant, spread over processes: what comes of it, which processes do it, and what may go wrong."""

import os
import signal
import subprocess
import sys
from functools import partial
from operator import itemgetter
from pathlib import Path

import pytest

from dissect_eval.errors import SettingError, StudyDataError
from dissect_eval.study import here, in_processes

EVALUATING = partial(itemgetter(0), [eval])  # what opens work that any process can do
WHERE = "__import__('os').getpid()"


def test_here_it_is_this_process() -> None:
    assert dict(here(EVALUATING, ["1 + 1", WHERE])) == {"1 + 1": 2, WHERE: os.getpid()}
    assert in_processes(1) is here


def test_processes_beside_this_one() -> None:
    works = [f"({i}, {WHERE}, __import__('time').sleep(0.2))" for i in range(6)]
    found = dict(in_processes(2)(EVALUATING, works))
    assert [found[work][0] for work in works] == list(range(6))
    pids = {value[1] for value in found.values()}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_each_computes_on_one_thread() -> None:
    count = "[p['num_threads'] for p in __import__('threadpoolctl').threadpool_info()]"
    work = f"(__import__('numpy').ones((2, 2)) @ __import__('numpy').ones((2, 2)), {count})[1]"
    (counts,) = [value for _, value in in_processes(2)(EVALUATING, [work])]
    assert counts
    assert set(counts) == {1}


def test_errors_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_processes(2)(EVALUATING, ["1", "1 / 0", "2"]))
    with pytest.raises(FileNotFoundError):
        list(in_processes(2)(partial(open, "/no/such/file"), ["1", "2"]))


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(StudyDataError, match="ended early, as it does when memory is full"):
        list(in_processes(2)(partial(os._exit, 9), ["1", "2"]))


def test_a_script_that_starts_itself_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from functools import partial\nfrom operator import itemgetter\nfrom dissect_eval.study import in_processes\n"
        "list(in_processes(2)(partial(itemgetter(0), [eval]), ['1', '2']))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    # Python's tracker of shared resources may have the last word: processes that were cut off left some behind.
    told = [line for line in done.stderr.splitlines() if "StudyDataError: A process that measures" in line]
    assert told
    assert 'below `if __name__ == "__main__":`' in told[-1]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH came with Python 3.11")
def test_nothing_is_imported_from_the_folder_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("multiprocessing", "pickle", "random", "struct", "threadpoolctl", "dissect_eval"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert dict(in_processes(2)(EVALUATING, ["1", "2"])) == {"1": 1, "2": 2}
    assert not (tmp_path / "was-run").exists()
    assert "PYTHONSAFEPATH" not in os.environ


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nobody_works_on_when_this_process_is_to_end(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from functools import partial\nfrom operator import itemgetter\n"
        "from dissect_core.ending import ended_as_by_ctrl_c\n"
        "from dissect_eval.study import in_processes\n"
        "work = \"(print('at work', flush=True), __import__('time').sleep(100))\"\n"
        "if __name__ == '__main__':\n    with ended_as_by_ctrl_c():\n"
        "        list(in_processes(2)(partial(itemgetter(0), [eval]), [work, work]))\n"
    )
    child = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "at work\n"
    child.send_signal(number)  # to it alone, as a scheduler does
    _, errors = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors.splitlines()[-1]


def test_at_least_one() -> None:
    with pytest.raises(SettingError, match="`n` must be at least 1, got 0"):
        in_processes(0)
