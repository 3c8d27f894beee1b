"""The ``deep-dissect`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; see ``_main.main``.

    The rest is imported here: torch and MMDetection take seconds, and an interruption meanwhile is no fault.
    """
    try:
        from dissect_core.ending import ended_as_by_ctrl_c

        with ended_as_by_ctrl_c():
            from ._main import main as run

            run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name == "app":
        from ._main import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
