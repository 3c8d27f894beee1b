"""The description of a smaller model in its folder, and the checksum of its weights: JSON that is read strictly."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from ...errors import CheckpointError, CheckpointNotFoundError
from ...storage import open_regular
from ...text import cut, visible

DESCRIPTION = "simplified.json"
WEIGHTS = "model.safetensors"
FORMAT: Literal["dissect_core.simplified/1"] = "dissect_core.simplified/1"
_LONGEST_DESCRIPTION = 2**26
_MOST_RESULTS = 100
"""Most results of one call of a module: its stand-in makes a tuple of so many at each call."""

_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Path = Annotated[str, Field(max_length=2**12)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StandInSaid(_Strict):
    arguments: Annotated[list[_Path], Field(max_length=_MOST_RESULTS)]
    width: _Count | None
    n_more: Annotated[int, Field(ge=0, le=_MOST_RESULTS)] | None


class SliceSaid(_Strict):
    parameter: _Path
    axis: Annotated[int, Field(ge=0, le=8)]
    start: _Count
    width: Annotated[int, Field(ge=1, lt=2**53)]


class CutSaid(_Strict):
    path: _Path
    unit: Literal["head", "neuron"]
    n_units: _Count
    removed: list[_Count]
    slices: list[SliceSaid]
    padded: bool = False


class WeightsSaid(_Strict):
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    n_bytes: _Count


class Description(_Strict):
    """The content of a folder's description."""

    format: Literal["dissect_core.simplified/1"]
    made_with: dict[str, str]
    variant: str
    removed: dict[_Path, list[_Count]]
    n_parameters_before: _Count
    n_parameters_after: _Count
    flops_before: _Count | None
    flops_after: _Count | None
    largest_difference: float | None
    stand_ins: dict[_Path, StandInSaid]
    unread: list[_Path]
    cuts: list[CutSaid]
    weights: WeightsSaid
    record: dict[str, JsonValue]


def read_description(folder: Path) -> Description:
    path = folder / DESCRIPTION
    try:
        with open_regular(path) as file:
            content = file.read(_LONGEST_DESCRIPTION + 1)
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{visible(str(path))} does not exist. Give a folder that `save_simplified` or `deep-dissect simplify "
            "--out` wrote."
        ) from error
    except (OSError, ValueError) as error:  # a path that no system can have is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{path} cannot be read: {reason}.") from error
    if len(content) > _LONGEST_DESCRIPTION:
        raise CheckpointError(f"{path} is damaged: it is longer than any description. Copy the folder again.")
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {first_fault(error)}. Copy the folder again.") from error


def weights_at(folder: Path) -> WeightsSaid:
    """Return the size and checksum of the file of weights."""
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
    return WeightsSaid(sha256=digest.hexdigest(), n_bytes=n_bytes)


def first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return cut(visible(f"`{where}`: {fault['msg']}" if where else fault["msg"]))
