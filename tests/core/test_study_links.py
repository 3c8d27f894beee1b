"""A study's folder that somebody sent: links in it lead nowhere, and nothing is waited for."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import studies
from dissect_core import DissectError, StudyError
from dissect_core.store import Study

SECRET = b"mine\n"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return studies.scenes(tmp_path_factory.mktemp("images"), 5)


@pytest.fixture(scope="module")
def made(images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.run_toy(images, tmp_path_factory.mktemp("made") / "out").path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "victim.txt"
    path.parent.mkdir()
    path.write_bytes(SECRET)
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["log.jsonl", "run.lock"])
@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_what_is_appended_to_or_locked_is_no_link(
    images: list[Path], folder: Path, victim: Path, name: str, make: object
) -> None:
    (folder / name).unlink(missing_ok=True)
    make(victim, folder / name)  # type: ignore[operator]
    with pytest.raises(StudyError, match=rf"{name}.*(link, not a regular file|hard link)"):
        studies.run_toy(images, folder)
    assert victim.read_bytes() == SECRET
    (folder / name).unlink()
    assert studies.run_toy(images, folder).is_complete


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_to_ask_who_runs_a_study_empties_no_file_elsewhere(folder: Path, victim: Path, make: object) -> None:
    (folder / "run.lock").unlink(missing_ok=True)
    make(victim, folder / "run.lock")  # type: ignore[operator]
    with pytest.raises(StudyError, match=r"run\.lock cannot be used: it .* link"):
        _ = Study.open(folder).running
    assert victim.read_bytes() == SECRET


@pytest.mark.parametrize("name", ["run.json", "environment.json", "images.parquet", "effects.parquet"])
def test_a_link_is_replaced_and_what_it_leads_to_stays(
    images: list[Path], folder: Path, victim: Path, name: str
) -> None:
    """As in folders of git-annex, whose files are all links."""
    content = (folder / name).read_bytes() if (folder / name).exists() else SECRET
    victim.write_bytes(content)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    (folder / "detections" / "shard-00001.parquet").unlink()
    assert studies.run_toy(images, folder).is_complete
    assert victim.read_bytes() == content


def test_shards_that_are_links_are_read_and_damaged_ones_replaced(
    images: list[Path], made: Path, folder: Path, victim: Path
) -> None:
    good, bad = (folder / "detections" / f"shard-0000{number}.parquet" for number in (0, 1))
    victim.with_name("good").write_bytes(good.read_bytes())
    for path, name in ((good, "good"), (bad, "victim.txt")):
        path.unlink()
        path.symlink_to(victim.with_name(name))
    assert studies.run_toy(images, folder, repair=True).is_complete
    assert victim.read_bytes() == SECRET
    assert studies.digests(folder) == studies.digests(made)


@pytest.mark.parametrize("name", ["detections"])
def test_a_folder_within_is_no_link(images: list[Path], folder: Path, victim: Path, name: str) -> None:
    for left in (".shard-00000.parquet.0.tmp", "shard-00000.parquet", "part-00000-00000.parquet"):
        victim.with_name(left).write_bytes(SECRET)
    shutil.rmtree(folder / name)
    (folder / name).symlink_to(victim.parent)
    with pytest.raises(StudyError, match=rf"{name} cannot be written into: it is a link, not a folder of"):
        studies.run_toy(images, folder)
    assert set(everything(victim.parent).values()) == {SECRET}
    assert len(everything(victim.parent)) == 4


def test_the_folder_itself_may_be_reached_by_a_link(images: list[Path], made: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        assert studies.run_toy(images, tmp_path / "link").is_complete
    assert (tmp_path / "link").is_symlink()
    assert studies.digests(tmp_path / "real") == studies.digests(made)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name",
    [
        "environment.json",
        "spec.yaml",
        "plan.parquet",
        "images.parquet",
        "effects.parquet",
        "log.jsonl",
        "run.lock",
        "detections/shard-00000.parquet",
    ],
)
def test_no_fifo_is_waited_for(images: list[Path], folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    begun = time.monotonic()

    def look() -> None:
        study = Study.open(folder)
        _ = study.spec, study.plan, study.images, study.running, study.log(), study.table(), study.effects

    def go_on() -> None:
        studies.run_toy(images, folder)

    for do in (look, go_on):
        with suppress(DissectError):  # refused, or not needed
            do()
    assert time.monotonic() - begun < 20
