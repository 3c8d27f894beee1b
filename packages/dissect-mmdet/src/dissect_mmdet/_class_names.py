"""Names of a detector's classes: as they are given, as a config says, or as its checkpoint does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .errors import CheckpointFitError, ConfigError

NAMED_AT_MOST = 3


class _Told(NamedTuple):
    """Class names, and who says so."""

    names: tuple[str, ...]
    source: str


def class_names_of(
    checkpoint: dict[str, Any],
    config: Any,
    model: torch.nn.Module,
    *,
    source: str = "the config",
    config_is_given: bool = False,
    classes: Sequence[str] | str | None = None,
) -> tuple[str, ...]:
    """Names of a detector's classes, as many as the model distinguishes.

    Whoever is asked for beats what a file says of itself: `classes`, then a config that was given, then the checkpoint,
    the config inside of it, the kind of data set in the config, and COCO's 80.

    Parameters
    ----------
    checkpoint : dict
    config : mmengine Config
    model : torch.nn.Module
    source : str
        Where the config came from, for messages.
    config_is_given : bool
        Whether it came not from the checkpoint.
    classes : sequence of str or str, optional
        Names, or a text of names with commas.

    Raises
    ------
    ConfigError
        If these are no names, or repeat.
    CheckpointFitError
        If their number is not that of the model's classes.
    """
    if classes is not None:
        names = [name.strip() for name in classes.split(",")] if isinstance(classes, str) else classes
        told = _checked(names, "`classes` (--classes)")
    else:
        told = next(_told(checkpoint, config, source, config_is_given))
    n_classes = _n_classes(model)
    if n_classes is not None and n_classes != len(told.names):
        raise CheckpointFitError(
            f"the model distinguishes {n_classes} classes, but {told.source} names {len(told.names)} "
            f"({_shown(told.names)}): give the {n_classes} names in order with --classes, or as `metainfo` of the "
            "config's test data set."
        )
    return told.names


def unused_names(checkpoint: dict[str, Any], names: Sequence[str]) -> str:
    """What should be known if a checkpoint names its classes otherwise than they were asked for; else empty.

    >>> unused_names({"meta": {"classes": ("cat", "dog")}}, ("dog", "cat"))
    'the checkpoint itself names the same classes in another order (cat, dog)'
    """
    own = _of_checkpoint(checkpoint)
    own = (own,) if isinstance(own, str) else own
    if not isinstance(own, (list, tuple)) or tuple(map(str, own)) == tuple(names):
        return ""
    told = [str(name) for name in own]
    what = "the same classes in another order" if sorted(told) == sorted(names) else "its classes otherwise"
    return f"the checkpoint itself names {what} ({_shown(told)})"


def _told(checkpoint: dict[str, Any], config: Any, source: str, config_is_given: bool) -> Iterator[_Told]:
    """What is said of the classes, the one to go by first."""
    dataset = _dataset_of(config)
    of_config = _entry(dataset.get("metainfo"), "classes")
    of_checkpoint = _of_checkpoint(checkpoint)
    inside = (of_config, f"the `metainfo` of {source}") if of_config else None
    if inside and config_is_given:
        names, where = inside
        if isinstance(names, str) and Path(names).is_file():  # as MMEngine reads it
            names = [line for line in Path(names).read_text(encoding="utf-8").splitlines() if line.strip()]
        yield _checked(names, where)
    if of_checkpoint:
        yield _checked(of_checkpoint, "the checkpoint's `meta`")
    if inside:
        yield _checked(*inside)
    from mmdet.evaluation import get_classes

    by_kind = _classes_of_kind(dataset.get("type"))
    if by_kind:
        yield _checked(by_kind, f"the kind of data set in {source}")
    yield _Told(
        tuple(get_classes("coco")), "COCO, which stands in where neither config nor checkpoint names classes,"
    )


def _of_checkpoint(checkpoint: dict[str, Any]) -> Any:
    meta = checkpoint.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    return _entry(meta.get("dataset_meta"), "classes") or _entry(meta, "classes")


def _checked(names: Any, source: str) -> _Told:
    """Names as a tuple; a text is one name, never its letters."""
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"{source} must be a list of class names, got {names!r}.")
    told = tuple(str(name) for name in names)
    if not all(name.strip() for name in told):
        raise ConfigError(f"{source} must be class names, but one of these is empty: {', '.join(told)}.")
    repeated = [name for name, count in Counter(told).items() if count > 1]
    if repeated:
        raise ConfigError(f"{source} must name each class once, but these repeat: {', '.join(repeated)}.")
    return _Told(told, source)


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED_AT_MOST]) + (", …" if len(names) > NAMED_AT_MOST else "")


def _entry(node: Any, key: str) -> Any:
    """An entry of a mapping by its name in either case; None where there is none."""
    if not isinstance(node, dict):
        return None
    return next((value for name, value in node.items() if str(name).lower() == key and value), None)


def _dataset_of(config: Any) -> Any:
    """The config's description of its test data, the first of several; empty where it has none."""
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    while isinstance(dataset, dict) and not dataset.get("metainfo"):
        inner = dataset.get("dataset") or next(iter(dataset.get("datasets") or ()), None)
        if inner is None:
            break
        dataset = inner
    return dataset if isinstance(dataset, dict) else {}


def _classes_of_kind(kind: Any) -> Any:
    """Classes of a kind of data set that MMDetection knows."""
    from mmdet.registry import DATASETS

    found = DATASETS.get(kind) if isinstance(kind, str) else kind
    return _entry(getattr(found, "METAINFO", None), "classes")


def _n_classes(model: torch.nn.Module) -> int | None:
    """How many classes a model distinguishes; None where its parts do not tell."""
    for path in ("bbox_head", "roi_head.bbox_head"):
        head: Any = model
        for part in path.split("."):
            head = getattr(head, part, None)
        if isinstance(head, torch.nn.ModuleList):  # the stages of a cascade
            head = head[-1]
        if isinstance(getattr(head, "num_classes", None), int):
            return int(head.num_classes)
    return None
