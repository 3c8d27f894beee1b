"""Smaller models in a folder: their weights, and what to take out of a model of the same build before these fit."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import ValidationError
from torch import Tensor, nn

from ...anatomy import UnitGroup, UnitSlice, unit_kind
from ...errors import CheckpointError, DissectError, LayoutError
from ...storage import own_folder, write_bytes_whole
from ...text import cut as shortened, visible
from ..activations import module_at
from ..anatomy import attention_layouts, components_of
from ..checkpoints import load_safetensors, save_safetensors
from ._cuts import CUTTERS, Cut, may_be_padded, require_cuttable
from ._description import (
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    CutSaid,
    Description,
    SliceSaid,
    StandInSaid,
    WeightsSaid,
    first_fault,
    read_description,
    weights_at,
)
from ._reduce import Reduction, reduced
from ._simplify import Simplified
from ._stand_ins import Answer

_MOST_NAMED = 3


class HasModel(Protocol):
    """Anything with a torch model, such as a detector."""

    model: nn.Module


Whole = TypeVar("Whole", bound="nn.Module | HasModel")


def save_simplified(
    simplified: Simplified,
    folder: str | Path,
    *,
    record: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a smaller model to a folder, from which `load_simplified` makes it again without the study.

    Two files are written: ``model.safetensors``, the smaller model's state dict, and ``simplified.json``, which says
    what was taken out, so that the same can be taken out of a freshly built model. Neither holds code.

    Parameters
    ----------
    simplified : Simplified
        From `simplify`. Of a model that had been simplified before, only the last step is kept: load the folder of
        the step before it first.
    folder : str or Path
        Made if it is missing, inside a folder that exists.
    record : mapping, optional
        More to keep, as plain data that JSON can express: how to build the whole model, what was measured.
        `describe_simplified` returns it.
    overwrite : bool, default False
        Replace a smaller model that is there. Other files in the folder are left as they are.

    Raises
    ------
    CheckpointError
        If the folder holds something and `overwrite` is False, the folder cannot be written, the state dict holds
        something else than tensors, or `record` is no plain data.
    MissingDependencyError
        If the package ``safetensors`` is not installed.

    Examples
    --------
    See `load_simplified`.
    """
    folder = Path(folder)
    own_folder(folder, CheckpointError)
    if not overwrite and any(folder.iterdir()):
        raise CheckpointError(
            f"{folder} must be empty or new, but holds files. Give another folder, or `overwrite=True`."
        )
    reduction = simplified.reduction
    try:
        said = Description(
            format=FORMAT,
            made_with={name: version(name) for name in ("dissect-core", "torch")},
            variant=simplified.variant,
            removed={path: list(units) for path, units in simplified.removed.items()},
            n_parameters_before=simplified.n_parameters_before,
            n_parameters_after=simplified.n_parameters_after,
            flops_before=simplified.flops_before,
            flops_after=simplified.flops_after,
            largest_difference=simplified.largest_difference,
            stand_ins={path: _answer_said(answer) for path, answer in reduction.stand_ins.items()},
            unread=list(reduction.unread),
            cuts=[_cut_said(cut) for cut in reduction.cuts],
            weights=WeightsSaid(sha256="0" * 64, n_bytes=0),
            record=dict(record or {}),
        )
    except ValidationError as error:
        raise CheckpointError(
            f"`record` must be plain data with text as keys, as JSON has it: {first_fault(error)}. Convert it."
        ) from error
    # The description is written last and holds the checksum of the weights: a kill in between is found on reading.
    save_safetensors(simplified.model.state_dict(), folder / WEIGHTS)
    said.weights = weights_at(folder)
    content = said.model_dump_json(indent=2).encode() + b"\n"
    write_bytes_whole(folder / DESCRIPTION, content, CheckpointError)


def describe_simplified(folder: str | Path) -> dict[str, Any]:
    """Return what a folder of `save_simplified` says about the model in it, as plain data; the weights are not read.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    dict
        Among others ``variant``, ``removed`` (units by path), ``n_parameters_before``, ``n_parameters_after``,
        ``flops_before``, ``flops_after`` and ``record``, which is what `save_simplified` was given.

    Raises
    ------
    CheckpointError
        If there is no such folder (`CheckpointNotFoundError`), or its description is damaged.

    Examples
    --------
    See `load_simplified`.
    """
    return read_description(Path(folder)).model_dump()


