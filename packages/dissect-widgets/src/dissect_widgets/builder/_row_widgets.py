"""Rows of the study builder: one for each field, with its words and what is wrong beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ipywidgets import HTML, Button, Checkbox, Dropdown, HBox, Layout, Text, Textarea, VBox

from ..base import Looks, html_text, labelled
from ._form import FormField, text_value, value_text

Change = Callable[[str, FormField, Any], None]
"""Called with what to do ("set", "choose", "add", "remove"), the field, and the new value or member."""

DEFAULT = "(default)"
WIDTH = "36rem"


class FieldRow(VBox):  # type: ignore[misc]  # ipywidgets has no types
    """A field of the form, with what it is for and what is wrong with it.

    Attributes
    ----------
    field : FormField
    note : HTML
        What the field is for, and what is wrong with it.
    """

    def __init__(self, field: FormField, looks: Looks, change: Change) -> None:
        self.field, self._change, self._is_refreshing = field, change, False
        self.note = HTML(layout=looks.text)
        super().__init__(self._parts(looks), layout=looks.text)

    def refresh(self, field: FormField, value: Any, problems: Sequence[str]) -> None:
        """Show a field's state and its problems, without counting that as the user's entry."""
        self.field = field
        self._is_refreshing = True
        try:
            self._show(value)
            self.note.value = _note(field, problems)
        finally:
            self._is_refreshing = False

    def hold(self, rows: Sequence[FieldRow]) -> None:
        """Show the rows of the fields within this one."""

    def stop(self) -> None:
        """Stop observing what the user enters."""
        raise NotImplementedError

    def _parts(self, looks: Looks) -> tuple[Any, ...]:
        raise NotImplementedError

    def _show(self, value: Any) -> None:
        raise NotImplementedError


class LeafRow(FieldRow):
    """A field that holds one value or a list of them.

    Attributes
    ----------
    control : Text, Textarea, Dropdown or Checkbox
    """

    control: Any

    def stop(self) -> None:
        """Stop observing the control."""
        self.control.unobserve_all()

    def _parts(self, looks: Looks) -> tuple[Any, ...]:
        self.control = self._control(looks)
        self.control.observe(self._on_value, "value")
        return self.control, self.note

    def _show(self, value: Any) -> None:
        field = self.field
        if field.kind == "flag":
            self.control.value = bool(field.default if value is None else value)
        elif field.kind == "choice":
            options = _options(field)
            # A value that is no option is shown all the same: it is one of the problems.
            given = DEFAULT if value is None else str(value)
            self.control.options = options if given in options else (*options, given)
            self.control.value = given
        else:
            self.control.value = value_text(field, value)

    def _control(self, looks: Looks) -> Any:
        field = self.field
        if field.kind == "flag":
            return Checkbox(description=field.label, indent=False, style=looks.checkbox, layout=looks.control)
        if field.kind == "choice":
            return labelled(Dropdown, field.label, max_width=WIDTH, options=_options(field))
        if field.kind == "data":
            return labelled(
                Textarea, f"{field.label}, as YAML", max_width=WIDTH, rows=4, continuous_update=False
            )
        empty = field.default in (None, "")
        hint = ("" if field.required else "may be left out") if empty else f"{field.default} if left out"
        return labelled(Text, field.label, max_width=WIDTH, placeholder=hint, continuous_update=False)

    def _on_value(self, change: Mapping[str, Any]) -> None:
        if self._is_refreshing:
            return
        new = change["new"]
        if self.field.kind == "choice":
            new = None if new == DEFAULT else new
        elif self.field.kind != "flag":
            new = text_value(self.field, new)
        self._change("set", self.field, new)


class GroupRow(FieldRow):
    """A group of fields, or a list of such groups, with buttons to add and to remove.

    Attributes
    ----------
    head : HTML
    member : Dropdown or None
        Which of several kinds of object it is, where there are any.
    add, remove : Button or None
    inner : VBox
        Its fields.
    """

    member: Dropdown | None = None
    add: Button | None = None
    remove: Button | None = None

    def hold(self, rows: Sequence[FieldRow]) -> None:
        """Show the rows of the fields within this one."""
        self.inner.children = tuple(rows)

    def stop(self) -> None:
        """Stop observing which member is chosen."""
        if self.member is not None:
            self.member.unobserve_all()

    def _parts(self, looks: Looks) -> tuple[Any, ...]:
        field = self.field
        self.head = HTML(layout=looks.text)
        if field.options:
            self.member = Dropdown(description=_CHOICE.get(str(field.path[-1]), "kind"), layout=looks.control)
            self.member.style.description_width = "initial"
            self.member.observe(self._on_member, "value")
        of_list = bool(field.path) and isinstance(field.path[-1], int)
        optional = field.kind == "group" and not field.required and field.default is None
        if field.kind == "items" or (optional and not field.has_value):
            noun = field.label.removesuffix("s") if field.kind == "items" else field.label
            self.add = self._button(looks, f"Add {noun}")
        if of_list or (optional and field.has_value):
            self.remove = self._button(looks, f"Remove {field.label}")
        inset = "0" if not field.path else "0 0 0 1rem"
        self.inner = VBox(layout=Layout(padding=inset, max_width="100%"))
        controls = [each for each in (self.member, self.add, self.remove) if each is not None]
        bar = HBox(controls, layout=looks.row(0))
        return self.head, bar, self.note, self.inner

    def _show(self, value: Any) -> None:
        field = self.field
        level = min(6, 3 + sum(isinstance(key, str) for key in field.path))
        self.head.value = f"<h{level} style='margin:.5em 0 0'>{html_text(field.label)}</h{level}>"
        if self.member is not None:
            chosen = field.chosen or "(not said)"
            self.member.options = field.options if field.chosen else (chosen, *field.options)
            self.member.value = chosen

    def _button(self, looks: Looks, text: str) -> Button:
        button = looks.make_button(text)
        button.on_click(self._on_button)
        return button

    def _on_member(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] in self.field.options:
            self._change("choose", self.field, change["new"])

    def _on_button(self, button: Button) -> None:
        self._change("add" if button is self.add else "remove", self.field, None)


_CHOICE = {"target": "unit", "select": "by"}


def _options(field: FormField) -> tuple[str, ...]:
    return field.options if field.required else (DEFAULT, *field.options)


def _note(field: FormField, problems: Sequence[str]) -> str:
    """Return what a field is for, and what is wrong with it, in words and not by colour alone."""
    default = (
        f" Default: {html_text(str(field.default))}." if field.kind == "choice" and field.default else ""
    )
    wrong = "".join(f"<div><strong>Wrong:</strong> {html_text(problem)}</div>" for problem in problems)
    said = f"<small>{html_text(field.description)}{default}</small>" if field.description else ""
    return f'<div style="overflow-wrap:anywhere">{said}{wrong}</div>'
