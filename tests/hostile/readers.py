"""Everything that reads a file of somebody else, with a file that it reads well and ways to damage it."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from hostile import mutate, seeds

Mutate = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
Work = Callable[[], Any]


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


def command(*words: str) -> Work:
    """A command of the user."""

    def work() -> None:
        from dissect_mmdet.cli import main

        main(list(words))

    return work


def guarded(read: Callable[[], Any]) -> Work:
    """A call from Python, whose errors are said as those of a command are."""

    def work() -> int:
        from dissect_mmdet.cli._main import run_guarded

        return run_guarded(read, debug=False)

    return work


def damaged(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change bytes, whatever they mean."""
    return mutate.mutate_bytes(data, rng, others)


def structured(
    parse: Callable[[bytes], Any], write: Callable[[Any], bytes], dictionary: Sequence[Any] = ()
) -> Mutate:
    """Change plain data in a file, mostly; now and then its bytes."""

    def change(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
        if rng.random() < 0.3:
            return mutate.mutate_bytes(data, rng, others)
        return write(mutate.mutate_data(parse(data), rng, dictionary))

    return change


def of_yaml(data: bytes) -> Any:
    """Plain data of a YAML file."""
    import yaml

    return yaml.safe_load(data)


def any_of(*ways: Mutate) -> Mutate:
    """One of several ways to damage a file."""
    return lambda data, rng, others: rng.choice(ways)(data, rng, others)


def in_archive(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change what lies in a zip archive: pickles as programs, all else as bytes."""

    def inner(name: str, content: bytes) -> bytes:
        if name.endswith(".pkl"):
            return mutate.mutate_pickle(content, rng)
        return mutate.mutate_bytes(content, rng, others)

    return mutate.mutate_zip(data, rng, inner)


def pickled(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """Change a pickle where its opcodes are."""
    return mutate.mutate_pickle(data, rng)


def table(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """Change a Parquet table as a table."""
    return mutate.mutate_parquet(data, rng)


def header(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """Change the header of a safetensors file."""
    n = int.from_bytes(data[:8], "little")
    changed = mutate.as_json(
        mutate.mutate_data(json.loads(data[8 : 8 + n]), rng, ("F32", "F64", "BF16", "__metadata__"))
    )
    return len(changed).to_bytes(8, "little") + changed + data[8 + n :]


def stored_config(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change the config that a checkpoint holds."""
    import io

    import torch

    if rng.random() < 0.15:
        text = mutate.mutate_bytes(mutate.as_python(seeds.CONFIG).encode(), rng, others).decode(
            "utf-8", "replace"
        )
    else:
        text = mutate.as_python(
            mutate.mutate_data(seeds.CONFIG, rng, ("ResNet", "DETR", {"type": "hostile_mark.Part"}, 10**8))
        )
    content = torch.load(io.BytesIO(data), weights_only=False)
    content["meta"]["cfg"] = text
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def numbers(folder: str = "study") -> None:
    """Print every number of a study, and what it detected."""
    from dissect_core.study import Study
    from dissect_eval.study import Settings, measure

    study = Study.open(folder)
    results = measure(study, settings=Settings(n_replicates=0), partial=True)
    for row in results.table.rows:
        print(row)
    for told in results.variants:
        print(json.dumps(told, default=str, sort_keys=True))
    print(study.progress(), study.class_names, [tuple(ref) for ref in study.images], study.bad_images())
    for variant in study.variants:
        digest = sha256()
        for image, found in sorted(study.found(variant).by_image().items()):
            digest.update(repr((image, [None if a is None else a.tolist() for a in found])).encode())
        print(variant, digest.hexdigest())


def run_again() -> None:
    """Go on with a study as its user does, and print its numbers."""
    with contextlib.redirect_stdout(None):
        seeds.write_study(Path())
    numbers()


def read_truth() -> None:
    """Measure detections against a truth."""
    from dissect_eval import Detections, GroundTruth, evaluate

    truth = GroundTruth.from_coco("truth.json")
    known = {int(i) for i in truth.image_ids} & {a["image_id"] for a in seeds.predictions()}
    ids = set(map(int, truth.category_ids))
    mine = [each for each in seeds.predictions() if each["image_id"] in known and each["category_id"] in ids]
    print(json.dumps(evaluate(truth, Detections.from_results(mine, truth)).to_dict()))
    json.dumps(truth.to_coco())


def read_predictions() -> None:
    """Measure the detections of a file."""
    from dissect_eval import Detections, GroundTruth, evaluate

    truth = GroundTruth.from_coco(seeds.truth())
    print(json.dumps(evaluate(truth, Detections.from_results("found.json", truth)).to_dict()))


def read_map(name: str) -> Callable[[], None]:
    """Read a class map and match classes by it."""

    def read() -> None:
        from dissect_eval import GroundTruth, match_classes, read_class_map

        match_classes(GroundTruth.from_coco(seeds.truth()), seeds.CLASSES, class_map=read_class_map(name))

    return read


def read_spec(name: str) -> Callable[[], None]:
    """Read a study and plan it on the bundled DETR."""

    def read() -> None:
        from dissect_core.plan import plan, plan_table
        from dissect_core.spec import load_spec
        from dissect_mmdet.studies import study_path

        anatomy = detr().anatomy
        print([row.to_dict() for row in plan_table(plan(load_spec(study_path(name)), anatomy), anatomy)])

    return read


_OPEN: list[Any] = []


def detr() -> Any:
    """The bundled DETR, opened once and for all children."""
    if not _OPEN:
        from dissect_mmdet import open_mmdet

        _OPEN.append(open_mmdet(checkpoint="demo:detr"))
    return _OPEN[0]


def look_at(name: str) -> Callable[[], None]:
    """Detect in an image."""

    def read() -> None:
        print(len(list(detr().predict([Path(name)]))))

    return read


def read_samples() -> None:
    """Measure what version 1.0 pickled."""
    import deep_dissect

    deep_dissect.calculate_average_giou_overall_and_save_results("s", "out_", 1)
    deep_dissect.calculate_average_f1_score_per_class_and_save_results("s", "out_", 1)


def read_reference() -> None:
    """Read activations that were gathered."""
    from dissect_core.torch import load_reference

    load_reference("reference.npz")


def write_reference(folder: Path) -> None:
    """Gather activations, and fit constants in their place, of a small model."""
    import torch
    from torch import nn

    from dissect_core import ActivationSite
    from dissect_core.torch import gather_reference

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    sites = [ActivationSite("2", "neuron"), ActivationSite("0", "component")]
    batches = [torch.rand(3, 4)]
    gather_reference(model, batches, lambda m, b: m(b), sites, keep=True).save(folder / "reference.npz")


def study(folder: Path) -> None:
    """A finished study."""
    seeds.write_study(folder)


def stopped(folder: Path) -> None:
    """A study that was stopped within a shard."""
    seeds.write_study(folder, batches=3)


def one(name: str, content: Callable[[], bytes]) -> Callable[[Path], object]:
    """A folder with a file."""

    def make(folder: Path) -> None:
        seeds.in_file(folder / name, content())

    return make


json_file = structured(json.loads, mutate.as_json)
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
        Reader("stored config run", "a.pth", checkpoint, guarded(_open_and_look), stored_config, 6),
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
    for kind in ("png", "jpg", "bmp", "webp", "tiff"):
        found.append(
            Reader(
                f"image {kind}",
                f"i.{kind}",
                one(f"i.{kind}", _picture(kind)),
                guarded(look_at(f"i.{kind}")),
                damaged,
                2,
            )
        )
    return found


def _picture(kind: str) -> Callable[[], bytes]:
    return lambda: seeds.picture(f".{kind}")


def _open_and_look() -> None:
    """Open a checkpoint by the config in it, pipeline and all, and detect."""
    from dissect_mmdet import open_mmdet

    Path("i.png").write_bytes(seeds.picture(".png"))
    print(len(list(open_mmdet(checkpoint="a.pth").predict(["i.png"]))))


def log(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change the entries of a log."""
    entries = [json.loads(line) for line in data.splitlines()]
    entries.append({"event": "failed", "shard": 0, "images": [0, 1], "error": "none", "time": "now"})
    entries = mutate.mutate_data(entries, rng, ("failed", "begun", "shard"))
    if not isinstance(entries, list):
        entries = [entries]
    return b"".join(json.dumps(entry).encode("utf-8", "surrogatepass") + b"\n" for entry in entries)


def make_study() -> None:
    """Run the toy study here."""
    with contextlib.redirect_stdout(None):
        seeds.write_study(Path())


def open_checkpoint() -> None:
    """Open a checkpoint by the config in it, and look into it as a study does."""
    from dissect_mmdet import open_mmdet

    detector = open_mmdet(checkpoint="a.pth")
    print(detector.class_names, len(detector.anatomy.components))
