"""What loading left out, for the data steward only: every count here is computed from participants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleCount:
    """A rule and how many participants it dropped who had passed every rule before it."""

    rule: str
    dropped: int


@dataclass(frozen=True)
class RowCount:
    """What became of the rows of one table with a row per participant and visit, or one of each parameter."""

    file: str
    read: int
    other_visits: int
    """Rows of visits that the schema does not list, or outside every window."""
    superseded: int
    """Rows in a window that are incomplete, or lost to a better placed one."""
    other_parameters: int = 0
    """Rows of parameters that no measure names."""
    not_where: int = 0
    """Rows that lack the value which the schema's `where` asks for."""


@dataclass(frozen=True)
class CellCount:
    """Cells of a column that were read as something else than they say."""

    file: str
    column: str
    what: str
    """As in "clamped to the limits 60 to 240"."""
    cells: int


@dataclass(frozen=True)
class VisitWithoutRows:
    """A visit of which a table has no row, where nobody needs to have one."""

    file: str
    column: str
    visit: str


@dataclass(frozen=True)
class LoadReport:
    """How `enrolled` participants became `kept`. Never publish it, and never let a search see it."""

    enrolled: int
    kept: int
    rules: tuple[RuleCount, ...]
    rows: tuple[RowCount, ...] = ()
    cells: tuple[CellCount, ...] = ()
    """Clamped, set missing, below a detection limit, or a text such as None where a category was expected."""
    absent: tuple[VisitWithoutRows, ...] = ()
    """Visits at which nobody has a value of what a table holds."""
