"""``--model``, ``--coco`` and ``deep-dissect models``: a study of a detector of the zoo in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import deep_dissect as dd
from commands import call, skip_without_mmdet
from helpers import DemoData
from zoo_server import FOLDER, NAME, Server, file_name, serving, use_zoo, write_index


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A zoo of one model, which is the bundled DETR."""
    skip_without_mmdet()
    from dissect_mmdet.demo import demo_files

    files = demo_files("detr")
    content = files.checkpoint.read_bytes()
    path = FOLDER + file_name(content)
    index = write_index(tmp_path / "index", files.config, f"https://download.openmmlab.com{path}")
    with serving() as server:
        server.files[path] = content
        use_zoo(monkeypatch, index, server, tmp_path / "cache")
        yield server


@pytest.fixture
def coco(tmp_path: Path, demo_data: DemoData) -> Path:
    """A folder laid out as COCO is."""
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    shutil.copytree(demo_data.images, folder / "val2017")
    shutil.copy(demo_data.annotations, folder / "annotations" / "instances_val2017.json")
    return folder


def test_a_study_is_one_line(
    zoo: Server,
    coco: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    more = ["--limit", 2, "--replicates", 0, "--out", "study"]
    code, _, err = call(capsys, "run", "head_importance_ranking", "--model", NAME, "--coco", coco, *more)
    assert code == 2  # no such study: said before anything is downloaded
    assert "head_importance_ranking" in err
    assert zoo.asked == []
    code, _, err = call(capsys, "run", "layer_knockout", "--model", NAME, "--coco", coco, *more)
    assert code == 0, err
    assert len(zoo.asked) == 1
    study = dd.Study.open("study")
    assert study.is_complete
    files = [path.name for path in Path("study").iterdir()]
    assert "report.html" in files
    # The same command goes on with it, and needs no network.
    monkeypatch.setenv("DEEP_DISSECT_ZOO", "http://127.0.0.1:9")
    assert call(capsys, "run", "layer_knockout", "--model", NAME, "--coco", coco, *more)[0] == 0
    # The bundled detector is the same one, however it is named.
    assert call(capsys, "run", "layer_knockout", "--demo", "detr", "--coco", coco, *more)[0] == 0


def test_every_command_that_opens_a_detector_takes_a_model(
    zoo: Server, coco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "inspect", "--model", NAME)
    assert code == 0, err
    assert NAME in out
    code, out, err = call(capsys, "plan", "layer_knockout", "--model", NAME, "--coco", coco)
    assert code == 0, err
    code, out, err = call(capsys, "evaluate", "--model", NAME, "--coco", coco, "--json")
    assert code == 0, err
    assert 0 < json.loads(out)["ap"]["AP"] <= 1
    words = (
        "export",
        "leave_one_head_out",
        "*encoder*layers.0*",
        "--model",
        NAME,
        "--out",
        tmp_path / "made",
    )
    code, out, err = call(capsys, *words)
    assert code == 0, err
    assert len(zoo.asked) == 1


def test_models_are_listed(zoo: Server, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "models", "R18")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines() if NAME in line] == [
        [NAME, "(detr)", "Tiny", "COCO", "12.5"]
    ]
    assert "1 of 1 models of the adapter mmdet" in out
    call(capsys, "inspect", "--model", NAME)
    code, out, _ = call(capsys, "models", "tiny*", "--json")
    assert code == 0
    assert json.loads(out) == [
        {
            "adapter": "mmdet",
            "name": NAME,
            "family": "Tiny",
            "data": "COCO",
            "box_ap": 12.5,
            "aliases": ["detr"],
            "is_here": True,
        }
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models", "tinny_r18"], "PATTERN 'tinny_r18' matches none of 2 names. Near matches: 'tiny_r18_coco'"),
        (["models", "--adapter", "mine"], "The adapter 'mine' has no models by name: those that have are 'mmdet'."),
        (["inspect", "--model", "tiny_r81_coco"], "Near matches: 'tiny_r18_coco'. `deep-dissect models` lists them"),
        (["inspect", "a.pth", "--model", NAME], "takes 'checkpoint' or 'model', got both, 'a.pth' and 'tiny_r18_coco'"),
        (["inspect", "--model", NAME, "-o", "model=x"], "--model must be given once, got it by -o as well"),
        (["run", "paper_protocol"], "a detector is needed: give --checkpoint (and --config), or --model NAME, or"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(
    zoo: Server, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_without_a_network_a_line_says_so(
    zoo: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEP_DISSECT_ZOO", "http://127.0.0.1:9")
    code, out, err = call(capsys, "inspect", "--model", NAME)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: the weights of {NAME} cannot be downloaded from http://127.0.0.1:9/")
    assert err.count("\n") == 1


@pytest.mark.parametrize("images", ["val2017", "images/val2017"])
def test_a_split_is_found_in_the_folder_of_coco(images: str, coco: Path) -> None:
    if images != "val2017":
        (coco / "images").mkdir()
        (coco / "val2017").rename(coco / images)
    data = dd.CocoSplit.coco(coco, limit=3)
    assert (len(data), data.folder) == (3, coco / images)
    same = dd.CocoSplit(coco / "annotations" / "instances_val2017.json", coco / images, 3)
    assert data.fingerprint == same.fingerprint


def test_what_a_folder_of_coco_lacks_is_said(coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lacks = r"it has not the folder train2017 \(or images/train2017\) of the images and the file annotations/.*\.json\."
    with pytest.raises(dd.ERRORS, match=rf"{lacks} Give the folder"):
        dd.CocoSplit.coco(coco, "train2017")
    with pytest.raises(
        dd.ERRORS, match=r"`folder` must be the folder of COCO, got '.*nowhere': no such folder\."
    ):
        dd.CocoSplit.coco(coco / "nowhere")
    (coco / "annotations" / "instances_val2017.json").unlink()
    words = ("evaluate", "--checkpoint", "demo:detr", "--coco", coco)
    code, _, err = call(capsys, *words)
    assert code == 2
    assert "--coco must be the folder of COCO" in err
    assert "it has not the file annotations/instances_val2017.json" in err
    code, _, err = call(capsys, *words, "--images", coco / "val2017")
    assert code == 2
    assert "--coco stands for --images and --annotations: leave these out, or --coco." in err
