"""Taking out for good what a study found to be redundant: as much as can go before a metric falls too far.

Chosen on one half of the images and measured on the other: what was chosen as it cost little here costs more there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dissect_core import StudyChangedError, StudyError, sample_units, variant_rng
from dissect_core.detectors import DetectorRequest, open_detector
from dissect_core.engine import plan_study, weights_sha256
from dissect_core.plan import Chosen, Variant
from dissect_core.progress import MakeBar, no_bar
from dissect_core.spec import DetectorSpec
from dissect_core.storage import write_text_whole
from dissect_core.text import visible
from dissect_core.torch import (
    Simplified,
    describe_simplified as describe,
    load_simplified,
    save_simplified,
    simplify as simplify_model,
)
from dissect_eval import METRICS, Detections, GroundTruth, bootstrap, evaluate_variants
from dissect_eval.study import DEFAULT_METRIC, StudyDetections

from .data import CocoSplit
from .errors import FrontDoorError
from .pipeline import detector_of
from .study import Study

__all__ = [
    "Part",
    "Slimmed",
    "halves",
    "open_simplified",
    "removable",
    "require_new_folder",
    "simplify",
    "slim",
    "write_slimmed",
]

TIMED_PASSES = 5
LEAST_IMAGES = 10
"""Of a half: on fewer nothing is chosen, and no interval means anything."""


@dataclass(frozen=True)
class Slimmed:
    """A detector without what a study found to be redundant.

    Attributes
    ----------
    variant : Variant
        All that was removed.
    removed : mapping of str to tuple of int
        Units by place.
    metric : str
    before, after : float
        The metric on the images that are held out: those on which nothing was chosen.
    low, high : float
        Paired bootstrap interval of its change there, after − before.
    chosen_before, chosen_after : float
        The metric on the images on which was chosen what goes.
    n_images, n_chosen_on : int
        Images that are held out, and images on which was chosen.
    n_parameters_before, n_parameters_after : int
    flops_before, flops_after : int
        Of one pass over the first batch.
    seconds_before, seconds_after : float
        Of the same pass, the fastest of a few.
    n_bytes_before, n_bytes_after : int
        Of all weights.
    detector : Detector
        The smaller one.
    whole : Simplified
        The smaller model, as `dissect_core.torch.save_simplified` takes it.
    """

    variant: Variant
    removed: Mapping[str, tuple[int, ...]]
    metric: str
    before: float
    after: float
    low: float
    high: float
    chosen_before: float
    chosen_after: float
    n_images: int
    n_chosen_on: int
    n_parameters_before: int
    n_parameters_after: int
    flops_before: int
    flops_after: int
    seconds_before: float
    seconds_after: float
    n_bytes_before: int
    n_bytes_after: int
    detector: Any
    whole: Simplified

    def saved(self) -> dict[str, Any]:
        """Return every number, before and after, as plain data."""
        names = [one.name for one in fields(self) if one.type in ("int", "float", "str")]
        return {name: getattr(self, name) for name in names}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return what was saved and what it costs, in words: a name, before and after."""
        return [
            ("parameters", f"{self.n_parameters_before:,}", f"{self.n_parameters_after:,}"),
            ("bytes of weights", f"{self.n_bytes_before:,}", f"{self.n_bytes_after:,}"),
            ("GFLOP a pass", f"{self.flops_before / 1e9:.3g}", f"{self.flops_after / 1e9:.3g}"),
            ("ms a pass", f"{1000 * self.seconds_before:.1f}", f"{1000 * self.seconds_after:.1f}"),
            (f"{self.metric}, held-out images", f"{self.before:.3f}", f"{self.after:.3f}"),
        ]


class Part(NamedTuple):
    """Some of a study's images.

    Attributes
    ----------
    truth : GroundTruth
        Of these images.
    batches : callable
        Gives them prepared, one batch after the other, in the order of the truth.
    """

    truth: GroundTruth
    batches: Callable[[], Iterable[Any]]


