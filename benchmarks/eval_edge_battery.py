"""Print what this package and six engines answer on 33 constructed cases, as a markdown table.

    python benchmarks/eval_edge_battery.py [--file FILE]

Our column is computed now, the engines' columns come from the file. Bold answers differ from ours;
tests/eval/test_edge_battery.py says which answers are right.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from dissect_eval import Detections, EvalError, GroundTruth, SplitWarning, coco_ap

DATA = Path(os.environ.get("DISSECT_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
FILE = DATA / "data" / "edge_cases" / "edge_cases.json"
ENGINES = {
    "pycocotools": "pycocotools",
    "fce": "faster-coco-eval",
    "hotcoco": "hotcoco",
    "ultrafast": "ultrafast",
    "vernier_strict": "vernier (strict)",
    "vernier_corrected": "vernier (corrected)",
}


def ours(case: dict[str, Any]) -> str:
    """Return our answer, in the form of the engines' answers in the file."""
    try:
        truth = GroundTruth.from_coco(case["gt"])
        result = coco_ap(truth, Detections.from_results(case["dt"], truth))
    except EvalError as exc:
        return f"ERR {type(exc).__name__}: {exc}"
    values = (result.AP, result.AP50, result.APs, result.APm, result.AR100)
    whole, half, small, medium, recall = (-1 if math.isnan(value) else value for value in values)
    return f"{whole:.4g}/{half:.4g}/s{small:.3g}/m{medium:.3g}/AR{recall:.4g}"


def shown(text: str) -> str:
    """Return an answer as a cell: AP, AP50, small, medium, AR, or the kind of error."""
    if text.startswith("ERR"):
        return text.split()[1].rstrip(":")
    return " ".join("–" if part.lstrip("smAR") == "-1" else part for part in text.split("/"))


def cell(text: str, mine: str) -> str:
    """Return an engine's answer, bold if it differs from ours; any two errors count as equal."""
    same = text == mine or (text.startswith("ERR") and mine.startswith("ERR"))
    return shown(text) if same else f"**{shown(text)}**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=FILE, help="the cases, with the engines' answers")
    options = parser.parse_args()
    if not options.file.exists():
        print(f"No edge cases at {options.file}: they lie beside the repository. Skipped.")
        return
    warnings.simplefilter("ignore", SplitWarning)
    cases = json.loads(options.file.read_text(encoding="utf-8"))["cases"]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print("AP, AP50, AP small, AP medium, AR; – where there is no truth; bold where it differs from ours.\n")
    print("| case | ours | " + " | ".join(ENGINES.values()) + " |")
    print("|---|" + "---|" * (len(ENGINES) + 1))
    differ = dict.fromkeys(ENGINES, 0)
    for case in cases:
        mine = ours(case)
        cells = [cell(case["results"][engine], mine) for engine in ENGINES]
        for engine, text in zip(ENGINES, cells, strict=True):
            differ[engine] += text.startswith("**")
        print(f"| {case['name']} | {shown(mine)} | " + " | ".join(cells) + " |")
    print(f"| differ, of {len(cases)} | | " + " | ".join(str(n) for n in differ.values()) + " |")


if __name__ == "__main__":
    main()
