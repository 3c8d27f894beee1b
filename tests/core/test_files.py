import errno
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dissect_core.errors import CheckpointError, DissectError, IrregularFileError, SpecError, StudyError
from dissect_core.spec import load_spec
from dissect_core.storage.files import append_whole, open_regular, read_regular, write_whole
from dissect_core.store import Study


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


def links(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "victim").write_bytes(b"mine")
    os.mkfifo(tmp_path / "pipe")
    targets = {"file": "victim", "nothing": "none", "itself": "to-itself", "FIFO": "pipe", "folder": "."}
    for name, target in {**targets, "device": os.devnull}.items():
        (tmp_path / f"to-{name}").symlink_to(target)
    return {name: tmp_path / f"to-{name}" for name in (*targets, "device")}


@pytest.mark.timeout(20)
def test_a_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    made = links(tmp_path)
    for name in ("file", "nothing", "itself"):
        write_whole(made[name], lambda file: file.write(b"new"))
        assert not made[name].is_symlink()
        assert made[name].read_bytes() == b"new"
    for name in ("FIFO", "folder", "device"):
        with pytest.raises(CheckpointError, match=f"to-{name} cannot be written: it is a {name}"):
            write_whole(made[name], lambda file: file.write(b"new"))
    with pytest.raises(CheckpointError, match="pipe cannot be written: it is a FIFO, not a regular file"):
        write_whole(tmp_path / "pipe", lambda file: file.write(b"new"))
    assert (tmp_path / "victim").read_bytes() == b"mine"
    assert not (tmp_path / "none").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_second_name_keeps_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "new").hardlink_to(tmp_path / "victim")
    write_whole(tmp_path / "new", lambda file: file.write(b"new"))
    assert (tmp_path / "victim").read_bytes() == b"mine"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["file", "nothing", "itself", "FIFO", "folder", "device"])
def test_nothing_is_appended_through_a_link(tmp_path: Path, name: str) -> None:
    place = links(tmp_path)[name]
    with pytest.raises(IrregularFileError, match="it is a link"):
        append_whole(place, b"line\n")
    assert (tmp_path / "victim").read_bytes() == b"mine"
    assert not (tmp_path / "none").exists()


def test_what_is_appended_is_whole_and_begins_a_line(tmp_path: Path) -> None:
    for line in (b"1\n", b"2\n"):
        append_whole(tmp_path / "log", line)
    (tmp_path / "log").write_bytes(b"1\n2\n3")  # a kill has torn the third
    append_whole(tmp_path / "log", b"4\n")
    assert (tmp_path / "log").read_bytes() == b"1\n2\n3\n4\n"


WRITERS = """
import errno, os, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from dissect_core.storage.files import append_whole, write_whole

def plain(file):
    for _ in range(100):
        file.write(b"x" * 1000)

def parquet(file):
    import pyarrow as pa, pyarrow.parquet as pq
    import random
    pq.write_table(pa.table({"a": [random.random() for _ in range(50_000)]}), file)

def torch(file):
    import torch
    torch.save({"a": torch.rand(50_000)}, file)

def numpy(file):
    import numpy as np
    np.savez(file, a=np.random.rand(50_000))

def picture(file):
    from matplotlib.figure import Figure
    import numpy as np
    figure = Figure()
    figure.subplots().imshow(np.random.rand(500, 500))
    figure.savefig(file, format="png", dpi=300)

def log(_file):
    append_whole(Path("log"), b"begun\\n")
    try:
        append_whole(Path("log"), b"y" * 30_000 + b"\\n")
    finally:
        assert Path("log").read_bytes() == b"begun\\n", "half a line"
        Path("log").unlink()

try:
    write_whole("out", globals()[sys.argv[1]])
except Exception as error:
    print(type(error).__name__, error)
print(os.listdir())
"""


@pytest.mark.parametrize("writer", ["plain", "parquet", "torch", "numpy", "picture", "log"])
def test_a_disk_that_refuses_is_called_so_whatever_library_writes(tmp_path: Path, writer: str) -> None:
    """By a limit on files, which the system enforces as it does a full disk: in the midst of a write."""
    pytest.importorskip(
        {"picture": "matplotlib", "parquet": "pyarrow", "torch": "torch"}.get(writer, "numpy")
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WRITERS, writer],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == (
        "CheckpointError out cannot be written: it would be larger than a file may be (see `ulimit -f`). Raise the "
        "limit, then do the same again.\n[]\n"
    )
