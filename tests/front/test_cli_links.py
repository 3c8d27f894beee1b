"""Commands on a study's folder that somebody sent: they write into it and nowhere else, and wait for nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from commands import call, skip_without_mmdet
from toy_split import write_split, write_study

QUICK = ("--replicates", 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    return write_study(write_split(folder, 6), folder / "study")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "study"))


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "victim").write_text("mine")
    return tmp_path / "elsewhere" / "victim"


WRITTEN = (
    "report.html",
    "summary.csv",
    "summary.parquet",
    "summary.tex",
    "per_class.csv",
    "errors.csv",
)


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_report_replaces_links_and_nothing_they_lead_to(
    capsys: pytest.CaptureFixture[str], folder: Path, victim: Path, make: object
) -> None:
    for name in WRITTEN:
        (folder / name).unlink(missing_ok=True)
        make(victim, folder / name)  # type: ignore[operator]
    if make is os.symlink:
        (folder / "repeats.csv").unlink()
        (folder / "repeats.csv").symlink_to(victim.with_name("new"))
    status, _, err = call(capsys, "report", folder, "--latex", *QUICK)
    assert (status, victim.read_text()) == (0, "mine"), err
    assert list(victim.parent.iterdir()) == [victim]
    assert not any((folder / name).is_symlink() for name in WRITTEN)


def test_figures_go_into_no_folder_elsewhere(
    capsys: pytest.CaptureFixture[str], folder: Path, victim: Path
) -> None:
    (folder / "figures").symlink_to(victim.parent)
    status, _, err = call(capsys, "report", folder, "--figures", "svg", *QUICK)
    assert status == 2
    assert "figures cannot be written into: it is a link, not a folder of" in err
    assert list(victim.parent.iterdir()) == [victim]
    (folder / "figures").unlink()
    (folder / "figures").mkdir()
    (folder / "figures" / "dose-response.svg").symlink_to(victim)
    assert call(capsys, "report", folder, "--figures", "svg", *QUICK)[0] == 0
    assert victim.read_text() == "mine"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        "summary.csv",
        "summary.json",
        "truth.json",
        "log.jsonl",
        "run.lock",
        "figures",
        "spec.yaml",
    ],
)
def test_no_command_waits_for_a_fifo(capsys: pytest.CaptureFixture[str], folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for words in (
        ["report", folder, "--figures", "svg", *QUICK],
        ["status", folder],
        ["export-coco", folder],
    ):
        status, _, err = call(capsys, *words)
        assert status in (0, 2)
        assert "internal error" not in err
        assert len([line for line in err.splitlines() if line.startswith("error")]) == (status == 2)
    assert (folder / name).is_fifo()


@pytest.mark.timeout(60)
def test_force_replaces_files_only(capsys: pytest.CaptureFixture[str], folder: Path, victim: Path) -> None:
    os.mkfifo(victim.with_name("pipe"))
    victim.with_name("folder").mkdir()
    for name, target in {
        "device": "/dev/null",
        "to-pipe": "pipe",
        "link": "victim",
        "nothing": "none",
    }.items():
        victim.with_name(name).symlink_to(target)
    victim.with_name("twin").hardlink_to(victim)
    for name, what in {"pipe": "FIFO", "to-pipe": "FIFO", "device": "device", "folder": "folder"}.items():
        for forced in ([], ["--force"]):
            status, _, err = call(capsys, "export-coco", folder, "--out", victim.with_name(name), *forced)
            assert status == 2
            assert err.count("\n") == 1
        assert what in err
    for name in ("link", "nothing", "twin"):
        assert call(capsys, "export-coco", folder, "--out", victim.with_name(name), "--force")[0] == 0
        assert victim.with_name(name).read_text().startswith("[{")
        assert not victim.with_name(name).is_symlink()
    assert victim.read_text() == "mine"
    assert not victim.with_name("none").exists()
    assert victim.with_name("pipe").is_fifo()


def test_standard_output_that_is_full_is_told(folder: Path) -> None:
    skip_without_mmdet()
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    script = f"from deep_dissect.cli import main; main(['export-coco', {str(folder)!r}])"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 2
    assert done.stderr == (
        "error: The output cannot be written: the disk is full. Make room on it, then do the same again.\n"
    )


LIMITED = """
import resource, sys
from deep_dissect.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "words", [["report", "study", "--replicates", "0"], ["export-coco", "study", "--out", "out.json"]]
)
def test_a_disk_that_is_full_is_told_and_leaves_nothing_half_written(folder: Path, words: list[str]) -> None:
    """By a limit on the size of files, which the system enforces in the midst of a write."""
    skip_without_mmdet()
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *words],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    assert "cannot be written: it would be larger than a file may be" in line
    after = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed <= {"summary.json", "summary.csv", "repeats.csv", "errors.csv"}, "each of them whole"
