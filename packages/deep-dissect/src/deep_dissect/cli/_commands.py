"""The sub-commands, each imported when it is called: help and `status` wait for none of the others."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer
import typer.core

__all__ = ["COMMANDS", "Commands"]


class Entry(NamedTuple):
    """Where a sub-command is defined, and the first line of its help, which the list of commands shows."""

    module: str
    name: str
    help: str


COMMANDS = {
    "inspect": Entry(
        "_inspect", "inspect", "Show what a detector is made of: components, roles, blocks and units."
    ),
    "ablate": Entry(
        "_ablate",
        "app",
        "Write ablated checkpoints: single units, attention heads, whole components, layers one after another.",
    ),
    "evaluate": Entry("_evaluate", "evaluate", "Measure GIoU and F1, overall and per class, and COCO AP."),
    "plan": Entry(
        "_plan",
        "plan_",
        "Show which variants a study makes of a detector, what each masks, and about how long they take.",
    ),
    "run": Entry(
        "_run",
        "run_",
        "Run a study: every variant over every image, in a folder that a second call goes on with.",
    ),
    "status": Entry("_status", "status", "Show how far a study is, and which process runs it."),
    "stop": Entry(
        "_stop",
        "stop",
        "Ask the run of a study to stop after the batch at hand, from any terminal or machine.",
    ),
    "report": Entry(
        "_folder",
        "report",
        "Measure a study anew and write its tables and report.html; the detector is not needed.",
    ),
    "compare": Entry(
        "_folder",
        "compare_",
        "Say what two studies lost, each against its own baseline: of two detectors, or before and after.",
    ),
    "simplify": Entry(
        "_simplify",
        "simplify_",
        "Remove the least missed heads, neurons or layers of a detector for good, and measure what that saves and "
        "costs.",
    ),
    "export-coco": Entry(
        "_folder", "export_coco", "Write a variant's detections as a COCO results list, for any other tool."
    ),
    "export": Entry(
        "_export",
        "export",
        "Write variants of a study as checkpoints, which any program loads that loads the original.",
    ),
    "app": Entry(
        "_app",
        "app_",
        "Serve the workbench as an app in your browser, on this machine alone; Ctrl-C ends it.",
    ),
    "models": Entry(
        "_models", "models", "List trained models that are opened by name (--model), with their AP."
    ),
    "studies": Entry(
        "_studies", "studies", "List the shipped studies: the usual questions, for any detection transformer."
    ),
    "schema": Entry(
        "_studies",
        "schema",
        "Print the JSON Schema of studies, with which editors check a file while it is typed.",
    ),
    "demo": Entry(
        "_demo", "app", "Run a small ablation study over the bundled DETR, Deformable DETR and DINO."
    ),
}


class Commands(typer.core.TyperGroup):
    """A group whose commands are imported when one of them is called."""

    _is_listing = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {
            name: typer.core.TyperCommand(name=name, help=entry.help) for name, entry in COMMANDS.items()
        }

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; while help is written, one that has a name and a help text only."""
        if self._is_listing or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        return _imported(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help text, with the list of commands."""
        self._is_listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._is_listing = False


def _imported(name: str) -> Any:
    entry = COMMANDS[name]
    found = getattr(import_module(f".{entry.module}", __package__), entry.name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command
