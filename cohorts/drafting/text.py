"""A layout as the text of a schema, with what is left to do marked TODO and what was guessed marked guess."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from cohorts.drafting.headers import Column
from cohorts.drafting.known import Known, Limits, limits_for
from cohorts.drafting.layout import Layout, Quantity
from cohorts.drafting.yaml_lines import comment, line, quoted
from cohorts.schema_defaults import PARAMETER, VALUE

MOST_CATEGORIES = 20

HEAD = """\
# A first schema, drafted from the names, types, labels and formats of columns. No participant was read for it.
#
# Work through every line marked TODO, then check every line marked guess. Each number comes from the protocol, the
# publication or general knowledge, never from the files: what you read off the participants and write here is
# published without any protection. docs/cohorts.md explains every key; `python -m cohorts THIS_FILE` checks it.
"""


def schema_text(layout: Layout, name: str, folder: Path) -> str:
    """The draft as YAML.

    Args:
        layout: what the columns are for.
        name: of the cohort.
        folder: where the schema will lie; paths of tables are relative to it.
    """
    several = len(layout.tables) > 1
    lines = [
        line(f"name: {quoted(name)}"),
        line("public: false", "guess: true only if anyone may have the data"),
        _participant(layout),
        line(
            "nominal_size:",
            "TODO: how many participants you expect to be complete, from the protocol or the publication, rounded",
        ),
        "",
        "tables:",
        *(_table(layout, table, folder) for table in layout.tables),
        *_parameters(layout),
        "",
        *_label(layout, several),
        "",
        *_visits(layout),
        "",
        *_quantities("measures", layout, several),
        "",
        *_quantities("covariates", layout, several),
    ]
    if layout.left_out:
        lines += [
            "",
            comment(f"Left out, as dates, sites, further ids and columns met before: {_list(layout.left_out)}"),
        ]
    return HEAD + "\n" + "\n".join(lines) + "\n"


_UNKNOWN_VALUES = (
    line(
        "    kind:",
        "TODO: continuous or integer (with lower and upper), or binary or categorical (with categories)",
    ),
    line("    lower:", "TODO: the least plausible value in any such trial, not the file's minimum"),
    line("    upper:", "TODO: the greatest plausible value in any such trial, not the file's maximum"),
)


def _participant(layout: Layout) -> str:
    if layout.participant is not None:
        return line(f"participant: {quoted(layout.participant)}", "guess, by its name: the column with the id")
    return line("participant:", "TODO: the column with the participant's id, which every table must have")


def _table(layout: Layout, table: str, folder: Path) -> str:
    path = layout.tables[table].path
    try:
        file = Path(os.path.relpath(path, folder))
    except ValueError:  # on another drive
        file = path.absolute()
    said = ""
    if table in layout.tall:
        said = f"guess, by its columns: a row per parameter ({layout.tall[table].parameter})"
    elif not layout.recognised(table):
        said = "TODO: nothing in it was recognised, so use a column of it below or remove this line"
    return line(f"  {quoted(table)}: {quoted(file.as_posix())}", said)


def _parameters(layout: Layout) -> list[str]:
    """Which columns of tables with a row per parameter have which part, where that is not ADaM's own spelling."""
    renamed = {table: tall for table, tall in layout.tall.items() if (tall.parameter, tall.value) != (PARAMETER, VALUE)}
    lines = ["parameters:"] if renamed else []
    for table, tall in renamed.items():
        lines.append(f"  {quoted(table)}: {{column: {quoted(tall.parameter)}, value: {quoted(tall.value)}}}")
    flags = {table: tall.flag for table, tall in layout.tall.items() if tall.flag is not None}
    lines += ["where:"] if flags else []
    for table, flag in flags.items():
        said = "guess: only rows with this flag count; the analysis plan says which"
        lines.append(line(f'  {quoted(table)}: {{{quoted(flag)}: "Y"}}', said))
    return lines


def _label(layout: Layout, several: bool) -> list[str]:
    if layout.label is None:
        return [
            "label:",
            line("  name:", "TODO: what figures call the arm or outcome that classifiers predict"),
            *([line("  table:", "TODO: the table that holds it, one of those above")] if several else []),
            line("  column:", "TODO: the column that holds it"),
            line(
                "  randomised:", "TODO: true if it is the arm, so that the shares are public, or false for an outcome"
            ),
            *_classes(Column("the label")),
        ]
    table, column = layout.label
    return [
        "label:",
        line(f"  name: {quoted(column.name)}", f"guess: what figures call it{_said(column)}"),
        *([f"  table: {quoted(table)}"] if several else []),
        line(f"  column: {quoted(column.name)}", "guess, by its name: the arm"),
        line("  randomised: true", "guess: false for an outcome or an arm that was chosen"),
        *_classes(column),
    ]


