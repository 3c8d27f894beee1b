"""Pickles put together by hand, instruction by instruction, and archives around them."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


class Code(bytes):
    """Instructions that leave one value."""


def name(full: str) -> Code:
    """Instruction that looks a name up."""
    module, _, attribute = full.rpartition(".")
    return Code(f"c{module}\n{attribute}\n".encode())


def value(content: Any) -> Code:
    """Instructions that make a plain value, of which parts may be instructions."""
    if isinstance(content, Code):
        return content
    if content is None or isinstance(content, bool):
        return Code({None: b"N", True: b"\x88", False: b"\x89"}[content])
    if isinstance(content, int):
        raw = content.to_bytes(content.bit_length() // 8 + 1, "little", signed=True)
        return Code(b"\x8b" + struct.pack("<i", len(raw)) + raw)
    if isinstance(content, float):
        return Code(b"G" + struct.pack(">d", content))
    if isinstance(content, str):
        raw = content.encode("utf-8", "surrogatepass")
        return Code(b"X" + struct.pack("<I", len(raw)) + raw)
    if isinstance(content, bytes):
        return Code(b"B" + struct.pack("<I", len(content)) + content)
    if isinstance(content, dict):
        pairs = b"".join(value(key) + value(held) for key, held in content.items())
        return Code(b"}(" + pairs + b"u")
    inside = b"".join(value(part) for part in content)
    return Code(b"(" + inside + b"t") if isinstance(content, tuple) else Code(b"](" + inside + b"e")


def call(function: str | Code, *args: Any, new: bool = False) -> Code:
    """Instructions that call a name."""
    named = function if isinstance(function, Code) else name(function)
    return Code(named + value(args) + (b"\x81" if new else b"R"))


def build(made: Code, state: Any) -> Code:
    """Instructions that give something a state."""
    return Code(made + value(state) + b"b")


def storage(n: int, key: str = "0", kind: str = "Float") -> Code:
    """Memory of a tensor, by a persistent reference."""
    return Code(value(("storage", name(f"torch.{kind}Storage"), key, "cpu", n)) + b"Q")


def tensor(n: int, offset: int, size: Any, stride: Any, **options: Any) -> Code:
    """Instructions that make a tensor of memory of n values."""
    memory = storage(n, **options)
    return call(
        "torch._utils._rebuild_tensor_v2",
        memory,
        offset,
        size,
        stride,
        False,
        call("collections.OrderedDict"),
    )


def array(dtype: Any, raw: Any, shape: Any = (1,)) -> Code:
    """Instructions that make an array."""
    empty = call("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), (0,), b"b")
    return build(empty, (1, shape, dtype, False, raw))


def whole(content: Any) -> bytes:
    """A whole pickle."""
    return b"\x80\x02" + value(content) + b"."


def archive(content: Any, memory: bytes = b"", how: int = zipfile.ZIP_STORED, **parts: bytes) -> bytes:
    """A file of `torch.save` with that content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as file:
        file.writestr(
            "a/data.pkl", content if isinstance(content, bytes) and content[:1] == b"\x80" else whole(content)
        )
        file.writestr("a/data/0", memory)
        file.writestr("a/version", "3\n")
        for part, raw in parts.items():
            file.writestr(f"a/{part}", raw)
    return buffer.getvalue()


def legacy(content: Any, keys: Any = (), memory: bytes = b"") -> bytes:
    """The same in the format of torch before 1.6."""
    return whole(MAGIC) + whole(1001) + whole({}) + whole(content) + whole(list(keys)) + memory


def archive_with(parts: dict[str, Any], path: Path) -> None:
    """An ``.npz`` of raw parts."""
    with zipfile.ZipFile(path, "w") as file:
        for part, raw in parts.items():
            file.writestr(f"{part}.npy", npy(raw) if isinstance(raw, np.ndarray) else raw)


def npy(content: Any) -> bytes:
    """An array as NumPy writes it."""
    buffer = io.BytesIO()
    np.save(buffer, content)
    return buffer.getvalue()


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
HOSTILE = {
    f"{kind}: {case}": content
    for kind, cases in (("array", ARRAYS), ("tensor", TENSORS), ("container", CONTAINERS))
    for case, content in cases.items()
}
HOSTILE.update({f"name: {function}": call(function, *args) for function, args in REFUSED.items()})
HOSTILE.update({f"new: {function}": call(function, *args, new=True) for function, args in REFUSED.items()})
