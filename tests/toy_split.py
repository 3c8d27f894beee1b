"""A data split for the toy detector: images, and their truth as a COCO file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import studies
from dissect_eval import GroundTruth
from dissect_eval.study import Settings, StudyTables, measure
from toy_detector import COLOURS, HEIGHT, WIDTH, write_scenes


class Split(NamedTuple):
    """Where the images lie, their truth, and each image."""

    images: Path
    annotations: Path
    paths: list[Path]


def write_study(split: Split, out: Path, detector: Any = None, name: str = "toy") -> Path:
    """Run the toy study over a split, measure it, and write its tables: a folder for panels to look at."""
    truth = GroundTruth.from_coco(split.annotations)
    study = studies.run_toy(split.paths, out, detector, spec=studies.toy_spec(name=name), truth=truth)
    tables = StudyTables.of(measure(study, settings=Settings(n_replicates=50)))
    for file, data in tables.files().items():
        (study.path / file).write_bytes(data)
    return study.path


def write_split(root: Path, n: int) -> Split:
    """Draw scenes, and write what is in them; image ids have gaps, as those of COCO do."""
    (root / "images").mkdir()
    scenes = write_scenes(root / "images", n)
    content: dict[str, list[Any]] = {
        "images": [
            {"id": 7 * i, "file_name": s.path.name, "width": WIDTH, "height": HEIGHT}
            for i, s in enumerate(scenes)
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(COLOURS)],
        "annotations": [],
    }
    for i, scene in enumerate(scenes):
        for box, label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            entry = {"id": len(content["annotations"]) + 1, "image_id": 7 * i, "category_id": label + 1}
            size = [box[2] - box[0], box[3] - box[1]]
            content["annotations"].append(
                {**entry, "bbox": [*box[:2], *size], "area": size[0] * size[1], "iscrowd": 0}
            )
    (root / "truth.json").write_text(json.dumps(content))
    return Split(root / "images", root / "truth.json", [scene.path for scene in scenes])