def load_simplified(model: Whole, folder: str | Path) -> Whole:
    """Turn a freshly built model into the smaller one that was saved: take the same parts out and put its weights in.

    The result computes bit for bit what the saved model did, on the same device and with the same libraries.

    Parameters
    ----------
    model : torch.nn.Module, or a detector with a `model`
        Built as the whole model was, of the same types and shapes; its weights do not matter. It is changed in place,
        after all changes have been tried on a copy, so that an error leaves it as it was. Give a detector that has just
        been opened.
    folder : str or Path
        From `save_simplified`.

    Returns
    -------
    torch.nn.Module or detector
        The given object; if the whole model was removed, its stand-in.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, or not what the description says; or if the model is another one.
    InterventionError
        If the model has hooks or an ablation in force where parts are taken out.
    MissingDependencyError
        If the package ``safetensors`` is not installed.

    Examples
    --------
    >>> import tempfile, torch
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> from dissect_core.torch import anatomy_of
    >>> from dissect_core.torch.simplify import load_simplified, save_simplified, simplify
    >>> build = lambda: nn.MultiheadAttention(8, 4, batch_first=True).eval()
    >>> model, image = build(), torch.randn(1, 5, 8)
    >>> heads = {"name": "heads", "target": {"unit": "head", "components": "*"}, "select": {"by": "each"}}
    >>> variants = plan(load_spec({"name": "single heads", "ablations": [heads]}), anatomy_of(model))
    >>> small = simplify(model, variants[2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_simplified(small, f"{folder}/small", record={"found by": "me"})
    ...     again = load_simplified(build(), f"{folder}/small")
    ...     said = describe_simplified(f"{folder}/small")
    >>> torch.equal(again(image, image, image)[0], small.model(image, image, image)[0])
    True
    >>> said["removed"], said["record"]
    ({'': [1]}, {'found by': 'me'})
    """
    folder = Path(folder)
    said = read_description(folder)
    module = model if isinstance(model, nn.Module) else model.model
    if weights_at(folder) != said.weights:
        raise CheckpointError(
            f"{folder / WEIGHTS} is not the file that {DESCRIPTION} beside it describes: its content has changed, or "
            "writing was interrupted. Save or copy the folder again."
        )
    weights = load_safetensors(folder / WEIGHTS)
    _smaller(copy.deepcopy(module), said, weights, folder, model)
    small = _smaller(module, said, weights, folder, model)
    if isinstance(model, nn.Module):
        return small  # type: ignore[return-value]  # a stand-in only where the root itself was removed
    _require_fresh(model)
    return model


def _smaller(
    module: nn.Module, said: Description, weights: Mapping[str, Tensor], folder: Path, owner: Any
) -> nn.Module:
    """Reduce a model in place, and put the weights in."""
    try:
        reduction = _reduction(module, said)
    except DissectError as error:
        reason = error.args[0] if error.args else error
        raise CheckpointError(
            f"{folder} does not fit the model, a {type(module).__name__}: {reason} Build the model as it was before "
            "it was simplified."
        ) from error
    small = reduced(module, reduction)
    if small is not module and not isinstance(owner, nn.Module):
        raise CheckpointError(
            f"{folder} replaces the model of a {type(owner).__name__} as a whole. Give the model itself."
        )
    _require_same(small.state_dict(), weights, folder)
    small.load_state_dict(weights)
    return small


