"""A study's numbers as files: CSV for people and spreadsheets, Parquet and JSON for programs."""

from __future__ import annotations

from pathlib import Path

from dissect_core.storage import write_bytes_whole
from dissect_eval.study import StudyResults, StudyTables


def write_results(results: StudyResults, folder: Path | None = None) -> list[Path]:
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
    folder = folder or results.study.path
    written = []
    for name, content in StudyTables.of(results).files().items():
        write_bytes_whole(folder / name, content)
        written.append(folder / name)
    return written
