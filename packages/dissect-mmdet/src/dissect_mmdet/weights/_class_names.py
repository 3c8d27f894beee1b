"""Names of a detector's classes: as they are given, as a config says, or as its checkpoint does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dissect_core.storage.files import read_regular
from dissect_core.text import cut, quoted, visible

from ..configs import dataset_with, wrapped_datasets
from ..errors import CheckpointFitError, ConfigError, said

NAMED_AT_MOST = 3
CLASS_NAME_AT_MOST = 1000
"""Characters: as of a truth's category, which is to have the same name."""


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
    """Return the names of a detector's classes, as many as the model distinguishes.

    The first of these that there is counts: `classes`, then a config that was given, then the checkpoint,
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
    """Return a note if a checkpoint names its classes otherwise than they were asked for; else empty.

    >>> unused_names({"meta": {"classes": ("cat", "dog")}}, ("dog", "cat"))
    'the checkpoint itself names the same classes in another order (cat, dog)'
    """
    own = _of_checkpoint(checkpoint)
    own = (own,) if isinstance(own, str) else own
    if not isinstance(own, (list, tuple)):
        return ""
    told = [name if isinstance(name, str) else quoted(name) for name in own]
    if told == list(names):
        return ""
    what = "the same classes in another order" if sorted(told) == sorted(names) else "its classes otherwise"
    return f"the checkpoint itself names {what} ({_shown(told)})"


def _told(checkpoint: dict[str, Any], config: Any, source: str, config_is_given: bool) -> Iterator[_Told]:
    """Yield names of the classes from each source that has any, the decisive one first."""
    from ..configs import is_plain

    dataset = dataset_with(config, "metainfo") or (wrapped_datasets(config) or [{}])[-1]
    of_config = _entry(dataset.get("metainfo"), "classes")
    of_checkpoint = _of_checkpoint(checkpoint)
    inside = (of_config, f"the `metainfo` of {source}") if of_config is not None else None
    if inside and config_is_given:
        names, where = inside
        yield _checked(_lines(names) if isinstance(names, str) and not is_plain(config) else names, where)
    if of_checkpoint is not None:
        yield _checked(of_checkpoint, "the checkpoint's `meta`")
    if inside:
        yield _checked(*inside)
    from mmdet.evaluation import get_classes

    by_kind = _classes_of_kind(dataset.get("type"), config)
    if by_kind:
        yield _checked(by_kind, f"the kind of data set in {source}")
    yield _Told(
        tuple(get_classes("coco")), "COCO, which stands in where neither config nor checkpoint names classes,"
    )


def _lines(names: str) -> str | list[str]:
    """Return the lines of a file that a config of the user's own names as its classes, as MMEngine reads it."""
    path = Path(names)
    try:
        if not path.is_file():
            return names
    except (OSError, ValueError):  # a name that no file can have
        return names
    try:
        return [line for line in read_regular(path).decode().splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"the file of class names {names} cannot be read: {said(error)}") from error


def _of_checkpoint(checkpoint: dict[str, Any]) -> Any:
    meta = checkpoint.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    of_data = _entry(meta.get("dataset_meta"), "classes")
    return _entry(meta, "classes") if of_data is None else of_data


def _checked(names: Any, source: str) -> _Told:
    """Return names as a tuple; a text is one name, never its letters."""
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, (list, tuple)):
        raise ConfigError(f"{source} must be a list of class names, got {quoted(names)}.")
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise ConfigError(
            f"{source} must be class names, which are text, but one of these is {quoted(odd[0])}."
        )
    told = tuple(names)
    if not all(name.strip() for name in told):
        raise ConfigError(f"{source} must be class names, but one of these is empty: {_shown(told)}.")
    if long := [name for name in told if len(name) > CLASS_NAME_AT_MOST]:
        raise ConfigError(
            f"{source} must be class names of at most {CLASS_NAME_AT_MOST:,} characters, but one has {len(long[0]):,}: "
            f"{quoted(long[0])}. Give shorter names with --classes (`classes`)."
        )
    repeated = [name for name, count in Counter(told).items() if count > 1]
    if repeated:
        raise ConfigError(f"{source} must name each class once, but these repeat: {_shown(repeated)}.")
    return _Told(told, source)


def _shown(names: Sequence[str]) -> str:
    more = ", …" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(cut(visible(name)) for name in names[:NAMED_AT_MOST]) + more


def _entry(node: Any, key: str) -> Any:
    """Return an entry of a mapping by its name in either case; None where there is none, or an empty one."""
    if not isinstance(node, dict):
        return None
    named = (value for name, value in node.items() if isinstance(name, str) and name.lower() == key)
    return next((value for value in named if not _is_empty(value)), None)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def _classes_of_kind(kind: Any, config: Any) -> Any:
    """Return the classes of a kind of data set that MMDetection knows, or the user's own config may import."""
    from mmdet.registry import DATASETS

    from ..configs import closed_for

    if isinstance(kind, str):
        try:
            with closed_for(config):
                kind = DATASETS.get(kind)
        except Exception:  # as for a module that fails: such a kind names no classes
            return None
    return _entry(getattr(kind, "METAINFO", None), "classes")


def _n_classes(model: torch.nn.Module) -> int | None:
    """Return how many classes a model distinguishes; None where its parts do not tell."""
    for path in ("bbox_head", "roi_head.bbox_head"):
        head: Any = model
        for part in path.split("."):
            head = getattr(head, part, None)
        if isinstance(head, torch.nn.ModuleList) and len(head):  # the stages of a cascade
            head = head[-1]
        if isinstance(getattr(head, "num_classes", None), int):
            return int(head.num_classes)
    return None
