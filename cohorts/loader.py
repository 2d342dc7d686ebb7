"""Trial files in, complete participants out: one loader, driven by the schema, for every trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cohorts.cells import measure_values
from cohorts.dates import with_days
from cohorts.encoding import with_attendance
from cohorts.errors import CohortError, about
from cohorts.ids import hint_of_sites, joined, participant, spelled_differently
from cohorts.labels.class_label import ClassLabel, ListedClass
from cohorts.measure import Measure
from cohorts.outcomes import Outcomes, label_outcomes
from cohorts.parameters import RowKind
from cohorts.participants import Participants
from cohorts.per_participant import one_per_participant
from cohorts.report import CellCount, LoadReport, RowCount, RuleCount, VisitWithoutRows
from cohorts.schema import MINIMUM_PARTICIPANTS, Schema
from cohorts.tables import Table, factorize, read_table, table_path
from cohorts.visit_rows import VisitRows, rows_by_visit, rows_of_kind, visits_without_rows
from cohorts.visit_times import visit_times

NEARLY_NOBODY = 0.1
"""A share of a table's participants: if no more of them are known elsewhere, it is their ids that are wrong."""


@dataclass(frozen=True)
class _Enrolled:
    """Who is enrolled: ids in file order, and each table's rows as positions among them."""

    ids: np.ndarray  # (n,) str
    position: dict[str, np.ndarray]  # table -> (rows,) int


def read_participants(
    schema: Schema, directory: Path, *, packaged: bool = False, for_a_study: bool = True
) -> tuple[Participants, LoadReport]:
    """Load the complete participants of a trial.

    A participant is kept who has an outcome, where that is the label, if every measure has a value at each of its
    visits and every covariate has one; measures and covariates that may be missing do not count, nor do visits that may
    be missed and were, or those after dropout.

    Args:
        schema: describes the files.
        directory: where the tables lie.
        packaged: whether `package:` tables are read from the installed package rather than from `directory`.
        for_a_study: whether there must be enough participants for one, and some of each class.

    Returns:
        The cohort, and for the data steward what each rule dropped.

    Raises:
        CohortError: naming file, column and value, when the files and the schema do not agree.
    """
    tables = {
        name: read_table(
            table_path(file, directory, packaged),
            [column for column, _ in schema.column_uses(name)],
            schema.format_of(name),
        ).only(schema.where.get(name, {}))
        for name, file in schema.tables.items()
    }
    people = _enrolled(schema, tables)
    tables = with_days(schema, tables, people.ids, people.position)
    labels, positions, counted = _labels(schema, tables[schema.label.table], people)
    rows = _rows(schema, tables, people)
    values, cells = _values(schema, tables, people, rows)  # (n, M, V)
    absent = _absent(schema, tables, rows, values)
    if positions is not None:
        values[:, schema.outcome_row, 0] = positions
    kept, rules = _complete(schema, labels, values, rows)
    if for_a_study and kept.sum() < MINIMUM_PARTICIPANTS:
        raise _too_few(schema, tables, int(kept.sum()), rules)
    cohort = Participants(schema, people.ids[kept], labels[kept].astype(np.int64), values[kept].astype(np.float32))
    counts = tuple(_counted(schema, name, tables[name], rows) for name in schema.visit_tables)
    if for_a_study:
        _require_both_classes(cohort, tables, rules)
    return cohort, LoadReport(len(kept), len(cohort), rules, counts, (*counted, *cells), absent)


def _rows(schema: Schema, tables: dict[str, Table], people: _Enrolled) -> dict[RowKind, VisitRows]:
    """Which row of a table by visits stands for whom and when, for each kind of its rows."""
    rows = {}
    for name in schema.visit_tables:
        times = visit_times(schema, name, tables, people.ids, people.position) if schema.visits.windows else None
        for kind in schema.row_kinds(name):
            rows[kind] = rows_by_visit(schema, kind, tables[name], people.ids, people.position[name], times)
    return rows


def _counted(schema: Schema, name: str, table: Table, rows: dict[RowKind, VisitRows]) -> RowCount:
    here = [each for kind, each in rows.items() if kind.table == name]
    constant = [rows_of_kind(schema, kind, table) for kind in schema.all_row_kinds(name) if kind not in rows]
    return RowCount(
        str(table.path),
        len(table) + table.left_out,
        other_visits=sum(each.other_visits for each in here),
        superseded=sum(each.superseded for each in here),
        other_parameters=len(table) - sum(each.considered for each in here) - sum(int(each.sum()) for each in constant),
        not_where=table.left_out,
    )


