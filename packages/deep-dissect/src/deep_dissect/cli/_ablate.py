"""``deep-dissect ablate``: write checkpoints with parts of the model removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from dissect_core import (
    Component,
    HeadPart,
    Mask,
    UnitError,
    head_masks,
    sample_units,
    select_components,
    unit_count,
    unit_mask,
    unknown_component,
    variant_rng,
)
from dissect_core.anatomy import shape_units
from dissect_core.detectors import adapter_tools

from ._console import note
from ._opening import Opening, opens_detector
from ._options import COUNT_AT_MOST, ForceOption, SeedOption
from ._source import Source

app = typer.Typer(
    help="Write ablated checkpoints: single units, attention heads, whole components, layers one after another.\n\n"
    "The original file is never changed. Each file written records in meta['deep_dissect'] what was removed.",
    no_args_is_help=True,
    add_completion=False,
)

OutOption = Annotated[
    Path,
    typer.Option("--out", help="Folder for the checkpoints; made if it is missing.", show_default=False),
]
PutOption = Annotated[
    Literal["zero", "mean", "shuffle", "noise"],
    typer.Option(
        "--intervention",
        help="What replaces removed values: 0, the component's mean, the same values in another order, or noise of the "
        "component's mean and deviation.",
    ),
]
RepeatsOption = Annotated[
    int, typer.Option("--repeats", min=1, max=1_000_000, help="Draw this many variants.")
]
PercentOption = Annotated[
    float, typer.Option("--percent", "-p", help="Share of the units to remove, 0 to 100.")
]


SEGMENTS = 8  # a row, as in Deep Dissect 1.0
CPU = ("device", "classes")
"""Options without a use here, since nothing is detected."""
WEIGHTS_ALONE = (*CPU, "config", "allow_missing", "custom_imports")
"""Options without a use where no model is built."""


@app.command()
@opens_detector(argument="needed", leave_out=WEIGHTS_ALONE)
def units(
    opening: Opening,
    component: Annotated[
        str, typer.Argument(help="Component, for instance query_embedding.weight.", show_default=False)
    ],
    percent: PercentOption,
    out: OutOption,
    unit: Annotated[
        Literal["element", "row", "column", "segment"],
        typer.Option("--unit", help="What is counted; a segment is an equal part of a row (--segments)."),
    ] = "element",
    segments: Annotated[
        int, typer.Option("--segments", min=1, max=COUNT_AT_MOST, help="Segments a row, for --unit segment.")
    ] = SEGMENTS,
    repeats: RepeatsOption = 1,
    seed: SeedOption = 0,
    intervention: PutOption = "zero",
    force: ForceOption = False,
) -> None:
    """Remove a random share of a component's units: elements, rows, columns or row segments."""
    source = _source_of(opening)
    matching = select_components(source.components, component)
    if len(matching) != 1:
        raise UnitError(
            f"COMPONENT must name one component, {component!r} matches {len(matching)}: "
            f"{', '.join(c.name for c in matching[:4])}, ... Units are drawn from one at a time."
        )
    (found,) = matching
    cut_in_segments = shape_units(unit).has_segments
    if cut_in_segments and found.shape[-1] % segments:
        raise UnitError(
            f"--segments must divide the {found.shape[-1]} columns of {found.name}, got {segments}."
        )
    per_row = segments if cut_in_segments else None
    n_units = unit_count(found.shape, unit, segments_per_row=per_row)
    for repeat in range(repeats):
        variant = f"{found.name}/{unit}/{percent:g}/{repeat}"
        drawn = sample_units(
            n_units, variant_rng(seed, variant), fraction=_fraction(percent), rounding="nearest"
        )
        masks = {found.name: unit_mask(found.shape, unit, drawn, segments_per_row=per_row)}
        record = {"unit": unit, "percent": percent, "units": drawn.tolist(), "seed": seed}
        record |= {"segments": segments} if cut_in_segments else {}
        cut = f"{unit}{segments}" if cut_in_segments and segments != SEGMENTS else unit
        file = f"{found.name}_{cut}_{percent:g}_{repeat}"
        source.write(out / file, masks, variant, record, intervention, force=force)


