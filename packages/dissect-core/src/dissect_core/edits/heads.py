"""Masks of attention heads, from the layout of their block (`dissect_core.anatomy.attention`)."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from ..anatomy.attention import AttentionLayout, HeadPart
from ..errors import UnitError
from .masks import Mask


def head_masks(
    layout: AttentionLayout, heads: int | Iterable[int], part: HeadPart | Literal["all"] = "output"
) -> dict[str, Mask]:
    """Masks of some heads of an attention block.

    Parameters
    ----------
    layout : AttentionLayout
        The block.
    heads : int or iterable of int
        Distinct heads, counted from 0. May be empty: all masks are then all False.
    part : {"output", "value", "query", "key", "all"}, default "output"
        What of a head to mask:

        - ``"output"``: its columns of the output projection. Setting them to zero removes exactly what the
          head adds to the block's output, and nothing else.
        - ``"value"``: its rows of the value projection, and their biases. Zero removes the head exactly, too.
        - ``"query"`` or ``"key"``: its rows of that projection, and their biases. Zero does *not* remove the
          head; it only makes it attend everywhere alike. In a deformable block, which has no keys, zero in
          the query part makes a head weigh alike samples that all lie on the reference point.
        - ``"all"``: all of these that the block has.

    Returns
    -------
    dict of str to ndarray of bool
        For each parameter that the part touches a mask of its shape.

    Raises
    ------
    UnitError
        If a head is out of range, given twice or no integer, or the block has no such part.

    Notes
    -----
    The output projection's bias belongs to no head and stays.

    Examples
    --------
    >>> from dissect_core import multihead_layout
    >>> layout = multihead_layout(4, 2)
    >>> head_masks(layout, 1)["out_proj.weight"].astype(int)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1],
           [0, 0, 1, 1],
           [0, 0, 1, 1]])
    >>> head_masks(layout, 1, part="value")["in_proj_bias"].astype(int)
    array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    """
    wanted = _heads(heads, layout.n_heads)
    if part != "all" and part not in layout.parts:
        raise UnitError(
            f"`part` must be one that {layout.kind} attention has ({', '.join(layout.parts)}) or 'all', "
            f"got {part!r}."
        )
    masks: dict[str, Mask] = {}
    for where in layout.slices:
        if part in ("all", where.part):
            mask = masks.setdefault(where.parameter, np.zeros(where.shape, dtype=np.bool_))
            for head in wanted:
                start = where.start + head * where.width
                mask[(slice(None),) * where.axis + (slice(start, start + where.width),)] = True
    return masks


def _heads(heads: int | Iterable[int], n_heads: int) -> Sequence[int]:
    given = [heads] if isinstance(heads, (int, np.integer)) else list(heads)
    for head in given:
        if isinstance(head, bool) or not isinstance(head, (int, np.integer)) or not 0 <= head < n_heads:
            raise UnitError(
                f"`heads` must be integers from 0 to {n_heads - 1}, as the block has {n_heads}, got {head!r}."
            )
    if len(set(given)) != len(given):
        raise UnitError(f"`heads` must be distinct, got {given}.")
    return given
