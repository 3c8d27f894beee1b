"""Values of a form's fields as text that people edit, and back. What cannot be read stays text, and is a problem."""

from __future__ import annotations

from typing import Any

from dissect_core import SpecError
from dissect_core.spec import parse_spec

from ._form import FormField


def value_text(field: FormField, value: Any) -> str:
    """Text of a value.

    Parameters
    ----------
    field : FormField
        Of kind ``text``, ``number``, ``texts``, ``numbers`` or ``data``.
    value : object
        Its value, of any type; None if there is none.

    Returns
    -------
    str

    Examples
    --------
    >>> doses = FormField(("fractions",), "numbers", "Doses.", True, True)
    >>> value_text(doses, [0.05, 1])
    '0.05, 1'
    """
    if value is None:
        return ""
    if field.kind in ("texts", "numbers") and isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if field.kind == "data":
        import yaml

        return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True)).strip() if value else ""
    return str(value)


def text_value(field: FormField, text: str) -> Any:
    """Value of a text; None, which leaves the field out, for an empty one.

    Parameters
    ----------
    field : FormField
    text : str

    Returns
    -------
    object
        A number where the text is one; else the text itself, about which the study's rules will say what is wrong.

    Examples
    --------
    >>> doses = FormField(("fractions",), "numbers", "Doses.", True, True)
    >>> text_value(doses, "0.05, half, 1")
    [0.05, 'half', 1]
    """
    text = text.strip() if field.kind != "text" else text
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if field.kind == "texts":
        return parts
    if field.kind == "numbers":
        return [_number(part) for part in parts] or None
    if not text:
        return None
    if field.kind == "number":
        return _number(text)
    if field.kind == "data":
        try:
            return parse_spec(text)
        except SpecError:
            return text
    return text


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:  # noqa: PERF203  # two tries at most
            pass
    return text
