"""Values of measures as a file spells them, and several measures in one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from cohorts.measure import Measure
from cohorts.parameters import of_numbers
from cohorts.spelling import typed

ORIGIN = date(2000, 1, 1)
"""Where every synthetic participant's dates are counted from."""


@dataclass(frozen=True)
class Part:
    """What one measure says in a column.

    Args:
        measure: which.
        rows: where, int (k,).
        values: as `in_units` spells them (k,).
    """

    measure: Measure
    rows: np.ndarray
    values: Any


def in_units(measure: Measure, values: np.ndarray) -> Any:
    """Values (k,) as the file spells them: rounded, whole, a date or a category; where one is missing, nothing."""
    missing = np.isnan(values)
    if missing.any() and (measure.discrete or measure.kind == "integer"):
        known = pd.Series(in_units(measure, np.where(missing, measure.lower, values))).convert_dtypes()
        return known.mask(missing).array
    spelled: np.ndarray
    if measure.discrete:
        spelled = typed(measure.categories)[values.astype(np.int64)]
    elif measure.origin is not None:
        spelled = dates(np.rint(values).astype(np.int64).tolist())
    elif measure.kind == "integer":
        spelled = np.rint(values).astype(np.int64)
    elif measure.decimals is None:
        spelled = values.astype(np.float32)  # float32's shortest spelling, which reads back as the same number
    else:
        spelled = values.astype(np.float64).round(measure.decimals)
    return spelled


def dates(days: Sequence[int]) -> np.ndarray:
    """So many days from where synthetic participants' dates are counted from, spelled 2000-01-31."""
    return np.array([(ORIGIN + timedelta(days=day)).isoformat() for day in days], dtype=object)


def together(parts: Sequence[Part], rows: int) -> Any:
    """A column (rows,) of several measures, each in rows of its own: numbers if all have numbers, else text.

    A whole number is spelled without a point where all are whole, and in text. Where no measure has a value, nothing
    stands.
    """
    if len(parts) == 1 and len(parts[0].rows) == rows:
        return parts[0].values
    if not all(of_numbers(part.measure) for part in parts):
        texts = pd.array([None] * rows, dtype="string")
        for part in parts:
            texts[part.rows] = _known(part.values).astype("string")
        return texts if texts.isna().any() else texts.to_numpy(dtype=object)
    numbers = np.full(rows, np.nan)
    for part in parts:
        numbers[part.rows] = _known(part.values).astype("Float64").to_numpy(float, na_value=np.nan)
    if (numbers[~np.isnan(numbers)] % 1 == 0).all() and all(_whole(part.measure) for part in parts):
        column = pd.array(numbers, dtype="Int64")
        return column if column.isna().any() else column.to_numpy(np.int64)
    return numbers


def _whole(measure: Measure) -> bool:
    return measure.discrete or measure.kind == "integer" or measure.decimals == 0


def _known(values: Any) -> pd.Series:
    """Values with nothing where a float is NaN, and float32 as the double of the same shortest spelling."""
    column = pd.Series(values)
    if column.dtype == np.float32:
        column = column.astype(str).astype(float)
    return column.convert_dtypes(convert_integer=False) if column.dtype == np.float64 else column
