"""Smaller models in a folder: their weights, and what to take out of a model of the same build before these fit."""

import copy
import hashlib
import inspect
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from torch import Tensor, nn

from ...anatomy import UnitGroup, UnitSlice, unit_kind
from ...errors import CheckpointError, CheckpointNotFoundError, DissectError, LayoutError
from ...storage.files import open_regular, own_folder, write_whole
from ...text import cut as shortened
from ...text import visible
from ..activations import module_at
from ..anatomy import attention_layouts, components_of
from ..checkpoints import load_safetensors, save_safetensors
from ._cuts import CUTTERS, Cut, require_cuttable
from ._reduce import Reduction, reduced
from ._simplify import Simplified
from ._stand_ins import Answer

DESCRIPTION = "simplified.json"
WEIGHTS = "model.safetensors"
_FORMAT: Literal["dissect_core.simplified/1"] = "dissect_core.simplified/1"
_LONGEST_DESCRIPTION = 2**26
_MOST_RESULTS = 100
"""Results of one call of a module: a tuple of so many is made at each call of its stand-in."""
_MOST_NAMED = 3

_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Path = Annotated[str, Field(max_length=2**12)]


class HasModel(Protocol):
    """Anything with a torch model, such as a detector."""

    model: nn.Module


Whole = TypeVar("Whole", bound="nn.Module | HasModel")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _StandInSaid(_Strict):
    arguments: Annotated[list[_Path], Field(max_length=_MOST_RESULTS)]
    width: _Count | None
    n_more: Annotated[int, Field(ge=0, le=_MOST_RESULTS)] | None


class _SliceSaid(_Strict):
    parameter: _Path
    axis: Annotated[int, Field(ge=0, le=8)]
    start: _Count
    width: Annotated[int, Field(ge=1, lt=2**53)]


class _CutSaid(_Strict):
    path: _Path
    unit: Literal["head", "neuron"]
    n_units: _Count
    removed: list[_Count]
    slices: list[_SliceSaid]


class _WeightsSaid(_Strict):
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    n_bytes: _Count


class _Said(_Strict):
    """What a folder says of the model in it."""

    format: Literal["dissect_core.simplified/1"]
    made_with: dict[str, str]
    variant: str
    removed: dict[_Path, list[_Count]]
    n_parameters_before: _Count
    n_parameters_after: _Count
    flops_before: _Count | None
    flops_after: _Count | None
    largest_difference: float | None
    stand_ins: dict[_Path, _StandInSaid]
    unread: list[_Path]
    cuts: list[_CutSaid]
    weights: _WeightsSaid
    record: dict[str, JsonValue]


