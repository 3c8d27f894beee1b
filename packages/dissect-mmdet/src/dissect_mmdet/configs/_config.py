"""MMDetection configs, read from files and, without running code, from checkpoints."""

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
"""Endings of files that hold a config of plain values."""
LARGEST = 1 << 23
"""Most bytes of a config of plain values that is read."""
STORED = "the config inside the checkpoint"


def load_config(path: Path | str, *, trust: bool = False, custom_imports: Sequence[str] = ()) -> Any:
    """Read a config file of MMDetection.

    A config in Python is a program: read only files that you trust. From JSON and YAML only values are read, and
    nothing is run: such a config may name what MMDetection registers, and must not build on other files.

    Parameters
    ----------
    path : Path or str
        A ``.py``, ``.json`` or ``.yaml`` config with a ``model``.
    trust : bool
        Let MMEngine read JSON and YAML too, which can run code that the file names.
    custom_imports : sequence of str
        Modules that were imported for it: it may also name what their packages register.

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
    """Return the config that MMEngine keeps inside a checkpoint, or None if it cannot be read without running code.

    MMEngine writes it as Python text made of literals and ``dict(...)`` calls. The text is parsed, never
    executed; a text with anything else gives None.

    Parameters
    ----------
    checkpoint : dict
        Its content.
    trust : bool
        Let the config name anything, which MMEngine then imports and calls, and import its own ``custom_imports``.
        Without it, the config may name what MMDetection, MMEngine and mmcv register, and of its ``custom_imports``
        only `OWN_MODULES` are imported, since an import runs code.
    custom_imports : sequence of str
        Modules that were imported for it: it may also name what their packages register.

    Returns
    -------
    mmengine.config.Config or None

    Raises
    ------
    ConfigError
        If it names something that it may not name, or MMEngine does not take it as a config.
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
        except Exception as error:  # MMEngine refuses names that it uses itself
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
            f"config {path} cannot be read: it builds on {needed}, which is not there. Copy that file there, or give "
            "the config in the folder where it was written."
        ) from error
    except Exception as error:  # a config runs code of its own: anything can come out of it
        told, of_imports, _ = said(error).partition(", the current sys.path is")
        remedy = ". Install their package, or put its folder on PYTHONPATH." if of_imports else ""
        raise ConfigError(f"config {path} cannot be read: {told}{remedy}") from error


def _plain_file(path: Path, custom_imports: Sequence[str]) -> Any:
    """Return the config in a JSON or YAML file."""
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
        what = "has placeholders (`{{ }}`), which MMEngine evaluates"
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
        If `modules` are no names, or one of them is missing or fails while it is imported.

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
