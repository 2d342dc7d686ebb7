"""From the text of a table's cells to numbers that a measure or label can have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohorts.schema import Label, Measure, canonical
from cohorts.tables import Table, factorize


def numbers(table: Table, column: str, rows: np.ndarray) -> np.ndarray:
    """The numbers in a column.

    Args:
        table: the file.
        column: its column.
        rows: indices of the rows wanted (k,).

    Returns:
        float64 (k,), NaN where the file has no value.

    Raises:
        CohortError: for text that is no number.
    """
    texts = table.columns[column][rows]
    missing = table.missing(column)[rows]
    parsed = pd.to_numeric(pd.Series(np.where(missing, "nan", texts), dtype=object), errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(np.isnan(parsed) & ~missing)
    if len(wrong):
        table.fail(
            column,
            rows[wrong[0]],
            f"{texts[wrong[0]]!r} is not a number",
            "Correct the value, or leave the cell empty if it is missing.",
            len(wrong) - 1,
        )
    return parsed


def measure_values(table: Table, column: str, measure: Measure, rows: np.ndarray) -> np.ndarray:
    """A measure's values: in its unit, or the index of its category.

    Returns:
        float64 (k,), NaN where the file has no value.

    Raises:
        CohortError: for text in a numeric column, a value outside the bounds, a part of a count, an unknown category.
    """
    if measure.discrete:
        return _category_indices(table, column, measure, rows)
    values, texts = numbers(table, column, rows), table.columns[column][rows]
    outside = np.flatnonzero((values < measure.lower) | (values > measure.upper))
    if len(outside):
        table.fail(
            column,
            rows[outside[0]],
            f"{measure.name} is {texts[outside[0]]}, outside its bounds {measure.lower:g} to "
            f"{measure.upper:g}{' ' + measure.unit if measure.unit else ''}",
            "Correct the value, or change lower or upper in the schema to limits that are plausible for any "
            "such trial: they are public, so do not fit them to this file.",
            len(outside) - 1,
        )
    if measure.kind == "integer":
        broken = np.flatnonzero(values % 1 > 0)
        if len(broken):
            table.fail(
                column,
                rows[broken[0]],
                f"{measure.name} is {texts[broken[0]]}, not a whole number",
                "Correct the value, or declare the measure's kind as continuous.",
                len(broken) - 1,
            )
    return values


def _category_indices(table: Table, column: str, measure: Measure, rows: np.ndarray) -> np.ndarray:
    known = {canonical(category): float(index) for index, category in enumerate(measure.categories)}
    indices = _lookup(table, column, known, rows)
    wrong = np.flatnonzero(indices < 0)
    if len(wrong):
        listed = ", ".join(str(category) for category in measure.categories)
        table.fail(
            column,
            rows[wrong[0]],
            f"{table.columns[column][rows[wrong[0]]]!r} is not a category of {measure.name} ({listed})",
            "Correct the value, or add the category to the schema.",
            len(wrong) - 1,
        )
    return indices


def label_indices(table: Table, label: Label, rows: np.ndarray) -> np.ndarray:
    """The index of each row's label class.

    Returns:
        float64 (k,), NaN where the file has no value.

    Raises:
        CohortError: for a value that belongs to no class.
    """
    known = {canonical(value): float(index) for index, each in enumerate(label.classes) for value in each.values}
    indices = _lookup(table, label.column, known, rows)
    wrong = np.flatnonzero(indices < 0)
    if len(wrong):
        listed = ", ".join(f"{value} ({each.name})" for each in label.classes for value in each.values)
        table.fail(
            label.column,
            rows[wrong[0]],
            f"{table.columns[label.column][rows[wrong[0]]]!r} is not a value of "
            f"the label {label.name}, which has {listed}",
            "Correct the value, or name it under the label's classes in the schema.",
            len(wrong) - 1,
        )
    return indices


def _lookup(table: Table, column: str, known: dict[str, float], rows: np.ndarray) -> np.ndarray:
    """Index of each cell's text (k,): NaN where missing, -1 where unknown. A listed category is never missing."""
    codes, texts = factorize(table.columns[column][rows])
    missing_codes = table.missing(column)[rows]
    indices = np.array([known.get(canonical(text), -1.0) for text in texts], dtype=np.float64)[codes]
    return np.where((indices < 0) & missing_codes, np.nan, indices)
