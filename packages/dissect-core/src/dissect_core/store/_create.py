"""Making a study's folder: all of it, or nothing."""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ..errors import StudyError
from ..spec import LocalExecution, StudySpec, spec_to_yaml
from ..storage import why_refused, write_bytes_whole
from ..storage.files import TEMPORARY, sync_folder
from . import _file_names, _small_files
from ._facts import incidental
from ._images import ImageRef, images_table
from ._record import Record


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
        return {_file_names.SPEC, _file_names.PLAN, _file_names.IMAGES, _file_names.ENVIRONMENT, *self.files}

    def encoded(self) -> dict[str, bytes]:
        """Return the content of every file by name, but for `environment.json`, which records them."""
        # Where it is computed is no part of what a study is.
        spec = self.spec.model_copy(update={"execution": LocalExecution()})
        return {
            _file_names.SPEC: spec_to_yaml(spec).encode(),
            _file_names.PLAN: _small_files.encode_table(
                pa.Table.from_pylist([dict(row) for row in self.plan])
            ),
            _file_names.IMAGES: _small_files.encode_table(images_table(self.images, self.digests)),
            **self.files,
        }

    def write(self, folder: Path) -> None:
        """Write every file; the one last by which a folder is known as a study."""
        files = self.encoded()
        for name, content in files.items():
            write_bytes_whole(folder / name, content)
        sums = {name: sha256(content).hexdigest() for name, content in files.items()}
        Record.write(folder, self.frozen, {**incidental(), **self.notes}, sums)


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
        (scratch / _file_names.DETECTIONS).mkdir(parents=True)
        content.write(scratch)
        scratch.rename(path)  # takes the place of an empty folder, too
        sync_folder(path.parent)
    except OSError as error:
        raise StudyError(f"{path} cannot be made: {why_refused(error)}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
