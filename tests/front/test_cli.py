"""The command as a user meets it: what it prints, writes and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from deep_dissect.cli import app, main
from deep_dissect.cli._commands import COMMANDS
from dissect_mmdet import load_mmdet_checkpoint
from dissect_mmdet.demo import demo_files
from helpers import DemoData, Touch

CONFIG, CHECKPOINT = (str(path) for path in demo_files("detr"))
QUERIES = "query_embedding.weight"
BLOCK = "encoder.layers.0.self_attn.attn"


class Result:
    """Exit status and what was printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("COLUMNS", "120")

    def call(*words: str | Path) -> Result:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        status = caught.value.code
        assert isinstance(status, int)
        return Result(status, printed.out, printed.err)

    return call


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_mmdet_checkpoint(path)["state_dict"]


GROUPS = [[], ["ablate"], ["demo"]]
WORDS = [
    *GROUPS,
    *([name] for name in COMMANDS if [name] not in GROUPS),
    *(["ablate", name] for name in ("units", "heads", "component", "layers")),
    ["demo", "train"],
]


def command_of(words: list[str]) -> Any:
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.get_command(None, word)
    return command


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_command_explains_itself_and_its_options(run, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    result = run(*words, "--help")
    assert result.status == 0
    assert "Usage: deep-dissect" in result.out
    for parameter in command_of(words).params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help text"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_their_help_says_first(name: str) -> None:
    first = command_of([name]).help.partition("\n\n")[0]
    assert " ".join(first.split()) == COMMANDS[name].help


def test_inspect_shows_a_tree(run) -> None:  # type: ignore[no-untyped-def]
    result = run("inspect", CHECKPOINT)
    assert result.status == 0
    assert "weight  25 × 128" in result.out
    assert "8 heads of 16" in result.out
    assert result.out.startswith("detr.pth  (148 components, 1,216,539 parameters)")


def test_inspect_folds_and_filters(run) -> None:  # type: ignore[no-untyped-def]
    folded = run("inspect", CHECKPOINT, "--depth", "1").out
    assert "encoder  (36 components" in folded
    assert "in_proj_weight" not in folded
    some = run("inspect", CHECKPOINT, "--match", "*.in_proj_weight").out
    assert "(9 components" in some
    assert "backbone" not in some


def test_inspect_json(run) -> None:  # type: ignore[no-untyped-def]
    content = json.loads(run("inspect", CHECKPOINT, "--config", CONFIG, "--json").out)
    assert content["n_parameters"] == sum(c["n_parameters"] for c in content["components"])
    by_name = {c["name"]: c for c in content["components"]}
    assert by_name[QUERIES]["shape"] == [25, 128]
    assert by_name[f"{BLOCK}.in_proj_weight"]["n_heads"] == 8
    assert content["attention"][BLOCK] == {"kind": "fused", "n_heads": 8, "embed_dims": 128}


def test_inspect_without_a_config(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    torch.save({"state_dict": weights(Path(CHECKPOINT))}, tmp_path / "bare.pth")
    result = run("inspect", tmp_path / "bare.pth")
    assert result.status == 0
    assert "heads of" not in result.out
    assert "--config" in result.err


def test_ablate_units(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = run(
        "ablate", "units", CHECKPOINT, QUERIES, "--percent", "5", "--repeats", "2", "--out", tmp_path
    )
    assert result.status == 0, result.err
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == [f"{QUERIES}_element_5_0.pth", f"{QUERIES}_element_5_1.pth"]
    whole = weights(Path(CHECKPOINT))
    zeros = []
    for file in files:
        checkpoint = load_mmdet_checkpoint(file)
        record = checkpoint["meta"]["deep_dissect"]
        assert record["values_changed"] == 160
        assert len(record["units"]) == 160
        for name, value in checkpoint["state_dict"].items():
            assert torch.equal(value, whole[name]) == (name != QUERIES)
        zeros.append(checkpoint["state_dict"][QUERIES] == 0)
    assert int(zeros[0].sum()) == int(zeros[1].sum()) == 160
    assert not torch.equal(*zeros)


def test_ablate_heads_is_exact(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = run("ablate", "heads", CHECKPOINT, BLOCK, "--head", "2", "--head", "7", "--out", tmp_path)
    assert result.status == 0, result.err
    (file,) = tmp_path.iterdir()
    columns = (weights(file)[f"{BLOCK}.out_proj.weight"] == 0).all(dim=0)
    assert columns.nonzero().flatten().tolist() == [*range(32, 48), *range(112, 128)]


def test_ablate_component_with_bias(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("ablate", "component", CHECKPOINT, f"{BLOCK}.in_proj_weight", "--bias", "remove", "--out", tmp_path)
    (file,) = tmp_path.iterdir()
    state = weights(file)
    assert not state[f"{BLOCK}.in_proj_weight"].any()
    assert not state[f"{BLOCK}.in_proj_bias"].any()
    assert state[f"{BLOCK}.out_proj.weight"].any()


def test_ablate_layers_progressively(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    name = "self_attn.attn.in_proj_weight"
    for words, order in (([], [0, 1, 2]), (["--backwards"], [2, 1, 0])):
        out = tmp_path / ("back" if words else "front")
        assert run("ablate", "layers", CHECKPOINT, name, "--out", out, *words).status == 0
        for count in (1, 2, 3):
            (file,) = out.glob(f"*_{count}.pth")
            state = weights(file)
            gone = [i for i in range(3) if not state[f"encoder.layers.{i}.{name}"].any()]
            assert gone == sorted(order[:count])


def test_a_no_op_is_flagged(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    result = run("ablate", "units", CHECKPOINT, QUERIES, "--percent", "0", "--out", tmp_path)
    assert result.status == 0
    assert "no-op" in result.err


def test_nothing_is_overwritten_unless_forced(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = ["ablate", "component", CHECKPOINT, QUERIES, "--out", tmp_path]
    assert run(*words).status == 0
    refused = run(*words)
    assert refused.status == 2
    assert "--force" in refused.err
    assert run(*words, "--force").status == 0


def test_evaluate(run, demo_data: DemoData, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    saved = tmp_path / "found" / "detections.json"
    words = ["--checkpoint", CHECKPOINT, "--config", CONFIG, "--annotations", demo_data.annotations]
    words += ["--images", demo_data.images, "--batch-size", "3"]
    shown = run("evaluate", *words, "--save-detections", saved)
    assert shown.status == 0, shown.err
    for text in ("AP50", "micro", "matched (Deep Dissect 1.0)", "as many random boxes", "circle"):
        assert text in shown.out
    content = json.loads(run("evaluate", *words, "--json").out)
    assert content["detection"]["n_images"] == 6
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(demo_data.annotations))
    reference = COCOeval(truth, truth.loadRes(str(saved)), "bbox")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    assert content["ap"]["AP"] == pytest.approx(reference.stats[0], abs=1e-3)
    assert content["ap"]["AP50"] == pytest.approx(reference.stats[1], abs=1e-3)


def test_evaluate_a_part(run, demo_data: DemoData) -> None:  # type: ignore[no-untyped-def]
    words = ["--annotations", demo_data.annotations, "--images", demo_data.images, "--limit", "2", "--json"]
    content = json.loads(run("evaluate", "--checkpoint", CHECKPOINT, *words).out)
    assert content["detection"]["n_images"] == 2


def other_data_set(tmp_path: Path, demo_data: DemoData) -> Path:
    content = json.loads(demo_data.annotations.read_text())
    for category in content["categories"]:
        category["name"] = f"animal {category['id']}"
    path = tmp_path / "animals.json"
    path.write_text(json.dumps(content))
    return path


def test_annotations_of_another_data_set(run, demo_data: DemoData, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = other_data_set(tmp_path, demo_data)
    result = run("evaluate", "--checkpoint", CHECKPOINT, "--annotations", path, "--images", demo_data.images)
    assert result.status == 2
    assert "same names" in result.err
    assert "circle" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "no_such.pth"], "no_such.pth"),
        (["inspect", __file__], "test_cli.py"),
        (["inspect", CHECKPOINT, "--config", "no_such.py"], "no such file"),
        (["inspect", CHECKPOINT, "--match", "query_embeding*"], QUERIES),
        (["inspect", str(demo_files("dino").checkpoint), "--config", CONFIG], "does not fit"),
        (["ablate", "units", CHECKPOINT, "query_embeding.weight", "-p", "5", "--out", "out"], QUERIES),
        (["ablate", "units", CHECKPOINT, QUERIES, "-p", "101", "--out", "out"], "within 0 and 100, got 101"),
        (["ablate", "units", CHECKPOINT, QUERIES, "-p", "-1", "--out", "out"], "within 0 and 100, got -1"),
        (["ablate", "units", CHECKPOINT, QUERIES, "-p", "nan", "--out", "out"], "within 0 and 100, got nan"),
        (["ablate", "heads", CHECKPOINT, BLOCK, "--head", "8", "--out", "out"], "0 to 7"),
        (
            ["ablate", "heads", CHECKPOINT, "encoder.layers.9", "--head", "0", "--out", "out"],
            "No attention block",
        ),
        (["ablate", "heads", CHECKPOINT, BLOCK, "--out", "out"], "either --head"),
        (["ablate", "layers", CHECKPOINT, "self_attn.nothing", "--out", "out"], "self_attn.nothing"),
        (["evaluate", "-w", CHECKPOINT, "-a", "no.json", "-i", "."], "no.json"),
        (["demo", "--detector", "yolo"], "'demo:yolo'"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_one_clear_line(
    run, words: list[str], message: str, tmp_path: Path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.rglob("*")), "something half-written was left"
    if words[0] not in ("nonsense",):
        assert result.err.count("\n") == 1


def test_debug_shows_the_traceback() -> None:
    from dissect_core import CheckpointError

    for words in (["--debug", "inspect", "no_such.pth"], ["inspect", "no_such.pth", "--debug"]):
        with pytest.raises(CheckpointError):
            main(words)


def test_images_missing(run, demo_data: DemoData, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = ["evaluate", "--checkpoint", CHECKPOINT, "--annotations", demo_data.annotations, "--images"]
    assert "no such folder" in run(*words, tmp_path / "none").err
    assert "6 of 6 images" in run(*words, tmp_path).err
    for path in demo_data.paths:
        (tmp_path / path.name).write_bytes(b"not an image")
    result = run(*words, tmp_path)
    assert result.status == 2
    assert f"{demo_data.paths[0].name} cannot be decoded" in result.err


def test_hostile_checkpoint_names_the_way_out(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    torch.save({"state_dict": {"w": torch.ones(1)}, "x": Touch(tmp_path / "canary")}, tmp_path / "evil.pth")
    result = run("inspect", tmp_path / "evil.pth")
    assert result.status == 2
    assert "trust" in result.err
    assert not (tmp_path / "canary").exists()


def test_demo_runs_a_study(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "demo"
    words = ["demo", "--out", out, "--images", "4", "--repeats", "1"]
    result = run(*words)
    assert result.status == 0, result.err
    for text in ("DETR", "Deformable DETR", "DINO", "baseline", "encoder self-attention", "AP"):
        assert text in result.out
    rows = json.loads((out / "results.json").read_text())["variants"]
    assert len(rows) == 3 * (1 + 4 * 4)
    assert {row["detector"] for row in rows} == {"detr", "deformable_detr", "dino"}
    assert all(row["changed"] > 0 for row in rows if row["kind"] != "baseline")
    assert len({(row["detector"], row["id"]) for row in rows}) == len(rows)
    assert len((out / "results.csv").read_text().splitlines()) == len(rows) + 1
    for picture in ("dose_response.png", "dose_response_giou.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    assert all((out / name / "report.html").is_file() for name in ("detr", "deformable_detr", "dino"))
    again = tmp_path / "again"
    run(*words[:2], again, *words[3:])
    assert (again / "results.json").read_bytes() == (out / "results.json").read_bytes()
