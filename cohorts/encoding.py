"""Between a participant's values in their units and a vector of features in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cohorts.constraints import Constraints
from cohorts.labels.outcome_label import OutcomeLabel
from cohorts.measure import Measure
from cohorts.scale import Scale, scale_of
from cohorts.schema import Schema

BEYOND = 2.0
"""Position of a value that is missing: after every place in a range."""


@dataclass(frozen=True)
class Cell:
    """One observed (measure, visit) and the feature columns it owns.

    Args:
        measure: what is measured.
        scale: where its values lie in their range.
        row: the measure's place among all of the schema.
        visit: the visit's number.
        first: its first feature.
        width: how many features its value has.
        flagged: whether one more says that the value is missing.
        may_lack: whether there may be no value, which dropout allows too.
        before: whether it is from before randomisation, hence alike in all arms.
        stretches: of a cell that says where an outcome lies within its class, how many equal parts of its range each
            stretch of each class takes up; empty for any other.
    """

    measure: Measure
    scale: Scale = field(compare=False, repr=False)
    row: int
    visit: int
    first: int
    width: int
    flagged: bool
    may_lack: bool
    before: bool
    stretches: tuple[tuple[int, ...], ...] = ()

    @property
    def columns(self) -> slice:
        """The features of its value."""
        return slice(self.first, self.first + self.width)

    @property
    def flag(self) -> int:
        """The feature that says whether the value is missing, where it is flagged."""
        return self.first + self.width


class Encoding:
    """The public, fixed map between values (n, M, V) and features (n, F); it looks at no participant.

    Features run over measures, then over the visits observed of each. A categorical cell takes one column per
    category (+1 the category, -1 the others), every other cell one column: -1 at the lower bound, +1 at the upper, and
    on the scale that the measure has in between.
    Where values may be missing a further column follows: +1 for one that is, whose other columns are 0, else -1. At a
    visit that was missed, and after dropout, all columns of a cell are 0, since other features say it already.

    Args:
        schema: gives bounds, kinds and categories.

    Example:
        >>> from cohorts import resolve_schema
        >>> encoding = Encoding(resolve_schema("actg175"))
        >>> encoding.feature_names[:4]
        ('CD4 W0', 'CD4 W20', 'CD8 W0', 'CD8 W20')
        >>> features = np.zeros((1, encoding.width))  # the middle of every range: CD4 counts from 0 to 1500
        >>> encoding.decode(features)[0, 0].tolist()
        [750.0, 750.0]
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        cells: list[Cell] = []
        outcomes = schema.label.stretches.parts if isinstance(schema.label, OutcomeLabel) else ()
        first, may_be_missing, before = 0, schema.may_be_missing, schema.before_randomisation
        scales = [scale_of(measure) for measure in schema.all_measures]
        for m, v in np.argwhere(schema.observed):
            measure = schema.all_measures[m]
            width = len(measure.categories) if measure.kind == "categorical" else 1
            flagged = measure.missing == "allowed"
            may_lack, early = bool(may_be_missing[m, v]), bool(before[m, v])
            stretches = outcomes if m == schema.outcome_row else ()
            cells.append(Cell(measure, scales[m], int(m), int(v), first, width, flagged, may_lack, early, stretches))
            first += width + flagged
        self.cells: tuple[Cell, ...] = tuple(cells)
        self.width = first

    @cached_property
    def _constraints(self) -> Constraints:
        return self.schema.constrained()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """F names such as `SBP 12M`, `age` (static), `stage=3 W0` or `SBP missing 12M`."""
        names: list[str] = []
        at_visits = self.schema.at_visits
        for cell in self.cells:
            measure = cell.measure
            visit = f" {self.schema.visit_names[cell.visit]}" if at_visits[cell.row] else ""
            if measure.kind == "categorical":
                names += [f"{measure.name}={category}{visit}" for category in measure.categories]
            else:
                names.append(f"{measure.name}{visit}")
            names += [f"{measure.name} missing{visit}"] * cell.flagged
        return tuple(names)

    @property
    def places(self) -> tuple[tuple[int, int, int], ...]:
        """Of each feature the number of its measure, of its category (else 0) and of its visit, F of them."""
        return tuple((cell.row, k, cell.visit) for cell in self.cells for k in range(cell.width + cell.flagged))

    @property
    def before(self) -> np.ndarray:
        """Which features are from before randomisation: bool (F,)."""
        return np.array([cell.before for cell in self.cells for _ in range(cell.width + cell.flagged)], dtype=bool)

    def predictors(self, values: np.ndarray) -> np.ndarray:
        """Features of values (n, M, V) from which a label may be predicted: all but the label's own, float32 (n, P)."""
        features, kept = self.encode(values), self.predicting
        return features if kept.all() else np.ascontiguousarray(features[:, kept])

    @property
    def predicting(self) -> np.ndarray:
        """Which features a label may be predicted from: bool (F,)."""
        kept = np.ones(self.width, dtype=bool)
        kept[[cell.first for cell in self.cells if cell.stretches]] = False
        return kept

    def gone(self, values: np.ndarray) -> np.ndarray:
        """Whether a participant was not at each cell's visit, having missed it or left before: bool (n, C).

        Args:
            values: (n, M, V).
        """
        gone: np.ndarray = self.schema.gone(values)[:, self._rows, [cell.visit for cell in self.cells]]
        return gone

    def left(self, attended: np.ndarray) -> np.ndarray:
        """Whether a participant had left before each cell's visit: bool (n, C).

        Args:
            attended: visits of each participant (n,), of a cohort with dropout.
        """
        at_visits = self.schema.at_visits[self._rows]
        after: np.ndarray = np.array([cell.visit for cell in self.cells]) >= np.asarray(attended)[:, None]
        left: np.ndarray = after & at_visits
        return left

    @cached_property
    def presence(self) -> dict[int, int]:
        """Of each cell of a measure at a visit that may be missed the number of the one that says whether it was."""
        row, measures = self.schema.presence_row, len(self.schema.measures)
        of_visits = {cell.visit: number for number, cell in enumerate(self.cells) if cell.row == row}
        return {
            number: of_visits[cell.visit]
            for number, cell in enumerate(self.cells)
            if cell.row < measures and cell.visit in of_visits
        }

    @cached_property
    def attendance(self) -> tuple[int, ...]:
        """The cells that say which visits somebody attended."""
        last = {len(self.cells) - 1} if self.schema.visits.dropout else set()
        return tuple(sorted(last.union(self.presence.values())))

    @property
    def _rows(self) -> list[int]:
        return [cell.row for cell in self.cells]

    def positions(self, values: np.ndarray) -> np.ndarray:
        """Where each value lies in its cell's public range: float64 (n, C) in [0, 1], ``BEYOND`` where it is missing.

        A measure of k whole values or categories has k equal intervals, and a value lies in the middle of its own; on a
        log scale intervals are those of ``LogScale``.

        Args:
            values: (n, M, V), in each measure's unit; NaN counts as the least in a cell that may not lack a value.
        """
        positions = np.empty((len(values), len(self.cells)))
        for number, cell in enumerate(self.cells):
            measure, column = cell.measure, values[:, cell.row, cell.visit]
            inside = cell.scale.positions(np.nan_to_num(column, nan=measure.lower).astype(np.float64))
            positions[:, number] = np.where(np.isnan(column), BEYOND, inside) if cell.may_lack else inside
        return positions

    def at_positions(self, positions: np.ndarray) -> np.ndarray:
        """Values (n, M, V) that lie at positions (n, C), each one that its measure can have; NaN elsewhere."""
        values = np.full((len(positions), *self.schema.observed.shape), np.nan, dtype=np.float32)
        for number, cell in enumerate(self.cells):
            value = cell.scale.at(np.clip(positions[:, number], 0, 1))
            values[:, cell.row, cell.visit] = self._unless(cell, positions[:, number] > 1, value)
        return self._settled(values)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Features of values.

        Args:
            values: (n, M, V), in each measure's unit, within its bounds.

        Returns:
            float32 (n, F) in [-1, 1].
        """
        features = np.empty((len(values), self.width), dtype=np.float32)  # (n, F)
        gone = self.gone(values)
        for number, cell in enumerate(self.cells):
            measure, column = cell.measure, values[:, cell.row, cell.visit]  # (n,)
            missing = np.isnan(column)
            if measure.kind == "categorical":
                one_hot = column[:, None] == np.arange(cell.width)  # (n, k)
                features[:, cell.columns] = np.where(missing[:, None], 0.0, np.where(one_hot, 1.0, -1.0))
            else:
                features[:, cell.first] = np.where(missing, 0.0, 2 * cell.scale.shares(column) - 1)
            if cell.flagged:
                features[:, cell.flag] = np.where(gone[:, number], 0.0, np.where(missing, 1.0, -1.0))
        return features

    def decode(self, features: np.ndarray) -> np.ndarray:
        """Values of features, each one that the measure can have: clamped, whole, or a category's index.

        Args:
            features: (n, F), any real numbers; NaN counts as the middle of the range.

        Returns:
            float32 (n, M, V), NaN where the schema observes nothing and where a value is missing.
        """
        features = np.nan_to_num(np.asarray(features, dtype=np.float64), nan=0.0)
        values = np.full((len(features), *self.schema.observed.shape), np.nan, dtype=np.float32)  # (n, M, V)
        for cell in self.cells:
            measure, columns = cell.measure, features[:, cell.columns]  # (n, k) or (n, 1)
            if measure.kind == "categorical":
                decoded = columns.argmax(axis=1).astype(np.float64)
            else:
                decoded = cell.scale.at_shares((np.clip(columns[:, 0], -1, 1) + 1) / 2)
            missing = features[:, cell.flag] > 0 if cell.flagged else np.zeros(len(features), dtype=bool)
            values[:, cell.row, cell.visit] = self._unless(cell, missing, decoded)
        return self._settled(values)

    @staticmethod
    def _unless(cell: Cell, missing: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.where(missing, np.nan, values) if cell.may_lack else values

    def _settled(self, values: np.ndarray) -> np.ndarray:
        """The same values with nothing known of visits that were missed and after dropout, in keeping with the schema's
        constraints, and with those visits attended at which something is known."""
        if not self.schema.visits.attendance:
            return self._constraints.kept(values)
        values[self.schema.gone(values)] = np.nan
        return with_attendance(self.schema, self._constraints.kept(values))


def with_attendance(schema: Schema, values: np.ndarray) -> np.ndarray:
    """The same array, in which rows that are not recorded say which visits were attended.

    With dropout that is how many there are up to the last with a value, or to the one that everybody attends; a visit
    that may be missed is one without any value, until then.

    Args:
        schema: says whether participants may leave, and which visits they may miss.
        values: (n, M, V) with NaN where missing; written to.
    """
    known = ~np.isnan(values[:, : len(schema.measures)]).all(axis=1)  # (n, V)
    if schema.visits.dropout:
        attended = (known * np.arange(1, known.shape[1] + 1)).max(axis=1)
        values[:, -1, 0] = attended.clip(min=schema.visits.surely_attended)
    if schema.presence_row is not None:
        there = schema.observed[schema.presence_row] & ~schema.gone(values)[:, schema.presence_row]
        values[:, schema.presence_row] = np.where(there, known, np.nan)
    return values
