"""Time the torch operators beside those of a compiled mmcv, on the same inputs and threads.

    python benchmarks/ops.py [--threads 1] [--repeats 5] [--compiled FOLDER_OR_WHEEL]

The compiled mmcv runs in a child process with its folder first on the path. Times are processor time of the best
repeat, in milliseconds: on a busy machine that says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

DATA = Path(os.environ.get("DISSECT_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared")
WHEELS = DATA / "wheels"


def best(function: Callable[[], object], repeats: int) -> float:
    """Return milliseconds of processor time of the fastest of a few runs, after one to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def random_boxes(generator: torch.Generator, count: int, size: float) -> Tensor:
    """Draw boxes of up to `size` pixels all over an image of 800 × 1066."""
    centre = torch.rand(count, 2, generator=generator) * torch.tensor([1066.0, 800.0])
    extent = 4 + torch.rand(count, 2, generator=generator) * size
    return torch.cat([centre - extent / 2, centre + extent / 2], 1)


def suppression(ext: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    g = torch.Generator().manual_seed(0)
    large, small = random_boxes(g, 10_000, 200), random_boxes(g, 10_000, 30)
    clusters = (random_boxes(g, 50, 200)[:, None] + 6 * torch.randn(50, 200, 4, generator=g)).view(-1, 4)
    classes = torch.randint(80, (10_000, 1), generator=g) * 1500.0
    scores = torch.rand(10_000, generator=g)
    cases = {
        "nms, 10,000 boxes": large,
        "nms, 10,000 small boxes": small,
        "nms, 10,000 boxes in 50 clusters": clusters,
        "nms, 10,000 boxes of 80 classes": large + classes,
        "nms, 1,000 boxes": large[:1000],
        "nms, 100 boxes": large[:100],
    }
    for name, boxes in cases.items():
        used = scores[: len(boxes)]
        yield name, lambda b=boxes, s=used: ext.nms(b, s, iou_threshold=0.5, offset=0)  # type: ignore[misc]
    few = large[:1000].contiguous()
    dets = torch.cat([few, scores[:1000, None]], 1)
    soft = {"iou_threshold": 0.3, "sigma": 0.5, "min_score": 1e-3, "method": 1, "offset": 0}
    yield "nms_match, 1,000 boxes", lambda: ext.nms_match(dets, iou_threshold=0.5)
    yield "softnms, 1,000 boxes", lambda: ext.softnms(few, scores[:1000], torch.empty(1000, 5), **soft)


def pooling(ext: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    g = torch.Generator().manual_seed(1)
    levels = ((4, 200, 268, 600, 100.0), (8, 100, 134, 250, 200.0), (32, 25, 34, 50, 700.0))
    for mode, kind in ((1, "avg"), (0, "max")):
        for ratio in (0, 2):
            calls = []
            for stride, height, width, count, size in levels:
                features = torch.randn(1, 256, height, width, generator=g)
                rois = torch.cat([torch.zeros(count, 1), random_boxes(g, count, size)], 1)
                out = torch.zeros(count, 256, 7, 7)
                where = [torch.zeros_like(out), torch.zeros_like(out)]
                geometry = {"aligned_height": 7, "aligned_width": 7, "spatial_scale": 1 / stride}
                geometry |= {"sampling_ratio": ratio, "pool_mode": mode, "aligned": True}
                calls.append(((features, rois, out, *where), geometry))
            name = f"roi_align {kind}, 900 regions, ratio {ratio}"
            yield name, lambda c=calls: [ext.roi_align_forward(*a, **k) for a, k in c]  # type: ignore[misc]


def convolution(ext: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    g = torch.Generator().manual_seed(2)
    x, weight = torch.randn(1, 256, 50, 67, generator=g), torch.randn(256, 256, 3, 3, generator=g)
    offset, mask = torch.randn(1, 18, 50, 67, generator=g), torch.rand(1, 9, 50, 67, generator=g)
    out, empty = torch.empty(1, 256, 50, 67), torch.empty(0)
    old = {"kW": 3, "kH": 3, "dW": 1, "dH": 1, "padW": 1, "padH": 1, "dilationW": 1, "dilationH": 1}
    old |= {"group": 1, "deformable_group": 1, "im2col_step": 1}
    yield (
        "deform_conv, 256 × 50 × 67",
        lambda: ext.deform_conv_forward(x, weight, offset, out, empty, empty, **old),
    )
    new = {"kernel_h": 3, "kernel_w": 3, "stride_h": 1, "stride_w": 1, "pad_h": 1, "pad_w": 1}
    new |= {"dilation_h": 1, "dilation_w": 1, "group": 1, "deformable_group": 1, "with_bias": False}
    yield (
        "modulated_deform_conv, 256 × 50 × 67",
        lambda: ext.modulated_deform_conv_forward(x, weight, empty, empty, offset, mask, out, empty, **new),
    )


def attention() -> tuple[Callable[[], object], Callable[[], object]]:
    """Return our version and mmcv's own in torch, for an encoder at 800 × 1066: mmcv has no CPU operator for it."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    from dissect_mmdet.ops import ms_deform_attn

    shapes = torch.tensor([[100, 134], [50, 67], [25, 34], [13, 17]])
    cells = shapes.prod(1)
    keys = int(cells.sum())
    g = torch.Generator().manual_seed(3)
    value = torch.randn(1, keys, 8, 32, generator=g)
    places, weights = torch.rand(1, keys, 8, 4, 4, 2, generator=g), torch.rand(1, keys, 8, 4, 4, generator=g)
    return (
        lambda: ms_deform_attn(value, shapes, cells.cumsum(0) - cells, places, weights),
        lambda: multi_scale_deformable_attn_pytorch(value, shapes, places, weights),
    )


def loop_nms(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Run the obvious version: a Python loop over kept boxes."""
    kept = []
    order = scores.sort(0, descending=True)[1]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    while len(order):
        first, order = order[0], order[1:]
        kept.append(int(first))
        low = torch.maximum(boxes[first, :2], boxes[order, :2])
        high = torch.minimum(boxes[first, 2:], boxes[order, 2:])
        inter = (high - low).clamp(min=0).prod(1)
        order = order[~(inter / (areas[first] + areas[order] - inter) > threshold)]
    return kept


def measure(repeats: int) -> dict[str, float]:
    """Return milliseconds of each case with the operators that are enabled."""
    from dissect_mmdet.ops import enable_mmcv_ops

    enable_mmcv_ops()
    from mmcv import _ext

    kinds = (suppression, pooling, convolution)
    return {name: best(call, repeats) for kind in kinds for name, call in kind(_ext)}


def compiled_folder(given: Path | None, into: Path) -> Path | None:
    """Return a folder with a compiled mmcv, installed from a wheel if need be; None if there is none."""
    source = given or next(iter(sorted(WHEELS.glob("mmcv-*.whl"))), None)
    if source is None or source.is_dir():
        return source
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(into), str(source)], check=True)
    return into


def in_child(script: Path, folder: Path | None, arguments: list[str]) -> dict[str, Any]:
    """Run a benchmark script with a folder first on the path and read the JSON it prints last."""
    path = os.pathsep.join([*([str(folder)] if folder else []), *(entry for entry in sys.path if entry)])
    command = [sys.executable, "-W", "ignore", str(script), *arguments]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_table(title: str, ours: dict[str, float], theirs: dict[str, float]) -> None:
    """Print two columns of times with their ratio."""
    print(f"\n{title:45} {'torch':>10} {'compiled':>10} {'ratio':>7}")
    for name, value in ours.items():
        other = theirs.get(name)
        right = f"{other:10.2f} {value / other:7.2f}" if other else f"{'absent':>10} {'':>7}"
        print(f"{name:45} {value:10.2f} {right}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compiled", type=Path, help="folder or wheel with a compiled mmcv")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        print(json.dumps(measure(options.repeats)))
        return

    from dissect_mmdet.ops import enable_mmcv_ops, nms

    child = ["--child", "--threads", str(options.threads), "--repeats", str(options.repeats)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = compiled_folder(options.compiled, Path(temporary))
        if folder is None:
            print(f"No compiled mmcv: give --compiled, or put a wheel into {WHEELS.parent.name}/wheels.")
        theirs = in_child(Path(__file__), folder, child) if folder else {}
    if enable_mmcv_ops() == "compiled":
        sys.exit(
            "A compiled mmcv is installed here, so the torch operators are not in use: nothing to compare."
        )
    print(f"threads: {options.threads}, best of {options.repeats}, milliseconds of processor time")
    print_table("operator", measure(options.repeats), theirs)

    fast, slow = (best(call, options.repeats) for call in attention())
    print(f"\n{'against torch code':45} {'ours':>10} {'other':>10} {'ratio':>7}")
    print(f"{'ms_deform_attn, encoder, and mmcv in torch':45} {fast:10.2f} {slow:10.2f} {fast / slow:7.2f}")
    g = torch.Generator().manual_seed(0)
    boxes, scores = random_boxes(g, 10_000, 200), torch.rand(10_000, generator=g)
    assert nms(boxes, scores, 0.5).tolist() == loop_nms(boxes, scores, 0.5)
    fast, slow = (
        best(lambda: nms(boxes, scores, 0.5), options.repeats),
        best(lambda: loop_nms(boxes, scores, 0.5), 1),
    )
    print(f"{'nms, 10,000 boxes, and a Python loop':45} {fast:10.2f} {slow:10.2f} {fast / slow:7.2f}")


if __name__ == "__main__":
    main()
