"""Which row of a table stands for which participant at which visit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cohorts.cells import measure_values
from cohorts.errors import CohortError, quoted
from cohorts.ids import hint_of_sites
from cohorts.ids import participant as described
from cohorts.parameters import RowKind
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
        occurs: whether any row of the table, of this kind or another, is of a visit: bool (V,).
        other_visits: rows of no visit in the schema.
        superseded: rows in a window that are incomplete or lost to another.
    """

    row: np.ndarray
    participant: np.ndarray
    visit: np.ndarray
    occurs: np.ndarray
    other_visits: int = 0
    superseded: int = 0

    @property
    def considered(self) -> int:
        """How many rows of the table were of this kind: k and the others."""
        return len(self.row) + self.other_visits + self.superseded

    def present(self, participants: int, visits: int) -> np.ndarray:
        """Whether a participant has a row at a visit: bool (n, V)."""
        present = np.zeros((participants, visits), dtype=bool)
        present[self.participant, self.visit] = True
        return present


def rows_by_visit(
    schema: Schema, kind: RowKind, table: Table, ids: np.ndarray, participant: np.ndarray, times: np.ndarray | None
) -> VisitRows:
    """Choose one row per participant and visit.

    Args:
        schema: gives the codes or windows.
        kind: which rows are considered: the table's, or those of a parameter.
        table: the file.
        ids: participants (n,).
        participant: each row's position among `ids` (rows,).
        times: of each row, float64 (rows,), where visits are windows.

    Raises:
        CohortError: for a participant with two rows at one visit code or time.
    """
    considered = _rows_of_kind(schema, kind, table)
    if times is None:
        chosen = _by_code(schema, kind, table, ids, participant, considered)
    else:
        chosen = _by_window(schema, kind, table, ids, participant, times, considered)
    return replace(chosen, other_visits=int(considered.sum()) - len(chosen.row) - chosen.superseded)


def visits_without_rows(
    schema: Schema, kind: RowKind, table: Table, chosen: VisitRows, needed: np.ndarray
) -> tuple[str, ...]:
    """Visits at which something of this kind is measured, and of which the whole table has no row.

    That may be so where nobody has come so far yet, or in a synthetic trial where nobody has a value there.

    Args:
        schema: gives the visits.
        kind: of the rows.
        table: the file.
        chosen: the rows of this kind.
        needed: whether somebody must have a value of this kind at a visit: bool (V,).

    Raises:
        CohortError: for a visit without rows of this kind where the table has rows of another, or where a value is
            needed.
    """
    expected = {visit for measure in schema.measures_of(kind).values() for visit in schema.visits_of(measure)}
    never = [v for v, visit in enumerate(schema.visit_names) if visit in expected and not (chosen.visit == v).any()]
    for v in never:
        if chosen.occurs[v] or needed[v]:
            considered = rows_of_kind(schema, kind, table)
            _fail_never_occurs(schema, kind, table, schema.visit_names[v], considered)
    return tuple(schema.visit_names[v] for v in never)


def rows_of_kind(schema: Schema, kind: RowKind, table: Table) -> np.ndarray:
    """Which rows are of a kind: bool (rows,).

    Raises:
        CohortError: for a parameter that never occurs.
    """
    own = _rows_of_kind(schema, kind, table)
    if not own.any():
        column = schema.parameters_of(kind.table).column
        _, texts = factorize(table.columns[column])
        shown = quoted(f"the file has {_listed(texts)}", "--show-values shows which codes the file has")
        raise CohortError(
            f"{table.path}, column {column}: the parameter {kind.parameter} of the schema never occurs; {shown}. "
            "Correct the code in the schema, or remove what has it."
        )
    return own


def _rows_of_kind(schema: Schema, kind: RowKind, table: Table) -> np.ndarray:
    """Which rows are of a kind, perhaps none: bool (rows,)."""
    if kind.parameter is None:
        return np.ones(len(table), dtype=bool)
    column = schema.parameters_of(kind.table).column
    kinds = schema.all_row_kinds(kind.table)
    known = Meanings([(str(each.parameter), k) for k, each in enumerate(kinds)])
    codes, texts = factorize(table.columns[column])
    own = np.array([known.of(text, table.commas) == kinds.index(kind) for text in texts])
    of_kind: np.ndarray = own[codes]
    return of_kind


def _listed(texts: list[str]) -> str:
    return ", ".join(texts[:30]) + (", ..." if len(texts) > 30 else "")


def _which_counts(kind: RowKind) -> str:
    """What to do about two rows of a parameter at a visit: a sentence, after a space."""
    if kind.parameter is None:
        return ""
    return f' Of rows that a flag tells apart, say which count: where: {{{kind.table}: {{ANL01FL: "Y"}}}}.'


