"""Making a study's folder: all of it, or nothing."""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..errors import StudyError
from ..files import TEMPORARY, sync_folder, write_whole
from ..spec import StudySpec, spec_to_yaml
from . import _layout
from ._facts import incidental


class ImageRef(NamedTuple):
    """An image of a study.

    Attributes
    ----------
    file_name : str
        As its annotation file names it.
    image_id : int
        As its annotation file numbers it.
    """

    file_name: str
    image_id: int


def make_folder(
    path: Path,
    spec: StudySpec,
    frozen: Mapping[str, Any],
    plan: Sequence[Mapping[str, Any]],
    images: Sequence[ImageRef],
    files: Mapping[str, bytes],
    notes: Mapping[str, Any],
) -> None:
    """Write a study's folder beside its place, and move it there in one step.

    Raises
    ------
    StudyError
        If it cannot be written; nothing is left then.
    """
    tables = {
        _layout.PLAN: pa.Table.from_pylist([dict(row) for row in plan]),
        _layout.IMAGES: pa.Table.from_pylist([image._asdict() for image in images]),
    }
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        (scratch / _layout.DETECTIONS).mkdir(parents=True)
        _write_text(scratch / _layout.SPEC, spec_to_yaml(spec))
        for name, table in tables.items():
            _layout.write_table(scratch / name, table)
        for name, content in files.items():
            write_whole(scratch / name, lambda file, content=content: file.write(content), StudyError)  # type: ignore[misc]
        _layout.write_json(
            scratch / _layout.ENVIRONMENT,
            {"frozen": frozen, "incidental": {**incidental(), **notes}},
        )
        scratch.rename(path)  # takes the place of an empty folder, too
        sync_folder(path.parent)
    except OSError as error:
        raise StudyError(f"{path} cannot be made: {error.strerror}. Choose another folder.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda file: file.write(text.encode()), StudyError)
