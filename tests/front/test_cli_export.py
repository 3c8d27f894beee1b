"""``deep-dissect export``: variants of a study as checkpoints of MMDetection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deep_dissect.cli import main
from deep_dissect.studies import shipped_studies
from dissect_core.plan import plan
from dissect_core.spec import load_spec
from dissect_mmdet import MMDetDetector, load_mmdet_checkpoint, open_mmdet
from helpers import DemoData


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_exported_files_detect_what_the_variants_do(
    tmp_path: Path, detr: MMDetDetector, demo_data: DemoData, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = "decoder cross-attention/head/each/*:3"
    assert run("export", "leave_one_head_out", pattern, "-w", "demo:detr", "--out", tmp_path) == 0
    assert "2,048 of 2,048 masked values changed" in capsys.readouterr().out
    spec = load_spec(shipped_studies()["leave_one_head_out"])
    variants = {v.id: v for v in plan(spec, detr.anatomy)}
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    batch = next(detr.prepare(demo_data.paths[:2], batch_size=2))
    for file in files:
        variant = variants[load_mmdet_checkpoint(file)["meta"]["deep_dissect"]["variant"]]
        with detr.ablated(variant):
            expected = detr.predict_batch(batch)
        found = open_mmdet(checkpoint=file, config=detr.config).predict_batch(batch)
        for one, other in zip(found, expected, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["layer_knockout", "*layers*"],
            "cannot be written as weights: no values of the parameters do what a bypassed",
        ),
        (
            ["layer_knockout", "sublayer"],
            "VARIANT 'sublayer' matches none of the study's 21 variants, such as 'subl",
        ),
        (["nothing", "*"], "A study must be a file or one of the shipped studies"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", *words, "-w", "demo:detr", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unless_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[Any] = [
        "export",
        "layer_knockout",
        "sublayers/*encoder.layers.0.ffn",
        "-w",
        "demo:dino",
        "--out",
        tmp_path,
    ]
    assert run(*words) == 0
    (file,) = tmp_path.iterdir()
    assert file.name == "sublayers_sublayer_each_encoder.layers.0.ffn.pth"
    assert run(*words) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(*words, "--force") == 0
