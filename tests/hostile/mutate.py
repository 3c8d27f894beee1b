"""Damage to files: bytes, plain data, texts, tables, archives and pickles, each by a random generator."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

MODULE = "hostile_mark"
"""A module that only a file would import."""
TOKENS: tuple[bytes, ...] = (
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff" * 8,
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80",
    b"\xed\xa0\x80",
    b"NaN",
    b"Infinity",
    b"-1",
    b"0",
    b"1e400",
    b"1" + b"0" * 400,
    b"9223372036854775808",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"[" * 5000,
    b'{"a":' * 5000,
    b"(" * 5000,
    b"-" * 5000,
    b"!!python/object/apply:os.system ['touch ran']",
    b"!!python/name:os.system",
    b"&a [*a]",
    b"<<: *a",
    b"cos\nsystem\n(S'touch ran'\ntR.",
    b"cposix\nsystem\n",
    b"\x93",
    b"\x81",
    b"R",
    b"b",
    b"__import__('os')",
    b"hostile_mark.Part",
    b"subprocess.Popen",
    b"../../../etc/passwd",
    b"/dev/zero",
    b"file_name",
    b"\x1b[31m",
    "\u202e".encode(),
    b"$\\frac{",
    b"=1+1",
)
NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    -0.0,
    2**31,
    2**63,
    2**64,
    10**20,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "0",
    "nan",
    " ",
    "\n",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "a" * 5000,
    "$x$",
    "[red]",
    "../../etc/passwd",
    "/dev/zero",
    "/",
    ".",
    "subprocess.Popen",
    "hostile_mark.Part",
    "hostile_mark::Part",
    "*",
    "**" * 50,
    "[[[",
    [],
    [None],
    [[]],
    [0] * 3,
    {},
    {"a": 1},
    {"type": "subprocess.Popen"},
    {"": {}},
    [1e400],
    ["a", 1, None],
)


def mutate_bytes(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Change bytes in one to three places, or in one large one."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(_BYTES)(data, rng, others or (data,))
    return data


def _flip(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    if not data:
        return b"\x01"
    changed, at = bytearray(data), rng.randrange(len(data))
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    at, n = _somewhere(data, rng), rng.choice((1, 1, 2, 4, 8, 64))
    return data[:at] + rng.randbytes(n) + data[at + n :]


def _cut(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    return data[: _somewhere(data, rng)]


def _drop(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    at = _somewhere(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 8, 100)) :]


def _repeat(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    a, b = sorted((_somewhere(data, rng), _somewhere(data, rng)))
    return data[:b] + data[a:b] * rng.choice((1, 1, 30)) + data[b:]


def _swap(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    n = max(1, min(len(data) // 3, rng.choice((1, 4, 16, 256))))
    a, b = sorted((_somewhere(data[n:], rng), _somewhere(data[n:], rng)))
    return (
        data if b < a + n else data[:a] + data[b : b + n] + data[a + n : b] + data[a : a + n] + data[b + n :]
    )


def _splice(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: _somewhere(data, rng)] + other[_somewhere(other, rng) :]


def _token(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    token, at = rng.choice(TOKENS), _somewhere(data, rng)
    return data[:at] + token + data[at + rng.choice((0, len(token))) :]


def _number(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """A size or a count, made another one."""
    at, form = _somewhere(data, rng), rng.choice(("<I", ">I", "<Q", "<H"))
    high = 2 ** (8 * struct.calcsize(form)) - 1
    number = rng.choice((0, 1, high, high // 2, high // 2 + 1, rng.randint(0, high)))
    return data[:at] + struct.pack(form, number) + data[at + struct.calcsize(form) :]


_BYTES: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    _flip, _flip, _overwrite, _cut, _drop, _repeat, _swap, _splice, _token, _token, _number,
)  # fmt: skip


def _somewhere(data: bytes, rng: random.Random) -> int:
    """A place; at the ends, where formats keep their sizes, more often than elsewhere."""
    if not data:
        return 0
    where = rng.random()
    if where < 0.15:
        return rng.randrange(min(64, len(data)))
    if where < 0.3:
        return len(data) - 1 - rng.randrange(min(64, len(data)))
    return rng.randrange(len(data))


def mutate_data(value: Any, rng: random.Random, dictionary: Sequence[Any] = ()) -> Any:
    """Change plain data in one to three places."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(value, rng, (*NASTY, *dictionary))
    return value


