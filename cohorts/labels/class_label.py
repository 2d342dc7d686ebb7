"""A label that is a column of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from cohorts.labels.label_class import LabelClass, NamedLabel, check_classes
from cohorts.parts import Category, Name
from cohorts.spelling import require_distinct, typed


class ListedClass(LabelClass):
    """A class and how the file spells it.

    `also` are further values in the file that count to this class; a cohort is written back with `value`.
    """

    value: Category
    also: tuple[Category, ...] = ()

    @property
    def values(self) -> tuple[Category, ...]:
        """Every value in the file that means this class."""
        return (self.value, *self.also)


class ClassLabel(NamedLabel):
    """The column that classifiers predict, of two classes or more: an arm (`randomised`, so its shares are public) or
    an outcome."""

    kind: str = "classes"
    column: Name
    classes: tuple[ListedClass, ...] = Field(min_length=2)
    randomised: bool

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind != "classes":
            raise ValueError(f"must be classes, numeric or survival (it is {kind!r})")
        return kind

    @model_validator(mode="after")
    def _consistent(self) -> ClassLabel:
        require_distinct("class value", (value for c in self.classes for value in c.values))
        check_classes(self.classes)
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.column,)

    @property
    def texts(self) -> tuple[Category, ...]:
        """What may stand in these columns besides numbers."""
        return tuple(value for each in self.classes for value in each.values)

    def written(self, labels: np.ndarray) -> dict[str, Any]:
        """Columns of the file, (n,) each, from the numbers of participants' classes (n,)."""
        return {self.column: typed([each.value for each in self.classes])[labels]}
