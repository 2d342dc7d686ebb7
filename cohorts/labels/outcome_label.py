"""Labels that are more than a class: a number, or a time to an event, of which the classes follow by public rules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from cohorts.labels.label_class import LabelClass, NamedLabel, check_classes
from cohorts.labels.stretches import Stretches
from cohorts.measure import Kind, Measure
from cohorts.parts import NO_TABLE, Category, Name
from cohorts.spelling import require_distinct

MOST_STEPS = 1_000_000
"""A scale of more could not be told apart in single precision."""


class OutcomeLabel(NamedLabel):
    """An outcome whose class is what generators are told and classifiers predict.

    Where it lies within its class is one more number of a participant, which is generated like any other and turned
    back into the outcome when a cohort is written.

    Args:
        unit: of the scale.
        decimals: of the scale, on which outcomes are read and written.
        shares: public share of participants in each class, in the classes' order.
        names: of the classes; by default they say what the class is.
        randomised: false, as an outcome cannot be.
    """

    unit: str = ""
    decimals: int = Field(default=0, ge=0, le=6)
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=2)
    names: tuple[Name, ...] | None = None
    randomised: bool = False

    @field_validator("randomised")
    @classmethod
    def _not_randomised(cls, randomised: bool) -> bool:
        if randomised:
            raise ValueError("must be false, since an outcome is not randomised; or leave it out")
        return randomised

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""

    @property
    @abstractmethod
    def number(self) -> Measure:
        """The scale, as a measure that stands in the file."""

    @property
    @abstractmethod
    def stretches(self) -> Stretches:
        """What each class has of the scale."""

    @property
    @abstractmethod
    def usual_names(self) -> tuple[str, ...]:
        """Names of the classes that say what they are."""

    @property
    def texts(self) -> tuple[Category, ...]:
        """What may stand in these columns besides numbers."""
        return ()

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes, in the order of `shares`."""
        names = self.names or self.usual_names
        return tuple(LabelClass(name=name, share=share) for name, share in zip(names, self.shares, strict=True))

    @property
    def position(self) -> Measure:
        """Where a participant's outcome lies within its class, from 0 to 1."""
        name = f"{self.name} within its class"
        return Measure(name=name, kind="continuous", lower=0, upper=1, table=NO_TABLE, column=name)

    def on_scale(
        self, column: str, lower: float, upper: float, rules: Mapping[str, Any] = MappingProxyType({})
    ) -> Measure:
        """A measure in the unit and with the decimals of the scale; `rules` are those of its cells."""
        kind: Kind = "continuous" if self.decimals else "integer"
        return Measure(name=self.name, kind=kind, unit=self.unit, lower=lower, upper=upper, table=self.table,
                       decimals=self.decimals or None, column=column, **rules)  # fmt: skip

    @abstractmethod
    def written(self, labels: np.ndarray, positions: np.ndarray) -> dict[str, Any]:
        """Columns of the file, (n,) each, from classes (n,) and positions within them (n,)."""

    def check_scale(self, *limits: tuple[str, float]) -> None:
        """Raise ValueError where a limit, given with its key, has more decimals than the scale, or that many steps."""
        for key, limit in limits:
            if round(limit, self.decimals) != limit:
                raise ValueError(
                    f"{key}: {limit:g} has more decimals than outcomes have ({self.decimals}); write it with no more, "
                    "or raise decimals"
                )
        numbers = [limit for _, limit in limits]
        if max(numbers) - min(numbers) > MOST_STEPS / 10**self.decimals:
            raise ValueError(f"decimals {self.decimals}: outcomes have more than {MOST_STEPS:,} values; give fewer")

    def check_shares(self, *numbers: int) -> None:
        """Raise ValueError unless there are so many shares, as many names, and they make up classes."""
        usual = self.usual_names
        if len(self.shares) not in numbers:
            wanted = " or ".join(map(str, numbers))
            raise ValueError(f"shares has {len(self.shares)} numbers, for {wanted} classes: {', '.join(usual)}")
        if self.names is not None and len(self.names) != len(self.shares):
            raise ValueError(f"names has {len(self.names)} names for {len(self.shares)} classes: {', '.join(usual)}")
        require_distinct("class name", self.names or usual)
        check_classes(self.classes)

    def in_steps(self, number: float) -> int:
        """A number of the scale, in its steps."""
        return round(number * 10.0**self.decimals)

    def with_unit(self, words: str) -> str:
        """Words that end in a number, with its unit."""
        return f"{words} {self.unit}" if self.unit else words
