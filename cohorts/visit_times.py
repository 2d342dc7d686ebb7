"""When a row was measured: a number in the file, or the days from one date to another."""

from __future__ import annotations

import numpy as np

from cohorts.dates import days_since
from cohorts.number_cells import numbers
from cohorts.schema import Schema
from cohorts.tables import Table


def visit_times(
    schema: Schema, name: str, tables: dict[str, Table], ids: np.ndarray, position: dict[str, np.ndarray]
) -> np.ndarray:
    """The time of every row of a table, in the unit of the windows; in days if visits have an origin.

    Args:
        schema: its visits are windows.
        name: the table's name in the schema.
        tables: every file.
        ids: participants (n,).
        position: of each table, the rows' positions among `ids`.

    Returns:
        float64 (rows,), NaN where the row or its participant has no time.

    Raises:
        CohortError: for text that is no number, or no date if visits have an origin.
    """
    table, column = tables[name], str(schema.visits.column)
    every = np.arange(len(table))
    if not schema.visit_origins:
        remedy = (
            "For dates name the column with the date that days are counted from, such as that of randomisation: "
            "origin: COLUMN beside column, or origin: {table: TABLE, column: COLUMN}."
        )
        return numbers(table, column, every, dates=remedy)
    origin, *_ = [each for each in schema.visit_origins if each[0] == name] or schema.visit_origins
    return days_since(schema, tables, ids, position, (name, column), origin)
