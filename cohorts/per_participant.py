"""One value per participant from a column in which it may be repeated."""

from __future__ import annotations

import numpy as np

from cohorts.errors import quoted
from cohorts.ids import hint_of_sites, participant
from cohorts.schema import Schema
from cohorts.tables import Table


def one_per_participant(
    schema: Schema, table: Table, column: str, by_row: np.ndarray, ids: np.ndarray, position: np.ndarray
) -> np.ndarray:
    """A constant of the participant.

    Args:
        schema: of the trial.
        table: the file.
        column: its column.
        by_row: what the column says, float64 (rows,), NaN where nothing.
        ids: participants (n,).
        position: each row's position among `ids` (rows,).

    Returns:
        float64 (n,), NaN where no row has it.

    Raises:
        CohortError: for rows of one participant that disagree.
    """
    known = np.flatnonzero(~np.isnan(by_row))
    result = np.full(len(ids), np.nan)
    result[position[known][::-1]] = by_row[known][::-1]  # reversed, so that the first row stands
    wrong = known[by_row[known] != result[position[known]]]
    if len(wrong):
        text = quoted(repr(table.columns[column][wrong[0]]), "one value")
        table.fail(
            column,
            wrong[0],
            f"{participant(ids[position[wrong[0]]])} has {text} here and another in an earlier row, where one "
            "value per participant was expected",
            "Correct the value, or declare the column as a measure of the visits." + hint_of_sites(schema),
            len(wrong) - 1,
        )
    return result
