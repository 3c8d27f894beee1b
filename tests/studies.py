"""Small studies for tests: of the toy detector in NumPy, and of a torch model that detects as little as can be."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dissect_core.detectors import ImageDetections
from dissect_core.engine import Listener, RunOptions, run
from dissect_core.progress import no_bar
from dissect_core.spec import DetectorSpec, StudySpec, load_spec, spec_to_yaml
from dissect_core.store import Study
from dissect_core.store._facts import fingerprint
from dissect_core.store._record import Record
from toy_detector import ToyDetector, read_ppm, write_scenes

SPEC = {
    "name": "toy",
    "seed": 3,
    "ablations": [
        {
            "name": "channels",
            "target": {"unit": "channel", "components": "features"},
            "select": {"by": "each"},
        },
        {
            "name": "weights",
            "target": {"unit": "element", "components": "classifier.weight"},
            "select": {"by": "fraction", "fractions": [0.2, 0.6], "repeats": 2},
            "interventions": ["zero", "noise"],
        },
    ],
}


def toy_spec(**changes: Any) -> StudySpec:
    """Six channels one by one, and two doses of noisy or missing weights: 15 variants with the baseline."""
    return load_spec({**SPEC, **changes})


def scenes(folder: Path, n: int) -> list[Path]:
    """Image files for the toy detector."""
    folder.mkdir(exist_ok=True)
    return [scene.path for scene in write_scenes(folder, n)]


def run_toy(images: Sequence[Path], out: Path | str, detector: Any = None, **options: Any) -> Study:
    """Run the toy study without a word."""
    options = {"batch_size": 2, "shard_images": 4, **options}
    return run_quietly(options.pop("spec", toy_spec()), detector or ToyDetector(), images, out, **options)


def run_quietly(
    spec: StudySpec, detector: Any, images: Sequence[Path], out: Path | str, **options: Any
) -> Study:
    """Run a study without a word; options of the run and of its listener are given by their names."""
    listener = {"bar": no_bar, "say": lambda _text: None, **_taken(Listener, options)}
    how = RunOptions(**_taken(RunOptions, options))
    return run(spec, detector, images, out, how, listener=Listener(**listener), **options)


def _taken(kind: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Take the fields of a class out of options."""
    return {field.name: options.pop(field.name) for field in fields(kind) if field.name in options}


def digests(folder: Path) -> dict[str, str]:
    """Checksums of a study's tables, by file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def edit_record(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a study has on record, as a version that meant it would have: the checksums fit."""
    content = json.loads((folder / "environment.json").read_text())
    change(content)
    record = Record(folder, content)
    record._write(content)


def name_detector(folder: Path, adapter: str, options: dict[str, Any]) -> None:
    """Let a study's folder name another detector, as a stranger would: the checksums fit."""
    spec = Study.open(folder).spec
    named = spec.model_copy(update={"detector": DetectorSpec(adapter=adapter, options=options)})
    content = spec_to_yaml(named).encode()
    (folder / "spec.yaml").write_bytes(content)
    edit_record(
        folder, lambda record: record["files"].update({"spec.yaml": hashlib.sha256(content).hexdigest()})
    )


def as_format(folder: Path, number: int, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Make of a study what a version before kept of it: no checksums, and what else is changed in its facts."""
    path = folder / "environment.json"
    content = json.loads(path.read_text())
    frozen = {**content["frozen"], "format": number}
    change(frozen)
    path.write_text(json.dumps({"frozen": frozen, "incidental": content["incidental"]}))
    for shard in (folder / "detections").glob("*.parquet"):
        with pq.ParquetFile(shard) as file:
            size, table = file.metadata.row_group(0).num_rows, file.read()
        mark = {b"dissect_core.study": fingerprint(frozen).encode()}
        pq.write_table(table.replace_schema_metadata(mark), shard, row_group_size=size)


def tables(study: Study) -> dict[str, bytes]:
    """Every table of a study by name, wherever it is kept."""
    places = [*study.path.glob("*.parquet"), *(study.path / "detections").glob("*.parquet")]
    return {place.name: place.read_bytes() for place in places}


class SlowToy(ToyDetector):
    """Takes its time, so that a run of it can be killed on the way."""

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        time.sleep(0.004)
        return super().predict_batch(batch)


class DegenerateToy(ToyDetector):
    """Adds boxes that are none to what it finds in every image: inverted, beyond all numbers, and without area."""

    BOXES = np.array([[30.0, 30, 10, 40], [5, 5, 4, 4], [0, 0, 1e200, 9], [7, 7, 7, 12]])

    def predict_batch(self, batch: Any) -> list[ImageDetections]:
        return [
            ImageDetections(
                np.concatenate([f.boxes, self.BOXES]),
                np.concatenate([f.scores, np.full(4, 0.9)]),
                np.concatenate([f.labels, np.zeros(4, dtype=np.int64)]),
            )
            for f in super().predict_batch(batch)
        ]


def tiny_torch_detector() -> Any:
    """A convolution, an attention over its cells and a few queries: a torch model with all that replay needs."""
    import torch
    from torch import nn

    from dissect_core.torch import ablated, anatomy_of

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.BatchNorm2d(8), nn.ReLU())
            self.encoder = nn.ModuleList(
                nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)
            )
            self.query_embed = nn.Embedding(5, 8)
            self.decoder = nn.ModuleList([nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)])
            self.head = nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            memory = self.backbone(x).flatten(2).transpose(1, 2)
            for layer in self.encoder:
                memory = layer(memory)
            queries = self.query_embed.weight.expand(len(x), -1, -1)
            for layer in self.decoder:
                queries = layer(queries, memory)
            return self.head(queries)

    class Detector:
        class_names = ("red", "green", "blue")

        def __init__(self) -> None:
            torch.manual_seed(0)
            self.model = Model().eval()
            self.anatomy = anatomy_of(self.model)

        def prepare(self, images: Sequence[Path | str], batch_size: int = 1) -> Iterator[Any]:
            for start in range(0, len(images), batch_size):
                pixels = np.stack([read_ppm(path) for path in images[start : start + batch_size]])
                yield torch.from_numpy(pixels.astype(np.float32) / 255).permute(0, 3, 1, 2)

        @torch.no_grad()
        def predict_batch(self, batch: Any) -> list[ImageDetections]:
            out = self.model(batch)
            scores, labels = out[..., 4:7].softmax(-1).max(-1)
            centre, size = out[..., :2].sigmoid() * 64, out[..., 2:4].sigmoid() * 32
            boxes = torch.cat([centre - size, centre + size], -1)
            return [
                ImageDetections(b.double().numpy(), s.double().numpy(), c.numpy())
                for b, s, c in zip(boxes, scores, labels, strict=True)
            ]

        def ablated(self, variant: Any, *, reference: Any = None) -> Any:
            return ablated(self.model, variant, reference=reference)

    return Detector()


if __name__ == "__main__":  # a run of its own, for tests that kill it
    image_folder, target = map(Path, sys.argv[1:3])
    print("ready", flush=True)
    run_toy(sorted(image_folder.glob("*.ppm")), target, SlowToy())
