"""What a caller of `run` says of its images, before any engine is asked: which they are, and what their truth is."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..store import _file_names
from ..store._changes import Behind, of_truths
from ..store._facts import listed
from ..store._images import ImageRef
from ..store._truth import KeptTruth, refs_by_truth, require_truth


def identified(
    paths: Sequence[Path],
    truth: Any,
    refs: Sequence[ImageRef] | None,
    facts: Mapping[str, Any],
    files: Mapping[str, bytes],
    say: Callable[[str], object],
) -> tuple[Sequence[ImageRef], dict[str, Any]]:
    """Names and ids of the images; and facts, files and notes that the study is begun with, the truth among them.

    Raises
    ------
    StudyError
        If the truth cannot be kept, or images, `refs`, `files` and `truth` do not fit together.
    """
    if truth is not None:
        truth = require_truth(truth)
    if refs is None:
        is_told = truth is not None
        refs = refs_by_truth(paths, truth) if is_told else [ImageRef(p.name, i) for i, p in enumerate(paths)]
    if len(refs) != len(paths):
        raise StudyError(f"`refs` must name each of {len(paths)} images, got {len(refs)}.")
    kept = _kept(truth, refs, files)
    if kept is not None:
        facts, files = {**facts, "truth": kept.facts}, {**files, _file_names.TRUTH: kept.content}
        n, all_of_them = kept.facts["images"], 0 if truth is None else len(truth.file_names)
        if n < all_of_them:
            say(f"{n:,} of the truth's {all_of_them:,} images are run; the others count nowhere")
    notes = {"image_folder": _image_folder(paths, refs)}
    if source := getattr(truth, "source", ""):
        notes["annotations"] = str(source)
    return refs, {"facts": facts, "files": files, "notes": notes}


def _kept(truth: Any, refs: Sequence[ImageRef], files: Mapping[str, bytes]) -> KeptTruth | None:
    """The truth to keep: that of `truth`, else the file that the caller gives."""
    given = files.get(_file_names.TRUTH)
    if truth is None:
        return None if given is None else KeptTruth.read(given)
    kept = KeptTruth.of(truth, refs)
    told = [] if given is None else of_truths(Behind(refs, given), Behind(refs, kept.content))
    if told:
        raise StudyError(
            f"`files` holds a truth.json that differs from `truth`: {listed(told)}. Leave it out: the study keeps what "
            "`truth` says."
        )
    return kept


def _image_folder(paths: Sequence[Path], refs: Sequence[ImageRef]) -> str:
    """The folder from which the file names lead to the images, for reports that show some; else that of all of them."""
    whole = [path.absolute() for path in paths]
    roots = {_root(path, Path(ref.file_name).parts) for path, ref in zip(whole, refs, strict=True)}
    (root,) = roots if len(roots) == 1 else (None,)
    return str(root) if root is not None else os.path.commonpath([path.parent for path in whole])


def _root(path: Path, name: Sequence[str]) -> Path | None:
    """A path without the name at its end; None if it ends otherwise."""
    return path.parents[len(name) - 1] if name and path.parts[-len(name) :] == tuple(name) else None
