"""What must stay the same about a detector for a study to go on, beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ..configs import dataset_with

PACKAGES = (
    "dissect-mmdet",
    "mmdet",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "onedl-mmdetection",
    "onedl-mmengine",
    "onedl-mmcv",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
)


def detector_facts(config: Any) -> dict[str, Any]:
    """Return checksums of a config's model and test pipeline, and versions of the packages that run it.

    The rest of a config says how the model was trained, and where files lie: the same detector has the same facts,
    whether its config comes from a file or out of its checkpoint.
    """
    from dissect_core.store import versions

    dataset = dataset_with(config, "pipeline") or {}
    parts = {"model": config.model, "test_pipeline": dataset.get("pipeline")}
    return {
        "config": {name: _digest(_without_initial_weights(part)) for name, part in parts.items()},
        "packages": versions(PACKAGES),
    }


def former_facts(config: Any) -> dict[str, Any]:
    """Return the checksum of a whole config, as it was on record in the first format of studies."""
    content = json.dumps(config.to_dict(), sort_keys=True, default=str)
    return {"config_sha256": sha256(content.encode()).hexdigest()}


def _digest(part: Any) -> str:
    text = json.dumps(part, sort_keys=True, default=_named)
    return sha256(text.encode()).hexdigest()


def _named(value: Any) -> str:
    """Return classes and functions, of configs in pure Python, by their names: in others a registry holds these."""
    name = getattr(value, "__qualname__", None)
    return str(value) if name is None else str(name)


def _without_initial_weights(part: Any) -> Any:
    """Return a part of a config without ``init_cfg``: the checkpoint brings all weights."""
    if isinstance(part, Mapping):
        return {str(key): _without_initial_weights(value) for key, value in part.items() if key != "init_cfg"}
    return [_without_initial_weights(item) for item in part] if isinstance(part, (list, tuple)) else part
