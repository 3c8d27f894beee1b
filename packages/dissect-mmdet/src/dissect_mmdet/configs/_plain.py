"""Configs of plain values, from checkpoints and from YAML and JSON: what they may name and set.

Import it after `require_mmdet`: it needs MMEngine.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mmengine.config import Config

from dissect_core.text import quoted

from ..errors import ConfigError, said
from ._arguments import drop_backends, drop_initial_weights, require_arguments
from ._paths import ConfigPath, config_paths, dataset_with
from ._registry import OWN_SCOPES, admitted_names, closed_registries, is_admitted

DEEPEST, MOST = 64, 1_000_000
"""Most levels and values of a config: MMDetection's have some ten levels, and with 13,000 class names 50,000 values."""
MOST_IN_PIPELINE = 2_000
"""Most values of a test pipeline: MMDetection's have some 50."""
NAMES = ("type", "resize_type", "conv_type")
"""Keys under which MMDetection looks for the name of a class."""
PIPELINE = "test_dataloader.dataset.pipeline"


class PlainConfig(Config):  # type: ignore[misc]  # MMEngine has no types
    """A config that came as plain values, and that names nothing but what MMDetection registers.

    Made by `plain_config`. Build from it inside `closed_registries`.
    """


def plain_config(values: Any, source: str, packages: Sequence[str] = ()) -> PlainConfig:
    """Make a config of plain values, if its model and test pipeline name only what is registered.

    Nothing is imported or built.

    Parameters
    ----------
    values : dict
        Content of the config.
    source : str
        Where they are from, for messages.
    packages : sequence of str
        Packages that the user named: their registered classes are admitted too.

    Raises
    ------
    ConfigError
        If it is not plain, has no `model`, or names or sets something that it may not; the message names the path.
    """
    _require_plain(values, source)
    if not isinstance(values.get("model"), dict):
        raise ConfigError(
            f"{source}: `model` must be a mapping with a `type`, got {quoted(values.get('model'))}. "
            "Give the config of the detector with --config."
        )
    names = admitted_names(packages)
    scopes = {*OWN_SCOPES, *(package.partition(".")[0] for package in packages)}
    for where, part in _built_of(values).items():
        for number, at in enumerate(config_paths(part, where)):
            if number > MOST_IN_PIPELINE and where == PIPELINE:
                raise ConfigError(
                    f"{source} was refused: `{PIPELINE}` holds over {MOST_IN_PIPELINE:,} values, which would take "
                    "hours. If you trust the file, say --trust; or give the config as a Python file with --config."
                )
            if at.key == "_scope_" and not (isinstance(at.value, str) and at.value in scopes):
                raise _refused(source, at, "an unknown scope, whose package would be imported")
            if at.key in NAMES and not (isinstance(at.value, str) and is_admitted(at.value, names, packages)):
                raise _refused(source, at, "which MMDetection does not register")
            require_arguments(at, source)
    try:
        return PlainConfig({name: value for name, value in values.items() if name != "custom_imports"})
    except Exception as error:  # MMEngine refuses names that it uses itself
        raise ConfigError(f"{source} is no config: {said(error)}.") from error


def is_plain(config: Any) -> bool:
    """Return whether a config came as plain values, and not as a Python file of the user's."""
    return isinstance(config, PlainConfig)


def closed_for(config: Any) -> AbstractContextManager[None]:
    """Return a context: `closed_registries` for a plain config, one that does nothing for a Python file's."""
    return closed_registries() if is_plain(config) else nullcontext()


def _built_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return copies of the parts that are built, by path, without initial weights and file backends."""
    parts = {"model": values["model"]}
    dataset = dataset_with(values, "pipeline")
    if dataset is not None:
        parts[PIPELINE] = dataset["pipeline"]
    parts = copy.deepcopy(parts)
    drop_initial_weights(parts)
    drop_backends(parts)
    return parts


def _require_plain(values: Any, source: str) -> None:
    """Refuse values that are no mapping of plain values, are too many, too deeply nested, or hold themselves."""
    if not isinstance(values, dict):
        raise ConfigError(f"{source} must be a mapping with a `model`, got {quoted(values)}.")
    waiting: list[tuple[Any, int]] = [(values, 1)]
    n_values = 0
    while waiting:
        value, depth = waiting.pop()
        n_values += 1
        if depth > DEEPEST or n_values > MOST:
            raise ConfigError(
                f"{source} is nested over {DEEPEST} levels deep, or holds over {MOST:,} values, as no config of a "
                "detector is. Give another one with --config."
            )
        if isinstance(value, dict):
            if {type(key) for key in value} not in ({str}, {int}, set()):
                odd = next(key for key in value if not isinstance(key, str))
                raise ConfigError(
                    f"{source}: keys must be text, or all of them numbers, but one is {quoted(odd)}."
                )
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, (list, tuple, set)):
            waiting += [(inner, depth + 1) for inner in value]
        elif value is not None and not isinstance(value, (str, int, float)):
            raise ConfigError(f"{source} must hold numbers and texts, got {quoted(value)}.")


def _refused(source: str, at: ConfigPath, what: str) -> ConfigError:
    return ConfigError(
        f"{source} was refused: `{at.path}` is {quoted(at.value)}, {what}. Nothing was imported or run. If you "
        "trust the file, say --trust; for classes of a package of your own, --custom-imports MODULE; or give the "
        "config as a Python file with --config."
    )
