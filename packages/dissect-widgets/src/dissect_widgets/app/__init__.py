"""The workbench as an app in the browser, served by Voila on this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dissect_core.places import is_remote, place_of

from ..errors import DissectWidgetsError, MissingAppError, StudyFolderError

__all__ = ["NOTEBOOK", "STUDY", "arguments", "serve"]

NOTEBOOK = Path(__file__).with_name("workbench.ipynb")
STUDY = "DEEP_DISSECT_STUDY"
"""Environment variable that tells the notebook which study to open."""


def arguments(port: int, *, open_browser: bool) -> list[str]:
    """What Voila is told.

    Parameters
    ----------
    port : int
        Where, on 127.0.0.1.
    open_browser : bool

    Returns
    -------
    list of str
    """
    return [
        str(NOTEBOOK),
        f"--port={port}",
        "--Voila.ip=127.0.0.1",
        "--show_tracebacks=True",  # it is one's own machine
        *([] if open_browser else ["--no-browser"]),
    ]


def serve(
    study: Path | str | None = None,
    *,
    port: int = 8866,
    open_browser: bool = True,
    say: Callable[[str], object] = print,
) -> int:
    """Serve the workbench until it is interrupted or terminated.

    Parameters
    ----------
    study : Path or str, optional
        The folder of a study to open.
    port : int, optional
    open_browser : bool, optional
    say : callable, optional
        Takes a line for people.

    Returns
    -------
    int
        0.

    Raises
    ------
    MissingAppError
        If Voila is not installed.
    StudyFolderError
        If there is no such folder.
    DissectWidgetsError
        If something else listens on the port.
    """
    _require_free(port)
    place = None if study is None else place_of(study)
    if place is not None and not place.is_dir():
        raise StudyFolderError(f"There is no folder {study}. Give a study's folder, or none.")
    voila = _voila()
    if place is not None:  # for the notebook's kernel, which inherits it
        os.environ[STUDY] = str(place if is_remote(place) else place.resolve())
    say(f"Deep Dissect on http://127.0.0.1:{port}/ (Ctrl-C ends it)")
    # In this process: whatever ends it also ends the server, and the server its kernels.
    voila.launch_instance(argv=arguments(port, open_browser=open_browser))
    return 0


def _voila() -> Any:
    try:
        from voila.app import Voila
    except ModuleNotFoundError as error:
        if error.name not in ("voila", "voila.app"):
            raise
        raise MissingAppError(
            'The app needs Voila, which is not installed. Run `pip install "dissect-widgets[app]"`.',
            name="voila",
        ) from error
    return Voila


def _require_free(port: int) -> None:
    """Before Voila goes on to the next port, where nobody was told to look."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise DissectWidgetsError(
                f"`port` must be free, but something listens on {port} already. Give another one (--port on the "
                "command line)."
            )
