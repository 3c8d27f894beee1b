"""Differences between two studies, in the words of their users: other images, classes, boxes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..spec import StudySpec, check_spec
from ._facts import differences
from ._images import ImageRef
from ._truth import coco_parts

NAMED = 3
_OF_A_BOX = ("coordinates", "categories", "areas", "crowd flags", "ignore flags")
_BY_CONTENT = ("plan", "variants", "truth")


class Behind(NamedTuple):
    """What lies behind the facts of a study that are mere numbers and checksums.

    Attributes
    ----------
    images : sequence of ImageRef
    truth : bytes, optional
        As it is kept.
    plan : sequence of mapping, optional
        A row for each variant, where it is known.
    """

    images: Sequence[ImageRef]
    truth: bytes | None = None
    plan: Sequence[Mapping[str, Any]] | None = None


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any], behind: Behind, behind_now: Behind
) -> list[str]:
    """Say what differs between the facts of two studies, one phrase for each; empty if nothing does.

    Parameters
    ----------
    before, now : mapping
        The facts.
    behind, behind_now : Behind
    """
    names = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    told: list[str] = []
    for name in names:
        if name == "images":
            told += of_images(behind.images, behind_now.images)
        elif name == "truth":
            told += of_truths(behind, behind_now)
        elif name == "detector" and name in before and name in now:
            told += of_detectors(before[name], now[name])
        elif name == "shard_batches":
            if "batch_size" not in names:  # else it follows from that
                sizes = (facts["batch_size"] * facts[name] for facts in (before, now))
                told.append("`shard_images`: {} → {}".format(*sizes))
        elif name not in ("plan", "variants"):
            told += differences(
                {name: before[name]} if name in before else {}, {name: now[name]} if name in now else {}
            )
    # Another plan follows from another spec or detector, which have been named then.
    told = told or of_plans(before, now, behind.plan, behind_now.plan)
    return told or differences(before, now)


def changes_of_format_1(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    former: Mapping[str, Any],
    behind: Behind,
    behind_now: Behind,
) -> list[str]:
    """Say what differs from a study of the first format, as far as that has recorded it.

    Parameters
    ----------
    before, now : mapping
        The facts.
    former : mapping
        Facts of the detector under the names and rules of that format.
    behind, behind_now : Behind
        The truth of `behind` is what was kept, if any was; nothing was on record of it.
    """
    # The command line gave a checksum of the annotation file; what that says of these images is compared instead.
    before = {name: fact for name, fact in before.items() if name not in ("format", "annotations_sha256")}
    detector = {"detector": {**now["detector"], **former}} if "detector" in now else {}
    now = {**_recorded(before, {**now, **detector}), "spec": now["spec"]}
    spec = check_spec(before["spec"])  # with what specs have got since
    before["spec"] = spec.identity if isinstance(spec, StudySpec) else before["spec"]
    before, now = (
        {name: f for name, f in facts.items() if name not in _BY_CONTENT} for facts in (before, now)
    )
    told = changes(before, now, behind, behind_now)
    if behind.truth is not None:
        told += of_truths(behind, behind_now)
    has_plan = behind_now.plan is not None
    return told or of_plans({}, {"plan": ""} if has_plan else {}, behind.plan, behind_now.plan)


def _recorded(before: Any, now: Any) -> Any:
    """Return those facts of a study that an earlier one recorded, too."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return now
    return {name: _recorded(before[name], now[name]) for name in now if name in before}


