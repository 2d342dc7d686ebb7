"""When visits are: what figures have on their horizontal axis."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from cohorts import Schema
from cohorts.visits import Visits

DAYS = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
_WORDS = {"d": "days", "w": "weeks", "m": "months", "y": "years"}
_UNIT = "days?|d|weeks?|wks?|w|months?|mo|m|years?|yrs?|y"
_NUMBER = r"\d+(?:\.\d+)?"
_UNIT_FIRST = re.compile(rf"(?P<unit>{_UNIT})[ _-]?(?P<number>{_NUMBER})", re.IGNORECASE)
_NUMBER_FIRST = re.compile(rf"(?P<number>{_NUMBER})[ _-]?(?P<unit>{_UNIT})", re.IGNORECASE)


@dataclass(frozen=True)
class VisitTimes:
    """Where each visit stands.

    Args:
        places: of all visits, ascending.
        axis: what they are measured in, as the axis says it.
        known: whether they are times; otherwise visits stand at equal distances.
    """

    places: tuple[float, ...]
    axis: str
    known: bool


def visit_times(schema: Schema) -> VisitTimes:
    """The times of a schema's visits, from windows or from codes such as ``12M``, ``W20`` or ``week 4``.

    A first visit that names no time, such as ``RZ`` or ``baseline``, is at 0.

    Example:
        >>> from cohorts import resolve_schema
        >>> visit_times(resolve_schema("sprint")).places
        (0.0, 1.0, 2.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0, 27.0)
        >>> visit_times(resolve_schema("actg175")).axis
        'Weeks'
    """
    visits = schema.visits
    if visits.windows is not None:
        unit = "Days" if visits.origin is not None else f"Time ({visits.column})"
        return VisitTimes(tuple(window.middle for window in visits.windows), unit, known=True)
    found = _of_codes(visits)
    if found is None:
        return VisitTimes(tuple(map(float, range(len(visits.names)))), "Visit", known=False)
    return found


def _of_codes(visits: Visits) -> VisitTimes | None:
    """Times that all codes name; None where one does not, or they do not ascend."""
    named = [_time(code) for code in visits.names]
    if len(named) > 1 and named[0] is None and named[1] is not None:
        named[0] = (0.0, named[1][1])
    times = [each for each in named if each is not None]
    if len(times) < len(named):
        return None
    units = {unit for number, unit in times if number} or {"days"}
    unit = units.pop() if len(units) == 1 else "days"
    places = tuple(number * DAYS[own] / DAYS[unit] if own != unit else number for number, own in times)
    ascending = all(earlier < later for earlier, later in pairwise(places))
    return VisitTimes(places, unit.capitalize(), known=True) if ascending else None


def _time(code: str) -> tuple[float, str] | None:
    """The number and the unit of a code."""
    match = _UNIT_FIRST.fullmatch(code.strip()) or _NUMBER_FIRST.fullmatch(code.strip())
    return None if match is None else (float(match["number"]), _WORDS[match["unit"][0].lower()])
