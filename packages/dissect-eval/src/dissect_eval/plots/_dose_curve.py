"""One dose–response curve: doses, values, an interval, and single draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SettingError

__all__ = ["Curve"]


@dataclass(frozen=True)
class Curve:
    """One dose–response curve.

    Parameters
    ----------
    doses : array-like, shape (D,)
        Shares of units ablated, in [0, 1], rising.
    values : array-like, shape (D,)
        The metric at each dose, such as the mean over repeats; NaN leaves a gap.
    low, high : array-like, shape (D,), optional
        Lower and upper end of an interval, drawn as a band. Both or neither.
    points : array-like, shape (D, R), optional
        The metric of each of R repeats, drawn as small marks; NaN is left out.

    Raises
    ------
    SettingError
        If lengths differ, or doses are not rising shares.
    """

    doses: ArrayLike
    values: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    points: ArrayLike | None = None

    def __post_init__(self) -> None:
        doses = np.asarray(self.doses, dtype=np.float64)
        if (
            doses.ndim != 1
            or not len(doses)
            or not ((doses >= 0) & (doses <= 1)).all()
            or (np.diff(doses) <= 0).any()
        ):
            raise SettingError(
                f"`doses` must be rising shares in [0, 1], got {doses.tolist()}. Divide percentages by 100."
            )
        for name in ("values", "low", "high"):
            values = getattr(self, name)
            if values is not None and np.shape(values) != doses.shape:
                raise SettingError(
                    f"`{name}` must have one value per dose, {len(doses)}, got {np.shape(values)}."
                )
        if (self.low is None) != (self.high is None):
            raise SettingError("`low` and `high` must be given together: they are the two ends of a band.")
        if self.points is not None and (
            np.ndim(self.points) != 2 or len(np.asarray(self.points)) != len(doses)
        ):
            raise SettingError(
                f"`points` must have shape (doses, repeats), ({len(doses)}, R), got {np.shape(self.points)}."
            )
