"""Where values lie in a config: every one with its path, and the descriptions of the test data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dissect_core.text import cut, visible

WRAPPED_AT_MOST = 10
"""Data sets around another: MMEngine's wrappers repeat, join or balance them."""


def wrapped_datasets(config: Any) -> list[Mapping[str, Any]]:
    """Return descriptions of a config's test data, each the first of those that the one before wraps.

    Parameters
    ----------
    config : mapping or mmengine Config
        Whatever it holds in the place of a description is passed over.

    Returns
    -------
    list of mapping
        The outermost first; empty where there is none.

    Examples
    --------
    >>> wrapped_datasets({"test_dataloader": {"dataset": {"times": 2, "dataset": {"type": "CocoDataset"}}}})
    [{'times': 2, 'dataset': {'type': 'CocoDataset'}}, {'type': 'CocoDataset'}]
    >>> wrapped_datasets({"test_dataloader": ["dataset"]})
    []
    """
    loader = config.get("test_dataloader")
    dataset = loader.get("dataset") if isinstance(loader, Mapping) else None
    found: list[Mapping[str, Any]] = []
    while isinstance(dataset, Mapping) and len(found) < WRAPPED_AT_MOST:
        found.append(dataset)
        several = dataset.get("datasets")
        first = several[0] if isinstance(several, (list, tuple)) and several else None
        dataset = dataset.get("dataset") or first
    return found


def dataset_with(config: Any, key: str) -> Mapping[str, Any] | None:
    """Return the first of a config's `wrapped_datasets` that has an entry; None if none has it."""
    return next((dataset for dataset in wrapped_datasets(config) if dataset.get(key)), None)


class ConfigPath(NamedTuple):
    """A value of a config, and where it is.

    Attributes
    ----------
    path : str
        For messages: ``model.backbone.type``.
    owner : mapping
        The nearest mapping around it.
    key : object
        Under which it, or the list that it is in, lies there.
    value : object
    """

    path: str
    owner: Mapping[Any, Any]
    key: Any
    value: Any


def config_paths(
    value: Any, path: str, owner: Mapping[Any, Any] | None = None, key: Any = None
) -> Iterator[ConfigPath]:
    """Yield every value of a config's part with its path, the whole first."""
    yield ConfigPath(path, owner or {}, key, value)
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from config_paths(inner, f"{path}.{cut(visible(str(name)), 50)}", value, name)
    elif isinstance(value, (list, tuple, set)):
        for number, inner in enumerate(value):
            yield from config_paths(inner, f"{path}[{number}]", owner, key)
