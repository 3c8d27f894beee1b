"""Sigmoid focal loss and its gradient, element by element."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float32).tiny  # smallest argument of a logarithm, as in mmcv


def sigmoid_focal_loss(
    logits: Tensor, labels: Tensor, weight: Tensor | None = None, gamma: float = 2.0, alpha: float = 0.25
) -> Tensor:
    """Compute the focal loss of each class score, without reduction.

    Parameters
    ----------
    logits : Tensor, shape (N, C)
        Scores before the sigmoid.
    labels : int64 Tensor, shape (N,)
        True class; any value outside [0, C) is background.
    weight : Tensor, shape (C,), optional
        Factor on all losses of a sample, by its true class; background has factor 1.
    gamma : float
        Exponent: the larger, the less easy samples count.
    alpha : float
        Weight of positives; negatives have ``1 - alpha``.

    Returns
    -------
    Tensor, shape (N, C)
        Losses, in the dtype of `logits`.

    References
    ----------
    Lin et al., ICCV 2017, arXiv:1708.02002; mmcv 2.1.0, ``sigmoid_focal_loss_cuda_kernel.cuh``.

    Examples
    --------
    >>> sigmoid_focal_loss(torch.zeros(1, 2), torch.tensor([0]))
    tensor([[0.0433, 0.1300]])
    """
    positive, share = _shares(logits, labels, weight, alpha)
    p = logits.sigmoid()
    loss_positive = (1 - p).pow(gamma) * p.clamp(min=_TINY).log()
    loss_negative = p.pow(gamma) * (1 - p).clamp(min=_TINY).log()
    return -share * torch.where(positive, loss_positive, loss_negative)


def sigmoid_focal_loss_gradient(
    logits: Tensor, labels: Tensor, weight: Tensor | None = None, gamma: float = 2.0, alpha: float = 0.25
) -> Tensor:
    """Differentiate each element of `sigmoid_focal_loss` with respect to its own logit.

    Parameters are those of `sigmoid_focal_loss`.

    Returns
    -------
    Tensor, shape (N, C)
        In the dtype of `logits`.

    Examples
    --------
    >>> sigmoid_focal_loss_gradient(torch.zeros(1, 2), torch.tensor([0]))
    tensor([[-0.0746,  0.2237]])
    """
    positive, share = _shares(logits, labels, weight, alpha)
    p = logits.sigmoid()
    slope_positive = (1 - p).pow(gamma) * (1 - p - gamma * p * p.clamp(min=_TINY).log())
    slope_negative = p.pow(gamma) * (gamma * (1 - p) * (1 - p).clamp(min=_TINY).log() - p)
    return -share * torch.where(positive, slope_positive, slope_negative)


def _shares(logits: Tensor, labels: Tensor, weight: Tensor | None, alpha: float) -> tuple[Tensor, Tensor]:
    """Return which elements are positives, and the weight of each element."""
    classes = logits.shape[1]
    positive = labels[:, None] == torch.arange(classes, device=logits.device)
    share = torch.where(positive, alpha, 1 - alpha).to(logits.dtype)
    if weight is not None and weight.numel():
        known = (labels >= 0) & (labels < classes)
        share = share * torch.where(known, weight[labels.clamp(0, classes - 1)], 1)[:, None]
    return positive, share
