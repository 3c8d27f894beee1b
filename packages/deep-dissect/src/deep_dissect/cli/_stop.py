"""``deep-dissect stop``: ask the run of a study to stop, from another terminal or machine."""

from __future__ import annotations

from dissect_core.store import Study

from ._console import echo
from ._options import FolderArgument


def stop(folder: FolderArgument) -> None:
    """Ask the run of a study to stop after the batch at hand, from any terminal or machine."""
    holder = Study.open(folder).ask_to_stop()
    echo(f"asked: {holder}; it stops after the batch at hand, and `deep-dissect status {folder}` says when")
