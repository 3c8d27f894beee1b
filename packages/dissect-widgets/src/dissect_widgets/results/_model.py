"""State of the results explorer: which of a study's numbers are shown. No widgets in here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from traitlets import Bool, Int, Unicode

from dissect_core.storage import write_bytes_whole
from dissect_core.storage.locations import location_of
from dissect_eval import StudyDataError
from dissect_eval.study import DEFAULT_METRIC, StudyTables, class_values, title_of, variant_groups

from ..base import THEMES, OneOf, PanelModel
from ..errors import StudyFolderError
from ..figure import plots
from ._summary import PlotPoint, is_defined, matches, plot_points

PAGE = 50
"""Rows on a page of the table."""

VIEWS: dict[str, str] = {
    "doses": "Dose–response",
    "units": "Single units",
    "classes": "Classes",
    "errors": "Error types",
    "worst": "Largest losses",
}
SHOWS = ("difference", "ablated", "baseline")


class ResultsModel(PanelModel):
    """State of the results explorer: works without a notebook; `ResultsExplorer` shows it.

    Parameters
    ----------
    source : Path, str or StudyTables
        Folder of a study that was measured, or its tables.

    Attributes
    ----------
    tables : StudyTables
    folder : Path or None
        The study's folder, if it was read from one.
    metric, view, show : str
        Traits: one of the study's metrics; one of `views`; what cells of classes and units show, ``difference``,
        ``ablated`` or ``baseline``.
    search, sort, descending, page : str, str, bool, int
        Traits of the table: words that a row must hold, the column and direction of its order, and the page, from 0.
    variant, category : str
        Traits: variant and class that were chosen, to see their images; empty if none.
    theme : {"light", "dark"}
        Trait: the page that figures are drawn for.
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
    sort = OneOf(lambda model: model.columns())
    descending = Bool()
    page = Int(0)
    variant = OneOf(lambda model: ("", *(row["id"] for row in model.tables.summary)))
    category = Unicode()
    theme = OneOf(THEMES, "light")
    outdated = Unicode("")

    def __init__(self, source: Path | str | StudyTables) -> None:
        self.folder = None if isinstance(source, StudyTables) else location_of(source)
        self.tables = source if isinstance(source, StudyTables) else _read(location_of(source))
        self._drawn: dict[tuple[str, str, str, str], list[plots.NamedFigure]] = {}
        super().__init__()
        metrics = self.tables.metrics
        self.metric = DEFAULT_METRIC if DEFAULT_METRIC in metrics else metrics[0]
        self.views = tuple(name for name in VIEWS if self._figures(name))
        self.view = self.views[0]
        self.sort = self.columns()[0]

    @property
    def title(self) -> str:
        """Return the metric's name to print."""
        return title_of(self.metric)

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

    def figures(self) -> list[plots.NamedFigure]:
        """Return the pictures of the current view; in the view of classes, also those of the chosen variant."""
        drawn = self._figures(self.view)
        if self.view != "classes" or not self.variant:
            return drawn
        with plots.themed(self.theme):  # type: ignore[arg-type]  # checked when it was set
            return [*drawn, *plots.class_bars(self.tables, self.metric, self.variant)]

    def points(self) -> list[PlotPoint]:
        """Return the points or cells of the current view, the largest loss first."""
        groups = variant_groups(self.tables.summary)
        cells = class_values(self.tables, self.metric) if self.view == "classes" else {}
        return plot_points(self.tables.summary, self.metric, self.view, groups, cells)

    def choose(self, variant: str, category: str | None = None) -> None:
        """Choose a variant, and perhaps a class, to look at in images."""
        with self.lock, self.hold_trait_notifications():
            self.variant, self.category = variant, category or ""

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the table for the current metric."""
        metric = self.metric
        wanted = ("id", "ablation", "kind", "intervention", "dose", "n_units", "output_change", "flops_saved")
        numbers = (metric, *(f"{metric}_{end}" for end in ("difference", "low", "high", "p")))
        return tuple(name for name in (*wanted, *numbers, "no_op") if name in self.tables.summary[0])

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table that match the search, in order; undefined values come last."""
        found = [row for row in self.tables.summary if matches(row, self.search)]
        defined = [row for row in found if is_defined(row[self.sort])]
        undefined = [row for row in found if not is_defined(row[self.sort])]
        return [*sorted(defined, key=itemgetter(self.sort), reverse=self.descending), *undefined]

    def n_pages(self) -> int:
        """Return the number of pages of the table, at least one."""
        return max(1, -(-len(self.rows()) // PAGE))

    def export(self, path: Path | str) -> Path:
        """Write the table as CSV, or the current view's first picture as PNG, SVG or PDF, by the file's ending.

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
            writer.writerows(self.rows())
            return text.getvalue().encode()
        if suffix not in (".png", ".svg", ".pdf"):
            raise StudyFolderError(
                f"`path` must end with .csv, .png, .svg or .pdf, got {suffix or 'no ending'!r}."
            )
        return plots.figure_bytes(self.figures()[0].figure, suffix[1:])  # type: ignore[arg-type]  # checked

    def _figures(self, view: str) -> list[plots.NamedFigure]:
        key = view, self.metric, self.show if view in ("classes", "units") else "", self.theme
        if key not in self._drawn:
            with plots.themed(self.theme):  # type: ignore[arg-type]  # checked when it was set
                self._drawn = {**dict(list(self._drawn.items())[-7:]), key: list(self._draw(view))}
        return self._drawn[key]

    def _draw(self, view: str) -> Iterator[plots.NamedFigure]:
        if view in ("classes", "units"):
            draw = plots.class_map if view == "classes" else plots.head_maps
            return draw(self.tables, self.metric, show=self.show)  # type: ignore[arg-type]  # checked
        drawing = {
            "doses": plots.dose_curves,
            "errors": plots.error_bars,
            "worst": plots.worst_variants,
        }
        return drawing[view](self.tables, self.metric)


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
