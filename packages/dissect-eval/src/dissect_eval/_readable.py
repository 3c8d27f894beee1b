"""Results that can be read: as text, in a notebook, and as a pandas table."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._per_class import PerClass
from .errors import MissingExtraError

if TYPE_CHECKING:
    import pandas

__all__ = ["Readable", "class_records", "frame_of", "number_text", "undefined_lines"]

MOST_CLASSES = 100
"""Classes that are printed one by one."""


class Readable:
    """A result with lines for `print`, and with records for tables."""

    def lines(self) -> list[str]:
        """Return the result as text, line by line."""
        raise NotImplementedError

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each category, as a table has them."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return f'<pre style="line-height:1.35">{html.escape(str(self))}</pre>'

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas table with a row for each category, or whatever the result is about.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return frame_of(self.records())


def frame_of(records: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Return records as a pandas table.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError(
            "`to_pandas` needs pandas, which is not installed. Run `pip install pandas`, or use `to_dict`."
        ) from error
    return pandas.DataFrame(list(records))


def class_records(per_class: PerClass[Any], **columns: str) -> list[dict[str, Any]]:
    """Return a record for each category with its name; `columns` are attributes of the values by title, or the value.

    Examples
    --------
    >>> class_records(PerClass({1: 0.5}, {1: "cat"}), AP="")
    [{'category_id': 1, 'category': 'cat', 'AP': 0.5}]
    """
    names = per_class.by_name.keys()
    return [
        {"category_id": key, "category": name}
        | {title: getattr(value, attribute) if attribute else value for title, attribute in columns.items()}
        for (key, value), name in zip(per_class.items(), names, strict=True)
    ]


def number_text(value: float) -> str:
    """Return a number of a result with three decimals; "–" where it is undefined.

    Examples
    --------
    >>> number_text(0.12345), number_text(float("nan"))
    ('0.123', '–')
    """
    return "–" if value != value else f"{value:.3f}"


def undefined_lines(undefined: Mapping[str, str]) -> list[str]:
    """Return why numbers are undefined, those of the same reason in one line."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in undefined.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"undefined: {', '.join(names)} ({reason})" for reason, names in by_reason.items()]
