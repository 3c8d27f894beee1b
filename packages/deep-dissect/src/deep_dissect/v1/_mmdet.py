"""MMDetection's part of version 1.0, found by entry point: the front door imports no adapter."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from dissect_core.errors import MissingDependencyError

GROUP = "dissect.v1"
"""Entry-point group in which MMDetection's adapter offers a module with what 1.0's functions need."""


class Adapter:
    """The module that the adapter offers, imported when something of it is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_module(), name)


mmdet = Adapter()


@cache
def _module() -> ModuleType:
    entries = tuple(entry_points(group=GROUP, name="mmdet"))
    if not entries:
        raise MissingDependencyError(
            "Deep Dissect 1.0's functions need dissect-mmdet, which is not installed. Run "
            '`pip install "deep-dissect[mmdet]"`.'
        )
    module: ModuleType = entries[0].load()
    return module
