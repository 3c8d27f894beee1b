"""Names of a detector's classes, one for each label, each of them once."""

from __future__ import annotations

from typing import Any

from dissect_core.text import quoted

from ..errors import ModelError


def class_names_of(config: Any) -> tuple[str, ...]:
    """Return the names in a config's ``id2label``, in the labels' order.

    Names that repeat, such as ``N/A`` in COCO's numbering with gaps, get the label behind them from the second one on,
    and so does a label without a name: a study knows classes by their names.

    Parameters
    ----------
    config : transformers.PreTrainedConfig

    Raises
    ------
    ModelError
        If it names no classes.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class_names_of(SimpleNamespace(id2label={0: "N/A", 1: "person", 3: "N/A"}))
    ('N/A', 'person', 'class 2', 'N/A 3')
    """
    named = getattr(config, "id2label", None)
    if not isinstance(named, dict) or not named:
        raise ModelError(f"the config's `id2label` must name the classes, got {quoted(named)}.")
    labels = {int(label): " ".join(str(name).split()) for label, name in named.items()}
    if min(labels) < 0 or max(labels) >= 100_000:
        raise ModelError(
            f"the config's `id2label` must count labels from 0, got {quoted(sorted(labels)[:3])}."
        )
    names: list[str] = []
    taken: set[str] = set()
    for label in range(max(labels) + 1):
        name = labels.get(label) or f"class {label}"
        while name in taken:
            name = f"{name} {label}"
        taken.add(name)
        names.append(name)
    return tuple(names)
