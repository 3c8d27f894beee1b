"""What is wrong with a cluster, or with the way it is asked for, is said in a line."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import studies
from dissect_core import ClusterError, StudyChangedError, StudyError
from dissect_core.engine import RunOptions
from dissect_core.engine._fingerprint import run_facts
from dissect_core.engine._task import Task
from dissect_core.engine.ray._worker import Job, Worker
from dissect_core.errors import ArgumentError
from dissect_core.plan import plan
from dissect_core.spec import DetectorSpec, RayExecution
from dissect_core.store import Study
from dissect_core.store._folder import StudyFolder
from toy_detector import ToyDetector


@pytest.fixture
def alone(nodes: Any) -> Iterator[None]:
    """This process outside of any cluster."""
    import ray

    ray.shutdown()
    yield
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")


def test_a_process_outside_of_the_cluster_joins_it_for_the_length_of_a_run(
    images: list[Path], local: Study, tmp_path: Path, alone: None, on_ray: Callable[..., Any]
) -> None:
    import ray

    study = studies.run_toy(images, tmp_path / "out", execution=on_ray())
    assert study.is_complete
    assert not ray.is_initialized()


def test_no_cluster_at_an_address(
    images: list[Path], tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ClusterError, match=r"`execution.address` \(`--address`\) '127.0.0.1:9' is no Ray cluster"
    ):
        studies.run_toy(images, tmp_path / "out", execution=RayExecution(engine="ray", address="127.0.0.1:9"))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")  # as a killed one leaves it
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(ClusterError, match=r"'auto' is no Ray cluster .*: 127.0.0.1:9: .*refused"):
        studies.run_toy(images, tmp_path / "out", execution=RayExecution(engine="ray", address="auto"))
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ClusterError, match=r"RAY_ADDRESS must be .* Ray's client cannot stream progress"):
        studies.run_toy(images, tmp_path / "out", execution=RayExecution(engine="ray"))
    assert not (tmp_path / "out").exists()


def test_arguments_are_checked_before_a_cluster_is_asked(images: list[Path], tmp_path: Path) -> None:
    nowhere = RayExecution(engine="ray", address="127.0.0.1:9")
    with pytest.raises(StudyError, match="`verify` must be a share"):
        studies.run_toy(images, tmp_path / "out", execution=nowhere, verify=2.0)
    with pytest.raises(ArgumentError, match="`precision` must be one of"):
        studies.run_toy(images, tmp_path / "out", execution=nowhere, precision="half")


def test_an_error_of_the_plan_comes_from_the_worker_as_it_is(
    images: list[Path], tmp_path: Path, on_ray: Callable[..., Any]
) -> None:
    with pytest.raises(StudyError, match="`precision` 'bf16' needs a torch model"):
        studies.run_toy(images, tmp_path / "out", execution=on_ray(), precision="bf16")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def job(images: list[Path], tmp_path: Path) -> Job:
    study = studies.run_toy(images[:4], tmp_path / "out")
    detector = ToyDetector()
    task = Task(studies.toy_spec(), images[:4], study.path, RunOptions(batch_size=2, shard_images=4))
    fingerprint = StudyFolder(study.path).fingerprint
    return Job(task, plan(task.spec, detector.anatomy), run_facts(task, detector), fingerprint, threads=1)


def test_a_node_that_does_not_see_the_folder(job: Job, tmp_path: Path) -> None:
    worker = Worker([ToyDetector()], 1)
    hidden = replace(job, task=replace(job.task, out=tmp_path / "nowhere"))
    with pytest.raises(StudyError, match=r"node .* does not see the study .*nowhere.*s3://bucket/study"):
        worker.join(hidden)
    with pytest.raises(StudyError, match="sees another study at"):
        worker.join(replace(job, fingerprint="0"))
    assert worker.join(job).pid > 0


def test_a_worker_opens_its_detector_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def opening(spec: DetectorSpec) -> ToyDetector:
        opened.append(spec)
        return ToyDetector()

    monkeypatch.setattr("dissect_core.engine.ray._worker.open_detector", opening)
    worker = Worker([DetectorSpec(adapter="toy")], 1)
    worker.open()
    worker.describe(job.task, None)
    worker.join(job)
    assert [step.batch for step in worker.shard([0, 1], False) if step.batch is not None] == [0, 1]
    worker.join(job)
    assert len(opened) == 1


def test_a_node_with_other_packages(job: Job) -> None:
    other = {**job.facts, "versions": {**job.facts["versions"], "numpy": "1.0"}}
    with pytest.raises(StudyChangedError, match=r'planned the study: versions.numpy was "1.0", is now'):
        Worker([ToyDetector()], 1).join(replace(job, facts=other))


def test_without_ray_the_remedy_is_said_and_nothing_loads_it() -> None:
    code = (
        "import sys\nimport dissect_core.engine\nfrom dissect_core.spec import DetectorSpec, RayExecution\n"
        "print('ray' in sys.modules)\nsys.modules['ray'] = None\n"
        "from dissect_core.engine.ray._connect import connected\n"
        "try:\n    with connected(RayExecution(engine='ray')):\n        pass\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False\n`engine: ray` needs Ray, which is not installed.")
    assert 'pip install "dissect-core[ray]"' in done.stdout
