"""State of the study builder: a draft, its problems, and its spec once there are none. No widgets in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from traitlets import Dict, Instance, Tuple

from dissect_core import near_matches
from dissect_core.anatomy import Anatomy
from dissect_core.spec import Problem, StudySpec, check_spec, load_spec, parse_spec, spec_schema, spec_to_yaml
from dissect_core.storage import write_bytes_whole

from ..base import PanelModel
from ..errors import DraftError, UnknownNameError
from ._form import FieldPath, FormField, form_of
from ._form_schema import SchemaReader
from ._plan_preview import PlanPreview, preview


class SpecModel(PanelModel):
    """A study while it is being written: works without a notebook; `StudyBuilder` shows it.

    Parameters
    ----------
    source : StudySpec, mapping, FieldPath or str, optional
        A spec, its content, or a file that holds one; a new study with one ablation if left out. A content that is
        not valid yet is taken as it is, with its `problems`.
    anatomy : Anatomy, optional
        What the model is made of, for the plan's preview; `detector.anatomy`.

    Attributes
    ----------
    draft : dict
        Trait: the content, as a file has it, replaced whole by each change.
    spec : StudySpec or None
        Trait: the validated spec; None while anything is wrong.
    problems : tuple of Problem
        Trait: what is wrong, each with the path of its field.
    anatomy : Anatomy or None
        Trait.

    Examples
    --------
    >>> model = SpecModel({"name": "heads", "ablations": []})
    >>> model.spec is None, [str(problem) for problem in model.problems]
    (True, ['ablations: must have at least 1, got none'])
    >>> model.add(("ablations",))
    >>> model.choose(("ablations", 0, "target"), "head")
    >>> model.set(("ablations", 0, "target", "components"), ["decoder.cross_attn"])
    >>> model.set(("ablations", 0, "select", "fractions"), [0.5, 2])
    >>> [str(problem) for problem in model.problems]
    ['ablations[0].select.fractions[1]: must be within 0 and 1, got 2. For 2 % write 0.02.']
    >>> model.set(("ablations", 0, "select", "fractions"), [0.5, 1])
    >>> model.spec.ablations[0].select.fractions
    (0.5, 1.0)
    """

    draft = Dict()
    spec = Instance(StudySpec, allow_none=True)
    problems = Tuple()
    anatomy = Instance(Anatomy, allow_none=True)

    def __init__(
        self,
        source: StudySpec | Mapping[str, Any] | Path | str | None = None,
        *,
        anatomy: Anatomy | None = None,
    ) -> None:
        self.reader = SchemaReader(spec_schema())
        super().__init__(anatomy=anatomy)
        if source is None:
            source = {"name": "study", "ablations": [self._new_ablation(1)]}
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
                self.set(
                    path, [*items, self._new_ablation(len(items) + 1) if path == ("ablations",) else new]
                )
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

    def add_targets(self, names: Iterable[str], ablation: int = 0) -> None:
        """Add components, blocks or roles to an ablation's target, each once."""
        path: FieldPath = ("ablations", ablation, "target", "components")
        with self.lock:
            has = list(self.value(path) or [])
            self.set(path, [*has, *(name for name in names if name not in has)])

    def add_ablation_of(self, names: Iterable[str]) -> None:
        """Add an ablation of random shares of components' weights; one without a target is replaced."""
        with self.lock:
            others = [
                one
                for one in self.value(("ablations",)) or []
                if not (isinstance(one, dict) and one == self._new_ablation(1))
            ]
            taken = {one.get("name") for one in others if isinstance(one, dict)}
            name = next(name for i in range(1, len(taken) + 2) if (name := f"selection {i}") not in taken)
            new = {
                **self._new_ablation(1),
                "name": name,
                "target": {"unit": "element", "components": [*names]},
            }
            self.set(("ablations",), [*others, new])

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
        content = parse_spec(text, where="The text")
        if not isinstance(content, dict):
            raise DraftError(
                f"The text must be a mapping with `name` and `ablations`, got {type(content).__name__}."
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

    def preview(self) -> PlanPreview | None:
        """Return what the study would run on the model; None while it is not valid, or no anatomy is known."""
        if self.spec is None or self.anatomy is None:
            return None
        return preview(self.spec, self.anatomy)

    def _replace(self, draft: dict[str, Any]) -> None:
        """Set draft, spec and problems in one step, as observers see it."""
        checked = check_spec(draft)
        with self.hold_trait_notifications():
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

    def _new_ablation(self, number: int) -> dict[str, Any]:
        """Return an ablation to begin with: a share of attention heads, its components left to choose."""
        return {
            "name": f"ablation {number}",
            "target": {"unit": "head", "components": []},
            "select": {"by": "fraction", "fractions": [0.1, 0.3, 0.5], "repeats": 3},
        }


def _text(path: FieldPath) -> str:
    return str(Problem(path, "")).removesuffix(": ")
