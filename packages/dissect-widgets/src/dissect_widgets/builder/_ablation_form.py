"""The short form of an ablation: segments to choose from, chips for its places, and the few numbers that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ipywidgets import HTML, Button, Checkbox, Combobox, Dropdown, HBox, Layout, Text, VBox

from dissect_core.spec import Problem
from dissect_core.text import cut, visible

from ..base import ModelPanel, close_all, counted, html_text, labelled, line, segments
from ._answers import SEGMENTS, Segment
from ._details import Detail
from ._model import SpecModel
from ._plan_preview import PlanPreview

Chosen = Callable[[], tuple[Sequence[str], Mapping[str, Sequence[int]]]]
"""Returns what is selected in the model's tree: names of components, and heads by block."""


class AblationForm(ModelPanel):
    """What is removed, of what, how, what takes its place, and what it is compared with.

    Parameters
    ----------
    model : SpecModel
    chosen : callable, optional
        Returns what is selected elsewhere, as names of components, and heads by block; it can then be added.

    Attributes
    ----------
    parts : RadioButtons
        The ablations of the study, where there are several.
    add_part, remove_part : Button
    segments : dict of str to RadioButtons
        By `remove`, `how`, `place` and `compare`.
    chips : dict of str to Button
        A click takes the place out.
    adder, add_place, add_chosen : Combobox, Button, Button
        Another role, path or glob; and what is selected in the model's tree.
    details : dict of str to Widget
        The numbers that the choices need, by title.
    detail_notes : dict of str to HTML
        What is wrong with each.
    notes : HTML
        What is wrong.

    Examples
    --------
    >>> form = AblationForm(SpecModel())
    >>> form.segments["how"].value = "each"
    >>> form.model.draft["ablations"][0]["select"]
    {'by': 'each'}
    >>> form.close()
    """

    _title, _pages = "A part of a study", ("places_note", "notes")
    _shown = ("draft", "anatomy", "current")

    def __init__(self, model: SpecModel, *, chosen: Chosen | None = None) -> None:
        super().__init__(model)
        self._chosen = chosen
        self._follow(model, self._forget, ["draft", "current"])
        self.parts = segments("Parts of the study", {"0": ""})
        self.add_part = self._looks.make_button("Add a part").add_class("dd-link")
        self.remove_part = Button(description="Remove this part", layout=Layout(width="auto"))
        self.remove_part.add_class("dd-link")
        self.segments = {name: segments(title, {"": ""}) for name, title in SEGMENTS.items()}
        self.chips: dict[str, Button] = {}
        self.adder = labelled(
            Combobox,
            "Add",
            placeholder="role, path or glob",
            ensure_option=False,
            continuous_update=False,
            max_width="22rem",
        )
        self.add_place = self._looks.make_button("Add it")
        self.add_chosen = self._looks.make_button("Add what is selected in Model")
        self.of = HTML('<div class="dd-label">of</div>')
        self._chip_box = HBox(layout=Layout(flex_flow="row wrap", align_items="center"))
        self.details: dict[str, Any] = {}
        self._detail_of: dict[str, Detail] = {}
        self.detail_notes: dict[str, HTML] = {}
        self._how_box, self._place_box = VBox(), VBox()
        self.places_note, self.notes = HTML(), HTML()
        self._on_click(self.add_part, self._on_add_part)
        self._on_click(self.remove_part, self._on_remove_part)
        self._on_click(self.add_place, self._on_add_place)
        self._on_click(self.add_chosen, self._on_add_chosen)
        self._follow(self.parts, self._on_part, "value")
        for name, box in self.segments.items():
            self._follow(box, partial(self._on_segment, name), "value")
        self._undo.append(self._close_details)
        self._close_all_of(self.add_chosen)  # not always among the children
        self._assemble(
            self.parts,
            line(self.add_part, self.remove_part),
            self.segments["remove"],
            self.of,
            self._chip_box,
            line(self.adder, self.add_place, *([self.add_chosen] if chosen else ())),
            self.places_note,
            self.segments["how"],
            self._how_box,
            self.segments["place"],
            self._place_box,
            self.segments["compare"],
            self.notes,
        )

    def _show(self) -> None:
        model = self.model
        number = model.current
        self._show_parts(number)
        for segment in model.segments(number):
            _fill(self.segments[segment.name], segment)
        self._show_places(number)
        self._show_details(number)
        self._show_problems(number, model.preview())

    def _forget(self, _: Mapping[str, Any]) -> None:
        """Say no longer what was said of the study as it was before."""
        self._said = ""

    def _show_parts(self, number: int) -> None:
        ablations = self.model.value(("ablations",))
        names = [
            str(one.get("name", "")) if isinstance(one, dict) else "?"
            for one in (ablations if isinstance(ablations, list) else [])
        ]
        options = [(visible(cut(name or f"part {i + 1}")), str(i)) for i, name in enumerate(names)]
        if list(self.parts.options) != options and options:
            self.parts.options = options
        if options and self.parts.value != str(number):
            self.parts.value = str(number)
        for part in (self.parts, self.remove_part):
            part.layout.display = None if len(names) > 1 else "none"

    def _show_places(self, number: int) -> None:
        model, places = self.model, self.model.places
        target = model.value(("ablations", number, "target"))
        target = target if isinstance(target, dict) else {}
        has = target.get("components")
        words = [word for word in has if isinstance(word, str)] if isinstance(has, list) else []
        for word in [word for word in self.chips if word not in words]:
            close_all(self.chips.pop(word), self._looks.all())
        unit, space = str(target.get("unit")), model.space(number)
        known = model.segments(number)[0].options
        for word in words:
            if word not in self.chips:
                chip = self._looks.make_button().add_class("dd-chip-button")
                self._on_click(chip, partial(self._on_chip, word))
                self.chips[word] = chip
            n = places.n_places(unit, word, space) if places is not None and unit in known else None
            told = "" if n is None or (n == 1 and "." not in word) else f" · {n}"
            self.chips[word].description = f"{visible(word)}{told} ✕"
            self.chips[word].tooltip = (
                f"Take out {visible(word)}"
                if n is None
                else f"Take out {visible(word)}: {counted(n, 'place')}"
            )
        self._chip_box.children = tuple(self.chips[word] for word in dict.fromkeys(words))
        if places is not None and unit in known:
            offered = [*places.words(unit, space), *places.paths(unit, space)[:500]]
            options = tuple(visible(word) for word in dict.fromkeys(offered) if word not in words)
            if self.adder.options != options:
                self.adder.options = options

    def _show_details(self, number: int) -> None:
        wanted = {detail.title: detail for detail in self.model.details(number)}
        if wanted != self._detail_of:
            self._make_details(wanted)
        for title, detail in wanted.items():
            value = self.model.value(self._path(detail))
            control = self.details[title]
            if detail.kind == "flag":
                control.value = value is False
            elif detail.kind == "choice":
                default = next(iter(detail.options), None)
                control.value = value if value in detail.options else default
            else:
                control.value = _text(detail, value)

    def _make_details(self, wanted: Mapping[str, Detail]) -> None:
        self._close_details()
        self._detail_of = dict(wanted)
        boxes: dict[bool, list[Any]] = {True: [], False: []}
        for title, detail in wanted.items():
            if detail.kind == "flag":
                control: Any = Checkbox(
                    description=title, indent=False, layout=self._looks.control, style=self._looks.checkbox
                )
            elif detail.kind == "choice":
                options = [(words, value) for value, words in detail.options.items()]
                control = labelled(Dropdown, title, options=options)
            else:
                control = labelled(Text, title, max_width="18rem", continuous_update=False)
            note = HTML(layout=self._looks.text)
            control.observe(self._guarded(partial(self._on_detail, title), control), "value")
            self.details[title], self.detail_notes[title] = control, note
            boxes[detail.path[0] != "interventions"].append(VBox((control, note)))
        for is_how, box in ((True, self._how_box), (False, self._place_box)):
            box.children = (line(*boxes[is_how]),) if boxes[is_how] else ()

    def _close_details(self) -> None:
        for box in (self._how_box, self._place_box):
            gone, box.children = box.children, ()
            for one in gone:
                close_all(one, self._looks.all())
        self.details, self.detail_notes, self._detail_of = {}, {}, {}

    def _show_problems(self, number: int, preview: PlanPreview | None) -> None:
        start = ("ablations", number)
        at_details: dict[str, list[str]] = {title: [] for title in self.details}
        at_places, others = [], []
        for problem in self.model.problems:
            if problem.path[:2] != start:
                continue
            rest = tuple(map(str, problem.path[2:]))
            title = next((t for t, d in self._detail_of.items() if rest[: len(d.path)] == d.path), None)
            if title is not None:
                which = problem.path[-1]
                said = f"{which + 1}. value: " if isinstance(which, int) else ""
                at_details[title].append(said + self._message(problem, self._detail_of[title]))
            elif rest[:2] == ("target", "components"):
                at_places.append(
                    "Say of what: add a role, a path or a glob." if len(rest) == 2 else problem.message
                )
            else:
                others.append(f"{'.'.join(rest)}: {problem.message}" if rest else problem.message)
        if preview is not None and number < len(preview.ablations) and preview.ablations[number].problem:
            at_places.append(preview.ablations[number].problem)
        for title, messages in at_details.items():
            self.detail_notes[title].value = _problems_html(messages)
        self.places_note.value = _problems_html(at_places)
        said = f'<p class="dd-sub">{html_text(self._said)}</p>' if self._said else ""
        self.notes.value = said + _problems_html(others)

    def _message(self, problem: Problem, detail: Detail) -> str:
        """Return what is wrong, of shares in the per cent in which they are written here."""
        value = self.model.value(problem.path)
        if detail.kind == "shares" and _is_number(value) and not 0 <= value <= 1:
            return f"must be within 0 and 100 %, got {100 * value:.10g} %."
        return problem.message

    def _path(self, detail: Detail) -> tuple[str | int, ...]:
        keys = (int(key) if key.isdecimal() else key for key in detail.path)
        return ("ablations", self.model.current, *keys)

    def _on_segment(self, name: str, change: Mapping[str, Any]) -> None:
        if self._is_refreshing or change["new"] is None:
            return
        model = self.model
        segment = next(one for one in model.segments(model.current) if one.name == name)
        if change["new"] == segment.chosen:
            return
        also = model.answer(name, change["new"], model.current)
        if also:
            self._said = f"Changed with it, as it would not fit: {', '.join(SEGMENTS[one] for one in also)}."
            self._refresh()

    def _on_detail(self, title: str, change: Mapping[str, Any]) -> None:
        if self._is_refreshing or title not in self._detail_of:
            return
        detail = self._detail_of[title]
        new = change["new"]
        if detail.kind == "flag":
            new = False if new else None
        elif detail.kind != "choice":
            new = _value(detail, new)
        self.model.set(self._path(detail), new)

    def _on_chip(self, word: str, _: Button) -> None:
        path = ("ablations", self.model.current, "target", "components")
        self.model.set(path, [one for one in self.model.value(path) if one != word])

    def _on_add_place(self, _: Button) -> None:
        words = [word for part in self.adder.value.split(",") if (word := part.strip())]
        if words:
            self.model.add_targets(words, self.model.current)
            self.adder.value = ""

    def _on_add_chosen(self, _: Button) -> None:
        names, heads = self._chosen() if self._chosen else ((), {})
        unit = self.model.segments(self.model.current)[0].chosen
        found = self.model.proposals(names, heads) if names or heads else ()
        fitting = [one for one in found if one.ablation["target"]["unit"] == unit]
        if fitting:
            self.model.add_targets(fitting[-1].ablation["target"]["components"], self.model.current)
            return
        self._said = (
            "What is selected in Model has no such units." if found else "Nothing is selected in Model yet."
        )
        self._refresh()

    def _on_part(self, change: Mapping[str, Any]) -> None:
        if not self._is_refreshing and change["new"] is not None:
            self.model.current = int(change["new"])

    def _on_add_part(self, _: Button) -> None:
        self.model.add(("ablations",))
        self.model.current = len(self.model.draft["ablations"]) - 1

    def _on_remove_part(self, _: Button) -> None:
        self.model.remove(("ablations", self.model.current))