def _by_code(
    schema: Schema, kind: RowKind, table: Table, ids: np.ndarray, participant: np.ndarray, considered: np.ndarray
) -> VisitRows:
    column = str(schema.visits.column)
    known = Meanings([(code, v) for v, code in enumerate(schema.visit_names)])
    codes, texts = factorize(table.columns[column])
    visit = np.array([known.of(text, table.commas) for text in texts], dtype=np.int64)[codes]  # (rows,)
    row = np.flatnonzero((visit >= 0) & considered)
    again = _first_repeat(participant[row], visit[row])
    if len(again):
        at = row[again[0]]
        table.fail(
            column,
            at,
            f"{described(ids[participant[at]])} has a second row{kind.of_parameter} at visit "
            f"{schema.visit_names[visit[at]]}",
            "Remove the duplicates, or give the rows their own visit codes."
            + _which_counts(kind)
            + hint_of_sites(schema),
            len(again) - 1,
        )
    return VisitRows(row, participant[row], visit[row], np.isin(np.arange(len(schema.visit_names)), visit))


def _by_window(
    schema: Schema,
    kind: RowKind,
    table: Table,
    ids: np.ndarray,
    participant: np.ndarray,
    time: np.ndarray,
    considered: np.ndarray,
) -> VisitRows:
    column = str(schema.visits.column)
    visit = np.full(len(table), -1)
    priority = np.zeros(len(table))  # the smallest wins
    for v, window in enumerate(schema.visits.windows or ()):
        inside = (time >= window.start) & (time <= window.end)
        visit[inside] = v
        priority[inside] = _priority(window, time[inside])
    occurs = np.isin(np.arange(len(schema.visit_names)), visit)
    row = np.flatnonzero((visit >= 0) & considered)
    again = _first_repeat(participant[row], time[row])
    if len(again):
        at = row[again[0]]
        table.fail(
            column,
            at,
            f"{described(ids[participant[at]])} has a second row{kind.of_parameter} at "
            f"{quoted(f'{column} {time[at]:g}', 'one time')}",
            "Remove the duplicates; of two rows at the same time, neither takes precedence."
            + _which_counts(kind)
            + hint_of_sites(schema),
            len(again) - 1,
        )
    in_windows = len(row)
    row = row[_has_what_is_expected(schema, kind, table, visit[row], row)]
    row = row[np.lexsort((time[row], priority[row], visit[row], participant[row]))]
    row = row[~_repeated(participant[row], visit[row])]
    return VisitRows(row, participant[row], visit[row], occurs, superseded=in_windows - len(row))


def _priority(window: Window, time: np.ndarray) -> np.ndarray:
    if window.take == "nearest":
        return np.abs(time - window.middle)
    return time if window.take == "first" else -time


def _has_what_is_expected(
    schema: Schema, kind: RowKind, table: Table, visit: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Rows that lack no measure that is needed, bool (k,): a poorer row must not push a better one out of a window.

    Args:
        schema: says what is expected at which visit, and what may be missing.
        kind: of the rows.
        table: the file.
        visit: of each row, (k,).
        row: the rows (k,).
    """
    complete, something = np.ones(len(row), dtype=bool), np.zeros(len(row), dtype=bool)
    for m, measure in schema.measures_of(kind).items():
        column = str(measure.column)
        expected, there = schema.observed[m, visit], ~table.missing(column, measure.missing_values)[row]
        if measure.outside == "missing":
            there[expected] &= ~np.isnan(measure_values(table, column, measure, row[expected])[0])
        something |= expected & there
        if measure.missing == "drop":
            complete &= there | ~expected
    return complete & something


def _repeated(participant: np.ndarray, key: np.ndarray) -> np.ndarray:
    return pd.DataFrame({"participant": participant, "key": key}).duplicated().to_numpy()


def _first_repeat(participant: np.ndarray, key: np.ndarray) -> np.ndarray:
    return np.flatnonzero(_repeated(participant, key))


def _fail_never_occurs(schema: Schema, kind: RowKind, table: Table, visit: str, considered: np.ndarray) -> None:
    column = schema.visits.column
    of_all = kind.parameter is None
    remedy = "remove it." if of_all else "name the measure's visits (visits: [...])."
    if schema.visits.windows is not None:
        window = next(window for window in schema.visits.windows if window.name == visit)
        remedy = "remove the window from the schema." if of_all else remedy
        raise CohortError(
            f"{table.path}, column {column}: no complete row{kind.of_parameter} falls into the window {visit} "
            f"({window.start:g} to {window.end:g}). Check the window's limits and the column's unit, or {remedy}"
        )
    _, texts = factorize(table.columns[str(column)][considered])
    shown = quoted(f"the file has {_listed(texts)}", "--show-values shows which codes the file has")
    never = "never occurs" if of_all else f"never occurs in rows{kind.of_parameter}"
    raise CohortError(
        f"{table.path}, column {column}: the visit code {visit} of the schema {never}; {shown}. "
        f"Correct the code in the schema, or {remedy}"
    )