def halves(truth: GroundTruth, seed: int) -> tuple[GroundTruth, GroundTruth]:
    """Images to choose on and images to report on: drawn apart by a study's seed, the same each time.

    Raises
    ------
    dissect_core.StudyError
        If there are too few of them.

    Examples
    --------
    >>> truth = GroundTruth.from_coco(
    ...     {"images": [{"id": i} for i in range(21)], "categories": [{"id": 1, "name": "a"}], "annotations": []}
    ... )
    >>> [part.n_images for part in halves(truth, 0)]
    [10, 11]
    """
    n = truth.n_images
    if n < 2 * LEAST_IMAGES:
        raise StudyError(
            f"What is to go is chosen on one half of the study's images and measured on the other: that takes at least "
            f"{2 * LEAST_IMAGES} images, the study has {n}. Run it on more."
        )
    chosen = sample_units(n, variant_rng(seed, "simplify/images"), count=n // 2)
    ids = truth.image_ids
    return truth.subset(ids[chosen].tolist()), truth.subset(np.delete(ids, chosen).tolist())


def removable(variants: Sequence[Variant], ablation: str) -> list[Variant]:
    """Variants of an ablation that take out one unit each, as `simplify` can for good.

    Raises
    ------
    dissect_core.StudyError
        If there are none.
    """
    own = [v for v in variants if v.kind == "ablation" and v.ablation == ablation]
    single = [
        v
        for v in own
        if v.n_units == 1 and v.pool.kind.removed_by and getattr(v.intervention, "kind", "") == "zero"
    ]
    if not single:
        names = list(dict.fromkeys(v.ablation for v in variants if v.kind == "ablation"))
        if not own:
            raise StudyError(f"There is no ablation {ablation!r} in this study, only: {', '.join(names)}.")
        raise StudyError(
            f"The ablation {ablation!r} must remove single heads, neurons, layers or sublayers (`by: each`), by "
            f"zero, so that they can be ranked. Ablations of this study: {', '.join(names)}."
        )
    return single


def simplify(
    study: Study | Path | str,
    ablation: str,
    detector: Any = None,
    *,
    metric: str = DEFAULT_METRIC,
    max_loss: float = 0.01,
    images: Path | str | None = None,
    batch_size: int = 1,
    jobs: int = 1,
    out: Path | str | None = None,
    trust: bool = False,
    say: Callable[[str], object] = print,
    bar: MakeBar = no_bar,
) -> Slimmed:
    """Remove the least missed heads, neurons or layers of a detector for good, and measure what that saves and costs.

    Units are ranked by what each cost alone on one half of the study's images, drawn with its seed; then as many of
    them go together as cost no more than `max_loss` there. What that costs is measured on the other half.

    Parameters
    ----------
    study : Study or path
        A study of single units: `select` is ``by: each``.
    ablation : str
        Name of the ablation whose units may go.
    detector : Detector, str, DetectorSpec or DetectorRequest, optional
        The detector that the study is of, as `run_study` takes it; left out, the one that the study names.
    metric : str
        What must not fall.
    max_loss : float
        By how much it may.
    images : path, optional
        Folder of the images; left out, where they were when the study was begun.
    batch_size : int
        Images of a batch.
    jobs : int
        Processes that measure variants side by side.
    out : path, optional
        New or empty folder for the smaller model, with a README that says how to load it; see `open_simplified`.
    trust : bool
        Let the study run code, as `run_study` does.
    say : callable
        Takes a line for each set that is tried, and notes.
    bar : callable
        Makes progress bars.

    Returns
    -------
    Slimmed

    Raises
    ------
    FrontDoorError
        If there is no such metric, no detector, or the images are not where they were.
    StudyChangedError
        If the study is of a detector with other weights.
    StudyError
        If the ablation does not remove single units, or not even one can go.

    Examples
    --------
    >>> slimmed = simplify("out/heads", "encoder heads", "demo:detr", max_loss=0.02, out="smaller")  # doctest: +SKIP
    >>> slimmed.n_parameters_after / slimmed.n_parameters_before  # doctest: +SKIP
    0.93
    """
    known = Study.open(study) if isinstance(study, (str, Path)) else study
    if out is not None:
        require_new_folder(Path(out), "`out`")
    if metric not in METRICS:
        raise FrontDoorError(f"`metric` must be one of {', '.join(METRICS)}, got {metric!r}.")
    given = detector_of(known.spec, detector, trust=trust)
    opened: Any = open_detector(given) if isinstance(given, DetectorRequest) else given
    if weights_sha256(opened.model) != known.facts["detector"].get("weights_sha256"):
        raise StudyChangedError(
            f"The study {known.path} is of another detector: its weights differ from these."
        )
    where = images or known.image_folder
    if where is None:
        raise FrontDoorError(
            "`images` must be the folder of the study's images, which are not where they were."
        )
    variants = removable(plan_study(known.spec, opened), ablation)
    found = StudyDetections(known)
    choosing, reporting = halves(found.truth, known.spec.seed)
    parts = [
        Part(truth, partial(opened.prepare, CocoSplit(truth, where).images, batch_size))
        for truth in (choosing, reporting)
    ]
    ids = choosing.image_ids.tolist()
    measured = known.measure(replicates=0, metrics=(metric,), images=ids, jobs=jobs, bar=bar).measured
    if measured.better_than_chance.text:
        say(f"warning: {measured.better_than_chance.text}")
    ranked = {variant.id for variant in variants}
    still = [row["id"] for row in measured.variants if row["no_op"] and row["id"] in ranked]
    if still:
        say(
            f"note: {len(still)} of the {len(ranked)} variants that are ranked changed nothing in the study, such as "
            f"{still[0]}: what they remove is not used there, which is no robustness"
        )
    say(
        f"chosen on {choosing.n_images} of the study's {found.truth.n_images} images, drawn with its seed; measured on "
        f"the other {reporting.n_images}"
    )
    slimmed = slim(
        opened,
        variants,
        {row.variant: row.difference for row in measured.table.select(metric=metric, category_id=None)},
        parts[0],
        parts[1],
        found.match.categories.tolist(),
        metric=metric,
        max_loss=max_loss,
        say=say,
    )
    if out is not None:
        write_slimmed(slimmed, Path(out), known, given if isinstance(given, DetectorRequest) else None)
    return slimmed


def write_slimmed(
    slimmed: Slimmed,
    folder: Path,
    study: Study,
    request: DetectorRequest | None = None,
    *,
    force: bool = False,
) -> None:
    """Write a smaller model to a folder: its weights, what was taken out, what that saves, and how to load it.

    Parameters
    ----------
    slimmed : Slimmed
    folder : Path
        New or empty.
    study : Study
        The study by which it was chosen.
    request : DetectorRequest, optional
        How the whole detector was opened, which `open_simplified` does again.
    force : bool
        Replace a smaller model that is there.
    """
    detector = None
    if request is not None:
        options = {**request.named.options, **request.options}
        detector = {"adapter": request.named.adapter, "options": {k: _plain(v) for k, v in options.items()}}
    record = {"study": study.spec.name, "detector": detector, "saved": slimmed.saved()}
    if (missing := study.facts["detector"].get("missing_weights")) is not None:
        record["missing_weights"] = missing
    save_simplified(slimmed.whole, folder, record=record, overwrite=force)
    text = _README.format(
        study=visible(study.spec.name),
        opening="" if detector is not None else ", dd.open_detector(...)",
        note=""
        if detector is not None
        else "Open the whole detector as before it was simplified, in the place of `...`.\n",
        saved="\n".join(f"| {name} | {before} | {after} |" for name, before, after in slimmed.rows()),
        removed="\n".join(
            f"- `{path}`: {', '.join(map(str, units))}" for path, units in slimmed.removed.items()
        ),
    )
    write_text_whole(folder / "README.md", text)


def require_new_folder(folder: Path, named: str, *, force: bool = False) -> None:
    """Refuse a folder that holds something, before hours of work; with `force` only one without a smaller model.

    Raises
    ------
    FrontDoorError
    """
    if folder.exists() and not folder.is_dir():
        raise FrontDoorError(f"{named} must be a new or empty folder, got the file {folder}.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not force:
        raise FrontDoorError(
            f"{named} must be a new or empty folder, but {folder} holds files. Choose another one."
        )
    if not (folder / "simplified.json").is_file():
        raise FrontDoorError(
            f"{named} must be a folder of a smaller model to replace it, but {folder} holds others."
        )


def open_simplified(folder: Path | str, detector: Any = None, *, trust: bool = False) -> Any:
    """Open the smaller detector that `simplify` wrote to a folder.

    Parameters
    ----------
    folder : path
    detector : Detector, str, DetectorSpec or DetectorRequest, optional
        The whole detector, just opened, or how to open it; left out, as it was opened when it was simplified.
    trust : bool
        Let the folder run code by what it says of how to open the detector, as `open_detector` does.

    Returns
    -------
    Detector
        It computes bit for bit what it did when it was saved, on the same device and with the same libraries.

    Raises
    ------
    FrontDoorError
        If the folder does not say how the whole detector is opened.
    CheckpointError
        If the folder is damaged, or of another detector.
    """
    said = describe(folder)["record"].get("detector")
    if detector is None and not isinstance(said, dict):
        raise FrontDoorError(
            f"`detector` must be given: {folder} does not say how the detector is opened that was simplified."
        )
    given: Any = detector if detector is not None else DetectorSpec.model_validate(said)
    if isinstance(given, str):
        given = DetectorSpec(adapter=given)
    opened: Any = given
    if isinstance(given, (DetectorSpec, DetectorRequest)):
        opened = open_detector(given, trust=trust)
    smaller: Any = load_simplified(opened, folder)
    return smaller


def _plain(value: Any) -> Any:
    """Return an option as JSON has it: files by their whole paths."""
    if isinstance(value, Path):
        return str(value.absolute())
    return value if isinstance(value, (str, int, float, bool, type(None))) else list(value)


_NOTE = "Open the whole detector as before it was simplified, in the place of `...`.\n"
_README = """# A smaller detector

Made by Deep Dissect from the study "{study}": what the study found to be redundant is gone for good.

```python
import deep_dissect as dd

detector = dd.open_simplified(".{opening}")   # or the path of this folder
found = detector.predict("image.jpg")
```

{note}
| | before | after |
|---|---|---|
{saved}

The metric is of images on which nothing was chosen. Removed units, by place:

{removed}

`model.safetensors` holds the weights, `simplified.json` what was taken out and all numbers; neither holds code.
"""


def slim(
    detector: Any,
    variants: Sequence[Variant],
    losses: Mapping[str, float],
    choosing: Part,
    reporting: Part,
    categories: Sequence[int],
    *,
    metric: str = DEFAULT_METRIC,
    max_loss: float = 0.01,
    say: Callable[[str], object] = print,
) -> Slimmed:
    """Remove the units that were missed least, as many as cost no more than `max_loss` together.

    Losses of single units do not add up, since what is left makes up for what is gone: so growing sets, from the least
    missed unit on, are measured, and the largest that holds is found by bisection. What the smaller detector is
    worth is then measured on other images.

    Parameters
    ----------
    detector : Detector
        A torch detector.
    variants : sequence of Variant
        From `removable`: one unit each, all of one pool.
    losses : mapping of str to float
        By the variant's id, the change of the metric without its unit alone, on the images of `choosing`.
    choosing, reporting : Part
        Images on which is chosen what goes, and others on which it is measured; see `halves`.
    categories : sequence of int
        Category id of each label; -1 for one that is not scored.
    metric : str
        Of `dissect_eval.METRICS`.
    max_loss : float
        Most that the metric may fall on the images of `choosing`.
    say : callable
        Takes a line for each set that is measured.

    Raises
    ------
    dissect_core.StudyError
        If not even one unit can go, or the metric is undefined on one of the halves.
    """
    undefined = [v.id for v in variants if not np.isfinite(losses[v.id])]
    if undefined:
        raise StudyError(
            f"{metric} is undefined on the {choosing.truth.n_images} images that are to choose on, first of "
            f"{undefined[0]}. Take another metric, or run the study on more images."
        )
    ranked = sorted(variants, key=lambda v: -losses[v.id])
    units = _leaving_one(ranked)
    prepared = list(choosing.batches())
    before = _value(_found(detector, prepared, choosing.truth, categories), choosing.truth, metric)

    def without(count: int) -> float:
        with detector.ablated(_together(ranked[0], units[:count])):
            value = _value(_found(detector, prepared, choosing.truth, categories), choosing.truth, metric)
        say(f"without {count} of {ranked[0].pool.n_units}: {metric} {value:.3f} ({value - before:+.3f})")
        return value

    low, high = 0, len(units)
    while low < high:  # `low` units are known to be redundant, more than `high` are known not to be
        count = (low + high + 1) // 2
        if before - without(count) <= max_loss:
            low = count
        else:
            high = count - 1
    if not low:
        raise StudyError(
            f"Not even {_where(ranked[0])} can be removed: {metric} falls by more than {max_loss:g} on the "
            f"{choosing.truth.n_images} images that it is chosen on. Allow more."
        )
    variant = _together(ranked[0], units[:low])
    batch = next(iter(prepared))
    smaller = simplify_model(
        detector.model,
        variant,
        run=lambda model, given: _raw(_with_model(detector, model), given),
        batch=batch,
    )
    other = _with_model(detector, smaller.model)
    assert smaller.flops_before is not None
    assert smaller.flops_after is not None
    chosen_after = _value(_found(other, prepared, choosing.truth, categories), choosing.truth, metric)
    others = list(reporting.batches())
    found = [_found(one, others, reporting.truth, categories) for one in (detector, other)]
    (change,) = bootstrap(reporting.truth, *found, metrics=[metric], seed=variant.seed)
    if not np.isfinite(change.estimate):
        raise StudyError(
            f"{metric} is undefined on the {reporting.truth.n_images} images that are held out. Take another metric, "
            "or run the study on more images."
        )
    return Slimmed(
        variant=variant,
        removed=variant.removed(),
        metric=metric,
        before=change.baseline,
        after=change.variant,
        low=change.low,
        high=change.high,
        chosen_before=before,
        chosen_after=chosen_after,
        n_images=reporting.truth.n_images,
        n_chosen_on=choosing.truth.n_images,
        n_parameters_before=smaller.n_parameters_before,
        n_parameters_after=smaller.n_parameters_after,
        flops_before=smaller.flops_before,
        flops_after=smaller.flops_after,
        seconds_before=_fastest(detector, batch),
        seconds_after=_fastest(other, batch),
        n_bytes_before=_n_bytes(detector.model),
        n_bytes_after=_n_bytes(smaller.model),
        detector=other,
        whole=smaller,
    )


def _found(
    detector: Any, prepared: Sequence[Any], truth: GroundTruth, categories: Sequence[int]
) -> Detections:
    found = [one for batch in prepared for one in detector.predict_batch(batch)]
    boxes = Detections.from_arrays(found, truth.image_ids.tolist(), list(categories))
    return boxes.subset(categories=truth.category_names)  # without classes that are not scored


def _value(found: Detections, truth: GroundTruth, metric: str) -> float:
    value: float = evaluate_variants(truth, {"": found}, metrics=[metric])[0].value
    return value


def _with_model(detector: Any, model: Any) -> Any:
    """Return the same detector with another model."""
    if model is detector.model:
        return detector
    make = getattr(detector, "with_model", None)
    if make is not None:
        return make(model)
    other = copy(detector)
    other.model = model
    return other


def _raw(detector: Any, batch: Any) -> Any:
    """Return every number that a detector's heads give, before any selection; its detections where it tells no more."""
    import torch

    raw = getattr(detector, "raw_outputs", None)
    if raw is not None:
        return raw(batch)
    with torch.no_grad():
        found = detector.predict_batch(batch)
    return [(torch.as_tensor(one.boxes), torch.as_tensor(one.scores)) for one in found]


def _n_bytes(model: Any) -> int:
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def _leaving_one(ranked: Sequence[Variant]) -> list[int]:
    """Units in their order, without the last one of every block of heads: a block with none is none."""
    chosen: list[int] = []
    taken: dict[str, int] = {}
    for variant in ranked:
        ((place, _),) = variant.pool.by_part(variant.units())
        taken[place.path] = taken.get(place.path, 0) + 1
        if not variant.pool.kind.last_one_stays or taken[place.path] < place.n_units:
            chosen += variant.units().tolist()
    return chosen


def _together(one: Variant, units: Sequence[int]) -> Variant:
    chosen = tuple(sorted(units))
    counts = np.array([place.parameters_per_unit * len(at) for place, at in one.pool.by_part(list(chosen))])
    return replace(
        one,
        id=f"{one.ablation}/redundant/{len(chosen)}",
        draw=Chosen(chosen),
        n_units=len(chosen),
        n_parameters=int(counts.sum()),
    )


def _where(variant: Variant) -> str:
    ((path, units),) = variant.removed().items()
    return path if variant.pool.kind.is_whole else f"{variant.pool.unit} {units[0]} of {path}"


def _fastest(detector: Any, batch: Any) -> float:
    times = []
    for _ in range(TIMED_PASSES):
        start = time.perf_counter()
        detector.predict_batch(batch)
        times.append(time.perf_counter() - start)
    return min(times)
