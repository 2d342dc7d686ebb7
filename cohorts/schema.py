"""What is public about a cohort: its files, label, visits, measures and their ranges.

Every number here is a public constant written down by a person. Nothing in this module reads a participant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, ValidationError, model_validator

from cohorts.schema_file import read_schema_mapping, schema_error

MINIMUM_PARTICIPANTS = 50
"""Below this many complete participants no cohort is loaded, and none may be declared."""

ATTENDED = "visits attended"
NO_TABLE = "(computed)"

Category = StrictStr | StrictInt | StrictFloat
Name = Annotated[str, Field(min_length=1)]
Kind = Literal["continuous", "integer", "binary", "categorical"]


def canonical(text: object) -> str:
    """The one spelling of a category, visit code or label value.

    Example:
        >>> [canonical(text) for text in (1, 1.0, " 1 ", "01", "1.50", "week 4")]
        ['1', '1', '1', '1', '1.5', 'week 4']
    """
    stripped = str(text).strip()
    try:
        number = float(stripped)
    except ValueError:
        return stripped
    if not np.isfinite(number) or "_" in stripped:
        return stripped
    return str(int(number)) if number.is_integer() else repr(number)


def require_distinct(what: str, items: Iterable[object]) -> None:
    """Raise ValueError when two items have the same canonical spelling."""
    seen: set[str] = set()
    for item in items:
        if canonical(item) in seen:
            raise ValueError(f"{what} {item!r} is given twice; each must differ from the others")
        seen.add(canonical(item))


class Frozen(BaseModel):
    """A part of a schema: immutable, and a stranger to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)


class Measure(Frozen):
    """One quantity: measured at every visit or those that `visits` names, or once per participant (a static covariate).

    `lower` and `upper` are public, plausible limits in the measure's unit, not the file's extremes. A binary or
    categorical measure is stored as the index of its category, so its limits are 0 and k - 1. Who lacks a value where
    one is expected is left out, unless `missing` is `allowed`: then that it is missing is part of the data.
    """

    name: Name
    kind: Kind
    unit: str = ""
    lower: float
    upper: float
    categories: tuple[Category, ...] = ()
    decimals: int | None = Field(default=None, ge=0, le=6)
    table: Name
    column: Name | None = None
    columns: dict[str, str] | None = None
    visits: tuple[Name, ...] | None = None
    missing: Literal["drop", "allowed"] = "drop"

    @model_validator(mode="before")
    @classmethod
    def _limits_of_categories(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("kind") not in ("binary", "categorical"):
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
        if (self.column is None) == (self.columns is None):
            raise ValueError(
                "give either column (one row per visit, or a static covariate) or columns "
                "(one column per visit), and not both"
            )
        if self.columns is not None and (self.visits is not None or not self.columns):
            raise ValueError("columns names the visits of the measure, at least one; leave visits out")
        self._check_categories()
        if self.decimals is not None and self.kind != "continuous":
            raise ValueError(f"kind {self.kind} has no decimals; leave them out")
        if self.lower >= self.upper:
            raise ValueError(f"lower {self.lower:g} is not below upper {self.upper:g}; lower must be the smaller")
        digits = 0 if self.kind == "integer" else self.decimals
        if digits is not None and any(round(limit, digits) != limit for limit in (self.lower, self.upper)):
            raise ValueError(
                f"lower {self.lower:g} or upper {self.upper:g} has more than {digits} decimals, so "
                "rounding could leave the range; write them with no more than that"
            )
        return self

    def _check_categories(self) -> None:
        if self.kind in ("continuous", "integer"):
            if self.categories:
                raise ValueError(f"kind {self.kind} takes lower and upper, not categories")
            return
        require_distinct("category", self.categories)
        if self.kind == "binary" and len(self.categories) != 2:
            raise ValueError(f"a binary measure has two categories, not {len(self.categories)}")
        if len(self.categories) < 2:
            raise ValueError("a categorical measure needs at least two categories")

    @property
    def discrete(self) -> bool:
        """Whether values are category indices."""
        return self.kind in ("binary", "categorical")

    @property
    def range(self) -> float:
        """From the lower to the upper limit."""
        return self.upper - self.lower

    @property
    def count(self) -> int:
        """How many values it can take; 0 where that is a continuum."""
        return 0 if self.kind == "continuous" else round(self.range) + 1


class LabelClass(Frozen):
    """One of the label's classes; `share` is its public share of participants.

    `also` are further values in the file that count to this class; a cohort is written back with `value`.
    """

    name: Name
    value: Category
    also: tuple[Category, ...] = ()
    share: float = Field(gt=0, lt=1)

    @property
    def values(self) -> tuple[Category, ...]:
        """Every value in the file that means this class."""
        return (self.value, *self.also)


class Label(Frozen):
    """The column that classifiers predict, of two classes or more: an arm (`randomised`, so its shares are public) or
    an outcome."""

    name: Name
    table: Name
    column: Name
    classes: tuple[LabelClass, ...] = Field(min_length=2)
    randomised: bool

    @model_validator(mode="after")
    def _consistent(self) -> Label:
        require_distinct("class value", (value for c in self.classes for value in c.values))
        require_distinct("class name", (c.name for c in self.classes))
        total = sum(c.share for c in self.classes)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the classes sum to {total:g}; they must sum to 1")
        return self


class Window(Frozen):
    """A visit as a segment of time, both ends included; `take` says which row wins when several fall in."""

    name: Name
    start: float = Field(alias="from")
    end: float = Field(alias="to")
    take: Literal["first", "last", "nearest"] = "nearest"
    centre: float | None = None

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False, serialize_by_alias=True
    )

    @model_validator(mode="after")
    def _consistent(self) -> Window:
        if self.start > self.end:
            raise ValueError(f"window {self.name} runs from {self.start:g} to {self.end:g}; from must not be after to")
        if self.centre is not None and not self.start <= self.centre <= self.end:
            raise ValueError(f"window {self.name}: centre {self.centre:g} lies outside {self.start:g} to {self.end:g}")
        return self

    @property
    def middle(self) -> float:
        """The declared centre, or the window's midpoint (whole, if a whole number lies in the window)."""
        if self.centre is not None:
            return self.centre
        middle = (self.start + self.end) / 2
        return float(np.floor(middle)) if np.floor(middle) >= self.start else middle


