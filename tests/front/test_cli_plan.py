"""``deep-dissect plan``, ``schema`` and ``studies``, and the studies that are shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deep_dissect.cli import main
from deep_dissect.studies import shipped_studies
from dissect_core.plan import plan, reference_images, weight_norms
from dissect_core.spec import load_spec
from dissect_core.torch import gradient_scores
from dissect_eval import GroundTruth
from dissect_mmdet import open_mmdet
from dissect_mmdet.demo import DEMO_DETECTORS, demo_files
from helpers import DemoData


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def detectors() -> dict[str, Any]:
    files = {name: demo_files(name) for name in DEMO_DETECTORS}
    return {n: open_mmdet(config=f.config, checkpoint=f.checkpoint) for n, f in files.items()}


@pytest.mark.parametrize("study", sorted(shipped_studies()))
@pytest.mark.parametrize("name", DEMO_DETECTORS)
def test_shipped_studies_fit_the_bundled_detectors(study: str, name: str, detectors: dict[str, Any]) -> None:
    spec = load_spec(shipped_studies()[study])
    anatomy = detectors[name].anatomy
    if study == "deformable_sampling" and name == "detr":
        with pytest.raises(KeyError, match="There is no place with levels at all"):
            plan(spec, anatomy)
        return
    variants = plan(spec, anatomy)
    assert {v.ablation for v in variants} >= {a.name for a in spec.ablations}
    assert len({v.id for v in variants}) == len(variants)
    shapes = {c.name: c.shape for c in anatomy.components}
    paths = {path for path, _ in detectors[name].model.named_modules()}
    for variant in variants[1:]:
        assert variant.n_units
        assert set(variant.bypassed()) <= paths
        for edit in variant.edits():
            assert edit.mask.shape == shapes[edit.parameter]
            assert edit.mask.any()


def test_the_protocol_is_what_it_says(detectors: dict[str, Any]) -> None:
    spec = load_spec(shipped_studies()["paper_protocol"])
    variants = plan(spec, detectors["detr"].anatomy)
    per_ablation = {a.name: [v for v in variants if v.ablation == a.name] for a in spec.ablations}
    for name, own in per_ablation.items():
        counts = {v.n_units for v in own}
        assert {v.repeat for v in own} == set(range(5)), name
        assert len(counts) <= 7
        assert max(counts) == max(v.pool.n_units for v in own) * 0.9 // 1 or name != "query embeddings"


def test_plan_prints_a_line_for_each_ablation(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "paper_protocol", "--demo", "detr", "--limit", "100") == 0
    printed = " ".join(capsys.readouterr().out.split())
    for words in ("query embeddings query 35", "cross-attention head 35", "variants with the baseline"):
        assert words in printed
    assert "100 images take about" in printed


def test_a_narrow_screen_cuts_no_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert run("plan", "leave_one_head_out", "--demo", "detr") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "attention" in line]
    assert len(lines) == 3
    assert all(line.rstrip().endswith("0.17 %") for line in lines)


def test_plan_as_json_lists_every_variant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "leave_one_head_out", "--checkpoint", "demo:dino", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["id"] == "baseline"
    assert {row["kind"] for row in rows} == {"baseline", "ablation", "control"}
    assert all(0 < row["share"] < 1 for row in rows[1:])


def test_plan_says_where_a_control_would_mean_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "controls.json"
    heads = {"unit": "head", "components": "encoder.self_attn"}
    ablations = [
        {"name": "shares", "target": heads, "select": {"by": "count", "counts": 2}, "control": "random"},
        {"name": "each", "target": heads, "select": {"by": "each"}, "control": "random"},
    ]
    study.write_text(json.dumps({"name": "controls", "ablations": ablations}))
    assert run("plan", study, "--demo", "detr") == 0
    out = capsys.readouterr().out
    assert "note: shares: no controls, since `select.by: count` draws at random already" in out
    assert "note: each: no controls, since nothing is left to draw from" in out
    assert run("plan", study, "--demo", "detr", "--json") == 0
    told = capsys.readouterr()
    assert {row["kind"] for row in json.loads(told.out)} == {"baseline", "ablation"}
    assert "note: shares: no controls" in told.err


def test_plan_by_weight_norm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "norms.json"
    ablation = {
        "name": "strong neurons",
        "target": {"unit": "neuron", "components": "encoder.ffn"},
        "select": {"by": "top", "score": "weight_norm", "fractions": [0.1]},
        "control": "random",
    }
    study.write_text(json.dumps({"name": "norms", "ablations": [ablation]}))
    assert run("plan", study, "--demo", "detr", "--all") == 0
    assert "strong neurons/neuron/top-weight_norm/0.1" in capsys.readouterr().out


def test_plan_by_gradients_takes_images_with_truth(
    tmp_path: Path, demo_data: DemoData, detectors: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "gradients.json"
    heads = {"unit": "head", "components": "decoder.cross_attn"}
    ablations = [
        {
            "name": score,
            "target": heads,
            "select": {"by": "top", "score": score, "counts": [count]},
        }
        for count, score in enumerate(("weight_gradient", "head_importance", "weight_norm"), 2)
    ]
    study.write_text(json.dumps({"name": "g", "reference": {"images": 2}, "ablations": ablations}))
    assert run("plan", study, "--demo", "detr") == 2
    assert "selects by head_importance, weight_gradient, which takes images with" in capsys.readouterr().err
    data = ["--images", demo_data.images, "--annotations", demo_data.annotations]
    assert run("plan", study, "--demo", "detr", "--json", *data) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["ablation"] for row in rows[1:]] == ["weight_gradient", "head_importance", "weight_norm"]
    # The same images, in another order of doing it.
    truth = GroundTruth.from_coco(demo_data.annotations)
    spec, detector = load_spec(study), detectors["detr"]
    chosen = [demo_data.images / truth.file_names[i] for i in reference_images(spec, truth.n_images)]
    assert len(chosen) == 2
    batches = detector.prepare_with_truth(chosen, truth)
    scores = gradient_scores(
        detector.model, batches, lambda _model, batch: detector.loss(batch), spec, detector.anatomy
    )
    weights = {name: value.detach().numpy() for name, value in detector.model.named_parameters()}
    scores |= weight_norms(spec, detector.anatomy, weights)
    assert [row["id"] for row in rows] == [v.id for v in plan(spec, detector.anatomy, scores)]


def test_the_schema_goes_to_screen_or_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "StudySpec"
    assert run("schema", "--out", tmp_path / "study.schema.json") == 0
    assert json.loads((tmp_path / "study.schema.json").read_text())["title"] == "StudySpec"
    assert "yaml-language-server" in capsys.readouterr().out


def test_studies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("studies") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in shipped_studies())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "paper"], "A study must be a file or one of the shipped studies (deformable_sampling"),
        (
            ["plan", "paper_protocol"],
            "a detector is needed: give --checkpoint (and --config), or --model NAME, or --demo detr",
        ),
        (
            ["plan", "paper_protocol", "--demo", "yolo"],
            "No bundled detector is called 'demo:yolo'. Near matches: 'demo:dino'. Installed are:",
        ),
        (["plan", "deformable_sampling", "--demo", "detr"], "There is no place with levels at all"),
    ],
)
def test_bad_use_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_bad_study_has_a_line_for_each_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "bad.yaml"
    study.write_text(
        "name: bad\nablations:\n- {name: a, target: {unit: head}, select: {by: fraction, fractions: 5}}\n"
    )
    assert run("plan", study, "--demo", "detr") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0] == f"error: {study} is not a valid study:"
    assert [line.strip() for line in lines[1:]] == [
        "ablations[0].target.components: must be given",
        "ablations[0].select.fractions: must be within 0 and 1, got 5. For 5 % write 0.05.",
    ]
