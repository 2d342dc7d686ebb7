"""An outcome that is a number, cut into classes at public points."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cohorts.cell_rules import CellRules
from cohorts.labels.outcome_label import OutcomeLabel
from cohorts.labels.stretches import Stretch, Stretches
from cohorts.measure import Measure
from cohorts.parts import Name
from cohorts.value_columns import in_units


class NumericLabel(CellRules, OutcomeLabel):
    """A number between public limits; `cut` are the least numbers of the second class, the third and so on."""

    kind: Literal["numeric"]
    column: Name
    lower: float
    upper: float
    cut: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> NumericLabel:
        self.check_numbers(self.decimals == 0, self.lower, self.upper)
        points = (self.lower, *self.cut, self.upper)
        if any(one >= next for one, next in pairwise(points)):
            listed = ", ".join(f"{each:g}" for each in self.cut)
            raise ValueError(f"cut {listed} does not ascend from lower {self.lower:g} to upper {self.upper:g}")
        self.check_scale(("lower", self.lower), *(("cut", each) for each in self.cut), ("upper", self.upper))
        self.check_shares(len(self.cut) + 1)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    @property
    def number(self) -> Measure:
        """The number, as a measure that stands in the file."""
        rules = {name: getattr(self, name) for name in CellRules.model_fields}
        return self.on_scale(self.column, self.lower, self.upper, rules)

    @property
    def stretches(self) -> Stretches:
        """What each class has of the scale."""
        points = [self.in_steps(each) for each in (self.lower, *self.cut, self.upper)]
        points[-1] += 1  # the upper limit is a number of the last class
        return Stretches([[Stretch(one, next - one)] for one, next in pairwise(points)], self.decimals)

    @property
    def usual_names(self) -> tuple[str, ...]:
        """Names of the classes that say what they are."""
        between = [f"{one:g} to below {next:g}" for one, next in pairwise(self.cut)]
        words = (f"below {self.cut[0]:g}", *between, f"at least {self.cut[-1]:g}")
        return tuple(self.with_unit(each) for each in words)

    def written(self, labels: np.ndarray, positions: np.ndarray) -> dict[str, Any]:
        """Columns of the file, (n,) each, from classes (n,) and positions within them (n,)."""
        return {self.column: in_units(self.number, self.stretches.at(labels, positions)[0])}
