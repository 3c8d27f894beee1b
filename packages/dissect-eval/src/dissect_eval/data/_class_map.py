"""Class maps: files that name, for each class of a detector, the category of the truth it is scored as."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .._files import read_regular
from .._text import cut, quoted, visible
from ..errors import CategoryError, MissingExtraError

__all__ = ["read_class_map"]

HEADS = {("detector", "truth"), ("class", "category"), ("from", "to")}
"""First rows of CSV files that are headings, not a pair of names."""


def read_class_map(path: Path | str) -> dict[str, str | None]:
    r"""Read which category of a truth each class of a detector is scored as, for `match_classes`.

    Parameters
    ----------
    path : Path or str
        A ``.json`` or ``.yaml`` file with an object of names, ``{"car": "vehicle", "truck": "vehicle", "dog": null}``;
        or a ``.csv`` file with a row for each class: the detector's name, the truth's name or nothing, after a row
        ``detector,truth`` or none.

    Returns
    -------
    dict of str to (str or None)

    Raises
    ------
    CategoryError
        If the file cannot be read, names a class twice, or holds anything but names.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "map.csv"
    ...     _ = path.write_text("detector,truth\ncar,vehicle\ndog,\n")
    ...     read_class_map(path)
    {'car': 'vehicle', 'dog': None}
    """
    if not isinstance(path, (str, os.PathLike)):
        raise CategoryError(f"`path` must be the path of a file, got {quoted(path)}.")
    path = Path(path)
    readers: dict[str, Callable[[str], Iterable[tuple[Any, Any]]]] = {
        ".json": _pairs_of_json,
        ".yaml": _pairs_of_yaml,
        ".yml": _pairs_of_yaml,
        ".csv": _pairs_of_csv,
    }
    if path.suffix.lower() not in readers:
        raise CategoryError(f"The class map {path} must be a .json, .yaml or .csv file.")
    try:
        pairs = list(readers[path.suffix.lower()](read_regular(path).decode("utf-8-sig")))
    except OSError as error:
        raise CategoryError(f"The class map {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise CategoryError(
            f"The class map {path} cannot be read: {cut(visible(' '.join(str(error).split())))}."
        ) from error
    if not pairs:
        raise CategoryError(f"The class map {path} names no class.")
    found: dict[str, str | None] = {}
    for name, category in pairs:
        if not isinstance(name, str) or not (category is None or isinstance(category, str)):
            raise CategoryError(
                f"The class map {path} must go from names to names, or to nothing, got {quoted(name)}: "
                f"{quoted(category)}. Put quotes around names that YAML reads as something else, such as yes."
            )
        if name in found:
            raise CategoryError(
                f"The class map {path} must name each class once, but names {quoted(name)} twice."
            )
        found[name] = category or None
    return found


def _pairs_of_json(text: str) -> list[tuple[Any, Any]]:
    content = json.loads(text, object_pairs_hook=tuple)  # so that a name given twice shows
    if not isinstance(content, tuple):
        raise ValueError("it must hold an object")
    return list(content)


def _pairs_of_yaml(text: str) -> list[tuple[Any, Any]]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            "Class maps in YAML need PyYAML: pip install pyyaml, or write the map as JSON or CSV."
        ) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise ValueError("it must hold names and their counterparts, as `car: vehicle`")
        made = yaml.SafeLoader("")
        return [
            (made.construct_object(a, deep=True), made.construct_object(b, deep=True)) for a, b in node.value
        ]
    except (LookupError, AttributeError, TypeError) as error:  # PyYAML's, of `!!bool x` and its like
        raise ValueError("a value is not what its tag says") from error
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _pairs_of_csv(text: str) -> list[tuple[Any, Any]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if any(row)]
    if rows and tuple(cell.casefold() for cell in rows[0]) in HEADS:
        rows = rows[1:]
    for row in rows:
        if len(row) != 2 or not row[0]:
            raise ValueError(
                f"each row must be a name of the detector and one of the truth, or nothing, got {quoted(row)}"
            )
    return [(name, category or None) for name, category in rows]
