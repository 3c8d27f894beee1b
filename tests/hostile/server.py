"""A process that has imported everything and runs commands in bounded children: a line asks, a line answers."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from hostile.bounded import Child
from hostile.fuzz import preload


def work_of(asked: dict[str, Any]) -> Any:
    """The command that is asked for, or the function."""
    from hostile.work import command, guarded

    if "function" in asked:
        import importlib

        module, _, name = asked["function"].rpartition(".")
        return guarded(lambda: getattr(importlib.import_module(module), name)(*asked["arguments"]))
    return command(*asked["words"])


def main() -> None:
    """Answer until the questions end."""
    preload()
    print("ready", file=sys.stderr, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = Child(
            work_of(asked),
            Path(asked["folder"]),
            encoding=asked.get("encoding", "utf-8"),
            environment=asked.get("environment"),
        )
        print(json.dumps(dataclasses.asdict(child.ended())), flush=True)


if __name__ == "__main__":
    main()
