"""Cells that hold numbers: decimal commas, missing values, detection limits, limits."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cohorts.errors import quoted
from cohorts.measure import Measure
from cohorts.report import CellCount
from cohorts.spelling import COMMA_NUMBER
from cohorts.tables import Table

CENSORED = r"<=?\s*([0-9]*[.,]?[0-9]+)"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{2,4}"


def numbers(table: Table, column: str, rows: np.ndarray, codes: Sequence[object] = (), dates: str = "") -> np.ndarray:
    """The numbers in a column.

    Args:
        table: the file.
        column: its column.
        rows: indices of the rows wanted (k,).
        codes: what stands for a missing value in this column alone.
        dates: what to do if these are dates.

    Returns:
        float64 (k,), NaN where the file has no value.

    Raises:
        CohortError: for text that is no number.
    """
    texts = table.columns[column][rows]
    return _parsed(table, column, rows, texts, table.missing(column, codes)[rows], dates)


def _parsed(
    table: Table, column: str, rows: np.ndarray, texts: np.ndarray, missing: np.ndarray, dates: str = ""
) -> np.ndarray:
    codes, distinct = pd.factorize(texts)
    pointed = _with_points(pd.Series(distinct, dtype=object), table.content.decimal)
    parsed = pd.to_numeric(pointed, errors="coerce").to_numpy(float)[codes]
    parsed[missing] = np.nan
    wrong = np.flatnonzero(np.isnan(parsed) & ~missing)
    if len(wrong):
        problem, remedy = _why_no_number(texts[wrong[0]], table.content.decimal, dates)
        table.fail(column, rows[wrong[0]], problem, remedy, len(wrong) - 1)
    return parsed


def _with_points(texts: pd.Series, decimal: str | None) -> pd.Series:
    """Numbers with a decimal point; where they are written with commas, a point is no part of a number."""
    commas = texts.str.fullmatch(COMMA_NUMBER) if decimal != "." else pd.Series(False, texts.index)
    if decimal == "." or (decimal is None and not commas.any()):
        return texts
    pointed = texts.str.contains(".", regex=False)
    return texts.mask(commas, texts.str.replace(",", ".", regex=False)).mask(pointed, "with a point")


def _why_no_number(text: str, decimal: str | None, dates: str) -> tuple[str, str]:
    """What is wrong with a text where a number belongs, and the remedy."""
    problem = f"{quoted(repr(text), 'a text')} is not a number"
    if decimal == "." and re.fullmatch(COMMA_NUMBER, text):
        return (
            f"{problem}: it has a decimal comma",
            'Say so in the schema (format: {decimal: ","}), or export the file with decimal points.',
        )
    if decimal != "." and re.fullmatch(r"[+-]?[0-9]*[.][0-9]+", text):
        return (
            f"{problem}: it has a point, where others have a decimal comma",
            'Say in the schema which of them is right (format: {decimal: "."}), or write the numbers alike, without a '
            "separator of thousands.",
        )
    if re.fullmatch(CENSORED, text):
        return (
            f"{problem}, but below a detection limit",
            "Say in the schema how such values are read, at the measure: detection_limit: {value: LIMIT, as: half}.",
        )
    if re.fullmatch(DATE, text):
        return (
            f"{problem}, but a date",
            dates
            or "If the measure is a date, name the column with the date that days are counted from: origin: COLUMN.",
        )
    return problem, (
        "Correct the value, leave the cell empty if it is missing, or name the text under missing_values in the schema."
    )


def measured_numbers(
    table: Table, column: str, measure: Measure, rows: np.ndarray
) -> tuple[np.ndarray, list[CellCount]]:
    """A numeric measure's values.

    Returns:
        float64 (k,) in its unit, NaN where the file has no value; and how many cells the measure's rules changed.

    Raises:
        CohortError: for text, a value outside the limits, a part of a count.
    """
    texts = table.columns[column][rows]
    missing = table.missing(column, measure.missing_values)[rows]
    censored = _censored(table, column, measure, rows, texts)
    values = _parsed(table, column, rows, texts, missing | censored)
    counts = []
    if measure.detection_limit is not None:
        values[censored] = read_as = measure.detection_limit.stands_for(measure.lower)
        what = f"below the detection limit {measure.detection_limit.value:g}, read as {read_as:g}"
        counts.append(CellCount(str(table.path), column, what, int(censored.sum())))
    outside = (values < measure.lower) | (values > measure.upper)
    if measure.outside == "error":
        _require_inside(table, column, measure, rows, np.flatnonzero(outside))
    else:
        limits, clamped = f"the limits {measure.lower:g} to {measure.upper:g}", measure.outside == "clamp"
        what = f"clamped to {limits}" if clamped else f"set missing, outside {limits}"
        counts.append(CellCount(str(table.path), column, what, int(outside.sum())))
        values = np.clip(values, measure.lower, measure.upper) if clamped else np.where(outside, np.nan, values)
    if measure.kind == "integer":
        _require_whole(table, column, measure, rows, np.flatnonzero(values % 1 > 0))
    return values, [count for count in counts if count.cells]


def _censored(table: Table, column: str, measure: Measure, rows: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Which cells (k,) say that the value is below the measure's detection limit."""
    limit = measure.detection_limit
    if limit is None:
        return np.zeros(len(texts), dtype=bool)
    stated = pd.Series(texts, dtype=object).str.extract(f"^{CENSORED}$")[0].str.replace(",", ".", regex=False)
    stated_limits = pd.to_numeric(stated).to_numpy(float)
    censored: np.ndarray = ~np.isnan(stated_limits)
    other = np.flatnonzero(censored & (stated_limits != limit.value))
    if len(other):
        table.fail(
            column,
            rows[other[0]],
            f"{measure.name} is {quoted(repr(texts[other[0]]), 'below another detection limit')}, where the schema's "
            f"detection limit is {limit.value:g}",
            "Bring the file to one limit, or correct detection_limit in the schema.",
            len(other) - 1,
        )
    return censored


def _require_inside(table: Table, column: str, measure: Measure, rows: np.ndarray, outside: np.ndarray) -> None:
    if len(outside):
        value = quoted(table.columns[column][rows[outside[0]]], "a number")
        table.fail(
            column,
            rows[outside[0]],
            f"{measure.name} is {value}, outside its bounds {measure.lower:g} to "
            f"{measure.upper:g}{' ' + measure.unit if measure.unit else ''}",
            "Correct the value, say at the measure that such values are to be clamped or missing (outside: clamp or "
            "outside: missing), name a code of missing values under missing_values, or change lower or upper in the "
            "schema to limits that are plausible for any such trial: they are public, so do not fit them to this file.",
            len(outside) - 1,
        )


def _require_whole(table: Table, column: str, measure: Measure, rows: np.ndarray, broken: np.ndarray) -> None:
    if len(broken):
        value = quoted(table.columns[column][rows[broken[0]]], "a number")
        table.fail(
            column,
            rows[broken[0]],
            f"{measure.name} is {value}, not a whole number",
            "Correct the value, or declare the measure's kind as continuous.",
            len(broken) - 1,
        )
