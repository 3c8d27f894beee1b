"""Time whole detectors at 800 × 1066 with the torch operators and with a compiled mmcv, on the same input.

    python benchmarks/detectors.py [--threads 1] [--repeats 2] [--compiled FOLDER_OR_WHEEL] [--only NAME ...]

Weights are random and score thresholds zero, so non-maximum suppression has more to do than with trained ones.
Both sides run in child processes; times are milliseconds of processor time of the best repeat.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from ops import WHEELS, best, compiled_folder, in_child, print_table

DEFAULT = ["DETR", "Deformable DETR", "Faster R-CNN", "RetinaNet", "RTMDet"]


def measure(names: list[str], repeats: int, accelerate: bool) -> dict[str, object]:
    """Return milliseconds per image of each detector, and the number of its detections."""
    import zoo
    from dissect_mmdet.ops import accelerate_attention, enable_mmcv_ops

    found: dict[str, object] = {"backend": enable_mmcv_ops()}
    if accelerate:
        accelerate_attention()
    logging.disable(logging.WARNING)
    image = zoo.random_image(800, 1060)
    for name in names:
        model, config = zoo.build_detector(zoo.ARCHITECTURES[name], whole=True)
        found[name] = best(lambda: zoo.detect(model, config, image, (1066, 800)), repeats)  # noqa: B023
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--compiled", type=Path, help="folder or wheel with a compiled mmcv")
    parser.add_argument("--only", nargs="*", default=DEFAULT, help="architectures of tests/zoo.py")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--accelerate", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        print(json.dumps(measure(options.only, options.repeats, options.accelerate)))
        return

    child = ["--child", "--threads", str(options.threads), "--repeats", str(options.repeats), "--only"]
    script = Path(__file__)
    with tempfile.TemporaryDirectory() as temporary:
        folder = compiled_folder(options.compiled, Path(temporary))
        if folder is None:
            print(f"No compiled mmcv: give --compiled, or put a wheel into {WHEELS.parent.name}/wheels.")
        theirs = in_child(script, folder, [*child, *options.only]) if folder else {}
    ours = in_child(script, None, [*child, *options.only])
    if ours.pop("backend") == "compiled":
        sys.exit(
            "A compiled mmcv is installed here, so the torch operators are not in use: nothing to compare."
        )
    theirs.pop("backend", None)
    print(f"threads: {options.threads}, best of {options.repeats}, milliseconds of processor time")
    print_table("detector at 800 × 1066", ours, theirs)
    deformable = [name for name in options.only if "Deformable" in name or name in ("DINO", "DDQ")]
    if deformable:
        faster = in_child(script, None, ["--accelerate", *child, *deformable])
        faster.pop("backend")
        print_table("the same with accelerate_attention()", faster, theirs)


if __name__ == "__main__":
    main()
