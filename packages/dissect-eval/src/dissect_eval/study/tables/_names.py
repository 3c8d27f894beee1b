"""Names for people: of blocks by their paths, such as "encoder 2", and of a study's variants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..._text import visible
from ._groups import Row, is_single

__all__ = ["BlockName", "block_names", "variant_names"]

SEPARATOR = " \N{MIDDLE DOT} "
_PARTS = ("encoder", "decoder", "backbone", "neck")
_KINDS = (
    (
        re.compile(r"(^|[_.])(cross_?att(n|ention)|encoder_att(n|ention)|multihead_attn)([_.]|$)"),
        "cross-attention",
    ),
    (re.compile(r"(^|[_.])self_?att(n|ention)([_.]|$)"), "self-attention"),
    (re.compile(r"(^|[_.])att(n|ention)s?([_.]|$)"), "attention"),
    (re.compile(r"(^|[_.])(ffns?|mlp|feed_forward)([_.]|$)"), "FFN"),
)
"""What the end of a block's path says, by the names that libraries give; the first that fits holds."""


class BlockName(NamedTuple):
    """A block's name in parts.

    Attributes
    ----------
    part : str
        Where it is, such as "encoder".
    layer : str
        Number of its layer, or empty.
    kind : str
        What it is, such as "cross-attention"; empty where the path does not say it.
    text : str
        All of it that tells the block from the others.
    """

    part: str
    layer: str
    kind: str
    text: str

    @property
    def group(self) -> str:
        """Name of what lies in each layer alike, such as "decoder cross-attention"."""
        return " ".join(filter(None, (self.part, self.kind)))


def block_names(paths: Iterable[str]) -> dict[str, BlockName]:
    """Return names of blocks for people, by path.

    Parameters
    ----------
    paths : iterable of str
        Paths of all blocks that are named together: what they share needs no words.

    Returns
    -------
    dict of str to BlockName
        No two have the same text; a path whose name another one has is its own name.

    Examples
    --------
    >>> paths = ["encoder.layers.2.self_attn", "decoder.layers.0.self_attn.attn", "decoder.layers.0.cross_attn"]
    >>> [name.text for name in block_names(paths).values()]
    ['encoder 2', 'decoder 0 · self-attention', 'decoder 0 · cross-attention']
    >>> block_names(["query_embedding"])["query_embedding"].text
    'query embedding'
    """
    named = {path: _parsed(path) for path in dict.fromkeys(paths)}
    kinds: dict[str, set[str]] = {}
    for one in named.values():
        kinds.setdefault(one.part, set()).add(one.kind)
    told = {}
    for path, one in named.items():
        place = f"{one.part} {one.layer}".strip()
        is_alone = bool(one.layer) and len(kinds[one.part]) == 1
        told[path] = place if is_alone else SEPARATOR.join(filter(None, (place, one.kind)))
    taken = Counter(told.values())
    return {
        path: one._replace(text=told[path] if told[path] and taken[told[path]] == 1 else path)
        for path, one in named.items()
    }


def _parsed(path: str) -> BlockName:
    tokens = path.split(".")
    numbers = [i for i, token in enumerate(tokens) if token.isdecimal() and i]
    layer = ".".join(tokens[i] for i in numbers)
    before = tokens[: numbers[0]] if numbers else tokens
    after = [token for i, token in enumerate(tokens) if numbers and i > numbers[0] and i not in numbers]
    part = next((name for token in before for name in _PARTS if name in token), "")
    kind = next((kind for found, kind in _KINDS if found.search(".".join(after if numbers else tokens))), "")
    if not kind and after:
        kind = " ".join(after).replace("_", " ")
    if not part or (not numbers and not kind):
        part = " ".join(token.replace("_", " ") for token in before[-2:] if token not in ("layers", "blocks"))
    return BlockName(part, layer, kind, "")


