"""The table for a paper, which any LaTeX engine typesets as it is.

The escapes are our own: those of pandas and of Jinja's usual filters leave ``[`` and ``*`` at the head of a row, which
LaTeX reads as an argument of the line break before it, ligatures such as two hyphens, and letters at which pdflatex
stops.
Names in a study may hold any character, and each must be printed unchanged.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from dissect_core.arguments import checked_arguments
from dissect_core.text import cut, visible
from dissect_eval.study import StudyResults, title_of

from ._report import number

__all__ = ["latex_table", "tex_text"]

_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
_KNOWN = "ÆæØøŒœŁłß–—‘’“”…"
"""Characters that pdflatex typesets in every font encoding, beside letters with such an accent; most others stop it."""
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",  # active in some languages of babel
    # At the head of a row these would be arguments of the line break before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Ligatures, such as two hyphens that are made a dash.
    **{character: f"{character}{{}}" for character in "-'`,?!"},
}


@checked_arguments(results="results.measured", metrics="metrics=('AP', 'f1')")
def latex_table(results: StudyResults, metrics: tuple[str, ...] = ("AP", "AP50", "f1")) -> str:
    """Return a table for a paper: mean and standard deviation of each metric over the ``n`` variants of each dose.

    These are random draws, or single units where each is removed alone.

    Needs the package booktabs.
    """
    cells: dict[tuple[Any, ...], dict[str, str]] = {}
    still: dict[tuple[Any, ...], int] = {}
    for row in results.repeats():
        key = (row["ablation"], row["kind"], row["intervention"], row["dose"])
        spread = "" if math.isnan(row["standard_deviation"]) else f" $\\pm$ {row['standard_deviation']:.3f}"
        still[key] = int(row["n_no_op"])
        cells.setdefault(key, {"n": str(row["variants"])})[row["metric"]] = f"{number(row['mean'])}{spread}"
    wanted = [name for name in metrics if name in results.settings.metrics]
    head = " & ".join(["ablation", "intervention", "dose", "$n$", *(tex_text(title_of(m)) for m in wanted)])
    lines = [r"\begin{tabular}{llrr" + "r" * len(wanted) + "}", r"\toprule", head + r" \\", r"\midrule"]
    for (ablation, kind, intervention, dose), values in cells.items():
        name = ablation + (" (control)" if kind == "control" else "")
        if n_still := still[ablation, kind, intervention, dose]:
            name += f" ({n_still} changed nothing)"
        what = "" if kind == "baseline" else intervention
        share = "" if kind == "baseline" else f"{100 * dose:.3g}\\,\\%"
        lines.append(
            " & ".join(
                [tex_text(cut(name)), tex_text(cut(what)), share, values["n"], *(values[m] for m in wanted)]
            )
            + r" \\"
        )
    remarks = [text for text in (results.missing_weights, results.better_than_chance.text) if text]
    return "\n".join(
        [*(f"% {visible(text)}" for text in remarks), *lines, r"\bottomrule", r"\end{tabular}", ""]
    )


def tex_text(text: str) -> str:
    r"""Return a text for LaTeX in which no character is a command, begins an argument, or is joined with its neighbour.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Letters beyond those of western alphabets are written as escapes, such as ``\\u4e2d``: pdflatex knows no others.

    Examples
    --------
    >>> print(tex_text("100% of $x_1$ \\ -- \u4e2d"))
    100\% of \$x\_1\$ \textbackslash{} -{}-{} \textbackslash{}u4e2d
    """
    plain = "".join(c if _is_known(c) else ascii(c)[1:-1] for c in visible(text))
    return "".join(_LATEX.get(character, character) for character in plain)


def _is_known(character: str) -> bool:
    base, *marks = list(unicodedata.normalize("NFD", character))
    return character in _KNOWN or (
        base.isascii() and (not marks or (len(marks) == 1 and marks[0] in _ACCENTS))
    )
