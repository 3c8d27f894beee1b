"""Cut heads and neurons out of a model's parameters, and correct the numbers that its modules keep about them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...anatomy import AttentionLayout, UnitGroup, UnitSlice, head_group
from ...errors import InterventionError, UnitError
from ..anatomy import identity, parent
from ._narrow import keep_features, pad
from ._slim import SlimAttention, require_plain

_HEADS = ("num_heads", "n_heads", "num_attention_heads", "attention_heads", "decoder_attention_heads")
# Attributes of blocks for the width that their heads share; one is changed only where its value is that width.
_WIDTHS = (
    "embed_dims",
    "embed_dim",
    "d_model",
    "hidden_size",
    "hidden_dim",
    "all_head_size",
    "inner_dim",
    "output_dim",
    "dim",
)


_REMOVING: tuple[Literal["output", "value", "all"], ...] = ("output", "value", "all")


@dataclass(frozen=True, eq=False)
class Cut:
    """Units to be cut out of one block.

    Attributes
    ----------
    group : UnitGroup
        The block's units, with a slice for every parameter in which they lie.
    removed : ndarray of bool, shape (n_units,)
    layout : AttentionLayout or None
        Layout of the block, for heads; None for neurons.
    padded : bool
        Whether the block's forward goes on over its whole width, with zeros where heads were: for one that computes
        with that width.
    """

    group: UnitGroup
    removed: NDArray[np.bool_]
    layout: AttentionLayout | None = None
    padded: bool = False

    @property
    def path(self) -> str:
        """Return the path of the block."""
        return self.group.path


def head_cut(
    group: UnitGroup, units: NDArray[np.int64], layout: AttentionLayout | None, *, weights: bool
) -> Cut:
    """Return the heads to cut, with their queries and keys, whatever part the group names.

    With `weights` the variant zeroes the group's weights, which must be a part that removes a head when it is zero.

    Raises
    ------
    UnitError
        If the model has no such block, the part does not remove heads, or no head would be left.
    """
    if layout is None or layout.n_heads != group.n_units:
        raise UnitError(
            f"{group.path!r} must be an attention block of {group.n_units} heads, as in the plan, but is none in "
            "this model. Plan with the anatomy of this model."
        )
    if "output" not in layout.parts and (weights or layout.kind != "deformable"):
        raise UnitError(
            f"Heads of {group.path!r} cannot be cut out: the block has no projections of its own, so that a head is a "
            "part of the features that pass. Apply the variant with `ablated` instead."
        )
    removing = [
        head_group(group.path, layout, part).slices
        for part in _REMOVING
        if part == "all" or part in layout.parts
    ]
    if weights and group.slices not in removing:
        raise UnitError(
            f"`part` must be one whose zeros remove a head of {group.path!r} ({', '.join(_REMOVING)}), got zeros in "
            "its query or key, which only flatten its attention. Plan with `part: output`."
        )
    if len(units) == group.n_units:
        raise UnitError(
            f"A head must be left in {group.path!r}, got all {group.n_units} to remove. Remove the block whole: "
            "`unit: sublayer` (that leaves out the output projection's bias too)."
        )
    part: Literal["all", "query"] = "all" if "output" in layout.parts else "query"
    return Cut(head_group(group.path, layout, part), _chosen(units, group.n_units), layout)


def neuron_cut(group: UnitGroup, units: NDArray[np.int64]) -> Cut:
    """Return the neurons to cut; all of them may go, which leaves the second layer's bias."""
    return Cut(group, _chosen(units, group.n_units))


CUTTERS: Mapping[str, Callable[[UnitGroup, NDArray[np.int64], AttentionLayout | None, bool], Cut]] = {
    "head": lambda group, units, layout, weights: head_cut(group, units, layout, weights=weights),
    "neuron": lambda group, units, _layout, _weights: neuron_cut(group, units),
}
"""For each unit that can be cut: a function of a group, units of it, the layout of its block if that is attention, and
whether the variant zeroes weights, to the cut."""


