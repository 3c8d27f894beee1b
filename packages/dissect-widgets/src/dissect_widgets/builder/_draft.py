"""A study's content while it is being written: fields by path, problems, the text of a file, steps back. No widgets."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from traitlets import Dict, Instance, Int, Tuple

from dissect_core import near_matches
from dissect_core.spec import Problem, StudySpec, check_spec, load_spec, parse_spec, spec_schema, spec_to_yaml
from dissect_core.storage import write_bytes_whole
from dissect_core.text import visible

from ..base import PanelModel
from ..errors import DraftError, UnknownNameError
from ._form import FieldPath, FormField, form_of
from ._form_schema import SchemaReader

__all__ = ["DraftModel"]

UNDO_STEPS = 20
"""Studies that can be gone back to."""


class DraftModel(PanelModel):
    """The content of a study, valid or not yet; `SpecModel` adds what a model's parts have to do with it.

    Parameters
    ----------
    source : StudySpec, mapping, FieldPath or str, optional
        A spec, its content, or a file that holds one; a new study with one ablation if left out.
    **traits
        Further traits of the class.

    Attributes
    ----------
    draft : dict
        Trait: the content, as a file has it, replaced whole by each change.
    spec : StudySpec or None
        Trait: the validated spec; None while anything is wrong.
    problems : tuple of Problem
        Trait: what is wrong, each with the path of its field.
    current : int
        Trait: number of the ablation that is being looked at.

    Examples
    --------
    >>> model = DraftModel()
    >>> model.load_yaml("name: heads")
    >>> model.spec is None, [str(problem) for problem in model.problems]
    (True, ['ablations: must be given'])
    >>> model.undo()
    >>> model.draft["name"]
    'study'
    """

    draft = Dict()
    spec = Instance(StudySpec, allow_none=True)
    problems = Tuple()
    current = Int(0)

    def __init__(
        self, source: StudySpec | Mapping[str, Any] | Path | str | None = None, **traits: Any
    ) -> None:
        self.reader = SchemaReader(spec_schema())
        self._before: list[dict[str, Any]] = []
        super().__init__(**traits)
        if source is None:
            source = {"name": "study", "ablations": [new_ablation(1)]}
        self.load(source)

    def form(self) -> FormField:
        """Return the fields of the draft as it is now."""
        return form_of(self.reader, self.draft)

    def field(self, path: FieldPath) -> FormField:
        """Return one of the form's fields.

        Raises
        ------
        UnknownNameError
            If there is none at this path; near ones are named.
        """
        fields = {field.path: field for field in self.form().walk()}
        if path not in fields:
            texts = [_text(known) for known in fields]
            near = near_matches(_text(path), texts, n=3)
            raise UnknownNameError(
                f"`path` must lead to a field of the form, got {_text(path)!r}: {', '.join(near or texts[:5])}."
            )
        return fields[path]

    def value(self, path: FieldPath) -> Any:
        """Return the value that the draft has at a path; None if it has none."""
        value: Any = self.draft
        try:
            for key in path:
                value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
        return value

    def set(self, path: FieldPath, value: Any) -> None:
        """Set a field to a value of any type; one that does not fit becomes one of the `problems`.

        Parameters
        ----------
        path : tuple of (str or int)
        value : object
            None leaves the field out.

        Raises
        ------
        UnknownNameError
            If the form has no such field.
        """
        with self.lock:
            self.field(path)
            draft = deepcopy(self.draft)
            holder: Any = draft
            for key in path[:-1]:
                holder = holder.setdefault(key, {}) if isinstance(key, str) else holder[key]
            if value is None and isinstance(holder, dict):
                holder.pop(path[-1], None)
            else:
                holder[path[-1]] = value
            self._replace(draft)

    def choose(self, path: FieldPath, label: str) -> None:
        """Choose the kind of object that a field holds; fields that the old and the new kind share are kept.

        Parameters
        ----------
        path : tuple of (str or int)
        label : str
            One of the field's `options`.

        Raises
        ------
        UnknownNameError
            If the form has no such field, or the field no such option.
        """
        with self.lock:
            field = self.field(path)
            if label not in field.options:
                raise UnknownNameError(
                    f"`label` must be one of {', '.join(field.options)} for {_text(path)}, got {label!r}."
                )
            members = {member.label: member for member in self.reader.members(self._schema(path))}
            self.set(path, self.reader.changed_to(members[label], self.value(path)))

    def add(self, path: FieldPath) -> None:
        """Add an item to a list, or the optional group at a path; its required fields are left to fill in."""
        with self.lock:
            field = self.field(path)
            schema = self._schema(path)
            if field.kind == "items":
                items = list(self.value(path) or [])
                new = self.reader.blank(self.reader.items(schema))
                self.set(path, [*items, new_ablation(len(items) + 1) if path == ("ablations",) else new])
            else:
                self.set(path, self.reader.blank(schema))

    def remove(self, path: FieldPath) -> None:
        """Take an item out of its list, or leave an optional group out."""
        with self.lock:
            self.field(path)
            *start, last = path
            if isinstance(last, int):
                items = list(self.value(tuple(start)))
                del items[last]
                self.set(tuple(start), items)
            else:
                self.set(path, None)

    def undo(self) -> None:
        """Go back to the study before the last one that was loaded or started from a question."""
        with self.lock:
            if self._before:
                self._replace(self._before.pop())

    @property
    def can_undo(self) -> bool:
        """Return whether there is a study to go back to."""
        return bool(self._before)

    def load(self, source: StudySpec | Mapping[str, Any] | Path | str) -> None:
        """Replace the draft by a spec, its content, or that of a file.

        Raises
        ------
        SpecError
            If a file cannot be read or is not valid; the draft stays as it was.
        """
        if isinstance(source, (str, Path)):
            source = load_spec(source)
        content = parse_spec(spec_to_yaml(source)) if isinstance(source, StudySpec) else dict(source)
        with self.lock:
            if self.draft:
                self._before = [*self._before[-UNDO_STEPS + 1 :], self.draft]
            self._replace(self.reader.normal(self.reader.root, deepcopy(content)))

    def load_yaml(self, text: str) -> None:
        """Replace the draft by a text; it need not be a valid study yet.

        Raises
        ------
        SpecError
            If the text is no YAML.
        DraftError
            If it is, and no mapping; the draft stays as it was in either case.
        """
        self.load_text(text, "The text.yaml", where="The text")

    def load_text(self, text: str, name: str, *, where: str = "") -> None:
        """Replace the draft by the text of a file; it need not be a valid study yet.

        Parameters
        ----------
        text, name : str
            Content and name of the file; its ending says whether it is YAML, JSON or TOML.
        where : str, optional
            What to call the text in messages; the name if left out.

        Raises
        ------
        SpecError, DraftError
            As `load_yaml`.
        """
        where = where or visible(name)
        content = parse_spec(text, Path(name).suffix.lower() or ".yaml", where)
        if not isinstance(content, dict):
            raise DraftError(
                f"{where} must be a mapping with `name` and `ablations`, got {type(content).__name__}."
            )
        self.load(content)

    @property
    def yaml(self) -> str:
        """Return the draft as YAML; once it is valid, without fields that have their default."""
        if self.spec is not None:
            return spec_to_yaml(self.spec)
        import yaml

        text: str = yaml.safe_dump(self.draft, sort_keys=False, width=100, allow_unicode=True)
        return text

    def save(self, path: Path | str) -> Path:
        """Write the spec as YAML.

        Raises
        ------
        DraftError
            If it is not valid yet, the file's name ends otherwise, or it cannot be written.
        """
        path = Path(path)
        if self.spec is None:
            raise DraftError(f"The study must be valid to be saved: {self.problems[0]}.")
        if path.suffix.lower() not in (".yaml", ".yml"):
            raise DraftError(f"`path` must end with .yaml, got {path.suffix or 'no ending'!r}.")
        content = spec_to_yaml(self.spec).encode()
        write_bytes_whole(path, content, DraftError)
        return path

    def _replace(self, draft: dict[str, Any]) -> None:
        """Set draft, spec and problems in one step, as observers see it."""
        checked = check_spec(draft)
        ablations = draft.get("ablations")
        last = len(ablations) - 1 if isinstance(ablations, list) else 0
        with self.hold_trait_notifications():
            self.current = max(0, min(self.current, last))
            self.draft = draft
            self.spec = checked if isinstance(checked, StudySpec) else None
            self.problems = () if isinstance(checked, StudySpec) else checked

    def _schema(self, path: FieldPath) -> Mapping[str, Any]:
        """Return the schema of the value at a path of the draft."""
        schema: Mapping[str, Any] = self.reader.root
        for i, key in enumerate(path):
            plain = self.reader.resolved(schema)
            if isinstance(key, int):
                schema = self.reader.items(plain)
            else:
                member = self.reader.member_of(plain, self.value(path[:i]))
                schema = (member.schema if member else plain)["properties"][key]
        return schema


def new_ablation(number: int) -> dict[str, Any]:
    """Return an ablation to begin with: a share of attention heads, its components left to choose."""
    return {
        "name": f"ablation {number}",
        "target": {"unit": "head", "components": []},
        "select": {"by": "fraction", "fractions": [0.1, 0.3, 0.5], "repeats": 3},
    }


def _text(path: FieldPath) -> str:
    return str(Problem(path, "")).removesuffix(": ")
