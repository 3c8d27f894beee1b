"""Train the small DETR on fresh scenes: ``python examples/own_model/train.py`` (a quarter of an hour on one core)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from data import CLASS_NAMES, IMAGE_SIZE, TEST, TRAIN, Scenes, make_scenes, truth_of
from model import WEIGHTS, SmallDETR, corners, detect
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from tqdm import tqdm

from dissect_eval import Detections, coco_ap

NO_OBJECT_WEIGHT = 0.1


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Compute the generalised IoU of boxes as corners (arXiv:1902.09630), shapes broadcast."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - overlap
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    return overlap / union - (hull - union) / hull


def set_loss(predictions: list[tuple[Tensor, Tensor]], scenes: Scenes) -> Tensor:
    """Compute DETR's loss: each true object is matched with one query, in every decoder layer."""
    true_boxes = [torch.from_numpy(b).float() / IMAGE_SIZE for b in scenes.boxes]
    true_labels = [torch.from_numpy(c) for c in scenes.labels]
    total = torch.zeros(())
    for logits, boxes in predictions:
        owner, query, boxes_true, labels = [], [], [], []
        for i, (b, c) in enumerate(zip(true_boxes, true_labels, strict=True)):
            q, t = _matched(logits[i].detach(), boxes[i].detach(), b, c)
            owner.append(torch.full_like(q, i))
            query.append(q)
            boxes_true.append(b[t])
            labels.append(c[t])
        where = torch.cat(owner), torch.cat(query)
        n_objects, truth = len(where[0]), torch.cat(boxes_true)
        found = corners(boxes[where])
        classes = torch.full(logits.shape[:2], len(CLASS_NAMES))
        classes[where] = torch.cat(labels)
        weights = torch.tensor([1.0] * len(CLASS_NAMES) + [NO_OBJECT_WEIGHT])
        total = total + F.cross_entropy(logits.flatten(0, 1), classes.flatten(), weights)
        total = total + 5 * (boxes[where] - _centres(truth)).abs().sum() / n_objects
        total = total + 2 * (1 - giou(found, truth)).sum() / n_objects
    return total


def _centres(boxes: Tensor) -> Tensor:
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=-1)


def _matched(logits: Tensor, boxes: Tensor, true_boxes: Tensor, true_labels: Tensor) -> tuple[Tensor, Tensor]:
    cost = -logits.softmax(-1)[:, true_labels]
    cost = cost + 5 * torch.cdist(boxes, _centres(true_boxes), p=1)
    cost = cost - 2 * giou(corners(boxes)[:, None], true_boxes[None])
    query, truth = linear_sum_assignment(cost.numpy())
    return torch.from_numpy(query), torch.from_numpy(truth)


def train(model: SmallDETR, steps: int, batch_size: int = 32, rate: float = 1e-3) -> Iterator[float]:
    """Train in place, each scene once; yield the loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(  # a short rise, then half a cosine to 0
        optimizer, lambda step: min(1, (step + 1) / 200) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    model.train()
    for step in range(steps):
        scenes = make_scenes(batch_size, (TRAIN, step))
        loss = set_loss(model(scenes.images), scenes)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield loss.item()


def main() -> None:
    """Train, measure on the test split, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = SmallDETR()
    progress = tqdm(train(model, args.steps, rate=args.rate), total=args.steps)
    recent: list[float] = []
    for loss in progress:
        recent = [*recent[-99:], loss]
        progress.set_postfix(loss=f"{np.mean(recent):.2f}", refresh=False)
    scenes = make_scenes(500, TEST)
    found = Detections.from_arrays(detect(model.eval(), scenes.images), range(500), range(len(CLASS_NAMES)))
    ap = coco_ap(truth_of(scenes), found)
    print(f"500 test scenes: AP {ap.AP:.3f}, AP50 {ap.AP50:.3f}")
    torch.save(model.state_dict(), args.out)


if __name__ == "__main__":
    main()