def variant_names(summary: Sequence[Row]) -> dict[str, str]:
    """Return a name for each variant of a study for people, by its id.

    Parameters
    ----------
    summary : sequence of mapping
        A row for each variant, see `StudyTables.summary`.

    Returns
    -------
    dict of str to str
        Such as "encoder 2 · head 1", or "encoder self-attention · 3 of 24 heads · draw 2"; no two are equal.

    Examples
    --------
    >>> row = {"id": "a", "ablation": "heads", "kind": "ablation", "unit": "head", "intervention": "zero",
    ...        "dose": 0.1, "n_units": 1, "n_available": 8, "repeat": 0, "control_of": None}
    >>> whole = {**row, "id": "baseline", "kind": "baseline", "removed": []}
    >>> one = {**row, "removed": [{"path": "encoder.layers.2.self_attn", "units": [1]}]}
    >>> some = {**row, "id": "b", "dose": 0.4, "n_units": 3, "removed": []}
    >>> control = {**some, "id": "c", "kind": "control", "control_of": "a"}
    >>> names = variant_names([whole, one, some, {**some, "id": "d", "repeat": 1}, control])
    >>> [*names.values()][1:]
    ['encoder 2 · head 1', 'heads · 3 of 8 heads · draw 1', 'heads · 3 of 8 heads · draw 2', 'encoder 2 · head 1, random
    control']
    """
    blocks = block_names(
        place["path"] for row in summary if row["kind"] == "ablation" for place in row.get("removed") or []
    )
    several = {row["ablation"]: set[str]() for row in summary}
    for row in summary:
        if row["kind"] == "ablation":
            several[row["ablation"]].add(row["intervention"])
    draws = Counter(map(_drawn_with, summary))
    names: dict[str, str] = {}
    for row in summary:
        if row["kind"] == "baseline":
            names[row["id"]] = "whole model"
        elif row["kind"] != "control":
            name = _name(row, blocks, draws)
            if row["kind"] == "again":
                name = f"{name} (again)"
            more = len(several[row["ablation"]]) > 1
            names[row["id"]] = f"{name}, {row['intervention']}" if more else name
    for row in summary:
        if row["kind"] == "control":
            of = names.get(row.get("control_of") or "", row["ablation"])
            names[row["id"]] = f"{of}, random control"
    return _distinct({row["id"]: visible(names[row["id"]]) for row in summary})


def _is_whole(row: Row) -> bool:
    """Return whether a variant removes what its only place is, not a part of it: its id then ends with the path."""
    return str(row["id"]).endswith(str(row["removed"][0]["path"]))


def _drawn_with(row: Row) -> tuple[Any, ...]:
    """Return what the draws of one dose have in common."""
    return row["ablation"], row["kind"], row["intervention"], row["dose"]


def _name(row: Row, blocks: Mapping[str, BlockName], draws: Mapping[tuple[Any, ...], int]) -> str:
    places, unit = row.get("removed") or [], str(row["unit"])
    if is_single(row):
        block, number = blocks[places[0]["path"]].text, places[0]["units"][0]
        return block if _is_whole(row) else f"{block}{SEPARATOR}{unit} {number}"
    if len(places) == 1 and _is_whole(row):
        return blocks[places[0]["path"]].text
    if 1 < len(places) <= 2 and all(len(place["units"]) == 1 for place in places):
        return " + ".join(f"{blocks[one['path']].text}{SEPARATOR}{unit} {one['units'][0]}" for one in places)
    plural = f"{unit.removesuffix('y')}ies" if unit.endswith("y") else f"{unit}s"
    n, available = row.get("n_units"), row.get("n_available")
    known = n is not None and available is not None  # tables of older versions do not know
    share = f"{n:,} of {available:,} {plural}" if known else f"{row['dose']:.0%} of {plural}"
    repeat = row.get("repeat")
    draw = f"{SEPARATOR}draw {repeat + 1}" if repeat is not None and draws[_drawn_with(row)] > 1 else ""
    return f"{row['ablation']}{SEPARATOR}{share}{draw}"


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """Return names with a number, or the id, where several variants have the same one."""
    taken = Counter(names.values())
    seen: Counter[str] = Counter()
    out: dict[str, str] = {}
    for key, name in names.items():
        seen[name] += 1
        out[key] = name if taken[name] == 1 else f"{name} ({seen[name]})"
    if len(set(out.values())) < len(out):
        return {key: f"{name} ({key})" if taken[name] > 1 else name for key, name in names.items()}
    return out
