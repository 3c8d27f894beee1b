"""Where a model's files are: in a folder, or fetched from the Hub into its cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dissect_core.text import quoted

from ..errors import ModelError, ModelNotFoundError, WeightsError, said

CONFIG, PROCESSOR, NESTED_PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
ADAPTER = "adapter_config.json"
WEIGHTS, SHARDS = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")

_FETCHED = (CONFIG, PROCESSOR, NESTED_PROCESSOR, WEIGHTS, SHARDS, "model-*.safetensors")
_FETCHED_WITH_TRUST = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin", "*.py")


def model_folder(
    model: Path | str, *, revision: str | None = None, trust: bool = False, local_files_only: bool = False
) -> Path:
    """Return the folder of a model's files, fetched from the Hub if it is no folder here.

    Parameters
    ----------
    model : Path or str
        A folder, or an id on the Hub, such as ``"PekingU/rtdetr_r18vd"``.
    revision : str, optional
        Branch, tag or commit on the Hub; left out, the main branch.
    trust : bool
        Fetch pickled weights and Python files, too.
    local_files_only : bool
        Take what is in the cache, and use no network.

    Raises
    ------
    ModelNotFoundError
        If there is no such folder, or neither the cache nor the Hub has the model.
    ModelError
        If a revision is asked of a folder, or the folder holds no config.
    """
    folder = Path(model)
    if str(model) and folder.is_dir():
        if revision is not None:
            raise ModelError(
                f"model {folder}: is a folder, which has no revision {quoted(revision)}: leave `revision` out."
            )
    elif str(model) and folder.exists():
        raise ModelError(
            f"model {folder}: is a file, but a model of Transformers is a folder with {CONFIG}, weights and "
            f"{PROCESSOR}, as `save_pretrained` writes it."
        )
    else:
        folder = _fetched(str(model), revision, trust=trust, local_files_only=local_files_only)
    if not (folder / CONFIG).is_file() and (folder / ADAPTER).is_file():
        raise ModelError(
            f"model {folder}: holds an adapter of PEFT ({ADAPTER}), not a whole model. Merge it into its model with "
            "PEFT's `merge_and_unload`, and give the folder that `save_pretrained` then writes."
        )
    if not (folder / CONFIG).is_file():
        raise ModelNotFoundError(
            f"model {model}: holds no {CONFIG}, which says what kind of model it is. Give the folder that "
            "`save_pretrained` wrote."
        )
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a model's JSON file.

    Raises
    ------
    ModelError
        If it is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {said(error)}.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} must hold a JSON object, got {quoted(content)}.")
    return content


def require_weights(folder: Path, *, trust: bool) -> None:
    """Refuse a folder without weights that may be read: safetensors, or with `trust` PyTorch's pickles too.

    Raises
    ------
    WeightsError
        If there are none, only pickles, or an index names another kind of file.
    """
    if (folder / WEIGHTS).is_file():
        return
    if (folder / SHARDS).is_file():
        named = read_json(folder / SHARDS).get("weight_map")
        files = set(named.values()) if isinstance(named, dict) else set()
        wrong = sorted(str(file) for file in files if not _is_part(file))
        missing = sorted(str(file) for file in files if _is_part(file) and not (folder / file).is_file())
        if not files or wrong or missing:
            what = (
                f"names {quoted(wrong[0])}"
                if wrong
                else f"names {missing[0]}"
                if missing
                else "names no file"
            )
            why = "which is no safetensors file beside it" if wrong else "which is missing" if missing else ""
            raise WeightsError(
                f"{folder / SHARDS} {what}{', ' if why else ''}{why}: download the model again, whole."
            )
        return
    pickles = [name for name in PICKLES if (folder / name).is_file()]
    if pickles and not trust:
        raise WeightsError(
            f"model {folder}: its weights are a pickle ({pickles[0]}), which is read only if you trust whoever made it "
            "(--trust, `trust=True`). Or save it anew with `save_pretrained`, which writes safetensors."
        )
    if not pickles:
        raise WeightsError(
            f"model {folder}: holds no weights ({WEIGHTS}). Give the folder that `save_pretrained` wrote, whole."
        )


def _is_part(file: Any) -> bool:
    return isinstance(file, str) and file.endswith(".safetensors") and Path(file).name == file


def _fetched(name: str, revision: str | None, *, trust: bool, local_files_only: bool) -> Path:
    """Fetch a model's files from the Hub into its cache, or find them there."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {quoted(revision)}" if revision else ""
    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=[*_FETCHED, *(_FETCHED_WITH_TRUST if trust else ())],
                local_files_only=local_files_only,
            )
        )
    except HFValidationError as error:
        raise ModelNotFoundError(
            f"model {quoted(name)}: is no folder here, and cannot be an id on the Hub (OWNER/NAME)."
        ) from error
    except GatedRepoError as error:
        raise ModelNotFoundError(
            f"model {quoted(name)}: its owner asks on the Hub for consent first: give it there, then log in with "
            "`hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelNotFoundError(f"model {quoted(name)}: the Hub has it, but not{at}.") from error
    except RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"model {quoted(name)}: is no folder here, and the Hub has no such model, or keeps it private."
        ) from error
    except LocalEntryNotFoundError as error:
        asked = local_files_only or constants.HF_HUB_OFFLINE
        why = "and the network is not to be used" if asked else "and the Hub cannot be reached"
        raise ModelNotFoundError(
            f"model {quoted(name)}{at}: is no folder here and not in the cache, {why}. Give a folder, or fetch it "
            f"first where there is a network: hf download {name}"
        ) from error
    except Exception as error:  # what the network, the Hub's server or the disk say
        raise ModelNotFoundError(
            f"model {quoted(name)}{at}: cannot be fetched from the Hub: {said(error)}."
        ) from error
