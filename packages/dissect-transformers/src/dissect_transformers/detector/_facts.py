"""What must stay the same about a detector for a study to go on, beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

PACKAGES = ("dissect-transformers", "transformers", "pillow", "torchvision", "timm")

_INCIDENTAL = frozenset({"_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype"})


def detector_facts(model: Any, processor: Any) -> dict[str, Any]:
    """Return checksums of a model's config and of its image processor, and versions of the packages that run them."""
    from dissect_core.store import versions

    return {
        "config": {
            "model": _digest({**model.config.to_dict(), "attention": model.config._attn_implementation}),
            "processor": _digest({**_settings(processor), "class": type(processor).__name__}),
        },
        "packages": versions(PACKAGES),
    }


def _settings(processor: Any) -> dict[str, Any]:
    found: dict[str, Any] = processor.to_dict() if hasattr(processor, "to_dict") else {}
    return found


def _digest(part: Mapping[str, Any]) -> str:
    return sha256(json.dumps(_lasting(part), sort_keys=True, default=str).encode()).hexdigest()


def _lasting(part: Any) -> Any:
    """Return settings without those that say where a model is from, or which a file repeats; inner ones too."""
    if isinstance(part, Mapping):
        return {str(key): _lasting(value) for key, value in part.items() if key not in _INCIDENTAL}
    return [_lasting(item) for item in part] if isinstance(part, (list, tuple)) else part
