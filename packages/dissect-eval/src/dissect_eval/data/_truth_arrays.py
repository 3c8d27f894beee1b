"""Arrays and annotations of other libraries as columns of `GroundTruth`, with errors that name the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import Ints, rows_of_images, splits_of
from .._numbers import plain_values
from .._text import quoted
from ..boxes import Boxes, check_xyxy
from ..errors import BoxError, TruthError
from ._columns import TruthColumns
from ._fields import array_field, checked_ids, field, items_of, label_field, one_number, own_ids
from ._masks import masks_of_arrays
from ._records import duplicates, flags, floats, ids, listing, require_name
from ._rle import encode_stack

__all__ = ["collect_truth", "truth_of_supervision", "truth_of_targets"]

NO_LABELS = np.zeros(0, dtype=np.int64)

Names: TypeAlias = Mapping[int, str] | Sequence[str]
PerBox = Sequence[ArrayLike | None] | None


def collect_truth(
    per_image: Iterable[tuple[ArrayLike, ArrayLike]],
    image_ids: Iterable[int],
    category_names: Mapping[int, str] | Sequence[str],
    *,
    image_sizes: ArrayLike | None = None,
    file_names: Sequence[str] | None = None,
    iscrowd: PerBox = None,
    ignore: PerBox = None,
    area: PerBox = None,
    masks: Sequence[Sequence[Any]] | None = None,
) -> TruthColumns:
    """Return the columns of `GroundTruth` from arrays, one pair per image."""
    pairs, names = _listed(per_image, "per_image"), _names(category_names)
    known = ids(
        [one_number(one) for one in _listed(image_ids, "image_ids")],
        "image_ids",
        lambda i: f"image {i}",
        TruthError,
    )
    _require_one_entry_each(
        known, per_image=pairs, file_names=file_names, iscrowd=iscrowd, ignore=ignore, area=area
    )
    parts = [_one_image(pair, int(image), names) for pair, image in zip(pairs, known, strict=True)]
    splits = splits_of([len(part[1]) for part in parts])
    boxes = np.concatenate([np.zeros((0, 4)), *(part[0] for part in parts)])
    category_ids = np.concatenate([np.zeros(0, dtype=np.int64), *(part[1] for part in parts)])
    sizes = boxes[:, 2:] - boxes[:, :2]
    notes: list[str] = []
    marks = {
        name: _per_box(values, name, known, splits, np.zeros(len(boxes), dtype=np.bool_))
        for name, values in (("iscrowd", iscrowd), ("ignore", ignore))
    }
    order = np.argsort(known)
    rows, new_splits = rows_of_images(splits, order)
    kept_masks = (
        None if masks is None else masks_of_arrays(masks, np.diff(splits).tolist(), order, TruthError)
    )
    return TruthColumns(
        masks=kept_masks,
        image_ids=known[order],
        image_sizes=_image_sizes(image_sizes, len(known), notes)[order],
        file_names=tuple(str(file_names[i]) for i in order) if file_names is not None else ("",) * len(known),
        image_splits=new_splits,
        annotation_ids=rows + 1,
        boxes=boxes[rows],
        sizes=sizes[rows],
        category_ids=category_ids[rows],
        iscrowd=marks["iscrowd"][rows],
        ignore=marks["ignore"][rows],
        area=_areas(area, known, splits, sizes.prod(axis=1), notes)[rows],
        category_names=names,
        notes=tuple(notes),
        source="",
    )


def _listed(given: Any, name: str) -> list[Any]:
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise TruthError(
            f"`{name}` must be a sequence with one item per image, got {type(given).__name__}. For one image put it "
            "in [ ]."
        )
    return list(given)


def _require_one_entry_each(image_ids: Ints, **given: Sequence[Any] | None) -> None:
    """Raise `TruthError` unless ids are unique, and every argument that is given has one entry for each of them."""
    for name, values in given.items():
        if values is not None and len(values) != len(image_ids):
            raise TruthError(
                f"`{name}` and `image_ids` must be of one length, got {len(values)} and {len(image_ids)}. "
                "Give one entry per image."
            )
    repeated = duplicates(image_ids)
    if repeated:
        raise TruthError(
            f"`image_ids` must be unique, but these occur more than once: {listing(repeated)}. "
            "Number the images again."
        )


def truth_of_targets(
    targets: Iterable[Any],
    category_names: Names,
    image_ids: Iterable[int] | None,
    image_sizes: ArrayLike | None,
    file_names: Sequence[str] | None,
    masks: bool = False,
) -> TruthColumns:
    """Return the columns of torchvision's targets."""
    many = items_of(targets, "targets", "boxes", TruthError)
    if image_ids is None:
        image_ids = own_ids(many, "targets", "image_id", TruthError)
    wanted = checked_ids(image_ids, many, "targets", TruthError)
    kept = [field(one, "masks") for one in many] if masks else None
    return _truth(many, wanted, ("boxes", "labels"), many, category_names, image_sizes, file_names, kept)


