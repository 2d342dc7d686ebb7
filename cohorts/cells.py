"""From the text of a table's cells to numbers that a measure can have."""

from __future__ import annotations

import numpy as np

from cohorts.errors import quoted
from cohorts.measure import Measure
from cohorts.number_cells import measured_numbers
from cohorts.report import CellCount
from cohorts.spelling import Meanings
from cohorts.tables import Table, factorize


def measure_values(table: Table, column: str, measure: Measure, rows: np.ndarray) -> tuple[np.ndarray, list[CellCount]]:
    """A measure's values: in its unit, or the index of its category.

    Args:
        table: the file.
        column: its column.
        measure: what it holds.
        rows: indices of the rows wanted (k,).

    Returns:
        float64 (k,), NaN where the file has no value; and what was read as something else than it says.

    Raises:
        CohortError: for text in a numeric column, a value outside the bounds, a part of a count, an unknown category.
    """
    if not measure.discrete:
        return measured_numbers(table, column, measure, rows)
    meanings = Meanings([(category, index) for index, category in enumerate(measure.categories)])
    missing = table.missing(column, measure.missing_values)
    indices = looked_up(table, column, meanings, rows, missing)
    wrong = np.flatnonzero(indices < 0)
    if len(wrong):
        listed = ", ".join(str(category) for category in measure.categories)
        text = table.columns[column][rows[wrong[0]]]
        table.fail(
            column,
            rows[wrong[0]],
            f"{quoted(repr(text), 'a text')} is not a category of {measure.name} ({listed})",
            "Correct the value, or add the category to the schema.",
            len(wrong) - 1,
        )
    return indices, _words_taken_for_missing(table, column, measure, rows[np.isnan(indices)])


def _words_taken_for_missing(table: Table, column: str, measure: Measure, rows: np.ndarray) -> list[CellCount]:
    """Texts such as None that may have been a category which the schema forgot (rows,)."""
    codes, texts = factorize(table.columns[column][rows])
    declared = Meanings([(code, 0) for code in (*table.missing_values, *measure.missing_values)])
    what = "the text {} taken for a missing value, since " + measure.name + " has no such category"
    return [
        CellCount(str(table.path), column, what.format(text), int((codes == number).sum()))
        for number, text in enumerate(texts)
        if text not in ("", ".") and declared.of(text) < 0
    ]


def looked_up(table: Table, column: str, meanings: Meanings, rows: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Index of each cell's text (k,): NaN where missing, -1 where unknown. A listed category is never missing."""
    codes, texts = factorize(table.columns[column][rows])
    indices = np.array([meanings.of(text, table.commas) for text in texts], dtype=np.float64)[codes]
    return np.where((indices < 0) & missing[rows], np.nan, indices)
