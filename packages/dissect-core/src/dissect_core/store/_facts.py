"""Facts that must be the same whenever a study goes on, compared by name: a refusal says what differs."""

import hashlib
import json
import os
import platform
import re
import socket
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..spec import StudySpec
    from ._images import ImageRef

FORMAT = 3
"""Version of the folder's layout; the first one recorded neither its truth nor what is in the image files."""
FIRST_CHECKED = 3
"""The first version whose files have checksums; that of the second differs in nothing else."""
DISTRIBUTIONS = ("dissect-core", "numpy", "pyarrow", "torch")
NAMED_AT_MOST = 12
SHOWN = 100
"""Characters of a fact that are shown."""


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Return the versions of Python and of installed distributions; others are left out."""
    installed = {name: _version(name) for name in (*DISTRIBUTIONS, *more)}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: found for name, found in installed.items() if found is not None}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def incidental() -> dict[str, Any]:
    """Return facts that may differ between the runs of a study, for the record."""
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of facts, whatever their order.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def known_facts(
    facts: Mapping[str, Any],
    spec: "StudySpec",
    images: Sequence["ImageRef"],
    batch_size: int,
    shard_batches: int,
) -> dict[str, Any]:
    """Return the facts that must stay the same when a study goes on, as far as they are known without its plan."""
    listed = {"images": [list(image) for image in images]}
    known = {
        **facts,
        "spec": spec.identity,
        "images": {"count": len(images), "sha256": fingerprint(listed)},
        "batch_size": batch_size,
        "shard_batches": shard_batches,
    }
    return dict(json.loads(json.dumps(known)))  # as it will be read again: tuples are lists in JSON


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Say what has changed, one sentence for each fact.

    Examples
    --------
    >>> differences({"spec": {"seed": 0}, "batch_size": 1}, {"spec": {"seed": 3}, "batch_size": 1})
    ['spec.seed was 0, is now 3']
    >>> differences({"file_sha256": "0" * 64}, {"file_sha256": "1" * 64})
    ['file is another one']
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            line
            for key in keys
            for line in differences(
                before.get(key, _Missing), now.get(key, _Missing), f"{name}.{key}" if name else str(key)
            )
        ]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = enumerate(zip(before, now, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{name}[{i}]")]
    if isinstance(before, list) and isinstance(now, list) and len(_shown([before, now])) > SHOWN:
        first = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), None)
        where = f", first in {name}[{first}]" if first is not None else ""
        return [f"{name} had {len(before)} entries, has now {len(now)}{where}"]
    if before != now and _is_checksum(before) and _is_checksum(now):
        return [f"{re.sub(r'[._]sha256$', '', name)} is another one"]
    return [] if before == now else [f"{name} was {_shown(before)}, is now {_shown(now)}"]


def _is_checksum(value: Any) -> bool:
    """Return whether a value is a checksum, which people cannot compare."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32,}", value) is not None


class _Missing:
    """Stands for a fact that is not there."""


def _shown(value: Any) -> str:
    if value is _Missing:
        return "not there"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def listed(lines: Sequence[str], at_most: int = NAMED_AT_MOST) -> str:
    """Join differences, the first of them where there are many."""
    more = len(lines) - at_most
    return "; ".join([*lines[:at_most], *([f"and {more} more"] if more > 0 else [])])
