"""Reading files of somebody else as users do, by commands and from Python."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from hostile import seeds

Work = Callable[[], Any]


def command(*words: str) -> Work:
    """A command of the user."""

    def work() -> None:
        from deep_dissect.cli import main

        main(list(words))

    return work


def guarded(read: Callable[[], Any]) -> Work:
    """A call from Python, whose errors are said as those of a command are."""

    def work() -> int:
        from deep_dissect.cli._main import run_guarded

        return run_guarded(read, debug=False)

    return work


def numbers(folder: str = "study") -> None:
    """Print every number of a study, and what it detected."""
    from dissect_core.store import Study
    from dissect_eval.study import Settings, measure

    study = Study.open(folder)
    results = measure(study, settings=Settings(n_replicates=0), partial=True)
    for row in results.table.rows:
        print(row)
    for told in results.variants:
        print(json.dumps(told, default=str, sort_keys=True))
    print(study.spec.model_dump_json())
    print(study.progress(), study.class_names, [tuple(ref) for ref in study.images], study.bad_images())
    for variant in study.variants:
        digest = sha256()
        for image, found in sorted(study.found(variant).by_image().items()):
            digest.update(repr((image, [None if a is None else a.tolist() for a in found])).encode())
        print(variant, digest.hexdigest())


def tables() -> None:
    """Print every number of the tables that a study's folder keeps."""
    from dissect_eval.study import StudyTables

    kept = StudyTables.read(Path("study"))
    for rows in (kept.summary, kept.errors, kept.per_class.to_pylist()):
        print(*rows, sep="\n")
    print(json.dumps(kept.about, default=str, sort_keys=True))


def make_study() -> None:
    """Run the toy study here."""
    with contextlib.redirect_stdout(None):
        seeds.write_study(Path())


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
        from deep_dissect.studies import study_path
        from dissect_core.plan import plan
        from dissect_core.spec import load_spec

        anatomy = detr().anatomy
        print([row.to_dict() for row in plan(load_spec(study_path(name)), anatomy).rows])

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


def small_model() -> Any:
    """Build a model, of which `seeds.write_simplified` writes a smaller one."""
    from torch import nn

    layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()


def read_simplified() -> None:
    """Load a smaller model into a fresh one, and run it."""
    import torch

    from dissect_core.torch import load_simplified

    load_simplified(small_model(), ".")(torch.zeros(1, 3, 8))


def open_checkpoint() -> None:
    """Open a checkpoint by the config in it, and look into it as a study does."""
    from dissect_mmdet import open_mmdet

    detector = open_mmdet(checkpoint="a.pth")
    print(detector.class_names, len(detector.anatomy.components))


def open_and_look() -> None:
    """Open a checkpoint by the config in it, pipeline and all, and detect."""
    from dissect_mmdet import open_mmdet

    Path("i.png").write_bytes(seeds.picture(".png"))
    print(len(list(open_mmdet(checkpoint="a.pth").predict(["i.png"]))))


def look_at_image(name: str) -> None:
    """Detect in an image, by its name."""
    look_at(name)()
