"""Whose word lets code run on the command line: the user's flags, and nothing that a file or a folder says."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import studies
from commands import call
from dissect_core.store import Study
from dissect_mmdet.demo import demo_files

torch = pytest.importorskip("torch")

SPEC = {
    "name": "s",
    "ablations": [
        {
            "name": "a",
            "target": {"unit": "head", "components": "encoder.self_attn"},
            "select": {"by": "indices", "indices": [1]},
        },
        {
            "name": "heads",
            "target": {"unit": "head", "components": "encoder.self_attn"},
            "select": {"by": "each"},
        },
    ],
}
Case = Callable[[Path], dict[str, Any]]


class Evil:
    """Makes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def pickled(folder: Path) -> dict[str, Any]:
    """A checkpoint that runs code, and a spec that trusts it."""
    torch.save({"state_dict": {}, "x": Evil(folder / "ran")}, folder / "evil.pth")
    return {"checkpoint": str(folder / "evil.pth"), "trust": True}


def program(folder: Path) -> dict[str, Any]:
    """A config that builds on the bundled detector's, and does something beside."""
    text = f"_base_ = [{str(demo_files('detr').config)!r}]\n__import__('os').mkdir({str(folder / 'ran')!r})\n"
    (folder / "evil.py").write_text(text)
    return {"checkpoint": "demo:detr", "config": str(folder / "evil.py")}


def module(folder: Path) -> dict[str, Any]:
    """A module to import, beside the study."""
    (folder / "evil_module.py").write_text(f"import os\nos.makedirs({str(folder / 'ran')!r})\n")
    return {"checkpoint": "demo:detr", "custom_imports": ["evil_module"]}


def built(folder: Path) -> dict[str, Any]:
    """A config that is written into the spec, and names a program."""
    return {"checkpoint": "demo:detr", "config": {"model": {"type": "os.mkdir", "path": str(folder / "ran")}}}


