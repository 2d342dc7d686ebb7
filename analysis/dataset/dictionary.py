"""What every column of the released tables means: for people as Markdown and CSV, for machines as objects.

Written from the schema alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

from cohorts import Measure, Schema
from cohorts.labels.class_label import ClassLabel
from cohorts.labels.label import Label
from cohorts.labels.no_label import NoLabel
from cohorts.labels.numeric_label import NumericLabel
from cohorts.labels.survival_label import SurvivalLabel

DICTIONARY_FILE = "data_dictionary.csv"

Kind = Literal["id", "category", "ordered category", "integer", "number", "date"]


@dataclass(frozen=True)
class Entry:
    """A column of a table; where its rows are by parameter, the rows of one of them.

    Args:
        table: as the schema calls it.
        column: as the files call it.
        meaning: what it holds.
        kind: of its values.
        unit: of its values.
        values: what may stand in it, in words.
        lower: public limit, where it holds numbers.
        upper: likewise.
        decimals: how many its numbers are rounded to; None where they are not, or it holds none.
        parameter: code of the rows that are meant; empty where all are.
        visit: that it is of, where each visit has a column of its own.
        may_be_empty: whether a cell may be without a value.
    """

    table: str
    column: str
    meaning: str
    kind: Kind
    unit: str = ""
    values: str = ""
    lower: float | None = None
    upper: float | None = None
    decimals: int | None = None
    parameter: str = ""
    visit: str = ""
    may_be_empty: bool = False


def entries(schema: Schema, table: str) -> list[Entry]:
    """Every column of a table, those that say which row it is first."""
    found = [Entry(table, column, "participant", "id") for column in schema.id_columns]
    if table in schema.visit_tables:
        found.append(_of_visits(schema, table))
    found += [
        Entry(table, column, what, "date", values="the same for all")
        for (place, column), what in schema.origins.items()
        if place == table
    ]
    if schema.by_parameter(table):
        column = schema.parameters_of(table).column
        found.append(Entry(table, column, "parameter", "category", values="code of what the row has a value of"))
    found += [
        Entry(table, column, "rows that count", "category", values=str(value))
        for column, value in schema.where.get(table, {}).items()
    ]
    if schema.label.table == table:
        found += _of_label(schema.label)
    for m, measure in enumerate(schema.recorded):
        if measure.table == table:
            found += _of_measure(schema, m, measure)
    return found


def dictionary(schema: Schema) -> pd.DataFrame:
    """Every column of every table, a line each."""
    lines = [asdict(each) for table in schema.tables for each in entries(schema, table)]
    frame = pd.DataFrame(lines).astype({"decimals": "Int64"})
    return frame.assign(may_be_empty=frame["may_be_empty"].map({True: "yes", False: "no"}))


def table_section(schema: Schema, table: str) -> str:
    """A table's columns and what they mean, as a table in Markdown; where rows are by parameter, a line for each."""
    header: Sequence[Sequence[str]] = [("column", "meaning", "unit", "values"), ("---",) * 4]
    rows = [
        (f"{each.column}, parameter {each.parameter}" if each.parameter else each.column, each.meaning, each.unit,
         each.values)
        for each in entries(schema, table)
    ]  # fmt: skip
    lines = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [*header, *rows])
    return f"`{table}`\n\n" + "\n".join(lines)


def _of_visits(schema: Schema, table: str) -> Entry:
    visits = schema.visits
    if visits.windows is None:
        return Entry(table, str(visits.column), "visit", "ordered category", values=" < ".join(visits.names))
    kind: Kind = "date" if schema.visit_origins else "number"
    return Entry(table, str(visits.column), "visit", kind, values="of the visit, alike for everybody")


def _of_label(label: Label) -> list[Entry]:
    """The columns of a label."""
    if isinstance(label, ClassLabel):
        classes = ", ".join(f"{each.value} = {each.name}" for each in label.classes)
        return [Entry(label.table, label.column, _meaning(label), "category", values=classes)]
    if isinstance(label, NumericLabel):
        return [_of_number(label.number, label.column, _meaning(label), label.unit)]
    if isinstance(label, NoLabel):
        return []
    assert isinstance(label, SurvivalLabel)
    status = label.status
    values = f"{status.event[0]} = event, {status.censored[0]} = censored"
    return [
        _of_number(label.number, label.time, _meaning(label, ", time to event or end of follow-up"), label.unit),
        Entry(label.table, status.column, _meaning(label, ", how follow-up ended"), "category", values=values),
    ]


def _of_measure(schema: Schema, m: int, measure: Measure) -> Iterable[Entry]:
    """The column of a measure or covariate, or one for each visit."""
    if measure.columns is None:
        # A row may be there for the sake of another measure, of a value that is missing, or of who attended no visit.
        elsewhere = m < len(schema.measures) and set(schema.visits_of(measure)) != set(schema.visit_names)
        never = bool(schema.may_be_missing[m, schema.observed[m]].all())
        empty = elsewhere or never or measure.missing == "allowed"
        yield _of_number(measure, str(measure.column), _meaning(measure), measure.unit, may_be_empty=empty)
        return
    for visit, column in measure.columns.items():
        empty = bool(schema.may_be_missing[m, schema.visit_names.index(visit)])
        yield _of_number(measure, column, _meaning(measure, f" at visit {visit}"), measure.unit, visit, empty)


def _of_number(
    measure: Measure, column: str, meaning: str, unit: str, visit: str = "", may_be_empty: bool = False
) -> Entry:
    plain = measure.discrete or measure.counted_from is not None
    return Entry(
        table=measure.table,
        column=column,
        meaning=meaning,
        kind=_kind(measure),
        unit=unit,
        values=_range(measure),
        lower=None if plain else measure.lower,
        upper=None if plain else measure.upper,
        decimals=None if plain else measure.digits,
        parameter=measure.parameter or "",
        visit=visit,
        may_be_empty=may_be_empty,
    )


def _kind(measure: Measure) -> Kind:
    if measure.discrete:
        return "ordered category" if measure.kind == "ordinal" else "category"
    if measure.counted_from is not None:
        return "date"
    return "integer" if measure.digits == 0 else "number"


def _meaning(part: Measure | Label, when: str = "") -> str:
    return f"{part.name}{when}: {part.description}" if part.description else f"{part.name}{when}"


def _range(measure: Measure) -> str:
    if measure.discrete:
        return (" < " if measure.kind == "ordinal" else ", ").join(str(category) for category in measure.categories)
    if measure.counted_from is not None:
        return f"dates, {measure.lower:g} to {measure.upper:g} days from {measure.counted_from[1]}"
    whole = "whole numbers, " if measure.kind == "integer" else ""
    return f"{whole}{measure.lower:g} to {measure.upper:g}"
