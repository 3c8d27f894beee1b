"""A panel's run and the command's are one: the same spec gives the same folder."""

from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")

from commands import call
from dissect_widgets import Workbench
from helpers import DemoData

SPEC = """
name: few heads
detector: {adapter: mmdet, options: {checkpoint: "demo:detr"}}
ablations:
  - name: encoder heads
    target: {unit: head, components: encoder.self_attn}
    select: {by: indices, indices: [1, 9]}
  - name: queries
    target: {unit: query, components: query_embedding}
    select: {by: fraction, fractions: [0.3, 0.9], repeats: 2}
"""


TIMED = {"environment.json", "log.jsonl"}


def written(folder: Path) -> dict[str, bytes]:
    """Everything in a study's folder but what tells when it was run, and how fast."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name not in TIMED}


def test_tables_and_report_of_a_panel_are_those_of_the_command(
    demo_data: DemoData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "few.yaml"
    spec.write_text(SPEC)
    images, annotations = demo_data
    data = ["-i", images, "--annotations", annotations, "--batch-size", 2, "--replicates", 30]
    status, _, err = call(capsys, "run", spec, *data, "--out", tmp_path / "command")
    assert status == 0, err
    bench = Workbench(study=spec, images=images, annotations=annotations, out=tmp_path / "panel")
    bench.detector.open()
    assert bench.detector.wait(120) == "open", bench.detector.details
    bench.inputs.batch_size, bench.inputs.replicates = 2, 30
    bench.run.start()
    assert bench.run.wait(300) == "done", bench.run.details
    bench.close()
    ours, theirs = written(tmp_path / "panel"), written(tmp_path / "command")
    assert ours.keys() == theirs.keys()
    assert {"report.html", "summary.csv", "summary.json", "per_class.parquet"} <= ours.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
