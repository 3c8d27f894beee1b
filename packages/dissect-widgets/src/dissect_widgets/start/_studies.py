"""Studies in a folder and below it, finished, stopped or running. No widgets in here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dissect_core import DissectError
from dissect_core.store import Study

__all__ = ["FoundStudy", "studies_below"]

SPEC = "spec.yaml"
FOUND_AT_MOST = 30
DEPTH = 2


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
    """

    folder: Path
    name: str
    detector: str
    state: str
    n_variants: int
    changed: float
    is_running: bool
    is_measured: bool


def studies_below(folder: Path) -> list[FoundStudy]:
    """Return the studies in a folder and two levels below it, running ones and then the latest first.

    What cannot be read as a study is passed over.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as empty:
    ...     studies_below(Path(empty))
    []
    """
    places = [place.parent for depth in range(DEPTH + 1) for place in folder.glob("*/" * depth + SPEC)]
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
        named = study.spec.detector
        detector = "" if named is None else str(named.options.get("checkpoint", named.adapter))
        n = len(study.variants)
        name = study.spec.name
    except (DissectError, OSError):
        return
    is_measured = (folder / "summary.json").exists()
    share = f"{done / wanted:.0%}" if wanted else "0%"
    state = f"running, {share}" if running else "done" if done == wanted else f"stopped at {share}"
    yield FoundStudy(folder, name, detector, state, n, _changed(folder), running, is_measured)
