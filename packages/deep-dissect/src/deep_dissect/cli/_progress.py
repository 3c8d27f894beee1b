"""Progress on the terminal, and seldom enough in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from dissect_core.text import cut, visible

SECONDS_BETWEEN_LINES_OF_A_LOG = 15.0
LABEL_AT_MOST = 60


def progress(
    items: Iterable[Any] | None = None, *, total: int | None = None, unit: str, label: str = ""
) -> tqdm[Any]:
    """A tqdm bar on standard error: many times a second on a terminal, a line now and then elsewhere."""
    interval = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES_OF_A_LOG
    return tqdm(
        items,
        total=total,
        unit=unit,
        desc=cut(visible(label), LABEL_AT_MOST) or None,
        mininterval=interval,
        dynamic_ncols=True,
        leave=False,
    )
