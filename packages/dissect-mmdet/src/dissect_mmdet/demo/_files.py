"""The files of the bundled detectors: configs and trained weights inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

DEMO_DETECTORS: dict[str, str] = {
    "detr": "DETR",
    "deformable_detr": "Deformable DETR",
    "dino": "DINO",
}
"""Name of each bundled detector and how to write it in a title."""

_HERE = Path(__file__).parent


class DemoFiles(NamedTuple):
    """Where a bundled detector lies.

    Attributes
    ----------
    config, checkpoint : Path
        An MMDetection config and a checkpoint for it.
    """

    config: Path
    checkpoint: Path


def demo_files(name: str) -> DemoFiles:
    """Config and checkpoint of a bundled detector.

    Parameters
    ----------
    name : {"detr", "deformable_detr", "dino"}

    Raises
    ------
    ValueError
        If there is no such detector.

    Examples
    --------
    >>> demo_files("dino").config.name
    'dino.py'
    """
    if name not in DEMO_DETECTORS:
        raise ValueError(f"name must be one of {', '.join(DEMO_DETECTORS)}, got {name!r}")
    return DemoFiles(_HERE / "configs" / f"{name}.py", _HERE / "weights" / f"{name}.pth")
