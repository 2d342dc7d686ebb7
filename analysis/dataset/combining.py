"""The lines by which somebody analyses the copies of a release in R, in the release's own columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.dataset.reading import options_in_r
from cohorts import Measure, Schema
from cohorts.labels.class_label import ClassLabel
from cohorts.labels.numeric_label import NumericLabel
from cohorts.labels.survival_label import SurvivalLabel
from cohorts.value_columns import dates

RESERVED = (
    "if", "else", "repeat", "while", "function", "for", "in", "next", "break", "TRUE", "FALSE", "NULL", "Inf", "NaN",
    "NA",
)  # fmt: skip
"""Words that are no names in R."""


@dataclass(frozen=True)
class _Term:
    """A term of a model.

    Args:
        table: that has its column.
        column: by its name.
        written: as R has it in a formula.
        rows: which rows of the table are meant, each a column and what stands there.
    """

    table: str
    column: str
    written: str
    rows: tuple[tuple[str, str], ...] = ()


def combining_lines(schema: Schema) -> str:
    """An analysis of every copy that can be run as it stands, and how its results are combined."""
    return "\n".join(_lines(schema))


def _lines(schema: Schema) -> Iterable[str]:
    outcome, group = _outcome(schema), _group(schema)
    copy = _copy_column(schema, outcome)
    if group is not None and (group.column == outcome.column or _copy_column(schema, group) != copy):
        group = None
    yield "library(mitools)"
    yield f"data <- {_read(schema, outcome.table)}"
    if outcome.rows:
        yield f"data <- subset(data, {' & '.join(f'{_name(column)} == {value}' for column, value in outcome.rows)})"
    if group is not None and group.table != outcome.table:
        keys = ", ".join(f'"{column}"' for column in (copy, *schema.id_columns))
        yield f"other <- {_read(schema, group.table)}"
        yield f"data <- merge(data, other[c({keys}, {_text(group.column)})], by = c({keys}))"
    yield f"copies <- imputationList(split(data, data${_name(copy)}))"
    yield f"summary(MIcombine(with(copies, lm({outcome.written} ~ {group.written if group else '1'}))))"


def _outcome(schema: Schema) -> _Term:
    """A number at the last visit at which it is measured, or what comes nearest to one."""
    measure = min(schema.measures, key=lambda each: (not _is_number(each), not each.discrete))
    rows: list[tuple[str, str]] = []
    last = schema.visits_of(measure)[-1]
    column = (measure.columns or {}).get(last) or str(measure.column)
    if measure.parameter is not None:
        codes = [str(kind.parameter) for kind in schema.all_row_kinds(measure.table)]
        rows.append((schema.parameters_of(measure.table).column, _literal(measure.parameter, codes)))
    if measure.columns is None:
        rows.append((str(schema.visits.column), _visit(schema, schema.visit_names.index(last))))
    beside = [each for each in schema.recorded if (each.table, each.column) == (measure.table, measure.column)]
    written = _name(column)
    if measure.discrete:
        written = f"I({written} == {_literal(measure.categories[-1], measure.categories)})"
    elif not _is_number(measure):
        written = f"as.numeric(as.Date({written}))"
    elif not all(_is_number(each) for each in beside):
        written = f"as.numeric({written})"
    return _Term(measure.table, column, written, tuple(rows))


def _group(schema: Schema) -> _Term | None:
    """What it is compared by: classes, those by which survival is drawn, an outcome, or what is one of two."""
    label = schema.label
    if isinstance(label, ClassLabel):
        return _Term(label.table, label.column, _grouping(label.column, [each.value for each in label.classes]))
    if isinstance(label, NumericLabel):
        return _Term(label.table, label.column, _name(label.column))
    by = label.by if isinstance(label, SurvivalLabel) else None
    groups = [each for each in schema.covariates if each.discrete and each.parameter is None]
    wanted = [each for each in groups if each.name == by] or [each for each in groups if each.kind == "binary"]
    if not wanted:
        return None
    column = str(wanted[0].column)
    return _Term(wanted[0].table, column, _grouping(column, wanted[0].categories))


def _grouping(column: str, values: Sequence[object]) -> str:
    return f"factor({_name(column)})" if len(values) > 2 else _name(column)


def _is_number(measure: Measure) -> bool:
    return not measure.discrete and measure.counted_from is None


def _visit(schema: Schema, visit: int) -> str:
    """What the column of visits says at one."""
    windows = schema.visits.windows
    if windows is None:
        return _literal(schema.visit_names[visit], schema.visit_names)
    if schema.visit_origins:
        return _text(dates([windows[visit].day])[0])
    return f"{windows[visit].middle!r}"


def _literal(value: object, among: Sequence[object]) -> str:
    """A value as R reads it from a file: a number where all values of its column are."""
    return str(value) if all(_reads_as_number(each) for each in among) else _text(str(value))


def _reads_as_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _copy_column(schema: Schema, term: _Term) -> str:
    used = {column for column, _ in schema.column_uses(term.table)}
    return next(name for name in ("copy", "copy_number", "number_of_copy") if name not in used)


def _read(schema: Schema, table: str) -> str:
    return f'read.csv("{schema.stem(table)}-copies.csv", {options_in_r(schema.format_of(table))})'


def _name(column: str) -> str:
    """A column's name as R takes it."""
    if column.isascii() and column.isidentifier() and column[0] != "_" and column not in RESERVED:
        return column
    return "`" + column.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
