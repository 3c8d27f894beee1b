"""What a study's folder says of its detector and of its plan."""

import hashlib
from dataclasses import asdict
from typing import Any

from ..detectors import Detector, TorchDetector
from ..plan import Plan

UNITS_LISTED = 64
"""Of variants with more units than this, only their number is kept with the plan."""


def describe(detector: Detector) -> dict[str, Any]:
    """What tells one detector from another: its classes, its weights and where they are, and what it says itself."""
    found: dict[str, Any] = {"class_names": list(detector.class_names), **getattr(detector, "facts", {})}
    if isinstance(detector, TorchDetector):
        parameter = next(detector.model.parameters(), None)
        found["weights_sha256"] = weights_sha256(detector.model)
        found["device"] = "cpu" if parameter is None else parameter.device.type
    return found


def plan_rows(variants: Plan) -> list[dict[str, Any]]:
    """A row of plain data for each variant: what `Plan.rows` says, and which units where, if these are few."""
    rows = []
    paired = any(variant.singles for variant in variants)
    for variant, row in zip(variants, variants.rows, strict=True):
        listed = variant.n_units <= UNITS_LISTED
        removed = variant.removed() if listed else {}
        rows.append(
            {
                **asdict(row),
                "space": variant.space,
                "repeat": variant.repeat,
                "control_of": variant.control_of,
                "merged": list(variant.merged),
                "removed": [{"path": path, "units": list(units)} for path, units in removed.items()],
                # Only where there are any: the plans of studies that were begun without this stay what they were.
                **({"singles": list(variant.singles)} if paired else {}),
            }
        )
    return rows


def weights_sha256(model: Any) -> str:
    """Checksum of a torch model's parameters and buffers, by name, type, shape and value."""
    import torch

    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            digest.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
