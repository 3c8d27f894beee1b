"""Configs that a stranger stored, for tests."""

import copy
from typing import Any

MODULE = "written_by_a_stranger"
"""A module that says when it is imported (the fixture `marker`)."""
THING = {"type": f"{MODULE}.Thing"}
PIPELINE = ("test_dataloader", "dataset", "pipeline")


def stored(values: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint with a config, as MMEngine stores it."""
    return {"meta": {"cfg": "\n".join(f"{name} = {value!r}" for name, value in values.items())}}


def changed(values: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy with one value put in; a last part of -1 appends to a list."""
    copied = copy.deepcopy(values)
    node: Any = copied
    for part in path[:-1]:
        node = node[part]
    if path[-1] == -1:
        node.append(value)
    else:
        node[path[-1]] = value
    return copied
