"""What each column is for, guessed from names, types and labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cohorts.drafting.headers import Column, Header
from cohorts.drafting.known import ARM, LEFT_OUT, PARTICIPANT, VISIT_CODE, VISIT_TIME, Known, find, plain, without_unit
from cohorts.errors import CohortError

EVENT = "status event death dead died cens censor censored outcome"
"""What a column may be called that says how following a participant ended."""

SUFFIX = re.compile(
    r"(?P<stem>.*?[a-z].*?)[_. ]"
    r"(?P<word>(?P<clear>v|visit|w|wk|week|mo|month|day|yr|year)|m|d|y|)_?(?P<number>\d+)",
    re.IGNORECASE,
)
"""A column of one visit: sbp_0, sbp_w12, sbp.month6. A clear word makes one even of a stem that nobody knows."""


@dataclass(frozen=True)
class Quantity:
    """A measure or covariate of the draft.

    Args:
        table: its table's name.
        column: the column it stands for; the first visit's where there are several.
        known: what is known about it, if it is known.
        name: what the schema calls it.
        columns: visit -> column, where each visit has its own.
    """

    table: str
    column: Column
    known: Known | None
    name: str
    columns: dict[str, str] | None = None


@dataclass(frozen=True)
class Tall:
    """The columns of a table with a row per participant, visit and parameter, as ADaM has it.

    Args:
        parameter: the column with the parameter's code.
        value: the column with the value.
        flag: the column that says which rows count, if there is one.
    """

    parameter: str
    value: str
    flag: str | None


@dataclass
class Layout:
    """The guessed parts of a schema; what was not guessed is None or empty."""

    tables: dict[str, Header]
    participant: str | None = None
    label: tuple[str, Column] | None = None
    visit_column: Column | None = None
    visits: tuple[str, ...] = ()
    visits_in_rows: bool = False
    measures: list[Quantity] = field(default_factory=list)
    covariates: list[Quantity] = field(default_factory=list)
    unknown: list[Quantity] = field(default_factory=list)
    """Columns that nobody recognised; the reader decides whether they are wanted."""
    left_out: list[str] = field(default_factory=list)
    """Columns that a schema has no use for: dates, sites, second ids."""
    tall: dict[str, Tall] = field(default_factory=dict)
    """Tables with a row per participant, visit and parameter."""

    def in_rows(self, table: str) -> bool:
        """Whether a table has a row per participant and visit."""
        names = {column.name for column in self.tables[table].columns}
        return self.visits_in_rows and self.visit_column is not None and self.visit_column.name in names

    def recognised(self, table: str) -> bool:
        """Whether a table has a part in the draft."""
        used = {each.table for each in (*self.measures, *self.covariates)}
        return table in used or table in self.tall or (self.label is not None and self.label[0] == table)


def lay_out(headers: Sequence[Header]) -> Layout:
    """Guess what the columns of some files are for.

    Raises:
        CohortError: when two files would get the same name.
    """
    layout = Layout(_tables(headers))
    columns = {table: header.columns for table, header in layout.tables.items()}
    layout.participant = _shared(columns, PARTICIPANT, everywhere=True)
    layout.label = next(
        ((table, column) for role in ARM.split() for table, column in _each(columns) if plain(column.name) == role),
        None,
    )
    wide = {} if _shared(columns, VISIT_CODE) else {table: _by_visit(each) for table, each in columns.items()}
    layout.visits = _commonest(wide)
    visit = None if layout.visits else _shared(columns, f"{VISIT_CODE} {VISIT_TIME}") or _time(columns)
    layout.visits_in_rows = visit is not None
    layout.visit_column = next((column for _, column in _each(columns) if column.name == visit), None)
    layout.tall = {table: tall for table, each in columns.items() if (tall := _tall(each)) is not None}
    taken: set[str] = set()
    for table, each in columns.items():
        groups = {stem: group for stem, group in wide.get(table, {}).items() if tuple(group) == layout.visits}
        _sort(layout, table, each, groups, taken)
    if not layout.measures and not layout.visits_in_rows and not layout.tall:
        _at_baseline(layout)
    return layout


def _tables(headers: Sequence[Header]) -> dict[str, Header]:
    tables: dict[str, Header] = {}
    for header in headers:
        path = header.path.with_suffix("") if header.path.suffix.lower() == ".gz" else header.path
        other = next((name for name in tables if name.casefold() == path.stem.casefold()), None)
        if other is not None:
            raise CohortError(
                f"{tables[other].path} and {header.path} are both called {path.stem}; tables of a schema need files of "
                "different names, so rename one."
            )
        tables[path.stem] = header
    return tables


def _tall(columns: Sequence[Column]) -> Tall | None:
    """The roles of columns in a table with a row per parameter; None in another."""
    found = {plain(column.name): column.name for column in reversed(columns)}
    if "paramcd" not in found or "aval" not in found:
        return None
    return Tall(found["paramcd"], found["aval"], found.get("anl01fl"))


def _each(columns: dict[str, tuple[Column, ...]]) -> list[tuple[str, Column]]:
    return [(table, column) for table, each in columns.items() for column in each]


def _shared(columns: dict[str, tuple[Column, ...]], roles: str, everywhere: bool = False) -> str | None:
    """The name of the first role's column that most tables have (or all of them, in one spelling)."""
    for role in roles.split():
        named = Counter(column.name for _, column in _each(columns) if plain(column.name) == role)
        if named and (not everywhere or max(named.values()) == len(columns)):
            return named.most_common(1)[0][0]
    return None


