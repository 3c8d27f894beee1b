"""Resolve a target on a model: find the parts in which its units lie."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

from ..anatomy import Anatomy, Block, Component, UnitGroup, head_group, is_inside, unit_count, unit_kind
from ..edits import Zero, ZeroActivation, is_activation
from ..errors import DissectError, PlanError
from ..spec import Ablation, ComponentTarget, HeadTarget, SegmentTarget, Target
from ._pool import Pool, PoolPart

__all__ = ["Space", "ablation_pool", "in_reach", "pool_of"]

Space: TypeAlias = Literal["weight", "activation"]


def pool_of(target: Target, anatomy: Anatomy, space: Space = "weight") -> Pool:
    """Return the units that a target offers on a model.

    Parameters
    ----------
    target : Target
    anatomy : Anatomy
    space : {"weight", "activation"}, default "weight"
        What is replaced. Activations belong to modules: those of queries to the layers that they flow through.

    Returns
    -------
    Pool

    Raises
    ------
    UnknownComponentError
        If a pattern matches nothing; near matches are named.
    PlanError
        If what it matches has no such units, or another number of parts was expected.
    UnitError
        If a shape has no such units.
    """
    kind = unit_kind(target.unit)
    if space == "activation" and kind.activation == "rows":
        parts = _parts_with_rows(target, anatomy)
    else:
        parts = FINDERS[kind.lies_in](target, anatomy)
    if space == "activation" and kind.activation == "whole":
        _require_modules(parts, anatomy)
    if space == "weight":
        _require_weights(parts, kind.plural)
    if target.expect is not None and len(parts) != target.expect:
        listed = ", ".join(part.path for part in parts[:8])
        raise PlanError(
            f"{', '.join(target.components)} must select {target.expect} components or blocks (`expect`), got "
            f"{len(parts)}: {listed}{', ...' if len(parts) > 8 else ''}. Correct the pattern or `expect`."
        )
    return Pool(target.unit, tuple(parts), _segments_per_row(target))


def ablation_pool(ablation: Ablation, anatomy: Anatomy) -> Pool:
    """Return the units that an ablation's target offers its interventions; errors name the ablation."""
    acting = any(is_activation(item) for item in ablation.interventions)
    try:
        return pool_of(ablation.target, anatomy, "activation" if acting else "weight")
    except DissectError as error:
        raise type(error)(f"In the ablation {ablation.name!r}: {error}") from error


def in_reach(ablation: Ablation, anatomy: Anatomy) -> Ablation:
    """Return an ablation that puts its zeros in activations if units of it lie in no weight, where that is the same.

    The heads of D-FINE's cross-attention for instance are parts of the features that pass. So a study of the heads of
    any model need not say where it acts.
    """
    kind, target = unit_kind(ablation.target.unit), ablation.target
    by_part = isinstance(target, HeadTarget) and target.part != "output"
    zeros = all(isinstance(intervention, Zero) for intervention in ablation.interventions)
    if not kind.zero_is_in_weights or by_part or not zeros:
        return ablation
    try:
        parts = FINDERS[kind.lies_in](target, anatomy)
    except DissectError:
        return ablation  # it is refused when it is resolved, with the name of the ablation
    if all(part.group is None or part.group.slices for part in parts):
        return ablation
    control = ablation.control
    if control is not None and control.match == "parameters":
        control = control.model_copy(update={"match": "units"})  # there are none to match
    return ablation.model_copy(update={"interventions": (ZeroActivation(),), "control": control})


def _parts_of_groups(groups: Sequence[UnitGroup]) -> list[PoolPart]:
    return [PoolPart(group.path, group.n_units, group.n_parameters, group=group) for group in groups]


def _in_attention(target: Target, anatomy: Anatomy) -> list[PoolPart]:
    paths = anatomy.paths_by(list(anatomy.attention), "attention block").select(target.components)
    part = target.part if isinstance(target, HeadTarget) else "output"
    layouts = {path: anatomy.attention[path] for path in paths}
    return _parts_of_groups(
        [
            # Without an output projection no weight holds what a head gives: it can be stepped into only.
            UnitGroup(path, "head", layout.n_heads, ())
            if part == "output" and part not in layout.parts
            else head_group(path, layout, part)
            for path, layout in layouts.items()
        ]
    )