@app.command()
@opens_detector(argument="needed", leave_out=CPU)
def heads(
    opening: Opening,
    block: Annotated[
        str,
        typer.Argument(
            help="Attention block, for instance encoder.layers.0.self_attn.attn.", show_default=False
        ),
    ],
    out: OutOption,
    head: Annotated[
        list[int] | None, typer.Option("--head", help="Head to remove, from 0; can be repeated.")
    ] = None,
    percent: Annotated[
        float | None, typer.Option("--percent", "-p", help="Or a random share of the heads, 0 to 100.")
    ] = None,
    part: Annotated[
        Literal["output", "value", "query", "key", "all"],
        typer.Option(
            "--part", help="output and value remove the head exactly; query and key flatten its attention."
        ),
    ] = "output",
    repeats: RepeatsOption = 1,
    seed: SeedOption = 0,
    intervention: PutOption = "zero",
    force: ForceOption = False,
) -> None:
    """Remove attention heads exactly, as the block's own layout defines them."""
    if (percent is None) == (not head):
        raise UnitError("give either --head (one or more) or --percent.")
    if head and repeats > 1:
        raise UnitError(f"--repeats must be left out with --head, where nothing is drawn, got {repeats}.")
    source = _source_of(opening, with_model=True)
    layouts = source.checkpoint.anatomy.attention
    if block not in layouts:
        raise unknown_component(block, layouts, what="attention block")
    layout = layouts[block]
    if head and not all(0 <= number < layout.n_heads for number in head):
        raise UnitError(f"--head must be from 0 to {layout.n_heads - 1}, the heads of {block}, got {head}.")
    if head and len(set(head)) < len(head):
        raise UnitError(f"--head must name each head once, got {', '.join(map(str, head))}.")
    note(source.checkpoint.loaded)
    for repeat in range(repeats if percent is not None else 1):
        label = f"{percent:g}_{repeat}" if percent is not None else "-".join(map(str, head or []))
        variant = f"{block}/head/{part}/{label}"
        chosen: Sequence[int] = head or []
        if percent is not None:
            rng = variant_rng(seed, variant)
            chosen = sample_units(
                layout.n_heads, rng, fraction=_fraction(percent), rounding="nearest"
            ).tolist()
        masks = head_masks(layout, chosen, _part(part))
        record = {"unit": "head", "part": part, "units": list(chosen), "seed": seed}
        source.write(out / f"{block}_head_{part}_{label}", masks, variant, record, intervention, force=force)


@app.command("component")
@opens_detector(argument="needed", leave_out=WEIGHTS_ALONE)
def component_(
    opening: Opening,
    component: Annotated[
        str, typer.Argument(help="Component or glob, all of which is removed.", show_default=False)
    ],
    out: OutOption,
    bias: Annotated[
        Literal["keep", "remove"],
        typer.Option(
            "--bias",
            help="Whether the bias beside a weight goes too; kept, the block still gives a constant.",
        ),
    ] = "keep",
    intervention: PutOption = "zero",
    force: ForceOption = False,
) -> None:
    """Remove whole components."""
    source = _source_of(opening)
    found = list(select_components(source.components, component))
    if bias == "remove":
        found += [c for c in _biases_of(found, source.components) if c not in found]
    label = component.replace("*", "+") + ("_component_bias" if bias == "remove" else "_component")
    record = {"unit": "component", "components": [c.name for c in found], "bias": bias}
    masks = _whole(found)
    source.write(
        out / label,
        masks,
        f"{component}/component",
        record,
        intervention,
        force=force,
    )


@app.command()
@opens_detector(argument="needed", leave_out=WEIGHTS_ALONE)
def layers(
    opening: Opening,
    component: Annotated[
        str, typer.Argument(help="Component inside each layer, for instance self_attn.attn.in_proj_weight.")
    ],
    out: OutOption,
    stack: Annotated[str, typer.Option("--stack", help="Where the layers lie.")] = "encoder.layers",
    backwards: Annotated[bool, typer.Option("--backwards", help="Begin with the last layer.")] = False,
    intervention: PutOption = "zero",
    force: ForceOption = False,
) -> None:
    """Remove a component in more and more layers: one checkpoint for each number of layers."""
    source = _source_of(opening)
    by_name = {c.name: c for c in source.components}
    found: list[Component] = []
    while (name := f"{stack}.{len(found)}.{component}") in by_name:
        found.append(by_name[name])
    if not found:
        raise unknown_component(f"{stack}.0.{component}", by_name)
    order = found[::-1] if backwards else found
    direction = "backwards" if backwards else "forwards"
    for count in range(1, len(order) + 1):
        removed = [c.name for c in order[:count]]
        record = {"unit": "layer", "components": removed}
        file = f"{stack}_{component}_{direction}_{count}"
        variant = f"{stack}/{component}/{direction}/{count}"
        source.write(out / file, _whole(order[:count]), variant, record, intervention, force=force)


def _source_of(opening: Opening, *, with_model: bool = False) -> Source:
    """Read the checkpoint, and say which of its weights are ablated if it holds several sets."""
    request = opening.request()
    tools = adapter_tools(request.named.adapter)
    checkpoint = tools.checkpoint(request, with_model=with_model)
    if not with_model:
        note(checkpoint.told)
    return Source(checkpoint, tools.checkpoint_suffix)


def _fraction(percent: float) -> float:
    if not 0 <= percent <= 100:
        raise UnitError(f"--percent must be within 0 and 100, got {percent:g}.")
    return percent / 100


def _whole(components: Sequence[Component]) -> dict[str, Mask]:
    return {c.name: unit_mask(c.shape, "component", [0]) for c in components}


def _biases_of(weights: Sequence[Component], components: Sequence[Component]) -> list[Component]:
    """Return the biases that belong to weights: ``x.bias`` to ``x.weight``, ``in_proj_bias`` to ``in_proj_weight``."""
    names = {w.name.removesuffix("weight") + "bias" for w in weights if w.name.endswith("weight")}
    return [c for c in components if c.name in names]


def _part(part: str) -> HeadPart | Literal["all"]:
    return part  # type: ignore[return-value]  # typer has checked it against the same literals