def _enrolled(schema: Schema, tables: dict[str, Table]) -> _Enrolled:
    """Everyone in the label's table; a stranger to it in another table is an error."""
    for table in tables.values():
        for column in schema.id_columns:
            nameless = np.flatnonzero(table.missing(column))
            if len(nameless):
                table.fail(
                    column,
                    nameless[0],
                    "the participant's identifier is missing",
                    "Fill it in, or remove the row.",
                    len(nameless) - 1,
                )
    ids = {name: joined([table.columns[column] for column in schema.id_columns]) for name, table in tables.items()}
    _, texts = factorize(ids[schema.label.table])
    index = pd.Index(texts)
    position = {name: index.get_indexer(pd.Index(each)) for name, each in ids.items()}
    for name, table in tables.items():
        strangers = np.flatnonzero(position[name] < 0)
        if len(strangers):
            source = tables[schema.label.table].path
            if len(set(position[name])) - 1 <= NEARLY_NOBODY * len(set(ids[name])):
                table.fail(
                    ", ".join(schema.id_columns),
                    strangers[0],
                    f"(nearly) nobody's id is one of {source}, so the two files spell ids differently: "
                    + spelled_differently(ids[name][strangers[0]], texts[0]),
                    "Export both with the same ids, as text, so that leading zeros stay.",
                )
            lacks = "has no label" if schema.label.columns else "is not enrolled"
            table.fail(
                ", ".join(schema.id_columns),
                strangers[0],
                f"{participant(ids[name][strangers[0]])} {lacks}: {source} does not list them",
                _remedy_for_strangers(schema, name, source),
                len(strangers) - 1,
            )
        if not schema.all_row_kinds(name):
            _require_one_row_each(schema, table, ids[name], position[name])
    return _Enrolled(np.array(texts, dtype=str), position)


def _remedy_for_strangers(schema: Schema, table: str, source: Path) -> str:
    where = schema.where.get(schema.label.table, {})
    if not where:
        return f"Add them to {source}, or remove their rows."
    asked = ", ".join(f"{column}: {value!r}" for column, value in where.items())
    return (
        f"In {source} only rows with {asked} count, by `where`; say in the schema which rows of the table {table} "
        "belong to them, by such a column of its own, or remove the others."
    )


def _require_one_row_each(schema: Schema, table: Table, ids: np.ndarray, position: np.ndarray) -> None:
    again = np.flatnonzero(pd.Series(position).duplicated())
    if len(again):
        table.fail(
            ", ".join(schema.id_columns),
            again[0],
            f"{participant(ids[again[0]])} has a second row, where one was expected",
            "If rows are of visits, declare visits for this table; if they are of events that recur, keep one row with "
            "what is to be known of them, such as how many, since releases cannot describe them one by one; if a row "
            "is there twice, remove it." + hint_of_sites(schema),
            len(again) - 1,
        )


def _labels(schema: Schema, table: Table, people: _Enrolled) -> Outcomes:
    """As `label_outcomes`; who lacks an outcome is incomplete, but to lack a class where that is all is an error."""
    labels, positions, counts = label_outcomes(schema, table, people.ids, people.position[schema.label.table])
    without = np.flatnonzero(np.isnan(labels))
    if len(without) and isinstance(schema.label, ClassLabel):
        row = int(np.flatnonzero(people.position[schema.label.table] == without[0])[0])
        table.fail(
            schema.label.column,
            row,
            f"{participant(people.ids[without[0]])} has no label ({schema.label.name} is empty)",
            "Fill it in, or remove the participant from the files.",
            len(without) - 1,
        )
    return labels, positions, counts


def _values(
    schema: Schema, tables: dict[str, Table], people: _Enrolled, rows: dict[RowKind, VisitRows]
) -> tuple[np.ndarray, tuple[CellCount, ...]]:
    """float64 (n, M, V), NaN where a value is missing or not observed; and cells not read as they stand."""
    cells: list[CellCount] = []

    def static(column: str, measure: Measure) -> np.ndarray:
        table, by_row = tables[measure.table], np.full(len(tables[measure.table]), np.nan)
        own = np.flatnonzero(rows_of_kind(schema, RowKind(measure.table, measure.parameter), table))
        by_row[own], counts = measure_values(table, column, measure, own)
        cells.extend(counts)
        return one_per_participant(schema, table, column, by_row, people.ids, people.position[measure.table])

    values = np.full((len(people.ids), *schema.observed.shape), np.nan)
    for m, measure in enumerate(schema.recorded):
        if m >= len(schema.measures):
            values[:, m, 0] = static(str(measure.column), measure)
        elif measure.columns is not None:
            for visit, column in measure.columns.items():
                values[:, m, schema.visit_names.index(visit)] = static(column, measure)
        else:
            chosen = rows[RowKind(measure.table, measure.parameter)]
            expected = schema.observed[m, chosen.visit]
            table, column = tables[measure.table], str(measure.column)
            by_row, counts = measure_values(table, column, measure, chosen.row[expected])
            cells += counts
            values[chosen.participant[expected], m, chosen.visit[expected]] = by_row
    return with_attendance(schema, values), tuple(cells)


