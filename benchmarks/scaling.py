"""Time `run` on a bundled detector against the number of variants and of images: both should be straight lines.

    python benchmarks/scaling.py [--threads 1] [--plot FILE]

Variants remove random neurons, so that there are as many different ones as wanted. Seconds are by the clock and hold
everything from the plan to the last detection; below each row, the fitted line and the largest distance from it.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from dissect_core.engine import Listener, RunOptions, run
from dissect_core.progress import no_bar
from dissect_core.spec import load_spec
from dissect_eval import GroundTruth
from dissect_mmdet import image_paths, open_mmdet
from dissect_mmdet.demo import demo_files, write_split

VARIANTS = (1, 10, 100, 1000)
IMAGES = (20, 40, 80, 160)
FIXED_VARIANTS, FIXED_IMAGES = 20, 20


def seconds(images: list[Path], n_variants: int, folder: Path) -> float:
    """Return the seconds of one study."""
    spec = load_spec(
        {
            "name": "scaling",
            "ablations": [
                {
                    "name": "neurons",
                    "target": {"unit": "neuron", "components": "ffn"},
                    "select": {"by": "fraction", "fractions": [0.3], "repeats": n_variants},
                }
            ],
        }
    )
    files = demo_files("detr")
    detector = open_mmdet(config=files.config, checkpoint=files.checkpoint)
    start = time.perf_counter()
    silent = Listener(bar=no_bar, say=lambda _text: None)
    study = run(spec, detector, images, folder, RunOptions(batch_size=10), listener=silent)
    spent = time.perf_counter() - start
    assert len(study.variants) == n_variants + 1
    return spent


def line(x: tuple[int, ...], y: list[float]) -> tuple[float, float, float]:
    """Return slope, offset and largest relative distance of the fitted line, every point weighed by its size."""
    weights = 1 / np.array(y)
    slope, offset = np.polyfit(x, y, 1, w=weights)
    return float(slope), float(offset), float(np.max(np.abs(np.polyval([slope, offset], x) / y - 1)))


def main() -> None:
    """Print both tables, and draw them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images, annotations = write_split(folder / "data", "test", max(IMAGES))
        paths = image_paths(images, GroundTruth.from_coco(annotations).file_names)
        seconds(paths[:10], 1, folder / "warm")
        by_variants = [seconds(paths[:FIXED_IMAGES], n, folder / f"v{n}") for n in VARIANTS]
        by_images = [seconds(paths[:n], FIXED_VARIANTS, folder / f"i{n}") for n in IMAGES]
    for what, x, y, fixed in (
        ("variants", VARIANTS, by_variants, f"{FIXED_IMAGES} images"),
        ("images", IMAGES, by_images, f"{FIXED_VARIANTS} variants"),
    ):
        slope, offset, far = line(x, y)
        print(f"{what} ({fixed}): " + ", ".join(f"{n:,}: {s:.2f} s" for n, s in zip(x, y, strict=True)))
        print(f"  {offset:.2f} s + {1000 * slope:.1f} ms each; farthest point {far:.0%} from the line")
    if options.plot is not None:
        draw(by_variants, by_images, options.plot)


def draw(by_variants: list[float], by_images: list[float], path: Path) -> None:
    """Draw two panels: time against variants, and against images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = zip(
        figure.subplots(1, 2),
        (VARIANTS, IMAGES),
        (by_variants, by_images),
        (f"variants ({FIXED_IMAGES} images)", f"images ({FIXED_VARIANTS} variants)"),
        strict=True,
    )
    for axes, x, y, label in panels:
        slope, offset, _ = line(x, y)
        ends = np.array([0, x[-1]])
        axes.plot(ends, offset + slope * ends, color="#0072B2", linewidth=1.5, label="fitted line")
        axes.plot(x, y, "o", color="#D55E00", markersize=6, label="measured")
        axes.set_xlabel(label)
        axes.set_ylabel("seconds")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(True, color="#DDDDDD", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
