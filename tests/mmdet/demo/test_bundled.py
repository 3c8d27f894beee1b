"""Bundled detectors and scenes by name: found by entry point, written whole, mended where they were damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dissect_core.detectors import bundled_data, bundled_detector, open_detector
from dissect_mmdet import DissectMMDetError
from dissect_mmdet.bundled import DEMO_DETECTORS, demo_files, real_checkpoint, scenes
from dissect_mmdet.demo import write_split


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the scenes, drawn once for this file."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEP_DISSECT_CACHE", str(folder))
        annotations, _ = scenes()
    return annotations.parents[1]


@pytest.fixture
def cache(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder, which `scenes` uses."""
    subprocess.run(["cp", "-r", str(drawn), str(tmp_path / drawn.name)], check=True)
    monkeypatch.setenv("DEEP_DISSECT_CACHE", str(tmp_path))
    return tmp_path / drawn.name


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder that are not hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("[!.]*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", DEMO_DETECTORS)
def test_bundled_detectors_are_found_by_name(name: str) -> None:
    spec = bundled_detector(f"demo:{name}")
    assert (spec.adapter, spec.options) == ("mmdet", {"checkpoint": f"demo:{name}"})


def test_a_bundled_detector_is_the_same_however_it_is_named() -> None:
    files = demo_files("detr")
    opened = [
        open_detector("demo:detr"),
        open_detector("mmdet", "demo:detr"),
        open_detector("mmdet", config=files.config, checkpoint=files.checkpoint),
    ]
    facts = [one.facts for one in opened]  # type: ignore[attr-defined]
    assert facts[0] == facts[1] == facts[2]
    assert len({one.class_names for one in opened}) == 1


def test_a_name_that_is_not_there_gives_near_matches() -> None:
    with pytest.raises(ValueError, match=r"`name` must be one of detr, .*, got 'dinno'\. Near matches: dino"):
        demo_files("dinno")
    with pytest.raises(
        DissectMMDetError, match=r"the checkpoint demo:dinno must be .* Near matches: demo:dino"
    ):
        real_checkpoint("demo:dinno")


def test_naming_one_loads_neither_torch_nor_mmdetection() -> None:
    code = "import sys; from dissect_core.detectors import bundled_detector; bundled_detector('demo:detr'); "
    code += "print(*{'torch', 'mmdet', 'mmcv', 'mmengine', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_scenes_are_those_of_write_split(cache: Path, tmp_path: Path) -> None:
    annotations, images = bundled_data("demo:scenes")
    written_images, written_annotations = write_split(tmp_path / "own", "test", 200)
    assert annotations.read_bytes() == written_annotations.read_bytes()
    assert contents(images) == contents(written_images)
    assert len(contents(images)) == 200


def test_whole_scenes_are_left_alone(cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    scenes()
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_damaged_scenes_are_mended(cache: Path, drawn: Path) -> None:
    annotations, images = scenes()
    first, second, third, fourth = sorted(images.glob("*.png"))[:4]
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    third.unlink()
    third.symlink_to(fourth)
    annotations.write_text("{}")
    scenes()
    assert contents(cache) == contents(drawn)
    assert not third.is_symlink()
    (cache / "checksums.json").write_text("[" * 100_000)  # deeper than Python reads
    scenes()
    assert contents(cache) == contents(drawn)
    (cache / "checksums.json").write_text("[")  # as after a kill before the end
    os.mkfifo(cache / "fifo")
    first.unlink()
    os.mkfifo(first)  # nobody writes into it: whoever reads it would wait for ever
    scenes()
    assert contents(cache) == contents(drawn)


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: Path
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_CACHE", str(tmp_path))
    folder = tmp_path / drawn.name
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(
        DissectMMDetError, match=r"holds files that Deep Dissect did not write: .* DEEP_DISSECT_CACHE"
    ):
        scenes()
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    (folder / "thesis.tex").unlink()
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(DissectMMDetError, match=r"is a link\. Remove it, or .* DEEP_DISSECT_CACHE"):
        scenes()
    assert not list(elsewhere.iterdir())


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can make a file")
def test_a_folder_without_room_for_a_lock_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEP_DISSECT_CACHE", "/proc")
    with pytest.raises(DissectMMDetError, match="cannot be written to /proc/"):
        scenes()


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEP_DISSECT_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        DissectMMDetError,
        match=r"cannot be written to .*/file/.* Let .* DEEP_DISSECT_CACHE name another folder",
    ):
        scenes()


def test_several_processes_may_draw_at_once(tmp_path: Path, drawn: Path) -> None:
    code = "from dissect_mmdet.bundled import scenes; print(scenes()[0])"
    environment = {**os.environ, "DEEP_DISSECT_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert told == {str(tmp_path / drawn.name / "annotations" / "instances_test.json")}
    assert contents(tmp_path / drawn.name) == contents(drawn)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == [drawn.name]
    assert json.loads((tmp_path / drawn.name / "checksums.json").read_text())
