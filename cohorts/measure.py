"""One quantity of a trial: a measure or a covariate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from cohorts.cell_rules import CellRules
from cohorts.origin import FARTHEST, Origin, place_of
from cohorts.parts import Category, Name
from cohorts.spelling import require_distinct

Kind = Literal["continuous", "integer", "binary", "categorical", "ordinal"]
NUMERIC: tuple[Kind, ...] = ("continuous", "integer")


class Measure(CellRules):
    """One quantity: measured at every visit or those that `visits` names, or once per participant (a static covariate).

    `lower` and `upper` are public, plausible limits in the measure's unit, not the file's extremes. A binary,
    categorical or ordinal measure is stored as the index of its category, so its limits are 0 and k - 1; the categories
    of an ordinal one ascend. Who lacks a value where one is expected is left out, unless `missing` is `allowed`: then
    that it is missing is part of the data. On the scale `log` a value counts by its logarithm, and zero by itself.
    With an `origin` its cells are dates, and its values the days since the participant's date in that column.
    With `parameter` it stands in those rows of its table that have this code, by default in the column `AVAL`; a
    covariate that does is the same in all of a participant's.
    """

    name: Name
    kind: Kind
    unit: str = ""
    lower: float
    upper: float
    categories: tuple[Category, ...] = ()
    decimals: int | None = Field(default=None, ge=0, le=6)
    scale: Literal["linear", "log"] = "linear"
    table: Name
    column: Name | None = None
    columns: dict[str, str] | None = None
    parameter: Name | None = None
    origin: Name | Origin | None = None
    visits: tuple[Name, ...] | None = None
    missing: Literal["drop", "allowed"] = "drop"

    @model_validator(mode="before")
    @classmethod
    def _limits_of_categories(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("kind") not in ("binary", "categorical", "ordinal"):
            return given
        categories = given.get("categories") or ((0, 1) if given["kind"] == "binary" else ())
        if not isinstance(categories, Sequence) or isinstance(categories, str):
            return given
        if any(isinstance(category, bool) for category in categories):
            raise ValueError(
                "categories holds a bare yes, no, true or false, which YAML reads as a truth value; put it in quotes"
            )
        limits = {"lower": 0.0, "upper": float(max(len(categories) - 1, 1))}
        if any(given.get(key, limits[key]) != limits[key] for key in limits):
            raise ValueError(f"kind {given['kind']} takes categories, not lower and upper; leave them out")
        return {**given, **limits, "categories": tuple(categories)}

    @model_validator(mode="after")
    def _consistent(self) -> Measure:
        if self.column is None and self.columns is None and "parameter" in self.model_fields_set:
            raise ValueError("parameter is empty; write the code of the parameter, as its rows have it")
        if (self.column is None) == (self.columns is None):
            raise ValueError(
                "give either column (one row per visit, or a static covariate) or columns "
                "(one column per visit), and not both"
            )
        if self.columns is not None and (self.visits is not None or not self.columns):
            raise ValueError("columns names the visits of the measure, at least one; leave visits out")
        if self.columns is not None and self.parameter is not None:
            raise ValueError("parameter is for a row per visit and parameter; leave columns out, or parameter")
        if self.origin is not None:
            self._check_dates()
        self._check_categories()
        if self.discrete:
            self.check_categories(self.categories)
        else:
            self.check_numbers(self.kind == "integer", self.lower, self.upper)
        if self.decimals is not None and self.kind != "continuous":
            raise ValueError(f"kind {self.kind} has no decimals; leave them out")
        if self.scale == "log":
            self._check_log()
        if self.lower >= self.upper:
            raise ValueError(f"lower {self.lower:g} is not below upper {self.upper:g}; lower must be the smaller")
        digits = self.digits
        if digits is not None and any(round(limit, digits) != limit for limit in (self.lower, self.upper)):
            raise ValueError(
                f"lower {self.lower:g} or upper {self.upper:g} has more than {digits} decimals, so "
                "rounding could leave the range; write them with no more than that"
            )
        return self

    def _check_categories(self) -> None:
        if not self.discrete:
            if self.categories:
                raise ValueError(f"kind {self.kind} takes lower and upper, not categories")
            return
        require_distinct("category", self.categories)
        if self.kind == "binary" and len(self.categories) != 2:
            raise ValueError(f"a binary measure has two categories, not {len(self.categories)}")
        if len(self.categories) < 2:
            raise ValueError(
                f"{'an' if self.kind == 'ordinal' else 'a'} {self.kind} measure needs at least two categories"
            )

    def _check_dates(self) -> None:
        if self.kind != "integer":
            raise ValueError(f"origin is for dates, which are counted in whole days: kind integer, not {self.kind}")
        if self.parameter is not None or self.detection_limit is not None:
            raise ValueError("dates (origin) have no detection_limit, and no parameter; leave it out")
        if max(-self.lower, self.upper) > FARTHEST:
            raise ValueError(f"lower and upper are days from the origin, at most {FARTHEST:g} of them")

    @property
    def counted_from(self) -> tuple[str, str] | None:
        """Table and column of the date that its dates are counted from; None where they are no dates."""
        return None if self.origin is None else place_of(self.origin, self.table)

    def _check_log(self) -> None:
        if self.discrete:
            raise ValueError(f"scale log is for numbers; leave it out of a measure of kind {self.kind}")
        if self.lower < 0:
            raise ValueError(f"scale log is for values from 0 on, and lower is {self.lower:g}; leave scale out")
        if self.least_positive == 0:
            raise ValueError(
                "scale log with lower 0 needs the smallest value above 0: say decimals, or detection_limit, or make "
                "lower that value"
            )
        if self.least_positive >= self.upper:
            raise ValueError(f"scale log: upper {self.upper:g} is not above {self.least_positive:g}, the least value")

    @property
    def step(self) -> float:
        """How far apart the values are that the trial records; 0 where nothing is said of that."""
        return 0.0 if self.digits is None else float(10.0**-self.digits)

    @property
    def digits(self) -> int | None:
        """How many decimals its values have; None where nothing is said of that."""
        return self.decimals if self.kind == "continuous" else 0

    @property
    def least_positive(self) -> float:
        """The smallest value above 0, of a measure with a lower limit of 0 or more; 0 where nothing is said of that."""
        if self.lower > 0:
            return self.lower
        limit = self.detection_limit
        detected = limit.stands_for(self.lower) or limit.value if limit is not None else 0.0
        return max(detected, self.step)

    @property
    def discrete(self) -> bool:
        """Whether values are category indices."""
        return self.kind not in NUMERIC

    @property
    def nominal(self) -> bool:
        """Whether its categories are in no order, so that each is generated by itself."""
        return self.kind in ("binary", "categorical")

    @property
    def range(self) -> float:
        """From the lower to the upper limit."""
        return self.upper - self.lower

    @property
    def count(self) -> int:
        """How many values it can take; 0 where that is a continuum."""
        return 0 if self.kind == "continuous" else round(self.range) + 1
