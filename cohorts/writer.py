"""A cohort back to the trial's own files: its tables, columns, units and rounding. The inverse of the loader."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cohorts.files import DELIMITED, PARQUET, FileKind, Format, kind_of
from cohorts.ids import apart
from cohorts.labels.outcome_label import OutcomeLabel
from cohorts.participants import Participants
from cohorts.schema import Schema
from cohorts.spelling import typed
from cohorts.value_columns import ORIGIN, Part, dates, in_units, together

LOG = logging.getLogger(__name__)


def write_cohort(cohort: Participants, directory: Path, like: Schema | None = None) -> list[Path]:
    """Write every table of the schema as CSV, as Parquet, and in the format of the trial's own file.

    Args:
        cohort: what to write.
        directory: where to; made if missing, and files of the same names are replaced.
        like: whose tables tell the formats; the cohort's own schema by default.

    Returns:
        The files written: for each table `STEM.csv`, `STEM.parquet`, and for example `STEM.sav`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for table in cohort.schema.tables:
        frame, stem = table_frame(cohort, table), cohort.schema.stem(table)
        for kind in written_kinds(like or cohort.schema, table):
            path = directory / f"{stem}{kind.written_as}"
            if _write(kind, frame, path, cohort.schema.format_of(table)):
                written.append(path)
    return written


def write_copies(copies: Sequence[Participants], directory: Path) -> list[Path]:
    """Write every table of several cohorts of one schema, one after the other, as CSV and Parquet.

    Args:
        copies: at least one.
        directory: where to; it must exist.

    Returns:
        The files written: for each table `STEM-copies.csv` and `STEM-copies.parquet`, whose first column is `copy`, or
        `copy_number` where the table has one of that name, with numbers from 1.
    """
    schema, written = copies[0].schema, []
    for table in schema.tables:
        frames = [table_frame(each, table) for each in copies]
        name = next(name for name in ("copy", "copy_number", "number_of_copy") if name not in frames[0])
        numbers = np.repeat(np.arange(1, len(copies) + 1), [len(each) for each in frames])
        together = pd.concat(frames, ignore_index=True)
        together.insert(0, name, numbers)
        for kind in (DELIMITED, PARQUET):
            path = directory / f"{schema.stem(table)}-copies{kind.written_as}"
            kind.write(together, path, schema.format_of(table))
            written.append(path)
    return written


def _write(kind: FileKind, frame: pd.DataFrame, path: Path, how: Format) -> bool:
    """Write a file; where the trial's own format cannot hold the table, say so and leave it at CSV and Parquet."""
    try:
        kind.write(frame, path, how)
    except kind.unreadable as error:
        if kind in (DELIMITED, PARQUET):
            raise
        LOG.warning("%s could not be written as %s (%s); the same rows are in CSV and Parquet", path, kind.name, error)
        path.unlink(missing_ok=True)
        return False
    return True


def written_kinds(schema: Schema, table: str) -> tuple[FileKind, ...]:
    """The formats that a table is written in: CSV, Parquet, and that of its own file if it is another."""
    own = kind_of(schema.tables[table])
    return (DELIMITED, PARQUET) if own in (DELIMITED, PARQUET) else (DELIMITED, PARQUET, own)


def table_frame(cohort: Participants, table: str) -> pd.DataFrame:
    """One table of a cohort in the trial's own columns.

    It has a row per participant; or one per participant and visit attended; or one per participant, parameter and visit
    attended at which the parameter is expected, with an empty value where that is missing. A covariate's parameter is
    expected at the first visit.
    """
    schema, rows = cohort.schema, _rows(cohort, table)
    ids = zip(schema.id_columns, apart(cohort.ids, len(schema.id_columns)), strict=True)
    columns: dict[str, Any] = {column: part[rows.who] for column, part in ids}
    if table in schema.visit_tables:
        columns[str(schema.visits.column)] = _visit_marks(schema)[rows.visit]
    for place, column in schema.origins:
        if place == table:
            columns[column] = _repeated(ORIGIN.isoformat(), rows)
    for column, value in schema.where.get(table, {}).items():
        columns[column] = _repeated(value, rows)
    if schema.by_parameter(table):
        codes = typed([kind.parameter for kind in schema.all_row_kinds(table)])
        columns[schema.parameters_of(table).column] = codes[rows.kind]
    if schema.label.table == table:
        columns.update(_label(cohort, rows.who))
    for m, measure in enumerate(schema.recorded):
        if measure.table == table and measure.parameter is None:
            columns.update(_once_per_participant(schema, m, cohort.values[rows.who, m]))
    long = [measure for kind in schema.all_row_kinds(table) for measure in schema.measures_of(kind).values()]
    for shared in dict.fromkeys(str(measure.column) for measure in long):
        columns[shared] = _values_by_visit(cohort, table, shared, rows)
    in_order = list(dict.fromkeys(column for column, _ in schema.column_uses(table)))
    return pd.DataFrame(columns)[in_order]


