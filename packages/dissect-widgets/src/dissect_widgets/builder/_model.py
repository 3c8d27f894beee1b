"""State of the study builder: a draft, its problems, and its spec once there are none. No widgets in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from traitlets import Dict, Instance, Int, Tuple

from dissect_core import near_matches
from dissect_core.anatomy import Anatomy
from dissect_core.spec import Problem, StudySpec, check_spec, load_spec, parse_spec, spec_schema, spec_to_yaml
from dissect_core.storage import write_bytes_whole
from dissect_core.text import visible

from ..base import PanelModel
from ..errors import DraftError, UnknownNameError
from ._form import FieldPath, FormField, form_of
from ._form_schema import SchemaReader
from ._places import Places, Space
from ._plan_preview import PlanPreview, preview
from ._proposals import Proposal, proposals
from ._questions import QUESTIONS
from ._short import Detail, Segment, details_of, in_words, segments_of, space_of, with_choice

UNDO_STEPS = 20
"""Studies that can be gone back to."""


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
    current : int
        Trait: number of the ablation that is being looked at.

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
    current = Int(0)

    def __init__(
        self,
        source: StudySpec | Mapping[str, Any] | Path | str | None = None,
        *,
        anatomy: Anatomy | None = None,
    ) -> None:
        self.reader = SchemaReader(spec_schema())
        self._places: Places | None = None
        self._unanswered: tuple[Anatomy, dict[str, str]] | None = None
        self._segments: tuple[dict[str, Any], Places | None, tuple[Segment, ...]] | None = None
        self._preview: tuple[tuple[StudySpec, Anatomy], PlanPreview] | None = None
        self._before: list[dict[str, Any]] = []
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

    @property
    def places(self) -> Places | None:
        """Return where the model has units; None while no model is known."""
        if self.anatomy is None:
            return None
        if self._places is None or self._places.anatomy is not self.anatomy:
            self._places = Places(self.anatomy)
        return self._places

    def segments(self, ablation: int = 0) -> tuple[Segment, ...]:
        """Return an ablation as questions, with the answers that fit its other answers and the model.

        Examples
        --------
        >>> model = SpecModel()
        >>> [one.name for one in model.segments()], model.segments()[1].chosen
        (['remove', 'how', 'place', 'compare'], 'fraction')
        """
        draft, places = self._ablation(ablation), self.places
        known = self._segments  # drafts are replaced whole, never changed in place
        if known is None or known[0] is not draft or known[1] is not places:
            self._segments = known = draft, places, segments_of(draft, places)
        return known[2]

    def answer(self, name: str, value: str, ablation: int = 0) -> tuple[str, ...]:
        """Give one of an ablation's questions another answer; answers that do not fit it give way.

        Parameters
        ----------
        name : {"remove", "how", "place", "compare"}
            The question.
        value : str
            One of the options that `segments` gives it.
        ablation : int

        Returns
        -------
        tuple of str
            Names of the other questions whose answers have changed with it.

        Raises
        ------
        UnknownNameError
            If there is no such question, or the answer does not fit the unit or the model.
        """
        with self.lock:
            draft = self._ablation(ablation)
            before = {one.name: one for one in self.segments(ablation)}
            if name not in before:
                raise UnknownNameError(f"`name` must be one of {', '.join(before)}, got {name!r}.")
            changed = with_choice(draft, name, value, self.places) if value in before[name].options else None
            if changed is None:
                raise UnknownNameError(
                    f"`value` must be one of {', '.join(before[name].options)} for {name!r}, got {value!r}."
                )
            self.set(("ablations", ablation), changed)
            after = self.segments(ablation)
        return tuple(one.name for one in after if one.name != name and one.chosen != before[one.name].chosen)

    def space(self, ablation: int = 0) -> Space:
        """Return whether an ablation replaces weights or what passes through the model."""
        return space_of(self._ablation(ablation))

    def details(self, ablation: int = 0) -> tuple[Detail, ...]:
        """Return the numbers and lists that the answers of an ablation need beside them."""
        return details_of(self._ablation(ablation))

    def sentence(self, ablation: int = 0) -> str:
        """Return what an ablation does, in a sentence or two; empty where it is not known yet."""
        return in_words(self._ablation(ablation), self.places)

    def ask(self, question: str) -> None:
        """Begin the study that answers a question, for the model if one is known; `undo` goes back.

        Parameters
        ----------
        question : str
            A key of `QUESTIONS`.

        Raises
        ------
        UnknownNameError
            If there is no such question.
        DraftError
            If the model has units for no part of it.

        Examples
        --------
        >>> model = SpecModel()
        >>> model.ask("layers")
        >>> model.spec.name, len(model.spec.ablations)
        ('Which layers?', 3)
        """
        if question not in QUESTIONS:
            raise UnknownNameError(f"`question` must be one of {', '.join(QUESTIONS)}, got {question!r}.")
        with self.lock:
            self.current = 0
            self.load(QUESTIONS[question].spec(self.anatomy))

    @property
    def unanswered(self) -> dict[str, str]:
        """Return the keys of the questions that the model cannot answer, with the reason; none without a model."""
        if self.anatomy is None:
            return {}
        if self._unanswered is None or self._unanswered[0] is not self.anatomy:
            found = {key: one.problem(self.anatomy) for key, one in QUESTIONS.items()}
            self._unanswered = self.anatomy, {key: text for key, text in found.items() if text}
        return self._unanswered[1]

    def proposals(
        self, names: Iterable[str], heads: Mapping[str, Sequence[int]] | None = None
    ) -> tuple[Proposal, ...]:
        """Return what the study may ask about chosen components and heads; see `proposals` of this room.

        Raises
        ------
        DraftError
            If no model is known.
        """
        if self.anatomy is None:
            raise DraftError("`anatomy` must be given to ask about parts of a model. Open a detector first.")
        return proposals(self.anatomy, names, heads, self.places)

    def add_proposal(self, proposal: Proposal) -> str:
        """Add what a proposal asks as an ablation, and return its name; one that was not begun is replaced."""
        title = proposal.title.removeprefix("these ").removeprefix("this ").removeprefix("all of these ")
        with self.lock:
            return self._add_ablation(title[:60], proposal.ablation)

    def undo(self) -> None:
        """Go back to the study before the last one that was loaded or started from a question."""
        with self.lock:
            if self._before:
                self._replace(self._before.pop())

    @property
    def can_undo(self) -> bool:
        """Return whether there is a study to go back to."""
        return bool(self._before)

    def add_ablation_of(self, names: Iterable[str]) -> None:
        """Add an ablation of random shares of components' weights; one without a target is replaced."""
        with self.lock:
            asked = {**self._new_ablation(1), "target": {"unit": "element", "components": [*names]}}
            self._add_ablation("selection 1", asked)

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

    def preview(self) -> PlanPreview | None:
        """Return what the study would run on the model; None while it is not valid, or no anatomy is known."""
        if self.spec is None or self.anatomy is None:
            return None
        with self.lock:
            key = self.spec, self.anatomy
            if self._preview is None or any(a is not b for a, b in zip(self._preview[0], key, strict=True)):
                self._preview = key, preview(*key)
            return self._preview[1]

    def _ablation(self, number: int) -> dict[str, Any]:
        """Return an ablation of the draft, whatever stands there as a mapping."""
        found = self.value(("ablations", number))
        return found if isinstance(found, dict) else {}

    def _add_ablation(self, wished: str, content: Mapping[str, Any]) -> str:
        """Add an ablation under a name that none has yet; one without a target is replaced."""
        given = self.value(("ablations",))
        has = given if isinstance(given, list) else []
        others = [one for one in has if one != self._new_ablation(1)]
        taken = {one.get("name") for one in others if isinstance(one, dict)}
        begin, number = (wished[:-2], 1) if wished.endswith(" 1") else (wished, 2)
        name = wished.replace("/", " ")
        while name in taken:
            name, number = f"{begin} {number}".replace("/", " "), number + 1
        with self.hold_trait_notifications():
            self.set(("ablations",), [*others, {**content, "name": name}])
            self.current = len(others)
        return name

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

    def _new_ablation(self, number: int) -> dict[str, Any]:
        """Return an ablation to begin with: a share of attention heads, its components left to choose."""
        return {
            "name": f"ablation {number}",
            "target": {"unit": "head", "components": []},
            "select": {"by": "fraction", "fractions": [0.1, 0.3, 0.5], "repeats": 3},
        }


def _text(path: FieldPath) -> str:
    return str(Problem(path, "")).removesuffix(": ")
