"""State of the results explorer: which of a study's numbers are shown, and what is chosen. No widgets in here."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from traitlets import Bool, Unicode

from dissect_core.storage import write_bytes_whole
from dissect_core.storage.locations import location_of
from dissect_eval import StudyDataError
from dissect_eval.study import DEFAULT_METRIC, StudyTables, class_values, layer_maps, title_of

from ..base import OneOf, PanelModel, Selection, share
from ..errors import StudyFolderError
from ..figure import Picture, page_colours, picture_of, plots
from ._chosen import ChosenVariant, chosen_variant, headline
from ._table import SORTS, VariantRow, order_of, variant_rows

VIEWS: dict[str, str] = {
    "units": "Single units",
    "doses": "Dose–response",
    "worst": "Largest losses",
    "classes": "Classes",
    "errors": "Error types",
}
SHOWS = ("difference", "ablated", "baseline")
PICTURES_KEPT = 12


class PlotPoint(NamedTuple):
    """A point or cell of a picture that stands for a variant.

    Attributes
    ----------
    label : str
        What it is, with its value.
    variant : str
    category : str
        The class, where the picture has classes; else empty.
    change : float
        Change of the metric against the whole model, of that class or over all.
    """

    label: str
    variant: str
    category: str
    change: float


class ResultsModel(PanelModel):
    """State of the results explorer: works without a notebook; `ResultsExplorer` shows it.

    Parameters
    ----------
    source : Path, str or StudyTables
        Folder of a study that was measured, or its tables.
    selection : Selection, optional
        What is chosen, shared with other panels; its own by default.

    Attributes
    ----------
    tables : StudyTables
    folder : Path or None
        The study's folder, if it was read from one.
    selection : Selection
    metric, view, show : str
        Traits: one of the study's metrics; one of `views`; what cells of classes and units show, ``difference``,
        ``ablated`` or ``baseline``.
    search, sort, descending : str, str, bool
        Traits of the table: words that a row must hold, and the column and direction of its order.
    variant, category : str
        Traits: variant and class that are chosen; empty if none.
    outdated : str
        Trait: how the results' study differs from the one in the builder, set by the `Workbench`; empty if it does not.

    Raises
    ------
    StudyFolderError
        If the folder has no tables, or damaged ones.

    Examples
    --------
    >>> from dissect_widgets import ResultsModel
    >>> ResultsModel("no/such/folder")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    dissect_widgets.errors.StudyFolderError: ...
    """

    metric = OneOf(lambda model: model.tables.metrics)
    view = OneOf(lambda model: model.views)
    show = OneOf(SHOWS, "difference")
    search = Unicode()
    sort = OneOf(SORTS, "change")
    descending = Bool()
    variant = OneOf(lambda model: ("", *(row["id"] for row in model.tables.summary)))
    category = Unicode()
    outdated = Unicode("")

    def __init__(self, source: Path | str | StudyTables, *, selection: Selection | None = None) -> None:
        self.folder = None if isinstance(source, StudyTables) else location_of(source)
        self.tables = source if isinstance(source, StudyTables) else _read(location_of(source))
        self._drawn: dict[tuple[str, ...], tuple[Picture, ...]] = {}
        self._rows: dict[str, list[VariantRow]] = {}
        super().__init__()
        metrics = self.tables.metrics
        self.metric = DEFAULT_METRIC if DEFAULT_METRIC in metrics else metrics[0]
        self.views = tuple(name for name in VIEWS if self._pictures(name))
        self.view = self.views[0]
        self.selection = selection or Selection()
        self._shared: list[Callable[[], object]] = []
        share(self, self.selection, ("variant", "category"), self._shared)

    def close(self) -> None:
        """Stop following the selection."""
        while self._shared:
            self._shared.pop()()

    @property
    def title(self) -> str:
        """Return the metric's name to print."""
        return title_of(self.metric)

    @property
    def headline(self) -> tuple[str, str]:
        """Return the study's answer as a title, and the line below it."""
        return headline(self.tables, self.metric, self.rows())

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return warnings: of missing weights, a baseline at chance, results of a part of the images, another study."""
        done, wanted = self.tables.batches
        part = (
            f"These results are of a run that was stopped: {done:,} of {wanted:,} batches of images are finished, and "
            "all numbers are of those. Resume the run for the rest."
        )
        missing = self.tables.missing_weights
        said = (
            f"Warning: {missing}." if missing else "",
            self.tables.at_chance,
            part if done < wanted else "",
            self.outdated,
        )
        return tuple(text for text in said if text)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes of the study's tables, which must be read with the numbers."""
        done, wanted = self.tables.batches
        said = [str(text) for text in self.tables.about.get("notes") or ()]
        return tuple(said[1:] if done < wanted and said and "not complete" in said[0] else said)

    def pictures(self) -> tuple[Picture, ...]:
        """Return the pictures of the current view; in the view of classes, also those of the chosen variant."""
        drawn = self._pictures(self.view)
        detail = self._pictures("detail", self.variant) if self.view == "classes" and self.variant else ()
        return (*drawn, *detail)

    def points(self) -> list[PlotPoint]:
        """Return what the pictures show: their points or cells that stand for a variant, the largest loss first."""
        changes = {row.id: row.change for row in self.rows()}
        of_class = class_values(self.tables, self.metric) if self.view == "classes" else {}
        found: dict[tuple[str, str], PlotPoint] = {}
        for picture in self._pictures(self.view):
            for mark in picture.named.marks:
                change = of_class.get((mark.variant, mark.category), changes.get(mark.variant, math.nan))
                if mark.variant and math.isfinite(change):
                    key = mark.variant, mark.category
                    found.setdefault(key, PlotPoint(mark.label, mark.variant, mark.category, change))
        return sorted(found.values(), key=lambda one: one.change)

    def choose(self, variant: str, category: str | None = None) -> None:
        """Choose a variant, and perhaps a class, in all panels that share the selection."""
        with self.lock, self.hold_trait_notifications():
            self.variant, self.category = variant, category or ""

    def chosen(self) -> ChosenVariant | None:
        """Return what the tables say of the chosen variant; None if none is, or it is the whole model or a control."""
        row = next((row for row in self.rows() if row.id == self.variant), None)
        return None if row is None else chosen_variant(self.tables, self.metric, row)

    def rows(self) -> list[VariantRow]:
        """Return the ablated variants in the study's order, with their numbers of the current metric."""
        if self.metric not in self._rows:
            self._rows[self.metric] = variant_rows(self.tables, self.metric)
        return self._rows[self.metric]

    def order(self) -> list[int]:
        """Return which rows match the search, in the table's order; undefined values come last."""
        return order_of(self.rows(), self.search, self.sort, self.descending)

    def sort_by(self, column: str) -> None:
        """Sort by a column; by the column that the order follows already, the other way round."""
        with self.lock, self.hold_trait_notifications():
            self.sort, self.descending = column, self.sort == column and not self.descending

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the exported table for the current metric."""
        metric = self.metric
        wanted = ("id", "ablation", "kind", "intervention", "dose", "n_units", "output_change", "flops_saved")
        numbers = (metric, *(f"{metric}_{end}" for end in ("difference", "low", "high", "p")))
        return tuple(name for name in (*wanted, *numbers, "no_op") if name in self.tables.summary[0])

    def export(self, path: Path | str) -> Path:
        """Write the table as CSV, or the current view's first picture as PNG, SVG or PDF, by the file's ending.

        The table holds the rows that match the search in their order, each followed by its random controls.

        Raises
        ------
        StudyFolderError
            If the ending is none of these, or the file cannot be written.
        """
        path = Path(path)
        content = self._exported(path.suffix.lower())
        write_bytes_whole(path, content, StudyFolderError)
        return path

    def _exported(self, suffix: str) -> bytes:
        if suffix == ".csv":
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, self.columns(), extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._exported_rows())
            return text.getvalue().encode()
        if suffix not in (".png", ".svg", ".pdf"):
            raise StudyFolderError(
                f"`path` must end with .csv, .png, .svg or .pdf, got {suffix or 'no ending'!r}."
            )
        with plots.themed("light"):
            first = next(iter(self._draw(self.view)))
        return plots.figure_bytes(first.figure, suffix[1:])  # type: ignore[arg-type]  # checked

    def _exported_rows(self) -> Iterator[dict[str, Any]]:
        by_id = {row["id"]: row for row in self.tables.summary}
        controls: dict[str, list[dict[str, Any]]] = {}
        for row in self.tables.summary:
            if row["kind"] == "control":
                controls.setdefault(row.get("control_of") or "", []).append(row)
        if not self.search:
            yield self.tables.summary[0]
        rows = self.rows()
        for i in self.order():
            yield by_id[rows[i].id]
            yield from controls.get(rows[i].id, [])

    def _pictures(self, view: str, variant: str = "") -> tuple[Picture, ...]:
        key = view, self.metric, self.show if view in ("classes", "units") else "", variant
        if key not in self._drawn:
            with page_colours():
                made = tuple(picture_of(one) for one in self._draw(view, variant))
            self._drawn = {**dict(list(self._drawn.items())[1 - PICTURES_KEPT :]), key: made}
        return self._drawn[key]

    def _draw(self, view: str, variant: str = "") -> Iterator[plots.NamedFigure]:
        tables, metric, show = self.tables, self.metric, self.show
        if view == "units":
            changes = show == "difference"
            return layer_maps(tables, metric) if changes else plots.head_maps(tables, metric, show=show)  # type: ignore[arg-type]  # checked
        if view == "classes":
            return plots.class_map(tables, metric, show=show)  # type: ignore[arg-type]
        if view == "detail":
            return plots.class_bars(tables, metric, variant)
        drawing = {
            "doses": plots.dose_curves,
            "errors": plots.error_bars,
            "worst": plots.worst_variants,
        }
        return drawing[view](tables, metric)


def _read(folder: Path) -> StudyTables:
    if not folder.is_dir():
        raise StudyFolderError(f"There is no folder {folder}. Give a study's folder.")
    if not any(folder.glob("summary.*")):
        raise StudyFolderError(
            f"The folder {folder} holds no tables of a study. Give a study's folder, and if it is one, measure it "
            f"first, with `deep-dissect report {folder}`."
        )
    try:
        return StudyTables.read(folder)
    except StudyDataError as error:
        raise StudyFolderError(str(error)) from error
