"""Masks as compressed run lengths: from arrays, polygons and run lengths, through pycocotools' functions.

Those read past the end of what is malformed, so that everything is checked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._coco_mask import mask_functions
from .._text import quoted
from ..errors import EvalError
from ._fields import array_field

__all__ = ["Rle", "encode_all", "encode_stack"]

Rle: TypeAlias = dict[str, Any]
"""``{"size": [height, width], "counts": bytes}``, as pycocotools writes it."""
MOST_PIXELS = 2**31 - 1
LEAST_COORDINATES = 6
PROBABLE = 0.5
"""A pixel with a larger probability is in a mask, as torchvision's references have it."""
MOST_CHARACTERS = 7
"""Most characters of one run length: each holds five bits."""
FORMS = (
    "an array of booleans (height, width), {'size': [height, width], 'counts': …}, or polygons [[x, y, …], …]"
)

Describe: TypeAlias = Callable[[int], str]


def encode_all(
    masks: Sequence[Any], image_sizes: NDArray[np.float64], describe: Describe, error: type[EvalError]
) -> list[Rle]:
    """Return masks as compressed run lengths; whatever cannot be right is refused by name."""
    found: list[Rle] = []
    for i, mask in enumerate(masks):
        try:
            found.append(_encode(mask, image_sizes[i]))
        except _WrongMaskError as exc:  # noqa: PERF203
            raise error(f"{describe(i)}: {exc}") from None
    _require_whole(found, describe, error)
    return found


class _WrongMaskError(EvalError):
    """What is wrong with a mask."""


def encode_stack(masks: Any, n: int, where: str, error: type[EvalError]) -> list[Any]:
    """Return the masks of an image as compressed run lengths, from a stack of them or a list.

    Parameters
    ----------
    masks : array-like of shape (n, H, W) or (n, 1, H, W), or sequence
        Booleans, 0 and 1, or probabilities, of which more than .5 is in the mask; or one mask a box in any of COCO's
        forms.
    n : int
        Number of boxes.
    where : str
        Names the image in a message.
    error : type of EvalError
        Raised if there are none, or not one a box.
    """
    if masks is None:
        raise error(
            f"{where}: masks must be given where `masks` is True, got none. Is it a model of boxes alone?"
        )
    if isinstance(masks, (list, tuple)):
        found = list(masks)
    else:
        array = array_field({"masks": masks}, "masks", where, error)
        array = array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array
        if array.ndim != 3 and array.size:
            raise error(f"{where}: masks must have shape (n, height, width), got {array.shape}.")
        array = array > PROBABLE if array.dtype.kind == "f" else array
        coco_mask = mask_functions()
        stack = np.asfortranarray(np.moveaxis(array, 0, -1) != 0, dtype=np.uint8) if array.size else None
        found = [] if stack is None else coco_mask.encode(stack)
    if len(found) != n:
        raise error(f"{where}: there must be one mask per box, {n}, got {len(found)}.")
    return found


def _encode(mask: Any, image_size: NDArray[np.float64]) -> Rle:
    coco_mask = mask_functions()

    if mask is None or (isinstance(mask, (list, tuple)) and not mask):
        raise _WrongMaskError(
            "its mask (`segmentation`) must be given where masks are scored, got none. Score boxes, or leave it out."
        )
    if isinstance(mask, Mapping):
        return _of_runs(mask, image_size)
    if isinstance(mask, (list, tuple)):
        width, height = _known(image_size)
        polygons = [_polygon(one, width, height) for one in (mask if _is_nested(mask) else [mask])]
        merged: Rle = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        return merged
    array = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)
    if (
        array.ndim != 2
        or array.dtype.kind not in "bui"
        or (array.dtype.kind != "b" and not np.isin(array, (0, 1)).all())
    ):
        raise _WrongMaskError(f"its mask must be {FORMS}, got {type(mask).__name__} of shape {array.shape}.")
    _require_size(list(array.shape), image_size)
    encoded: Rle = coco_mask.encode(np.asfortranarray(array, dtype=np.uint8))
    return encoded


def _of_runs(mask: Mapping[str, Any], image_size: NDArray[np.float64]) -> Rle:
    coco_mask = mask_functions()

    size, counts = mask.get("size"), mask.get("counts")
    lengths = list(size) if isinstance(size, (list, tuple, np.ndarray)) else []
    if len(lengths) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in lengths):
        raise _WrongMaskError(f"the `size` of its mask must be [height, width], got {quoted(size)}.")
    height, width = (int(n) for n in lengths)
    if height * width > MOST_PIXELS:
        raise _WrongMaskError(
            f"the `size` of its mask must be at most {MOST_PIXELS:,} pixels, got {height} x {width}."
        )
    _require_size([height, width], image_size)
    if isinstance(counts, (str, bytes)):
        try:
            return {
                "size": [height, width],
                "counts": counts.encode("ascii") if isinstance(counts, str) else counts,
            }
        except UnicodeEncodeError:
            raise _WrongMaskError(
                f"the `counts` of its mask must be COCO's run lengths, got {quoted(counts)}."
            ) from None
    runs = list(counts) if isinstance(counts, (list, tuple, np.ndarray)) else None
    if runs is None or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in runs):
        raise _WrongMaskError(f"the `counts` of its mask must be run lengths, got {quoted(counts)}.")
    if sum(runs) != height * width:
        raise _WrongMaskError(
            f"the `counts` of its mask must sum to height x width, {height * width}, got {sum(runs)}. Its `size` is "
            "[height, width], in this order."
        )
    found: Rle = coco_mask.frPyObjects(
        {"size": [height, width], "counts": [int(n) for n in runs]}, height, width
    )
    return found


