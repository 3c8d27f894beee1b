"""Variants of a study that belong together: random draws of one dose, different sets of an ablation, controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["DRAWS_FOR_A_BAND", "Group", "Row", "controls_of", "groups_of", "is_single", "variant_groups"]

Row = Mapping[str, Any]

DRAWS_FOR_A_BAND = 3
"""Least random draws for an interval of their mean: the t interval of two is as wide as the metric's range."""

_DRAWN = ("fraction", "count")
"""Selections that draw at random."""


class Group(NamedTuple):
    """Variants of one ablation, block, intervention and dose.

    Attributes
    ----------
    name : str
        Name to print.
    ablation, kind, intervention : str
    dose : float
    rows : tuple of mapping
        Rows of the variants in the summary.
    are_draws : bool
        Whether the variants are random draws of the same target, so that their mean and spread mean something; else
        they are different sets of units, or controls of different variants.
    block : str
        Block of the variants, where the ablation takes each block apart (`pool: false`); else empty.
    """

    name: str
    ablation: str
    kind: str
    intervention: str
    dose: float
    rows: tuple[Row, ...]
    are_draws: bool
    block: str = ""

    @property
    def question(self) -> str:
        """Name of the ablation, followed by the block where it takes each block apart."""
        return _question(self.ablation, self.block)


def groups_of(summary: Sequence[Row], selections: Mapping[str, str]) -> list[Group]:
    """Return all variants but the baseline in groups; controls come right after the variants that they are controls of.

    Parameters
    ----------
    summary : sequence of mapping
        A row for each variant, see `StudyTables.summary`.
    selections : mapping of str to str
        How each ablation selects units, by its name; empty for tables of older versions.
    """
    rows = [row for row in summary if row["kind"] in ("ablation", "control")]
    several = len({row["intervention"] for row in rows}) > 1
    units = {row["id"]: row["unit"] for row in rows}
    found: dict[tuple[str, str, str, float], dict[str, list[Row]]] = {}
    for row in rows:
        key = row["ablation"], _block(row, units), row["intervention"], row["dose"]
        found.setdefault(key, {}).setdefault(row["kind"], []).append(row)
    groups = []
    for (ablation, block, intervention, dose), kinds in found.items():
        for kind, members in sorted(kinds.items()):  # "ablation" before "control"
            name = _name(_question(ablation, block), intervention if several else "", dose)
            if kind == "control":
                name += ", random control"
                draws = len({row.get("control_of") for row in members}) == 1
            else:
                draws = _are_draws(selections.get(ablation), members)
            groups.append(Group(name, ablation, kind, intervention, dose, tuple(members), draws, block))
    return groups


def variant_groups(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the ids of the variants of each ablation, block, intervention and dose, by a name; no controls."""
    several = len({row["intervention"] for row in rows[1:]}) > 1
    units = {row["id"]: row["unit"] for row in rows[1:]}
    groups: dict[str, list[str]] = {}
    for row in rows[1:]:
        if row["kind"] == "ablation":
            question = _question(row["ablation"], _block(row, units))
            name = _name(question, row["intervention"] if several else "", row["dose"])
            groups.setdefault(name, []).append(row["id"])
    return groups


def controls_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of each variant's random controls, by the variant's id."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == "control" and row.get("control_of"):
            found.setdefault(row["control_of"], []).append(row)
    return found


def is_single(row: Row) -> bool:
    """Return whether a variant removes a single unit of a single component."""
    places = row.get("removed") or []
    return len(places) == 1 and len(places[0]["units"]) == 1


def _question(ablation: str, block: str) -> str:
    return f"{ablation}: {block}" if block else ablation


def _block(row: Row, units: Mapping[str, str]) -> str:
    """Return the block of a variant whose ablation takes each block apart: ids name the block before the unit."""
    unit = units.get(row.get("control_of") or row["id"], row["unit"])  # controls may be of single weights
    first, *others = str(row["id"]).removeprefix(f"{row['ablation']}/").split("/")
    return first if others and others[0] == unit else ""


def _are_draws(selection: str | None, rows: Sequence[Row]) -> bool:
    if selection is not None:
        return selection in _DRAWN
    repeats = [row.get("repeat") for row in rows]  # older tables do not name the selection
    if None not in repeats:
        return 1 < len(rows) == len(set(repeats))
    return not all(map(is_single, rows))


def _name(ablation: str, intervention: str, dose: float) -> str:
    share = f"{dose:.0%}" if dose >= 0.01 else f"{dose:.1%}"
    return f"{ablation}{', ' if intervention else ''}{intervention}, {share}"