def of_images(before: Sequence[ImageRef], now: Sequence[ImageRef]) -> list[str]:
    """Say which images are others.

    Examples
    --------
    >>> two = [ImageRef("a.png", 1), ImageRef("b.png", 2)]
    >>> of_images(two, [*two, ImageRef("c.png", 3)])
    ['2 → 3 images (added c.png)']
    >>> of_images(two, two[::-1])
    ['the same 2 images in another order']
    """
    names, names_now = ([image.file_name for image in images] for images in (before, now))
    added, removed = (
        _listed(list((Counter(a) - Counter(b)).elements()))
        for a, b in ((names_now, names), (names, names_now))
    )
    what = ", ".join(
        text for text in (f"added {added}" if added else "", f"removed {removed}" if removed else "") if text
    )
    if len(before) != len(now):
        return [f"{len(before)} → {len(now)} images ({what})"]
    if what:
        return [f"other images ({what})"]
    ids, ids_now = (dict(images) for images in (before, now))
    others = [name for name in ids if ids[name] != ids_now[name]]
    if others:
        example = f"{others[0]} {ids[others[0]]} → {ids_now[others[0]]}"
        return [f"other ids of {len(others)} of {len(now)} images ({example})"]
    return [f"the same {len(now)} images in another order"] if names != names_now else []


