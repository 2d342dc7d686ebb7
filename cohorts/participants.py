"""Participants as arrays: real ones behind a door, and synthetic ones anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cohorts.report import LoadReport
from cohorts.schema import Schema


@dataclass(frozen=True, eq=False, repr=False)
class Participants:
    """Participants with their labels and values.

    `schema` is public; everything else, the length included, is as private as the participants are.

    Args:
        schema: what is public about the cohort.
        ids: participant identifiers, str (n,).
        labels: index of the participant's label class, int64 (n,).
        values: float32 (n, M, V) in each measure's unit (category index for binary and categorical ones),
            NaN where `schema.observed` is False and after dropout, and perhaps where `schema.may_be_missing`.
        report: what loading dropped, where they come from files.
    """

    schema: Schema
    ids: np.ndarray
    labels: np.ndarray
    values: np.ndarray
    report: LoadReport | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless the arrays agree with each other and with the schema."""
        shape = (len(self.ids), *self.schema.observed.shape)
        if self.values.shape != shape or self.values.dtype != np.float32:
            raise ValueError(f"values are {self.values.dtype} {self.values.shape}, expected float32 {shape}")
        if self.labels.shape != shape[:1] or self.labels.dtype != np.int64:
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape}, expected int64 {shape[:1]}")
        if not np.isin(self.labels, np.arange(len(self.schema.label.classes))).all():
            raise ValueError("labels hold something other than numbers of the label's classes")
        missing, gone = np.isnan(self.values), self.schema.gone(self.values)
        if not missing[:, ~self.schema.observed].all() or not missing[gone].all():
            raise ValueError("values must be NaN in the cells that the schema does not observe, and after dropout")
        if (missing & self.schema.needed(self.values)).any():
            raise ValueError(
                "values must not be NaN in the cells that the schema observes and allows no missing values in"
            )

    def __len__(self) -> int:
        """The number of participants: as private as they are."""
        return len(self.ids)

    def __repr__(self) -> str:
        """The name alone, so that a log line discloses nothing."""
        return f"Participants({self.schema.name!r})"

    @classmethod
    def together(cls, parts: Sequence[Participants]) -> Participants:
        """Disjoint participants of one schema as one cohort.

        Args:
            parts: at least one.
        """
        ids, labels, values = (
            np.concatenate([getattr(each, name) for each in parts]) for name in ("ids", "labels", "values")
        )
        return cls(parts[0].schema, ids, labels, values)

    @classmethod
    def in_equal_shares(cls, cohorts: Sequence[Participants]) -> Participants:
        """As many participants as each of several cohorts of one size has, an equal share from each: other rows of it.

        Args:
            cohorts: at least one, each in random order.
        """
        rows = np.array_split(np.arange(len(cohorts[0])), len(cohorts))
        return cls.together([each.take(own) for each, own in zip(cohorts, rows, strict=True)])

    def take(self, index: np.ndarray) -> Participants:
        """The participants at `index` (integers or a bool mask (n,)), in that order."""
        index = np.asarray(index)
        return Participants(self.schema, self.ids[index], self.labels[index], self.values[index])
