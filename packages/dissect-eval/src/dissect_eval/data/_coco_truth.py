"""Read COCO annotation files as columns of `GroundTruth`: missing entries are tolerated, wrong ones are refused."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import Ints, group_rows, image_of_rows
from .._files import read_json
from .._text import cut, quoted, visible
from ..boxes import check_xyxy, xywh_to_xyxy
from ..errors import BoxError, TruthError
from ._columns import TruthColumns
from ._masks import masks_of_records
from ._records import Describe, duplicates, exact_int, flags, floats, ids, is_text, listing, require_name

__all__ = ["load_truth", "truth_content"]

Record = Mapping[str, Any]
MAX_LENGTH = 10**9
"""Most pixels that an image may be wide or high."""


def load_truth(source: str | os.PathLike[str] | Mapping[str, Any] | Any) -> TruthColumns:
    """Return the columns of `GroundTruth` from a COCO file, its parsed content or a pycocotools object."""
    data = _content(source)
    try:
        return _truth_of(data, source)
    except (TruthError, BoxError) as error:
        if not isinstance(source, (str, os.PathLike)):
            raise
        raise TruthError(f"{cut(visible(os.fspath(source)), 1000)}: {error}") from error


def _truth_of(data: Mapping[str, Any], source: Any) -> TruthColumns:
    images, categories, annotations = (_records(data, key) for key in ("images", "categories", "annotations"))
    _refuse_federated(images)
    notes = _notes_of(data)

    category_names = _category_names(categories)
    image_ids = ids(_column(images, "id"), "id", lambda i: f"image record {i}", TruthError)
    _unique(image_ids, "image")
    image_order = np.argsort(image_ids)
    file_names = _file_names(images)
    image_ids = image_ids[image_order]

    annotation_ids = _annotation_ids(annotations, notes)

    def describe(i: int) -> str:
        record = annotations[i]
        return f"annotation {annotation_ids[i]} of image {quoted(record.get('image_id'))}"

    of_image = ids(_column(annotations, "image_id"), "image_id", describe, TruthError)
    of_category = ids(_column(annotations, "category_id"), "category_id", describe, TruthError)
    index = _known(of_image, image_ids, "image_id", "image", describe)
    _known(of_category, np.array(list(category_names), dtype=np.int64), "category_id", "category", describe)

    xywh = floats(_column(annotations, "bbox"), 4, "bbox", describe, TruthError)
    if (xywh[:, 2:] < 0).any():
        bad = int(np.argmax((xywh[:, 2:] < 0).any(axis=1)))
        raise TruthError(
            f"{describe(bad)}: `bbox` must be x, y, width, height with sizes >= 0, got {xywh[bad].tolist()}. "
            "If the file holds corners, convert them."
        )
    order, splits = group_rows(index, len(images))
    return TruthColumns(
        image_ids=image_ids,
        image_sizes=_image_sizes(images, notes)[image_order],
        file_names=tuple(file_names[i] for i in image_order),
        image_splits=splits,
        annotation_ids=annotation_ids[order],
        boxes=check_xyxy(xywh_to_xyxy(xywh)[order], "boxes"),
        sizes=xywh[order, 2:],
        category_ids=of_category[order],
        iscrowd=flags(_column(annotations, "iscrowd"), "iscrowd", describe, TruthError)[order],
        ignore=flags(_column(annotations, "ignore"), "ignore", describe, TruthError)[order],
        area=_areas(annotations, xywh, describe, notes)[order],
        category_names=category_names,
        notes=tuple(dict.fromkeys(notes)),
        source=Path(source).name if isinstance(source, (str, os.PathLike)) else "",
        masks=masks_of_records(source, annotations, "annotations", order, TruthError),
    )


FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")
"""Entries by which images of LVIS and its kin say which categories were looked for."""


def _refuse_federated(images: Sequence[Record]) -> None:
    """Raise for truth of which only some categories were annotated in each image: COCO's rules are wrong for it."""
    n = sum(any(image.get(key) for key in FEDERATED) for image in images)
    if n:
        raise TruthError(
            f"{n:,} images have `neg_category_ids` or `not_exhaustive_category_ids`: this is federated truth, as of "
            "LVIS, where a category that is not annotated in an image may still be in it. COCO's rules would count its "
            "detections as false positives, so it is not scored. Use the `lvis` package; or, if every category was "
            "looked for in these images, remove the entries."
        )


