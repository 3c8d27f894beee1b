"""State of the study builder: a draft, and what it asks of a model's parts. No widgets in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from traitlets import Instance

from dissect_core.anatomy import Anatomy
from dissect_core.spec import StudySpec

from ..errors import DraftError, UnknownNameError
from ._answers import Segment, segments_of, space_of, with_choice
from ._details import Detail, details_of
from ._draft import DraftModel, new_ablation
from ._form import FieldPath
from ._places import Places, Space
from ._plan_preview import PlanPreview, preview
from ._proposals import Proposal, proposals
from ._questions import QUESTIONS
from ._sentence import in_words

__all__ = ["SpecModel"]


class SpecModel(DraftModel):
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

    anatomy = Instance(Anatomy, allow_none=True)

    def __init__(
        self,
        source: StudySpec | Mapping[str, Any] | Path | str | None = None,
        *,
        anatomy: Anatomy | None = None,
    ) -> None:
        self._places: Places | None = None
        self._unanswered: tuple[Anatomy, dict[str, str]] | None = None
        self._segments: tuple[dict[str, Any], Places | None, tuple[Segment, ...]] | None = None
        self._preview: tuple[tuple[StudySpec, Anatomy], PlanPreview] | None = None
        super().__init__(source, anatomy=anatomy)

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
        return in_words(self._ablation(ablation))

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
        """Add what a proposal asks as an ablation, and return its name; an ablation without a target is replaced."""
        title = proposal.title.removeprefix("all of ").removeprefix("these ").removeprefix("this ")
        begin = title.replace("/", " ")[:60]
        with self.lock, self.hold_trait_notifications():
            given = self.value(("ablations",))
            others = [one for one in given if one != new_ablation(1)] if isinstance(given, list) else []
            taken = {one.get("name") for one in others if isinstance(one, dict)}
            names = (begin, *(f"{begin} {number}" for number in range(2, len(others) + 3)))
            name = next(one for one in names if one not in taken)
            self.set(("ablations",), [*others, {**proposal.ablation, "name": name}])
            self.current = len(others)
        return name

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