def _absent(
    schema: Schema, tables: dict[str, Table], rows: dict[RowKind, VisitRows], values: np.ndarray
) -> tuple[VisitWithoutRows, ...]:
    """Visits of which a table has no row; an error where somebody's value is needed there."""
    needed, absent = schema.needed(values), []  # (n, M, V)
    for kind, chosen in rows.items():
        table, there = tables[kind.table], list(schema.measures_of(kind))
        never = visits_without_rows(schema, kind, table, chosen, np.asarray(needed[:, there].any(axis=(0, 1))))
        absent += [VisitWithoutRows(str(table.path), str(schema.visits.column), visit) for visit in never]
    return tuple(dict.fromkeys(absent))


def _complete(
    schema: Schema, labels: np.ndarray, values: np.ndarray, rows: dict[RowKind, VisitRows]
) -> tuple[np.ndarray, tuple[RuleCount, ...]]:
    """Who is complete, bool (n,), and how many each rule dropped of those the rules before it kept."""
    steps: list[tuple[str, np.ndarray]] = []
    if schema.outcome_row is not None:
        steps.append((f"label {schema.label.name} has no value", np.isnan(labels)))
    needed = schema.needed(values)  # (n, M, V)
    lacking = needed & np.isnan(values)
    for m, covariate in enumerate(schema.covariates, start=len(schema.measures)):
        if covariate.missing != "allowed":
            steps.append((f"covariate {covariate.name} has no value", lacking[:, m, 0]))
    for kind, visits in rows.items():
        there, file = list(schema.measures_of(kind)), schema.tables[kind.table]
        absent = ~visits.present(values.shape[0], values.shape[2]) & needed[:, there].any(axis=1)  # (n, V)
        if kind.parameter is None:
            steps += [(f"no row at visit {each} in {file}", absent[:, v]) for v, each in enumerate(schema.visit_names)]
        else:
            steps.append((f"no row{kind.of_parameter} at some visit in {file}", np.asarray(absent.any(axis=1))))
    for m, measure in enumerate(schema.measures):
        if measure.missing != "allowed":
            steps.append((f"measure {measure.name} has no value at some visit", np.asarray(lacking[:, m].any(axis=1))))
    kept = np.ones(len(values), dtype=bool)
    rules: list[RuleCount] = []
    for rule, broken in steps:
        rules.append(RuleCount(rule, int((kept & broken).sum())))
        kept &= ~broken
    return kept, tuple(rules)


def _mostly_dropped(rules: tuple[RuleCount, ...]) -> str:
    worst = max(rules, key=lambda rule: rule.dropped)
    return f" Most were dropped by the rule '{worst.rule}' ({about(worst.dropped)})." if worst.dropped else ""


def _too_few(schema: Schema, tables: dict[str, Table], kept: int, rules: tuple[RuleCount, ...]) -> CohortError:
    files = ", ".join(str(table.path) for table in tables.values())
    reason = _mostly_dropped(rules)
    return CohortError(
        f"Only {about(kept)} participants in {files} are complete over the visits "
        f"{', '.join(schema.visit_names)}; at least {MINIMUM_PARTICIPANTS} are needed.{reason} Use "
        "fewer visits or measures, wider windows, or more data."
    )


def _require_both_classes(cohort: Participants, tables: dict[str, Table], rules: tuple[RuleCount, ...]) -> None:
    label = cohort.schema.label
    for index, each in enumerate(label.classes):
        if not (cohort.labels == index).any():
            value = f" = {each.value}" if isinstance(each, ListedClass) else ""
            raise CohortError(
                f"{tables[label.table].path}, column {', '.join(label.columns)}: no complete participant has the "
                f"label {label.name}{value} ({each.name}), so all have the other class.{_mostly_dropped(rules)} Two "
                "classes are needed: check the column, the label's classes in the schema, and whether all who have "
                "that one are dropped as incomplete."
            )
