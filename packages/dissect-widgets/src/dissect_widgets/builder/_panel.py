"""The study page: a question, what is removed and how in segments, the plan beside it, and all fields below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, HBox, Layout, Text, VBox
from traitlets import HasTraits

from dissect_core.anatomy import Anatomy
from dissect_core.spec import StudySpec

from ..base import ModelPanel, html_text, labelled, line
from ..detector import DetectorModel
from ._ablation_form import AblationForm, Chosen
from ._all_fields import AllFields
from ._form import FieldPath
from ._model import SpecModel
from ._plan_box import PlanBox
from ._questions import QUESTIONS

__all__ = ["FieldPath", "StudyBuilder"]


class StudyBuilder(ModelPanel):
    """Panel to write a study in: from a question, by segments, field by field, or as YAML.

    `model.spec` is the study once it is valid. Plan, cost and YAML stand beside, always in view.

    Parameters
    ----------
    source : SpecModel, StudySpec, mapping, FieldPath or str, optional
        The state to show, or what a `SpecModel` begins with.
    anatomy : Anatomy, optional
        What the model is made of, for the plan.
    run : callable, optional
        Called by the button Run; without it there is no such button.
    chosen : callable, optional
        Returns what is selected in the model's tree: names of components, and heads by block.
    detector : DetectorModel, optional
        What the study will be run on; it knows how long a pass takes.
    inputs : HasTraits, optional
        Inputs of the run: their traits `limit` and `images` say how many images it takes, and which.

    Attributes
    ----------
    model : SpecModel
        The state.
    name : Text
        The title.
    questions : dict of str to Button
        A click begins a study that answers one of `QUESTIONS`.
    undo : Button
        Back to the study before.
    ablation : AblationForm
        The segments.
    fields : AllFields
        The complete form; `row` gives one of its rows.
    box : PlanBox
        The plan, whose parts `run`, `text`, `apply`, `path`, `save`, `status` and `plan` are also the builder's.
    about : HTML

    Examples
    --------
    >>> builder = StudyBuilder()
    >>> builder.row("ablations", 0, "target", "components").control.value = "decoder.cross_attn"
    >>> builder.ablation.segments["how"].value = "each"
    >>> builder.model.spec.ablations[0].target.components, builder.model.spec.ablations[0].select.by
    (('decoder.cross_attn',), 'each')
    >>> builder.close()
    """

    # The spec and the problems follow from the draft, and are there before a new draft is told.
    _shown = ("draft", "anatomy", "current")

    def __init__(
        self,
        source: SpecModel | StudySpec | Mapping[str, Any] | Path | str | None = None,
        *,
        anatomy: Anatomy | None = None,
        run: Callable[[], object] | None = None,
        chosen: Chosen | None = None,
        detector: DetectorModel | None = None,
        inputs: HasTraits | None = None,
    ) -> None:
        super().__init__(source if isinstance(source, SpecModel) else SpecModel(source, anatomy=anatomy))
        self.name = labelled(Text, "Title", continuous_update=False, max_width="100%").add_class("dd-title")
        self.about, self._hint = HTML(), HTML()
        self.questions = {
            key: Button(description=one.title, tooltip=one.about, layout=Layout(width="auto"))
            for key, one in QUESTIONS.items()
        }
        for key, button in self.questions.items():
            self._on_click(button, partial(self._on_question, key))
        self.undo = self._looks.make_button("Back to the study before").add_class("dd-link")
        self._on_click(self.undo, self._on_undo)
        self._follow(self.name, self._on_name, "value")
        self.ablation = self._own(AblationForm(self.model, chosen=chosen))
        self.fields = self._own(AllFields(self.model))
        self.box = self._own(PlanBox(self.model, run=run, detector=detector, inputs=inputs))
        self.box.add_class("dd-box").add_class("dd-sticky")
        self.run, self.text, self.apply = self.box.run, self.box.text, self.box.apply
        self.path, self.save, self.status, self.plan = (
            self.box.path,
            self.box.save,
            self.box.status,
            self.box.plan,
        )
        left = VBox(
            (
                self.name,
                self.about,
                HTML('<div class="dd-label">Ask another question</div>'),
                line(*self.questions.values(), self.undo),
                self._hint,
                self.ablation,
                self.fields,
            )
        )
        self._columns = HBox((left, self.box)).add_class("dd-two")
        self._assemble(self._columns)

    def row(self, *path: str | int) -> Any:
        """Return the row of a field, with its `control` and `note`; of a group, with `member`, `add` and `remove`.

        Raises
        ------
        UnknownNameError
            If there is no such field now.
        """
        return self.fields.row(*path)

    def snapshot(self) -> str:
        """Return the study as plain HTML: what it asks, its plan and its text."""
        shown = (
            f"{self.about.value}{self.box.figures.value}{self.status.value}{self.plan.value}"
            f"<pre>{_lines(self.model.yaml)}</pre>"
        )
        name = html_text(str(self.model.value(("name",)) or "A study"))
        return f'<section aria-label="A study"><h3>{name}</h3>{shown}</section>'

    def _show(self) -> None:
        model = self.model
        name = model.value(("name",))
        self.name.value = "" if name is None else str(name)
        self.about.value = f'<p class="dd-sub">{html_text(model.sentence(model.current))}</p>'
        self._show_questions()
        self.fields.show(model.preview())

    def _show_questions(self) -> None:
        model = self.model
        self.undo.disabled = not model.can_undo
        reasons = model.unanswered
        for key, button in self.questions.items():
            reason = reasons.get(key, "")
            is_this = model.value(("name",)) == QUESTIONS[key].title
            (button.add_class if is_this else button.remove_class)("dd-chosen")
            button.disabled = model.anatomy is not None and bool(reason)
            button.tooltip = reason or QUESTIONS[key].about
        told = [f"<p>{html_text(reason)}</p>" for reason in reasons.values()]
        words = f"{len(told)} of these cannot be asked of this model"
        self._hint.value = f"<details><summary>{words}</summary>{''.join(told)}</details>" if told else ""

    def _on_question(self, key: str, _: Button) -> None:
        self.model.ask(key)

    def _on_undo(self, _: Button) -> None:
        self.model.undo()

    def _on_name(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing:
            self.model.set(("name",), change["new"] or None)


def _lines(text: str) -> str:
    """Return text of several lines as HTML, line by line."""
    return "\n".join(html_text(line) for line in text.splitlines())
