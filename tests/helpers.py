"""What tests of several folders share."""

from pathlib import Path
from typing import Any, NamedTuple


class DemoData(NamedTuple):
    """A small split of demo scenes: image folder and annotation file."""

    images: Path
    annotations: Path

    @property
    def paths(self) -> list[Path]:
        """The images, by number."""
        return sorted(self.images.glob("*.png"))


class Touch:
    """Creates a file when unpickled: the canary of hostile pickles."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)