def _classes(column: Column) -> list[str]:
    share = "TODO: its share by the randomisation, 0.5 if 1 to 1 (of an outcome, from a publication)"
    if _labelled(column):
        meanings = [meaning for _, meaning in column.codes]
        lines = [
            line("  classes:", "TODO: these are all of the file's value labels, keep those that are to be compared")
        ]
        for code, meaning in column.codes:
            name = meaning if meaning and meanings.count(meaning) == 1 else f"{meaning} ({_code(code)})".strip()
            value = line(f"      value: {quoted(_code(code))}", "guess: from the file's value labels")
            lines += [f"    - name: {quoted(name)}", value, line("      share:", share)]
        return lines
    lines = ["  classes:"]
    for name in ("control", "treated"):
        value = line("      value:", f"TODO: how {column.name} spells {name} in the file, from the data dictionary")
        lines += [line(f"    - name: {name}", "guess: what figures call it"), value, line("      share:", share)]
    return lines


def _visits(layout: Layout) -> list[str]:
    """The visits, and what to say of those that not everybody attends."""
    single = not layout.visits_in_rows and layout.visits == ("baseline",)
    return [*_which_visits(layout), *(() if single else _UNATTENDED)]


_UNATTENDED = (
    "  # dropout: true  # take away the first # if participants may leave; {from: VISIT} if all attend that one",
    "  # missed: true  # likewise if they may skip visits and return",
)


def _which_visits(layout: Layout) -> list[str]:
    said = f"TODO: the column of {', '.join(layout.tall)} that holds the visit"
    unnamed = ["visits:", *([line("  column:", said)] if layout.tall else [])]
    if not layout.visits_in_rows and layout.visits:
        said = "guess, by the names of columns" if layout.visits != ("baseline",) else "guess: a single visit"
        return [*unnamed, line(f"  codes: [{_flow(layout.visits)}]", said)]
    column = layout.visit_column
    if column is None:
        return [*unnamed, line("  codes:", "TODO: the visits in order, as [baseline, week 12], from the protocol")]
    codes = [_code(code) for code, _ in column.codes] if _labelled(column) else []
    if codes:
        meant = _list([f"{_code(code)} {meaning}" for code, meaning in column.codes])
        said = f"guess: all of the file's value labels ({meant}); keep those of the protocol that all attend"
    else:
        said = (
            f"TODO: the visits to keep, in order, as column {column.name} spells them, from the protocol or the data "
            "dictionary (if it holds a time, give windows instead)"
        )
    return [
        "visits:",
        line(f"  column: {quoted(column.name)}", f"guess, by its name: the visit{_said(column)}"),
        line(f"  codes: [{_flow(codes)}]" if codes else "  codes:", said),
    ]


def _quantities(section: str, layout: Layout, several: bool) -> list[str]:
    found = layout.measures if section == "measures" else layout.covariates
    unknown = [each for each in layout.unknown if layout.in_rows(each.table) == (section == "measures")]
    what = "measured at every visit" if section == "measures" else "known once per participant"
    tall = layout.tall if section == "measures" else {}
    lines = [line(f"{section}:", what)] if found or tall else []
    lines += [text for table in tall for text in _of_parameter(layout, table, several)]
    if not found and not tall and section == "measures":
        lines = [
            line("measures: []", "TODO: at least one, so take away [] and the # before a line below, or write one")
        ]
    lines += [text for each in found for text in _quantity(each, several)]
    if unknown:
        lines += ["# Not recognised. To use a column, take away the # and fill in what is empty (docs/cohorts.md)."]
        lines += ["# covariates:"] if not found and section == "covariates" else []
        lines += [_stub(each, several) for each in unknown]
    return lines


def _quantity(each: Quantity, several: bool) -> list[str]:
    where = [f"    table: {quoted(each.table)}"] if several else []
    if each.columns is None:
        where += [f"    column: {quoted(each.column.name)}"]
    else:
        pairs = ", ".join(f"{quoted(visit)}: {quoted(name)}" for visit, name in each.columns.items())
        where += [f"    columns: {{{pairs}}}"]
    meant = f"guess: {each.known.what}" if each.known else "guess, by the names of its columns: a measure of each visit"
    return [line(f"  - name: {quoted(each.name)}", f"{meant}{_said(each.column)}"), *_values(each), *where]


