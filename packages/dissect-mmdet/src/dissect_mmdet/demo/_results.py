"""The demo's raw numbers on disk: written whole, also when it is interrupted, and read to go on."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dissect_core.storage import read_regular, write_text_whole

from ..errors import DissectMMDetError
from ._report import Report
from ._study import Measurement, Outcome


def write_results(report: Report, folder: Path, settings: dict[str, Any], *, complete: bool) -> list[Path]:
    """Write ``results.csv`` and ``results.json``, each whole or not at all."""
    rows = [
        {"detector": name, **{k: v for k, v in asdict(outcome).items() if k != "measurement"}}
        | asdict(outcome.measurement)
        for name, outcomes in report.items()
        for outcome in outcomes
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    plain = [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()} for row in rows]
    content = json.dumps({"complete": complete, "settings": settings, "variants": plain}, indent=2)
    write_text_whole(folder / "results.csv", text.getvalue(), DissectMMDetError)
    write_text_whole(folder / "results.json", content, DissectMMDetError)
    return [folder / "results.csv", folder / "results.json"]


def interrupted_results(folder: Path, settings: dict[str, Any]) -> dict[str, Outcome]:
    """Outcomes by variant of an earlier run of the same settings that was interrupted; else none."""
    try:
        earlier = json.loads(read_regular(folder / "results.json"))
        if earlier["complete"] or earlier["settings"] != settings:
            return {}
        return {row["variant"]: _outcome(row) for row in earlier["variants"]}
    except (OSError, ValueError, KeyError, TypeError):  # none, or of another version: measured anew
        return {}


def _outcome(row: dict[str, Any]) -> Outcome:
    def number(name: str) -> float:
        return float("nan") if row[name] is None else float(row[name])

    measurement = Measurement(**{name: number(name) for name in Measurement.__dataclass_fields__})
    rest = {name: row[name] for name in Outcome.__dataclass_fields__ if name != "measurement"}
    return Outcome(**rest, measurement=measurement)
