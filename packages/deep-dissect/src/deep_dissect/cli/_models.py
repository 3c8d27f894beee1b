"""``deep-dissect models``: trained models that are opened by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from dissect_core.detectors import ZooModel, zoo_models
from dissect_core.names import near_hint
from dissect_core.text import quoted

from ..errors import FrontDoorError
from ._console import echo, print_whole

SHOWN = ("name", "family", "data", "box_ap", "aliases", "is_here")
"""What is told of a model; an adapter's own fields are its own affair."""


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(
            help="Part of a name, of an alias or of an architecture's name, or a glob: 'dino*r50*'.",
            show_default=False,
        ),
    ] = None,
    adapter: Annotated[
        str, typer.Option("--adapter", help="Only the models of this adapter.", show_default=False)
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List trained models that are opened by name (--model), with their AP.

    Those whose weights are on this machine already need no network.
    """
    known = zoo_models(adapter)
    found = {name: [one for one in those if _fits(one, pattern)] for name, those in known.items()}
    if pattern is not None and not any(found.values()):
        names = [one for those in known.values() for model in those for one in (model.name, *model.aliases)]
        raise FrontDoorError(
            f"PATTERN {quoted(pattern)} matches none of {len(names):,} names.{near_hint(pattern, names)} Leave it out "
            "to list them all."
        )
    if as_json:
        typer.echo(json.dumps(_told(found), indent=2))
        return
    for name, those in found.items():
        if those:
            print_whole(_table(those))
            counted = f"{len(those):,} of {len(known[name]):,} models of the adapter {name}"
            echo(f"{counted}; `deep-dissect inspect --model NAME` opens one.")


def _fits(model: ZooModel, pattern: str | None) -> bool:
    """Return whether a pattern is part of a name, or matches all of it as a glob; case does not count."""
    if pattern is None:
        return True
    wanted = pattern.lower()
    names = [name.lower() for name in (model.name, *model.aliases, model.family)]
    if any(mark in wanted for mark in "*?["):
        return any(fnmatchcase(name, wanted) for name in names)
    return any(wanted in name for name in names)


def _told(found: Mapping[str, Sequence[ZooModel]]) -> list[dict[str, Any]]:
    whole = [(adapter, asdict(model)) for adapter, those in found.items() for model in those]
    return [{"adapter": adapter, **{name: model[name] for name in SHOWN}} for adapter, model in whole]


def _table(those: Sequence[ZooModel]) -> Table:
    table = Table(
        Column("model", no_wrap=True),
        Column("architecture", no_wrap=True),
        Column("data", no_wrap=True),
        Column("box AP", justify="right", no_wrap=True),
        Column("here", no_wrap=True),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for one in those:
        also = f" ({', '.join(one.aliases)})" if one.aliases else ""
        score = "–" if one.box_ap is None else f"{one.box_ap:.1f}"
        table.add_row(f"{one.name}{also}", one.family, one.data, score, "yes" if one.is_here else "")
    return table
