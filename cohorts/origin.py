"""Dates: what a trial's days are counted from."""

from __future__ import annotations

from cohorts.parts import Frozen, Name

FARTHEST = 36_500
"""Days from the origin, at most, that a date can be limited to: a century."""


class Origin(Frozen):
    """Where the date stands that days of a participant are counted from, if not in the same table."""

    table: Name
    column: Name


def place_of(origin: str | Origin, table: str) -> tuple[str, str]:
    """The table and column of an origin that is named in a table."""
    return (origin.table, origin.column) if isinstance(origin, Origin) else (table, origin)