def _changed(root: Any, rng: random.Random, nasty: Sequence[Any]) -> Any:
    places = list(_places(root, ()))
    path = rng.choice(places)
    if not path:
        return rng.choice(nasty) if rng.random() < 0.3 or not isinstance(root, (dict, list)) else root
    *above, last = path
    holder = root
    for step in above:
        holder = holder[step]
    kind = rng.randrange(8)
    if kind < 3:
        holder[last] = copy.deepcopy(rng.choice(nasty))
    elif kind == 3:
        del holder[last]
    elif kind == 4:  # something from elsewhere
        other = root
        for step in rng.choice(places):
            other = other[step]
        holder[last] = copy.deepcopy(other)
    elif kind == 5 and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[last : last + 1]) * rng.choice((1, 3)))
    elif kind == 5:
        holder[str(rng.choice(("x", "", "type", "__class__", "_delete_", "\n", last)))] = holder.pop(last)
    elif kind == 6:
        deep: Any = holder[last]
        for _ in range(rng.choice((1, 2, 200))):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        holder[last] = deep
    else:
        holder[last] = _nudged(holder[last], rng)
    return root


def _nudged(value: Any, rng: random.Random) -> Any:
    """A number a little or much different, a text with other letters."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return rng.choice((value + 1, -value, value * 10**9, value * 1000, value / 2, str(value), [value]))
    if isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        return value[:at] + rng.choice(("x", "\n", "\x00", "'", '"', "é", "\ud800", "<b>", "$")) + value[at:]
    return [value]


def _places(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Paths to everything; of long lists to the ends alone."""
    found = [path]
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = [*range(len(value))] if len(value) < 20 else [0, 1, len(value) - 1]
    for key in keys:
        found += _places(value[key], (*path, key))
    return found


def as_json(value: Any) -> bytes:
    """Plain data as JSON, with numbers that it cannot hold, too."""
    return json.dumps(value, indent=1).encode("utf-8", "surrogatepass")


def as_yaml(value: Any) -> bytes:
    """Plain data as YAML; what only JSON can say, in JSON."""
    import yaml

    try:
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")
    except Exception:  # what YAML cannot say
        return as_json(value)


def as_python(value: Any) -> str:
    """The config of a checkpoint as MMEngine writes it: a line of literals for each name."""
    if not isinstance(value, dict):
        return repr(value)
    return "\n".join(f"{name} = {content!r}" for name, content in value.items())