def truth_content(truth: TruthColumns) -> dict[str, Any]:
    """Return ground truth as the content of a COCO file, without entries that are not known."""
    images = []
    for image_id, name, size in zip(
        truth["image_ids"].tolist(), truth["file_names"], truth["image_sizes"].tolist(), strict=True
    ):
        known = {
            key: _whole(value) for key, value in zip(("width", "height"), size, strict=True) if value == value
        }
        images.append({"id": image_id, **({"file_name": name} if name else {}), **known})
    columns = zip(
        truth["annotation_ids"].tolist(),
        truth["image_ids"][image_of_rows(truth["image_splits"])].tolist(),
        truth["category_ids"].tolist(),
        np.concatenate([truth["boxes"][:, :2], truth["sizes"]], axis=1).tolist(),
        truth["area"].tolist(),
        truth["iscrowd"].astype(int).tolist(),
        truth["ignore"].tolist(),
        strict=True,
    )
    keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    annotations = [
        {**dict(zip(keys, row, strict=True)), **({"ignore": 1} if ignore else {})} for *row, ignore in columns
    ]
    categories = [{"id": key, "name": name} for key, name in truth["category_names"].items()]
    info = {"info": {"notes": list(truth["notes"])}} if truth["notes"] else {}
    return {**info, "images": images, "annotations": annotations, "categories": categories}


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _notes_of(data: Mapping[str, Any]) -> list[str]:
    """Return the notes of the first reading, if `truth_content` has kept them."""
    info = data.get("info")
    notes = info.get("notes") if isinstance(info, Mapping) else None
    return [str(note) for note in notes] if isinstance(notes, list) else []


def _content(source: Any) -> Mapping[str, Any]:
    if isinstance(source, (str, os.PathLike)):
        data = read_json(source, "annotation", TruthError)
        where = f"the annotation file '{cut(visible(os.fspath(source)), 1000)}'"
    else:
        data = getattr(source, "dataset", source)
        where = "`source`"
    if not isinstance(data, Mapping):
        kind = "a list; is it a results file?" if isinstance(data, list) else f"{type(data).__name__}."
        raise TruthError(
            f"COCO ground truth must be an object with 'images', 'annotations' and 'categories'; {where} "
            f"holds {kind} Results go to `Detections.from_results`."
        )
    missing = [key for key in ("images", "annotations", "categories") if key not in data]
    if missing:
        raise TruthError(
            f"COCO ground truth must have 'images', 'annotations' and 'categories'; {where} lacks "
            f"{listing(missing)}. A test split without annotations cannot be scored."
        )
    return data


def _records(data: Mapping[str, Any], key: str) -> Sequence[Record]:
    records = data[key]
    if not isinstance(records, Sequence) or isinstance(records, str):
        raise TruthError(f"'{key}' must be a list of records, got {type(records).__name__}. Mend the file.")
    for i, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise TruthError(f"'{key}' record {i} must be an object, got {quoted(record)}. Mend the file.")
    return records


def _column(records: Sequence[Record], key: str) -> list[Any]:
    return [record.get(key) for record in records]


def _unique(values: Ints, what: str) -> None:
    repeated = duplicates(values)
    if repeated:
        raise TruthError(
            f"{what} ids must be unique, but these occur more than once: {listing(repeated)}. "
            "Number the records again; files merged by hand often clash."
        )


