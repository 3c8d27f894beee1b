"""Files in the safetensors format that were made to do harm: one line each, and no memory."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from dissect_core import CheckpointError  # noqa: E402
from dissect_core.torch import load_safetensors  # noqa: E402


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


CASES: dict[str, tuple[Any, int | None]] = {
    "a header of exabytes": ({"a": entry()}, 2**62),
    "a header longer than the file": ({"a": entry()}, 1000),
    "an overlap": ({"a": entry(), "b": entry()}, None),
    "offsets beyond the file": ({"a": entry(offsets=(0, 800))}, None),
    "an overflow": ({"a": entry((2**32, 2**32))}, None),
    "another size": ({"a": entry((3,))}, None),
    "a negative length": ({"a": entry((-2,))}, None),
    "empty, and exabytes wide": ({"a": entry((0, 2**62), (0, 0)), "b": entry()}, None),
    "two hundred axes": ({"a": entry((*[1] * 200, 2))}, None),
    "no truth values": ({"a": entry((8,), dtype="BOOL")}, None),
    "an odd type": ({"a": entry(dtype="\x1b[31m")}, None),
    "a name that cannot be printed": ('{"\\ud800": ' + json.dumps(entry()) + "}", None),
    "deep lists": ("[" * 100_000, None),
    "deep objects": ('{"a":' * 100_000, None),
    "a list": ("[1]", None),
    "a million names": ({f"k{i}": entry((0,), (0, 0)) for i in range(300_000)}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_files(case: str, tmp_path: Path) -> None:
    header, length = CASES[case]
    raw = (header if isinstance(header, str) else json.dumps(header)).encode()
    content = (len(raw) if length is None else length).to_bytes(8, "little") + raw + b"\7" * 8
    (tmp_path / "m.safetensors").write_bytes(content)
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match="is damaged, or not a safetensors file") as caught:
        load_safetensors(tmp_path / "m.safetensors")
    assert time.perf_counter() - start < 5
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