def of_detectors(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what two detectors differ, by their facts."""
    told = []
    classes, classes_now = (facts.get("class_names", []) for facts in (before, now))
    if classes != classes_now:
        told.append(_of_classes(classes, classes_now))
    if before.get("weights_sha256") != now.get("weights_sha256"):
        told.append("weights of other values")
    config, config_now = (facts.get("config") for facts in (before, now))
    if isinstance(config, Mapping) and isinstance(config_now, Mapping):
        parts = [
            name for name in dict.fromkeys((*config, *config_now)) if config.get(name) != config_now.get(name)
        ]
        if parts:
            told.append(f"another config ({', '.join(part.replace('_', ' ') for part in parts)})")
        before, now = ({k: v for k, v in facts.items() if k != "config"} for facts in (before, now))
    told_apart = {"class_names", "weights_sha256"}
    rest, rest_now = ({k: v for k, v in facts.items() if k not in told_apart} for facts in (before, now))
    return told + differences(rest, rest_now, "detector")


def _of_classes(before: Sequence[str], now: Sequence[str]) -> str:
    if len(before) == len(now):
        others = [(a, b) for a, b in zip(before, now, strict=True) if a != b]
        if sorted(before) == sorted(now):
            return f"the same {len(now)} classes in another order ({', '.join(now[:NAMED])}, …)"
        named = ", ".join(f"{a} → {b}" for a, b in others[:NAMED])
        return f"other class names ({named}{', …' * (len(others) > NAMED)})"
    added, removed = (
        _listed([name for name in a if name not in b]) for a, b in ((now, before), (before, now))
    )
    what = [f"added {added}"] * bool(added) + [f"removed {removed}"] * bool(removed)
    return f"{len(before)} → {len(now)} classes ({', '.join(what)})"


def of_truths(before: Behind, now: Behind) -> list[str]:
    """Say in what two truths differ: categories, boxes, sizes of images; of images that are in both."""
    if before.truth is None or now.truth is None:
        one = (
            "there was no truth, and now there is one"
            if now.truth is not None
            else "there was a truth (`truth`), and now there is none"
        )
        return [one] if before.truth is not now.truth else []
    parts, parts_now = coco_parts(before.truth), coco_parts(now.truth)
    if parts is None or parts_now is None:
        return ["a truth.json that is damaged"]
    told = _of_categories(parts["categories"], parts_now["categories"])
    images, images_now = ({int(image["id"]): image for image in p["images"]} for p in (parts, parts_now))
    both = [number for number in images if number in images_now]
    boxes, boxes_now = (_boxes(p["annotations"], set(both)) for p in (parts, parts_now))
    differing = [n for n in both if Counter(boxes[n]) != Counter(boxes_now[n])]
    name = {n: str(images_now[n].get("file_name") or f"image {n}") for n in differing}
    if differing:
        n, n_now = (sum(map(len, b.values())) for b in (boxes, boxes_now))
        gone = sum(sum((Counter(boxes[i]) - Counter(boxes_now[i])).values()) for i in differing)
        what = _kinds([(boxes[i], boxes_now[i]) for i in differing])
        count = f"{n} → {n_now} boxes" if n != n_now else f"other {what} of {gone} of {n} boxes"
        where = f"{len(differing)} of {len(both)} images" if len(both) > 1 else "the image"
        told.append(f"truth: {count}, in {where} ({_listed([name[i] for i in differing])})")
    sizes = [
        i for i in both if any(images[i].get(key) != images_now[i].get(key) for key in ("width", "height"))
    ]
    if sizes and not told:
        told.append(f"truth: other sizes of {len(sizes)} of {len(both)} images")
    if not told and any(boxes[i] != boxes_now[i] for i in both):
        told.append("truth: the same boxes in another order")
    if not told and len(both) == len(images) == len(images_now) and before.truth != now.truth:
        told += _of_the_rest(parts, parts_now)
    return told


def _kinds(pairs: Sequence[tuple[Sequence[tuple[Any, ...]], Sequence[tuple[Any, ...]]]]) -> str:
    """Name the values of boxes that differ, where the same boxes are listed in the same order."""
    if any(len(one) != len(other) for one, other in pairs):
        return "values"
    rows = [(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)]
    found = [name for i, name in enumerate(_OF_A_BOX) if any(a[i] != b[i] for a, b in rows)]
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def _of_the_rest(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say that ids of annotations or names of files differ, where all else is the same."""
    names, names_now = (
        [(image["id"], image.get("file_name")) for image in p["images"]] for p in (before, now)
    )
    if sorted(map(str, names)) != sorted(map(str, names_now)):
        return ["truth: other file names"]
    ids, ids_now = ([one.get("id") for one in p["annotations"]] for p in (before, now))
    return ["truth: other ids of annotations"] if ids != ids_now else []


def _of_categories(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    names, names_now = ({int(one["id"]): str(one.get("name")) for one in p} for p in (before, now))
    if names == names_now:
        return []
    lines = [
        f"{number} {names.get(number, 'not there')} → {names_now.get(number, 'not there')}"
        for number in dict.fromkeys((*names, *names_now))
        if names.get(number) != names_now.get(number)
    ]
    return [f"truth: other categories ({_listed(lines)})"]


def _boxes(annotations: Sequence[Mapping[str, Any]], images: set[int]) -> dict[int, list[tuple[Any, ...]]]:
    """Return the values of each box that count, by image; what a file leaves out is filled in as its reader does."""
    found: dict[int, list[tuple[Any, ...]]] = {number: [] for number in images}
    for one in annotations:
        number = int(one["image_id"])
        if number in images:
            x, y, width, height = map(float, one["bbox"])
            area = one.get("area")
            found[number].append(
                (
                    (x, y, width, height),
                    int(one["category_id"]),
                    width * height if area is None else float(area),
                    int(one.get("iscrowd") or 0),
                    int(one.get("ignore") or 0),
                )
            )
    return found


def of_plans(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]] | None,
    rows_now: Sequence[Mapping[str, Any]] | None,
) -> list[str]:
    """Say which variants are others, where spec and detector are the same: scores chose other units."""
    if before.get("plan") == now.get("plan") or "plan" not in now:
        return []
    if rows is None or rows_now is None:
        return ["other variants"]
    if len(rows) != len(rows_now):
        return [f"{len(rows)} → {len(rows_now)} variants"]
    columns = [name for name in rows[0] if name in rows_now[0]]
    others = [
        str(row["id"])
        for row, row_now in zip(rows, rows_now, strict=True)
        if any(_plain(row[name]) != _plain(row_now[name]) for name in columns)
    ]
    return [f"{len(others)} of {len(rows)} variants remove other units ({_listed(others)})"] if others else []


def _plain(value: Any) -> Any:
    """Return a value as JSON and Arrow would read it: tuples become lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join([*names[:NAMED], *([f"and {more} more"] if more > 0 else [])])
