"""Whatever is lost on the way, a study ends right, or says what it could not do and goes on from there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import awkward
import studies
from dissect_core import ClusterError, ShardsFailedError, StudyLockedError
from dissect_core.engine import PassDone, StopRequest
from dissect_core.store import Study, _lease
from s3_server import BUCKET
from studies import tables


def workers_of(raylet: Any = None) -> list[int]:
    """Processes of the study's workers, on one node or on all."""
    return [
        process.pid
        for process in psutil.process_iter(["name", "cmdline"])
        if any("ray::Worker" in part for part in process.info["cmdline"] or ())
        and (raylet is None or raylet in [parent.pid for parent in process.parents()])
    ]


class After:
    """Does something once a run has got somewhere."""

    def __init__(self, passes: int, act: Callable[[], object]) -> None:
        self.passes, self.act, self.did = passes, act, False

    def __call__(self, passed: PassDone) -> None:
        if passed.done >= self.passes and not self.did:
            self.did = True
            self.act()


def events(study: Study) -> list[str]:
    return [entry["event"] for entry in study.log()]


def test_a_killed_worker_is_replaced(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    on_ray: Callable[..., Any],
) -> None:

    def kill() -> None:
        os.kill(workers_of()[0], signal.SIGKILL)

    watch = After(40, kill)
    study = studies.run_toy(
        images, tmp_path / "out", awkward.SlowToy(), execution=on_ray(workers=2), watch=watch
    )
    assert watch.did
    assert study.is_complete
    assert tables(study) == tables(local)
    assert events(study) == ["started", "attempt failed", "finished"]
    (failed,) = [entry for entry in study.log() if entry["event"] == "attempt failed"]
    assert "died" in failed["error"]


def test_a_lost_node_takes_nothing_with_it(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    nodes: Any,
    add_node: Callable[..., Any],
    on_ray: Callable[..., Any],
) -> None:
    doomed = add_node()
    watch = After(60, lambda: nodes.remove_node(doomed, allow_graceful=False))
    begun = time.monotonic()
    study = studies.run_toy(
        images, tmp_path / "out", awkward.SlowToy(), execution=on_ray(workers=3), watch=watch
    )
    print(f"the node was killed at pass 60 of 180; {time.monotonic() - begun:.1f} s in all")
    for entry in study.log():
        print(entry)
    assert watch.did
    assert study.is_complete
    assert tables(study) == tables(local)
    assert "attempt failed" in events(study)
    print("tables equal to the local engine's, byte for byte:", sorted(tables(study)))


def test_workers_join_and_leave(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    nodes: Any,
    add_node: Callable[..., Any],
    on_ray: Callable[..., Any],
) -> None:
    """The only node with a GPU is preempted; the study waits, and goes on when there is another one."""
    first = add_node(num_cpus=2, num_gpus=1)
    at_work: list[int] = []

    def preempt() -> None:
        at_work.append(len(workers_of()))
        nodes.remove_node(first, allow_graceful=False)
        add_node(num_cpus=2, num_gpus=1)

    study = studies.run_toy(
        images,
        tmp_path / "out",
        awkward.SlowToy(),
        execution=on_ray(workers=2, gpus_per_worker=0.5),
        watch=After(60, preempt),
    )
    assert at_work == [2], "two workers share the GPU"
    assert study.is_complete
    assert tables(study) == tables(local)


def test_a_cluster_that_grows_is_used(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    add_node: Callable[..., Any],
    on_ray: Callable[..., Any],
) -> None:
    most = 0

    def look(passed: PassDone) -> None:
        nonlocal most
        most = max(most, len(workers_of()))

    first = After(15, add_node)
    study = studies.run_toy(
        images,
        tmp_path / "out",
        awkward.SlowToy(0.15),
        execution=on_ray(workers=3),
        watch=lambda passed: (first(passed), look(passed)),
    )
    assert most == 3
    assert tables(study) == tables(local)