def truth_of_supervision(
    detections: Iterable[Any],
    image_ids: Iterable[int],
    category_names: Names,
    image_sizes: ArrayLike | None,
    file_names: Sequence[str] | None,
    masks: bool = False,
) -> TruthColumns:
    """Return the columns of supervision's annotations."""
    many = items_of(detections, "detections", "xyxy", TruthError)
    wanted = checked_ids(image_ids, many, "detections", TruthError)
    data = [field(item, "data") or {} for item in many]
    kept = [field(one, "mask") for one in many] if masks else None
    return _truth(many, wanted, ("xyxy", "class_id"), data, category_names, image_sizes, file_names, kept)


def _truth(
    items: Sequence[Any],
    image_ids: Ints,
    keys: tuple[str, str],
    extras: Sequence[Any],
    category_names: Names,
    image_sizes: ArrayLike | None,
    file_names: Sequence[str] | None,
    masks: Sequence[Any] | None,
) -> TruthColumns:
    pairs = []
    extra: dict[str, list[NDArray[Any] | None]] = {"iscrowd": [], "area": []}
    for item, more, image in zip(items, extras, image_ids.tolist(), strict=True):
        where = f"Image {image}"
        boxes = array_field(item, keys[0], where, TruthError)
        pairs.append((boxes, label_field(item, keys[1], where, TruthError) if len(boxes) else NO_LABELS))
        for key, values in extra.items():
            given = field(more, key) is not None
            values.append(array_field(more, key, where, TruthError) if given else None)
    encoded = None
    if masks is not None:
        encoded = [
            encode_stack(mask, len(boxes), f"Image {image}", TruthError) if len(boxes) else []
            for mask, (boxes, _), image in zip(masks, pairs, image_ids.tolist(), strict=True)
        ]
    return collect_truth(
        pairs,
        image_ids.tolist(),
        category_names,
        image_sizes=image_sizes,
        file_names=file_names,
        iscrowd=extra["iscrowd"],
        area=extra["area"],
        masks=encoded,
    )


def _names(category_names: Any) -> dict[int, str]:
    if isinstance(category_names, str) or not isinstance(category_names, (Mapping, Sequence)):
        raise TruthError(
            "`category_names` must be a mapping of id to name or a sequence of names, got "
            f"{quoted(category_names)}. For one category write {{1: 'name'}}."
        )
    pairs = category_names.items() if isinstance(category_names, Mapping) else enumerate(category_names)
    keys, names = zip(*pairs, strict=True) if len(category_names) else ((), ())
    numbers = ids(keys, "category_names", lambda i: f"category {quoted(keys[i])}", TruthError)
    for key, name in zip(keys, names, strict=True):
        require_name(key, name)
    return dict(zip(numbers.tolist(), names, strict=True))


