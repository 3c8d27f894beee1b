"""One page that tells a study's results, and works without a network."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jinja2

from dissect_core import StudyError
from dissect_core.arguments import checked_arguments
from dissect_core.spec import spec_to_yaml
from dissect_core.storage import location_of, own_folder, write_bytes_whole
from dissect_core.text import cut, quoted, visible
from dissect_eval.plots import figure_bytes
from dissect_eval.study import (
    DEFAULT_METRIC,
    NamedFigure,
    StudyResults,
    StudyTables,
    counted,
    examples,
    figures,
    pictures_of,
    summary_rows,
    title_of,
)

from ._head import head_of

REPORT = "report.html"
FORMATS = ("png", "svg", "pdf")
"""Formats of pictures that are written beside the report."""
PAIRS_AT_MOST = 100
SHOWN = ("AP", "AP50", "AP75", "f1", "recall", "matched_giou", "matched_f1")


@checked_arguments(results="results.measured", formats="formats=('png',)")
def write_report(
    results: StudyResults,
    folder: Path | str | None = None,
    *,
    images: Path | str | None = None,
    metric: str = DEFAULT_METRIC,
    formats: tuple[str, ...] = (),
) -> Path:
    """Write a self-contained page: tables, pictures, examples, the spec and the environment.

    The same study gives the same bytes, of the page and of each picture.

    Parameters
    ----------
    results : StudyResults
    folder : Path, optional
        The study's own, if left out.
    images : Path, optional
        Folder of the images, for examples. If left out, only images inside the study's folder are shown: a stranger's
        folder may name any file.
    metric : str
        What the pictures show: one of the study's metrics.
    formats : tuple of str
        Also write each picture to ``figures/`` as ``png``, ``svg`` or ``pdf``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    dissect_core.StudyError
        If `metric` is none of the study's, a format is unknown, `images` is no folder, or the page cannot be written.
    """
    if unknown := [kind for kind in formats if kind not in FORMATS]:
        raise StudyError(f"`formats` must be of {', '.join(FORMATS)}, got {', '.join(unknown)}.")
    if metric not in results.settings.metrics:
        raise StudyError(
            f"`metric` must be one of {', '.join(results.settings.metrics)}, got {quoted(metric)}."
        )
    if images is not None and not Path(images).is_dir():
        raise StudyError(
            f"`images` must be the folder of the study's images, got {quoted(str(images))}: no such folder."
        )
    folder = results.study.path if folder is None else location_of(folder)
    drawn = list(figures(StudyTables.of(results), metric))
    # Embed before files are saved: drawing a figure again may move its parts by a fraction of a pixel.
    pictures = [(figure.caption, _embedded(figure.figure, "svg")) for figure in drawn]
    if formats:
        _save(drawn, folder / "figures", formats)
    source = pictures_of(results.study, None if images is None else Path(images))
    shown = [] if source.folder is None else list(examples(results, source, metric))
    rows = summary_rows(results)
    page = _template().render(
        study=results.study,
        results=results,
        metric=title_of(metric),
        head=head_of(results),
        figures=pictures,
        examples=[
            (one.caption, None if one.figure is None else _embedded(one.figure, "jpeg")) for one in shown
        ],
        no_images=source.folder is None,
        columns=[(name, title_of(name)) for name in SHOWN if name in results.settings.metrics],
        rows=rows,
        chosen=metric,
        has_output_change=any(_is_number(row["output_change"]) for row in rows[1:]),
        pairs=_pairs(results, metric),
        beyond=_beyond,
        say_nothing=say_nothing,
        counted_variants=counted_variants(rows),
        counted=counted,
        spec=spec_to_yaml(results.study.spec),
        # Left out: what differs from run to run, such as the time of the start.
        environment=json.dumps(results.study.environment.get("frozen", {}), indent=2, ensure_ascii=False),
        number=number,
        signed=_signed,
        percent=_percent,
    )
    write_bytes_whole(folder / REPORT, page.encode())
    return folder / REPORT


@checked_arguments(results="results.measured")
def write_results(results: StudyResults, folder: Path | str | None = None) -> list[Path]:
    """Write all tables, each whole or not at all.

    Parameters
    ----------
    results : StudyResults
    folder : Path, optional
        The study's own, if left out.

    Returns
    -------
    list of Path
        `summary`, `per_class`, `errors`, `repeats` and, of a study with pairs, `interactions` as CSV and Parquet, and
        `summary.json` with the settings.
    """
    folder = results.study.path if folder is None else location_of(folder)
    written = []
    for name, content in StudyTables.of(results).files().items():
        write_bytes_whole(folder / name, content)
        written.append(folder / name)
    return written


def counted_variants(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many variants there are; further runs of the baseline are counted apart."""
    again = sum(row["kind"] == "again" for row in rows)
    text = counted(len(rows) - again, "variant")
    return f"{text} and the baseline {counted(again, 'time')} more" if again else text


def say_nothing(still: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on variants that changed nothing: how many, and the reason for the first."""
    if len(still) == 1:
        return f"1 variant says nothing about robustness, {still[0]['id']}: {still[0]['no_op']}"
    return (
        f"{len(still):,} variants say nothing about robustness, such as {still[0]['id']}: {still[0]['no_op']}"
    )


def _shown(value: Any) -> Any:
    """Return a value as the page shows it: every character of a text visible, line by line."""
    return "\n".join(map(visible, value.split("\n"))) if type(value) is str else value


def _template() -> jinja2.Template:
    # Names in a study may be a stranger's: they are text here, never markup.
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_shown)
    environment.filters["cut"] = cut
    source = Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)


def _embedded(figure: Any, kind: Literal["svg", "jpeg"]) -> str:
    data = base64.b64encode(figure_bytes(figure, kind, dpi=90 if kind == "jpeg" else 72)).decode()
    return f"data:image/{'svg+xml' if kind == 'svg' else kind};base64,{data}"


def _save(drawn: list[NamedFigure], folder: Path, formats: tuple[str, ...]) -> None:
    own_folder(folder)
    for one in drawn:
        for kind in formats:
            content = figure_bytes(one.figure, kind)  # type: ignore[arg-type]  # checked
            path = folder / f"{one.name}.{kind}"
            write_bytes_whole(path, content)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def number(value: float | None) -> str:
    """Return three decimals; a dash for what is undefined."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3f}"


def _pairs(results: StudyResults, metric: str) -> list[dict[str, Any]]:
    """Return the pairs whose loss differs most from the sum of both single losses, the largest first."""
    known = [row for row in results.interactions if math.isfinite(row[f"{metric}_beyond"])]
    farthest = sorted(known, key=lambda row: -abs(row[f"{metric}_beyond"]))[:PAIRS_AT_MOST]
    return sorted(farthest, key=lambda row: -row[f"{metric}_beyond"])


def _beyond(row: Mapping[str, Any], metric: str) -> str:
    low, high = row[f"{metric}_beyond_low"], row[f"{metric}_beyond_high"]
    text = f"{row[f'{metric}_beyond']:+.3f}"
    return text if not math.isfinite(low) else f"{text} [{low:+.3f}, {high:+.3f}]"


def _signed(row: Mapping[str, Any], metric: str) -> str:
    """Return the difference of a metric with its interval, as text."""
    difference, low, high = (row[f"{metric}_{end}"] for end in ("difference", "low", "high"))
    if not math.isfinite(difference):
        return "–"
    text = f"{difference:+.3f}"
    return text if not math.isfinite(low) else f"{text} [{low:+.3f}, {high:+.3f}]"


def _percent(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.0%}" if value >= 0.01 or value == 0 else f"{value:.2%}"
