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
    Code,
    archive,
    array,
    build,
    call,
    legacy,
    name,
    storage,
    tensor,
    value,
    whole,
)

LONG = 2**62
F8 = build(call("numpy.dtype", "f8", False, True), (3, "<", None, None, None, -1, -1, 0))


def nested(n: int) -> Code:
    """Tuples in each other."""
    return Code(b")" + b"\x85" * n)


def doubled(n: int) -> Code:
    """Lists that hold the one before twice: 2 to the power of n parts to walk."""
    return Code(b"]q\x00" + b"".join(b"0](h\x00h\x00eq\x00" for _ in range(n)))


def own_self() -> Code:
    """A dict that holds itself."""
    return Code(b"}q\x00X\x01\0\0\0ah\x00s")


ARRAYS = {
    "ndarray called": call("numpy.ndarray", (2,), F8, b"A" * 16),
    "pointers": array(call("numpy.dtype", "O8", False, True), b"A" * 8),
    "pointers, NumPy 2": call(
        "numpy._core.numeric._frombuffer", b"A" * 8, call("numpy.dtype", "O"), (1,), "C"
    ),
    "fields": array(call("numpy.dtype", [("a", "O")]), b"A" * 8),
    "fields by state": array(
        build(call("numpy.dtype", "V8", False, True), (3, "|", None, ("a",), {"a": (F8, 0)}, 8, 1, 0)),
        b"A" * 8,
    ),
    "a type changed": build(call("numpy.dtype", "f8"), (3, "<", None, ("a",), {"a": (F8, 0)}, 8, 1, 0)),
    "a subarray": build(call("numpy.dtype", "f8"), (3, "<", (F8, (LONG,)), None, None, 8, 1, 0)),
    "metadata": build(call("numpy.dtype", "f8"), (4, "<", None, None, None, -1, -1, 0, {"a": 1})),
    "void": array(call("numpy.dtype", "V8"), b"A" * 8),
    "a date": array(call("numpy.dtype", "M8[s]"), b"A" * 8),
    "text of terabytes": array(call("numpy.dtype", "U1000000000000"), b""),
    "scalar of pointers": call("numpy.core.multiarray.scalar", call("numpy.dtype", "O"), b"A" * 8),
    "scalar of an object": call("numpy.core.multiarray.scalar", F8, [1]),
    "too few bytes": array(F8, b"A" * 8, (2,)),
    "a shape of terabytes": array(F8, b"", (2**40, 0)),
    "an overflow": array(F8, b"", (2**32, 2**32)),
    "a negative shape": array(F8, b"", (-1, 0)),
    "a list of objects": array(F8, [1.0]),
    "no characters": array(call("numpy.dtype", "U1"), b"\xff\xff\xff\x7f"),
    "no truth values": array(call("numpy.dtype", "b1"), b"\x07"),
    "an array given to _reconstruct": call(
        "numpy.core.multiarray._reconstruct", name("numpy.dtype"), (2**40,), b"b"
    ),
    "a bare dtype": F8,
}
TENSORS = {
    "beyond its memory": tensor(4, 0, (1000,), (1,)),
    "terabytes of its memory": tensor(4, 0, (2**40,), (1,)),
    "an offset beyond": tensor(4, 5, (1,), (1,)),
    "a negative offset": tensor(4, -1, (1,), (1,)),
    "a negative stride": tensor(4, 3, (2,), (-1,)),
    "expanded to terabytes": tensor(4, 0, (2**40,), (0,)),
    "an overflow": tensor(4, 0, (2**32, 2**32), (0, 0)),
    "empty, and terabytes wide": tensor(4, 0, (0, LONG), (1, 1)),
    "overlapping itself": tensor(4, 0, (3, 2**30), (1, 0)),
    "no whole numbers": tensor(4, 0, (2.0,), (1,)),
    "no strides": tensor(4, 0, (2, 2), (1,)),
    "a hundred axes": tensor(4, 0, (1,) * 100, (0,) * 100),
    "memory of terabytes": tensor(2**40, 0, (1,), (1,)),
    "memory of another size": tensor(3, 0, (1,), (1,)),
    "negative memory": tensor(-1, 0, (1,), (1,)),
    "memory elsewhere": tensor(4, 0, (1,), (1,), key="../version"),
    "memory that is a name": call(
        "torch._utils._rebuild_tensor_v2", name("torch.FloatStorage"), 0, (1,), (1,)
    ),
    "a reference that is no memory": Code(
        value(("module", name("collections.OrderedDict"), "x", "y", 1)) + b"Q"
    ),
    "hooks": call("torch._utils._rebuild_tensor_v2", storage(4), 0, (1,), (1,), False, {"a": 1}),
    "a gradient of whole numbers": call(
        "torch._utils._rebuild_tensor_v2", storage(2, kind="Long"), 0, (1,), (1,), True, None
    ),
    "bare memory": storage(4),
    "a bare name": name("torch._utils._rebuild_tensor_v2"),
    "a thousand copies": [tensor(4, 0, (2**18,), (0,))] * 1000,
}
REFUSED = {  # names that PyTorch's own safe reader calls
    "torch.Tensor": (LONG,),
    "torch._utils._rebuild_sparse_tensor": (0, 0),
    "torch._utils._rebuild_meta_tensor_no_storage": (name("torch.float32"), (LONG,), (1,), False),
    "torch._utils._rebuild_wrapper_subclass": (),
    "torch._utils._rebuild_nested_tensor": (),
    "torch._utils._rebuild_qtensor": (),
    "torch._utils._rebuild_device_tensor_from_numpy": (),
    "torch._tensor._rebuild_from_type_v2": (),
    "torch.storage.TypedStorage": (LONG,),
    "torch.FloatTensor": (LONG,),
    "torch.sparse.FloatTensor": (LONG,),
    "torch.storage._load_from_bytes": (b"",),
    "builtins.getattr": (name("collections.OrderedDict"), "__init__"),
    "builtins.range": (10**12,),
    "collections.deque": ((), LONG),
    "collections.defaultdict": (),
}
CONTAINERS = {
    "200,000 nested tuples": nested(200_000),
    "200,000 nested tuples as a key": Code(b"}" + nested(200_000) + b"Ns"),
    "200,000 nested tuples in a set": Code(b"\x8f(" + nested(200_000) + b"\x90"),
    "200,000 nested tuples in a frozenset": Code(b"(" + nested(200_000) + b"\x91"),
    "200,000 nested tuples compared": Code(b"}" + nested(200_000) + b"Ns" + nested(200_000) + b"Ns"),
    "200,000 nested lists": Code(b"](" * 200_000 + b"e" * 200_000),
    "a memo bomb": doubled(60),
    "a dict that holds itself": own_self(),
    "a list that holds itself": Code(b"]q\x00h\x00a"),
    "bytes of terabytes": call("builtins.bytearray", 10**13),
    "bytes decompressed": call("_codecs.encode", "x", "zlib_codec"),
    "a shape of anything": call("torch.Size", 10**9),
    "a counter of text": call("collections.Counter", "x" * 1000),
    "a set copied": Code(
        value(list(range(1000))) + b"q\x00" + b"](" + b"cbuiltins\nset\n(h\x00tR" * 200_000 + b"e"
    ),
    "text encoded again": Code(
        value("x" * 100_000)
        + b"q\x00"
        + b"]("
        + b"c_codecs\nencode\n(h\x00X\x06\0\0\0latin1tR" * 10_000
        + b"e"
    ),
    "a dict's methods hidden": build(call("collections.OrderedDict"), {"items": 1}),
    "a function's defaults": build(name("torch._utils._rebuild_tensor_v2"), (None, {"__defaults__": (1,)})),
    "a class changed": build(name("collections.OrderedDict"), (None, {"items": 1})),
    "a result that is called": Code(call("torch.device", "cpu") + b")R"),
    "a tensor filled": Code(tensor(4, 0, (4,), (1,)) + value(0) + value(1.0) + b"s"),
    "a tensor with a state": build(tensor(4, 0, (4,), (1,)), (storage(4), 0, (LONG,), (1,))),
    "a number of a million digits": 10**1_000_000,
    "a key that cannot be printed": {"\ud800": 1},
    "a key that cannot be hashed": Code(b"}]Ns"),
    "nothing on the stack": Code(b"R"),
    "more than one value": Code(b"NN"),
    "marks left": Code(b"(N"),
}
CASES = {
    f"{kind}: {case}": content
    for kind, cases in (("array", ARRAYS), ("tensor", TENSORS), ("container", CONTAINERS))
    for case, content in cases.items()
}
CASES.update({f"name: {function}": call(function, *args) for function, args in REFUSED.items()})
CASES.update({f"new: {function}": call(function, *args, new=True) for function, args in REFUSED.items()})


def checked_alone(folder: Path) -> None:
    """Read all files of a folder: one line each, within a second and without memory. Run in a process of its own."""
    import ctypes  # noqa: F401  # what is loaded before the memory is bounded

    load_checkpoint(folder / "fine.pth")
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
    for number, (case, content) in enumerate(CASES.items()):
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
