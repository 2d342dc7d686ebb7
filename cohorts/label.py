"""What classifiers predict: an arm or an outcome."""

from __future__ import annotations

from pydantic import Field, model_validator

from cohorts.parts import Category, Frozen, Name
from cohorts.spelling import require_distinct


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
    description: str = ""
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