def _is_nested(polygons: Sequence[Any]) -> bool:
    return not isinstance(polygons[0], (int, float, np.number))


def _polygon(points: Any, width: int, height: int) -> list[float]:
    try:
        values = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    if (
        values.ndim != 1
        or len(values) < LEAST_COORDINATES
        or len(values) % 2
        or not np.isfinite(values).all()
    ):
        raise _WrongMaskError(
            f"its polygon must be x, y, … of three points or more, finite, got {quoted(points)}. A mask must "
            f"be {FORMS}."
        )
    x, y = values[::2], values[1::2]
    if x.min() < -width or x.max() > 2 * width or y.min() < -height or y.max() > 2 * height:
        raise _WrongMaskError(
            f"its polygon must lie in the image of {width} x {height} pixels, got x from {x.min():g} to {x.max():g}, y "
            f"from {y.min():g} to {y.max():g}. Is it of another image, or of one of another size?"
        )
    return [float(value) for value in values]


def _known(image_size: NDArray[np.float64]) -> tuple[int, int]:
    if np.isnan(image_size).any() or (image_size != np.trunc(image_size)).any():
        raise _WrongMaskError(
            "its polygons need the size of the image in whole pixels, got "
            f"{'none' if np.isnan(image_size).any() else image_size.tolist()}. Add `width` and `height` to the "
            "images of the ground truth, or give masks as run lengths."
        )
    width, height = image_size.tolist()
    return int(width), int(height)


def _require_size(size: list[int], image_size: NDArray[np.float64]) -> None:
    if np.isnan(image_size).any() or (image_size[::-1] == size).all():
        return
    width, height = image_size.tolist()
    raise _WrongMaskError(
        f"its mask must be as large as its image, {height:g} high and {width:g} wide, got {size[0]} high and {size[1]} "
        "wide. `size` is [height, width], in this order; a mask in other pixels must be resized first."
    )


def _require_whole(masks: Sequence[Rle], describe: Describe, error: type[EvalError]) -> None:
    """Raise an error for the first mask whose run lengths are malformed or do not fill its image."""
    if not masks:
        return
    text = np.frombuffer(b"".join(mask["counts"] for mask in masks), dtype=np.uint8).astype(np.int64) - 48
    lengths = np.array([len(mask["counts"]) for mask in masks])
    of_text = np.repeat(np.arange(len(masks)), lengths)
    wrong = lengths == 0
    wrong[of_text[(text < 0) | (text > 63)]] = True
    ends_at = np.cumsum(lengths) - 1
    last = (text & 32) == 0
    wrong[~wrong] |= ~last[ends_at[~wrong]]
    if wrong.any():
        _refuse(int(np.argmax(wrong)), masks, describe, error)
    # A value begins behind the last character of the one before; its characters hold five bits each, the least first.
    starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    owner, n_characters = of_text[starts], np.diff(np.append(starts, len(text)))
    wrong[owner[n_characters > MOST_CHARACTERS]] = True
    if wrong.any():
        _refuse(int(np.argmax(wrong)), masks, describe, error)
    shift = 5 * (np.arange(len(text)) - np.repeat(starts, n_characters))
    values = np.add.reduceat((text & 31) << shift, starts)
    negative = (text[starts + n_characters - 1] & 16) != 0
    values[negative] -= np.int64(1) << (5 * n_characters[negative])
    # From the fourth on, a run length is written as its difference to the second last one.
    first = np.searchsorted(owner, np.arange(len(masks)))
    at = np.arange(len(values)) - first[owner]
    runs = values.copy()
    for chain in ((at % 2 == 1), (at % 2 == 0) & (at > 0)):
        rows = np.flatnonzero(chain)
        total = np.cumsum(values[rows])
        begin = np.searchsorted(owner[rows], owner[rows])
        runs[rows] = total - np.concatenate([[0], total])[begin]
    wrong[owner[runs < 0]] = True
    area = np.array([mask["size"][0] * mask["size"][1] for mask in masks])
    wrong |= np.bincount(owner, weights=runs, minlength=len(masks)).astype(np.int64) != area
    if wrong.any():
        _refuse(int(np.argmax(wrong)), masks, describe, error)


def _refuse(i: int, masks: Sequence[Rle], describe: Describe, error: type[EvalError]) -> None:
    height, width = masks[i]["size"]
    raise error(
        f"{describe(i)}: the `counts` of its mask must be COCO's run lengths that fill {height} x {width} pixels, got "
        f"{quoted(masks[i]['counts'])}. Encode it again with pycocotools."
    )
