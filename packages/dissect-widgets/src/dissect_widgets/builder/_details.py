"""The numbers and lists that the answers to an ablation's questions need beside them. No widgets in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from dissect_core.anatomy import UNITS

from ._answers import Draft, as_mapping, unit_of

__all__ = ["Detail", "details_of"]

SCORES = {
    "weight_norm": "size of the weights",
    "weight_gradient": "weight × gradient",
    "head_importance": "importance (Michel et al.)",
}
ORDERS = {"forwards": "first layer", "backwards": "last layer"}
_KEYS = {"scale": ("factor", "Factor"), "constant": ("value", "Value"), "quantize": ("bits", "Bits")}


class Detail(NamedTuple):
    """A number or a list that a choice needs.

    Attributes
    ----------
    path : tuple of str
        Its place in the ablation.
    title : str
    kind : {"shares", "numbers", "number", "choice", "flag"}
        Shares are shown in per cent.
    options : dict of str to str
        Of a choice.
    """

    path: tuple[str, ...]
    title: str
    kind: Literal["shares", "numbers", "number", "choice", "flag"]
    options: Mapping[str, str] = {}  # of a named tuple; never changed


def details_of(draft: Draft) -> tuple[Detail, ...]:
    """Return what the choices of an ablation need beside them.

    Examples
    --------
    >>> draft = {"target": {"unit": "head"}, "select": {"by": "fraction"}, "interventions": [{"kind": "scale"}]}
    >>> [detail.title for detail in details_of(draft)]
    ['Shares, in %', 'Draws of each', 'In each place by itself', 'Factor']
    """
    select = as_mapping(draft.get("select"))
    by = select.get("by")
    found = []
    if by in ("top", "bottom"):
        unit = unit_of(draft)
        scores = UNITS[unit].scores if unit else ()
        found.append(Detail(("select", "score"), "By", "choice", {one: SCORES[one] for one in scores}))
    if by == "fraction" or (by in ("top", "bottom") and "counts" not in select):
        found.append(Detail(("select", "fractions"), "Shares, in %", "shares"))
    if by == "count" or (by in ("top", "bottom") and "counts" in select):
        found.append(Detail(("select", "counts"), "How many", "numbers"))
    if by == "indices":
        found.append(Detail(("select", "indices"), "Which, counted from 0", "numbers"))
    if by in ("fraction", "count"):
        found.append(Detail(("select", "repeats"), "Draws of each", "number"))
    if by == "cumulative":
        found.append(Detail(("select", "order"), "Begin at the", "choice", ORDERS))
    if by in ("fraction", "count", "pairs", "only", "all", "top", "bottom"):
        found.append(Detail(("target", "pool"), "In each place by itself", "flag"))
    interventions = draft.get("interventions") or []
    if isinstance(interventions, list) and len(interventions) == 1:
        key = _KEYS.get(str(as_mapping(interventions[0]).get("kind")))
        if key is not None:
            found.append(Detail(("interventions", "0", key[0]), key[1], "number"))
    return tuple(found)
