"""Names that stand for what this package brings along, as entry points offer them: ``demo:detr``, ``demo:scenes`` …

Nothing that takes long is imported here: whoever looks for a name needs no torch.
"""

from __future__ import annotations

from pathlib import Path

from dissect_core.names import near_matches
from dissect_core.spec import DetectorSpec

from .demo import DEMO_DETECTORS, demo_files, scenes
from .errors import UnknownDemoError

__all__ = ["deformable_detr", "detr", "dino", "real_checkpoint", "scenes"]

BUNDLED = "demo:"
"""What a checkpoint's name begins with if it stands for a bundled one."""


def real_checkpoint(path: Path | str) -> Path:
    """Return the file of a checkpoint; ``demo:detr`` stands for a bundled one.

    Raises
    ------
    UnknownDemoError
        If no bundled detector has the name.

    Examples
    --------
    >>> real_checkpoint("demo:dino").name, real_checkpoint("mine.pth").name
    ('dino.pth', 'mine.pth')
    """
    if not str(path).startswith(BUNDLED):
        return Path(path)
    name = str(path).removeprefix(BUNDLED)
    if name not in DEMO_DETECTORS:
        known = [f"{BUNDLED}{known}" for known in DEMO_DETECTORS]
        near = near_matches(str(path), known)
        raise UnknownDemoError(
            f"the checkpoint {path} must be one of the bundled ones, {', '.join(known)}, or a file."
            + (f" Near matches: {', '.join(near)}." if near else "")
        )
    return demo_files(name).checkpoint


def detr() -> DetectorSpec:
    """Return how to open the bundled DETR, which is ``demo:detr``.

    Examples
    --------
    >>> detr().adapter, detr().options
    ('mmdet', {'checkpoint': 'demo:detr'})
    """
    return _spec("detr")


def deformable_detr() -> DetectorSpec:
    """Return how to open the bundled Deformable DETR, which is ``demo:deformable_detr``."""
    return _spec("deformable_detr")


def dino() -> DetectorSpec:
    """Return how to open the bundled DINO, which is ``demo:dino``."""
    return _spec("dino")


def _spec(name: str) -> DetectorSpec:
    return DetectorSpec(adapter="mmdet", options={"checkpoint": f"demo:{name}"})
