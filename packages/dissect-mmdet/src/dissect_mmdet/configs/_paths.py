"""The values of a config with their paths, and the descriptions of its test data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dissect_core.text import cut, visible

WRAPPED_AT_MOST = 10
"""Most data sets inside one another: MMEngine's wrappers repeat, join or balance them."""


def wrapped_datasets(config: Any) -> list[Mapping[str, Any]]:
    """Return the description of a config's test data, followed by that of the data set it wraps, and so on.

    Of several data sets that are wrapped together, the first is followed.

    Parameters
    ----------
    config : mapping or mmengine Config
        A description that is no mapping is ignored.

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
    """Return the first of a config's `wrapped_datasets` with an entry `key`; None if there is none."""
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
        Its key in `owner`; of a value in a list, the key of the list.
    value : object
    """

    path: str
    owner: Mapping[Any, Any]
    key: Any
    value: Any


def config_paths(
    value: Any, path: str, owner: Mapping[Any, Any] | None = None, key: Any = None
) -> Iterator[ConfigPath]:
    """Yield a part of a config, then every value in it, each with its path."""
    yield ConfigPath(path, owner or {}, key, value)
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from config_paths(inner, f"{path}.{cut(visible(str(name)), 50)}", value, name)
    elif isinstance(value, (list, tuple, set)):
        for number, inner in enumerate(value):
            yield from config_paths(inner, f"{path}[{number}]", owner, key)
