"""The complete form of a study: a row for each field of the format, made once it is looked at."""

from __future__ import annotations

from typing import Any

from ipywidgets import Accordion, VBox

from ..base import Panel, close_all
from ..errors import UnknownNameError
from ._form import FieldPath, FormField
from ._model import SpecModel
from ._plan_preview import PlanPreview
from ._row_widgets import FieldRow, GroupRow, LeafRow


class AllFields(Panel):
    """All fields of a study, folded away: their widgets are made when they are opened or asked for.

    Parameters
    ----------
    model : SpecModel

    Attributes
    ----------
    box : Accordion
    form : VBox
        The rows; `row` gives one of them.

    Examples
    --------
    >>> fields = AllFields(SpecModel())
    >>> fields.row("name").control.value
    'study'
    >>> fields.close()
    """

    def __init__(self, model: SpecModel) -> None:
        super().__init__()
        self.model = model
        self.rows: dict[Any, FieldRow] = {}
        self._shape: Any = None
        self.form = VBox()
        self.box = Accordion(
            (self.form,),
            titles=("All fields: seed, rounding, guards, images for means, where it is computed",),
            selected_index=None,
        )
        self._undo.append(self._stop_rows)
        self._follow(self.box, self._on_opened, "selected_index")
        self._assemble(self.box)

    @property
    def is_made(self) -> bool:
        """Return whether the rows are there, and have to be kept up."""
        return self._shape is not None or self.box.selected_index is not None

    def row(self, *path: str | int) -> Any:
        """Return the row of a field, with its `control` and `note`; of a group, with `member`, `add` and `remove`.

        Raises
        ------
        UnknownNameError
            If there is no such field now.
        """
        if not self.is_made:
            self.show(self.model.preview(), force=True)
        for row in self.rows.values():
            if row.field.path == path:
                return row
        self.model.field(path)
        raise UnknownNameError(f"The field {path!r} is not shown.")

    def show(self, preview: PlanPreview | None, *, force: bool = False) -> None:
        """Show the fields' values and what is wrong with them, if anybody looks at them."""
        if not (force or self.is_made):
            return
        form = self.model.form()
        if form.shape != self._shape:
            self._build(form)
            self._shape = form.shape
        wrong = self._wrong(form, preview)
        for field in form.walk():
            self.rows[_key(field)].refresh(field, self.model.value(field.path), wrong.get(field.path, []))

    def _on_opened(self, _: Any) -> None:
        self.show(self.model.preview())

    def _stop_rows(self) -> None:
        for row in self.rows.values():
            row.stop()

    def _build(self, form: FormField) -> None:
        """Make rows for fields that have none, and drop those of fields that are gone."""
        fields = {_key(field): field for field in form.walk()}
        kept = {key: row for key, row in self.rows.items() if key in fields}
        gone = [row for key, row in self.rows.items() if key not in fields]
        for key, field in fields.items():
            if key not in kept:
                kind = GroupRow if field.kind in ("group", "items") else LeafRow
                kept[key] = kind(field, self._looks, self._guarded(self._on_change, None))
        for key, field in fields.items():
            kept[key].hold([kept[_key(inner)] for inner in field.fields])
        self.rows = kept
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

    def _on_change(self, what: str, field: FormField, value: Any) -> None:
        match what:
            case "set":
                self.model.set(field.path, value)
            case "choose":
                self.model.choose(field.path, value)
            case "add":
                self.model.add(field.path)
            case _:
                self.model.remove(field.path)


def _key(field: FormField) -> Any:
    return field.path, field.kind, field.options, field.required, field.has_value and field.kind == "group"
