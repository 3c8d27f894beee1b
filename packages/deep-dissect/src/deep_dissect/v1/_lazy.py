"""Modules that are imported when they are first used: version 1.0's, and those of other libraries.

Without this, ``from deep_dissect import *`` would load scikit-learn, IPython and ipywidgets, or fail where one of them
is not installed, though most notebooks use none of these names.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from dissect_core.errors import MissingDependencyError


class LazyModule(ModuleType):
    """A module that is imported when something of it is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The module {name}, imported when something of it is first asked for.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # tools ask any module for these: no use of it
            raise AttributeError(name)
        return getattr(imported(self.__name__, name), name)


def attribute(module: str, name: str) -> Any:
    """Return MMEngine's class `InstanceData` for a module's ``__getattr__``, or one that says what is missing."""
    if name != "InstanceData":
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    try:
        return importlib.import_module("mmengine.structures").InstanceData
    except ImportError:
        return _MissingInstanceData


def imported(module: str, name: str) -> ModuleType:
    """Import a module, or say for which name it is needed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = (error.name or module).partition(".")[0]
        package = {"sklearn": "scikit-learn"}.get(missing, missing)
        raise MissingDependencyError(
            f"`{name}` needs {package}, which is not installed. Run `pip install {package}`."
        ) from error


class _MissingInstanceData:
    """What stands for `InstanceData` where MMEngine is not installed."""

    def __init__(self, **_: Any) -> None:
        imported("mmengine.structures", "InstanceData")
