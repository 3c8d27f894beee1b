"""What does your own detector rest on? ``python examples/own_model/study.py``, a minute on one CPU core.

The detector of `model.py` knows nothing of Deep Dissect. Three calls connect them: `anatomy_of` reads what it is made
of, `ablated` removes a part for the length of a block, and `Detections.from_arrays` takes what it detects.
"""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path

from data import CLASS_NAMES, TEST, make_scenes, truth_of
from model import detect, load_model
from picture import draw
from tqdm import tqdm

from dissect_core import Anatomy
from dissect_core.plan import Plan, Variant, plan
from dissect_core.spec import load_spec
from dissect_core.torch import VariantReport, ablated, anatomy_of
from dissect_eval import Detections, VariantTable, evaluate_variants

SPEC = Path(__file__).with_name("study.yaml")


def run_study(
    n_images: int = 200, spec: Path = SPEC, n_replicates: int = 3000
) -> tuple[Plan, dict[str, VariantReport], VariantTable]:
    """Run every variant of the study; return them, what each changed, and the numbers."""
    model = load_model()
    anatomy = anatomy_of(model)
    print_anatomy(anatomy)
    variants = plan(load_spec(spec), anatomy)
    scenes = make_scenes(n_images, TEST)
    reports: dict[str, VariantReport] = {}
    progress = tqdm(total=len(variants), unit="variant", leave=False)

    def run(variant: Variant) -> Detections:
        with ablated(model, variant) as report:
            found = detect(model, scenes.images)
        reports[variant.id] = report
        progress.update()
        return Detections.from_arrays(found, range(n_images), range(len(CLASS_NAMES)))

    with progress:
        table = evaluate_variants(  # asks for the detections of one variant after the other
            truth_of(scenes),
            {variant.id: partial(run, variant) for variant in variants},
            metrics=["AP50"],
            n_replicates=n_replicates,
        )
    return variants, reports, table


def print_anatomy(anatomy: Anatomy) -> None:
    """Say what was recognised: each role with its blocks, and the units there are."""
    print(f"{'role':20} blocks")
    for role in anatomy.roles:
        if "." in role or role in ("backbone", "query_embedding", "head"):
            print(f"{role:20} {', '.join(block.path for block in anatomy.select_blocks(role))}")
    units = Counter({"head": sum(layout.n_heads for layout in anatomy.attention.values())})
    for group in anatomy.groups:
        units[group.unit] += group.n_units
    print("units:", ", ".join(f"{n} of kind {unit}" for unit, n in units.items()), end="\n\n")


def label_of(variant: Variant) -> str:
    """Return a label that says what a variant removes."""
    if variant.kind == "baseline":
        return "whole model"
    if variant.n_units > 1 or variant.pool.unit == "query":
        return f"{variant.dose:.0%}, draw {variant.repeat}"
    ((path, units),) = variant.removed().items()
    return path if variant.space == "structure" else f"{path}, {variant.pool.unit} {units[0]}"


def print_table(variants: Plan, reports: dict[str, VariantReport], table: VariantTable) -> None:
    """Print a row for each variant, with the paired interval of the change."""
    rows = {row.variant: row for row in table.select(metric="AP50")}
    ablation = ""
    for variant in variants:
        if variant.ablation != ablation:
            ablation = variant.ablation
            print(f"\n{ablation:40} {'values':>7} {'AP50':>6} {'change':>7}  95 % interval")
        row, report = rows[variant.id], reports[variant.id]
        note = "significant" if row.p_adjusted < 0.05 else ""
        if report.is_no_op and variant.kind != "baseline":
            note = "changed nothing: says nothing about robustness"
        print(
            f"  {label_of(variant):38} {report.changed:7,} {row.value:6.3f} {row.difference:+7.3f}  "
            f"[{row.low:+.3f}, {row.high:+.3f}] {note}".rstrip()
        )


def main() -> None:
    """Run the study, print its table, and write it with a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("own_model_results"), help="folder for the results")
    parser.add_argument("--images", type=int, default=200, help="how many test images")
    parser.add_argument("--replicates", type=int, default=3000, help="resamples behind the intervals")
    args = parser.parse_args()
    variants, reports, table = run_study(args.images, n_replicates=args.replicates)
    print_table(variants, reports, table)
    args.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out / "results.csv")
    labels = {variant.id: label_of(variant) for variant in variants}
    draw(variants, labels, table).savefig(args.out / "results.png", dpi=130)
    print(f"\nWritten: {args.out / 'results.csv'}, {args.out / 'results.png'}")


if __name__ == "__main__":
    main()