def _chosen(units: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[units] = True
    return chosen


def require_cuttable(model: nn.Module, cuts: list[Cut], verified: bool) -> None:
    """Check everything before anything is cut.

    Raises
    ------
    UnitError
        If another module shares what is to be cut.
    InterventionError
        If a block of unknown make cannot be verified, or does more than can be cut.
    """
    owners: dict[object, list[str]] = {}
    for path, module in model.named_modules():  # each module once, under its first path
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(identity(parameter), []).append(f"{path}.{name}".removeprefix("."))
    uses: dict[int, int] = {}
    for _, module in model.named_modules(remove_duplicate=False):
        uses[id(module)] = uses.get(id(module), 0) + 1
    for cut in cuts:
        counts = {}
        for name in {s.parameter for s in cut.group.slices}:
            names = owners[identity(model.get_parameter(name))]
            if len(names) > 1:
                others = " and ".join(map(repr, names[1:]))
                raise UnitError(
                    f"{names[0]!r} must belong to {cut.path!r} alone to be cut, but {others} is the same parameter, "
                    f"and another module would break. Untie them, or zero the {cut.group.unit}s with `edited`."
                )
            counts[parent(name)] = uses[id(model.get_submodule(parent(name)))]
        if len(set(counts.values())) > 1:
            shared = max(counts, key=lambda path: counts[path])
            raise UnitError(
                f"{shared!r} must belong to {cut.path!r} alone to be cut, but another block calls it too. Give each "
                f"a layer of its own, or zero the {cut.group.unit}s with `edited`."
            )
        _require_known(model, cut, verified)


def _require_known(model: nn.Module, cut: Cut, verified: bool) -> None:
    block = model.get_submodule(cut.path)
    if isinstance(block, nn.MultiheadAttention):
        require_plain(block)
    elif cut.layout is not None and not verified and not _knows_its_number(cut.layout):
        raise InterventionError(
            f"{cut.path!r}, a {type(block).__name__}, computes with its number of heads in a forward of its own: "
            "whether it works with fewer has to be tried. Give `run` and `batch`."
        )
    if cut.layout is None:
        around = model.get_submodule(parent(cut.path)) if isinstance(block, nn.Linear) else block
        for module in around.modules():
            if isinstance(module, nn.PReLU) and module.num_parameters > 1:
                raise InterventionError(
                    f"{cut.path!r} must have an activation without a parameter for each neuron, got PReLU with "
                    f"{module.num_parameters}. Zero the neurons with `edited` instead."
                )


def _knows_its_number(layout: AttentionLayout) -> bool:
    """Return whether a block is known to work with any number of heads: MMCV's deformable attention."""
    return layout.kind == "deformable" and "output" in layout.parts


def may_be_padded(model: nn.Module, cut: Cut) -> bool:
    """Return whether heads can also be cut out of a block's projections alone, which are linear layers of their own."""
    if cut.layout is None or "output" not in cut.layout.parts:
        return False
    owners = {type(model.get_submodule(parent(where.parameter))) for where in cut.group.slices}
    return owners == {nn.Linear} and not isinstance(model.get_submodule(cut.path), nn.MultiheadAttention)


def apply_cut(model: nn.Module, cut: Cut) -> Iterator[tuple[nn.Module, nn.Module | None]]:
    """Cut a block's parameters, in place, and change the numbers that its modules keep about them.

    Yields
    ------
    tuple of (Module, Module or None)
        A module that torch's fused layers must not use any more, and what to put in its place.
    """
    for name, (axis, kept) in _kept(cut).items():
        owner, _, attribute = name.rpartition(".")
        module = model.get_submodule(owner)
        module._parameters[attribute] = _part(model.get_parameter(name), axis, kept)
        if cut.padded:
            pad(module, axis, kept.tolist())
            yield module, None
            continue
        if isinstance(module, nn.Linear) and attribute == "weight":
            module.out_features, module.in_features = module.weight.shape
            if not module.weight.numel():
                yield module, None
    if cut.layout is None or cut.padded:
        return
    block = model.get_submodule(cut.path)
    heads = np.flatnonzero(~cut.removed)
    if isinstance(block, nn.MultiheadAttention):
        yield block, SlimAttention(block, heads.tolist())
        return
    _set_numbers(block, cut.layout, len(heads))
    if "output" not in cut.layout.parts:
        width = cut.layout.embed_dims // cut.layout.n_heads
        features = (heads[:, None] * width + np.arange(width)).ravel()
        keep_features(block, features.tolist(), cut.layout.embed_dims)


def _kept(cut: Cut) -> Mapping[str, tuple[int, NDArray[np.int64]]]:
    """Return for each parameter the axis along which units lie, and the indices that stay."""
    removed: dict[str, tuple[int, NDArray[np.bool_]]] = {}
    for where in cut.group.slices:
        before = removed.get(where.parameter, (where.axis, False))[1]
        removed[where.parameter] = (where.axis, before | _along(where, cut.removed))
    return {name: (axis, np.flatnonzero(~gone)) for name, (axis, gone) in removed.items()}


def _along(where: UnitSlice, removed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    along = np.zeros(where.shape[where.axis], dtype=np.bool_)
    along[where.start : where.start + len(removed) * where.width] = np.repeat(removed, where.width)
    return along


def _part(parameter: nn.Parameter, axis: int, kept: NDArray[np.int64]) -> nn.Parameter:
    with torch.inference_mode(False), torch.no_grad():
        values = parameter.index_select(axis, torch.from_numpy(kept).to(parameter.device))
        return nn.Parameter(values.clone(), requires_grad=parameter.requires_grad)


def _set_numbers(block: nn.Module, layout: AttentionLayout, n_heads: int) -> None:
    """Set the numbers that a block's forward computes with: its number of heads, and the width that they share."""
    output = next((s for s in layout.slices if s.part == "output"), None)
    width = layout.embed_dims if output is None else output.shape[output.axis]
    of_a_head = width // layout.n_heads if output is None else output.width
    for module in block.modules():  # a child may do the computing, as in DAB-DETR and YOLOS
        names = [name for name in _HEADS if getattr(module, name, None) == layout.n_heads]
        # MMCV's deformable attention (`num_heads`) divides no width; the original's (`n_heads`) divides `d_model`.
        divides = bool(names) and (layout.kind != "deformable" or "n_heads" in names)
        for name in names:
            setattr(module, name, n_heads)
        for name in _WIDTHS if divides else ():
            if type(getattr(module, name, None)) is int and getattr(module, name) == width:
                setattr(module, name, n_heads * of_a_head)
