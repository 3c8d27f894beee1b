"""``deep-dissect app``: the notebook panels without a notebook."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from dissect_core import MissingDependencyError
from dissect_core.storage.locations import location_of


def app_(
    study: Annotated[
        Path | None,
        typer.Argument(
            help="A study's folder to look at.", show_default=False, parser=location_of, metavar="FOLDER"
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on this machine.")] = 8866,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
) -> int:
    """Serve the workbench as an app in your browser, on this machine alone; Ctrl-C ends it.

    The printed address carries a token. Whoever has it can do on this machine what you can; nobody gets in without it.
    """
    # By entry point, as detectors are: this package imports no panel.
    offered = entry_points(group="dissect.apps", name="workbench")
    if not offered:
        raise MissingDependencyError(
            'The app needs dissect-widgets, which is not installed. Run `pip install "dissect-widgets[app]"`.',
            name="dissect_widgets",
        )
    serve = next(iter(offered)).load()
    return int(serve(study, port=port, open_browser=browser, say=typer.echo))