def mutate_zip(data: bytes, rng: random.Random, inner: Callable[[str, bytes], bytes]) -> bytes:
    """Change an archive's entries: their content, names, number or compression, and pack it again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    at = rng.randrange(len(entries))
    if rng.random() < 0.5:  # what is unpickled
        at = next((i for i, (name, _) in enumerate(entries) if name.endswith(".pkl")), at)
    name, content = entries[at]
    kind = rng.randrange(8)
    if kind < 4:
        entries[at] = (name, inner(name, content))
    elif kind == 4:
        del entries[at]
    elif kind == 5:
        entries.append((name, inner(name, content)))
    elif kind == 6:
        entries[at] = (
            rng.choice(("../../ran", "/ran", "x", "", name + "/x", name.replace("data", "date"))),
            content,
        )
    else:
        entries[at] = (name, content * rng.choice((0, 2)) + b"\0" * rng.choice((0, 2**24)))
    packed = io.BytesIO()
    how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", how) as archive:
        warnings.simplefilter("ignore")
        for name, content in entries:
            archive.writestr(name or "x", content)
    return packed.getvalue()


GLOBALS = (
    "os system",
    "posix system",
    "builtins eval",
    "builtins getattr",
    "builtins set",
    "collections OrderedDict",
    "hostile_mark Part",
    "mmengine.logging.history_buffer HistoryBuffer",
    "numpy ndarray",
    "numpy dtype",
    "numpy._core.multiarray scalar",
    "numpy._core.multiarray _reconstruct",
    "torch Tensor",
    "torch FloatStorage",
    "torch.serialization load",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_sparse_tensor",
)


def mutate_pickle(data: bytes, rng: random.Random) -> bytes:
    """Change names, numbers and sizes in a pickle, where its opcodes are."""
    import pickletools

    try:
        codes = [(code.name, argument, place) for code, argument, place in pickletools.genops(data)]
    except Exception:
        return mutate_bytes(data, rng)
    if rng.random() < 0.25:
        return mutate_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 2))):
        i = rng.randrange(len(codes) - 1)
        name, _argument, place = codes[i]
        end = codes[i + 1][2]
        globals_ = [j for j, (each, _, _) in enumerate(codes[:-1]) if each == "GLOBAL"]
        if globals_ and rng.random() < 0.3:
            i = rng.choice(globals_)
            place, end = codes[i][2], codes[i + 1][2]
            name = "GLOBAL"
        if name == "GLOBAL":
            new = b"c" + rng.choice(GLOBALS).replace(" ", "\n").encode() + b"\n"
        elif name.startswith(("BININT", "LONG", "INT")):
            new = rng.choice(
                (
                    b"K\x00",
                    b"J\xff\xff\xff\xff",
                    b"J\xff\xff\xff\x7f",
                    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
                    b"N",
                    b"G" + struct.pack(">d", 1e300),
                )
            )
        elif rng.random() < 0.3:
            new = b""
        elif rng.random() < 0.5:
            new = data[place:end] * 2
        else:
            j = rng.randrange(len(codes) - 1)
            new = data[codes[j][2] : codes[j + 1][2]]
        return data[:place] + new + data[end:]
    return data


def mutate_parquet(data: bytes, rng: random.Random) -> bytes:
    """Change a table's cells, columns, rows, types or metadata, and write it again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refused = (pa.ArrowException, TypeError, ValueError, OverflowError)
    table = pq.read_table(pa.BufferReader(data))
    metadata = table.schema.metadata
    n, kind = table.num_rows, rng.randrange(9)
    column = rng.randrange(table.num_columns)
    field, values = table.schema.field(column), table.column(column).to_pylist()
    if kind == 0:
        a, b = rng.randrange(n), rng.randrange(n)
        values[a], values[b] = values[b], values[a]
    elif kind == 1:
        values[rng.randrange(n)] = None
    elif kind == 2:
        at = rng.randrange(n)
        changed = mutate_data({"cell": values[at]}, rng)
        values[at] = changed.get("cell") if isinstance(changed, dict) else changed
    elif kind == 3:
        values[rng.randrange(n)] = values[rng.randrange(n)]
    elif kind == 4:
        table = table.slice(rng.randrange(n))
    elif kind == 5:
        table = table.take(rng.sample(range(n), n))
    elif kind == 6:
        table = (
            table.remove_column(column)
            if rng.random() < 0.5
            else pa.concat_tables([table, table.slice(rng.randrange(n))])
        )
    elif kind == 7:
        names = table.column_names
        names[column] = rng.choice(("x", "", rng.choice(names)))
        table = table.rename_columns(names)
    else:
        values = [str(value) for value in values]
        field = pa.field(field.name, pa.string())
    if kind in (0, 1, 2, 3, 8):
        try:
            array = pa.array(values, field.type)
        except refused:
            try:
                array = pa.array(values)
                field = pa.field(field.name, array.type)
            except refused:
                return mutate_bytes(data, rng)
        table = table.set_column(column, field.with_nullable(True), array)
    out = io.BytesIO()
    try:
        pq.write_table(
            table.replace_schema_metadata(metadata if rng.random() < 0.9 else None),
            out,
            compression=rng.choice(("zstd", "snappy", "none")),
        )
    except pa.ArrowException:
        return mutate_bytes(data, rng)
    return out.getvalue()
