"""Questions that a study can start from: each writes the spec of a shipped study, fitted to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from deep_dissect.studies import study_path
from dissect_core import DissectError
from dissect_core.anatomy import Anatomy
from dissect_core.plan import n_variants
from dissect_core.spec import Ablation, StudySpec, load_spec

from ..errors import DraftError
from ._plan_preview import PlanPreview, preview

__all__ = ["QUESTIONS", "Question"]


class Question(NamedTuple):
    """A question about a detector.

    Attributes
    ----------
    title, about : str
        For people: the question, and in a sentence what is done.
    study : str
        Name of the shipped study that answers it.

    Examples
    --------
    >>> QUESTIONS["heads"].title
    'Which heads matter?'
    """

    title: str
    about: str
    study: str

    def spec(self, anatomy: Anatomy | None = None) -> StudySpec:
        """Return the study that answers it, without the roles and ablations that a model has no units for.

        Parameters
        ----------
        anatomy : Anatomy, optional
            Of the model; the whole study without it.

        Raises
        ------
        DraftError
            If the model has units for none of them; the message says what the first one lacks.
        """
        whole = load_spec(study_path(self.study))
        if anatomy is None:
            return whole.model_copy(update={"name": self.title})
        fitted = [_fitted(ablation, anatomy) for ablation in whole.ablations]
        problems = [_problem(ablation, anatomy) for ablation in fitted]
        kept = [one for one, problem in zip(fitted, problems, strict=True) if not problem]
        if not kept:
            raise DraftError(f"{self.title} cannot be asked of this model: {problems[0]}")
        return whole.model_copy(update={"name": self.title, "ablations": tuple(kept)})

    def problem(self, anatomy: Anatomy) -> str:
        """Return why a model cannot be asked this; empty if it can."""
        try:
            self.spec(anatomy)
        except DraftError as error:
            return str(error)
        return ""

    def preview(self, anatomy: Anatomy) -> PlanPreview:
        """Return what answering it takes on a model: its variants, the whole model included.

        Raises
        ------
        DraftError
            As `spec`.
        """
        return preview(self.spec(anatomy), anatomy)


QUESTIONS: Mapping[str, Question] = {
    "heads": Question(
        "Which heads matter?",
        "Each head is removed alone, beside as many random weights.",
        "leave_one_head_out",
    ),
    "share": Question(
        "How much can go?",
        "Growing random shares of heads and queries: dose–response.",
        "paper_protocol",
    ),
    "layers": Question("Which layers?", "Each layer and each sublayer is left out alone.", "layer_knockout"),
    "queries": Question(
        "Which queries?", "Each object query alone, then growing shares of them.", "query_knockout"
    ),
}
"""The questions by key, in the order in which they are offered."""


def _fitted(ablation: Ablation, anatomy: Anatomy) -> Ablation:
    """Return an ablation without the roles that a model lacks; the same if it has none of them."""
    target = ablation.target
    if len(target.components) == 1:
        return ablation
    alone = [
        ablation.model_copy(update={"target": target.model_copy(update={"components": (word,)})})
        for word in target.components
    ]
    kept = tuple(one.target.components[0] for one in alone if not _problem(one, anatomy))
    if not kept:
        return ablation
    return ablation.model_copy(update={"target": target.model_copy(update={"components": kept})})


def _problem(ablation: Ablation, anatomy: Anatomy) -> str:
    """Return why an ablation does not fit a model; empty if it does."""
    try:
        n_variants(ablation, anatomy)
    except DissectError as error:
        return str(error)
    return ""
