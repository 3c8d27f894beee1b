import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from dissect_core import CheckpointError  # noqa: E402
from dissect_core.torch import load_checkpoint, save_checkpoint  # noqa: E402

OLD, NEW = {"weight": torch.zeros(4)}, {"weight": torch.ones(4)}


def test_a_new_file_and_a_replaced_one(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    for content in (OLD, NEW):
        save_checkpoint(content, str(path))
        assert load_checkpoint(path)["weight"].equal(content["weight"])
        assert [p.name for p in tmp_path.iterdir()] == ["m.pth"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_checkpoint(NEW, tmp_path / "m.pth")
    assert (tmp_path / "m.pth").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    save_checkpoint(OLD, tmp_path / "real.pth")
    (tmp_path / "m.pth").symlink_to("real.pth")
    save_checkpoint(NEW, tmp_path / "m.pth")
    assert not (tmp_path / "m.pth").is_symlink()
    assert load_checkpoint(tmp_path / "m.pth")["weight"].equal(NEW["weight"])
    assert load_checkpoint(tmp_path / "real.pth")["weight"].equal(OLD["weight"])


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), CheckpointError),
        (RuntimeError("writer failed"), CheckpointError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failing_writer_leaves_what_was_there(
    existing: bool, error: BaseException, raised: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.pth"
    if existing:
        save_checkpoint(OLD, path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def half(content: Any, file: Any) -> None:
        file.write(b"PK\x03\x04 half a file")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", half)
        with pytest.raises(raised) as caught:
            save_checkpoint(NEW, path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    if raised is CheckpointError:
        assert "m.pth cannot be written" in str(caught.value)
        assert caught.value.__cause__ is error


def test_a_failing_rename_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(OLD, tmp_path / "m.pth")

    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        with pytest.raises(CheckpointError, match="permission denied"):
            save_checkpoint(NEW, tmp_path / "m.pth")
    assert [p.name for p in tmp_path.iterdir()] == ["m.pth"]
    assert load_checkpoint(tmp_path / "m.pth")["weight"].equal(OLD["weight"])


def test_content_that_cannot_be_pickled(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be written: .*objects that can be pickled"):
        save_checkpoint({"weight": torch.ones(1), "hook": lambda: None}, tmp_path / "m.pth")
    assert list(tmp_path.iterdir()) == []


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"its folder does not exist. Create"):
        save_checkpoint(NEW, tmp_path / "nowhere" / "m.pth")
    with pytest.raises(CheckpointError, match="it is a folder"):
        save_checkpoint(NEW, tmp_path)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_kill_in_the_middle_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    save_checkpoint(OLD, path)
    code = (
        "import os, signal, sys, torch\n"
        "from dissect_core.torch import save_checkpoint\n"
        "def half(content, file):\n"
        "    file.write(b'PK half a file'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "torch.save = half\n"
        f"save_checkpoint({{'weight': torch.ones(4)}}, {str(path)!r})\n"
    )
    environment = {**os.environ, "PYTHONPATH": ":".join(entry for entry in sys.path if entry)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert load_checkpoint(path)["weight"].equal(OLD["weight"])
