"""The form of a run: images, truth, folder and sizes, with problems beside their fields."""

from __future__ import annotations

from ipywidgets import HTML, BoundedIntText, Text

from ..base import ModelPanel, TrustQuestion, html_text, labelled
from ._inputs import RunInputsModel

_TEXTS = {
    "images": ("Folder of the images", "images"),
    "annotations": ("Their truth, a COCO instances file", "annotations.json"),
    "out": ("Keep the run in the folder", "a new one, or one that holds a part of this study"),
}
_NUMBERS = {
    "limit": ("Only the first images (0: all)", 0),
    "batch_size": ("Images a batch", 1),
    "replicates": ("Resamples for intervals (0: none)", 0),
}


class RunInputsForm(ModelPanel):
    """Form for the inputs of a run, with problems beside their fields.

    Parameters
    ----------
    model : RunInputsModel

    Attributes
    ----------
    images, annotations, out : Text
    limit, batch_size, replicates : BoundedIntText
    question : TrustQuestion
        Shown if the study names a cluster for its run to join.
    notes : dict of str to HTML
        What is wrong with each field, and with the `detector`.
    """

    _title = "What a study runs over"
    _fields = (*_TEXTS, *_NUMBERS)
    _shown = ("problems", "question", "trust")

    def __init__(self, model: RunInputsModel) -> None:
        super().__init__(model)
        self.notes = {name: HTML() for name in ("detector", *self._fields)}
        for name, (text, hint) in _TEXTS.items():
            control = labelled(Text, text, max_width="40rem", placeholder=hint, continuous_update=False)
            setattr(self, name, control)
        for name, (text, least) in _NUMBERS.items():
            bounds = {"min": least, "max": 10**9, "value": max(least, getattr(model, name))}
            setattr(self, name, labelled(BoundedIntText, text, max_width="40rem", **bounds))
        self.question = self._own(TrustQuestion(self._on_agreed))
        rows = [part for name in self._fields for part in (getattr(self, name), self.notes[name])]
        self._assemble(self.notes["detector"], *rows, self.question)

    def snapshot(self) -> str:
        """Return the problems as plain HTML."""
        notes = "".join(note.value for note in self.notes.values())
        return f'<section aria-label="{self._title}">{notes}</section>'

    def _show(self) -> None:
        self.question.show(self.model.question, self.model.trust)
        wrong = dict(self.model.problems)
        for name, note in self.notes.items():
            text = f"<strong>Missing:</strong> {html_text(wrong[name])}" if name in wrong else ""
            note.value = f'<div style="overflow-wrap:anywhere">{text}</div>' if text else ""

    def _on_agreed(self, agrees: bool) -> None:
        self.model.trust = agrees
