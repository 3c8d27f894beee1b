"""Modules that the user names, imported before a model is built."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from .._runtime import require_mmdet
from ..errors import ConfigError


def import_modules(modules: Sequence[str]) -> None:
    """Import modules that register classes for a config to name.

    Raises
    ------
    ConfigError
        If one of them is not there, or fails.

    Examples
    --------
    >>> import_modules(["json"])
    >>> import_modules(["no_such_module"])
    Traceback (most recent call last):
    dissect_mmdet.errors.ConfigError: the module 'no_such_module' of `custom_imports` (--custom-imports) cannot be ...
    """
    if isinstance(modules, str) or not all(isinstance(module, str) for module in modules):
        raise ConfigError(
            f"`custom_imports` (--custom-imports) must be a sequence of names of modules, got {modules!r}."
        )
    if modules:
        require_mmdet()  # whose operators they may ask for
    for module in modules:
        _import(module)


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # a module runs code of its own: anything can come out of it
        raise ConfigError(
            f"the module {module!r} of `custom_imports` (--custom-imports) cannot be imported: "
            f"{type(error).__name__}: {' '.join(str(error).split())}. Install it, or put its folder on PYTHONPATH."
        ) from error
