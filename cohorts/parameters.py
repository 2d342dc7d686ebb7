"""Tables with a row per participant, visit and parameter: ADaM's basic data structure (BDS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cohorts.parts import Frozen, Name
from cohorts.schema_defaults import PARAMETER, VALUE
from cohorts.spelling import canonical, require_distinct, typed

if TYPE_CHECKING:
    from cohorts.files import Format
    from cohorts.measure import Measure

LARGEST_EXACT = 2**53
"""Beyond it a double does not hold every whole number."""


class Parameters(Frozen):
    """Which columns of such a table say what was measured, and the value."""

    column: Name = PARAMETER
    value: Name = VALUE


@dataclass(frozen=True)
class RowKind:
    """Rows of which a participant has one at each visit: those of a table, or of one of its parameters.

    Of a covariate's parameter a participant has one row, or several that say the same.
    """

    table: str
    parameter: str | None = None

    @property
    def of_parameter(self) -> str:
        """Which rows of the table these are, as a part of a sentence."""
        return "" if self.parameter is None else f" of the parameter {self.parameter}"


def check_parameters(table: str, measures: Sequence[Measure], covariates: Sequence[Measure], how: Format) -> None:
    """Raise ValueError unless the measures of a table, and covariates by parameter, can share its rows and columns.

    Args:
        table: its name.
        measures: all of the table.
        covariates: likewise.
        how: what is said about its file.
    """
    covariates = [covariate for covariate in covariates if covariate.parameter is not None]
    if all(measure.parameter is None for measure in measures) and not covariates:
        return
    known = {canonical(each.parameter): each.name for each in measures if each.parameter is not None}
    for covariate in covariates:
        other = known.get(canonical(covariate.parameter))
        if other is not None:
            raise ValueError(
                f"covariate {covariate.name} has the parameter of the measure {other} ({covariate.parameter}), whose "
                "rows are by visit; make it a measure and name the visit at which it is known, as in visits: [baseline]"
            )
    measures = [*measures, *covariates]
    for measure in measures:
        if measure.parameter is None:
            raise ValueError(
                f"measure {measure.name} has no parameter, and others of table {table!r} have one, so that it has a "
                "row per parameter; name the code that its rows have"
            )
    require_distinct("parameter", dict.fromkeys(measure.parameter for measure in measures))
    first: dict[tuple[str | None, str | None], str] = {}
    for measure in measures:
        other = first.setdefault((measure.parameter, measure.column), measure.name)
        if other != measure.name:
            raise ValueError(
                f"measure {measure.name} has the parameter and column of {other} ({measure.parameter}, "
                f"{measure.column}); correct one of them"
            )
    if how.decimal == ",":
        for column in dict.fromkeys(str(measure.column) for measure in measures):
            _require_one_spelling(column, [measure for measure in measures if measure.column == column])


def _require_one_spelling(column: str, measures: Sequence[Measure]) -> None:
    texts = [measure.name for measure in measures if not of_numbers(measure)]
    numeric = [measure.name for measure in measures if not measure.discrete]
    if texts and numeric:
        raise ValueError(
            f"measure {numeric[0]} has numbers and {texts[0]} has texts in the column {column}, where the decimal sign "
            "cannot be told from text; name another column for one of them"
        )


def of_numbers(measure: Measure) -> bool:
    """Whether all values of a measure are written as numbers that a double holds."""
    codes = typed(measure.categories)
    return not measure.discrete or (codes.dtype != object and bool((abs(codes) <= LARGEST_EXACT).all()))
