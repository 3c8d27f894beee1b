"""The focal loss against its definition, and its gradient against autograd."""

from __future__ import annotations

import torch
from torch.nn import functional

from dissect_mmdet.ops import sigmoid_focal_loss, sigmoid_focal_loss_gradient

LOGITS = torch.tensor([[0.3, -1.2, 2.0], [5.0, -4.0, 0.0], [-0.5, 0.7, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([1, 3, 0])  # 3 is background


def test_loss_is_its_definition() -> None:
    truth = functional.one_hot(LABELS, 4)[:, :3].double()
    p = LOGITS.sigmoid()
    p_true = p * truth + (1 - p) * (1 - truth)
    alpha = 0.25 * truth + 0.75 * (1 - truth)
    entropy = functional.binary_cross_entropy_with_logits(LOGITS, truth, reduction="none")
    expected = alpha * (1 - p_true) ** 2 * entropy
    torch.testing.assert_close(sigmoid_focal_loss(LOGITS, LABELS), expected)
    weight = torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64)
    weighted = expected * torch.tensor([[3.0], [1.0], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(sigmoid_focal_loss(LOGITS, LABELS, weight), weighted)


def test_gradient_is_the_derivative() -> None:
    for gamma, alpha in ((2.0, 0.25), (1.5, 0.6)):
        logits = LOGITS.clone().requires_grad_()
        (derivative,) = torch.autograd.grad(
            sigmoid_focal_loss(logits, LABELS, None, gamma, alpha).sum(), logits
        )
        gradient = sigmoid_focal_loss_gradient(LOGITS, LABELS, None, gamma, alpha)
        torch.testing.assert_close(gradient, derivative)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[200.0, -200.0]])
    for label in (0, 1, 2):
        labels = torch.tensor([label])
        assert sigmoid_focal_loss(logits, labels).isfinite().all()
        assert sigmoid_focal_loss_gradient(logits, labels).isfinite().all()
    assert sigmoid_focal_loss(logits[:0], LABELS[:0]).shape == (0, 2)