def _time(columns: dict[str, tuple[Column, ...]]) -> str | None:
    """A column called time in one of several tables, unless it may be how long somebody was followed."""
    if len(columns) < 2:
        return None
    for each in columns.values():
        named = {plain(column.name): column.name for column in each}
        if "time" in named and not set(named) & set(EVENT.split()):
            return named["time"]
    return None


def _by_visit(columns: Sequence[Column]) -> dict[str, dict[str, str]]:
    """Columns that are one measure at several visits: stem -> visit -> column."""
    groups: dict[str, dict[str, str]] = {}
    for column in columns:
        found = SUFFIX.fullmatch(column.name)
        if found and (found["clear"] or find(Column(found["stem"]))):
            visit = f"{found['word'].lower()}{int(found['number'])}"
            groups.setdefault(found["stem"], {})[visit] = column.name
    ordered = {stem: dict(sorted(group.items(), key=lambda each: _number(each[0]))) for stem, group in groups.items()}
    return {stem: group for stem, group in ordered.items() if len(group) > 1}


def _number(visit: str) -> int:
    return int(re.sub(r"\D", "", visit))


def _commonest(wide: dict[str, dict[str, dict[str, str]]]) -> tuple[str, ...]:
    """The visits that most measures with columns by visit have; of equally many, the longer list."""
    counted = Counter(tuple(group) for groups in wide.values() for group in groups.values())
    return max(counted, key=lambda visits: (counted[visits], len(visits)), default=())


def _sort(
    layout: Layout,
    table: str,
    columns: Sequence[Column],
    groups: dict[str, dict[str, str]],
    taken: set[str],
) -> None:
    """Give every column of a table its place in the layout."""
    visit = layout.visit_column.name if layout.visit_column else None
    stems = {name: stem for stem, group in groups.items() for name in group.values()}
    label = layout.label[1].name if layout.label else None
    names = Counter(column.name for column in columns)
    for column in columns:
        name = stems.get(column.name, column.name)
        first = column.name not in stems or column.name == next(iter(groups[name].values()))
        if column.name in (layout.participant, visit, label) or not first:
            continue
        tall = layout.tall.get(table)
        if tall is not None and column.name in (tall.parameter, tall.value, tall.flag):
            continue
        known = find(column) or find(Column(name))
        columns_by_visit = groups[name] if column.name in stems else None
        quantity = Quantity(table, column, known, without_unit(name), columns_by_visit)
        called = known.name if known is not None and known.once else quantity.name
        of_rows = tall is not None and (known is None or not known.once or columns_by_visit is not None)
        if of_rows or _no_use(column) or names[column.name] > 1 or called.casefold() in taken:
            layout.left_out.append(f"{column.name} ({table})" if len(layout.tables) > 1 else column.name)
            continue
        if quantity.columns is None and known is None:
            layout.unknown.append(quantity)
            continue
        taken.add(called.casefold())
        of_visits = quantity.columns is not None or (layout.in_rows(table) and known is not None and not known.once)
        (layout.measures if of_visits else layout.covariates).append(quantity)


def _no_use(column: Column) -> bool:
    name = plain(column.name)
    roles = f"{PARTICIPANT} {VISIT_CODE} {VISIT_TIME} {ARM} {LEFT_OUT}".split()
    return column.type == "date" or name in roles or re.fullmatch(r".*(date|dt|dtc|dtm)", name) is not None


def _at_baseline(layout: Layout) -> None:
    """Without visits, what may be measured again becomes a measure at a single one."""
    repeated = [each for each in layout.covariates if each.known is not None and not each.known.once]
    layout.visits = ("baseline",)
    layout.covariates = [each for each in layout.covariates if each not in repeated]
    layout.measures = [
        Quantity(each.table, each.column, each.known, each.name, {"baseline": each.column.name}) for each in repeated
    ]
