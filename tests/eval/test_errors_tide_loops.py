"""`error_types` against a reference in plain loops and fractions, written from the definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dissect_eval import Detections, GroundTruth, coco_ap, error_types

TYPES = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")


def overlap(a, b, region=False):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return Fraction(shared, b[2] * b[3] if region else a[2] * a[3] + b[2] * b[3] - shared)


def best_of(detection, truths):
    """Highest IoU, and the last truth of that, in order."""
    best, where = Fraction(0), None
    for t in truths:
        iou = overlap(t["box"], detection["box"])
        if iou >= best and iou > 0:
            best, where = iou, t
    return best, where


def average_precision(detections, n_truth):
    if n_truth == 0:
        return 0.0 if detections else None
    hits, points = 0, []
    for seen, d in enumerate(detections, start=1):
        hits += d["hit"]
        points.append((hits / n_truth, hits / seen))
    return sum(max([p for r, p in points if r >= x], default=0) for x in np.linspace(0, 1, 101)) / 101


def reference(truths, detections, categories, fg=Fraction(1, 2), bg=Fraction(1, 10)):
    truths = [{"image": i, "cat": c, "box": box, "region": region} for i, c, box, region in sorted(truths)]
    detections = [{"image": i, "cat": c, "box": b, "score": s, "hit": False} for i, c, b, s in detections]
    detections.sort(key=lambda d: (-d["score"], d["cat"], d["image"], corners(d["box"])))
    truths.sort(key=lambda t: (t["image"], t["cat"], corners(t["box"])))
    real = [t for t in truths if not t["region"]]
    counts = dict.fromkeys(TYPES, 0)
    for t in real:
        t["found"], t["claimed"] = False, False
    for d in detections:
        here = [t for t in real if t["image"] == d["image"]]
        free = [t for t in here if t["cat"] == d["cat"] and not t["found"]]
        iou, t = best_of(d, free)
        d["error"], d["excused"], d["of"] = None, False, None
        if iou >= fg:
            d["hit"] = t["found"] = True
        else:
            regions = [t for t in truths if t["region"] and (t["image"], t["cat"]) == (d["image"], d["cat"])]
            d["excused"] = any(overlap(t["box"], d["box"], region=True) >= fg for t in regions)
    for d in detections:
        if d["hit"] or d["excused"]:
            continue
        here = [t for t in real if t["image"] == d["image"]]
        own_iou, own = best_of(d, [t for t in here if t["cat"] == d["cat"]])
        other_iou, other = best_of(d, [t for t in here if t["cat"] != d["cat"]])
        if bg <= own_iou < fg:
            d["error"], d["of"] = "Loc", own
        elif other_iou >= fg:
            d["error"], d["of"] = "Cls", other
        elif own_iou >= fg:
            d["error"] = "Dupe"
        else:
            d["error"] = "Both" if other_iou >= bg else "Bkg"
        counts[d["error"]] += 1
        d["fixed"] = False
        if d["of"] is not None and not d["of"]["found"] and not d["of"]["claimed"]:
            d["fixed"] = d["of"]["claimed"] = True
    missed = [t for t in real if not t["found"] and not t["claimed"]]
    counts["Miss"] = len(missed)

    def mean_ap(fix=None):
        after = []
        for d in detections:
            if d["excused"] or (fix == "FalsePos" and not d["hit"]):
                continue
            if d["error"] is None or d["error"] != fix:
                after.append(d)
            elif d["fixed"]:
                after.append({**d, "hit": True, "cat": d["of"]["cat"]})
        left = [t for t in real if not (fix == "FalseNeg" and not t["found"])]
        if fix == "Miss":
            left = [t for t in left if t["found"] or t["claimed"]]
        aps = []
        for category in categories:
            if any(t["cat"] == category for t in real):
                n_truth = sum(t["cat"] == category for t in left)
                aps.append(average_precision([d for d in after if d["cat"] == category], n_truth))
        aps = [ap for ap in aps if ap is not None]
        return sum(aps) / len(aps) if aps else float("nan")

    ap = mean_ap()
    delta = {fix: mean_ap(fix) - ap for fix in (*TYPES, "FalsePos", "FalseNeg")}
    if not any(d["hit"] for d in detections):  # a change is one only where a fix makes the first hit
        delta = {fix: change if change > 0 else float("nan") for fix, change in delta.items()}
    return counts, ap, delta


def corners(box):
    x, y, w, h = box
    return x, y, x + w, y + h


side = st.sampled_from([2, 5, 8, 10, 16])
box = st.tuples(st.sampled_from([0, 1, 4, 10]), st.sampled_from([0, 2, 8]), side, side)
place = (st.integers(1, 2), st.integers(1, 3), box)
truth_rows = st.lists(st.tuples(*place, st.sampled_from([False] * 5 + [True])), max_size=8)
found_rows = st.lists(st.tuples(*place, st.sampled_from([0.2, 0.5, 0.7, 0.9])), max_size=12)


def build(coco, truths, detections):
    rows = {1: [], 2: []}
    for image, category, xywh, region in truths:
        rows[image].append((category, *xywh, {"iscrowd": int(region)}))
    found = [
        {"image_id": image, "category_id": category, "bbox": list(xywh), "score": score}
        for image, category, xywh, score in detections
    ]
    names = {1: "cat", 2: "dog", 3: "cow"}
    truth = GroundTruth.from_coco(coco(rows, categories=names))
    return truth, Detections.from_results(found, truth)


@settings(max_examples=300, deadline=None)
@given(truth_rows, found_rows, st.randoms(use_true_random=False))
def test_equals_the_reference(coco, truths, detections, random):
    truth, found = build(coco, truths, detections)
    result = error_types(truth, found)
    counts, ap, delta = reference(truths, detections, (1, 2, 3))
    assert result.counts == counts
    assert result.ap == pytest.approx(ap, abs=1e-9, nan_ok=True)
    assert dict(result.delta_ap) == {k: pytest.approx(v, abs=1e-9, nan_ok=True) for k, v in delta.items()}
    assert pytest.approx(coco_ap(truth, found).AP50, abs=1e-9, nan_ok=True) == result.ap
    random.shuffle(truths)
    random.shuffle(detections)
    assert repr(error_types(*build(coco, truths, detections))) == repr(result)
