"""The plan of a study, always in view: how many variants, about how long, what of each part, and the YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import HTML, Button, FileUpload, Layout, Text, Textarea, VBox
from traitlets import HasTraits

from deep_dissect.studies import shipped_studies, study_path
from dissect_core.spec import load_spec
from dissect_core.text import visible
from dissect_eval.study import block_names

from ..base import ModelPanel, choice_box, counted, html_text, labelled, line, status_html
from ..detector import DetectorModel, first_image
from ..errors import DraftError
from ..figure import table_html
from ._cost import cost_in_words
from ._model import SpecModel
from ._plan_preview import PlannedAblation, PlanPreview

ROWS_SHOWN = 100
"""Variants that the plan lists."""
LARGEST_UPLOAD = 2**20
"""Bytes of an uploaded file."""
NO_STUDY = ""


class PlanBox(ModelPanel):
    """Plan, cost and text of a study, with the buttons that run, save and open one.

    Parameters
    ----------
    model : SpecModel
    run : callable, optional
        Called by the button Run; without it there is none.
    detector : DetectorModel, optional
        What the study will be run on: it knows how long a pass takes.
    inputs : HasTraits, optional
        Inputs of the run: their traits `limit` and `images` say how many images it takes, and which.

    Attributes
    ----------
    figures, plan, status : HTML
        The number of variants with their cost; the table; the line that is announced.
    run, time, save, open_it : Button
    path : Text
        Where to write the YAML to.
    upload, shipped, source, open_path : FileUpload, Dropdown, Text, Button
        Ways to open another study.
    text, apply : Textarea, Button
        The study as YAML, to be edited too.

    Examples
    --------
    >>> box = PlanBox(SpecModel())
    >>> box.shipped.value = "layer_knockout"
    >>> box.model.spec.name
    'Knock out layers and sublayers'
    >>> box.close()
    """

    _title, _pages = "Plan of a study", ("figures", "plan", "status")
    _shown = ("draft", "anatomy")

    def __init__(
        self,
        model: SpecModel,
        *,
        run: Callable[[], object] | None = None,
        detector: DetectorModel | None = None,
        inputs: HasTraits | None = None,
    ) -> None:
        super().__init__(model)
        self._begin, self._detector, self._inputs = run, detector, inputs
        self._follow(model, self._forget, "draft")
        self.head, self.figures, self.plan, self.status = HTML("<h3>Plan</h3>"), HTML(), HTML(), HTML()
        self.run, self.save, self.open_it, self.apply, self.open_path = (
            self._looks.make_button(text)
            for text in ("Run", "Save YAML", "Open …", "Take over the YAML", "Open it")
        )
        self.time = Button(description="Time a pass", layout=Layout(width="auto"))
        self.run.add_class("dd-primary")
        self.time.add_class("dd-link")
        self.text = labelled(
            Textarea, "The study as YAML", max_width="100%", rows=14, continuous_update=False
        )
        self.text.add_class("dd-yaml")
        self.path = labelled(Text, "Save as", value="study.yaml", max_width="100%")
        self.upload = FileUpload(
            accept=".yaml,.yml,.json,.toml",
            multiple=False,
            description="Choose a file",
            layout=Layout(width="auto"),
        )
        names = {NO_STUDY: "(choose)", **{name: name.replace("_", " ") for name in shipped_studies()}}
        self.shipped = choice_box("Shipped studies", names)
        self.source = labelled(Text, "File on this machine", max_width="100%", placeholder="study.yaml")
        self._opening = VBox((self.upload, self.shipped, line(self.source, self.open_path)))
        self._opening.layout.display = "none"
        for button, handler in (
            (self.run, self._on_run),
            (self.time, self._on_time),
            (self.save, self._on_save),
            (self.open_it, self._on_open),
            (self.apply, self._on_apply),
            (self.open_path, self._on_open_path),
        ):
            self._on_click(button, handler)
        self._follow(self.upload, self._on_upload, "value")
        self._follow(self.shipped, self._on_shipped, "value")
        self._close_all_of(self.run, self.time)  # not always among the children
        if detector is not None:
            self._follow(detector, self._on_speed, ["state", "speed"])
        if inputs is not None:
            self._follow(inputs, self._on_speed, "limit")
        self._assemble(
            self.head,
            self.figures,
            *((self.time,) if detector is not None else ()),
            self.plan,
            self.status,
            line(*((self.run,) if run else ()), self.save, self.open_it),
            self._opening,
            self.text,
            line(self.apply),
            self.path,
        )

    def _forget(self, _: Mapping[str, Any]) -> None:
        """Say no longer what was said of the study as it was before."""
        self._said = ""

    def _show(self) -> None:
        model = self.model
        preview = model.preview()
        self.text.value = model.yaml
        # A long text scrolls; a short one leaves the buttons near.
        self.text.rows = max(6, min(18, model.yaml.count("\n") + 1))
        obstacle = self.obstacle
        self.run.disabled = bool(obstacle)
        self.save.disabled = model.spec is None
        self.plan.value = _plan_html(preview) if preview else ""
        self.status.value = status_html(self._status())
        self._show_figures()

    @property
    def obstacle(self) -> str:
        """Return what keeps the study from being run, as far as that can be seen here; empty if nothing does."""
        if self.model.spec is None:
            return str(self.model.problems[0])
        problems = preview.problems if (preview := self.model.preview()) else ()
        return problems[0] if problems else ""

    def _show_figures(self) -> None:
        preview = self.model.preview()
        detector = self._detector
        timing = detector is not None and detector.state == "timing"
        self.time.disabled = detector is None or detector.state != "open"
        self.time.description = "Timing a pass …" if timing else "Time a pass"
        known = detector is None or detector.detector is None or detector.speed is not None
        self.time.layout.display = "none" if known else None
        if preview is None:
            n_parts = len(self.model.spec.ablations) if self.model.spec else 0
            told = "Open a detector in Model to see how many variants this makes." if n_parts else ""
            self.figures.value = f'<p class="dd-sub">{told}</p>'
            return
        n = preview.n_variants
        most = "" if preview.rows or preview.problems else "at most "
        self.figures.value = (
            f'<p><span class="dd-big">{most}{n:,}</span> <span class="dd-sub">'
            f"{html_text(' · '.join(['variant' if n == 1 else 'variants', *self.cost]))}</span></p>"
        )

    @property
    def cost(self) -> tuple[str, ...]:
        """Return what running the study costs, in words, as far as that is known."""
        preview = self.model.preview()
        if preview is None:
            return ()
        speed = self._detector.speed if self._detector is not None else None
        return cost_in_words(preview, speed, int(getattr(self._inputs, "limit", 0) or 0))

    def _status(self) -> str:
        preview = self.model.preview()
        problems = [*map(str, self.model.problems), *(preview.problems if preview else ())]
        if problems:
            more = f" And {len(problems) - 1:,} more." if len(problems) > 1 else ""
            return f"Not ready to run: {problems[0]}.{more}{self._said}".replace("..", ".")
        ablations = self.model.spec.ablations if self.model.spec else ()
        variants = f", {counted(preview.n_variants, 'variant')} with the baseline" if preview else ""
        return f"The study is valid: {counted(len(ablations), 'ablation')}{variants}.{self._said}"

    def _on_run(self, _: Button) -> None:
        if self._begin is not None:
            self._begin()

    def _on_time(self, _: Button) -> None:
        if self._detector is not None:
            self._detector.time_pass(first_image(str(getattr(self._inputs, "images", ""))))

    def _on_speed(self, _: Mapping[str, Any]) -> None:
        if self._is_live:
            self._show_figures()

    def _on_save(self, _: Button) -> None:
        self._attempt(lambda: f"Saved: {self.model.save(self.path.value)}", "Not saved: ")

    def _on_apply(self, _: Button) -> None:
        text = self.text.value

        if not self._attempt(lambda: self.model.load_yaml(text), "The YAML was not taken over: "):
            self.text.value = text  # to be mended

    def _on_open(self, _: Button) -> None:
        is_shown = self._opening.layout.display != "none"
        self._opening.layout.display = "none" if is_shown else None

    def _load(self, source: Any, name: str) -> str:
        self.model.load(source)
        self._opening.layout.display = "none"
        return f"Opened: {visible(name)}."

    def _on_open_path(self, _: Button) -> None:
        given = self.source.value.strip()
        self._attempt(lambda: self._load(load_spec(study_path(given)), given), "Not opened: ")

    def _on_shipped(self, change: Mapping[str, Any]) -> None:
        name = change["new"]
        if name != NO_STUDY:
            self._attempt(lambda: self._load(load_spec(study_path(name)), name), "Not opened: ")
            self.shipped.value = NO_STUDY

    def _on_upload(self, change: Mapping[str, Any]) -> None:
        if not change["new"]:
            return
        file = change["new"][0]

        def take() -> str:
            content = bytes(file["content"])
            if len(content) > LARGEST_UPLOAD:
                raise DraftError(
                    f"A study's file must have at most {LARGEST_UPLOAD:,} bytes, got {len(content):,}."
                )
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DraftError(f"A study's file must be UTF-8 text: {error}.") from error
            self.model.load_text(text, str(file["name"]))
            self._opening.layout.display = "none"
            return f"Opened: {visible(str(file['name']))}."

        self._attempt(take, "Not opened: ")
        self.upload.value = ()


def _plan_html(preview: PlanPreview) -> str:
    """Return the plan as a table: what of each part is removed, in how many variants, beside how many controls."""
    fit = [each for each in preview.ablations if not each.problem]
    with_controls = any(each.n_controls for each in fit)
    head = ("Part", "Of", "Variants", *(("Controls",) if with_controls else ()))
    cells = [
        [
            each.name,
            _of(each),
            f"{each.n_variants - each.n_controls:,}",
            *([f"{each.n_controls:,}"] if with_controls else []),
        ]
        for each in fit
    ]
    parts = [table_html(head, cells, "Variants by part")] if cells else []
    if preview.unlisted:
        parts.append(f"<p>{html_text(preview.unlisted)}</p>")
    parts += [f'<p class="dd-sub">{html_text(note)}</p>' for note in preview.notes]
    if preview.rows:
        shown = preview.rows[:ROWS_SHOWN]
        listed = [
            [row.id, f"{row.n_units:,} of {row.n_available:,}", f"{row.dose:.2f}", row.intervention]
            for row in shown
        ]
        first = f"The first {len(shown):,} of" if len(shown) < len(preview.rows) else "All"
        caption = f"{first} {counted(len(preview.rows), 'variant')}"
        table = table_html(("variant", "units", "dose", "intervention"), listed, caption)
        parts.append(f"<details><summary>{caption}</summary>{table}</details>")
    return f'<div class="dd-plan">{"".join(parts)}</div>'


def _of(each: PlannedAblation) -> str:
    """Return what an ablation removes from, such as "24 heads in encoder 0 … 5"."""
    if not each.blocks:
        return each.units
    names = [name.text for name in block_names(each.blocks).values()]
    if len(names) == 1:
        where = names[0]
    elif len(names) <= 2:
        where = " and ".join(names)
    else:
        where = f"{len(names):,} places"
    return each.units if each.units.partition(" ")[0] == str(len(names)) else f"{each.units} in {where}"
