"""What the parts of two real detectors are worth on real photographs: tables with intervals, and pictures.

    python benchmarks/real.py [--out real-studies] [--only atto-heads ...] [--images 158] [--jobs 2]
        [--pictures docs/images]

The detectors are DEIMv2-Atto (a detection transformer of 0.5 M parameters) and YOLOX-Nano (convolutions, 0.9 M), the
photographs are 158 of COCO val2017; `DISSECT_TEST_DATA` names the folder that holds them, see CONTRIBUTING.md. Each
study is kept in a folder below `--out`, and goes on where it was. All six take about half an hour on one quiet core;
two calls with other studies after `--only` run side by side. Intervals are paired, over resampled images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "real"))

from photographs import FOLDER, coco_classes, photographs

import deep_dissect as dd
from dissect_core.progress import tqdm_bar
from real_data import data_path

VERIFIED = 0.02
"""Share of the passes that are made in full as well; any difference ends a study."""
BATCH_SIZE = 8
SHARES = [0.25, 0.5, 0.75, 1.0]
SHOWN = ("AP", "AP50", "APs", "APm", "APl")
ACTIVATION = [{"space": "activation", "kind": "zero"}]


def each(name: str, unit: str, components: str, **further: Any) -> dict[str, Any]:
    """Return an ablation of single units, one after the other."""
    target = {"unit": unit, "components": components}
    return {"name": name, "target": target, "select": {"by": "each"}, **further}


def shares(
    name: str, unit: str, components: str, fractions: list[float], repeats: int = 3, **further: Any
) -> dict[str, Any]:
    """Return an ablation of growing shares of random units, some draws each."""
    target = {"unit": unit, "components": components}
    select = {"by": "fraction", "fractions": fractions, "repeats": repeats}
    return {"name": name, "target": target, "select": select, **further}


ATTO = {
    "atto-blocks": [
        each("layers", "layer", "decoder.layer"),
        each("self-attention", "sublayer", "decoder.self_attn"),
        each("cross-attention", "sublayer", "decoder.cross_attn"),
        each("feed-forward", "sublayer", "decoder.ffn"),
        {
            "name": "self-attention heads, all but the bias behind them",
            "target": {"unit": "head", "components": "decoder.self_attn", "pool": False},
            "select": {"by": "all"},
        },
    ],
    "atto-heads": [
        each("self-attention heads", "head", "decoder.self_attn", control={"match": "parameters"}),
        each("cross-attention heads", "head", "decoder.cross_attn", interventions=ACTIVATION),
    ],
    "atto-sampling": [
        each("levels", "level", "decoder.cross_attn"),
        each("points", "point", "decoder.cross_attn"),
    ],
    "atto-doses": [
        shares("self-attention heads", "head", "decoder.self_attn", SHARES),
        shares("cross-attention heads", "head", "decoder.cross_attn", SHARES, interventions=ACTIVATION),
        shares("feed-forward neurons", "neuron", "decoder.ffn", SHARES),
        shares("queries", "query", "*", [0.25, 0.5, 0.75, 0.9], interventions=ACTIVATION),
    ],
}
YOLOX = {
    "yolox-stages": [
        shares(f"stage {stage}", "channel", f"backbone.stage{stage}.*", [0.02, 0.05, 0.1, 0.2], repeats=2)
        for stage in range(1, 5)
    ],
    "yolox-channels": [each("channels behind stage 1", "channel", "backbone.stage1.1.final_conv.conv")],
}
STUDIES = {**ATTO, **YOLOX}
PICTURES = ("dose-response", "units")
"""Beginnings of the names of the pictures that `--pictures` writes; of a study without any, what loses most."""


def open_atto(data: dd.CocoSplit) -> dd.Detector:
    """Open DEIMv2-Atto."""
    import atto

    model = atto.build(data_path("data/deimv2") / "atto_transformers.pth", coco_classes(data))
    return dd.open_detector("transformers", model=model, processor=atto.processor())


def open_yolox(_data: dd.CocoSplit) -> dd.Detector:
    """Open YOLOX-Nano."""
    files = data_path("data/yolox_nano")
    return dd.open_detector(
        "mmdet", checkpoint=files / "yolox_nano_mmdet.pth", config=files / "yolox_nano.py"
    )


def opened_once(data: dd.CocoSplit) -> Callable[[str], dd.Detector]:
    """Return a function that gives the detector of a study, and opens each when it is first asked for."""
    known: dict[bool, dd.Detector] = {}

    def detector(study: str) -> dd.Detector:
        is_atto = study in ATTO
        if is_atto not in known:
            known[is_atto] = open_atto(data) if is_atto else open_yolox(data)
        return known[is_atto]

    return detector


def tables(results: dd.Results) -> Iterator[str]:
    """Yield the lines of a table of single parts, and of one of doses, in Markdown, as far as the study has them."""
    baseline, *rows = results.tables.summary
    swept = [name for name, by in results.tables.selections.items() if by == "fraction"]
    parts = [row for row in rows if row["kind"] == "ablation" and row["ablation"] not in swept]
    controls = {row["control_of"]: row["AP_difference"] for row in rows if row["kind"] == "control"}
    if parts:
        beside = ["change by as many random weights"] if controls else []
        yield from headed(*SHOWN, "change of AP, 95 % interval", "p", *beside)
        yield line("whole", *numbers(baseline), "", "", *[""] * len(beside))
    for row in parts:
        change = f"{row['AP_difference']:+.3f} [{row['AP_low']:+.3f}, {row['AP_high']:+.3f}]"
        control = [f"{controls[row['id']]:+.3f}" if row["id"] in controls else "" for _ in beside]
        p = "changes nothing" if row["no_op"] else f"{row['AP_p']:.3f}"
        yield line(named(row), *numbers(row), change, p, *control)
    if swept:
        yield from headed("share removed", "AP, mean of the draws", "from", "to")
        yield line("whole", "", f"{baseline['AP']:.3f}", "", "")
    for name in swept:
        for dose in sorted({row["dose"] for row in rows if row["ablation"] == name}):
            draws = [row["AP"] for row in rows if row["ablation"] == name and row["dose"] == dose]
            mean, low, high = sum(draws) / len(draws), min(draws), max(draws)
            yield line(name, f"{dose:.0%}", f"{mean:.3f}", f"{low:.3f}", f"{high:.3f}")


def pictures(results: dd.Results) -> list[Any]:
    """Return curves and maps of a study; where it has neither, the variants that lose most."""
    drawn = results.figures("AP")
    return [one for one in drawn if one.name.startswith(PICTURES)] or [
        one for one in drawn if one.name == "worst"
    ]


def headed(*heads: str) -> Iterator[str]:
    """Yield the head of a table whose first column has none."""
    yield line("", *heads)
    yield "|---" * (len(heads) + 1) + "|"


def line(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def numbers(row: Any) -> list[str]:
    """Return the metrics of a row that are shown."""
    return [f"{row[name]:.3f}" for name in SHOWN]


def named(row: Any) -> str:
    """Return the name of what a variant removes: its block, and the number of the unit in it, if it has several."""
    (one,) = row["removed"]
    if row["unit"] in ("layer", "sublayer"):
        unit = ""
    elif len(one["units"]) == 1:
        unit = f" {row['unit']} {one['units'][0]}"
    else:
        unit = f", all {len(one['units'])} {row['unit']}s"
    return f"{one['path'].removeprefix('model.')}{unit}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("real-studies"))
    parser.add_argument("--only", nargs="*", default=list(STUDIES), choices=list(STUDIES), metavar="STUDY")
    parser.add_argument("--images", type=int, help="the first of the photographs (default: all)")
    parser.add_argument("--replicates", type=int, help="resamples (default: as many as p-values need)")
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes that measure"
    )
    parser.add_argument("--pictures", type=Path, help="write each study's pictures into this folder")
    options = parser.parse_args()
    if not data_path(FOLDER).exists():
        sys.exit(f"{data_path(FOLDER)} is not there: DISSECT_TEST_DATA names the folder of the test data.")
    data = photographs(data_path(FOLDER), options.images)
    detector_of = opened_once(data)
    for name in options.only:
        spec = {"name": name, "schema_version": 1, "ablations": STUDIES[name]}
        study = dd.run_study(
            spec, detector_of(name), data, options.out / name, batch_size=BATCH_SIZE, verify=VERIFIED
        )
        results = study.measure(replicates=options.replicates, jobs=options.jobs, bar=tqdm_bar)
        results.write()
        results.report()
        print(f"\n## {name}: {len(study.variants) - 1} variants, {len(data)} photographs\n")
        print("\n".join(tables(results)))
        for note in results.notes:
            print(f"\nnote: {note}")
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            for one in pictures(results):
                file = options.pictures / f"real-{name}-{one.name}.png"
                one.figure.savefig(file, dpi=110)
                print(f"\n{file}: {one.caption}")


if __name__ == "__main__":
    main()
