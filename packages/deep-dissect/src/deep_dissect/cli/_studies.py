"""``deep-dissect studies`` and ``schema``: the shipped studies, and what a study's file may hold."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from ..studies import shipped_studies
from ._console import Console, echo

LEAST_COLUMNS = 72
"""Columns of the table: with fewer, names of studies would be cut off."""


def schema(
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
) -> None:
    """Print the JSON Schema of studies, with which editors check a file while it is typed."""
    from dissect_core.spec import spec_schema

    text = json.dumps(spec_schema(), indent=2)
    if out is None:
        typer.echo(text)
        return
    from dissect_core.storage import write_text_whole

    write_text_whole(out, text + "\n")
    echo(f"{out}  (in a YAML study: # yaml-language-server: $schema={out.name})")


def studies() -> None:
    """List the shipped studies: the usual questions, for any detection transformer."""
    shipped = shipped_studies()
    table = Table(Column("study", no_wrap=True), "asks", box=SIMPLE_HEAD)
    for name, path in shipped.items():
        table.add_row(name, question_of(path))
    Console(width=max(Console().width, LEAST_COLUMNS)).print(table)
    echo(f"Their files, to copy and change, are in {next(iter(shipped.values())).parent}")


def question_of(path: Path) -> str:
    """Return the question that a shipped study asks: the comment at its head, up to its first question mark."""
    lines = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    question, mark, _ = " ".join(line.strip("# ") for line in lines).partition("?")
    return question.partition(". ")[0] + mark
