"""Applying a variant to plain arrays, without a model and without torch."""

from collections.abc import Mapping
from typing import Any

from ..edits.changes import AblationReport
from ..edits.state import edit_arrays
from .variant import Variant

__all__ = ["apply"]


def apply(arrays: Mapping[str, Any], variant: Variant) -> tuple[dict[str, Any], AblationReport]:
    """Apply a variant to a mapping of parameters, into a new one; `dissect_core.torch.apply` takes tensors too.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Parameters by name; it is not changed. Arrays from a safetensors file will do.
    variant : Variant
        On weights, or one that weights can express (`Variant.as_edits`).

    Returns
    -------
    arrays : dict of str to ndarray
        What is edited is copied, the rest are the given arrays themselves.
    report : AblationReport

    Raises
    ------
    PlanError
        If no weights do what the variant does.
    UnknownComponentError
        If a parameter is missing; near matches are named.

    Examples
    --------
    >>> import numpy as np
    >>> from dissect_core import Anatomy, Component
    >>> from dissect_core.plan import plan
    >>> from dissect_core.spec import load_spec
    >>> rows = {"name": "rows", "target": {"unit": "row", "components": "*"}, "select": {"by": "each"}}
    >>> spec = load_spec({"name": "one row each", "ablations": [rows]})
    >>> variants = plan(spec, Anatomy((Component("weight", (2, 3), "float64"),)))
    >>> apply({"weight": np.ones((2, 3))}, variants[2])[0]["weight"]
    array([[1., 1., 1.],
           [0., 0., 0.]])
    """
    return edit_arrays(arrays, variant.as_edits(), seed=variant.seed, variant=variant.id)
