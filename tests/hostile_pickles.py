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
