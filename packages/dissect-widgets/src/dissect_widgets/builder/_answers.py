"""An ablation in short: what is removed, of what, how, what takes its place, and what stands beside it.

Which options fit is asked of the format and of the model, never written down twice. No widgets in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import ValidationError

from dissect_core import DissectError
from dissect_core.anatomy import UNITS
from dissect_core.plan import n_variants
from dissect_core.spec import Ablation

from ._places import OFFERED, Places, Space

__all__ = [
    "HOW",
    "OTHER",
    "PLACE",
    "SEGMENTS",
    "Draft",
    "Segment",
    "answer_of",
    "as_mapping",
    "segments_of",
    "space_of",
    "unit_of",
    "with_choice",
]

Draft: TypeAlias = dict[str, Any]
SegmentName: TypeAlias = Literal["remove", "how", "place", "compare"]

SEGMENTS: Mapping[str, str] = {
    "remove": "Remove",
    "how": "How",
    "place": "Put in their place",
    "compare": "Compare with",
}
"""The segments of an ablation by name, with their titles."""

SHARES = [0.1, 0.3, 0.5]
HOW: Mapping[str, tuple[str, Draft]] = {
    "each": ("each alone", {}),
    "fraction": ("random shares", {"fractions": SHARES, "repeats": 3}),
    "count": ("random numbers", {"counts": [1, 2, 4], "repeats": 3}),
    "top": ("strongest first", {"score": "weight_norm", "fractions": SHARES}),
    "bottom": ("weakest first", {"score": "weight_norm", "fractions": SHARES}),
    "cumulative": ("layer by layer", {}),
    "pairs": ("pairs", {}),
    "only": ("all but one", {}),
    "all": ("all together", {}),
    "indices": ("chosen ones", {"indices": [0]}),
}
"""Selections, by `select.by`, with what each begins with."""

PLACE: Mapping[str, tuple[str, Draft]] = {
    "zero": ("zero", {"kind": "zero"}),
    "zero activation": ("zero, as they pass", {"space": "activation", "kind": "zero"}),
    "mean activation": ("mean", {"space": "activation", "kind": "mean"}),
    "resample activation": ("another image's", {"space": "activation", "kind": "resample"}),
    "noise activation": ("noise", {"space": "activation", "kind": "noise"}),
    "optimal activation": ("least damaging", {"space": "activation", "kind": "optimal"}),
    "mean": ("mean weight", {"kind": "mean"}),
    "shuffle": ("shuffled weights", {"kind": "shuffle"}),
    "noise": ("noise for weights", {"kind": "noise"}),
    "scale": ("scaled weights", {"kind": "scale", "factor": 0.5}),
    "constant": ("a constant", {"kind": "constant", "value": 0.0}),
    "quantize": ("fewer bits", {"kind": "quantize", "bits": 4}),
}
"""Interventions, by kind and space."""
STRUCTURE = {
    "bypass": "nothing: their input passes on",
    "readout": "nothing: an earlier layer's predictions are read",
}

COMPARE: Mapping[str, tuple[str, Draft | None]] = {
    "nothing": ("nothing", None),
    "units": ("random ones, as many", {"match": "units"}),
    "parameters": ("random weights, as many", {"match": "parameters"}),
    "anywhere": ("random weights of the whole model", {"match": "parameters", "source": "anywhere"}),
}
"""Controls, by what they match."""

TABLES: Mapping[str, Mapping[str, Any]] = {"remove": OFFERED, "how": HOW, "place": PLACE, "compare": COMPARE}
"""All answers to each question."""
OTHER = "other"
"""Option for a content that is none of the others; it is only there while it is so."""


class Segment(NamedTuple):
    """One question about an ablation, and its answers.

    Attributes
    ----------
    name, title : str
    options : dict of str to str
        Words by value: those that fit the rest of the ablation, and the model.
    chosen : str
        The value that the ablation has.
    """

    name: str
    title: str
    options: dict[str, str]
    chosen: str


def segments_of(draft: Draft, places: Places | None) -> tuple[Segment, ...]:
    """Return the questions about an ablation with the answers that fit.

    Parameters
    ----------
    draft : dict
        The ablation, its shorthands spelt out; it may not be valid yet.
    places : Places or None
        Of the model that it is for, if one is known.

    Examples
    --------
    >>> draft = {"name": "a", "target": {"unit": "layer", "components": ["encoder.layer"]}, "select": {"by": "each"}}
    >>> [(one.title, one.chosen) for one in segments_of(draft, None)]
    [('Remove', 'layer'), ('How', 'each'), ('Put in their place', 'bypass'), ('Compare with', 'nothing')]
    >>> "top" in segments_of(draft, None)[1].options  # layers have no weights of their own to rank them by
    False
    """
    found = []
    for name, title in SEGMENTS.items():
        chosen = answer_of(draft, name)
        options = {value: words for value, words in _offered(draft, name, places) if value == chosen or words}
        if (
            chosen not in options
        ):  # it does not fit: still it stands where it belongs, until another is chosen
            options[chosen] = _other(draft, name, chosen)
            known = list(TABLES[name])
            place = {value: known.index(value) if value in known else len(known) for value in options}
            options = dict(sorted(options.items(), key=lambda option: place[option[0]]))
        found.append(Segment(name, title, options, chosen))
    return tuple(found)


def with_choice(draft: Draft, name: str, value: str, places: Places | None) -> Draft | None:
    """Return an ablation with another answer to one question; others give way where they do not fit it.

    Returns
    -------
    dict or None
        None if nothing fits.

    Examples
    --------
    >>> heads = {"name": "a", "target": {"unit": "head", "components": ["encoder.self_attn"]},
    ...          "select": {"by": "each"}, "control": {"match": "parameters"}}
    >>> changed = with_choice(heads, "place", "resample activation", None)
    >>> changed["interventions"], "control" in changed  # single weights have no activation
    ([{'space': 'activation', 'kind': 'resample'}], False)
    """
    changed = _put(draft, name, value)
    if changed is None:
        return None
    for one in _giving_way(changed, name):
        placed = _placed(one, places)
        if fits(placed, places) and answer_of(placed, name) == value:
            return placed
    return None


def fits(draft: Draft, places: Places | None) -> bool:
    """Return whether an ablation obeys the format's rules between its fields and, if known, has units in the model."""
    target, unit = as_mapping(draft.get("target")), unit_of(draft)
    if places is not None and unit and not places.paths(unit, space_of(draft)):
        return False
    components = target.get("components") or ["*"]
    try:
        Ablation.model_validate({**draft, "name": "a", "target": {**target, "components": components}})
    except ValidationError:
        return False
    return True


