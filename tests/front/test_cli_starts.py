"""What a command loads before it does its work, and what it prints where there is no wide terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import studies
from commands import install_adapter
from toy_split import Split, write_study

LISTED = "__import__('atexit').register(lambda: print(*sys.modules, file=open(sys.argv[-1], 'w')))"
CODE = f"import sys; {LISTED}; from deep_dissect.cli import main; main(sys.argv[1:-1])"
HEAVY = {"torch", "mmdet", "mmengine", "mmcv", "ray", "ipywidgets", "dissect_mmdet", "dissect_widgets"}
SLOW = {*HEAVY, "scipy", "matplotlib", "pandas", "dissect_eval", "dissect_core.plan", "dissect_core.engine"}


def loaded(folder: Path, *words: object) -> set[str]:
    """Modules that a command has loaded when it ends."""
    target = folder / "modules"
    line = [sys.executable, "-c", CODE, *map(str, words), str(target)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(target.read_text().split())


@pytest.fixture(scope="module")
def folder(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "study"
    write_study(split, out)
    return out


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status"], ["studies"]], ids=" ".join)
def test_what_is_asked_often_waits_for_little(words: list[str], folder: Path, tmp_path: Path) -> None:
    given = [*words, folder] if words == ["status"] else words
    assert not SLOW & loaded(tmp_path, *given)


@pytest.mark.parametrize("command", ["report", "compare", "export-coco", "schema", "run", "inspect"])
def test_no_torch_where_no_detector_is_opened(command: str, folder: Path, tmp_path: Path) -> None:
    words = {
        "report": [folder, "--replicates", 0],
        "compare": [folder, folder],
        "export-coco": [folder, "--out", tmp_path / "found.json"],
        "run": ["--help"],
        "inspect": ["--help"],
    }
    assert not HEAVY & loaded(tmp_path, command, *words.get(command, []))


NUMBER = re.compile(r"[-+]?\d[\d,.]*%?")


def numbers(text: str) -> list[str]:
    return sorted(NUMBER.findall(text))


def test_no_number_is_lost_in_a_narrow_pipe(
    split: Split,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from deep_dissect.cli import main

    install_adapter(tmp_path, monkeypatch)
    (tmp_path / "s.json").write_text(json.dumps(studies.SPEC))
    toy = ["--adapter", "toy", "-o", "min_area=20"]
    data = ["-i", split.images, "-a", split.annotations]
    commands = [
        ["inspect", *toy],
        ["run", tmp_path / "s.json", *toy, *data, "--out", tmp_path / "out", "--replicates", 50],
        ["evaluate", *toy, *data],
        ["compare", folder, folder],
        ["studies"],
    ]
    for words in commands:
        found = {}
        for columns in ("20", "80", "400"):
            monkeypatch.setenv("COLUMNS", columns)
            with pytest.raises(SystemExit) as ended:
                main([str(word) for word in words])
            out, err = capsys.readouterr()
            assert not ended.value.code, err
            assert "…" not in re.sub(r", …\s", "", out)
            found[columns] = numbers(out)
        assert found["20"] == found["80"] == found["400"], words[0]
        assert len(found["80"]) > 5 or words[0] in ("compare", "studies")


def test_any_adapter_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deep_dissect.cli import main

    def said(*words: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return (ended.value.code, *capsys.readouterr())

    install_adapter(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    status, out, err = said("inspect", "--adapter", "toy", "--json")
    assert status == 0, err
    content = json.loads(out)
    assert content["roles"] == ["backbone", "head"]
    assert {"components", "blocks", "units"} <= content.keys()
    wrong = {
        (
            "-o",
            "min_aera=3",
        ): "has no option 'min_aera'. Near matches of 'min_aera': min_area. Its options are: min_area.",
        ("-o", "min_area=large"): "takes for its option 'min_area' int, got 'large'.",
        (
            "-o",
            "min_area",
        ): "-o must be KEY=VALUE, such as device=cuda:0, got 'min_area'. Files and folders that a "
        "command writes are named by --out.",
        ("-o", "min_area=1", "-o", "min_area=2"): "-o must name each option once, got 'min_area' twice.",
        ("--allow-missing",): "has no option 'allow_missing'. Its options are: min_area.",
    }
    for words, message in wrong.items():
        status, out, err = said("inspect", "--adapter", "toy", *words)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert message in err
    status, _, err = said("inspect", "--adapter", "tyo")
    assert "No detector is called 'tyo'. Near matches: 'toy'." in err
    status, _, err = said("ablate", "component", "30", "*", "--out", "out", "--adapter", "toy")
    assert (status, "The adapter 'toy' cannot write checkpoints" in err) == (2, True), err


def test_no_command_has_options_that_typer_adds() -> None:
    from deep_dissect.cli._commands import COMMANDS, _imported

    for name in COMMANDS:
        flags = {flag for option in _imported(name).params for flag in option.opts}
        assert not {"--install-completion", "--show-completion"} & flags


@pytest.mark.parametrize("words", [["schema"], ["export-coco", "study"], ["demo"]], ids=" ".join)
def test_what_was_short_for_out_says_so(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from deep_dissect.cli import main

    with pytest.raises(SystemExit) as ended:
        main([*words, "-o", "written"])
    _, err = capsys.readouterr()
    assert (ended.value.code, err.count("\n")) == (2, 1)
    assert "No such option: -o; what a command writes is named by --out" in err
