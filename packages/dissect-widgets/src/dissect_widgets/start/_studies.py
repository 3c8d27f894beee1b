"""Studies in a folder and below it, and recent ones elsewhere: finished, stopped or running. No widgets in here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dissect_core import DissectError
from dissect_core.store import Study

__all__ = ["FoundStudy", "studies_below"]

SPEC, SUMMARY = "spec.yaml", "summary.json"
FOUND_AT_MOST = 30
DEPTH = 2
LARGEST_SUMMARY = 2**25
"""Bytes of a summary that is read for what a study found."""


class FoundStudy(NamedTuple):
    """A study that was found.

    Attributes
    ----------
    folder : Path
    name, detector, state : str
        Its name, the adapter or class of its detector where the study says it, and for people how far it is.
    n_variants : int
    changed : float
        When it last changed, in seconds since 1970.
    is_running, is_measured : bool
    found : str
        For people, what it found; empty while it is not measured, or without intervals.
    """

    folder: Path
    name: str
    detector: str
    state: str
    n_variants: int
    changed: float
    is_running: bool
    is_measured: bool
    found: str = ""


def studies_below(folder: Path, also: Iterable[Path] = ()) -> list[FoundStudy]:
    """Return the studies in a folder and two levels below it, running ones and then the latest first.

    What cannot be read as a study is passed over.

    Parameters
    ----------
    folder : Path
    also : iterable of Path
        Further folders of studies, wherever they lie.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as empty:
    ...     studies_below(Path(empty))
    []
    """
    below = [place.parent for depth in range(DEPTH + 1) for place in folder.glob("*/" * depth + SPEC)]
    places = list({place.resolve(): place for place in (*also, *below)}.values())
    latest = sorted(places, key=_changed, reverse=True)[:FOUND_AT_MOST]
    found = [one for place in latest for one in _read(place)]
    return sorted(found, key=lambda one: (not one.is_running, -one.changed))


def _changed(folder: Path) -> float:
    try:
        return max(file.stat().st_mtime for file in (folder / SPEC, folder / "log.jsonl") if file.exists())
    except (OSError, ValueError):
        return 0.0


def _read(folder: Path) -> Iterator[FoundStudy]:
    try:
        study = Study.open(folder)
        done, wanted = study.progress()
        running = study.held_by is not None
        detector = _detector_of(study)
        n = len(study.variants)
        name = study.spec.name
        is_measured = (folder / SUMMARY).exists()
    except (DissectError, OSError):
        return
    share = f"{100 * done / wanted:.0f} %" if wanted else "0 %"
    state = f"running, {share}" if running else "done" if done == wanted else f"stopped at {share}"
    found = _found(folder) if is_measured and not running else ""
    yield FoundStudy(folder, name, detector, state, n, _changed(folder), running, is_measured, found)


def _detector_of(study: Study) -> str:
    """Return what a study's detector is called, as it was noted when the study was begun; else as its spec names it."""
    noted = study.environment.get("incidental")
    if isinstance(noted, dict) and isinstance(noted.get("detector"), str):
        return str(noted["detector"])
    named = study.spec.detector
    return "" if named is None else str(named.options.get("checkpoint", named.adapter))


def _found(folder: Path) -> str:
    """Return for how many ablations the interval of the change of AP leaves out 0, as a study's summary has it."""
    try:
        file = folder / SUMMARY
        content = (
            json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size <= LARGEST_SUMMARY else {}
        )
        rows = [row for row in content["variants"] if row["kind"] == "ablation"]
        intervals = [(row["AP_low"], row["AP_high"]) for row in rows if row["AP_low"] is not None]
        sure = sum(low > 0 or high < 0 for low, high in intervals)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""  # of another version, or no summary: the results themselves say what is wrong
    return f"{sure:,} of {len(rows):,} ablations: AP interval without 0" if intervals else ""