def _reduction(module: nn.Module, said: Description) -> Reduction:
    """Return the changes of a model that a folder describes, each checked against the model."""
    stand_ins = {path: _answer(module_at(module, path), path, one) for path, one in said.stand_ins.items()}
    for path in said.unread:
        linear = module_at(module, path)
        if not path or not isinstance(linear, nn.Linear):
            raise LayoutError(f"{path!r} must be a linear layer, got {type(linear).__name__}.")
    layouts = attention_layouts(module) if said.cuts else {}
    parameters = {name: tuple(p.shape) for name, p in module.named_parameters(remove_duplicate=False)}
    cuts = []
    for one in said.cuts:
        module_at(module, one.path)
        units = np.array(one.removed, dtype=np.int64)
        if len(np.unique(units)) < len(units) or (len(units) and units.max() >= one.n_units):
            raise LayoutError(
                f"{one.path!r} must lose distinct {unit_kind(one.unit).plural} of its {one.n_units}."
            )
        group = UnitGroup(
            one.path, one.unit, one.n_units, tuple(_slice(part, parameters) for part in one.slices)
        )
        cut = CUTTERS[one.unit](group, units, layouts.get(one.path), False)
        if cut.group != group:
            kind = unit_kind(one.unit)
            raise LayoutError(
                f"{one.path!r} holds its {kind.plural} elsewhere than the model that was saved."
            )
        if one.padded and not may_be_padded(module, cut):
            raise LayoutError(f"{one.path!r} has no projections that are plain linear layers.")
        cuts.append(replace(cut, padded=one.padded))
    require_cuttable(module, cuts, verified=True)
    return Reduction(stand_ins, tuple(said.unread), tuple(cuts))


def _slice(said: SliceSaid, parameters: Mapping[str, tuple[int, ...]]) -> UnitSlice:
    shape = parameters.get(said.parameter)
    if shape is None:
        raise LayoutError(f"{said.parameter!r} is none of its parameters.")
    return UnitSlice(said.parameter, shape, said.axis, said.start, said.width)


def _answer(module: nn.Module, path: str, said: StandInSaid) -> Answer:
    """Return a saved answer, after a check that the module has such arguments, and a parameter as wide as the zeros."""
    known = inspect.signature(module.forward).parameters
    keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    unknown = [name for name in said.arguments if name not in known and not keywords]
    if unknown:
        raise LayoutError(f"{path!r}, a {type(module).__name__}, takes no argument {unknown[0]!r}.")
    widths = {size for parameter in module.parameters() for size in parameter.shape}
    if said.width is not None and said.width not in widths:
        raise LayoutError(f"{path!r}, a {type(module).__name__}, has no parameter of width {said.width}.")
    return Answer(tuple(said.arguments), said.width, said.n_more)


def _answer_said(answer: Answer) -> StandInSaid:
    return StandInSaid(arguments=list(answer.arguments), width=answer.width, n_more=answer.n_more)


def _cut_said(cut: Cut) -> CutSaid:
    unit: Literal["head", "neuron"] = "head" if cut.layout is not None else "neuron"
    return CutSaid(
        path=cut.path,
        unit=unit,
        n_units=cut.group.n_units,
        removed=np.flatnonzero(cut.removed).tolist(),
        padded=cut.padded,
        slices=[
            SliceSaid(parameter=s.parameter, axis=s.axis, start=s.start, width=s.width)
            for s in cut.group.slices
        ],
    )


def _require_same(state: Mapping[str, Any], weights: Mapping[str, Tensor], folder: Path) -> None:
    """Check that a state dict has the names, shapes and types of the weights, so that these can be loaded whole."""
    missing, more = [n for n in state if n not in weights], [n for n in weights if n not in state]
    faults = [f"it has {name!r}, which the folder lacks" for name in missing]
    faults += [f"the folder has {shortened(visible(repr(name)))}, which it lacks" for name in more]
    for name in (name for name in state if name in weights):
        own, saved = _kind(state[name]), _kind(weights[name])
        if own != saved:
            faults.append(f"its {name!r} is {own}, the folder's {saved}")
    if faults:
        others = f", and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise CheckpointError(
            f"{folder} does not fit the model: {'; '.join(faults[:_MOST_NAMED])}{others}. Build the model as it was "
            "before it was simplified, of the same precision."
        )


def _kind(value: Any) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _require_fresh(detector: Any) -> None:
    """Refuse a detector whose anatomy still has the parts that were removed: plans for it would be wrong."""
    anatomy = getattr(detector, "anatomy", None)
    if anatomy is None:
        return
    shapes = {component.name: component.shape for component in anatomy.components}
    if shapes != {component.name: component.shape for component in components_of(detector.model)}:
        raise CheckpointError(
            f"The detector, a {type(detector).__name__}, keeps the anatomy of the whole model, though its model is the "
            "smaller one now. Open it anew, and load the smaller model before anything else."
        )
