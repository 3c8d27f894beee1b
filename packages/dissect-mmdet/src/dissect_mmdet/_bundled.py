"""Names that stand for bundled files."""

from __future__ import annotations

from pathlib import Path

from .errors import DissectMMDetError

BUNDLED = "demo:"
"""What a checkpoint's name begins with if it stands for a bundled one."""


def real_checkpoint(path: Path | str) -> Path:
    """The file of a checkpoint; ``demo:detr`` stands for a bundled one.

    Raises
    ------
    DissectMMDetError
        If no bundled detector has the name.

    Examples
    --------
    >>> real_checkpoint("demo:dino").name, real_checkpoint("mine.pth").name
    ('dino.pth', 'mine.pth')
    """
    if not str(path).startswith(BUNDLED):
        return Path(path)
    from .demo import DEMO_DETECTORS, demo_files  # which imports the rest of the package

    name = str(path).removeprefix(BUNDLED)
    if name not in DEMO_DETECTORS:
        known = ", ".join(f"{BUNDLED}{known}" for known in DEMO_DETECTORS)
        raise DissectMMDetError(f"the checkpoint {path} must be one of the bundled ones, {known}, or a file.")
    return demo_files(name).checkpoint
