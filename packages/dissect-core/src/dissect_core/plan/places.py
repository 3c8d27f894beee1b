"""Where a target's units lie on one model."""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from ..anatomy.anatomy import Anatomy, Block
from ..anatomy.components import Component, select_components, unknown_component
from ..anatomy.groups import UnitGroup, head_group
from ..anatomy.units import unit_count
from ..errors import DissectError, PlanError
from ..spec import (
    Ablation,
    BlockTarget,
    ComponentTarget,
    GroupTarget,
    HeadTarget,
    ParameterTarget,
    SegmentTarget,
    Target,
)
from ..spec.interventions import is_activation
from .pool import Place, Pool

__all__ = ["Space", "ablation_pool", "pool_of"]

Space: TypeAlias = Literal["weight", "activation"]


def pool_of(target: Target, anatomy: Anatomy, space: Space = "weight") -> Pool:
    """Resolve a target on a model.

    Parameters
    ----------
    target : Target
    anatomy : Anatomy
    space : {"weight", "activation"}, default "weight"
        What is to be replaced. Activations are those of modules: queries' flow through decoder layers.

    Raises
    ------
    UnknownComponentError
        If a pattern matches nothing; near matches are named.
    PlanError
        If what it matches has no such units, or another number of places was expected.
    UnitError
        If a shape has no such units.
    """
    segments: int | None = None
    match target:
        case HeadTarget():
            paths = _paths(target.components, anatomy, list(anatomy.attention), "attention block")
            groups = [head_group(path, anatomy.attention[path], target.part) for path in paths]
            places = [_group_place(group) for group in groups]
        case GroupTarget(unit="query") if space == "activation":
            places = _query_activations(target, anatomy)
        case GroupTarget():
            having = {group.path: group for group in anatomy.groups if group.unit == target.unit}
            plural = "queries" if target.unit == "query" else f"{target.unit}s"
            paths = _paths(target.components, anatomy, list(having), f"place with {plural}")
            places = [_group_place(having[path]) for path in paths]
        case BlockTarget(unit="sublayer"):
            blocks = anatomy.select_blocks(target.components, ("attention", "ffn"))
            places = [
                Place(b.path, 1, b.n_parameters, silenced=_output_projection(b, anatomy)) for b in blocks
            ]
        case BlockTarget():
            blocks = anatomy.select_blocks(target.components, ("layer",))
            if target.unit == "readout":
                blocks = _decoder_layers(target, blocks, anatomy)
            places = [Place(block.path, 1, block.n_parameters) for block in blocks]
        case ComponentTarget():
            places = _component_places(target, anatomy)
            if space == "activation":
                _require_modules(places, anatomy)
        case ParameterTarget() | SegmentTarget():
            segments = target.segments_per_row if isinstance(target, SegmentTarget) else None
            places = []
            for component in _parameters(target.components, anatomy, target.unit):
                n = unit_count(component.shape, target.unit, segments_per_row=segments)
                places.append(Place(component.name, n, component.n_parameters // max(n, 1), (component,)))
    if target.expect is not None and len(places) != target.expect:
        listed = ", ".join(place.path for place in places[:8])
        raise PlanError(
            f"{', '.join(target.components)} must select {target.expect} places (`expect`), got {len(places)}: {listed}"
            f"{', ...' if len(places) > 8 else ''}. Correct the pattern or `expect`."
        )
    return Pool(target.unit, tuple(places), segments)


def ablation_pool(ablation: Ablation, anatomy: Anatomy) -> Pool:
    """Resolve an ablation's target in the space in which its interventions act; errors name the ablation."""
    acting = any(is_activation(item) for item in ablation.interventions)
    try:
        return pool_of(ablation.target, anatomy, "activation" if acting else "weight")
    except DissectError as error:
        raise type(error)(f"In the ablation {ablation.name!r}: {error}") from error


def _group_place(group: UnitGroup) -> Place:
    return Place(group.path, group.n_units, group.n_parameters, group=group)


def _paths(patterns: Iterable[str], anatomy: Anatomy, having: Sequence[str], what: str) -> list[str]:
    """Choose among paths: by role of the block or of one that it lies in, by path, or by glob."""
    chosen: set[str] = set()
    for pattern in patterns:
        bearing = [block.path for block in anatomy.blocks if pattern in block.roles or pattern == block.path]
        found = {p for p in having if p == pattern or any(_inside(p, path) for path in bearing)}
        if not found:
            components = [Component(path, (), "") for path in having]
            try:
                found = {c.name for c in select_components(components, pattern)}
            except KeyError:
                known = [*anatomy.roles, *having] if having else []
                raise unknown_component(pattern, known, what=what) from None
        chosen |= found
    return [path for path in having if path in chosen]


def _inside(path: str, around: str) -> bool:
    return path == around or path.startswith(f"{around}.")


def _parameters(patterns: Iterable[str], anatomy: Anatomy, unit: str) -> tuple[Component, ...]:
    """Parameters by role, name, block or glob; those of a role or block only where they have such units."""
    chosen: set[str] = set()
    for pattern in patterns:
        around = [block.path for block in anatomy.blocks if pattern in block.roles or pattern == block.path]
        found = {
            c.name for c in anatomy.components if c.role == pattern or any(_inside(c.name, p) for p in around)
        }
        if found:
            least = {"column": 2, "segment": 2}.get(unit, 0)
            found = {c.name for c in anatomy.components if c.name in found and len(c.shape) >= least}
        else:
            try:
                found = {c.name for c in select_components(anatomy.components, pattern)}
            except KeyError:
                names = [c.name for c in anatomy.components]
                raise unknown_component(pattern, [*anatomy.roles, *names]) from None
        chosen |= found
    return tuple(c for c in anatomy.components if c.name in chosen)


def _component_places(target: ComponentTarget, anatomy: Anatomy) -> list[Place]:
    """Blocks whole where a pattern names blocks, else parameters one by one."""
    places: dict[str, tuple[Component, ...]] = {}
    for pattern in target.components:
        blocks: list[Block] = [b for b in anatomy.blocks if pattern in b.roles or pattern == b.path]
        for block in blocks:
            inside = tuple(c for c in anatomy.components if _inside(c.name, block.path))
            kept = (
                inside if target.bias == "remove" else tuple(c for c in inside if not c.name.endswith("bias"))
            )
            if kept:
                places[block.path] = kept
        if not blocks:
            for component in _parameters([pattern], anatomy, "component"):
                biases = _biases_of(component, anatomy) if target.bias == "remove" else ()
                places[component.name] = (component, *biases)
    return [Place(path, 1, sum(c.n_parameters for c in found), found) for path, found in places.items()]


def _biases_of(component: Component, anatomy: Anatomy) -> tuple[Component, ...]:
    """``x.bias`` beside ``x.weight``, ``in_proj_bias`` beside ``in_proj_weight``."""
    if not component.name.endswith("weight"):
        return ()
    name = component.name.removesuffix("weight") + "bias"
    return tuple(c for c in anatomy.components if c.name == name)


def _query_activations(target: Target, anatomy: Anatomy) -> list[Place]:
    """Decoder layers: what a query carries enters each of them."""
    sizes = {group.n_units for group in anatomy.groups if group.unit == "query"}
    if len(sizes) != 1:
        raise PlanError(
            f"Activations of queries need a model with one set of queries, got sets of {sorted(sizes)}. "
            "Replace their weights, or build the site yourself with `ActivationSite`."
        )
    embeddings = {group.path for group in anatomy.groups if group.unit == "query"}
    for pattern in target.components:
        if pattern in embeddings or pattern == "query_embedding":
            raise PlanError(
                f"{pattern!r} is an embedding, whose weights are read without a call; activations of queries enter "
                "decoder layers. Write `components: decoder.layer`, or leave `space` out."
            )
    blocks = anatomy.select_blocks(target.components, ("layer",))
    return [Place(block.path, min(sizes), 0) for block in blocks]


def _decoder_layers(target: Target, blocks: Sequence[Block], anatomy: Anatomy) -> tuple[Block, ...]:
    """Those of the layers that can be read out: a decoder's, of one stack, from one of them to the last."""
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


def _require_modules(places: Sequence[Place], anatomy: Anatomy) -> None:
    blocks = {block.path for block in anatomy.blocks}
    for place in places:
        if place.path not in blocks:
            raise PlanError(
                f"{place.path!r} is a parameter, which has no activation: only modules do. Aim at a role or at a "
                "block's path, or leave `space` out."
            )


def _output_projection(block: Block, anatomy: Anatomy) -> tuple[Component, ...]:
    """Weight and bias of a sublayer's last linear layer; empty where it has more than one of them."""
    names = [
        s.parameter
        for path, layout in anatomy.attention.items()
        if _inside(path, block.path)
        for s in layout.slices
        if s.part == "output"
    ]
    names += [
        group.slices[-1].parameter
        for group in anatomy.groups
        if group.unit == "neuron" and _inside(group.path, block.path)
    ]
    if len(names) != 1:
        return ()
    weight = anatomy.component(names[0])
    return (weight, *_biases_of(weight, anatomy))