CASES = [pickled, program, module, built]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(path: Path, options: dict[str, Any], **more: Any) -> Path:
    detector = {"adapter": "mmdet", "options": options}
    path.write_text(yaml.safe_dump({**SPEC, "detector": detector, **more}))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of the bundled detector, as a stranger may send one."""
    from deep_dissect.cli import main

    folder = tmp_path_factory.mktemp("finished")
    spec = write(folder / "s.yaml", {"checkpoint": "demo:detr"})
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "run",
                str(spec),
                "--demo",
                "detr",
                "--limit",
                "4",
                "--out",
                str(folder / "out"),
                "--replicates",
                "0",
            ]
        )
    assert not ended.value.code
    return folder / "out"


def sent(finished: Path, here: Path, options: dict[str, Any]) -> Path:
    """That study's folder as somebody altered it, so that its detector is another one."""
    import shutil

    folder = Path(shutil.copytree(finished, here / "out"))
    studies.name_detector(folder, "mmdet", options)
    assert Study.open(folder).spec.detector.options == options
    return folder


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_spec_grants_itself_nothing(
    case: Case, command: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(here / "s.yaml", case(here))
    before = {"plan": [], "run": ["--out", here / "out"]}[command]
    code, out, err = call(capsys, command, spec, *before)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "say --trust (`trust=True`) if you trust whoever made it" in err
    assert not (here / "ran").exists()
    assert not (here / "out").exists()


@pytest.mark.parametrize("case", CASES)
def test_a_folder_grants_itself_nothing(
    case: Case, finished: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sent(finished, here, case(here))
    code, _, err = call(capsys, "simplify", folder, "heads")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "say --trust (`trust=True`) if you trust whoever made it" in err
    assert not (here / "ran").exists()


def test_a_report_opens_no_detector(finished: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sent(finished, here, program(here))
    for command in (["status", folder], ["report", folder, "--replicates", "0"]):
        call(capsys, *command)
        assert not (here / "ran").exists()


def test_what_the_user_allows_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = program(here)
    spec = write(here / "s.yaml", options)
    code, out, err = call(capsys, "plan", spec, "--trust")
    assert (code, (here / "ran").exists()) == (0, True), err
    assert "encoder.self_attn" in out or "heads" in out
    (here / "ran").rmdir()
    code, _, err = call(capsys, "plan", spec, "--config", options["config"])
    assert (code, (here / "ran").exists()) == (0, True), "his own config is his own program"
    (here / "ran").rmdir()
    code, _, err = call(capsys, "plan", spec, "--demo", "detr")
    assert (code, (here / "ran").exists()) == (0, False), "another detector asks for nothing"


def test_an_option_of_the_adapter_is_the_user_s_word_as_its_flag_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(here / "s.yaml", {**program(here), "trust": True})
    code, _, err = call(capsys, "plan", spec, "-o", "checkpoint=demo:detr")
    assert (code, (here / "ran").exists()) == (0, False), f"{err}: another detector asks for nothing"
    code, _, err = call(capsys, "plan", write(here / "s.yaml", program(here)), "-o", "device=cpu")
    assert (code, (here / "ran").exists()) == (2, False)
    assert "say --trust (`trust=True`) if you trust whoever made it" in err
    evil = pickled(here)["checkpoint"]
    code, _, err = call(capsys, "plan", "layer_knockout", "-o", f"checkpoint={evil}")
    assert (code, (here / "ran").exists()) == (2, False)
    assert ".mkdir, which no checkpoint needs" in err
    call(capsys, "plan", "layer_knockout", "-o", f"checkpoint={evil}", "-o", "trust=true")
    assert (here / "ran").exists()


def test_a_checkpoint_that_a_study_names_is_read_without_a_question(
    finished: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "checkpoint": str(demo_files("dino").checkpoint),
        "device": "cpu",
        "trust": False,
        "config": None,
    }
    code, _, err = call(capsys, "plan", write(here / "s.yaml", options))
    assert code == 0, err
    folder = sent(finished, here, {"checkpoint": "demo:detr"})
    code, _, err = call(capsys, "simplify", folder, "heads", "--images", Study.open(folder).image_folder)
    assert (code, "must have at least 20 images" in err) == (2, True), "the detector was opened"


def test_the_device_of_the_command_line_comes_before_the_study_s(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(here / "s.yaml", {"checkpoint": "demo:detr", "device": "cuda:99"})
    code, _, err = call(capsys, "plan", spec)
    assert (code, "device 'cuda:99' cannot be used here" in err) == (2, True)
    code, _, err = call(capsys, "plan", spec, "--device", "cpu")
    assert code == 0, err
    (here / "images").mkdir()
    code, _, err = call(capsys, "run", spec, "--device", "cpu", "--images", here / "images")
    assert (code, "cuda" in err) == (2, False), "it is the images that are missing"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "evil_module://x"])
def test_a_study_names_no_cluster(address: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module(here)
    spec = write(
        here / "s.yaml", {"checkpoint": "demo:detr"}, execution={"engine": "ray", "address": address}
    )
    code, _, err = call(capsys, "run", spec)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "give --address (`execution=`) yourself" in err
    assert not (here / "ran").exists()
    code, _, err = call(capsys, "run", spec, "--workers", "2", "--engine", "ray")
    assert (code, "--address" in err) == (2, True), "further settings are no word about that"


@pytest.mark.parametrize(
    "options",
    [
        {"chekpoint": "demo:detr"},
        {"checkpoint": 5},
        {"checkpoint": ["demo:detr"]},
        {"checkpoint": "x" * 5000},
        {"checkpoint": "a\0b"},
        {"checkpoint": "a\ud800b"},
        {"checkpoint": None},
        {},
        {"checkpoint": "demo:detr", "device": 5},
        {"checkpoint": "demo:detr", "device": ["cpu"]},
        {"checkpoint": "demo:detr", "classes": 5},
        {"checkpoint": "demo:detr", "classes": {"a": [1]}},
        {"checkpoint": "demo:detr", "weights_prefix": 5},
        {"checkpoint": "demo:detr", "weights_prefix": ["a"]},
        {"checkpoint": "demo:detr", "allow_missing": {"a": "b"}},
    ],
)
def test_options_of_another_type_are_refused_in_one_line(
    options: dict[str, Any], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in ([], ["--trust"]):
        code, _, err = call(capsys, "plan", write(here / "s.yaml", options), *flags)
        assert (code, len(err.splitlines())) == (2, 1), err