def _offered(draft: Draft, name: str, places: Places | None) -> Iterator[tuple[str, str]]:
    """Yield the answers to a question that lead to an ablation that fits, with their words."""
    if name == "remove":
        known = places.units if places is not None else tuple(OFFERED)
        for unit in known:
            yield unit, OFFERED[unit]
        return
    if name == "place" and (unit := unit_of(draft)):
        acts_by = UNITS[unit].acts_by
        if acts_by != "value":
            yield acts_by, STRUCTURE[acts_by]
            return
    for value, (words, _) in TABLES[name].items():
        if value == "zero activation" and with_choice(draft, name, "zero", places) is not None:
            continue  # the same thing
        made = with_choice(draft, name, value, places)
        if made is None or (name == "compare" and not _is_compared(made, places)):
            continue
        if name != "how" or _count(made, places) != 0:  # of one unit there are no pairs
            yield value, words


def _is_compared(draft: Draft, places: Places | None) -> bool:
    """Return whether an ablation's control makes any variants, as far as that is known."""
    control = draft.get("control")
    if control is None:
        return True
    all_or_random = ("each", "only", "pairs", "all", "fraction", "count")
    if (
        as_mapping(control).get("match") == "units"
        and as_mapping(draft.get("select")).get("by") in all_or_random
    ):
        return False  # every such set is a variant, or as random
    alone = {key: value for key, value in draft.items() if key != "control"}
    with_it, without = _count(draft, places), _count(alone, places)
    return with_it is None or without is None or with_it > without


def _count(draft: Draft, places: Places | None) -> int | None:
    """Return how many variants an ablation makes; None where that is not known, and is told of at its field."""
    if places is None or not draft["target"].get("components"):
        return None
    try:
        return n_variants(Ablation.model_validate({**draft, "name": "a"}), places.anatomy)
    except (DissectError, ValidationError):
        return None


