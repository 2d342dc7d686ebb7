"""When participants are measured: a schema's visits, by code or by windows of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from cohorts.measure import Measure
from cohorts.origin import Origin
from cohorts.parts import NO_TABLE, Frozen, Name
from cohorts.spelling import require_distinct

ATTENDED, PRESENT = "last visit attended", "attendance"


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

    @property
    def day(self) -> int:
        """A whole day of the window: the middle, or the one after it."""
        return math.floor(self.middle) if math.floor(self.middle) >= self.start else math.ceil(self.middle)


class Dropout(Frozen):
    """Participants may leave, but everybody attends the visits up to one and that one, by the trial's design."""

    start: Name = Field(alias="from")

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False, serialize_by_alias=True
    )


class Visits(Frozen):
    """When participants were measured: codes in their order, or windows on a time column.

    `column` holds the code or the time; it is left out only where every measure is wide (`columns`). With an `origin`
    it holds dates, and the time is the days since the date in that column. With `dropout` participants may leave:
    nothing is known of them after some visit, and that is part of the data; everybody attends the VISIT of
    `{from: VISIT}`. Visits that are `missed` may be without a value of a participant who comes again, all measures at
    once: true of those that not everybody attends for sure, or their names. `baseline` is the first visit's name, where
    that was before randomisation.
    """

    column: Name | None = None
    codes: tuple[Name, ...] | None = None
    windows: tuple[Window, ...] | None = None
    origin: Name | Origin | None = None
    dropout: bool | Dropout = False
    missed: bool | tuple[Name, ...] = False
    baseline: Name | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Visits:
        if (self.codes is None) == (self.windows is None):
            raise ValueError("give either codes or windows, and not both")
        if not self.names:
            raise ValueError("at least one visit is needed")
        require_distinct("visit", self.names)
        if self.baseline is not None and self.baseline != self.names[0]:
            raise ValueError(f"baseline is {self.baseline}; only the first visit, {self.names[0]}, can be the baseline")
        self._check_dropout()
        self._check_missed()
        if self.windows is not None:
            if self.column is None:
                raise ValueError("windows need column, the column that holds the time")
            self._check_order(self.windows)
        if self.origin is not None:
            self._check_days()
        return self

    def _check_dropout(self) -> None:
        if isinstance(self.dropout, Dropout) and self.dropout.start not in self.names[:-1]:
            raise ValueError(
                f"dropout: from is {self.dropout.start}, the last visit that everybody attends; it must be one of "
                f"{', '.join(self.names[:-1]) or 'two visits or more'}"
            )

    def _check_missed(self) -> None:
        if isinstance(self.missed, bool):
            return
        if not self.missed:
            raise ValueError("missed is an empty list; name the visits that a participant may miss, or leave it out")
        require_distinct("missed visit", self.missed)
        for visit in self.missed:
            if visit not in self.names:
                raise ValueError(f"missed names the visit {visit}, which is none of the visits {', '.join(self.names)}")
            if visit in self.names[: self.surely_attended]:
                raise ValueError(
                    f"missed names the visit {visit}, which everybody attends by dropout (from); remove it from one"
                )

    @property
    def may_be_missed(self) -> tuple[str, ...]:
        """Visits that a participant may miss who comes again, in order: not the last where dropout says who left."""
        before_the_last = self.names[:-1] if self.dropout else self.names
        if isinstance(self.missed, bool):
            return before_the_last[self.surely_attended :] if self.missed else ()
        return tuple(name for name in before_the_last if name in self.missed)

    @property
    def attendance(self) -> tuple[Measure, ...]:
        """What is known of a participant by this: whether each visit that may be missed was attended, and with dropout
        which was the last, by its number from 1."""
        computed: list[dict[str, Any]] = []
        if self.may_be_missed:
            computed.append({"name": PRESENT, "kind": "binary", "categories": ["no", "yes"]})
        if self.dropout:
            visits = {"lower": self.surely_attended, "upper": len(self.names)}
            computed.append({"name": ATTENDED, "kind": "integer", **visits})
        return tuple(Measure.model_validate({**each, "table": NO_TABLE, "column": each["name"]}) for each in computed)

    @property
    def surely_attended(self) -> int:
        """How many visits everybody attends, at least, where participants may leave."""
        return self.names.index(self.dropout.start) + 1 if isinstance(self.dropout, Dropout) else 0

    @staticmethod
    def _check_order(windows: Sequence[Window]) -> None:
        for earlier, later in pairwise(windows):
            if later.start <= earlier.end:
                raise ValueError(
                    f"window {later.name} starts at {later.start:g}, not after window {earlier.name} "
                    f"ends at {earlier.end:g}; windows come in order and do not overlap"
                )

    def _check_days(self) -> None:
        if self.windows is None:
            raise ValueError("origin is for windows of days; leave it out where visits have codes")
        for window in self.windows:
            if math.ceil(window.start) > math.floor(window.end):
                raise ValueError(f"window {window.name} holds no whole day, which dates are counted in")

    @property
    def names(self) -> tuple[str, ...]:
        """The visits' names, in order."""
        return self.codes or tuple(window.name for window in self.windows or ())
