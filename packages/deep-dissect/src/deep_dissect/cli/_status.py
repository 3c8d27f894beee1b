"""``deep-dissect status``: how far a study is."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from dissect_core.store import Study, say_who

from ._console import Console
from ._loaded import missing_note, say_missing
from ._options import FolderArgument


def status(
    folder: FolderArgument, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False
) -> None:
    """Show how far a study is, and which process runs it."""
    study = Study.open(folder)
    done, wanted = study.progress()
    running, log, failures = study.running, study.log(), study.failures()
    told = {
        "name": study.spec.name,
        "variants": len(study.variants),
        "images": len(study.images),
        "batches_done": done,
        "batches": wanted,
        "running": None if running is None else say_who(running),
        "news": {} if running is None else running.get("news", {}),
        "failed_shards": [{k: entry[k] for k in ("shard", "images", "error")} for entry in failures],
        "bad_images": len(study.bad_images()) if done else 0,
        **({"missing_weights": note} if (note := missing_note(study)) else {}),
        "last_event": f"{log[-1]['event']} at {log[-1]['time']}" if log else "",
    }
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    say_missing(console, study)
    console.print(f"{told['name']}: {told['variants']} variants, {told['images']} images", markup=False)
    state = "complete" if done == wanted else f"{done} of {wanted} batches ({done / wanted:.0%})"
    console.print(
        f"{state}; {'run by ' + told['running'] if told['running'] else 'not running'}", markup=False
    )
    if news := _said_of(told["news"]):
        console.print(news, markup=False)
    for entry in told["failed_shards"]:
        first, last = entry["images"]
        console.print(
            f"given up: shard {entry['shard']} (images {first} to {last}): {entry['error']}", markup=False
        )
    if told["failed_shards"]:
        console.print("run the study again to try them again")
    if told["bad_images"]:
        console.print(f"images that could not be read or run: {told['bad_images']}; see log.jsonl")
    if told["last_event"]:
        console.print(f"last: {told['last_event']}", markup=False)


def _said_of(news: dict[str, Any]) -> str:
    """Return what a run tells of itself, as text for people."""
    if not news:
        return ""
    workers = f", {news['workers']} workers of a cluster" if "workers" in news else ""
    share = news["passes"] / max(1, news["total"])
    return f"{news['passes']:,} of {news['total']:,} passes ({share:.0%}){workers}"
