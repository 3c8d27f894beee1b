"""Studies on a cluster as people meet them: the command line, the run panel, and `status` from anywhere."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import awkward
from commands import call
from dissect_core.store import Study
from s3_server import BUCKET
from studies import tables, toy_spec
from toy_detector import ToyDetector
from toy_split import write_split

SPEC = """
name: few heads
ablations:
  - name: encoder heads
    target: {unit: head, components: encoder.self_attn}
    select: {by: indices, indices: [1, 9]}
"""


def test_the_command_line_runs_a_study_and_tells_how_far_it_is(
    tmp_path: Path, nodes: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "few.yaml").write_text(SPEC)
    common = ["--demo", "detr", "--limit", 6, "--batch-size", 2, "--shard-images", 2, "--replicates", 0]
    place = f"s3://{BUCKET}/command/line"
    engine = ["--engine", "ray", "--address", nodes.address, "--workers", 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        status, out, err = call(capsys, "run", "few.yaml", *common, "--out", place, *engine)
        assert status == 0, err
        assert f"report: {place}/report.html" in out
        assert re.search(r"about \d+ s for 2 variants over 3 batches", err)
        status, _, err = call(capsys, "run", "few.yaml", *common, "--out", "here", "--engine", "local")
        assert status == 0, err
        shards = {n: b for n, b in tables(Study.open(place)).items() if n.startswith(("shard", "effects"))}
        assert shards == {n: b for n, b in tables(Study.open("here")).items() if n in shards}
        assert len(shards) == 4
    status, out, _ = call(capsys, "status", place)
    assert "complete; not running" in out
    status, out, _ = call(capsys, "status", place, "--json")
    told = json.loads(out)
    assert (told["batches_done"], told["batches"], told["failed_shards"]) == (3, 3, [])
    status, out, _ = call(capsys, "export-coco", place)
    assert json.loads(out)[0].keys() >= {"image_id", "bbox", "score"}
    status, out, _ = call(capsys, "compare", place, tmp_path / "here")
    assert status == 0


def test_what_was_given_up_is_named_by_the_command_and_by_status(
    tmp_path: Path,
    nodes: Any,
    capsys: pytest.CaptureFixture[str],
    images: list[Path],
    on_ray: Callable[..., Any],
) -> None:
    import studies
    from dissect_core import ShardsFailedError

    broken = [*images[:3], tmp_path / "bad.ppm"]
    broken[3].write_bytes(b"")
    with pytest.raises(ShardsFailedError):
        studies.run_toy(broken, tmp_path / "out", ToyDetector(), shard_images=2, execution=on_ray())
    status, out, _ = call(capsys, "status", tmp_path / "out")
    assert status == 0
    assert "1 of 2 batches (50%); not running" in out
    assert "given up: shard 1 (images 2 to 3): BadImageError" in out
    assert "run the study again to try them again" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "spark"], "--engine must be local or ray, got 'spark'"),
        (["--workers", 2], "--workers is for a cluster: add --engine ray"),
        (["--engine", "local", "--address", "auto"], "--address is for a cluster"),
        (
            ["--engine", "ray", "--cpus-per-worker", 0],
            r"--cpus-per-worker must be greater than 0, got 0",
        ),
        (
            ["--engine", "ray", "--address", "127.0.0.1:9"],
            r"'127.0.0.1:9' is no Ray cluster .* as `ray start",
        ),
        (
            ["--engine", "ray", "--out", "ftp://lab/x"],
            r"'ftp://lab/x' must be a path, or begin with file:// or s3://",
        ),
    ],
)
def test_wrong_words_are_one_line(
    words: list[Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.yaml").write_text(SPEC)
    if "127.0.0.1:9" in words:
        import ray

        monkeypatch.setattr(ray, "is_initialized", lambda: False)
    status, _, err = call(capsys, "run", "few.yaml", "--demo", "detr", "--limit", 2, *words)
    assert status == 2
    assert re.search(said, err)
    assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1


def test_the_run_panel_runs_a_study_on_a_cluster(tmp_path: Path, on_ray: Callable[..., Any]) -> None:
    pytest.importorskip("ipywidgets")
    from deep_dissect import CocoSplit
    from dissect_widgets import RunModel, StudyRunner

    split = write_split(tmp_path, 8)
    spec = toy_spec(execution=on_ray(workers=2).model_dump())
    runner = StudyRunner(
        CocoSplit(split.annotations, split.images),
        tmp_path / "out",
        awkward.SlowToy(),
        batch_size=2,
        replicates=10,
        trust=True,  # the spec names the cluster by its address
    )
    model = RunModel(spec, runner)
    seen: list[int] = []
    model.observe(lambda change: seen.append(change["new"]), "done")
    model.start()
    assert model.wait(120) == "done", model.error
    assert (model.done, model.total) == (4 * 15, 4 * 15)
    assert len(set(seen)) > 2, "progress on the way"
    assert (tmp_path / "out" / "summary.csv").exists()
    followed = RunModel(spec, runner)
    followed.attach(tmp_path / "out")
    assert (followed.state, followed.done) == ("done", 60)
    model.close()
    followed.close()


def test_the_run_panel_stops_a_study_on_a_cluster(tmp_path: Path, on_ray: Callable[..., Any]) -> None:
    pytest.importorskip("ipywidgets")
    from deep_dissect import CocoSplit
    from dissect_widgets import RunModel, StudyRunner

    split = write_split(tmp_path, 12)
    spec = toy_spec(execution=on_ray(workers=1).model_dump())
    data = CocoSplit(split.annotations, split.images)
    runner = StudyRunner(data, tmp_path / "out", awkward.SlowToy(0.1), batch_size=2, trust=True)
    model = RunModel(spec, runner)
    model.observe(lambda change: change["new"] > 20 and model.cancel(), "done")
    model.start()
    assert model.wait(120) == "cancelled", model.error
    done, wanted = Study.open(tmp_path / "out").progress()
    assert 0 < done < wanted
    model.close()
