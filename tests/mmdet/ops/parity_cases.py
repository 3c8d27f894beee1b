"""Calls of mmcv's operators on seeded inputs, for two processes: one with a compiled mmcv, one with the stand-in.

Run as a script it writes what the mmcv found on the path gives: ``python parity_cases.py OUT [--detectors]``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Case = tuple[str, dict[str, Tensor]]

DETECTORS = (
    "DETR",
    "Deformable DETR",
    "Faster R-CNN",
    "Faster R-CNN, soft-NMS",
    "Faster R-CNN, DCN",
    "Faster R-CNN, DCNv2",
    "ATSS, DyHead",
    "Mask R-CNN",
    "RetinaNet",
    "RTMDet",
)


def boxes(generator: torch.Generator, count: int, size: float = 200.0, whole: bool = False) -> Tensor:
    centre = torch.rand(count, 2, generator=generator) * torch.tensor([1066.0, 800.0])
    extent = torch.rand(count, 2, generator=generator) * size
    found = torch.cat([centre - extent / 2, centre + extent / 2], 1)
    return found.round() if whole else found


def suppression(ext: Any) -> Iterator[Case]:
    g = torch.Generator().manual_seed(1)
    clusters = boxes(g, 40)[:, None] + 8 * torch.randn(40, 60, 4, generator=g)
    classes = torch.randint(80, (3000, 1), generator=g) * 1500.0
    special = boxes(g, 60)
    special[::7, 0] = float("nan")
    special[1::7, 2] = float("inf")
    special[2::7, 2:] = special[2::7, :2]  # empty
    special[3::7, 2:] -= 300  # negative
    groups = {
        "none": boxes(g, 0),
        "one": boxes(g, 1),
        "few": boxes(g, 100, 400),
        "many": boxes(g, 3000),
        "whole": boxes(g, 1500, 60, whole=True),
        "clusters": clusters.reshape(-1, 4),
        "classes": boxes(g, 3000) + classes,
        "same": boxes(g, 1).expand(700, 4).contiguous(),
        "special": special,
    }
    for name, group in groups.items():
        scores = torch.rand(len(group), generator=g)
        ties = (scores * 20).round() / 20
        for threshold in (0.0, 0.3, 0.5, 0.7, 1.0):
            for offset in (0, 1):
                for kind, used in (("", scores), ("-ties", ties)):
                    kept = ext.nms(group, used, iou_threshold=threshold, offset=offset)
                    yield f"nms/{name}{kind}-{threshold}-{offset}", {"kept": kept}
        small, few = group[:400].contiguous(), ties[:400].contiguous()
        if len(small):
            for threshold in (0.0, 0.4):
                matched = ext.nms_match(torch.cat([small, few[:, None]], 1), iou_threshold=threshold)
                flat = torch.tensor([index for one in matched for index in one])
                sizes = torch.tensor([len(one) for one in matched])
                yield f"nms_match/{name}-{threshold}", {"indices": flat, "sizes": sizes}
        for method in (0, 1, 2):
            for min_score in (0.001, 0.3):
                dets = torch.zeros(len(small), 5)
                indices = ext.softnms(
                    small,
                    few,
                    dets,
                    iou_threshold=0.3,
                    sigma=0.5,
                    min_score=min_score,
                    method=method,
                    offset=0,
                )
                yield (
                    f"softnms/{name}-{method}-{min_score}",
                    {"indices": indices, "dets": dets[: len(indices)].nan_to_num(-7.0)},
                )


def pooling(ext: Any) -> Iterator[Case]:
    g = torch.Generator().manual_seed(2)
    for dtype in (torch.float32, torch.float64):
        features = torch.randn(2, 6, 25, 34, generator=g).to(dtype)
        regions = torch.cat([torch.randint(2, (80, 1), generator=g).float(), boxes(g, 80, 600)], 1).to(dtype)
        regions[0, 3:] = regions[0, 1:3]  # empty
        for rois, name in ((regions, "some"), (regions[:0], "none")):
            for ratio in (0, 1, 2, 3):
                for mode in (0, 1):
                    for aligned in (True, False):
                        for size in ((7, 7), (1, 3)):
                            geometry: dict[str, Any] = {
                                "aligned_height": size[0],
                                "aligned_width": size[1],
                                "spatial_scale": 1 / 32,
                                "sampling_ratio": ratio,
                                "pool_mode": mode,
                                "aligned": aligned,
                            }
                            out = features.new_zeros(len(rois), 6, *size)
                            where = [features.new_zeros(out.shape if mode == 0 else 0) for _ in range(2)]
                            ext.roi_align_forward(features, rois, out, *where, **geometry)
                            upstream = torch.linspace(-1, 1, out.numel(), dtype=dtype).view_as(out)
                            gradient = torch.zeros_like(features)
                            if not (mode == 1 and len(rois) and ratio == 0 and aligned):
                                # The compiled gradient of an empty region divides by zero samples.
                                ext.roi_align_backward(upstream, rois, *where, gradient, **geometry)
                            yield (
                                f"roi_align/{name}-{dtype}-{ratio}-{mode}-{aligned}-{size}",
                                {"out": out, "y": where[0], "x": where[1], "gradient": gradient},
                            )


def convolution(ext: Any) -> Iterator[Case]:
    g = torch.Generator().manual_seed(3)
    settings = [(1, 1, 1, 1, 1), (2, 1, 1, 1, 1), (1, 2, 2, 1, 2), (1, 1, 1, 2, 4)]
    for dtype in (torch.float32, torch.float64):
        for stride, padding, dilation, groups, deform in settings:
            x = torch.randn(2, 8, 11, 13, generator=g).to(dtype)
            weight = torch.randn(6, 8 // groups, 3, 3, generator=g).to(dtype)
            bias = torch.randn(6, generator=g).to(dtype)
            size = [(n + 2 * padding - 2 * dilation - 1) // stride + 1 for n in (11, 13)]
            offset = (3 * torch.randn(2, deform * 18, *size, generator=g)).to(dtype)
            mask = torch.rand(2, deform * 9, *size, generator=g).to(dtype)
            upstream = torch.randn(2, 6, *size, generator=g).to(dtype)
            name = f"{dtype}-{stride}-{padding}-{dilation}-{groups}-{deform}"
            empty = x.new_empty(0)

            old: dict[str, Any] = {"kW": 3, "kH": 3, "dW": stride, "dH": stride, "padW": padding}
            old |= {"padH": padding, "dilationW": dilation, "dilationH": dilation, "group": groups}
            old |= {"deformable_group": deform, "im2col_step": 2}
            out = torch.empty_like(upstream)
            ext.deform_conv_forward(x, weight, offset, out, empty, empty, **old)
            gx, go, gw = (torch.zeros_like(t) for t in (x, offset, weight))
            ext.deform_conv_backward_input(x, offset, upstream.clone(), gx, go, weight, empty, **old)
            ext.deform_conv_backward_parameters(x, offset, upstream.clone(), gw, empty, empty, scale=1, **old)
            yield f"deform_conv/{name}", {"out": out, "input": gx, "offset": go, "weight": gw}

            new: dict[str, Any] = {"kernel_h": 3, "kernel_w": 3, "stride_h": stride, "stride_w": stride}
            new |= {"pad_h": padding, "pad_w": padding, "dilation_h": dilation, "dilation_w": dilation}
            new |= {"group": groups, "deformable_group": deform, "with_bias": True}
            out = torch.empty_like(upstream)
            ext.modulated_deform_conv_forward(x, weight, bias, empty, offset, mask, out, empty, **new)
            gx, gw, gb, go, gm = (torch.zeros_like(t) for t in (x, weight, bias, offset, mask))
            ones = x.new_ones(size)  # the compiled backward relies on the buffer of the forward
            ext.modulated_deform_conv_backward(
                x, weight, bias, ones, offset, mask, empty, gx, gw, gb, go, gm, upstream.clone(), **new
            )
            yield (
                f"modulated_deform_conv/{name}",
                {"out": out, "input": gx, "weight": gw, "bias": gb, "offset": go, "mask": gm},
            )
    for dtype in (
        torch.float32,
        torch.float64,
    ):  # as DyHead: offsets and masks of a finer level than the features
        finer = torch.randn(2, 27, 11, 13, generator=g).to(dtype)
        offset, mask = finer[:, :18], finer[:, 18:].sigmoid()
        x, weight = (torch.randn(*shape, generator=g).to(dtype) for shape in ((2, 8, 6, 7), (6, 8, 3, 3)))
        geometry: dict[str, Any] = {"kernel_h": 3, "kernel_w": 3, "pad_h": 1, "pad_w": 1, "dilation_h": 1}
        geometry |= {"dilation_w": 1, "group": 1, "deformable_group": 1, "with_bias": False}
        for stride, size in ((1, (6, 7)), (2, (3, 4))):
            geometry |= {"stride_h": stride, "stride_w": stride}
            empty, out = x.new_empty(0), x.new_empty(2, 6, *size)
            ext.modulated_deform_conv_forward(x, weight, empty, empty, offset, mask, out, empty, **geometry)
            yield f"modulated_deform_conv/finer-{dtype}-{stride}", {"out": out}


def run(ext: Any) -> dict[str, dict[str, Tensor]]:
    """Give every case's outputs, by the case's name."""
    return {name: values for kind in (suppression, pooling, convolution) for name, values in kind(ext)}


def run_detectors() -> dict[str, dict[str, Tensor]]:
    """Give whole detectors' detections on one image, by the architecture's name."""
    import zoo

    found = {}
    for name in DETECTORS:
        model, config = zoo.build_detector(zoo.ARCHITECTURES[name])
        result = zoo.detect(model, config, zoo.random_image(), zoo.SCALE).pred_instances
        found[name] = {"boxes": result.bboxes, "scores": result.scores, "labels": result.labels}
        if "masks" in result:
            found[name]["masks"] = torch.as_tensor(result.masks)
    return found


def main() -> None:
    from dissect_mmdet.ops import enable_mmcv_ops

    torch.set_num_threads(1)  # two children of a busy machine must not wait for each other
    backend = enable_mmcv_ops()
    from mmcv import _ext

    detectors = run_detectors() if "--detectors" in sys.argv else {}
    torch.save({"backend": backend, "operators": run(_ext), "detectors": detectors}, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
