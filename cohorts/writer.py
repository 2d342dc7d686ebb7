"""A cohort back to the trial's own files: its tables, columns, units and rounding. The inverse of the loader."""

from __future__ import annotations

import logging
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cohorts.files import DELIMITED, PARQUET, FileKind, Format, kind_of
from cohorts.ids import apart
from cohorts.participants import Participants
from cohorts.schema import Measure, Schema

LOG = logging.getLogger(__name__)
ORIGIN = date(2000, 1, 1)
"""Where every synthetic participant's dates are counted from."""

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


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
    """One table of a cohort in the trial's own columns: a row per participant, or per participant and visit."""
    schema = cohort.schema
    visits = len(schema.visit_names) if table in schema.visit_tables else 1
    ids = zip(schema.id_columns, apart(cohort.ids, len(schema.id_columns)), strict=True)
    columns: dict[str, Any] = {column: np.repeat(part, visits) for column, part in ids}
    if table in schema.visit_tables:
        columns[str(schema.visits.column)] = np.tile(_visit_marks(schema), len(cohort))
    for place, column in schema.origins:
        if place == table:
            columns[column] = np.repeat(np.array([ORIGIN.isoformat()] * len(cohort), dtype=object), visits)
    if schema.label.table == table:
        classes = _tidy([each.value for each in schema.label.classes])
        columns[schema.label.column] = np.repeat(classes[cohort.labels], visits)
    for m, measure in enumerate(schema.recorded):
        if measure.table == table:
            columns.update(_measure_columns(schema, measure, cohort.values[:, m], visits))
    frame = pd.DataFrame(columns)
    return frame[_attended(cohort, table)].reset_index(drop=True) if table in schema.visit_tables else frame


def _attended(cohort: Participants, table: str) -> np.ndarray:
    """Which rows of a table by visits there are, bool (n V,): none of a visit without a value, but one of everybody."""
    schema = cohort.schema
    there = [m for m, each in enumerate(schema.measures) if each.table == table and each.columns is None]
    attended: np.ndarray = ~np.isnan(cohort.values[:, there]).all(axis=1)  # (n, V)
    attended[~attended.any(axis=1), 0] = True
    return attended.reshape(-1)


def _visit_marks(schema: Schema) -> np.ndarray:
    """What the visit column says at each visit: its code, or a time or date inside its window."""
    if schema.visits.windows is None:
        return _tidy(list(schema.visit_names))
    if schema.origins:
        days = [(ORIGIN + timedelta(days=window.day)).isoformat() for window in schema.visits.windows]
        return np.array(days, dtype=object)
    return _whole_if_possible(np.array([window.middle for window in schema.visits.windows]))


def _measure_columns(schema: Schema, measure: Measure, values: np.ndarray, visits: int) -> dict[str, np.ndarray]:
    """A measure's columns in a table with `visits` rows per participant, from its values (n, V)."""
    if measure.columns is not None:
        return {
            column: np.repeat(_in_units(measure, values[:, schema.visit_names.index(visit)]), visits)
            for visit, column in measure.columns.items()
        }
    if measure in schema.covariates:
        return {str(measure.column): np.repeat(_in_units(measure, values[:, 0]), visits)}
    return {str(measure.column): _in_units(measure, values.reshape(-1))}


def _in_units(measure: Measure, values: np.ndarray) -> Any:
    """Values (k,) as the file spells them: rounded, whole, or a category; where one is missing, nothing."""
    missing = np.isnan(values)
    if missing.any() and (measure.discrete or measure.kind == "integer"):
        known = pd.Series(_in_units(measure, np.where(missing, measure.lower, values))).convert_dtypes()
        return known.mask(missing).array
    spelled: np.ndarray
    if measure.discrete:
        spelled = _tidy(list(measure.categories))[values.astype(np.int64)]
    elif measure.kind == "integer":
        spelled = np.rint(values).astype(np.int64)
    elif measure.decimals is None:
        spelled = values.astype(np.float32)  # float32's shortest spelling, which reads back as the same number
    else:
        spelled = values.astype(np.float64).round(measure.decimals)
    return spelled


def _tidy(items: list[Any]) -> np.ndarray:
    """Whole numbers if all are, numbers if all are, else text: one type per column, as Parquet wants."""
    if all(not isinstance(item, float) and WHOLE.fullmatch(str(item)) for item in items):
        return np.array([int(item) for item in items], dtype=np.int64)
    if all(isinstance(item, int | float) for item in items):
        return np.array(items, dtype=np.float64)
    return np.array([str(item) for item in items], dtype=object)


def _whole_if_possible(times: np.ndarray) -> np.ndarray:
    return times.astype(np.int64) if (times % 1 == 0).all() else times