class Visits(Frozen):
    """When participants were measured: codes in their order, or windows on a time column.

    `column` holds the code or the time; it is left out only where every measure is wide (`columns`). With `dropout`
    participants may leave: nothing is known of them after some visit, and that is part of the data.
    """

    column: Name | None = None
    codes: tuple[Name, ...] | None = None
    windows: tuple[Window, ...] | None = None
    dropout: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Visits:
        if (self.codes is None) == (self.windows is None):
            raise ValueError("give either codes or windows, and not both")
        if not self.names:
            raise ValueError("at least one visit is needed")
        require_distinct("visit", self.names)
        if self.windows is not None:
            if self.column is None:
                raise ValueError("windows need column, the column that holds the time")
            self._check_order(self.windows)
        return self

    @staticmethod
    def _check_order(windows: Sequence[Window]) -> None:
        for earlier, later in pairwise(windows):
            if later.start <= earlier.end:
                raise ValueError(
                    f"window {later.name} starts at {later.start:g}, not after window {earlier.name} "
                    f"ends at {earlier.end:g}; windows come in order and do not overlap"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The visits' names, in order."""
        return self.codes or tuple(window.name for window in self.windows or ())


class Schema(Frozen):
    """Everything public about a cohort; see docs/cohorts.md for how to write one as YAML.

    `tables` maps a table's name to its file, relative to the data directory (or `package:PACKAGE/PATH`).
    `nominal_size` is the public number of complete participants, from the protocol or publication, never counted.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    public: bool
    participant: Name
    nominal_size: int = Field(ge=MINIMUM_PARTICIPANTS)
    tables: dict[str, str] = Field(min_length=1)
    label: Label
    visits: Visits
    measures: tuple[Measure, ...] = Field(min_length=1)
    covariates: tuple[Measure, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _only_table(cls, given: Any) -> Any:
        """With a single table, nobody needs to name it in every measure."""
        tables = given.get("tables") if isinstance(given, dict) else None
        if not isinstance(tables, dict) or len(tables) != 1:
            return given
        default = {"table": next(iter(tables))}

        def filled(part: Any) -> Any:
            return {**default, **part} if isinstance(part, dict) else part

        lists = {
            key: [filled(part) for part in given[key]]
            for key in ("measures", "covariates")
            if isinstance(given.get(key), list | tuple)
        }
        return {**given, **lists, "label": filled(given.get("label"))} if "label" in given else {**given, **lists}

    @model_validator(mode="after")
    def _consistent(self) -> Schema:
        require_distinct("measure", (m.name for m in self.all_measures))
        used = [("label", self.label.name, self.label.table)]
        used += [("measure", m.name, m.table) for m in self.recorded]
        for what, name, table in used:
            if table not in self.tables:
                raise ValueError(f"{what} {name}: table {table!r} is not among tables ({', '.join(self.tables)})")
        for table in self.tables:
            if table not in {table for _, _, table in used}:
                raise ValueError(f"table {table!r} is used by no measure, covariate or label; remove it from tables")
        self._check_file_names()
        self._check_visit_columns()
        return self

    def _check_file_names(self) -> None:
        written: dict[str, str] = {}
        for table in self.tables:
            other = written.setdefault(self.stem(table).casefold(), table)
            if other != table:
                raise ValueError(
                    f"tables {other!r} and {table!r} both have a file called {self.stem(table)}; a synthetic cohort is "
                    f"written as {self.stem(table)}.csv and {self.stem(table)}.parquet, so one would replace the "
                    "other. Rename one of the files"
                )

    def _check_visit_columns(self) -> None:
        for measure in self.measures:
            if measure.column is not None and self.visits.column is None:
                raise ValueError(f"measure {measure.name} has one row per visit (column), so visits needs column too")
            strangers = [visit for visit in self.visits_of(measure) if visit not in self.visit_names]
            if strangers:
                raise ValueError(
                    f"measure {measure.name} names the visit {strangers[0]}, which is none of the visits "
                    f"{', '.join(self.visit_names)}"
                )
        for visit in self.visit_names:
            if not any(visit in self.visits_of(measure) for measure in self.measures):
                raise ValueError(
                    f"nothing is measured at the visit {visit}; name it in a measure's visits, or remove it"
                )
        for covariate in self.covariates:
            if covariate.column is None or covariate.visits is not None:
                raise ValueError(
                    f"covariate {covariate.name} has one value per participant; give column, not columns or visits"
                )

    def stem(self, table: str) -> str:
        """What a table's file is called, without folder and ending."""
        return Path(self.tables[table].removeprefix("package:")).stem

    @property
    def recorded(self) -> tuple[Measure, ...]:
        """Measures, then static covariates: what stands in the files."""
        return self.measures + self.covariates

    @property
    def all_measures(self) -> tuple[Measure, ...]:
        """Those recorded, and with dropout the number of visits that were attended: the M rows of a participant."""
        if not self.visits.dropout:
            return self.recorded
        upper = float(len(self.visit_names))
        attended = Measure(name=ATTENDED, kind="integer", lower=0, upper=upper, table=NO_TABLE, column=ATTENDED)
        return (*self.recorded, attended)

    def visits_of(self, measure: Measure) -> tuple[str, ...]:
        """The visits at which a measure is expected, in order."""
        named = measure.columns or measure.visits
        return tuple(named) if named is not None else self.visit_names

    @property
    def visit_names(self) -> tuple[str, ...]:
        """The V visits, in order."""
        return self.visits.names

    @property
    def observed(self) -> np.ndarray:
        """Which cells may hold a value: a measure's visits, the first visit of all else. Bool (M, V)."""
        observed = np.zeros((len(self.all_measures), len(self.visit_names)), dtype=bool)
        observed[len(self.measures) :, 0] = True
        for m, measure in enumerate(self.measures):
            observed[m] = np.isin(self.visit_names, self.visits_of(measure))
        return observed

    @property
    def may_be_missing(self) -> np.ndarray:
        """Which of these cells may lack a value in a complete participant: bool (M, V)."""
        allowed = np.array([[measure.missing == "allowed"] for measure in self.all_measures])
        measures = np.arange(len(self.all_measures)) < len(self.measures)
        missing: np.ndarray = self.observed & (allowed | (self.visits.dropout & measures[:, None]))
        return missing

    def gone(self, values: np.ndarray) -> np.ndarray:
        """Cells of measures at visits that a participant does not attend any more: bool (n, M, V).

        Args:
            values: (n, M, V).
        """
        gone = np.zeros(values.shape, dtype=bool)
        if self.visits.dropout:
            gone[:, : len(self.measures)] = (np.arange(values.shape[2]) >= values[:, -1, :1])[:, None]
        return gone

    @property
    def visit_tables(self) -> tuple[str, ...]:
        """The tables that have one row per participant and visit."""
        long = {measure.table for measure in self.measures if measure.column is not None}
        return tuple(table for table in self.tables if table in long)

    @classmethod
    def load(cls, path: Path | str) -> Schema:
        """Read a schema from YAML.

        Raises:
            CohortError: naming the file and the key that is missing, unknown or wrong.
        """
        mapping = read_schema_mapping(Path(path))
        try:
            return cls.model_validate(mapping)
        except ValidationError as error:
            parts = (Schema, Label, LabelClass, Visits, Window, Measure)
            known_keys = {field.alias or name for part in parts for name, field in part.model_fields.items()}
            raise schema_error(Path(path), error, known_keys) from None
