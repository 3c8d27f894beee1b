"""The truth that a study keeps: it names the images, and the detections are measured against it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..errors import StudyError
from ._facts import fingerprint
from ._images import ImageRef

PARTS = ("images", "annotations", "categories")


@runtime_checkable
class StudyTruth(Protocol):
    """Ground truth of a study's images: `dissect_eval.GroundTruth`, or anything with these three.

    What a detector's `prepare_with_truth` takes beyond them is the detector's own business.
    """

    @property
    def file_names(self) -> Sequence[str]:
        """File name of each image."""
        ...

    @property
    def image_ids(self) -> Any:
        """Id of each image, in the same order: unique integers."""
        ...

    def to_coco(self) -> Mapping[str, Any]:
        """Return all of it as the content of a COCO instances file: plain data, and the same for the same truth."""
        ...


class KeptTruth(NamedTuple):
    """A truth as a study keeps it.

    Attributes
    ----------
    content : bytes
        A COCO instances file of the study's images.
    facts : mapping
        By which it is recognised: numbers of images and boxes, and a checksum of what it says.
    """

    content: bytes
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, truth: StudyTruth, refs: Sequence[ImageRef]) -> "KeptTruth":
        """Keep what a truth says of some images.

        Raises
        ------
        StudyError
            If an image has no entry in the truth.
        """
        whole = truth.to_coco()
        ids, known = {ref.image_id for ref in refs}, {image["id"] for image in whole["images"]}
        missing = [ref for ref in refs if ref.image_id not in known]
        if missing:
            raise StudyError(
                f"`refs` must name images of `truth`, but the id {missing[0].image_id} ({missing[0].file_name}) is "
                f"none of its {len(whole['images'])} ({len(missing)} such images). Leave `refs` out."
            )
        content = {
            **whole,
            "images": [image for image in whole["images"] if image["id"] in ids],
            "annotations": [one for one in whole["annotations"] if one["image_id"] in ids],
        }
        return cls.read(json.dumps(content, ensure_ascii=False).encode())

    @classmethod
    def read(cls, content: bytes) -> "KeptTruth":
        """Take the content of a COCO instances file.

        Raises
        ------
        StudyError
            If it is none.
        """
        parts = coco_parts(content)
        if parts is None:
            raise StudyError(
                "`files` holds a truth.json that is no COCO instances file. Leave it out and pass `truth`: the study "
                "keeps it."
            )
        return cls(
            content,
            {
                "images": len(parts["images"]),
                "boxes": len(parts["annotations"]),
                "sha256": fingerprint(parts),
            },
        )


def coco_parts(content: bytes) -> dict[str, Any] | None:
    """Return images, annotations and categories of a COCO instances file; None if it is none."""
    try:
        parsed = json.loads(content)
        parts = {name: parsed[name] for name in PARTS}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return parts if all(isinstance(part, list) for part in parts.values()) else None


def require_truth(truth: Any) -> StudyTruth:
    """Return the truth itself, if it can be kept.

    Raises
    ------
    StudyError
        If it is something else.
    """
    if isinstance(truth, StudyTruth):
        return truth
    if isinstance(truth, (str, Path, Mapping)):
        shown = f"got {truth}" if not isinstance(truth, Mapping) else "got its content"
        raise StudyError(
            f"`truth` must be ground truth that was read, {shown}. Pass what "
            "`dissect_eval.GroundTruth.from_coco` makes of it."
        )
    raise StudyError(
        "`truth` must be a `dissect_eval.GroundTruth`, or have `file_names`, `image_ids` and `to_coco`, so that the "
        f"study can keep it and tell it from another one; got {type(truth).__name__}."
    )


def refs_by_truth(paths: Sequence[Path], truth: StudyTruth) -> list[ImageRef]:
    """Find the image of the truth for each file: that with the longest name at the end of the file's path.

    Raises
    ------
    StudyError
        If the truth has no such image or several, or two files are the same one.
    """
    if not any(truth.file_names):
        raise StudyError(
            "`truth` names no files, so that it cannot tell which image is which. Pass `refs` too."
        )
    listed: dict[str, list[ImageRef]] = {}
    for name, number in zip(truth.file_names, truth.image_ids, strict=True):
        listed.setdefault(Path(name).as_posix(), []).append(ImageRef(name, int(number)))
    found = [next((listed[end] for end in _ends(path) if end in listed), []) for path in paths]
    wrong = [(path, len(its)) for path, its in zip(paths, found, strict=True) if len(its) != 1]
    if wrong:
        path, n = wrong[0]
        raise StudyError(
            f"`images` must be images of `truth`, but {path} is {f'{n} of its images' if n else 'not among its images'}"
            f" ({', '.join(list(listed)[:2])}, …; {len(wrong):,} of {len(paths):,} such images). Give the truth of "
            "these images, or only images that it names."
        )
    refs = [ref for its in found for ref in its]
    again = [ref for ref, n in Counter(refs).items() if n > 1]
    if again:
        raise StudyError(
            f"`images` must name each image once, but {again[0].file_name} is given {refs.count(again[0])} times "
            f"({len(again)} such images)."
        )
    return refs


def _ends(path: Path) -> Iterable[str]:
    """Yield the names that a path may go by: the whole path, then from each of its folders on."""
    yield path.as_posix()
    for start in range(len(path.parts)):
        yield "/".join(path.parts[start:])
