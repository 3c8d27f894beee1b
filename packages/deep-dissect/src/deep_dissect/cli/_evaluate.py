"""``deep-dissect evaluate``: measure a detector on a COCO-format data set."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core.detectors import ImageDetections, offered, open_detector
from dissect_core.progress import tqdm_bar
from dissect_core.storage import check_output, write_text_whole
from dissect_core.text import cut
from dissect_eval import Evaluation, GroundTruth, SplitWarning, evaluate as score, match_classes

from ..data import CocoSplit
from ..errors import FrontDoorError
from ._console import Console, lines_of, print_whole
from ._loaded import say_loaded, say_missing
from ._opening import Opening, opens_detector
from ._options import (
    COUNT_AT_MOST,
    AnnotationsOption,
    ClassMapOption,
    CocoOption,
    CommonClassesOption,
    ForceOption,
    class_map_of,
)
from ._study import files_of

COCO_ROWS = (("AP", "AP50", "AP75", "APs", "APm", "APl"), ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"))
CLASSES_AT_MOST = 1000
NAMES = {"f1": "F1", "f1_weighted": "F1", "matched_f1": "matched F1", "mean_giou": "GIoU"}  # in the tables


@opens_detector(leave_out=["demo"])
def evaluate(
    opening: Opening,
    annotations: AnnotationsOption = None,
    images: Annotated[
        Path | None, typer.Option("--images", "-i", help="Folder of the images.", show_default=False)
    ] = None,
    coco: CocoOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=COUNT_AT_MOST, help="Only the first images, by number."),
    ] = None,
    score_threshold: Annotated[
        float,
        typer.Option("--score-threshold", min=0.0, max=1.0, help="Score cut of F1, precision and recall."),
    ] = 0.3,
    iou_threshold: Annotated[
        float, typer.Option("--iou-threshold", min=0.0, max=1.0, help="Least IoU of a true positive in F1.")
    ] = 0.5,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=COUNT_AT_MOST, help="Images a batch.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all results as JSON instead of tables.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option("--save-detections", help="Also write the detections as a COCO results list."),
    ] = None,
    common_classes: CommonClassesOption = False,
    class_map: ClassMapOption = None,
    force: ForceOption = False,
) -> None:
    """Measure GIoU and F1, overall and per class, and COCO AP.

    F1, precision and recall count every miss and false positive. The matched GIoU and F1 are those of Deep Dissect
    1.0: over an optimal one-to-one matching that is blind to class, score and unmatched boxes; its chance level
    stands beside it.
    """
    images, annotations = files_of(coco, images, annotations)
    if images is None or annotations is None:
        raise FrontDoorError(
            "a detector is measured on images with their truth: give --images and --annotations, or --coco."
        )
    request = opening.request()
    data = CocoSplit(annotations, images, limit)
    truth = data.truth
    if save is not None:
        files = [Path(value) for value in request.options.values() if isinstance(value, str)]
        check_output(save, "--save-detections", force=force, inputs=(*files, annotations, *data.images))
    detector = open_detector(request)
    match = match_classes(
        truth, detector.class_names, common_classes=common_classes, class_map=class_map_of(class_map)
    )
    say_loaded(detector)
    found, sizes = _detected(detector, data.images, batch_size)
    detections = match.detections(found, truth.image_ids.tolist())
    n_dropped = sum(len(one.scores) for one in found) - detections.n_boxes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SplitWarning)  # the reasons are printed from the result
        result = score(match.truth, detections, iou_threshold=iou_threshold, score_threshold=score_threshold)
    if save is not None:
        write_text_whole(save, json.dumps(detections.to_results()))
    if not as_json:
        say_missing(Console(highlight=False), detector)
    chance = result.better_than_chance
    if chance is not None and chance.text:
        Console(stderr=as_json, soft_wrap=True, highlight=False).print(
            f"warning: {chance.text}", markup=False
        )
    if as_json:
        left_out = {
            "classes": list(match.unscored_classes),
            "categories": dict(match.unscored_categories or {}),
            "detections": n_dropped,
        }
        facts = offered(detector, "facts", {})
        told = {"left_out": left_out} if match.is_partial else {}
        missing = {"missing_weights": facts["missing_weights"]} if "missing_weights" in facts else {}
        typer.echo(json.dumps({**missing, **result.to_dict(), **told}, indent=2))
    else:
        _show(Console(highlight=False), result)
    if match.is_partial:
        Console(stderr=True, soft_wrap=True).print(f"note: {match.note(n_dropped)}", markup=False)
    for reason in (*_other_sizes(truth, sizes), *result.warnings):
        Console(stderr=True, soft_wrap=True).print(f"warning: {reason}", markup=False)


def _detected(
    detector: Any, images: Sequence[Path], batch_size: int
) -> tuple[list[ImageDetections], list[tuple[int, int] | None]]:
    """Return the detections of each image, and its size as it was read."""
    found: list[ImageDetections] = []
    sizes: list[tuple[int, int] | None] = []
    # If a model stops, `predict_named` says at which image.
    predict = offered(detector, "predict_named", detector.predict_batch)
    measure = offered(detector, "image_sizes")
    with tqdm_bar(len(images), "image") as bar:
        for batch in detector.prepare(images, batch_size):
            now = predict(batch)
            found += now
            sizes += [None] * len(now) if measure is None else measure(batch)
            bar.update(len(now))
    return found, sizes


def _show(console: Console, result: Evaluation) -> None:
    """Print the overall numbers, then a table per class, then reasons for doubt."""
    d, m, ap = result.detection, result.matched, result.ap
    console.print(
        f"{d.n_images} images, {d.n_truth} objects, {result.detections.n_detections} detections "
        f"({d.n_detections} counted at score ≥ {d.score_threshold:g})"
    )
    if ap is not None:
        for names in COCO_ROWS:
            table = _table(*(Column(name, justify="right", min_width=6) for name in names))
            table.add_row(*(_number(getattr(ap, name)) for name in names))
            print_whole(table)
    right = (Column(name, justify="right") for name in ("F1", "precision", "recall", "GIoU"))
    overall = _table("overall", *right)
    where = f"IoU ≥ {d.iou_threshold:g}, score ≥ {d.score_threshold:g}"
    for label, scores in (("micro", d.micro), ("macro", d.macro), ("weighted", d.weighted)):
        giou = _number(d.mean_giou) if label == "micro" else ""
        overall.add_row(
            f"{label} ({where})", _number(scores.f1), _number(scores.precision), _number(scores.recall), giou
        )
    overall.add_row("matched (Deep Dissect 1.0)", _number(m.f1_weighted), "", "", _number(m.mean_giou))
    if (chance := result.chance) is not None:
        overall.add_row(
            "micro, as many random boxes",
            *(_number(value) for value in (chance.f1, chance.precision, chance.recall)),
            "",
        )
        overall.add_row(
            "matched, as many random boxes", _number(chance.matched_f1), "", "", _number(chance.mean_giou)
        )
    print_whole(overall)
    numbers = ("objects", "AP", "F1", "prec.", "recall", "GIoU", "matched\nF1", "matched\nGIoU")
    classes = _table(
        Column("class", no_wrap=True), *(Column(lines_of(n), justify="right", no_wrap=True) for n in numbers)
    )
    shown = list(result.category_names)
    if len(shown) > CLASSES_AT_MOST:
        found = [key for key in shown if d.per_class[key].n_truth or d.per_class[key].n_detections]
        shown = found[:CLASSES_AT_MOST]
    for category in shown:
        own, name = d.per_class[category], result.category_names[category]
        classes.add_row(
            cut(name),
            str(own.n_truth),
            _number(_of(ap.per_class if ap else {}, category)),
            *(_number(value) for value in (own.f1, own.precision, own.recall, own.mean_giou)),
            _number(_of(m.f1_per_class, category)),
            _number(_of(m.giou_per_class, category)),
        )
    print_whole(classes)
    if len(shown) < len(result.category_names):
        more = len(result.category_names) - len(shown)
        console.print(
            f"… and {more:,} more classes, first of all those without an object or a detection; see --json"
        )
    for undefined, why in (*_undefined(result).items(), *_undefined_of_classes(result).items()):
        console.print(f"–: {undefined}: {why}", soft_wrap=True, markup=False)


def _table(*columns: Column | str) -> Table:
    return Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _undefined(result: Evaluation) -> dict[str, str]:
    """Return why numbers of the upper tables are undefined, by the names of those that share a reason."""
    reasons = dict(result.ap.undefined) if result.ap else {}
    for name, why in result.detection.undefined.items():
        kind, _, score = name.partition(".")
        if kind in ("micro", "macro", "weighted"):
            reasons[f"{kind} {NAMES.get(score, score)}"] = why
        elif kind == "mean_giou":
            reasons["micro GIoU"] = why
    for name, why in result.matched.undefined.items():
        if name in NAMES:
            reasons[f"matched {NAMES[name]}"] = why
    for name, why in result.chance.undefined.items() if result.chance else ():
        reasons[f"{NAMES.get(name, name)} of random boxes"] = why
    return _by_reason(reasons)


def _undefined_of_classes(result: Evaluation) -> dict[str, str]:
    """Return the same for the table of classes, where the row names the class."""
    reasons: dict[str, str] = {}
    for category, own in result.detection.per_class.items():
        values = {
            "AP": (_of(result.ap.per_class if result.ap else {}, category), "no object of the class"),
            "recall": (own.recall, "no object of the class"),
            "precision": (own.precision, "no detection of the class at or above the score cut"),
            "F1": (own.f1, "neither an object nor a detection of the class"),
            "GIoU": (own.mean_giou, "no true positive of the class"),
            "matched F1": (_of(result.matched.f1_per_class, category), "the class is in no matched pair"),
            "matched GIoU": (
                _of(result.matched.giou_per_class, category),
                "no matched pair agrees on the class",
            ),
        }
        reasons |= {f"class {name}": why for name, (value, why) in values.items() if np.isnan(value)}
    return _by_reason(reasons)


def _by_reason(reasons: Mapping[str, str]) -> dict[str, str]:
    return {
        ", ".join(n for n in reasons if reasons[n] == why): why for why in dict.fromkeys(reasons.values())
    }


def _other_sizes(truth: GroundTruth, sizes: Sequence[tuple[int, int] | None]) -> list[str]:
    """Warn of image files whose size differs from the annotation file's: their boxes would not fit."""
    read = np.array([size or (np.nan, np.nan) for size in sizes], dtype=np.float64).reshape(-1, 2)
    known = ~np.isnan(truth.image_sizes).any(axis=1) & ~np.isnan(read).any(axis=1)
    wrong = np.flatnonzero((read != truth.image_sizes).any(axis=1) & known)
    if not len(wrong):
        return []
    at = int(wrong[0])
    (width, height), (w, h) = read[at], truth.image_sizes[at]
    return [
        f"{len(wrong)} of {len(read)} images have another size than the annotation file says: "
        f"{truth.file_names[at]} has {width:g} × {height:g} pixels instead of {w:g} × {h:g}. Use the original images."
    ]


def _of(values: Mapping[int, float], category: int) -> float:
    return values.get(category, float("nan"))


def _number(value: Any) -> str:
    """Return three decimals; a dash for what is undefined."""
    return "–" if value is None or np.isnan(value) else f"{value:.3f}"
