"""JSON that others wrote: read without waiting, and only if it says everything once."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

from .._files import read_regular
from .._text import cut, quoted, visible
from ..errors import EvalError

__all__ = ["read_json"]


def read_json(path: str | os.PathLike[str], what: str, error: type[EvalError]) -> Any:
    """Return the parsed JSON file, or raise `error` that names it."""
    name = cut(visible(os.fspath(path)), 1000)
    try:
        return json.loads(read_regular(path).decode("utf-8-sig"), object_pairs_hook=_said_once)
    except OSError as exc:
        raise error(f"Cannot read the {what} file '{name}': {exc.strerror or exc}.") from exc
    except (ValueError, RecursionError) as exc:  # also a number of too many digits, or a key given twice
        reason = cut(visible(str(exc)))
        raise error(
            f"The {what} file '{name}' is not valid JSON ({reason}). It may be cut short: fetch or export it again."
        ) from exc


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; of a key that is given twice, the reader would keep the last."""
    kept = dict(pairs)
    if len(kept) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {quoted(twice)} twice")
    return kept
