"""The study builder: a form made from the format of studies, with what is wrong beside each field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipywidgets import HTML, Button, Text, Textarea, VBox

from dissect_core.anatomy import Anatomy
from dissect_core.spec import StudySpec

from ..base import ModelPanel, close_all, counted, html_text, labelled, line, status_html
from ..errors import UnknownNameError
from ..figure import table_html
from ._form import FieldPath, FormField
from ._model import SpecModel
from ._plan_preview import PlanPreview
from ._row_widgets import FieldRow, GroupRow, LeafRow

ROWS_SHOWN = 100
"""Variants that the plan lists."""


class StudyBuilder(ModelPanel):
    """Panel to write a study in, field by field or as YAML; `model.spec` is the study once it is valid.

    Parameters
    ----------
    source : SpecModel, StudySpec, mapping, FieldPath or str, optional
        The state to show, or what a `SpecModel` begins with.
    anatomy : Anatomy, optional
        What the model is made of, for the plan.

    Attributes
    ----------
    model : SpecModel
        The state.
    form : VBox
        The fields; `row` gives one of them.
    text : Textarea
        The study as YAML, to be edited too.
    apply : Button
        Take the YAML over into the form.
    path, save : Text, Button
        Where to write the YAML to.
    status, plan : HTML

    Examples
    --------
    >>> builder = StudyBuilder()
    >>> builder.row("ablations", 0, "target", "components").control.value = "decoder.cross_attn"
    >>> builder.model.spec.ablations[0].target.components
    ('decoder.cross_attn',)
    >>> builder.close()
    """

    # The spec and the problems follow from the draft, and are there before a new draft is told.
    _shown = ("draft", "anatomy")

    def __init__(
        self,
        source: SpecModel | StudySpec | Mapping[str, Any] | Path | str | None = None,
        *,
        anatomy: Anatomy | None = None,
    ) -> None:
        super().__init__(source if isinstance(source, SpecModel) else SpecModel(source, anatomy=anatomy))
        self._rows: dict[Any, FieldRow] = {}
        self._shape: Any = None
        self.status, self.plan = HTML(), HTML()
        self.form = VBox()
        self.text = labelled(
            Textarea, "The study as YAML", max_width="60rem", rows=14, continuous_update=False
        )
        self.apply = self._looks.make_button("Take over the YAML")
        self.path = labelled(Text, "Save as", value="study.yaml")
        self.save = self._looks.make_button("Save the YAML")
        self._on_click(self.apply, self._on_apply)
        self._on_click(self.save, self._on_save)
        self._undo.append(self._stop_rows)
        self._assemble(self.status, self.form, self.plan, self.text, line(self.apply, self.path, self.save))

    def row(self, *path: str | int) -> Any:
        """Return the row of a field, with its `control` and `note`; of a group, with `member`, `add` and `remove`.

        Raises
        ------
        UnknownNameError
            If there is no such field now.
        """
        for row in self._rows.values():
            if row.field.path == path:
                return row
        self.model.field(path)
        raise UnknownNameError(f"The field {path!r} is not shown.")

    def snapshot(self) -> str:
        """Return the study as plain HTML: its text and its plan."""
        shown = f"{self.status.value}<pre>{_lines(self.model.yaml)}</pre>{self.plan.value}"
        return f'<section aria-label="A study">{shown}</section>'

    def _stop_rows(self) -> None:
        for row in self._rows.values():
            row.stop()

    def _show(self) -> None:
        model = self.model
        form, preview = model.form(), model.preview()
        if form.shape != self._shape:
            self._build(form)
            self._shape = form.shape
        wrong = self._wrong(form, preview)
        for field in form.walk():
            self._rows[_key(field)].refresh(field, model.value(field.path), wrong.get(field.path, []))
        self.text.value = model.yaml
        self.save.disabled = model.spec is None
        self.plan.value = _plan_html(preview) if preview else ""
        self.status.value = status_html(self._status(preview))

    def _build(self, form: FormField) -> None:
        """Make rows for fields that have none, and drop those of fields that are gone."""
        fields = {_key(field): field for field in form.walk()}
        kept = {key: row for key, row in self._rows.items() if key in fields}
        gone = [row for key, row in self._rows.items() if key not in fields]
        for key, field in fields.items():
            if key not in kept:
                kind = GroupRow if field.kind in ("group", "items") else LeafRow
                kept[key] = kind(field, self._looks, self._guarded(self._on_change, None))
        for key, field in fields.items():
            kept[key].hold([kept[_key(inner)] for inner in field.fields])
        self._rows = kept
        self.form.children = (kept[_key(form)],)
        for row in gone:
            row.stop()
            row.hold(())
            close_all(row, self._looks.all())

    def _wrong(self, form: FormField, preview: PlanPreview | None) -> dict[FieldPath, list[str]]:
        """Return problems by the path of the field that shows them: the deepest one that holds the faulty value."""
        paths = {field.path for field in form.walk()}
        problems: list[tuple[FieldPath, str]] = [(each.path, each.message) for each in self.model.problems]
        for number, ablation in enumerate(preview.ablations if preview else ()):
            if ablation.problem:
                problems.append((("ablations", number, "target"), ablation.problem))
        wrong: dict[FieldPath, list[str]] = {}
        for path, message in problems:
            shown = next(path[:n] for n in range(len(path), -1, -1) if path[:n] in paths)
            rest = path[len(shown) :]
            where = "".join(f"{key + 1}. value: " if isinstance(key, int) else f"{key}: " for key in rest)
            wrong.setdefault(shown, []).append(where + message)
        return wrong

    def _status(self, preview: PlanPreview | None) -> str:
        problems = [*map(str, self.model.problems), *(preview.problems if preview else ())]
        if problems:
            more = f" And {len(problems) - 1:,} more." if len(problems) > 1 else ""
            return f"Not ready to run: {problems[0]}.{more}{self._said}"
        ablations = self.model.spec.ablations if self.model.spec else ()
        variants = f", {counted(preview.n_variants, 'variant')} with the baseline" if preview else ""
        return f"The study is valid: {counted(len(ablations), 'ablation')}{variants}.{self._said}"

    def _on_change(self, what: str, field: FormField, value: Any) -> None:
        self._said = ""
        match what:
            case "set":
                self.model.set(field.path, value)
            case "choose":
                self.model.choose(field.path, value)
            case "add":
                self.model.add(field.path)
            case _:
                self.model.remove(field.path)

    def _on_apply(self, _: Button) -> None:
        text = self.text.value
        if not self._attempt(lambda: self.model.load_yaml(text), "The YAML was not taken over: "):
            self.text.value = text  # to be mended

    def _on_save(self, _: Button) -> None:
        self._attempt(lambda: f"Saved: {self.model.save(self.path.value)}", "Not saved: ")


def _key(field: FormField) -> Any:
    return field.path, field.kind, field.options, field.required, field.has_value and field.kind == "group"


def _plan_html(preview: PlanPreview) -> str:
    cells = [[each.name, f"{each.n_variants:,}"] for each in preview.ablations if not each.problem]
    parts = [table_html(("ablation", "variants"), cells, "Variants by ablation")] if cells else []
    if preview.unlisted:
        parts.append(f"<p>{html_text(preview.unlisted)}</p>")
    parts += [f"<p>{html_text(note)}</p>" for note in preview.notes]
    if preview.rows:
        shown = preview.rows[:ROWS_SHOWN]
        listed = [
            [row.id, f"{row.n_units:,} of {row.n_available:,}", f"{row.dose:.2f}", row.intervention]
            for row in shown
        ]
        caption = f"The first {len(shown):,} of {counted(len(preview.rows), 'variant')}"
        table = table_html(("variant", "units", "dose", "intervention"), listed, caption)
        parts.append(f"<details><summary>{caption}</summary>{table}</details>")
    return "".join(parts)


def _lines(text: str) -> str:
    """Return text of several lines as HTML, line by line."""
    return "\n".join(html_text(line) for line in text.splitlines())
