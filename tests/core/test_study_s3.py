"""Studies in an object store: the same tables as in a folder, one run at a time, and nothing half-written."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("s3fs")

import studies
from dissect_core import StudyChangedError, StudyError, StudyLockedError
from dissect_core.detectors import ImageDetections
from dissect_core.storage.locations import create, location_of
from dissect_core.store import Study, StudyFolder, _lease
from s3_server import BUCKET, s3_server
from studies import tables
from toy_detector import ToyDetector


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as endpoint:
        yield endpoint


@pytest.fixture
def place(store: str, request: pytest.FixtureRequest) -> str:
    return f"s3://{BUCKET}/{request.node.name}"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lease, "SECONDS_BETWEEN_BEATS", 0.1)
    monkeypatch.setattr(_lease, "SECONDS_OF_SILENCE", 1.0)
    monkeypatch.setattr(_lease, "SECONDS_BETWEEN_LOOKS", 0.05)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return studies.scenes(tmp_path_factory.mktemp("study") / "images", 9)


@pytest.fixture(scope="module")
def local(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Study:
    return studies.run_toy(images, tmp_path_factory.mktemp("local") / "out")


def test_the_tables_are_those_of_a_folder(images: list[Path], local: Study, place: str) -> None:
    study = studies.run_toy(images, place)
    assert study.is_complete
    assert tables(study) == tables(local)
    again = Study.open(place)
    assert again.spec == local.spec
    assert again.variants == local.variants
    assert again.held_by is None
    for variant in again.variants:
        one, other = again.found(variant), local.found(variant)
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True) if a is not None)
    assert [entry["event"] for entry in again.log()] == ["started", "finished"]
    assert again.table().equals(local.table())


def test_one_that_was_stopped_goes_on(images: list[Path], local: Study, place: str) -> None:
    class Fails(ToyDetector):
        calls = 0

        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            self.calls += 1
            # Four passes see whether it is deterministic: two before the study, two on its first batch.
            if self.calls > 4 + 3 * len(local.variants):
                raise ValueError("enough")
            return super().predict_batch(batch)

    with pytest.raises(ValueError, match="enough"):
        studies.run_toy(images, place, Fails())
    assert Study.open(place).progress() == (3, 5)
    names = {path.name for path in (location_of(place) / "detections").iterdir()}
    assert names == {"shard-00000.parquet", "part-00001-00002.parquet"}
    assert len(Study.open(place).found("baseline").by_image()) == 6
    study = studies.run_toy(images, place)
    assert tables(study) == tables(local)
    assert [entry["event"] for entry in study.log()] == ["started", "resumed", "finished"]


def test_another_study_is_refused_and_leaves_all_as_it_was(
    images: list[Path], local: Study, place: str
) -> None:
    study = studies.run_toy(images, place)
    before = tables(study)
    with pytest.raises(StudyChangedError, match=r"spec\.seed was 3, is now 4"):
        studies.run_toy(images, place, spec=studies.toy_spec(seed=4))
    assert tables(study) == before


def test_other_files_are_not_touched(images: list[Path], place: str) -> None:
    (location_of(place) / "thesis.tex").write_bytes(b"mine")
    with pytest.raises(StudyError, match=r"holds thesis\.tex and is no study"):
        studies.run_toy(images, place)
    assert [path.name for path in location_of(place).iterdir()] == ["thesis.tex"]


def test_a_folder_that_was_begun_and_not_finished_is_made_whole(
    images: list[Path], local: Study, place: str
) -> None:
    """A kill while the files of a new study are written: the one that marks it as a study comes last."""
    (location_of(place) / "spec.yaml").write_bytes(b"torn")
    study = studies.run_toy(images, place)
    assert study.spec == local.spec
    assert tables(study) == tables(local)


def test_a_damaged_object_is_made_again(images: list[Path], local: Study, place: str) -> None:
    study = studies.run_toy(images, place)
    shard = study.path / "detections" / "shard-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(StudyError, match=r"shard-00001\.parquet is damaged"):
        study.found("baseline")
    study = studies.run_toy(images, place, repair=True)
    assert tables(study) == tables(local)
    assert "damaged" in [entry["event"] for entry in study.log()]


def test_a_second_run_is_refused_by_the_name_of_the_first(
    images: list[Path], place: str, quick: None
) -> None:
    folder = StudyFolder(studies.run_toy(images, place).path)
    with folder.locked():
        assert Study.open(place).held_by is not None
        with pytest.raises(StudyLockedError, match=r"is being run by process \d+ on .*Wait until it ends"):
            studies.run_toy(images, place)
    assert Study.open(place).held_by is None
    studies.run_toy(images, place)


def test_the_lease_of_a_killed_run_is_taken_over_once_it_is_silent(
    images: list[Path], place: str, quick: None
) -> None:
    study = studies.run_toy(images, place)
    code = (
        "import sys, time\nfrom dissect_core.store import StudyFolder\nfrom dissect_core.store import _lease\n"
        "_lease.SECONDS_BETWEEN_BEATS = 0.1\n"
        "with StudyFolder(sys.argv[1]).locked():\n    print('mine', flush=True)\n    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, place], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "mine\n"
    with pytest.raises(StudyLockedError, match=f"process {child.pid} on "):
        studies.run_toy(images, place)
    child.kill()
    child.communicate()
    said: list[str] = []
    assert studies.run_toy(images, place, say=said.append).is_complete
    assert any("waiting 1 s to see whether process" in text for text in said)
    taken = [entry for entry in study.log() if entry["event"] == "taken over"]
    assert [entry["pid"] for entry in taken] == [child.pid]
    assert len([p for p in study.path.iterdir() if p.suffix == ".lock"]) == 1, "older leases are cleared away"


def test_a_run_that_was_taken_for_dead_stops(images: list[Path], place: str, quick: None) -> None:
    """It was not heard of for too long; when it comes back, another one is at work."""

    class Slow(ToyDetector):
        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            newest = _lease.newest(location_of(place))
            if newest is not None and newest[0] < 90:
                create(
                    location_of(place) / _lease.NAME.format(90),
                    json.dumps({"host": "other", "pid": 7}).encode(),
                )
            time.sleep(0.05)
            return super().predict_batch(batch)

    with pytest.raises(StudyLockedError, match="taken over by process 7 on other"):
        studies.run_toy(images, place, Slow())
    done, wanted = Study.open(place).progress()
    assert 0 < done < wanted


def test_of_many_that_race_for_a_study_one_has_it_at_a_time(
    images: list[Path], place: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lease, "SECONDS_OF_SILENCE", 30.0)  # also where this machine is busy
    study = studies.run_toy(images, place)
    for _ in range(3):
        inside, most, refused, together = [0], [0], list[int](), threading.Barrier(4)

        def race(
            number: int,
            inside: list[int] = inside,
            most: list[int] = most,
            refused: list[int] = refused,
            together: threading.Barrier = together,
        ) -> None:
            folder = StudyFolder(study.path)
            together.wait()
            try:
                with folder.locked():
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.5)
                    inside[0] -= 1
            except StudyLockedError:
                refused.append(number)

        racing = [threading.Thread(target=race, args=(number,)) for number in range(4)]
        for each in racing:
            each.start()
        for each in racing:
            each.join()
        assert most[0] == 1
        assert len(refused) < 4  # mostly three; one that looks late may have its turn


def test_a_store_that_is_away_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    try:
        with pytest.raises(StudyError, match=r"cannot be reached: .*AWS_ENDPOINT_URL"):
            Study.open("s3://lab/away")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_what_is_no_study_is_said(store: str) -> None:
    with pytest.raises(StudyError, match=r"s3://lab/nothing is no study: it holds no environment\.json"):
        Study.open("s3://lab/nothing")
    with pytest.raises(StudyError, match="must name a bucket"):
        location_of("s3:///x")
    with pytest.raises(StudyError, match="has lost a slash"):
        location_of(Path("s3://lab/x"))
    with pytest.raises(StudyError, match="cannot be written: The specified bucket does not exist"):
        create(location_of("s3://nobody/x"), b"1")


def test_without_what_talks_to_it_the_remedy_is_said() -> None:
    code = (
        "import sys\nsys.modules['s3fs'] = None\nfrom dissect_core.storage.locations import location_of\n"
        "try:\n    location_of('s3://lab/x')\nexcept ImportError as error:\n    print(error)\n"
        "print('fsspec' in sys.modules, 'upath' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "dissect-core[s3]"' in done.stdout
    assert done.stdout.endswith("False False\n")