def _fill(box: Any, segment: Segment) -> None:
    """Show a segment's options and its answer; what is shown already stays."""
    options = [(words, value) for value, words in segment.options.items()]
    if list(box.options) != options:
        box.options = options
    if box.value != segment.chosen:
        box.value = segment.chosen


def _problems_html(messages: Sequence[str]) -> str:
    """Return what is wrong as HTML, in words and not by colour alone."""
    return "".join(
        f'<div class="dd-warning"><strong>Wrong:</strong> {html_text(message)}</div>' for message in messages
    )


def _text(detail: Detail, value: Any) -> str:
    """Return a number, a list or shares as text; shares in per cent."""
    values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    if detail.kind == "shares":
        return ", ".join(f"{100 * one:.10g}" if _is_number(one) else str(one) for one in values)
    return ", ".join(map(str, values))


def _value(detail: Detail, text: str) -> Any:
    """Return what a text says; what is no number stays text, and is then one of the problems."""
    parts = [one for part in text.replace("%", "").split(",") if (one := part.strip())]
    if detail.kind == "number":
        return _number(parts[0]) if len(parts) == 1 else (text.strip() or None)
    if detail.kind == "shares":
        read = [_number(one) for one in parts]
        return [round(one / 100, 12) if isinstance(one, (int, float)) else one for one in read]
    return [_number(one) for one in parts]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:  # noqa: PERF203  # two tries at most
            pass
    return text
