"""Dates in a file as days from another date of the same participant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cohorts.errors import quoted
from cohorts.per_participant import one_per_participant
from cohorts.schema import Schema
from cohorts.tables import Table, factorize

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T].*)?"


def days_since(
    schema: Schema,
    tables: Mapping[str, Table],
    ids: np.ndarray,
    position: Mapping[str, np.ndarray],
    dated: tuple[str, str],
    origin: tuple[str, str],
    codes: Sequence[object] = (),
) -> np.ndarray:
    """The days from one date to another.

    Args:
        schema: of the trial.
        tables: every file.
        ids: participants (n,).
        position: of each table, the rows' positions among `ids`.
        dated: table and column of the later date.
        origin: of the earlier one, of which a participant has one.
        codes: what stands for a missing value in the column of the later.

    Returns:
        float64 (rows,), NaN where the row or its participant has no date.

    Raises:
        CohortError: for text that is no date, or a participant with two origins.
    """
    (name, column), (source, start) = dated, origin
    begun = one_per_participant(schema, tables[source], start, _days(tables[source], start), ids, position[source])
    since: np.ndarray = _days(tables[name], column, codes) - begun[position[name]]
    return since


def with_days(
    schema: Schema, tables: Mapping[str, Table], ids: np.ndarray, position: Mapping[str, np.ndarray]
) -> dict[str, Table]:
    """Tables in which dates that are values of measures are replaced by their days; arguments as those above."""
    counted = dict(tables)
    for measure in (each for each in schema.recorded if each.counted_from is not None):
        assert measure.counted_from is not None
        for column in (measure.columns or {"": str(measure.column)}).values():
            dated, codes = (measure.table, column), measure.missing_values
            since = days_since(schema, tables, ids, position, dated, measure.counted_from, codes)
            texts = np.array(["" if np.isnan(day) else str(int(day)) for day in since], dtype=object)
            content = counted[measure.table].content
            content = replace(content, columns={**content.columns, column: texts})
            counted[measure.table] = replace(counted[measure.table], content=content)
    return counted


def _days(table: Table, column: str, codes: Sequence[object] = ()) -> np.ndarray:
    """Dates as days, float64 (rows,); the time of day does not count."""
    places, texts = factorize(table.columns[column])
    missing = table.missing(column, codes)
    spelled = pd.Series(texts, dtype=object)
    spelled = spelled.where(spelled.str.fullmatch(DAY)).str.slice(0, 10)
    dates = pd.to_datetime(spelled, format="%Y-%m-%d", errors="coerce")
    days = ((dates - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(float)[places]
    wrong = np.flatnonzero(np.isnan(days) & ~missing)
    if len(wrong):
        table.fail(
            column,
            wrong[0],
            f"{quoted(repr(texts[places[wrong[0]]]), 'a text')} is not a date",
            "Write dates as 2020-01-31 (year, month, day), leave the cell empty if it is missing, or leave out origin "
            "in the schema if the column holds numbers.",
            len(wrong) - 1,
        )
    known: np.ndarray = np.where(missing, np.nan, days)
    return known
