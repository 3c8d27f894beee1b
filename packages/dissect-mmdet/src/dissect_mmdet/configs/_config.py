"""Reading MMDetection configs, from files and, without running code, from checkpoints."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dissect_core import DissectError
from dissect_core.spec import parse_spec
from dissect_core.storage.files import open_regular

from .._runtime import require_mmdet
from ..errors import ConfigError, ConfigNotFoundError, said
from ._literals import literal_assignments

OWN_MODULES = frozenset({"dissect_mmdet.demo.narrow_dino"})
"""Modules that a config inside a checkpoint may have imported."""
PLAIN = (".json", ".yaml", ".yml")
"""Endings of configs that are plain values."""
LARGEST = 1 << 23
"""Bytes of a config of plain values that are read."""
STORED = "the config inside the checkpoint"


def load_config(path: Path | str, *, trust: bool = False, custom_imports: Sequence[str] = ()) -> Any:
    """Read a config file of MMDetection.

    A config in Python is a program: read only files that you trust. Of one in JSON or YAML the values are read, and
    nothing is run: it may name what MMDetection registers, and builds on no other file.

    Parameters
    ----------
    path : Path or str
        A ``.py``, ``.json`` or ``.yaml`` config with a ``model``.
    trust : bool
        Let MMEngine read JSON and YAML too, which can run code that the file names.
    custom_imports : sequence of str
        Modules that were imported for it: what their packages register may be named too.

    Returns
    -------
    mmengine.config.Config

    Raises
    ------
    ConfigError
        If the file is missing, cannot be parsed, has no ``model``, or names something that it may not name.
    """
    require_mmdet()
    path = Path(path)
    if not path.is_file():
        raise ConfigNotFoundError(
            f"config {path}: no such file. Give the config that the checkpoint was trained with."
        )
    if path.suffix.lower() in PLAIN and not trust:
        return _plain_file(path, custom_imports)
    return checked_config(_program(path), f"config {path}")


def checked_config(config: Any, source: str) -> Any:
    """Return the config itself; raise a `ConfigError` that names `source` if it describes no detector."""
    if "model" not in config:
        raise ConfigError(f"{source} has no `model`: is it the config of a detector?")
    return config


def config_of_checkpoint(
    checkpoint: dict[str, Any], *, trust: bool = False, custom_imports: Sequence[str] = ()
) -> Any | None:
    """Return the config that MMEngine keeps inside a checkpoint, when it can be read without running code.

    MMEngine writes it as Python text made of literals and ``dict(...)`` calls. The text is parsed, never
    executed; anything beyond literals makes the answer None.

    Parameters
    ----------
    checkpoint : dict
        What was loaded.
    trust : bool
        Let the config name anything, which MMEngine then imports and calls, and import its own ``custom_imports``.
        Else it may name what MMDetection, MMEngine and mmcv register; ``custom_imports`` are left out unless they name
        a module of this package that defines a detector, since importing is running code too.
    custom_imports : sequence of str
        Modules that were imported for it: what their packages register may be named too.

    Returns
    -------
    mmengine.config.Config or None

    Raises
    ------
    ConfigError
        If it names something that it may not name.
    """
    meta = checkpoint.get("meta")
    text = meta.get("cfg") if isinstance(meta, dict) else None
    values = literal_assignments(text) if isinstance(text, str) else None
    if values is None or "model" not in values:
        return None
    require_mmdet()
    imports = values.get("custom_imports")
    asked = imports.get("imports") if isinstance(imports, dict) else None
    asked = [asked] if isinstance(asked, str) else asked if isinstance(asked, (list, tuple)) else []
    for module in OWN_MODULES.intersection(name for name in asked if isinstance(name, str)):
        importlib.import_module(module)
    if trust:
        from mmengine.config import Config

        import_modules(asked)
        try:
            return Config(values)
        except Exception as error:  # of names that MMEngine keeps for itself
            raise ConfigError(f"{STORED} is no config: {said(error)}.") from error
    from ._plain import plain_config

    return plain_config(values, STORED, custom_imports)


def _program(path: Path) -> Any:
    """Read a config file with MMEngine, which runs it."""
    from mmengine.config import Config

    try:
        return Config.fromfile(str(path))
    except FileNotFoundError as error:
        needed = Path(str(error.filename))
        if needed.suffix not in (".py", *PLAIN):
            raise ConfigError(
                f"config {path} cannot be read: it needs {needed}, which is not there."
            ) from error
        raise ConfigError(
            f"config {path} cannot be read: it builds on {needed}, which is not there. Copy that file too, to the "
            "same place beside the config, or give the config where it was."
        ) from error
    except Exception as error:  # a config runs code of its own: anything can come out of it
        raise ConfigError(f"config {path} cannot be read: {said(error)}") from error


def _plain_file(path: Path, custom_imports: Sequence[str]) -> Any:
    """Return the values of a JSON or YAML file, as a config."""
    from ._plain import plain_config

    source = f"config {path}"
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(
                f"{source} is larger than {LARGEST:,} bytes: no config of a detector is so large."
            )
        text = content.decode()
        values = parse_spec(text, path.suffix.lower(), source)
    except DissectError as error:
        raise ConfigError(str(error)) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source} cannot be read: {said(error)}") from error
    if isinstance(values, dict) and "_base_" in values:
        what = "builds on other files (`_base_`), which may be programs"
    elif "{{" in text:
        what = "has places to be filled in (`{{ }}`), which MMEngine evaluates"
    else:
        return plain_config(values, source, custom_imports)
    raise ConfigError(
        f"{source} {what}. If you trust it and them, say --trust; or give the whole config, as MMEngine's "
        "`Config.dump` writes it."
    )


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
