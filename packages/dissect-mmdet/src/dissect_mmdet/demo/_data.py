"""Writing the demo scenes as a COCO data set: images, annotation files, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dissect_core.storage import claim_folder, own_folder, read_regular, why_refused, write_text_whole

from ..errors import DissectMMDetError
from ._scenes import coco_annotations, draw_scene, file_name, image_ids

FORMAT_VERSION = 1
Progress = Callable[[Iterable[int]], Iterable[int]]


def write_split(
    folder: Path | str, split: str, count: int, *, seed: int = 0, progress: Progress | None = None
) -> tuple[Path, Path]:
    """Write one split of the demo data in COCO's layout, unless it is there already.

    Parameters
    ----------
    folder : Path or str
        Gets ``<split>/*.png`` and ``annotations/instances_<split>.json``.
    split : {"train", "val", "test"}
    count : int
        Number of images. The first n images are the same for every count of at least n.
    seed : int
        Seed of the scenes.
    progress : callable, optional
        Wraps the iteration over scene numbers, ``tqdm`` for instance.

    Returns
    -------
    images, annotations : Path
        The image folder and the annotation file.

    Raises
    ------
    DissectMMDetError
        If the folder holds images or an annotation file that were not written here: nothing is replaced.

    Notes
    -----
    The annotation file is written last, so that its presence means that the split is whole.
    """
    import cv2

    folder = Path(folder)
    images, annotations = folder / split, folder / "annotations" / f"instances_{split}.json"
    stamp = {"format": FORMAT_VERSION, "split": split, "count": count, "seed": seed}
    found = _stamp(annotations)
    if found == stamp:
        return images, annotations
    if annotations.exists() and found is None:
        raise DissectMMDetError(
            f"{annotations} holds other scenes and would be replaced: choose another folder."
        )
    claim_folder(images, "the image folder", DissectMMDetError)
    for part in (images, annotations.parent):
        own_folder(part, DissectMMDetError)
    annotations.unlink(missing_ok=True)
    for path in images.glob("[0-9]*.png"):
        path.unlink()
    ids = image_ids(split, count, seed)
    numbers: Iterable[int] = range(count)
    scenes = []
    for number in progress(numbers) if progress else numbers:
        scene = draw_scene(split, number, seed)
        path = images / file_name(int(ids[number]))
        content = cv2.imencode(".png", scene.image[:, :, ::-1])[1].tobytes()
        try:
            path.write_bytes(content)
        except OSError as error:
            raise DissectMMDetError(f"{path} cannot be written: {why_refused(error)}.") from error
        scenes.append(scene)
    truth = coco_annotations(scenes, ids, split)
    truth["info"]["deep_dissect"] = stamp
    write_text_whole(annotations, json.dumps(truth), DissectMMDetError)
    return images, annotations


def _stamp(annotations: Path) -> dict[str, Any] | None:
    """Return the options that an annotation file on disk was written with; None if it is not ours."""
    try:
        stamp = json.loads(read_regular(annotations))["info"]["deep_dissect"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp if isinstance(stamp, dict) else None
