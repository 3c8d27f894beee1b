"""A study's form: which fields a draft has, with their words and bounds, made from the format's own schema.

Values of fields are edited as text; a text that cannot be read as a value stays text, and is one of the problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from dissect_core import SpecError
from dissect_core.spec import parse_spec

from ._form_schema import Schema, SchemaReader

FieldPath: TypeAlias = tuple[str | int, ...]
FieldKind: TypeAlias = Literal[
    "text", "number", "flag", "choice", "texts", "numbers", "data", "group", "items"
]

_BOUNDS = {
    "minimum": "{} or more",
    "maximum": "at most {}",
    "minLength": "not empty",
    "maxLength": "at most {} characters",
}


class FormField(NamedTuple):
    """A field of a form, or a group of them.

    Attributes
    ----------
    path : tuple of (str or int)
        Keys and indices that lead to its value in the draft.
    kind : str
        ``text``, ``number``, ``flag`` (yes or no), ``choice``, ``texts`` and ``numbers`` (lists), ``data`` (any
        mapping), ``group`` (of `fields`), ``items`` (a list of groups).
    description : str
        What it is for, with its bounds.
    required, has_value : bool
        Whether it must be given, and whether the draft has it.
    default : object
        What holds where it is left out.
    options : tuple of str
        What can be chosen: values of a choice, or members of the union that a group is.
    chosen : str
        The member that a group is; empty if it is no union, or none of its members.
    fields : tuple of FormField
        Of a group, in order; of items, a group each.
    """

    path: FieldPath
    kind: FieldKind
    description: str
    required: bool
    has_value: bool
    default: Any = None
    options: tuple[str, ...] = ()
    chosen: str = ""
    fields: tuple[FormField, ...] = ()

    @property
    def label(self) -> str:
        """Return its name for people."""
        last = self.path[-1] if self.path else "study"
        if isinstance(last, int):
            return f"{str(self.path[-2]).removesuffix('s')} {last + 1}"
        return last.replace("_", " ")

    @property
    def shape(self) -> tuple[Any, ...]:
        """Return a key that is equal for forms that need the same widgets."""
        own = (
            self.path,
            self.kind,
            self.has_value if self.fields or self.kind == "group" else None,
            self.chosen,
        )
        return (*own, tuple(field.shape for field in self.fields))

    def walk(self) -> Iterator[FormField]:
        """Yield the field, then everything in it."""
        yield self
        for field in self.fields:
            yield from field.walk()


def form_of(reader: SchemaReader, draft: Mapping[str, Any]) -> FormField:
    """Return the fields of a draft.

    Parameters
    ----------
    reader : SchemaReader
        The format's schema.
    draft : mapping
        The draft, its shorthands spelt out.

    Returns
    -------
    FormField
        The study as a group.

    Examples
    --------
    >>> from dissect_core.spec import spec_schema
    >>> form = form_of(SchemaReader(spec_schema()), {"name": "heads", "ablations": [{"select": {"by": "count"}}]})
    >>> {field.path[-1]: field.description for field in form.walk() if field.path[2:3] == ("select",)}["repeats"]
    'Random draws of each count. 1 or more.'
    """
    return _field(reader, reader.root, (), draft, required=True)


def _field(reader: SchemaReader, schema: Schema, path: FieldPath, value: Any, *, required: bool) -> FormField:
    plain = reader.resolved(schema)
    members = reader.members(plain)
    kind = _kind(reader, plain, bool(members))
    own = FormField(
        path, kind, _words(reader, plain, kind), required, value is not None, plain.get("default")
    )
    if kind == "group":
        member = reader.member_of(plain, value) if members else None
        properties = (member.schema if member else plain).get("properties", {})
        needed = (member.schema if member else plain).get("required", ())
        tags = member.tags if member else {}
        shown = value is not None or required or not reader.is_optional(schema)
        values = value if isinstance(value, Mapping) else {}
        fields = [
            _field(reader, each, (*path, name), values.get(name), required=name in needed)
            for name, each in properties.items()
            if shown and name not in tags and "const" not in each
        ]
        options = tuple(each.label for each in members)
        return own._replace(options=options, chosen=member.label if member else "", fields=tuple(fields))
    if kind == "items":
        items = value if isinstance(value, (list, tuple)) else []
        fields = [
            _field(reader, reader.items(plain), (*path, i), item, required=True)
            for i, item in enumerate(items)
        ]
        return own._replace(fields=tuple(fields))
    return own._replace(options=tuple(map(str, plain.get("enum", ()))))


def _kind(reader: SchemaReader, plain: Schema, is_union: bool) -> FieldKind:
    if is_union or "properties" in plain:
        return "group"
    if "enum" in plain:
        return "choice"
    if plain.get("type") == "array":
        items = reader.items(plain)
        if "properties" in items or "oneOf" in items:
            return "items"
        return "texts" if items.get("type") == "string" else "numbers"
    known: dict[str, FieldKind] = {
        "boolean": "flag",
        "integer": "number",
        "number": "number",
        "object": "data",
    }
    return known.get(str(plain.get("type")), "text")


def _words(reader: SchemaReader, plain: Schema, kind: FieldKind) -> str:
    """Return what a field is for, and its bounds; of a list, the bounds of its values."""
    # The schema of an object begins with its class's docstring; its first paragraph is for people.
    said = str(plain.get("description", "")).partition("\n\n")[0].replace("\n", " ")
    bounded = reader.items(plain) if kind in ("texts", "numbers") else plain
    low, high = bounded.get("minimum"), bounded.get("maximum")
    if low is not None and high is not None:
        rules = [f"within {low} and {high}"]
    else:
        rules = [words.format(bounded[name]) for name, words in _BOUNDS.items() if name in bounded]
    more = f"{', '.join(rules)}." if rules else ""
    return f"{said} {more[:1].upper()}{more[1:]}".strip()


def value_text(field: FormField, value: Any) -> str:
    """Return a value as text.

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
    """Return the value of a text; of an empty one None, which leaves the field out.

    Parameters
    ----------
    field : FormField
    text : str

    Returns
    -------
    object
        A number where the text is one; else the text itself, which the study's rules then refuse.

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
