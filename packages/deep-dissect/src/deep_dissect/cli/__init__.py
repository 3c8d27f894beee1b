"""The ``deep-dissect`` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; `_main.main` says with which status.

    Everything is imported here and later, where an interruption ends the program with a line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line without the program's name. Left out, it is the process's own, and the process is ended.
    """
    from ._interruption import INTERRUPTED, interruptible, leave_until_begun

    if arguments is None:
        leave_until_begun()
    with interruptible(own_process=arguments is None) as interruption:
        from ._main import main as run

        run(arguments, interruption)
    if interruption.came:
        raise SystemExit(INTERRUPTED)


def __getattr__(name: str) -> Any:
    if name == "app":
        from ._main import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
