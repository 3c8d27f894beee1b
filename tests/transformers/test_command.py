"""The command on models of Transformers: from a folder of ``save_pretrained`` to a report, and back to a folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import deep_dissect as dd
from dissect_transformers import open_transformers
from families import CLASS_NAMES, build

SPEC = """
name: some parts
ablations:
  - name: embeddings
    target: {unit: component, components: "*bbox_predictor.layers.0.weight"}
    select: {by: all}
  - name: neurons
    target: {unit: neuron, components: "model.decoder.layers.1.mlp"}
    select: {by: fraction, fractions: [0.25, 0.75], repeats: 2}
    interventions: [zero, {space: activation, kind: mean}]
  - name: by gradient
    target: {unit: row, components: "model.decoder.layers.0.mlp.fc1.weight"}
    select: {by: top, fractions: [0.1], score: weight_gradient}
"""
FAMILIES = {
    "detr": SPEC,
    "rt_detr": SPEC.replace("*bbox_predictor.layers.0.weight", "model.decoder.bbox_embed.0.layers.0.weight"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, pictures: list[Path]) -> Path:
    """A folder with models, their images and a truth."""
    place = tmp_path_factory.mktemp("place")
    for name, spec in FAMILIES.items():
        for part in build(name):
            part.save_pretrained(place / name)
        (place / f"{name}.yaml").write_text(spec)
    sizes = [(80, 60), (60, 80), (70, 70)]
    images = [
        {"id": number, "file_name": path.name, "width": width, "height": height}
        for number, (path, (width, height)) in enumerate(zip(pictures, sizes, strict=True), 1)
    ]
    annotations = [
        {
            "id": 3 * n + k,
            "image_id": n,
            "category_id": k,
            "bbox": [4 + k, 8, 20, 25],
            "area": 500,
            "iscrowd": 0,
        }
        for n in (1, 2, 3)
        for k in (1, 2, 3)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, 1)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (place / "truth.json").write_text(json.dumps(truth))
    return place


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> Any:
    monkeypatch.chdir(place)

    def call(*words: object) -> tuple[int, str, str]:
        from deep_dissect.cli import main

        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def data(pictures: list[Path]) -> list[object]:
    return ["-a", "truth.json", "-i", pictures[0].parent]


@pytest.mark.parametrize("name", FAMILIES)
def test_inspect_evaluate_plan_and_run(name: str, command: Any, place: Path, pictures: list[Path]) -> None:
    opening = ["--adapter", "transformers", "-o", f"model={name}"]
    status, out, err = command("inspect", *opening)
    assert status == 0, err
    assert "head.cls" in out
    assert f"{name}: all of the model's" in out + err
    status, out, err = command("evaluate", *opening, *data(pictures))
    assert status == 0, err
    assert all(class_name in out for class_name in CLASS_NAMES)
    status, out, err = command("plan", f"{name}.yaml", *opening, *data(pictures))
    assert status == 0, err
    study = f"out_{name}"
    run = ["run", f"{name}.yaml", *opening, *data(pictures), "--out", study, "--batch-size", 2]
    status, out, err = command(*run, "--verify", 1, "--replicates", 20)
    assert status == 0, err
    assert (place / study / "report.html").is_file()
    results = dd.Study.open(place / study).measure(replicates=20)
    assert len(results.summary) == 1 + 1 + 8 + 1
    # The run goes on with the same model only.
    status, out, err = command(*run, "--replicates", 20)
    assert status == 0, err
    for part in build(name, seed=1):
        part.save_pretrained(place / "other")
    other = [f"model={place / 'other'}" if word == f"model={name}" else word for word in run]
    status, out, err = command(*other)
    assert status != 0
    assert "weights" in err


@pytest.mark.parametrize("study", ["layer_knockout", "leave_one_head_out"])
@pytest.mark.parametrize("name", FAMILIES)
def test_shipped_studies_run(name: str, study: str, command: Any, place: Path, pictures: list[Path]) -> None:
    out = f"{study}_{name}"
    run = ["run", study, "--adapter", "transformers", "-o", f"model={name}", *data(pictures), "--out", out]
    status, _, err = command(*run, "--batch-size", 2, "--verify", 1, "--replicates", 20)
    assert status == 0, err
    log = [json.loads(line) for line in (place / out / "log.jsonl").read_text().splitlines()]
    assert log[-1]["verified"] > 10, "every pass was compared with a full one"


def test_the_study_names_the_detector(command: Any, place: Path, pictures: list[Path]) -> None:
    named = f"detector: {{adapter: transformers, options: {{model: {place / 'detr'}}}}}\n"
    (place / "named.yaml").write_text(SPEC + named)
    status, _, err = command("plan", "named.yaml", *data(pictures))
    assert status == 0, err


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("model=nowhere/at/all", "is no folder here, and cannot be an id on the Hub"),
        ("modle=detr", "Near matches of 'modle': model"),
        ("device=gpu", "needs 'model'"),
    ],
)
def test_wrong_options_end_in_one_line(option: str, text: str, command: Any) -> None:
    status, _, err = command("inspect", "--adapter", "transformers", "-o", option)
    assert status != 0
    assert text in err
    assert len(err.strip().splitlines()) == 1


def test_copies_with_ablated_weights_are_folders(command: Any, place: Path, pictures: list[Path]) -> None:
    component = "bbox_predictor.layers.0.weight"
    ablate = ["ablate", "component", "detr", component, "--adapter", "transformers", "--out", "copies"]
    status, _, err = command(*ablate)
    assert status == 0, err
    copy = place / "copies" / f"{component}_component"
    before, after = load_file(place / "detr" / "model.safetensors"), load_file(copy / "model.safetensors")
    assert {name for name in before if not torch.equal(before[name], after[name])} == {component}
    assert not after[component].any()
    record = json.loads((copy / "deep_dissect.json").read_text())
    assert record["components"] == [component]
    assert record["source"] == "detr"
    detector = open_transformers(place / "detr")
    with detector.ablated(components=component):
        expected = detector.predict(pictures[0])
    assert np.array_equal(open_transformers(copy).predict(pictures[0]).boxes, expected.boxes)
    status, _, err = command(*ablate)
    assert status != 0
    assert "exists already" in err
    assert command(*ablate, "--force")[0] == 0
    status, _, err = command(
        "ablate",
        "units",
        "detr",
        component,
        "-p",
        50,
        "--seed",
        3,
        "--adapter",
        "transformers",
        "--out",
        "copies",
    )
    assert status == 0, err
    assert (place / "copies" / f"{component}_element_50_0_seed3" / "config.json").is_file()


def test_tied_weights_stay_tied_in_a_copy(command: Any, place: Path, pictures: list[Path]) -> None:
    for part in build("d_fine"):
        part.save_pretrained(place / "d_fine")
    component = "model.decoder.class_embed.0.weight"
    words = ["ablate", "component", "d_fine", component, "--adapter", "transformers", "--out", "copies"]
    status, _, err = command(*words)
    assert status == 0, err
    model = open_transformers(place / "copies" / f"{component}_component").model
    assert not model.class_embed[0].weight.any()
    assert model.class_embed[0].weight is model.model.decoder.class_embed[0].weight


def test_variants_of_a_study_are_exported(command: Any, place: Path, pictures: list[Path]) -> None:
    words = [
        "export",
        "detr.yaml",
        "embeddings*",
        "--out",
        "exported",
        "--adapter",
        "transformers",
        "-o",
        "model=detr",
    ]
    status, _, err = command(*words, *data(pictures))
    assert status == 0, err
    (copy,) = (place / "exported").iterdir()
    assert not open_transformers(copy).model.bbox_predictor.layers[0].weight.any()


def test_the_example_of_the_readme_runs(place: Path, pictures: list[Path]) -> None:
    readme = Path(__file__).parents[2] / "packages" / "dissect-transformers" / "README.md"
    (block,) = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name, stand_in in (("PekingU/rtdetr_r18vd", place / "rt_detr"), ("street.jpg", pictures[0])):
        assert name in block
        block = block.replace(name, stand_in.as_posix())
    names: dict[str, Any] = {}
    exec(compile(block, str(readme), "exec"), names)
    assert len(names["found"].scores) == 10


def test_nothing_but_folders_of_its_own_is_replaced(place: Path, tmp_path: Path) -> None:
    from dissect_core import CheckpointError
    from dissect_transformers.tools import TransformersCheckpoint

    checkpoint = TransformersCheckpoint(open_transformers(place / "detr"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(CheckpointError, match=r"must be a new folder, or one with deep_dissect\.json"):
        checkpoint.write(checkpoint.weights, {}, tmp_path / "mine")
    assert not any((tmp_path / "mine").iterdir())
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.write(checkpoint.weights, {}, tmp_path / "no" / "where")
