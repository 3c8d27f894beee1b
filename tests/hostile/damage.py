"""Ways to damage a file, by what it holds."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from hostile import mutate, seeds

Mutate = Callable[[bytes, random.Random, Sequence[bytes]], bytes]
"""Takes a file's content, a random generator and the content of other files."""


def damaged(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change bytes, whatever they mean."""
    return mutate.mutate_bytes(data, rng, others)


def structured(
    parse: Callable[[bytes], Any], write: Callable[[Any], bytes], dictionary: Sequence[Any] = ()
) -> Mutate:
    """Change plain data in a file, mostly; now and then its bytes."""

    def change(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
        if rng.random() < 0.3:
            return mutate.mutate_bytes(data, rng, others)
        return write(mutate.mutate_data(parse(data), rng, dictionary))

    return change


def of_yaml(data: bytes) -> Any:
    """Plain data of a YAML file."""
    import yaml

    return yaml.safe_load(data)


def any_of(*ways: Mutate) -> Mutate:
    """One of several ways to damage a file."""
    return lambda data, rng, others: rng.choice(ways)(data, rng, others)


def in_archive(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change what lies in a zip archive: pickles as programs, all else as bytes."""

    def inner(name: str, content: bytes) -> bytes:
        if name.endswith(".pkl"):
            return mutate.mutate_pickle(content, rng)
        return mutate.mutate_bytes(content, rng, others)

    return mutate.mutate_zip(data, rng, inner)


def pickled(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """Change a pickle where its opcodes are."""
    return mutate.mutate_pickle(data, rng)


def table(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """Change a Parquet table as a table."""
    return mutate.mutate_parquet(data, rng)


def header(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """Change the header of a safetensors file."""
    n = int.from_bytes(data[:8], "little")
    changed = mutate.as_json(
        mutate.mutate_data(json.loads(data[8 : 8 + n]), rng, ("F32", "F64", "BF16", "__metadata__"))
    )
    return len(changed).to_bytes(8, "little") + changed + data[8 + n :]


def stored_config(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change the config that a checkpoint holds."""

    import torch

    if rng.random() < 0.15:
        text = mutate.mutate_bytes(mutate.as_python(seeds.CONFIG).encode(), rng, others).decode(
            "utf-8", "replace"
        )
    else:
        text = mutate.as_python(
            mutate.mutate_data(seeds.CONFIG, rng, ("ResNet", "DETR", {"type": "hostile_mark.Part"}, 10**8))
        )
    content = torch.load(io.BytesIO(data), weights_only=False)
    content["meta"]["cfg"] = text
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def log(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """Change the entries of a log."""
    entries = [json.loads(line) for line in data.splitlines()]
    entries.append({"event": "failed", "shard": 0, "images": [0, 1], "error": "none", "time": "now"})
    entries = mutate.mutate_data(entries, rng, ("failed", "begun", "shard"))
    if not isinstance(entries, list):
        entries = [entries]
    return b"".join(json.dumps(entry).encode("utf-8", "surrogatepass") + b"\n" for entry in entries)


json_file = structured(json.loads, mutate.as_json)