@pytest.mark.parametrize("kind", [awkward.ToyDetector, awkward.Deadly])
def test_a_poisoned_image_costs_its_shard_and_no_other(
    images: list[Path],
    tmp_path: Path,
    on_ray: Callable[..., Any],
    kind: type[awkward.ToyDetector],
) -> None:
    """Whether it raises an error or kills its process: three attempts, then the rest goes on."""
    copies = [tmp_path / path.name for path in images]
    for path, copy in zip(images, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    copies[9].write_bytes(b"")
    said: list[str] = []
    with pytest.raises(
        ShardsFailedError, match=r"One shard of 6 failed 3 times.*shard 2 \(images 8 to 11\): "
    ):
        studies.run_toy(copies, tmp_path / "out", kind(), execution=on_ray(workers=2), say=said.append)
    study = Study.open(tmp_path / "out")
    assert study.progress() == (10, 12)
    assert events(study) == ["started", *["attempt failed"] * 3, "shard failed", "stopped"]
    (failure,) = study.failures()
    assert failure["shard"] == 2
    assert failure["images"] == [8, 11]
    assert ("died" if kind is awkward.Deadly else "ValueError") in failure["error"]
    assert any("shard 2 is given up" in text for text in said)
    copies[9].write_bytes(images[9].read_bytes())
    study = studies.run_toy(copies, tmp_path / "out", kind(), execution=on_ray(workers=2))
    assert study.is_complete
    assert study.failures() == []
    whole = studies.run_toy(copies, tmp_path / "local", kind())
    assert tables(study) == tables(whole)


def test_bad_images_that_are_skipped_are_on_record(
    images: list[Path], tmp_path: Path, on_ray: Callable[..., Any]
) -> None:
    bad = [*images[:7], tmp_path / "bad.ppm"]
    bad[7].write_bytes(b"P6 nonsense")
    whole = studies.run_toy(bad, tmp_path / "local", on_bad_image="skip")
    study = studies.run_toy(bad, tmp_path / "ray", on_bad_image="skip", execution=on_ray())
    assert tables(study) == tables(whole)
    assert study.bad_images() == [7]
    assert [e["image"] for e in study.log() if e["event"] == "bad image"] == [7]


def test_images_at_which_the_model_stops_are_named_or_skipped(
    images: list[Path], tmp_path: Path, on_ray: Callable[..., Any]
) -> None:
    some = [*images[:5], tmp_path / "black.ppm"]
    some[5].write_bytes(b"P6 96 64 255\n" + bytes(3 * 64 * 96))
    with pytest.raises(ShardsFailedError, match=r"black.ppm: RuntimeError: no such luck"):
        studies.run_toy(some, tmp_path / "strict", awkward.Fussy(), execution=on_ray())
    whole = studies.run_toy(some, tmp_path / "local", awkward.Fussy(), on_bad_image="skip")
    study = studies.run_toy(some, tmp_path / "ray", awkward.Fussy(), on_bad_image="skip", execution=on_ray())
    assert tables(study) == tables(whole)
    assert study.bad_images() == [5]


def test_memory_that_is_short_on_one_worker_halves_its_batches(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    on_ray: Callable[..., Any],
) -> None:
    study = studies.run_toy(
        images, tmp_path / "out", awkward.Cramped(tmp_path / "mark"), execution=on_ray(workers=2)
    )
    assert tables(study) == tables(local)
    assert "out of memory" in events(study)


def start(images: list[Path], out: str, address: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, awkward.__file__, str(images[0].parent), out, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def wait_for_batches(out: str, least: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if Study.open(out).progress()[0] >= least:
                return
        except Exception:  # there is no study yet
            pass
        time.sleep(0.05)
    raise AssertionError(f"{out} did not get as far as {least} batches")


@pytest.mark.parametrize("kind", ["folder", "object store"])
def test_a_killed_driver_is_followed_by_another(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    nodes: Any,
    on_ray: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    out = str(tmp_path / "out") if kind == "folder" else f"s3://{BUCKET}/cluster/killed"
    child = start(images, out, nodes.address)
    wait_for_batches(out, 3)
    with pytest.raises(StudyLockedError, match=rf"process {child.pid} on "):
        studies.run_toy(images, out, execution=on_ray())
    with pytest.raises(StudyLockedError, match=rf"process {child.pid} on "):
        studies.run_toy(images, out)
    told = Study.open(out).running
    assert told is not None
    assert told["pid"] == child.pid
    child.send_signal(signal.SIGKILL)
    child.communicate()  # and close its pipes
    done, wanted = Study.open(out).progress()
    assert 3 <= done < wanted
    monkeypatch.setattr(_lease, "SECONDS_OF_SILENCE", 8.0)
    study = studies.run_toy(images, out, execution=on_ray())
    assert study.is_complete
    assert tables(study) == tables(local)
    assert {"started", "taken over", "resumed", "finished"} == set(events(study))
    deadline = time.monotonic() + 20
    while workers_of() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not workers_of(), "no worker is left"


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_after_the_batches_at_hand_and_again_at_once(
    images: list[Path], local: Study, tmp_path: Path, nodes: Any, on_ray: Callable[..., Any], times: int
) -> None:
    child = start(images, str(tmp_path / "out"), nodes.address)
    wait_for_batches(str(tmp_path / "out"), 2)
    child.send_signal(signal.SIGINT)
    if times == 2:
        time.sleep(1.3)  # two within a second, the time of a call of Ray's, are one
        child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    study = Study.open(tmp_path / "out")
    done, wanted = study.progress()
    assert 0 < done < wanted
    assert study.held_by is None
    if times == 1:
        assert child.returncode == 0, errors
        assert events(study) == ["started", "stopped"]
    else:
        assert child.returncode != 0
        assert "KeyboardInterrupt" in errors
        assert "SystemError" not in errors
    assert tables(studies.run_toy(images, tmp_path / "out", execution=on_ray())) == tables(local)


def test_a_stop_before_anything_is_begun_ends_at_once(
    images: list[Path], tmp_path: Path, on_ray: Callable[..., Any]
) -> None:
    stop = StopRequest()
    stop.ask()
    study = studies.run_toy(images, tmp_path / "out", execution=on_ray(), stop=stop)
    assert study.progress()[0] == 0


def test_what_no_worker_can_do_is_said(
    images: list[Path], tmp_path: Path, on_ray: Callable[..., Any]
) -> None:
    with pytest.raises(
        ClusterError, match=r"cannot be copied to workers: .*I hold an open file.*DetectorSpec"
    ):
        studies.run_toy(images, tmp_path / "a", awkward.Uncopied(), execution=on_ray())
    assert not (tmp_path / "a").exists()
    said: list[str] = []
    study = studies.run_toy(
        images, tmp_path / "b", awkward.Elsewhere(), execution=on_ray(workers=2), say=said.append
    )
    assert study.is_complete, "by the worker that planned it"
    assert any("differs from the one that planned the study: detector.files was" in text for text in said)