def _of_parameter(layout: Layout, table: str, several: bool) -> list[str]:
    """A measure of a table with a row per parameter, to be filled in: its codes stand in rows, which are not read."""
    column = layout.tall[table].parameter
    return [
        line("  - name:", f"TODO: what figures call it; such a measure for each parameter of {table} that you want"),
        line("    parameter:", f"TODO: its code in column {column}, from the protocol or the define.xml"),
        *_UNKNOWN_VALUES,
        *([f"    table: {quoted(table)}"] if several else []),
    ]


def _values(each: Quantity) -> list[str]:
    """What values a measure can have: kind, unit and limits, or categories."""
    known, column = each.known, each.column
    if _labelled(column) and (known is None or not known.limits):
        said = f"guess: the file's value labels ({_codes(column)}), to be checked against the protocol"
        kind = "ordinal" if known is not None and known.kind == "ordinal" else "categorical"
        return _categories([_code(code) for code, _ in column.codes], said, kind)
    if known is None:
        return list(_UNKNOWN_VALUES)
    if known.limits:
        return _limits(known, limits_for(known, column), column)
    categories = known.numeric_categories if column.type == "number" else known.categories
    if not categories:
        todo = line("    categories:", f"TODO: how {column.name} spells its categories, from the data dictionary")
        return [f"    kind: {known.kind}", todo]
    said = f"guess: check how {column.name} is coded ({known.source})"
    return _categories(list(categories), f"{said}; in ascending order" if known.kind == "ordinal" else said, known.kind)


def _categories(categories: list[object], said: str, kind: str = "categorical") -> list[str]:
    kind = "binary" if len(categories) == 2 else kind
    return [f"    kind: {kind}", line(f"    categories: [{_flow(categories)}]", said)]


def _limits(known: Known, limits: Limits, column: Column) -> list[str]:
    decimals = column.decimals if column.decimals is not None else limits.decimals
    whole = all(float(limit).is_integer() for limit in (limits.lower, limits.upper))
    kind = "continuous" if decimals else "integer" if whole else known.kind
    others = [f"{each.lower:g} to {each.upper:g} {each.unit}" for each in known.limits if each.unit != limits.unit]
    other = f"; otherwise {', or '.join(others)}" if others else ""
    source = (
        "plausible for adults" + known.source.removeprefix("plausible") if "plausible" in known.source else known.source
    )
    lines = [
        line(f"    unit: {quoted(limits.unit)}", f"guess: check it{other}"),
        line(f"    kind: {kind}", "guess: recorded in whole numbers" if kind == "integer" else ""),
        line(f"    lower: {limits.lower:g}", f"guess: {source}"),
        f"    upper: {limits.upper:g}",
    ]
    said = "guess: as the trial records it" if column.decimals is None else "by the file's format"
    lines += [line(f"    decimals: {decimals}", said)] if kind == "continuous" and decimals else []
    skewed = known.scale == "log" and (decimals or kind == "integer" or limits.lower > 0)
    return (
        [*lines, line("    scale: log", "guess: skewed in most trials; equal steps are equal ratios")]
        if skewed
        else lines
    )


def _stub(each: Quantity, several: bool) -> str:
    """A column that nobody recognised, ready to be used."""
    table = f", table: {quoted(each.table)}" if several else ""
    column = each.column
    kind = "kind: , lower: , upper: "
    if _labelled(column):
        name = "binary" if len(column.codes) == 2 else "categorical"
        kind = f"kind: {name}, categories: [{_flow([_code(code) for code, _ in column.codes])}]"
    said = ": ".join(part for part in (column.label, _codes(column) if _labelled(column) else "") if part)
    stub = f"#  - {{name: {quoted(each.name)}, {kind}{table}, column: {quoted(column.name)}}}"
    return f"{stub}  {comment(said)}" if said else stub


def _said(column: Column) -> str:
    """What the file calls a column, as the end of a comment."""
    return f"; the file says: {column.label}" if column.label else ""


def _labelled(column: Column) -> bool:
    """Whether value labels may be categories. A program that made labels of every text in a column made many."""
    return 1 < len(column.codes) <= MOST_CATEGORIES


def _codes(column: Column) -> str:
    return _list([f"{_code(code)} {meaning}" for code, meaning in column.codes])


def _code(code: object) -> object:
    """Whole numbers without a point, as people write them."""
    return int(code) if isinstance(code, float) and code.is_integer() else code


def _flow(values: Sequence[object]) -> str:
    return ", ".join(quoted(value) for value in values)


def _list(texts: Sequence[str]) -> str:
    return re.sub(r"\s+", " ", ", ".join(texts))
