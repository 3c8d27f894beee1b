"""Which class a model's config asks for, seen before Transformers builds anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dissect_core.names import near_matches
from dissect_core.text import quoted

from ..errors import ModelError, RemoteCodeError
from ._files import CONFIG, read_json

_AUTO_CLASS = "AutoModelForObjectDetection"


def checked_config(folder: Path, *, trust: bool = False) -> dict[str, Any]:
    """Return the content of a folder's config, if it describes an object detector of Transformers.

    Parameters
    ----------
    folder : Path
    trust : bool
        Let it name a class in Python files of its own.

    Raises
    ------
    RemoteCodeError
        If only code of its own could run it, and `trust` is not given.
    ModelError
        If Transformers does not know its type, or it is no object detector.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES as DETECTORS

    config = read_json(folder / CONFIG)
    kind = config.get("model_type")
    own = config.get("auto_map")
    has_own_code = isinstance(own, dict) and bool({"AutoConfig", _AUTO_CLASS} & own.keys())
    if kind in DETECTORS or (has_own_code and trust):
        return config
    if has_own_code:
        raise RemoteCodeError(
            f"model {folder}: its type {quoted(kind)} needs Python code that comes with it, which is run only if you "
            "trust whoever made it (--trust, `trust=True`)."
        )
    detectors = sorted(DETECTORS)
    if kind is None:
        raise ModelError(
            f"{folder / CONFIG}: names no `model_type`, such as {quoted('detr')}: is it the config of another program?"
        )
    if kind in CONFIG_MAPPING_NAMES:
        architectures = config.get("architectures")
        shown = architectures[0] if isinstance(architectures, list) and architectures else kind
        raise ModelError(
            f"model {folder}: is no object detector, but {quoted(shown)} (type {quoted(kind)}). Types of detectors "
            f"are: {', '.join(detectors)}."
        )
    near = near_matches(str(kind), detectors)
    hint = f"Near matches: {', '.join(near)}." if near else f"Types of detectors are: {', '.join(detectors)}."
    raise ModelError(
        f"model {folder}: Transformers {_version()} knows no type {quoted(kind)}. {hint} A newer one "
        "may know it."
    )


def _version() -> str:
    from transformers import __version__

    return str(__version__)