def save_simplified(
    simplified: Simplified,
    folder: str | Path,
    *,
    record: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a smaller model to a folder, from which `load_simplified` makes it again, without the study it came from.

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
        More to keep, as plain data that JSON can express: how to build the whole model, what was measured. The
        function `describe_simplified` gives it back.
    overwrite : bool, default False
        Replace a smaller model that is there. Other files in the folder are left as they are.

    Raises
    ------
    CheckpointError
        If the folder holds something and `overwrite` is False, cannot be written, the state dict holds something
        else than tensors, or `record` is no plain data.
    MissingDependencyError
        If the package ``safetensors`` is not installed.

    Examples
    --------
    See `load_simplified`.
    """
    folder = Path(folder)
    own_folder(folder, CheckpointError)
    if not overwrite and any(folder.iterdir()):
        raise CheckpointError(f"{folder} must be empty or new, but holds files. Give another folder.")
    reduction = simplified.reduction
    try:
        said = _Said(
            format=_FORMAT,
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
            weights=_WeightsSaid(sha256="0" * 64, n_bytes=0),
            record=dict(record or {}),
        )
    except ValidationError as error:
        raise CheckpointError(
            f"`record` must be plain data with text as keys, as JSON has it: {_first_fault(error)}. Convert it."
        ) from error
    # The description goes last and names the weights by their checksum: a kill in between is seen when they are read.
    save_safetensors(simplified.model.state_dict(), folder / WEIGHTS)
    said.weights = _weights_at(folder)
    content = said.model_dump_json(indent=2).encode() + b"\n"
    write_whole(folder / DESCRIPTION, lambda file: file.write(content))


def describe_simplified(folder: str | Path) -> dict[str, Any]:
    """Read what a folder of `save_simplified` says of the model in it, as plain data; the weights are not read.

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
    return _read_said(Path(folder)).model_dump()


def load_simplified(model: Whole, folder: str | Path) -> Whole:
    """Make a freshly built model the smaller one that was saved: take the same parts out and put its weights in.

    The result computes bit for bit what the saved model did, on the same device and with the same libraries.

    Parameters
    ----------
    model : torch.nn.Module, or a detector with a `model`
        Built as the whole model was, of the same types and shapes; its weights do not matter. It is changed in place,
        once all has been tried on a copy: after an error it is what it was. Give a detector that has just been
        opened.
    folder : str or Path
        From `save_simplified`.

    Returns
    -------
    torch.nn.Module or detector
        What was given; where the whole of a model gives way to a stand-in, that.

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
    said = _read_said(folder)
    module = model if isinstance(model, nn.Module) else model.model
    if _weights_at(folder) != said.weights:
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
    module: nn.Module, said: _Said, weights: Mapping[str, Tensor], folder: Path, owner: Any
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


def _reduction(module: nn.Module, said: _Said) -> Reduction:
    """Turn what a folder says into changes of this model, each checked against it."""
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
        cuts.append(cut)
    require_cuttable(module, cuts, verified=True)
    return Reduction(stand_ins, tuple(said.unread), tuple(cuts))


def _slice(said: _SliceSaid, parameters: Mapping[str, tuple[int, ...]]) -> UnitSlice:
    shape = parameters.get(said.parameter)
    if shape is None:
        raise LayoutError(f"{said.parameter!r} is none of its parameters.")
    return UnitSlice(said.parameter, shape, said.axis, said.start, said.width)


def _answer(module: nn.Module, path: str, said: _StandInSaid) -> Answer:
    """Check that a module could return so: an argument of its own, or zeros as wide as one of its parameters."""
    known = inspect.signature(module.forward).parameters
    keywords = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    unknown = [name for name in said.arguments if name not in known and not keywords]
    if unknown:
        raise LayoutError(f"{path!r}, a {type(module).__name__}, takes no argument {unknown[0]!r}.")
    widths = {size for parameter in module.parameters() for size in parameter.shape}
    if said.width is not None and said.width not in widths:
        raise LayoutError(f"{path!r}, a {type(module).__name__}, gives nothing {said.width} wide.")
    return Answer(tuple(said.arguments), said.width, said.n_more)


def _answer_said(answer: Answer) -> _StandInSaid:
    return _StandInSaid(arguments=list(answer.arguments), width=answer.width, n_more=answer.n_more)


def _cut_said(cut: Cut) -> _CutSaid:
    unit: Literal["head", "neuron"] = "head" if cut.layout is not None else "neuron"
    return _CutSaid(
        path=cut.path,
        unit=unit,
        n_units=cut.group.n_units,
        removed=np.flatnonzero(cut.removed).tolist(),
        slices=[
            _SliceSaid(parameter=s.parameter, axis=s.axis, start=s.start, width=s.width)
            for s in cut.group.slices
        ],
    )


def _require_same(state: Mapping[str, Any], weights: Mapping[str, Tensor], folder: Path) -> None:
    """See that a state dict has the names, shapes and types of the weights, so that these can be loaded whole."""
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
    """Refuse a detector that goes on telling of the parts it has lost: plans for it would be wrong."""
    anatomy = getattr(detector, "anatomy", None)
    if anatomy is None:
        return
    shapes = {component.name: component.shape for component in anatomy.components}
    if shapes != {component.name: component.shape for component in components_of(detector.model)}:
        raise CheckpointError(
            f"The detector, a {type(detector).__name__}, keeps the anatomy of the whole model, though its model is the "
            "smaller one now. Open it anew, and load the smaller model before anything else."
        )


def _read_said(folder: Path) -> _Said:
    path = folder / DESCRIPTION
    try:
        with open_regular(path) as file:
            content = file.read(_LONGEST_DESCRIPTION + 1)
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{path} does not exist. Give a folder that `save_simplified` or `deep-dissect simplify --out` wrote."
        ) from error
    except (OSError, ValueError) as error:  # a path that no system can have is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{path} cannot be read: {reason}.") from error
    if len(content) > _LONGEST_DESCRIPTION:
        raise CheckpointError(f"{path} is damaged: it is longer than any description. Copy the folder again.")
    try:
        return _Said.model_validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {_first_fault(error)}. Copy the folder again.") from error


def _weights_at(folder: Path) -> _WeightsSaid:
    """Size and checksum of the file of weights."""
    digest, n_bytes = hashlib.sha256(), 0
    try:
        with open_regular(folder / WEIGHTS) as file:
            while block := file.read(2**20):
                digest.update(block)
                n_bytes += len(block)
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"{folder / WEIGHTS} does not exist. Copy the folder again.") from error
    except OSError as error:
        raise CheckpointError(f"{folder / WEIGHTS} cannot be read: {error.strerror or error}.") from error
    return _WeightsSaid(sha256=digest.hexdigest(), n_bytes=n_bytes)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return shortened(visible(f"`{where}`: {fault['msg']}" if where else fault["msg"]))
