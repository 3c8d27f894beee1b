"""Gates of attention heads: factors of 1 whose gradients say how much the loss depends on each head."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import InterventionError
from ._sites import TapPoint


@dataclass(eq=False)
class Gates:
    """Gates of the heads of a block, one for each image and head, and the sum of their gradients.

    Attributes
    ----------
    point : TapPoint
        Where the heads' output can be read, before the output projection.
    total : ndarray of float64, shape (n_heads,)
        Sum over images of the gradients' absolute values.
    n_images : int
        Number of images in this sum.
    current : torch.Tensor of shape (images, heads), or None
        Gates of the current pass; None until the block is met.
    """

    point: TapPoint
    total: NDArray[np.float64]
    n_images: int = 0
    current: Tensor | None = None

    def apply(self, heads: Tensor) -> Tensor:
        """Multiply the heads' output, whose features are last, by gates of 1."""
        axis, width = self.point.image_axis(heads), self.point.width
        n_images, n_heads = 1 if axis is None else heads.shape[axis], len(self.total)
        if self.current is None:
            self.current = torch.ones(
                n_images, n_heads, dtype=heads.dtype, device=heads.device, requires_grad=True
            )
        elif len(self.current) != n_images:
            raise InterventionError(
                f"{self.point.site} must meet the same images each time in a pass, got {len(self.current)} and "
                f"{n_images} of them. Let `loss` run the model once on one batch."
            )
        shape = [n_images if i == axis else 1 for i in range(heads.ndim - 1)]
        return heads * self.current.repeat_interleave(width, dim=1).view(*shape, n_heads * width)

    def add(self, gradient: Tensor, n_images: int | None) -> None:
        """Add the gradient of a batch's loss, shape (images, heads).

        Windowed attention has a row for each window, image after image: with the number of images known, the
        windows of an image share its gate, whose gradient is the sum of theirs.
        """
        if n_images and len(gradient) % n_images == 0:
            gradient = gradient.view(n_images, -1, len(self.total)).sum(1)
        self.total += gradient.abs().sum(0).numpy()
        self.n_images += len(gradient)

    def importance(self) -> NDArray[np.float64]:
        """Return the mean over images, divided by its L2 norm over the block's heads."""
        mean = self.total / self.n_images
        norm = float(np.linalg.norm(mean))
        return mean / norm if norm else mean


@contextmanager
def counted_images(model: nn.Module) -> Iterator[Callable[[], int | None]]:
    """Yield a function that returns how many images the model was given: by its first argument with four dimensions.

    It returns None where there is no such argument.
    """
    seen: list[int] = []

    def count(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = [
            value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.ndim == 4
        ]
        seen[:] = [len(given[0])] if given else []

    handle = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield lambda: seen[0] if seen else None
    finally:
        handle.remove()