def _in_groups(target: Target, anatomy: Anatomy) -> list[PoolPart]:
    having = {group.path: group for group in anatomy.groups if group.unit == target.unit}
    if having and not any(group.slices for group in having.values()):
        _require_weights(_parts_of_groups(list(having.values())), unit_kind(target.unit).plural)
    selector = anatomy.paths_by(list(having), f"place with {unit_kind(target.unit).plural}")
    return _parts_of_groups([having[path] for path in selector.select(target.components)])


def _in_blocks(target: Target, anatomy: Anatomy) -> list[PoolPart]:
    kind = unit_kind(target.unit)
    blocks = anatomy.select_blocks(target.components, kind.blocks)
    if kind.acts_by == "readout":
        blocks = _decoder_layers(target, blocks, anatomy)
    # A sublayer whose output projection is zero adds nothing to its layer: so weights can express its bypass, but not
    # that of a layer.
    silenced = [() if block.kind == "layer" else _output_projection(block, anatomy) for block in blocks]
    return [
        PoolPart(block.path, 1, block.n_parameters, silenced=parameters)
        for block, parameters in zip(blocks, silenced, strict=True)
    ]


def _in_parameters(target: Target, anatomy: Anatomy) -> list[PoolPart]:
    dims = {component.name: len(component.shape) for component in anatomy.components}
    least, segments = unit_kind(target.unit).least_dims, _segments_per_row(target)
    selector = anatomy.components_by()
    chosen = frozenset(selector.select(target.components, fits=lambda name: dims[name] >= least))
    parts = []
    for component in anatomy.components:
        if component.name in chosen:
            n = unit_count(component.shape, target.unit, segments_per_row=segments)  # type: ignore[arg-type]  # lies in parameters
            parts.append(PoolPart(component.name, n, component.n_parameters // max(n, 1), (component,)))
    return parts


def _segments_per_row(target: Target) -> int | None:
    return target.segments_per_row if isinstance(target, SegmentTarget) else None


def _as_components(target: Target, anatomy: Anatomy) -> list[PoolPart]:
    """Return whole blocks where a pattern names blocks, else single parameters."""
    keep_bias = isinstance(target, ComponentTarget) and target.bias == "keep"
    blocks, components = anatomy.blocks_by(), anatomy.components_by()
    parts: dict[str, tuple[Component, ...]] = {}
    for pattern in target.components:
        named = blocks.named(pattern)
        for path in (block.path for block in anatomy.blocks if block.path in named):
            inside = [c for c in anatomy.components if is_inside(c.name, path)]
            kept = tuple(c for c in inside if not (keep_bias and c.name.endswith("bias")))
            if kept:
                parts[path] = kept
        for name in () if named else components.select(pattern):
            component = anatomy.component(name)
            parts[name] = (component, *(() if keep_bias else _biases_of(component, anatomy)))
    return [PoolPart(path, 1, sum(c.n_parameters for c in found), found) for path, found in parts.items()]


FINDERS: Mapping[str, Callable[[Target, Anatomy], list[PoolPart]]] = {
    "parameter": _in_parameters,
    "component": _as_components,
    "attention": _in_attention,
    "group": _in_groups,
    "block": _in_blocks,
}
"""How the parts of a target are found, by where its units lie (`UnitKind.lies_in`)."""


def _biases_of(component: Component, anatomy: Anatomy) -> tuple[Component, ...]:
    """Return ``x.bias`` beside ``x.weight``, ``in_proj_bias`` beside ``in_proj_weight``."""
    if not component.name.endswith("weight"):
        return ()
    name = component.name.removesuffix("weight") + "bias"
    return tuple(c for c in anatomy.components if c.name == name)


def _parts_with_rows(target: Target, anatomy: Anatomy) -> list[PoolPart]:
    """Return the selected layers as parts: the activation of a query is a row that enters each of them."""
    groups = [group for group in anatomy.groups if group.unit == target.unit]
    sizes, units = {group.n_units for group in groups}, unit_kind(target.unit).plural
    if len(sizes) != 1:
        raise PlanError(
            f"Activations of {units} need a model with one set of {units}, got sets of {sorted(sizes)}. "
            "Replace their weights, or build the site yourself with `ActivationSite`."
        )
    embeddings = {group.path for group in groups}
    for pattern in target.components:
        if pattern in embeddings or pattern == "query_embedding":
            raise PlanError(
                f"{pattern!r} has no call that could be stepped into; activations of {units} enter decoder layers. "
                "Write `components: decoder.layer`, or leave `space` out."
            )
    blocks = anatomy.select_blocks(target.components, ("layer",))
    if others := [block.path for block in blocks if "decoder.layer" not in block.roles]:
        raise PlanError(
            f"{others[0]!r} is no layer of a decoder, whose rows are the {units}: elsewhere the rows are positions of "
            "the image, too. Write `components: decoder.layer`, or replace the weights of the embedding."
        )
    return [PoolPart(block.path, min(sizes), 0) for block in blocks]


def _decoder_layers(target: Target, blocks: Sequence[Block], anatomy: Anatomy) -> tuple[Block, ...]:
    """Return the layers to read out, after a check that they are one decoder stack's from one of them to the last."""
    asked = ", ".join(target.components)
    found = tuple(block for block in blocks if "decoder.layer" in block.roles)
    every = [block for block in anatomy.blocks if block.kind == "layer" and "decoder.layer" in block.roles]
    named = [b.path for b in blocks if b not in found and b.path in target.components]
    if not found or named:
        known = ", ".join(dict.fromkeys(f"{_stack(block)}.*" for block in every)) or "none"
        got = ", ".join((named or [block.path for block in blocks])[:3])
        raise PlanError(
            f"{asked} must select layers of a decoder to read out, got {got}: only a decoder's layers make predictions "
            f"of their own. Layers of decoders here: {known}."
        )
    stacks = sorted({_stack(block) for block in found})
    if len(stacks) != 1:
        raise PlanError(
            f"{asked} must select layers of one stack to read out, got layers of {', '.join(stacks)}. Make one "
            "ablation for each."
        )
    whole = [block for block in every if _stack(block) == stacks[0]]
    if found != tuple(whole[len(whole) - len(found) :]):
        raise PlanError(
            f"{asked} must select all layers of {stacks[0]!r} from one on to the last, {whole[-1].path}, to read out: "
            f"what a readout removes are the layers behind. Got {', '.join(block.path for block in found)}."
        )
    return found


def _stack(block: Block) -> str:
    return block.path.rpartition(".")[0]


def _require_weights(parts: Sequence[PoolPart], units: str) -> None:
    """Refuse units that are in no parameter: heads without an output projection, queries that are chosen per image."""
    without = [part.path for part in parts if part.group is not None and not part.group.slices]
    if without:
        aim = "decoder.layer" if units == unit_kind("query").plural else without[0]
        raise PlanError(
            f"{units} of {', '.join(without[:3])}{', …' if len(without) > 3 else ''} lie in no weight that could be "
            f"replaced. Name other blocks in `components`, or aim at their activations: `components: {aim}` and "
            "`interventions: {kind: zero, space: activation}`. A shipped study is copied and changed (`deep-dissect "
            "studies` says where it lies)."
        )


def _require_modules(parts: Sequence[PoolPart], anatomy: Anatomy) -> None:
    blocks = {block.path for block in anatomy.blocks}
    for part in parts:
        if part.path not in blocks:
            raise PlanError(
                f"{part.path!r} is a parameter, which has no activation: only modules do. Aim at a role or at a "
                "block's path, or leave `space` out."
            )


def _output_projection(block: Block, anatomy: Anatomy) -> tuple[Component, ...]:
    """Return weight and bias of a sublayer's last linear layer; nothing where there is none, or more than one."""
    names = [
        s.parameter
        for path, layout in anatomy.attention.items()
        if is_inside(path, block.path)
        for s in layout.slices
        if s.part == "output"
    ]
    names += [
        group.slices[-1].parameter
        for group in anatomy.groups
        if unit_kind(group.unit).mixed_by_last_slice and is_inside(group.path, block.path)
    ]
    if len(names) != 1:
        return ()
    weight = anatomy.component(names[0])
    return (weight, *_biases_of(weight, anatomy))
