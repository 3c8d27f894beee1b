"""A model with all of its weights, and no others: built by Transformers, refused where anything does not fit."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from dissect_core import DissectError

from .._runtime import quiet
from ..errors import MissingPackageError, ModelError, WeightsError, said
from ._budget import building_budget
from ._files import require_weights

NAMED_AT_MOST = 3


def load_model(folder: Path, *, trust: bool = False) -> Any:
    """Return the detector of a folder in evaluation mode, with every weight read from its files, once.

    Parameters
    ----------
    folder : Path
        With a config that `checked_config` takes.
    trust : bool
        Read weights from a pickle (with ``weights_only=True``) where there is no safetensors file, and let the config
        name a class in Python files of its own.

    Raises
    ------
    WeightsError
        If weights are missing, of another shape, or have no place in the model, but for those of which its class says
        that they may be.
    MissingPackageError
        If it needs a package that is not installed, such as timm.
    ModelError
        If it cannot be built, or its config asks for far more than its weights could fill and `trust` is not given.
    """
    from transformers import AutoModelForObjectDetection

    require_weights(folder, trust=trust)
    budget = nullcontext() if trust else building_budget(folder)
    try:
        # Of weights that are missing, random numbers would be drawn.
        with quiet(), budget, torch.random.fork_rng(devices=[]):
            model, told = AutoModelForObjectDetection.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=trust,
                use_safetensors=None if trust else True,
                ignore_mismatched_sizes=True,  # they are refused below, in one line
                output_loading_info=True,
            )
    except DissectError:
        raise
    except ImportError as error:
        needed = error.name or said(error).partition(" ")[2]
        raise MissingPackageError(
            f"model {folder}: needs a package that is not installed: {needed}", name=error.name
        ) from error
    except Exception as error:  # whatever a class makes of its config, or a reader of a damaged file
        raise ModelError(f"model {folder}: cannot be built from its files: {said(error)}") from error
    require_fit(told, str(folder))
    _take_out_of_file(model)
    return model.eval()


@torch.no_grad()
def _take_out_of_file(model: torch.nn.Module) -> None:
    """Move values into memory of torch's own: as they are read, they are views of the file.

    A file that changes would change them. And they lie at odd addresses there, for which kernels round otherwise: the
    same model would give other last digits than in memory.
    """
    for values in (*model.parameters(), *model.buffers()):
        values.data = values.data.clone()


def require_fit(told: dict[str, Any], source: str) -> None:
    """Refuse weights that are not exactly a model's own, by what Transformers tells of loading them.

    Weights that a model's class lets be missing or ignores, and those tied to others, are not among these.

    Examples
    --------
    >>> require_fit({"missing_keys": {"head.bias"}, "unexpected_keys": set(), "mismatched_keys": set()}, "tiny")
    Traceback (most recent call last):
    dissect_transformers.errors.WeightsError: model tiny: its weights are not this model's: 1 missing (head.bias). ...
    """
    shapes = sorted(told.get("mismatched_keys") or ())
    wrong = {
        "missing": sorted(told.get("missing_keys") or ()),
        "without a place in the model": sorted(told.get("unexpected_keys") or ()),
        "of another shape": [
            f"{name} {shape(there)} there, {shape(here)} here" for name, there, here in shapes
        ],
    }
    parts = [f"{len(names):,} {what} ({listed(names)})" for what, names in wrong.items() if names]
    if parts:
        raise WeightsError(
            f"model {source}: its weights are not this model's: {'; '.join(parts)}. Give the config and the weights "
            "that belong together."
        )
    if errors := told.get("error_msgs"):
        raise WeightsError(f"model {source}: its weights cannot be loaded: {listed(list(map(str, errors)))}.")


def listed(names: Collection[str]) -> str:
    """Return the first of some names, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - NAMED_AT_MOST:,} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(list(names)[:NAMED_AT_MOST]) + more


def shape(sizes: Collection[int]) -> str:
    """Return a shape for people.

    >>> shape((81, 1024)), shape(())
    ('81 × 1024', 'scalar')
    """
    return " × ".join(map(str, sizes)) or "scalar"
