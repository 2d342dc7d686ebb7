"""A cohort back to the trial's own files: its tables, columns, units and rounding. The inverse of the loader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cohorts.participants import Participants
from cohorts.schema import Measure, Schema

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


def write_cohort(cohort: Participants, directory: Path) -> list[Path]:
    """Write every table of the schema as CSV and as Parquet.

    Args:
        cohort: what to write.
        directory: where to; made if missing, and files of the same names are replaced.

    Returns:
        The files written: for each table, `STEM.csv` and `STEM.parquet`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for table in cohort.schema.tables:
        frame, stem = table_frame(cohort, table), cohort.schema.stem(table)
        csv_path, parquet_path = directory / f"{stem}.csv", directory / f"{stem}.parquet"
        frame.to_csv(csv_path, index=False)
        frame.to_parquet(parquet_path, index=False)
        written += [csv_path, parquet_path]
    return written


def table_frame(cohort: Participants, table: str) -> pd.DataFrame:
    """One table of a cohort in the trial's own columns: a row per participant, or per participant and visit."""
    schema = cohort.schema
    visits = len(schema.visit_names) if table in schema.visit_tables else 1
    columns: dict[str, Any] = {schema.participant: np.repeat(cohort.ids.astype(object), visits)}
    if table in schema.visit_tables:
        columns[str(schema.visits.column)] = np.tile(_visit_marks(schema), len(cohort))
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
    """What the visit column says at each visit: its code, or a time inside its window."""
    if schema.visits.windows is None:
        return _tidy(list(schema.visit_names))
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
