"""On a cluster a study gives what it gives in one process: byte for byte, however many workers there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import studies
from dissect_core.engine import PassDone
from dissect_core.spec import DetectorSpec, LocalExecution, load_spec
from dissect_core.storage.locations import location_of
from dissect_core.store import Study
from s3_server import BUCKET
from studies import tables
from toy_detector import QueryDetector


@pytest.mark.parametrize(("workers", "shard_images"), [(1, 4), (2, 1), (2, 7)])
def test_tables_are_equal_whatever_the_number_of_workers(
    images: list[Path],
    tmp_path: Path,
    on_ray: Callable[..., Any],
    workers: int,
    shard_images: int,
) -> None:
    whole = studies.run_toy(images, tmp_path / "local", shard_images=shard_images)
    passes: list[PassDone] = []
    study = studies.run_toy(
        images,
        tmp_path / "ray",
        shard_images=shard_images,
        execution=on_ray(workers=workers),
        watch=passes.append,
    )
    assert study.is_complete
    assert tables(study) == tables(whole)
    assert passes[-1][:2] == (12 * 15, 12 * 15)
    assert [p.done for p in passes] == sorted(p.done for p in passes)
    assert [entry["event"] for entry in study.log()] == ["started", "finished"]
    assert study.spec == whole.spec, "where it is computed is no part of a study"


def test_an_object_store_serves_as_well(images: list[Path], local: Study, on_ray: Callable[..., Any]) -> None:
    place = f"s3://{BUCKET}/cluster/same"
    study = studies.run_toy(images, place, execution=on_ray(workers=2))
    assert study.is_complete
    assert tables(study) == tables(local)
    assert Study.open(place).held_by is None
    assert {path.name for path in location_of(place).iterdir()} >= {
        "environment.json",
        "spec.yaml",
        "detections",
    }


def test_engines_take_turns(
    images: list[Path],
    local: Study,
    tmp_path: Path,
    on_ray: Callable[..., Any],
) -> None:
    """A study that was begun on a cluster goes on here, and the other way round."""
    out = tmp_path / "out"
    for execution in (on_ray(), LocalExecution()):
        study = studies.run_toy(images, out, execution=LocalExecution())
        for name in ("shard-00001.parquet", "shard-00004.parquet"):
            (study.path / "detections" / name).unlink()
        study = studies.run_toy(images, out, execution=execution)
        assert tables(study) == tables(local)


def test_detectors_with_queries_and_a_spec_that_names_the_engine(
    images: list[Path], tmp_path: Path, on_ray: Callable[..., Any]
) -> None:
    whole = studies.run_toy(images, tmp_path / "local", QueryDetector())
    spec = studies.toy_spec(execution=on_ray().model_dump())
    study = studies.run_toy(images, tmp_path / "ray", QueryDetector(), spec=spec, execution=spec.execution)
    assert tables(study) == tables(whole)
    assert study.found("baseline").queries is not None


@pytest.mark.slow
@pytest.mark.parametrize("by", ["a copy", "its spec"])
def test_torch_models_with_effects_references_and_fitted_constants(
    tmp_path: Path, on_ray: Callable[..., Any], by: str
) -> None:
    """A bundled detector: effects are those of the first batch, references are gathered once, by one worker."""
    pytest.importorskip("mmdet")
    import torch

    from dissect_eval import GroundTruth
    from dissect_mmdet import image_paths, open_mmdet
    from dissect_mmdet.demo import write_split

    folder, annotations = write_split(tmp_path / "data", "test", 8)
    truth = GroundTruth.from_coco(annotations)
    paths = image_paths(folder, truth.file_names)
    heads = {"unit": "head", "components": "encoder.self_attn"}
    spec = load_spec(
        {
            "name": "torch",
            "reference": {"images": 3},
            "ablations": [
                {
                    "name": "heads",
                    "target": heads,
                    "select": {"by": "top", "score": "head_importance", "counts": [1, 3]},
                    "interventions": [
                        "zero",
                        {"space": "activation", "kind": "mean"},
                        {"space": "activation", "kind": "resample"},
                        {"space": "activation", "kind": "optimal", "steps": 2},
                    ],
                }
            ],
        }
    )
    options: dict[str, Any] = {"spec": spec, "truth": truth, "batch_size": 2, "shard_images": 2}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        detector = open_mmdet(checkpoint="demo:detr")
        whole = studies.run_toy(paths, tmp_path / "local", detector, **options)
    finally:
        torch.set_num_threads(before)
    given = (
        DetectorSpec(adapter="mmdet", options={"checkpoint": "demo:detr"}) if by == "its spec" else detector
    )
    study = studies.run_toy(paths, tmp_path / "ray", given, execution=on_ray(workers=2), **options)
    assert tables(study) == tables(whole)
    assert study.effects is not None
    assert {entry["event"] for entry in study.log()} == {"started", "finished"}
    names = {path.relative_to(study.path).as_posix() for path in study.path.rglob("*.npz")}
    assert names == {path.relative_to(whole.path).as_posix() for path in whole.path.rglob("*.npz")}
    assert len(names) == 3
