"""Reading a JSON schema as a form: what fields there are, and which member of a union a value is.

Only what a study's schema uses is understood: objects, unions of objects told apart by constant fields, lists, and
single values, each of them optional or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]


class UnionMember(NamedTuple):
    """One member of a union of objects.

    Attributes
    ----------
    label : str
        What people choose it by.
    tags : dict of str to object
        The fields that tell it from the others, with the values that they have in it.
    schema : mapping
    """

    label: str
    tags: dict[str, Any]
    schema: Schema


class SchemaReader:
    """A schema with the definitions that it refers to.

    Parameters
    ----------
    schema : mapping
        A JSON schema with ``$defs``.

    Examples
    --------
    >>> from dissect_core.spec import spec_schema
    >>> reader = SchemaReader(spec_schema())
    >>> ablation = reader.items(reader.root["properties"]["ablations"])
    >>> [member.label for member in reader.members(ablation["properties"]["select"])][:3]
    ['fraction', 'count', 'indices']
    """

    def __init__(self, schema: Schema) -> None:
        self.root = schema
        self._defs = schema.get("$defs", {})

    def resolved(self, schema: Schema) -> Schema:
        """Return the schema that a reference names, with the keys beside the reference, and without null."""
        if "$ref" in schema:
            found = self._defs[schema["$ref"].rpartition("/")[2]]
            return self.resolved({**found, **{k: v for k, v in schema.items() if k != "$ref"}})
        if "anyOf" in schema:
            # An optional value: the description and the default stand beside the alternatives.
            real = [each for each in schema["anyOf"] if each.get("type") != "null"]
            beside = {k: v for k, v in schema.items() if k != "anyOf"}
            return self.resolved({**self.resolved(real[0]), **beside}) if len(real) == 1 else schema
        return schema

    def is_optional(self, schema: Schema) -> bool:
        """Return whether null is allowed."""
        return any(each.get("type") == "null" for each in schema.get("anyOf", ()))

    def items(self, schema: Schema) -> Schema:
        """Return the schema of a list's items; empty for anything else."""
        return self.resolved(self.resolved(schema).get("items", {}))

    def members(self, schema: Schema) -> list[UnionMember]:
        """Return the members of a union of objects, in order; none for anything else."""
        schema = self.resolved(schema)
        if "oneOf" not in schema:
            return []
        if "discriminator" not in schema:
            return [member for each in schema["oneOf"] for member in self.members(each)]
        tag, found = schema["discriminator"]["propertyName"], []
        for member in map(self.resolved, schema["oneOf"]):
            values = member["properties"][tag]
            found += [self._member(tag, value, member) for value in values.get("enum") or [values["const"]]]
        return found

    def member_of(self, schema: Schema, value: Any) -> UnionMember | None:
        """Return the member of a union that fits a value, by its tags; None if none fits."""
        if not isinstance(value, Mapping):
            return None
        fits = [
            member
            for member in self.members(schema)
            if all(value.get(name) == wanted for name, wanted in member.tags.items())
        ]
        return max(fits, key=lambda member: len(member.tags), default=None)

    def normal(self, schema: Schema, value: Any) -> Any:
        """Spell out shorthands: one value for a list of one, a union's tag for an object with nothing else."""
        plain = self.resolved(schema)
        if plain.get("type") == "array":
            listed = list(value) if isinstance(value, (list, tuple)) else [value]
            return [self.normal(self.items(schema), item) for item in listed]
        members = self.members(plain)
        if members and isinstance(value, str):
            value = {next(iter(members[0].tags)): value}
        if "properties" in plain and value == "random":  # a control with its defaults
            value = {}
        if not isinstance(value, Mapping):
            return value
        member = self.member_of(plain, value)
        properties = (member.schema if member else plain).get("properties", {})
        return {
            name: self.normal(properties[name], item) if name in properties else item
            for name, item in value.items()
            if not (item is None and name in properties and self.is_optional(properties[name]))
        }

    def blank(self, schema: Schema) -> Any:
        """Return a new value: its required fields, the first of each choice, empty lists."""
        plain = self.resolved(schema)
        if members := self.members(plain):
            return dict(self._blank_fields(members[0]))
        if "properties" in plain:
            required = plain.get("required", ())
            return {name: self.blank(plain["properties"][name]) for name in required}
        if plain.get("type") == "array":
            return []
        return plain.get("enum", [""])[0]

    def changed_to(self, member: UnionMember, value: Any) -> dict[str, Any]:
        """Return a value as another member of its union; fields that both have are kept."""
        kept = value if isinstance(value, Mapping) else {}
        own = dict(self._blank_fields(member))
        properties = member.schema.get("properties", {})
        return {
            name: kept[name] if name in kept and name not in member.tags else own[name]
            for name in properties
            if name in own or (name in kept and name not in member.tags)
        }

    def _blank_fields(self, member: UnionMember) -> Iterator[tuple[str, Any]]:
        properties = member.schema.get("properties", {})
        for name in properties:
            if name in member.tags:
                yield name, member.tags[name]
            elif name in member.schema.get("required", ()):
                yield name, self.blank(properties[name])

    def _member(self, tag: str, value: str, schema: Schema) -> UnionMember:
        constants = {name: each["const"] for name, each in schema["properties"].items() if "const" in each}
        tags = {tag: value, **constants}
        beside = [str(constant) for name, constant in constants.items() if name != tag]
        return UnionMember(f"{value} ({', '.join(beside)})" if beside else value, tags, schema)
