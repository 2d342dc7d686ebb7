"""From the text of a table's cells to numbers that a measure or label can have."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from cohorts.schema import Label, Measure
from cohorts.spelling import canonical
from cohorts.tables import Table, factorize

COMMA_NUMBER = r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?"


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
    pointed = _with_points(pd.Series(texts, dtype=object), table.content.decimal)
    parsed = pd.to_numeric(pointed.mask(missing, "nan"), errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(np.isnan(parsed) & ~missing)
    if len(wrong):
        problem, remedy = _why_no_number(texts[wrong[0]], table.content.decimal)
        table.fail(column, rows[wrong[0]], problem, remedy, len(wrong) - 1)
    return parsed


def _with_points(texts: pd.Series, decimal: str | None) -> pd.Series:
    """Numbers with a decimal point; where they are written with commas, a point is no part of a number."""
    commas = texts.str.fullmatch(COMMA_NUMBER) if decimal != "." else pd.Series(False, texts.index)
    if decimal == "." or (decimal is None and not commas.any()):
        return texts
    pointed = texts.str.contains(".", regex=False)
    return texts.mask(commas, texts.str.replace(",", ".", regex=False)).mask(pointed, "with a point")


def _why_no_number(text: str, decimal: str | None) -> tuple[str, str]:
    """What is wrong with a text where a number belongs, and the remedy."""
    if decimal == "." and re.fullmatch(COMMA_NUMBER, text):
        return (
            f"{text!r} is not a number: it has a decimal comma",
            'Say so in the schema (format: {decimal: ","}), or export the file with decimal points.',
        )
    if decimal != "." and re.fullmatch(r"[+-]?[0-9]*[.][0-9]+", text):
        return (
            f"{text!r} is not a number: it has a point, where others have a decimal comma",
            'Say in the schema which of them is right (format: {decimal: "."}), or write the numbers alike, without a '
            "separator of thousands.",
        )
    return f"{text!r} is not a number", "Correct the value, or leave the cell empty if it is missing."


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
    commas = table.content.decimal != "."
    indices = np.array([_index(text, known, commas) for text in texts], dtype=np.float64)[codes]
    return np.where((indices < 0) & missing_codes, np.nan, indices)


def _index(text: str, known: dict[str, float], commas: bool) -> float:
    found = known.get(canonical(text), -1.0)
    if found < 0 and commas and re.fullmatch(COMMA_NUMBER, text):
        return known.get(canonical(text.replace(",", ".")), -1.0)
    return found
