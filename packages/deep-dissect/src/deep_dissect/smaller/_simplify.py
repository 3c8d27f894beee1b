"""From a study to a smaller detector: what may go, on which images it is chosen, and on which it is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dissect_core import StudyChangedError
from dissect_core.arguments import checked_arguments
from dissect_core.detectors import DetectorRequest, open_detector
from dissect_core.engine import plan_study, weights_sha256
from dissect_core.names import near_hint
from dissect_core.progress import MakeBar, no_bar
from dissect_core.text import quoted
from dissect_eval import METRICS
from dissect_eval.study import DEFAULT_METRIC, StudyDetections

from ..data import CocoSplit
from ..errors import FrontDoorError
from ..pipeline import detector_of
from ..study import Study
from ._files import require_new_folder, write_slimmed
from ._slim import Part, Slimmed, halves, removable, slim


@checked_arguments()
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
    if not max_loss >= 0 or max_loss == math.inf:
        raise FrontDoorError(f"`max_loss` must be 0 or more, got {max_loss}.")
    if batch_size < 1:
        raise FrontDoorError(f"`batch_size` must be 1 or more, got {batch_size}.")
    known = study if isinstance(study, Study) else Study.open(study)
    if out is not None:
        require_new_folder(Path(out), "`out`")
    if metric not in METRICS:
        raise FrontDoorError(
            f"`metric` must be one of {', '.join(METRICS)}, got {quoted(metric)}.{near_hint(metric, METRICS)}"
        )
    given = detector_of(known.spec, detector, trust=trust)
    opened: Any = open_detector(given) if isinstance(given, DetectorRequest) else given
    if not hasattr(opened, "model"):
        raise FrontDoorError(
            f"`detector` must be a torch detector with its network as `model`, got {quoted(opened)}."
        )
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
            f"note: {len(still)} of the {len(ranked)} ranked variants changed nothing in the study, such as "
            f"{still[0]}: the model does not use what they remove, which says nothing about robustness"
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
