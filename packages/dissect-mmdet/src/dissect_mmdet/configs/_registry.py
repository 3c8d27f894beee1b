"""The names that MMEngine's registries hold, and a way to keep the registries from importing others."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

BUILT = ("MODELS", "TASK_UTILS", "TRANSFORMS", "WEIGHT_INITIALIZERS")
"""Registries that models and pipelines are built from."""
OWN_SCOPES = frozenset({"mmdet", "mmengine", "mmcv"})
"""Registries that a name without a scope is looked up in."""
OWN_PACKAGES = frozenset({"mmdet", "mmengine", "mmcv", "torch", "dissect_mmdet"})
"""Packages of the classes that a config may name; of torch's, those that MMEngine and mmcv register."""
WORDS = frozenset(
    {"nms", "soft_nms"}  # functions of mmcv.ops, which evaluates their names
    | {"conv", "last_conv", "interpolation_conv"}  # of mmdet's FPG
    | {"offset", "dilation"}  # of its cascaded RPN heads
    | {"zeros", "circular"}  # paddings of torch
)
"""Values of `type` in MMDetection's configs that no registry holds."""

_is_closed: ContextVar[bool] = ContextVar("registries import nothing", default=False)
_lock = threading.Lock()
_originals: list[tuple[Any, Any]] = []
_n_inside = 0


def admitted_names(packages: Sequence[str] = ()) -> frozenset[str]:
    """Return the names that models and pipelines may be built from, with and without the scope of their registry.

    Parameters
    ----------
    packages : sequence of str
        Packages of the user, whose classes are admitted besides MMDetection's.
    """
    import mmcv.ops
    import torch

    named = {package.partition(".")[0] for package in packages}
    allowed, scopes = OWN_PACKAGES | named, OWN_SCOPES | named
    names: dict[str, bool] = {}
    for registry in _registries():
        for name, held in registry.module_dict.items():
            is_allowed = _package_of(held) in allowed
            spelt = [f"{registry.scope}.{name}", *([name] if registry.scope in scopes else [])]
            for one in spelt:  # a name that several packages register is admitted if all of them are
                names[one] = names.get(one, True) and is_allowed
    operators = {
        name
        for name, held in vars(mmcv.ops).items()
        if isinstance(held, type) and issubclass(held, torch.nn.Module)
    }
    return frozenset({name for name, is_allowed in names.items() if is_allowed} | operators | WORDS)


def is_admitted(name: str, names: frozenset[str], packages: Sequence[str] = ()) -> bool:
    """Return whether a config may name this: one of `names`, or the dotted name of a registered class."""
    if name in names:
        return True
    allowed = OWN_PACKAGES | {package.partition(".")[0] for package in packages}
    return "." in name and (found := registered(name)) is not None and _package_of(found) in allowed


def registered(name: str) -> Any | None:
    """Return the class of a dotted name (``mmdet.models.detectors.DETR``) if a registry holds it; nothing is imported.

    Configs in pure Python are stored with such names.
    """
    parts = name.split(".")
    modules = (".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
    module = next((name for name in modules if name in sys.modules), None)
    if module is None:
        return None
    found: Any = sys.modules[module]
    for part in parts[module.count(".") + 1 :]:
        found = inspect.getattr_static(found, part, None)  # runs no code of a module or class
    held = {id(one) for registry in _registries() for one in registry.module_dict.values()}
    return found if id(found) in held else None


@contextmanager
def closed_registries() -> Iterator[None]:
    """Make MMEngine's registries return only what they hold; by default, they import and call any name.

    Only this thread is affected, and only within the block.
    """
    _enter()
    token = _is_closed.set(True)
    try:
        yield
    finally:
        _is_closed.reset(token)
        _leave()


def _enter() -> None:
    global _n_inside  # the whole process shares MMEngine's functions, which are replaced here
    from mmengine.registry import registry

    with _lock:
        _n_inside += 1
        if _n_inside > 1:
            return
        by_name, imported = registry.get_object_from_string, registry.import_module

        def get_object_from_string(name: str) -> Any:
            return registered(name) if _is_closed.get() else by_name(name)

        def import_module(name: str, package: str | None = None) -> Any:
            if not _is_closed.get():
                return imported(name, package)
            if name not in sys.modules:
                raise ModuleNotFoundError(f"{name} is not imported for a config", name=name)
            return sys.modules[name]

        _originals[:] = [by_name, imported]
        registry.get_object_from_string, registry.import_module = get_object_from_string, import_module


def _leave() -> None:
    global _n_inside
    from mmengine.registry import registry

    with _lock:
        _n_inside -= 1
        if _n_inside == 0:
            registry.get_object_from_string, registry.import_module = _originals


def _registries() -> Iterator[Any]:
    """Yield the registries of models and pipelines, with those of other packages below them."""
    import mmengine.registry

    waiting = [getattr(mmengine.registry, name) for name in BUILT]
    while waiting:
        registry = waiting.pop()
        yield registry
        waiting.extend(registry.children.values())


def _package_of(held: Any) -> str:
    """Return the package that a class or function is from."""
    return str(getattr(held, "__module__", None) or "").partition(".")[0]