@dataclass(frozen=True)
class _Rows:
    """What the rows of a table are about, each int (rows,): a participant, a visit, and a kind of the table's rows."""

    who: np.ndarray
    visit: np.ndarray
    kind: np.ndarray


def _rows(cohort: Participants, table: str) -> _Rows:
    """The rows of a table: none of a visit without a value, but one of everybody."""
    schema = cohort.schema
    kinds = schema.all_row_kinds(table)
    if not kinds:
        return _Rows(np.arange(len(cohort)), *np.zeros((2, len(cohort)), dtype=np.int64))
    places = [list(schema.measures_of(kind)) for kind in kinds]
    by_visit = len(schema.row_kinds(table))
    expected = np.stack([schema.observed[there].any(axis=0) for there in places])  # (K, V)
    there = np.broadcast_to(expected, (len(cohort), *expected.shape)).copy()  # (n, K, V)
    if by_visit:
        attended = ~np.isnan(cohort.values[:, np.concatenate(places[:by_visit])]).all(axis=1)  # (n, V)
        attended[~attended.any(axis=1), expected[:by_visit].any(axis=0).argmax()] = True
        there[:, :by_visit] &= attended[:, None]
    who, kind, visit = np.nonzero(there)
    return _Rows(who, visit, kind)


def _label(cohort: Participants, who: np.ndarray) -> dict[str, Any]:
    """The columns of the label, from participants by row (rows,)."""
    label, row = cohort.schema.label, cohort.schema.outcome_row
    if isinstance(label, OutcomeLabel):
        return label.written(cohort.labels[who], cohort.values[who, row, 0])
    return label.written(cohort.labels[who])


def _repeated(value: object, rows: _Rows) -> np.ndarray:
    return np.repeat(typed([value]), len(rows.who))


def _visit_marks(schema: Schema) -> np.ndarray:
    """What the visit column says at each visit: its code, or a time or date inside its window."""
    if schema.visits.windows is None:
        return typed(schema.visit_names)
    if schema.visit_origins:
        return dates([window.day for window in schema.visits.windows])
    return _whole_if_possible(np.array([window.middle for window in schema.visits.windows]))


def _once_per_participant(schema: Schema, m: int, values: np.ndarray) -> dict[str, Any]:
    """The columns of a covariate, or of a measure with a column per visit, from its values by row (rows, V)."""
    measure = schema.recorded[m]
    if m >= len(schema.measures):
        return {str(measure.column): in_units(measure, values[:, 0])}
    visits = measure.columns or {}
    return {column: in_units(measure, values[:, schema.visit_names.index(visit)]) for visit, column in visits.items()}


def _values_by_visit(cohort: Participants, table: str, column: str, rows: _Rows) -> Any:
    """A column that has a value of some measure in each row (rows,)."""
    parts = []
    for k, kind in enumerate(cohort.schema.all_row_kinds(table)):
        of_kind = np.flatnonzero(rows.kind == k)
        for m, measure in cohort.schema.measures_of(kind).items():
            if measure.column == column:
                values = cohort.values[rows.who[of_kind], m, rows.visit[of_kind]]
                parts.append(Part(measure, of_kind, in_units(measure, values)))
    return together(parts, len(rows.who))


def _whole_if_possible(times: np.ndarray) -> np.ndarray:
    return times.astype(np.int64) if (times % 1 == 0).all() else times
