import errno
import os
import pickle
import socket
from pathlib import Path

import pytest

from dissect_core.errors import DissectError, IrregularFileError, SpecError, StudyError
from dissect_core.files import open_regular, read_regular
from dissect_core.spec import load_spec
from dissect_core.study import Study


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [open_regular, read_regular])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(read: object, kind: str, tmp_path: Path) -> None:
    place = tmp_path / "environment.json"
    if kind == "FIFO":
        os.mkfifo(place)
    elif kind == "socket":
        os.chdir(tmp_path)  # the name of a socket is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    elif kind == "device":
        place = Path("/dev/zero")
    else:
        place.mkdir()
    with pytest.raises(
        IrregularFileError, match=f"^{place} cannot be used: it is a {kind}, not a regular file"
    ):
        read(place)  # type: ignore[operator]


def test_a_link_to_a_fifo_is_refused_and_one_to_a_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"content")
    for name in ("pipe", "file"):
        (tmp_path / f"to-{name}").symlink_to(name)
    with pytest.raises(IrregularFileError, match="it is a FIFO"):
        read_regular(tmp_path / "to-pipe")
    assert read_regular(tmp_path / "to-file") == b"content"
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "missing")


def test_its_error_is_one_of_files_and_survives_a_pickle(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="it is a folder") as caught:
        open_regular(tmp_path)
    assert isinstance(caught.value, DissectError)
    assert caught.value.errno == errno.EISDIR
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.timeout(20)
def test_no_reader_of_a_study_waits_for_a_fifo(tmp_path: Path) -> None:
    for name in ("environment.json", "spec.yaml"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(StudyError, match=r"environment\.json cannot be read: it is a FIFO"):
        Study.open(tmp_path)
    with pytest.raises(SpecError, match=r"spec\.yaml cannot be read: it is a FIFO"):
        load_spec(tmp_path / "spec.yaml")
