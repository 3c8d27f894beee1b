"""Images with their truth: one object that a study is run on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, overload

from dissect_core import near_matches
from dissect_core.arguments import checked_arguments
from dissect_core.text import quoted
from dissect_eval import GroundTruth
from dissect_eval.study import counted

from .errors import FrontDoorError, ImageFilesError, ImageNumberError

if TYPE_CHECKING:
    from dissect_core.store import ImageRef

__all__ = ["CocoSplit"]

DEMO = "demo:"
NAMED_AT_MOST = 3


class CocoSplit:
    """Images of a folder with their truth, a COCO instances file.

    Parameters
    ----------
    annotations : path, mapping or GroundTruth
        A COCO instances file, its content, or truth that is read already; or ``"demo:NAME"`` for data that an installed
        package brings.
    images : path, optional
        Folder of the images; of ``"demo:NAME"`` it is known.
    limit : int, optional
        Only the first images, in the order of their ids.
    check : bool
        Refuse now if an image is missing. Without this check, a study with ``on_bad_image="skip"`` leaves such images
        out and records them.

    Raises
    ------
    FrontDoorError
        If an argument is out of range, the folder is missing, or the annotations name no image.
    ImageFilesError
        If images are not in the folder; files with a similar name are named.
    EvalError
        If the annotations cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> truth = {"images": [{"id": 7, "file_name": "a.png"}], "annotations": [], "categories": []}
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.png").write_bytes(b"")
    ...     data = CocoSplit(truth, folder)
    >>> data
    <CocoSplit of 1 image with 0 objects>
    >>> data.ids, [path.name for path in data.images[:8]]
    ((7,), ['a.png'])
    """

    @checked_arguments()
    def __init__(
        self,
        annotations: str | PathLike[str] | Mapping[str, object] | GroundTruth,
        images: str | PathLike[str] | None = None,
        limit: int | None = None,
        *,
        check: bool = True,
    ) -> None:
        if limit is not None and limit < 1:
            raise FrontDoorError(f"`limit` must be 1 or more, got {quoted(limit)}.")
        if isinstance(annotations, str) and annotations.startswith(DEMO):
            if images is not None:
                raise FrontDoorError(f"`images` must be left out of {annotations}, got {fspath(images)!r}.")
            annotations, images = _bundled(annotations)
        if images is None:
            raise FrontDoorError(
                "`images` must be the folder of the images, got None. Give the folder as the second argument."
            )
        truth = annotations if isinstance(annotations, GroundTruth) else GroundTruth.from_coco(annotations)
        if limit is not None:
            truth = truth.subset(truth.image_ids[:limit].tolist())
        if not truth.n_images:
            raise FrontDoorError(
                f"`annotations` must name an image, {truth.source or 'what is given'} names none."
            )
        self._truth, self._folder = truth, Path(images)
        if not self._folder.is_dir():
            raise FrontDoorError(
                f"`images` must be the folder of the images, got {quoted(str(self._folder))}: no such folder."
            )
        if check:
            self.require_images()

    @classmethod
    @checked_arguments()
    def coco(
        cls,
        folder: str | PathLike[str],
        split: str = "val2017",
        limit: int | None = None,
        *,
        check: bool = True,
    ) -> CocoSplit:
        """Return a split of COCO from the folder in which COCO lies.

        Parameters
        ----------
        folder : path
            It holds the images in ``val2017`` or ``images/val2017``, and ``annotations/instances_val2017.json``.
        split : str, default "val2017"
            The name of another split, ``"train2017"`` for instance.
        limit, check
            As for `CocoSplit`.

        Raises
        ------
        FrontDoorError
            If it does not hold them; what was looked for is named.

        Examples
        --------
        >>> CocoSplit.coco("no/such/folder")
        Traceback (most recent call last):
        deep_dissect.errors.FrontDoorError: `folder` must be the folder of COCO, got 'no/such/folder': no such folder...
        """
        images, annotations = coco_files(folder, split)
        return cls(annotations, images, limit, check=check)

    @property
    def truth(self) -> GroundTruth:
        """The true objects, of these images alone."""
        return self._truth

    @property
    def folder(self) -> Path:
        """The folder of the images."""
        return self._folder

    @cached_property
    def images(self) -> tuple[Path, ...]:
        """Files of the images, in the order of `ids`."""
        return tuple(self._folder / name for name in self._truth.file_names)

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the images, ascending."""
        return tuple(self._truth.image_ids.tolist())

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their category ids."""
        return tuple(self._truth.category_names.values())

    @property
    def refs(self) -> list[ImageRef]:
        """The name and number of each image in the annotation file, which the engine records."""
        from dissect_core.store import ImageRef

        return [ImageRef(name, number) for name, number in zip(self._truth.file_names, self.ids, strict=True)]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the truth and of what is in every file: equal for the same data, wherever it lies."""
        known = sha256(json.dumps(self._truth.to_coco(), sort_keys=True).encode())
        for path in self.images:
            with path.open("rb") as file:
                digest = sha256()
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            known.update(digest.digest())
        return known.hexdigest()

    def require_images(self) -> None:
        """Refuse images that are not in the folder.

        Raises
        ------
        ImageFilesError
            If images are missing; the message names the first, with files of a similar name.
        """
        missing = [name for name in self._truth.file_names if not (self._folder / name).is_file()]
        if not missing:
            return
        near = near_matches(Path(missing[0]).name, [path.name for path in sorted(self._folder.iterdir())])
        hint = f" Near matches of the first: {', '.join(near)}." if near else ""
        # If most are missing, it is the wrong folder; if a few are, it is incomplete.
        remedy = (
            "Is it the folder of another split?"
            if 2 * len(missing) > len(self)
            else "Complete the folder, or take them out of the annotation file."
        )
        raise ImageFilesError(
            f"`images` must be the folder of the images in `annotations`: {len(missing):,} of {len(self):,} images of "
            f"the annotation file are not in {self._folder}, for instance {', '.join(missing[:NAMED_AT_MOST])}.{hint} "
            f"{remedy}"
        )

    @checked_arguments(ids="data.ids[:10]")
    def subset(self, ids: Sequence[int]) -> CocoSplit:
        """Return the split of some of the images.

        Parameters
        ----------
        ids : sequence of int
        """
        return CocoSplit(self._truth.subset(list(ids)), self._folder, check=False)

    def __len__(self) -> int:
        return self._truth.n_images

    @overload
    def __getitem__(self, key: int) -> Path: ...

    @overload
    def __getitem__(self, key: slice) -> CocoSplit: ...

    @checked_arguments()
    def __getitem__(self, key: int | slice) -> Path | CocoSplit:
        if isinstance(key, slice):
            return self.subset(self.ids[key])
        if not -len(self) <= key < len(self):
            raise ImageNumberError(f"There are images 0 to {len(self) - 1:,}, got {quoted(key)}.")
        return self.images[key]

    def __iter__(self) -> Iterator[Path]:
        return iter(self.images)

    def __repr__(self) -> str:
        n, boxes = len(self), self._truth.n_boxes
        source = f" from {self._truth.source}" if self._truth.source else ""
        return f"<CocoSplit of {counted(n, 'image')} with {counted(boxes, 'object')}{source}>"


def coco_files(
    folder: str | PathLike[str], split: str = "val2017", what: str = "`folder`"
) -> tuple[Path, Path]:
    """Return the image folder and the annotation file of a split of COCO; `what` begins the messages."""
    root = Path(folder)
    places = (root / split, root / "images" / split)
    annotations = root / "annotations" / f"instances_{split}.json"
    images = next((place for place in places if place.is_dir()), None)
    if images is not None and annotations.is_file():
        return images, annotations
    rule = f"{what} must be the folder of COCO, got {quoted(str(root))}:"
    if not root.is_dir():
        raise FrontDoorError(f"{rule} no such folder.")
    lacks = [] if images is not None else [f"the folder {split} (or images/{split}) of the images"]
    lacks += [] if annotations.is_file() else [f"the file annotations/{annotations.name}"]
    raise FrontDoorError(
        f"{rule} it has not {' and '.join(lacks)}. Give the folder in which COCO's archives were unpacked, or images "
        "and annotations one by one."
    )


def _bundled(name: str) -> tuple[Path, Path]:
    """Return the annotation file and image folder of data that an installed package brings."""
    from dissect_core.detectors import bundled_data

    annotations, images = bundled_data(name)
    return annotations, images
