"""What a page's kernel does: it opens the workbench, in the folder from which the app was started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..workbench._panel import Workbench

__all__ = ["AT_WORK", "FOLDER", "STUDY", "opened"]

STUDY = "DEEP_DISSECT_STUDY"
"""Environment variable that tells the notebook which study to open."""
FOLDER = "DEEP_DISSECT_FOLDER"
"""Environment variable: what relative names are relative to."""
AT_WORK = "DEEP_DISSECT_AT_WORK"
"""Environment variable: a file that is there while the kernel runs a study."""


def opened(**options: Any) -> Workbench:
    """The workbench, with the study that the environment names, and with further options of its own."""
    if folder := os.environ.get(FOLDER):
        os.chdir(folder)
    # IPython looks for modules where it stands, before all that are installed. What lies there may be a stranger's.
    sys.path[:] = [path for path in sys.path if path]
    workbench = Workbench(os.environ.get(STUDY) or None, **options)
    if mark := os.environ.get(AT_WORK):
        run = workbench.run

        def tell(_change: Mapping[str, Any]) -> None:
            with suppress(OSError):  # the app is ending
                Path(mark).touch() if run.is_active else Path(mark).unlink(missing_ok=True)

        run.observe(tell, "state")
    return workbench