def answer_of(draft: Draft, name: str) -> str:
    """Return the answer that an ablation has to a question."""
    target, select = as_mapping(draft.get("target")), as_mapping(draft.get("select"))
    if name == "remove":
        return str(target.get("unit", OTHER))
    if name == "how":
        return str(select.get("by", OTHER))
    if name == "compare":
        control = draft.get("control")
        if control is None:
            return "nothing"
        control = as_mapping(control)
        if control.get("source", "component") == "anywhere":
            return "anywhere"
        return str(control.get("match", "units"))
    unit = unit_of(draft)
    if unit and UNITS[unit].acts_by != "value":
        return UNITS[unit].acts_by
    interventions = draft.get("interventions") or [{"kind": "zero"}]
    if not isinstance(interventions, list) or len(interventions) != 1:
        return OTHER
    only = as_mapping(interventions[0])
    acting = " activation" if only.get("space") == "activation" else ""
    value = f"{only.get('kind')}{acting}"
    return value if value in PLACE else OTHER


def _other(draft: Draft, name: str, chosen: str) -> str:
    """Return words for an answer that is not offered: one that does not fit, or several at once."""
    if name == "remove" and chosen in UNITS:
        return OFFERED.get(chosen, UNITS[chosen].plural)
    if name != "remove" and chosen in TABLES[name]:
        return str(TABLES[name][chosen][0])
    if name == "place" and isinstance(draft.get("interventions"), list):
        kinds = [str(as_mapping(one).get("kind", "?")) for one in draft["interventions"]]
        return ", ".join(kinds) + (", in turn" if len(kinds) > 1 else "")
    return "not said"


def _put(draft: Draft, name: str, value: str) -> Draft | None:
    """Return an ablation with an answer written into it, whether it fits or not."""
    changed = deepcopy(draft)
    target, select = as_mapping(changed.get("target")), as_mapping(changed.get("select"))
    if name == "remove" and value in UNITS:
        # `expect` counts places of the unit as it was.
        kept = {key: target[key] for key in ("components", "pool") if key in target}
        changed["target"] = {"unit": value, **kept}
    elif name == "how" and value in HOW:
        begin = deepcopy(HOW[value][1])
        shared = {key: select[key] for key in begin if select.get(key)}
        changed["select"] = {"by": value, **begin, **shared}
    elif name == "place" and value in PLACE:
        changed["interventions"] = [deepcopy(PLACE[value][1])]
        if value == "zero":
            changed.pop("interventions")
    elif name == "compare" and value in COMPARE:
        begun = COMPARE[value][1]
        changed.pop("control", None)
        if begun is not None:
            changed["control"] = {**begun, **_repeats(draft)}
    elif name != "place" or value not in STRUCTURE:
        return None
    return changed


def _repeats(draft: Draft) -> Draft:
    control = as_mapping(draft.get("control"))
    return {"repeats": control["repeats"]} if "repeats" in control else {}


def _giving_way(draft: Draft, name: str) -> Iterator[Draft]:
    """Yield an ablation as it is, then with more and more of its other answers set back."""
    yield draft
    changed = dict(draft)
    target = as_mapping(changed.get("target"))
    for field in ("control", "interventions", "pool", "part", "select"):
        own = {"how": "select", "place": "interventions", "compare": "control"}.get(name)
        if field == own:
            continue
        changed = dict(changed)
        if field == "select":
            changed["select"] = {"by": "each"}
        elif field in ("pool", "part"):
            changed["target"] = {key: item for key, item in target.items() if key not in ("pool", "part")}
        else:
            changed.pop(field, None)
        yield changed


def _placed(draft: Draft, places: Places | None) -> Draft:
    """Return an ablation whose components have its units: those that do stay, else the model's usual ones."""
    target = as_mapping(draft.get("target"))
    unit = unit_of(draft)
    if places is None or not unit:
        return draft
    if not places.paths(unit) and places.acts_only(unit) and "interventions" not in draft:
        draft = {**draft, "interventions": [deepcopy(PLACE["zero activation"][1])]}
    space = space_of(draft)
    has = target.get("components") or []
    kept = (
        [word for word in has if isinstance(word, str) and places.n_places(unit, word, space)]
        if isinstance(has, list)
        else []
    )
    return {**draft, "target": {**target, "components": kept or list(places.usual(unit, space))}}


def unit_of(draft: Draft) -> str:
    """Return the unit of an ablation; empty if it has none that is known."""
    unit = str(as_mapping(draft.get("target")).get("unit"))
    return unit if unit in UNITS else ""


def space_of(draft: Draft) -> Space:
    """Return whether an ablation replaces weights or what passes through the model."""
    interventions = draft.get("interventions")
    acting: Iterable[Any] = interventions if isinstance(interventions, list) else ()
    return "activation" if any(as_mapping(one).get("space") == "activation" for one in acting) else "weight"


def as_mapping(value: Any) -> Draft:
    """Return a value of a draft as a mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
