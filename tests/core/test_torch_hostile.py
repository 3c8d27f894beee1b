"""Checkpoints that were made to do harm: one line each, in bounded time and memory, and nothing happens."""

import io
import json
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dissect_core import CheckpointError  # noqa: E402
from dissect_core.torch import RefusedNameError, load_checkpoint, read_pickle  # noqa: E402
from hostile_pickles import (  # noqa: E402
    F8,
    HOSTILE,
    Code,
    archive,
    array,
    call,
    legacy,
    name,
    nested,
    tensor,
    value,
    whole,
)


def checked_alone(folder: Path) -> None:
    """Read all files of a folder: one line each, within a second and without memory. Run in a process of its own."""
    load_checkpoint(folder / "fine.pth")  # what this loads is there before the memory is bounded
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
    for path in sorted(folder.glob("[0-9]*")):
        print(path.name, flush=True)
        start = time.perf_counter()
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            message = str(error)
        else:
            raise AssertionError(f"{path.name} was read")
        taken = time.perf_counter() - start
        print(f"{taken:.2f}")
        assert taken < 20, message
        assert "\n" not in message, message
        assert len(message) < 1500, message
        assert not re.search("weights_only|safe_globals|internal", message), message
        assert "memory: MemoryError" not in message, message
    assert np.dtype("f8").fields is None
    assert np.dtype("f8").metadata is None
    print("done")


def test_hostile_checkpoints(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(4)}, tmp_path / "fine.pth")
    names = {}
    for number, (case, content) in enumerate(HOSTILE.items()):
        names[f"{number}"] = case
        held = Code(b"}" + value("x") + value(content) + b"s")
        (tmp_path / f"{number}.zip.pth").write_bytes(archive(held, bytes(16)))
        if not case.startswith("container"):
            (tmp_path / f"{number}.legacy.pth").write_bytes(legacy(held))
    code = (
        "import sys; sys.path[:0] = ['.', '..']; import test_torch_hostile as t; from pathlib import Path;"
        f"t.checked_alone(Path({str(tmp_path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    last = (done.stdout.split() or ["nothing"])[-1]
    assert done.returncode == 0, (names.get(last.partition(".")[0], last), last, done.stderr[-2000:])
    assert last == "done"


def test_the_memory_of_hostile_tensors_is_what_the_cases_say(tmp_path: Path) -> None:
    """So that they are refused for what they do, and not because the file is wrong."""
    (tmp_path / "m.pth").write_bytes(
        archive({"w": tensor(4, 1, (3,), (1,))}, np.arange(4, dtype="f4").tobytes())
    )
    assert load_checkpoint(tmp_path / "m.pth")["w"].tolist() == [1, 2, 3]
    raw = np.arange(3.0).tobytes()
    (tmp_path / "m.pth").write_bytes(archive({"a": array(F8, raw, (3,)), "s": {"k": nested(20)}}))
    assert load_checkpoint(tmp_path / "m.pth")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_arrays_of_all_plain_types_come_back(package: str) -> None:
    import pickle

    for code in ("?", "i1", "u1", "<i2", ">i4", "<i8", "u8", "<f2", ">f4", "f8", "c8", "c16", "<U3", "S2"):
        for content in (
            np.ones((2, 3)).astype(code),
            np.asfortranarray(np.ones((2, 3))).astype(code),
            np.array(1, code),
        ):
            for protocol in range(2, 6):
                raw = pickle.dumps([content, content.reshape(-1)[0]], protocol).replace(
                    b"numpy._core", package.encode()
                )
                if protocol < 4 or package == "numpy._core":  # the length of a name is in later ones
                    array_read, scalar = read_pickle(io.BytesIO(raw))
                    assert array_read.dtype.newbyteorder("=") == content.dtype.newbyteorder("=")
                    np.testing.assert_array_equal(array_read, content)
                    assert scalar == content.reshape(-1)[0]
                    assert type(scalar) is type(content.reshape(-1)[0])


def test_archives_that_lie(tmp_path: Path) -> None:
    content = {"w": tensor(2**24, 0, (1,), (1,))}
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as file:
        file.writestr("a/data.pkl", whole({}))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a/data.pkl", whole({}))
    overlapping = bytearray(archive({}, bytes(10_000), other=bytes(10_000)))
    entry = overlapping.rindex(b"a/other") - 46
    overlapping[entry + 20 : entry + 28] = struct.pack("<II", 2**31, 2**31)
    cases = {
        "a bomb": (archive(content, bytes(2**26), zipfile.ZIP_DEFLATED), "is compressed"),
        "two of a name": (twice.getvalue(), "one name"),
        "larger than the file": (bytes(overlapping), "larger than the file"),
        "no memory": (archive({"w": tensor(4, 0, (1,), (1,), key="7")}), "data/7"),
        "damaged memory": (
            archive({"w": tensor(4, 0, (1,), (1,))}, b"ABCD" * 4).replace(b"ABCDABCD", b"ABCDABCE"),
            "CRC",
        ),
    }
    for case, (raw, message) in cases.items():
        (tmp_path / "m.pth").write_bytes(raw)
        with pytest.raises(CheckpointError, match=rf"truncated or damaged \(.*{message}"):
            load_checkpoint(tmp_path / "m.pth")
        assert case


def test_memory_of_other_machines(tmp_path: Path) -> None:
    memory = np.arange(4, dtype=">f4").tobytes()
    (tmp_path / "m.pth").write_bytes(archive({"w": tensor(4, 0, (4,), (1,))}, memory, byteorder=b"big"))
    assert load_checkpoint(tmp_path / "m.pth")["w"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"\x07\0\0\0", b"\xff\1\1\1"])
