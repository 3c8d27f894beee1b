"""Where a config describes its test data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WRAPPED_AT_MOST = 10
"""Data sets around another: MMEngine's wrappers repeat, join or balance them."""


def wrapped_datasets(config: Any) -> list[Mapping[str, Any]]:
    """Descriptions of a config's test data, each the first of those that the one before wraps.

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
    """The first of a config's `wrapped_datasets` that has an entry, None if none has it."""
    return next((dataset for dataset in wrapped_datasets(config) if dataset.get(key)), None)