def _one_image(
    pair: tuple[ArrayLike, ArrayLike], image_id: int, names: Mapping[int, str]
) -> tuple[Boxes, Ints]:
    try:
        boxes = np.asarray(plain_values(pair[0]), dtype=np.float64)
        labels = np.asarray(plain_values(pair[1]))
        labels = labels.astype(np.int64, casting="same_kind" if labels.size else "unsafe")
    except (TypeError, ValueError, IndexError, KeyError, OverflowError, RuntimeError) as exc:
        raise TruthError(f"Image {image_id}: boxes and category ids must be numbers; {exc}.") from exc
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if labels.ndim != 1 or boxes.shape != (len(labels), 4):
        raise TruthError(
            f"Image {image_id}: boxes and category ids must have shapes (n, 4) and (n,), got {boxes.shape} and "
            f"{labels.shape}. Give one id per box."
        )
    unknown = sorted(set(labels.tolist()) - names.keys())
    if unknown:
        raise TruthError(
            f"Image {image_id}: category ids must be in `category_names` ({listing(list(names))}), got "
            f"{listing(unknown)}. If labels do not start at 0, give a mapping of id to name."
        )
    try:
        return check_xyxy(boxes, "boxes"), labels
    except BoxError as exc:
        raise TruthError(f"Image {image_id}: {exc}") from exc


def _per_box(values: PerBox, name: str, known: Ints, splits: Ints, default: NDArray[Any]) -> NDArray[Any]:
    """Return one value per box, the default where an image has None."""
    out: NDArray[Any] = default.copy()
    for i, given in enumerate(values if values is not None else ()):
        if given is None:
            continue
        array, n = np.ravel(np.asarray(given)), int(splits[i + 1] - splits[i])
        if len(array) != n:
            raise TruthError(
                f"Image {known[i]}: `{name}` must have one value per box, {n}, got {len(array)}. "
                "If it is unknown for the image, give None."
            )
        where = f"image {known[i]}"

        def describe(box: int, where: str = where) -> str:
            return f"{where}, box {box}"

        read = flags if default.dtype == np.bool_ else _floats
        out[splits[i] : splits[i + 1]] = read(array.tolist(), name, describe, TruthError)
    return out


def _floats(
    values: Sequence[object], name: str, describe: Any, error: type[TruthError]
) -> NDArray[np.float64]:
    return floats(values, 1, name, describe, error).ravel()


def _areas(
    area: PerBox, known: Ints, splits: Ints, box_area: NDArray[np.float64], notes: list[str]
) -> NDArray[np.float64]:
    out = _per_box(area, "area", known, splits, box_area)
    if (out < 0).any():
        row = int(np.argmax(out < 0))
        image = int(np.searchsorted(splits, row, side="right")) - 1
        raise TruthError(f"Image {known[image]}: `area` must be >= 0, got {out[row]}. Give square pixels.")
    given = [area is not None and area[i] is not None for i in range(len(known))]
    missing = int(np.diff(splits)[~np.array(given, dtype=np.bool_)].sum())
    if missing:
        notes.append(f"`area` is missing in {missing} of {len(out)} annotations: width x height is used.")
    return out


def _image_sizes(image_sizes: ArrayLike | None, n_images: int, notes: list[str]) -> NDArray[np.float64]:
    if image_sizes is None:
        sizes = np.full((n_images, 2), np.nan)
    else:
        try:
            sizes = np.array(image_sizes, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as exc:
            raise TruthError(f"`image_sizes` must be numbers; {exc}. For an unknown size give NaN.") from exc
        sizes = sizes.reshape(0, 2) if sizes.size == 0 == n_images else sizes
        if sizes.shape != (n_images, 2) or (sizes <= 0).any() or np.isinf(sizes).any():
            raise TruthError(
                f"`image_sizes` must be positive widths and heights, shape ({n_images}, 2), got shape "
                f"{sizes.shape}: {listing(sizes.tolist(), 2)}. For an unknown size give NaN."
            )
    unknown = int(np.isnan(sizes).any(axis=1).sum())
    if unknown:
        notes.append(f"`width` or `height` is missing in {unknown} of {n_images} images.")
    return sizes
