"""What must stay the same about a detector for a study to go on, beside its weights."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

PACKAGES = ("dissect-mmdet", "mmdet", "mmengine", "mmcv", "mmcv-lite")


def detector_facts(config: Any) -> dict[str, Any]:
    """Checksum of a config's content, wherever it came from, and versions of what runs it."""
    from dissect_core.study import versions

    content = json.dumps(config.to_dict(), sort_keys=True, default=str)
    return {"config_sha256": sha256(content.encode()).hexdigest(), "packages": versions(PACKAGES)}
