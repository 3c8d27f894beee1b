"""An ablation as a sentence, from the answers to its questions. No widgets in here."""

from __future__ import annotations

from dissect_core.anatomy import UNITS

from ._answers import HOW, OTHER, PLACE, Draft, answer_of, as_mapping, unit_of
from ._places import OFFERED

__all__ = ["in_words"]


def in_words(draft: Draft) -> str:
    """Return an ablation as a sentence.

    Examples
    --------
    >>> heads = {"name": "a", "target": {"unit": "head", "components": ["encoder.self_attn"]},
    ...          "select": {"by": "each"}, "control": {"match": "parameters"}}
    >>> in_words(heads)
    'Each head is removed alone. Zero takes its place; beside it, as many random weights are removed.'
    """
    unit, by = unit_of(draft), str(as_mapping(draft.get("select")).get("by"))
    if not unit or by not in HOW:
        return ""
    kind = UNITS[unit]
    many = OFFERED.get(unit, kind.plural)
    one = kind.name if many == kind.plural else many.removesuffix("s")
    said = {
        "each": f"Each {one} is removed alone.",
        "fraction": f"Growing random shares of the {many} are removed.",
        "count": f"Random sets of {many} are removed.",
        "top": f"The strongest {many} are removed first.",
        "bottom": f"The weakest {many} are removed first.",
        "cumulative": f"The {many} of one place are removed, then of two, and so on.",
        "pairs": f"Each pair of {many} is removed.",
        "only": f"All {many} but one are removed.",
        "all": f"All {many} are removed together.",
        "indices": f"The chosen {many} are removed together.",
    }[by]
    if kind.acts_by == "readout":
        return "The predictions of each decoder layer are read in place of the last one's."
    place = answer_of(draft, "place")
    if kind.in_structure:
        taken = "What enters passes on unchanged"
    elif place == OTHER:
        taken = "Several things take their place in turn"
    else:
        pronoun = "its" if by == "each" else "their"
        taken = f"{PLACE[place][0].capitalize()} takes {pronoun} place"
    control = draft.get("control")
    beside = "it" if by == "each" else "them"
    random = {"nothing": "", "units": f"as many random {many}"}.get(
        answer_of(draft, "compare"), "as many random weights"
    )
    return f"{said} {taken}{f'; beside {beside}, {random} are removed' if control is not None and random else ''}."
