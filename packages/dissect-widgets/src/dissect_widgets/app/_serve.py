"""Serving the workbench by Voila, and what each of its pages opens."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dissect_core.storage.locations import is_remote, location_of

from ..errors import DissectWidgetsError, MissingAppError, StudyFolderError
from ..workbench import Workbench
from ._variables import AT_WORK, FOLDER, STUDY

NOTEBOOK = Path(__file__).with_name("workbench.ipynb")
PAGES = 4
IDLE_S = 45.0


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
    config = app.config_of(NOTEBOOK, port, open_browser=open_browser, kernels=pages, idle=idle)
    app.launch_instance(argv=[], config=config, say=say)
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
    """Refuse a port that is in use: Voila would silently take the next one."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise DissectWidgetsError(
                f"`port` must be free, but something listens on {port} already. Give another one (--port on the "
                "command line)."
            )


def open_workbench(**options: Any) -> Workbench:
    """Open the workbench of a page, with the study that the environment names."""
    if folder := os.environ.get(FOLDER):
        os.chdir(folder)
    # IPython looks for modules in the current folder first, and that may be a stranger's.
    sys.path[:] = [path for path in sys.path if path]
    workbench = Workbench(os.environ.get(STUDY) or None, **options)
    workbench.add_class("dd-app")  # the page is ours alone: light or dark as the system is
    if mark := os.environ.get(AT_WORK):
        run = workbench.run

        def tell(_change: Mapping[str, Any]) -> None:
            with suppress(OSError):  # the app is ending
                Path(mark).touch() if run.is_active else Path(mark).unlink(missing_ok=True)

        run.observe(tell, "state")
    return workbench
