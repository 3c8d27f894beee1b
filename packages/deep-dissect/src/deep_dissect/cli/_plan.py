"""``deep-dissect plan``: what a study would do, before it does it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core.plan import PlanRow
from dissect_core.text import cut

from ..pipeline import spec_of
from ._console import Console, print_whole
from ._loaded import say_loaded, say_missing
from ._opening import Opening, opens_detector
from ._options import (
    COUNT_AT_MOST,
    AnnotationsOption,
    ClassMapOption,
    CocoOption,
    ImagesOption,
    StudyArgument,
    class_map_of,
)
from ._study import files_of, plan_of

if TYPE_CHECKING:
    from dissect_core.detectors import Detector


@opens_detector()
def plan_(
    study: StudyArgument,
    opening: Opening,
    images: ImagesOption = None,
    annotations: AnnotationsOption = None,
    coco: CocoOption = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", min=1, max=COUNT_AT_MOST, help="Images that the study will run over, for its cost."
        ),
    ] = 5000,
    every: Annotated[
        bool, typer.Option("--all", help="List every variant, not a line for each ablation.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every variant as JSON.")] = False,
    class_map: ClassMapOption = None,
) -> None:
    """Show which variants a study makes of a detector, what each masks, and about how long they take."""
    images, annotations = files_of(coco, images, annotations)
    spec = spec_of(study)
    detector = opening.open(spec)
    variants = plan_of(spec, detector, images, annotations, class_map_of(class_map))
    rows = variants.rows
    say_loaded(detector)
    if as_json:
        typer.echo(json.dumps([row.to_dict() for row in rows], indent=2))
        _say(variants.notes, Console(stderr=True, highlight=False, soft_wrap=True))
        return
    console = Console(highlight=False)
    say_missing(console, detector)
    if every:  # ids are for copying: wider than the screen rather than broken
        print_whole(_listing(rows))
    else:
        print_whole(_summary(rows))
    _say(variants.notes, Console(highlight=False, soft_wrap=True))
    for note in detector.anatomy.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    seconds = _seconds_per_image(detector)
    total = seconds * limit * len(rows)
    console.print(
        f"{len(rows):,} variants with the baseline. One image takes about {seconds:.3f} s here: {limit:,} images take "
        f"about {_duration(total)} in full passes."
    )


def _say(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _summary(rows: Sequence[PlanRow]) -> Table:
    controlled = any(row.kind == "control" for row in rows)
    right = ("variants", "units", "parameters", "share")
    table = Table(
        Column("ablation", min_width=23),
        Column("unit", no_wrap=True),
        *(Column(name, justify="right", no_wrap=True) for name in right),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="+ matched random controls" if controlled else None,
        caption_justify="left",
    )
    for name in dict.fromkeys(row.ablation for row in rows):
        own = [row for row in rows if row.ablation == name and row.kind == "ablation"]
        if not own:
            continue
        masked = [row.n_parameters for row in own if row.n_parameters is not None]
        shares = [row.share for row in own if row.share is not None]
        controls = sum(row.ablation == name and row.kind == "control" for row in rows)
        table.add_row(
            cut(name),
            own[0].unit,
            f"{len(own):,}" + (f" + {controls:,}" if controls else ""),
            f"{_range([row.n_units for row in own])} of {_range([row.n_available for row in own])}",
            _range(masked) if masked else "varies",
            _percent(shares) if shares else "varies",
        )
    return table


def _listing(rows: Sequence[PlanRow]) -> Table:
    right = (Column(name, justify="right", no_wrap=True) for name in ("units", "parameters", "share"))
    table = Table(Column("variant", no_wrap=True), "intervention", *right, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(
            cut(row.id),
            row.intervention if row.kind != "baseline" else "",
            f"{row.n_units:,} of {row.n_available:,}",
            "varies" if row.n_parameters is None else f"{row.n_parameters:,}",
            "" if row.share is None else f"{row.share:.2%}",
        )
    return table


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _percent(shares: Sequence[float]) -> str:
    low, high = f"{100 * min(shares):.2g}", f"{100 * max(shares):.2g}"
    return f"{low} %" if low == high else f"{low}–{high} %"


def _seconds_per_image(detector: Detector) -> float:
    """Time one pass over a random image of COCO's usual size, the fastest of a few."""
    from PIL import Image

    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.png"
        Image.fromarray(picture).save(path)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            for batch in detector.prepare([path]):
                detector.predict_batch(batch)
            times.append(time.perf_counter() - start)
    return min(times)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
