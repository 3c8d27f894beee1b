"""Reading MMDetection configs, from files and, without running code, from checkpoints."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

from ._runtime import require_mmdet
from .errors import ConfigError

OWN_MODULES = frozenset({"dissect_mmdet.demo.narrow_dino"})
"""Modules that a config inside a checkpoint may have imported."""


def load_config(path: Path | str) -> Any:
    """Read a config file of MMDetection.

    A config in Python is a program: read only files that you trust.

    Parameters
    ----------
    path : Path or str
        A ``.py``, ``.json`` or ``.yaml`` config with a ``model``.

    Returns
    -------
    mmengine.config.Config

    Raises
    ------
    ConfigError
        If the file is missing, cannot be parsed, or has no ``model``.
    """
    require_mmdet()
    from mmengine.config import Config

    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"config {path}: no such file. Give the config that the checkpoint was trained with."
        )
    try:
        config = Config.fromfile(str(path))
    except FileNotFoundError as error:
        needed = Path(str(error.filename))
        if needed.suffix not in (".py", ".json", ".yaml", ".yml"):
            raise ConfigError(
                f"config {path} cannot be read: it needs {needed}, which is not there."
            ) from error
        raise ConfigError(
            f"config {path} cannot be read: it builds on {needed}, which is not there. Copy that file too, to the "
            "same place beside the config, or give the config where it was."
        ) from error
    except Exception as error:  # a config runs code of its own: anything can come out of it
        raise ConfigError(f"config {path} cannot be read: {type(error).__name__}: {error}") from error
    return checked_config(config, f"config {path}")


def checked_config(config: Any, source: str) -> Any:
    """The config itself if it describes a detector, else a `ConfigError` that names `source`."""
    if "model" not in config:
        raise ConfigError(f"{source} has no `model`: is it the config of a detector?")
    return config


def config_of_checkpoint(checkpoint: dict[str, Any]) -> Any | None:
    """The config that MMEngine keeps inside a checkpoint, when it can be read without running code.

    MMEngine writes it as Python text made of literals and ``dict(...)`` calls. The text is parsed, never
    executed; anything beyond literals makes the answer None. ``custom_imports`` are left out unless they name
    a module of this package that defines a detector, since importing is running code too.

    Returns
    -------
    mmengine.config.Config or None
    """
    text = checkpoint.get("meta", {}).get("cfg") if isinstance(checkpoint.get("meta"), dict) else None
    if not isinstance(text, str):
        return None
    values = literal_assignments(text)
    if values is None or "model" not in values:
        return None
    imports = values.pop("custom_imports", None)
    require_mmdet()
    from mmengine.config import Config

    asked = imports.get("imports") if isinstance(imports, dict) else None
    for module in OWN_MODULES.intersection(asked if isinstance(asked, list) else ()):
        importlib.import_module(module)
    return Config(values)


def literal_assignments(text: str) -> dict[str, Any] | None:
    r"""The values of a Python text that is nothing but ``name = literal`` lines, or None.

    Examples
    --------
    >>> literal_assignments("model = dict(type='DETR', n=3)\nlr = -1e-4")
    {'model': {'type': 'DETR', 'n': 3}, 'lr': -0.0001}
    >>> literal_assignments("model = __import__('os').getcwd()") is None
    True
    """
    try:
        tree = ast.parse(text)
        values: dict[str, Any] = {}
        for statement in tree.body:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
                return None
            values[statement.targets[0].id] = _literal(statement.value)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return values


def _literal(node: ast.expr) -> Any:
    """Like `ast.literal_eval`, with ``dict(key=value)`` calls as MMEngine writes them."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != "dict" or node.args:
            raise ValueError(f"not a literal: {ast.dump(node.func)}")
        return {_keyword(word): _literal(word.value) for word in node.keywords}
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError("not a literal: ** in a dict")
        return {
            _literal(k): _literal(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None
        }
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)


def _keyword(word: ast.keyword) -> str:
    if word.arg is None:
        raise ValueError("not a literal: ** in a call")
    return word.arg
