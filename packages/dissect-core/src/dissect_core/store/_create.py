"""Making a study's folder: all of it, or nothing."""

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from ..errors import StudyError
from ..spec import LocalExecution, StudySpec, spec_to_yaml
from ..storage.files import TEMPORARY, sync_folder, why_refused, write_whole
from . import _layout
from ._facts import fingerprint, incidental
from ._record import Record


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


def known_facts(
    facts: Mapping[str, Any],
    spec: StudySpec,
    images: Sequence[ImageRef],
    batch_size: int,
    shard_batches: int,
) -> dict[str, Any]:
    """What must stay the same when a study goes on, as far as it is known without its plan."""
    listed = {"images": [list(image) for image in images]}
    known = {
        **facts,
        "spec": spec.identity,
        "images": {"count": len(images), "sha256": fingerprint(listed)},
        "batch_size": batch_size,
        "shard_batches": shard_batches,
    }
    return dict(json.loads(json.dumps(known)))  # as it will be read again: tuples are lists in JSON


class Content(NamedTuple):
    """What a study's folder is made with.

    Attributes
    ----------
    spec : StudySpec
    frozen : mapping
        What must be the same whenever it goes on.
    plan : sequence of mapping
        A row for each variant.
    images : sequence of ImageRef
    digests : sequence of str
        SHA-256 of each image's file, by `image_digests`; none where they are not known.
    files : mapping of str to bytes
        Further files.
    notes : mapping
        Plain data for the record.
    """

    spec: StudySpec
    frozen: Mapping[str, Any]
    plan: Sequence[Mapping[str, Any]]
    images: Sequence[ImageRef]
    digests: Sequence[str]
    files: Mapping[str, bytes]
    notes: Mapping[str, Any]

    @property
    def names(self) -> set[str]:
        """Names of the files."""
        return {_layout.SPEC, _layout.PLAN, _layout.IMAGES, _layout.ENVIRONMENT, *self.files}

    def encoded(self) -> dict[str, bytes]:
        """Content of every file by name, but for the record of them."""
        # Where it is computed is no part of what a study is.
        spec = self.spec.model_copy(update={"execution": LocalExecution()})
        return {
            _layout.SPEC: spec_to_yaml(spec).encode(),
            _layout.PLAN: _layout.encode_table(pa.Table.from_pylist([dict(row) for row in self.plan])),
            _layout.IMAGES: _layout.encode_table(images_table(self.images, self.digests)),
            **self.files,
        }

    def write(self, folder: Path) -> None:
        """Write every file; the one last by which a folder is known as a study."""
        files = self.encoded()
        for name, content in files.items():
            write_whole(folder / name, partial(_write, content), StudyError)
        sums = {name: sha256(content).hexdigest() for name, content in files.items()}
        Record.write(folder, self.frozen, {**incidental(), **self.notes}, sums)


def images_table(images: Sequence[ImageRef], digests: Sequence[str]) -> pa.Table:
    """A row for each image, with the checksum of its file where that is known."""
    table = pa.Table.from_pylist([image._asdict() for image in images])
    return table.append_column("sha256", pa.array(list(digests), pa.string())) if digests else table


def make_folder(path: Path, content: Content) -> None:
    """Write a study's folder beside its place, and move it there in one step.

    Raises
    ------
    StudyError
        If it cannot be written; nothing is left then.
    """
    path = path.resolve()  # whoever names a link to an empty folder means that folder
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        (scratch / _layout.DETECTIONS).mkdir(parents=True)
        content.write(scratch)
        scratch.rename(path)  # takes the place of an empty folder, too
        sync_folder(path.parent)
    except OSError as error:
        raise StudyError(f"{path} cannot be made: {why_refused(error)}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)
