"""When a row was measured: a number in the file, or the days from one date to another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohorts.errors import quoted
from cohorts.number_cells import numbers
from cohorts.per_participant import one_per_participant
from cohorts.schema import Schema
from cohorts.tables import Table, factorize

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T].*)?"


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
    if not schema.origins:
        remedy = (
            "For dates name the column with the date that days are counted from, such as that of randomisation: "
            "origin: COLUMN beside column, or origin: {table: TABLE, column: COLUMN}."
        )
        return numbers(table, column, every, dates=remedy)
    (source, start), *_ = [each for each in schema.origins if each[0] == name] or schema.origins
    from_start = _days(tables[source], start)
    begun = one_per_participant(schema, tables[source], start, from_start, ids, position[source])
    since: np.ndarray = _days(table, column) - begun[position[name]]
    return since


def _days(table: Table, column: str) -> np.ndarray:
    """Dates as days, float64 (rows,); the time of day does not count."""
    codes, texts = factorize(table.columns[column])
    missing = table.missing(column)
    spelled = pd.Series(texts, dtype=object)
    spelled = spelled.where(spelled.str.fullmatch(DAY)).str.slice(0, 10)
    dates = pd.to_datetime(spelled, format="%Y-%m-%d", errors="coerce")
    days = ((dates - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(float)[codes]
    wrong = np.flatnonzero(np.isnan(days) & ~missing)
    if len(wrong):
        table.fail(
            column,
            wrong[0],
            f"{quoted(repr(texts[codes[wrong[0]]]), 'a text')} is not a date",
            "Write dates as 2020-01-31 (year, month, day), leave the cell empty if it is missing, or leave out origin "
            "in the schema if the column holds numbers.",
            len(wrong) - 1,
        )
    known: np.ndarray = np.where(missing, np.nan, days)
    return known