def test_truth_values_that_are_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pth").write_bytes(archive({"w": tensor(4, 0, (4,), (1,), kind="Bool")}, content))
    with pytest.raises(CheckpointError, match="other values than true and false"):
        load_checkpoint(tmp_path / "m.pth")


def test_what_a_message_says_of_names(tmp_path: Path) -> None:
    many = [name("some.\x1b[31mred"), *(name(f"some.{'x' * 5000}{i}") for i in range(49))]
    (tmp_path / "m.pth").write_bytes(archive({"x": many}))
    with pytest.raises(CheckpointError, match=r"and 40 more, which is more than tensors") as caught:
        load_checkpoint(tmp_path / "m.pth")
    assert len(str(caught.value)) < 3000
    assert "\x1b" not in str(caught.value)


def test_a_plain_pickle_names_what_it_asks_for() -> None:
    with pytest.raises(RefusedNameError, match=r"asks for posix\.system"):
        read_pickle(io.BytesIO(whole(call("posix.system", "true"))))


def test_schedules_of_learning_rates_and_tied_weights_are_read(tmp_path: Path) -> None:
    """What training checkpoints hold."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    weights = model.state_dict()
    saved: dict[str, Any] = {
        "state_dict": {
            **weights,
            "tied": weights["weight"],
            "part": weights["weight"][1:],
            "p": model.weight,
        },
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": torch.get_rng_state(),
        "numpy": np.random.RandomState(0).get_state(),
        "others": [
            1 + 2j,
            bytearray(b"ab"),
            {1, 2},
            frozenset("a"),
            torch.Size([2]),
            torch.device("cuda:1"),
            torch.half,
        ],
        "unsigned": torch.ones(3, dtype=torch.uint16),
        "empty": torch.empty(0, 3),
        "expanded": torch.ones(1).expand(8, 100),
    }
    for new in (True, False):
        torch.save(saved, tmp_path / "m.pth", _use_new_zipfile_serialization=new)
        read = load_checkpoint(tmp_path / "m.pth")
        assert repr(read) == repr(saved)
        assert read["state_dict"]["tied"].data_ptr() == read["state_dict"]["weight"].data_ptr()
        assert read["state_dict"]["p"].requires_grad
        assert json.dumps([type(v).__name__ for v in read["others"]]) == json.dumps(
            [type(v).__name__ for v in saved["others"]]
        )
