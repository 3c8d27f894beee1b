"""Everything that reads a file of somebody else, with a file that it reads well and ways to damage it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostile import mutate, seeds
from hostile.damage import (
    Mutate,
    any_of,
    damaged,
    header,
    in_archive,
    json_file,
    log,
    of_yaml,
    pickled,
    stored_config,
    structured,
    table,
)
from hostile.work import (
    Work,
    command,
    guarded,
    look_at,
    numbers,
    open_and_look,
    read_map,
    read_predictions,
    read_reference,
    read_samples,
    read_simplified,
    read_spec,
    read_truth,
    run_again,
    small_model,
    tables,
)


@dataclass(frozen=True)
class Reader:
    """What reads a file.

    Attributes
    ----------
    name : str
    file : str
        The file, in the folder that `make` fills.
    make : callable
        Fills a folder with the file and what belongs to it. Readers with the same one share a folder.
    work : callable
        Reads it as a user's command does, from within the folder.
    mutate : callable
        Damages the content of the file.
    weight : int
        Share of the cases.
    equal : bool
        Whether what it prints is numbers, which must be those of the intact file, or none.
    """

    name: str
    file: str
    make: Callable[[Path], object]
    work: Work
    mutate: Mutate
    weight: int = 4
    equal: bool = False


def write_reference(folder: Path) -> None:
    """Gather activations, and fit constants in their place, of a small model."""
    import torch
    from torch import nn

    from dissect_core import ActivationSite
    from dissect_core.torch import gather_reference, save_reference

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    sites = [ActivationSite("2", "neuron"), ActivationSite("0", "component")]
    batches = [torch.rand(3, 4)]
    reference = gather_reference(model, batches, lambda m, b: m(b), sites, keep=True)
    save_reference(reference, folder / "reference.npz")


def write_simplified(folder: Path) -> None:
    """Take two heads out of a small model for good, and write what is left."""
    from dissect_core.plan import plan
    from dissect_core.spec import load_spec
    from dissect_core.torch import anatomy_of, save_simplified, simplify

    model = small_model()
    heads = {
        "name": "heads",
        "target": {"unit": "head", "components": "*"},
        "select": {"by": "indices", "indices": [0, 3]},
    }
    variant = plan(load_spec({"name": "two heads", "ablations": [heads]}), anatomy_of(model))[1]
    save_simplified(simplify(model, variant), folder, record={"measured": {"AP": 0.5}})


def study(folder: Path) -> None:
    """A finished study."""
    seeds.write_study(folder)


def measured(folder: Path) -> None:
    """A finished study with its tables."""
    from deep_dissect.report import write_results
    from dissect_eval.study import Settings, measure

    write_results(measure(seeds.write_study(folder), settings=Settings(n_replicates=0)))


def stopped(folder: Path) -> None:
    """A study that was stopped within a shard."""
    seeds.write_study(folder, batches=3)


def one(name: str, content: Callable[[], bytes]) -> Callable[[Path], object]:
    """A folder with a file."""

    def make(folder: Path) -> None:
        seeds.in_file(folder / name, content())

    return make


def picture(kind: str) -> Callable[[Path], object]:
    """A folder with an image."""
    return one(f"i.{kind}", lambda: seeds.picture(f".{kind}"))


shard = "study/detections/shard-00000.parquet"


def readers() -> list[Reader]:
    """All of them."""
    inspect = command("inspect", "a.pth")
    checkpoint = lambda folder: seeds.write_checkpoint(folder / "a.pth")  # noqa: E731
    config = lambda folder: (  # noqa: E731
        seeds.write_checkpoint(folder / "a.pth", {"state_dict": seeds.weights()}),
        seeds.in_file(folder / "c.json", mutate.as_json(seeds.CONFIG)),
        seeds.in_file(folder / "c.yaml", mutate.as_yaml(seeds.CONFIG)),
    )
    spec_words = (
        "each",
        "fraction",
        "pairs",
        "top",
        "zero",
        "mean",
        "head",
        "row",
        "encoder",
        "mmdet",
        {"adapter": "mmdet", "options": {"trust": True}},
    )
    found = [
        Reader("checkpoint", "a.pth", checkpoint, inspect, any_of(damaged, in_archive, in_archive), 8),
        Reader(
            "checkpoint legacy",
            "a.pth",
            lambda f: seeds.write_checkpoint(f / "a.pth", legacy=True),
            inspect,
            any_of(damaged, pickled),
            6,
        ),
        Reader(
            "bare state dict",
            "a.pth",
            lambda f: seeds.write_checkpoint(f / "a.pth", seeds.weights()),
            inspect,
            any_of(damaged, in_archive),
            4,
        ),
        Reader(
            "safetensors",
            "a.safetensors",
            lambda f: seeds.write_safetensors(f / "a.safetensors"),
            command("inspect", "a.safetensors"),
            any_of(damaged, header),
            5,
        ),
        Reader("stored config", "a.pth", checkpoint, inspect, stored_config, 12),
        Reader("stored config run", "a.pth", checkpoint, guarded(open_and_look), stored_config, 6),
        Reader(
            "config json",
            "c.json",
            config,
            command("inspect", "a.pth", "--config", "c.json"),
            structured(json.loads, mutate.as_json, ("hostile_mark.Part", {"_base_": "x.py"})),
            5,
        ),
        Reader(
            "config yaml",
            "c.yaml",
            config,
            command("inspect", "a.pth", "--config", "c.yaml"),
            structured(of_yaml, mutate.as_yaml, ("hostile_mark.Part",)),
            5,
        ),
        Reader(
            "spec yaml",
            "s.yaml",
            one("s.yaml", lambda: mutate.as_yaml(seeds.SPEC)),
            guarded(read_spec("s.yaml")),
            structured(of_yaml, mutate.as_yaml, spec_words),
            12,
        ),
        Reader(
            "spec json",
            "s.json",
            one("s.json", lambda: mutate.as_json(seeds.SPEC)),
            guarded(read_spec("s.json")),
            structured(json.loads, mutate.as_json, spec_words),
            6,
        ),
        Reader(
            "annotations",
            "truth.json",
            one("truth.json", lambda: mutate.as_json(seeds.truth())),
            guarded(read_truth),
            json_file,
            14,
        ),
        Reader(
            "predictions",
            "found.json",
            one("found.json", lambda: mutate.as_json(seeds.predictions())),
            guarded(read_predictions),
            json_file,
            8,
        ),
        Reader(
            "class map json",
            "m.json",
            one("m.json", lambda: mutate.as_json(seeds.CLASS_MAP)),
            guarded(read_map("m.json")),
            json_file,
            3,
        ),
        Reader(
            "class map yaml",
            "m.yaml",
            one("m.yaml", lambda: mutate.as_yaml(seeds.CLASS_MAP)),
            guarded(read_map("m.yaml")),
            structured(of_yaml, mutate.as_yaml),
            3,
        ),
        Reader(
            "class map csv",
            "m.csv",
            one("m.csv", seeds.class_map_csv),
            guarded(read_map("m.csv")),
            damaged,
            3,
        ),
        Reader(
            "samples of 1.0",
            "s0.pkl",
            one("s0.pkl", seeds.samples),
            guarded(read_samples),
            any_of(damaged, pickled, pickled),
            8,
        ),
        Reader(
            "reference",
            "reference.npz",
            write_reference,
            guarded(read_reference),
            any_of(damaged, in_archive),
            5,
        ),
        Reader("smaller model", "simplified.json", write_simplified, guarded(read_simplified), json_file, 6),
        Reader(
            "smaller model: weights",
            "model.safetensors",
            write_simplified,
            guarded(read_simplified),
            any_of(damaged, header),
            2,
        ),
        Reader(
            "study: shard", shard, study, guarded(numbers), any_of(damaged, damaged, table), 14, equal=True
        ),
        Reader(
            "study: plan",
            "study/plan.parquet",
            study,
            guarded(numbers),
            any_of(damaged, table),
            10,
            equal=True,
        ),
        Reader(
            "study: images",
            "study/images.parquet",
            study,
            guarded(numbers),
            any_of(damaged, table),
            6,
            equal=True,
        ),
        Reader("study: truth", "study/truth.json", study, guarded(numbers), json_file, 10, equal=True),
        Reader(
            "study: spec",
            "study/spec.yaml",
            study,
            guarded(numbers),
            structured(of_yaml, mutate.as_yaml, spec_words),
            6,
            equal=True,
        ),
        Reader(
            "study: environment", "study/environment.json", study, guarded(numbers), json_file, 10, equal=True
        ),
        Reader(
            "study: log",
            "study/log.jsonl",
            study,
            command("status", "study", "--json"),
            any_of(damaged, log),
            8,
        ),
        Reader(
            "study: part",
            "study/detections/part-00001-00002.parquet",
            stopped,
            guarded(numbers),
            any_of(damaged, table),
            6,
            equal=True,
        ),
        Reader(
            "tables: summary",
            "study/summary.parquet",
            measured,
            guarded(tables),
            any_of(damaged, table),
            4,
            equal=True,
        ),
        Reader("tables: about", "study/summary.json", measured, guarded(tables), json_file, 4, equal=True),
        Reader("run again: shard", shard, study, guarded(run_again), any_of(damaged, table), 6, equal=True),
        Reader(
            "run again: part",
            "study/detections/part-00001-00002.parquet",
            stopped,
            guarded(run_again),
            any_of(damaged, table),
            4,
            equal=True,
        ),
        Reader(
            "run again: environment",
            "study/environment.json",
            study,
            guarded(run_again),
            json_file,
            4,
            equal=True,
        ),
        Reader(
            "report", shard, study, command("report", "study", "--replicates", "0"), any_of(damaged, table), 1
        ),
        Reader(
            "report: truth",
            "study/truth.json",
            study,
            command("report", "study", "--replicates", "0"),
            json_file,
            1,
        ),
        Reader(
            "compare: plan",
            "study/plan.parquet",
            study,
            command("compare", "study", "study", "--json"),
            any_of(damaged, table),
            2,
        ),
        Reader(
            "export-coco",
            shard,
            study,
            command("export-coco", "study"),
            any_of(damaged, table),
            4,
            equal=True,
        ),
    ]
    found += [
        Reader(f"image {kind}", f"i.{kind}", picture(kind), guarded(look_at(f"i.{kind}")), damaged, 2)
        for kind in ("png", "jpg", "bmp", "webp", "tiff")
    ]
    return found
