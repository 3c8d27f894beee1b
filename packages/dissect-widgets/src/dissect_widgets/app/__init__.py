"""The workbench as an app in the browser, served by Voila on this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dissect_core.storage.locations import is_remote, location_of

from ..errors import DissectWidgetsError, MissingAppError, StudyFolderError
from ._page import AT_WORK, FOLDER, STUDY, opened

__all__ = ["AT_WORK", "FOLDER", "NOTEBOOK", "STUDY", "opened", "serve"]

NOTEBOOK = Path(__file__).with_name("workbench.ipynb")
PAGES = 4
IDLE_S = 600.0


def serve(
    study: Path | str | None = None,
    *,
    port: int = 8866,
    open_browser: bool = True,
    say: Callable[[str], object] = print,
    pages: int = PAGES,
    idle: float = IDLE_S,
) -> int:
    """Serve the workbench until it is interrupted or terminated, to the browser that has its address.

    Parameters
    ----------
    study : Path or str, optional
        The folder of a study to open.
    port : int, optional
    open_browser : bool, optional
    say : callable, optional
        Takes a line for people: the address, with the token that opens the app.
    pages : int, optional
        How many may be open, each with a process of its own.
    idle : float, optional
        Seconds after which the process of a page that was closed is ended, unless it runs a study.

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
    place = None if study is None else location_of(study)
    if place is not None and not place.is_dir():
        raise StudyFolderError(f"There is no folder {study}. Give a study's folder, or none.")
    app = _voila()
    # For the notebook's kernel, which inherits it.
    os.environ[FOLDER] = str(Path.cwd())
    if place is not None:
        os.environ[STUDY] = str(place if is_remote(place) else place.resolve())
    # In this process: whatever ends it also ends the server, and the server its kernels.
    settings = app.told(NOTEBOOK, port, open_browser=open_browser, kernels=pages, idle=idle)
    app.launch_instance(argv=[], config=settings, say=say)
    return 0


def _voila() -> Any:
    try:
        from ._server import App
    except ModuleNotFoundError as error:
        if error.name not in ("voila", "voila.app"):
            raise
        raise MissingAppError(
            'The app needs Voila, which is not installed. Run `pip install "dissect-widgets[app]"`.',
            name="voila",
        ) from error
    return App


def _require_free(port: int) -> None:
    """Before Voila goes on to the next port, where nobody was told to look."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise DissectWidgetsError(
                f"`port` must be free, but something listens on {port} already. Give another one (--port on the "
                "command line)."
            )
