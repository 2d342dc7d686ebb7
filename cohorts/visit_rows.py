"""Which row of a table stands for which participant at which visit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cohorts.cells import measure_values
from cohorts.errors import CohortError, quoted
from cohorts.ids import hint_of_sites
from cohorts.ids import participant as described
from cohorts.schema import Schema
from cohorts.spelling import Meanings
from cohorts.tables import Table, factorize
from cohorts.visits import Window


@dataclass(frozen=True)
class VisitRows:
    """The k chosen rows, and what became of the others.

    Args:
        row: row of the table (k,).
        participant: position of the participant (k,).
        visit: index of the visit (k,).
        other_visits: rows of no visit in the schema.
        superseded: rows in a window that are incomplete or lost to another.
    """

    row: np.ndarray
    participant: np.ndarray
    visit: np.ndarray
    other_visits: int
    superseded: int = 0

    def present(self, participants: int, visits: int) -> np.ndarray:
        """Whether a participant has a row at a visit: bool (n, V)."""
        present = np.zeros((participants, visits), dtype=bool)
        present[self.participant, self.visit] = True
        return present


def rows_by_visit(
    schema: Schema, name: str, table: Table, ids: np.ndarray, participant: np.ndarray, times: np.ndarray | None
) -> VisitRows:
    """Choose one row per participant and visit.

    Args:
        schema: gives the codes or windows.
        name: the table's name in the schema.
        table: the file.
        ids: participants (n,).
        participant: each row's position among `ids` (rows,).
        times: of each row, float64 (rows,), where visits are windows.

    Raises:
        CohortError: for a participant with two rows at one visit code or time, or a visit that never occurs.
    """
    if times is None:
        chosen = _by_code(schema, table, ids, participant)
    else:
        chosen = _by_window(schema, name, table, ids, participant, times)
    here = [measure for measure in schema.measures if measure.table == name and measure.columns is None]
    expected = {visit for measure in here for visit in schema.visits_of(measure)}
    never = [visit for v, visit in enumerate(schema.visit_names) if visit in expected and not (chosen.visit == v).any()]
    if never:
        _fail_never_occurs(schema, table, never[0])
    return chosen


def _by_code(schema: Schema, table: Table, ids: np.ndarray, participant: np.ndarray) -> VisitRows:
    column = str(schema.visits.column)
    known = Meanings([(code, v) for v, code in enumerate(schema.visit_names)])
    codes, texts = factorize(table.columns[column])
    visit = np.array([known.of(text, table.commas) for text in texts], dtype=np.int64)[codes]  # (rows,)
    row = np.flatnonzero(visit >= 0)
    again = _first_repeat(participant[row], visit[row])
    if len(again):
        at = row[again[0]]
        table.fail(
            column,
            at,
            f"{described(ids[participant[at]])} has a second row at visit {schema.visit_names[visit[at]]}",
            "Remove the duplicates, or give the rows their own visit codes." + hint_of_sites(schema),
            len(again) - 1,
        )
    return VisitRows(row, participant[row], visit[row], other_visits=len(table) - len(row))


def _by_window(
    schema: Schema, name: str, table: Table, ids: np.ndarray, participant: np.ndarray, time: np.ndarray
) -> VisitRows:
    column = str(schema.visits.column)
    visit = np.full(len(table), -1)
    priority = np.zeros(len(table))  # the smallest wins
    for v, window in enumerate(schema.visits.windows or ()):
        inside = (time >= window.start) & (time <= window.end)
        visit[inside] = v
        priority[inside] = _priority(window, time[inside])
    row = np.flatnonzero(visit >= 0)
    again = _first_repeat(participant[row], time[row])
    if len(again):
        at = row[again[0]]
        table.fail(
            column,
            at,
            f"{described(ids[participant[at]])} has a second row at {quoted(f'{column} {time[at]:g}', 'one time')}",
            "Remove the duplicates; of two rows at the same time, neither takes precedence." + hint_of_sites(schema),
            len(again) - 1,
        )
    in_windows = len(row)
    row = row[_has_what_is_expected(schema, name, table, visit[row], row)]
    row = row[np.lexsort((time[row], priority[row], visit[row], participant[row]))]
    row = row[~_repeated(participant[row], visit[row])]
    return VisitRows(row, participant[row], visit[row], len(table) - in_windows, in_windows - len(row))


def _priority(window: Window, time: np.ndarray) -> np.ndarray:
    if window.take == "nearest":
        return np.abs(time - window.middle)
    return time if window.take == "first" else -time


def _has_what_is_expected(schema: Schema, name: str, table: Table, visit: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Rows that lack no measure that is needed, bool (k,): a poorer row must not push a better one out of a window.

    Args:
        schema: says what is expected at which visit, and what may be missing.
        name: the table's name in the schema.
        table: the file.
        visit: of each row, (k,).
        row: the rows (k,).
    """
    complete, something = np.ones(len(row), dtype=bool), np.zeros(len(row), dtype=bool)
    for m, measure in enumerate(schema.measures):
        if measure.table == name and measure.column is not None:
            expected, there = schema.observed[m, visit], ~table.missing(measure.column, measure.missing_values)[row]
            if measure.outside == "missing":
                there[expected] &= ~np.isnan(measure_values(table, measure.column, measure, row[expected])[0])
            something |= expected & there
            if measure.missing == "drop":
                complete &= there | ~expected
    return complete & something


def _repeated(participant: np.ndarray, key: np.ndarray) -> np.ndarray:
    return pd.DataFrame({"participant": participant, "key": key}).duplicated().to_numpy()


def _first_repeat(participant: np.ndarray, key: np.ndarray) -> np.ndarray:
    return np.flatnonzero(_repeated(participant, key))


def _fail_never_occurs(schema: Schema, table: Table, visit: str) -> None:
    column = schema.visits.column
    if schema.visits.windows is not None:
        window = next(window for window in schema.visits.windows if window.name == visit)
        raise CohortError(
            f"{table.path}, column {column}: no complete row falls into the window {visit} "
            f"({window.start:g} to {window.end:g}). Check the window's limits and the column's unit, or "
            "remove the window from the schema."
        )
    _, texts = factorize(table.columns[str(column)])
    listed = ", ".join(texts[:30]) + (", ..." if len(texts) > 30 else "")
    shown = quoted(f"the file has {listed}", "--show-values shows which codes the file has")
    raise CohortError(
        f"{table.path}, column {column}: the visit code {visit} of the schema never occurs; {shown}. "
        "Correct the code in the schema, or remove it."
    )
