"""The table of many variants: typed rows, which become dicts, CSV or pandas."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._plain import to_jsonable
from ..errors import MissingExtraError, SettingError

if TYPE_CHECKING:
    import pandas

__all__ = ["VariantRow", "VariantTable"]


@dataclass(frozen=True)
class VariantRow:
    """One metric of one variant; NaN where undefined.

    Attributes
    ----------
    variant : str
        Name of the variant.
    metric : str
        See `METRICS`.
    category_id : int or None
        The category, None for all.
    category : str or None
        Its name.
    value, baseline, difference : float
        The metric of the variant, of the baseline, and value − baseline.
    value_low, value_high : float
        Bootstrap interval of the value; NaN without a bootstrap.
    low, high : float
        Paired bootstrap interval of the difference: much narrower, as variant and baseline see the same images.
    value_bias, bias : float
        How far value and difference lie too high because of the number of images, as halves of them show it: allowed
        for in the intervals, not taken off the numbers. NaN without a bootstrap, and with percentile intervals.
    p_value, p_adjusted : float
        For the hypothesis of no difference: uncorrected, and corrected for the number of tests, see
        `evaluate_variants`. A control has no corrected p-value (NaN).
    n_undefined : int
        Resamples in which the metric is undefined, and which the intervals therefore leave out. If they are
        many, the images are too few for this metric.
    n_images : int
        Images of the truth.
    n_detections : int
        Detections of the variant.
    """

    variant: str
    metric: str
    category_id: int | None
    category: str | None
    value: float
    baseline: float
    difference: float
    value_low: float
    value_high: float
    low: float
    high: float
    value_bias: float
    bias: float
    p_value: float
    p_adjusted: float
    n_undefined: int
    n_images: int
    n_detections: int


@dataclass(frozen=True)
class VariantTable(Sequence[VariantRow]):
    """Rows of `evaluate_variants`: a sequence, which becomes dicts, CSV or pandas.

    Attributes
    ----------
    rows : tuple of VariantRow
    settings : mapping of str to object
        How the numbers were made: thresholds, bootstrap, correction.
    """

    rows: tuple[VariantRow, ...]
    settings: Mapping[str, Any]

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[VariantRow]:
        return iter(self.rows)

    def select(self, **values: Any) -> VariantTable:
        """Return the rows whose fields have these values, for instance ``metric="AP", category_id=None``."""
        unknown = set(values) - {f.name for f in fields(VariantRow)}
        if unknown:
            known = ", ".join(f.name for f in fields(VariantRow))
            raise SettingError(f"`select` takes fields of a row ({known}), got {', '.join(sorted(unknown))}.")
        chosen = (row for row in self.rows if all(getattr(row, k) == v for k, v in values.items()))
        return replace(self, rows=tuple(chosen))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dicts ready for JSON; NaN becomes None."""
        return [to_jsonable(row) for row in self.rows]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as a CSV file, with empty cells for what is undefined."""
        names = [f.name for f in fields(VariantRow)]
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.to_dicts())

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as exc:
            raise MissingExtraError(
                "`to_pandas` needs pandas, which is not installed. Run `pip install pandas`, or use `to_csv`."
            ) from exc
        frame = pandas.DataFrame(
            [asdict(row) for row in self.rows], columns=[f.name for f in fields(VariantRow)]
        )
        return frame.astype({"category_id": "Int64"})