def _known(values: Ints, known: Ints, key: str, what: str, describe: Describe) -> Ints:
    """Return the position of each value in the ascending `known`, or raise naming the first that is missing."""
    if not len(known):
        if len(values):
            raise TruthError(f"{describe(0)}: `{key}` is {values[0]}, but the file lists no {what}.")
        return values
    place = np.clip(np.searchsorted(known, values), 0, len(known) - 1)
    bad = np.flatnonzero(known[place] != values)
    if len(bad):
        raise TruthError(
            f"{describe(int(bad[0]))}: `{key}` must be the id of a listed {what}, got {values[bad[0]]} "
            f"({len(bad)} such annotations). Listed are {listing(known.tolist())}."
        )
    return place.astype(np.int64, copy=False)


def _category_names(categories: Sequence[Record]) -> dict[int, str]:
    category_ids = ids(_column(categories, "id"), "id", lambda i: f"category record {i}", TruthError)
    _unique(category_ids, "category")
    names = [record.get("name") for record in categories]
    for category, name in zip(category_ids, names, strict=True):
        require_name(category, name)
    order = np.argsort(category_ids)
    return {int(category_ids[i]): str(names[i]) for i in order}


def _annotation_ids(annotations: Sequence[Record], notes: list[str]) -> Ints:
    values = _column(annotations, "id")
    if values and all(value is None for value in values):
        notes.append("Annotations have no `id`: they are numbered from 1 in file order.")
        return np.arange(1, len(values) + 1, dtype=np.int64)
    found = ids(
        values,
        "id",
        lambda i: f"annotation record {i} (image {quoted(annotations[i].get('image_id'))})",
        TruthError,
    )
    _unique(found, "annotation")
    return found


def _image_sizes(images: Sequence[Record], notes: list[str]) -> NDArray[np.float64]:
    columns = [_lengths(_column(images, key), key, images) for key in ("width", "height")]
    sizes = np.stack(columns, axis=1)
    unknown = int(np.isnan(sizes).any(axis=1).sum())
    if unknown:
        notes.append(f"`width` or `height` is missing in {unknown} of {len(images)} images.")
    return sizes


def _lengths(values: list[Any], key: str, images: Sequence[Record]) -> NDArray[np.float64]:
    """Return widths or heights; NaN where a record has none."""
    if set(map(type, values)) == {int} and min(values) > 0 and max(values) <= MAX_LENGTH:
        return np.array(values, dtype=np.float64)
    lengths = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        if value is None:
            continue
        whole = exact_int(value)
        length = value if whole is None and type(value) is float else whole
        if length is None or not 0 < length <= MAX_LENGTH:
            raise TruthError(
                f"image {quoted(images[i].get('id'))} (images[{i}]): `{key}` must be a number of pixels above 0, got "
                f"{quoted(value)}. Mend it, or leave it out if it is unknown."
            )
        lengths[i] = length
    return lengths


def _file_names(images: Sequence[Record]) -> list[str]:
    names = [record.get("file_name") for record in images]
    for i, name in enumerate(names):
        if name is not None and not is_text(name):
            raise TruthError(
                f"image {quoted(images[i].get('id'))} (images[{i}]): `file_name` must be a text, got {quoted(name)}. "
                "Mend the record."
            )
    return [name or "" for name in names]


def _areas(
    annotations: Sequence[Record], xywh: NDArray[np.float64], describe: Describe, notes: list[str]
) -> NDArray[np.float64]:
    stated = _column(annotations, "area")
    area = xywh[:, 2] * xywh[:, 3]
    given = np.array([value is not None for value in stated], dtype=np.bool_)
    rows = np.flatnonzero(given)
    values = floats(
        [stated[i] for i in rows], 1, "area", lambda i: describe(int(rows[i])), TruthError
    ).ravel()
    if (values < 0).any():
        bad = int(rows[np.argmax(values < 0)])
        raise TruthError(f"{describe(bad)}: `area` must be >= 0, got {quoted(stated[bad])}. Mend the record.")
    area[rows] = values
    if len(rows) < len(stated):
        missing = len(stated) - len(rows)
        notes.append(f"`area` is missing in {missing} of {len(stated)} annotations: width x height is used.")
    return area
