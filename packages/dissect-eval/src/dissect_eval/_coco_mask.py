"""pycocotools' functions for masks, which are an extra."""

from __future__ import annotations

from typing import Any

from .errors import MissingExtraError

__all__ = ["mask_functions"]


def mask_functions() -> Any:
    """Return the module ``pycocotools.mask``.

    Raises
    ------
    MissingExtraError
        If pycocotools is not installed.
    """
    try:
        from pycocotools import mask
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            'Masks need pycocotools, which is not installed. Run `pip install "dissect-eval[coco]"`, or score boxes.',
            name="pycocotools",
        ) from error
    return mask
