"""Between a participant's values in their units and a vector of features in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cohorts.schema import Measure, Schema


@dataclass(frozen=True)
class _Cell:
    """One observed (measure, visit) and the feature columns it owns."""

    measure_index: int
    visit_index: int
    first: int
    width: int


class Encoding:
    """The public, fixed map between values (n, M, V) and features (n, F); it looks at no participant.

    Features run over measures, then over the visits observed of each. A categorical cell takes one column per
    category (+1 the category, -1 the others), every other cell one column: -1 at the lower bound, +1 at the upper.

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
        cells: list[_Cell] = []
        first = 0
        for m, v in np.argwhere(schema.observed):
            width = _width(schema.all_measures[m])
            cells.append(_Cell(int(m), int(v), first, width))
            first += width
        self._cells = tuple(cells)
        self.width = first

    @property
    def feature_names(self) -> tuple[str, ...]:
        """F names such as `SBP 12M`, `age` (static) or `stage=3 W0`."""
        names: list[str] = []
        static_from = len(self.schema.measures)
        for cell in self._cells:
            measure = self.schema.all_measures[cell.measure_index]
            visit = "" if cell.measure_index >= static_from else f" {self.schema.visit_names[cell.visit_index]}"
            if measure.kind == "categorical":
                names += [f"{measure.name}={category}{visit}" for category in measure.categories]
            else:
                names.append(f"{measure.name}{visit}")
        return tuple(names)

    @property
    def places(self) -> tuple[tuple[int, int, int], ...]:
        """Of each feature the number of its measure, of its category (else 0) and of its visit, F of them."""
        cells = self._cells
        return tuple((cell.measure_index, k, cell.visit_index) for cell in cells for k in range(cell.width))

    @property
    def cells(self) -> tuple[Measure, ...]:
        """The measure of each observed (measure, visit), C of them, in the order of the features."""
        return tuple(self.schema.all_measures[cell.measure_index] for cell in self._cells)

    @property
    def columns(self) -> tuple[slice, ...]:
        """Which features are those of each cell, C of them."""
        return tuple(slice(cell.first, cell.first + cell.width) for cell in self._cells)

    def positions(self, values: np.ndarray) -> np.ndarray:
        """Where each value lies in its cell's public range: float64 (n, C) in [0, 1].

        A measure of k whole values or categories has k equal intervals, and a value lies in the middle of its own.

        Args:
            values: (n, M, V), in each measure's unit; NaN counts as the least.
        """
        positions = np.empty((len(values), len(self._cells)))
        for number, (cell, measure) in enumerate(zip(self._cells, self.cells, strict=True)):
            column = np.nan_to_num(values[:, cell.measure_index, cell.visit_index], nan=measure.lower)
            above = column.astype(np.float64) - measure.lower
            positions[:, number] = (above + 0.5) / measure.count if measure.count else above / measure.range
        return positions.clip(0, 1)

    def at_positions(self, positions: np.ndarray) -> np.ndarray:
        """Values (n, M, V) that lie at positions (n, C), each one that its measure can have; NaN elsewhere."""
        values = np.full((len(positions), *self.schema.observed.shape), np.nan, dtype=np.float32)
        for number, (cell, measure) in enumerate(zip(self._cells, self.cells, strict=True)):
            column = np.clip(positions[:, number], 0, 1)
            above = np.minimum(np.floor(column * measure.count), measure.count - 1) if measure.count else column
            values[:, cell.measure_index, cell.visit_index] = measure.lower + above * (
                1 if measure.count else measure.range
            )
        return values

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Features of values.

        Args:
            values: (n, M, V), in each measure's unit, within its bounds.

        Returns:
            float32 (n, F) in [-1, 1].
        """
        features = np.empty((len(values), self.width), dtype=np.float32)  # (n, F)
        for cell in self._cells:
            measure = self.schema.all_measures[cell.measure_index]
            column = values[:, cell.measure_index, cell.visit_index]  # (n,)
            if measure.kind == "categorical":
                one_hot = column[:, None] == np.arange(cell.width)  # (n, k)
                features[:, cell.first : cell.first + cell.width] = np.where(one_hot, 1.0, -1.0)
            else:
                share = (column - measure.lower) / (measure.upper - measure.lower)
                features[:, cell.first] = np.clip(2 * share - 1, -1, 1)
        return features

    def decode(self, features: np.ndarray) -> np.ndarray:
        """Values of features, each one that the measure can have: clamped, whole, or a category's index.

        Args:
            features: (n, F), any real numbers; NaN counts as the middle of the range.

        Returns:
            float32 (n, M, V), NaN where the schema observes nothing.
        """
        features = np.nan_to_num(np.asarray(features, dtype=np.float64), nan=0.0)
        values = np.full((len(features), *self.schema.observed.shape), np.nan, dtype=np.float32)  # (n, M, V)
        for cell in self._cells:
            measure = self.schema.all_measures[cell.measure_index]
            columns = features[:, cell.first : cell.first + cell.width]  # (n, k) or (n, 1)
            if measure.kind == "categorical":
                decoded = columns.argmax(axis=1).astype(np.float64)
            else:
                share = (np.clip(columns[:, 0], -1, 1) + 1) / 2
                decoded = measure.lower + share * (measure.upper - measure.lower)
                if measure.kind != "continuous":
                    decoded = np.rint(decoded)
            values[:, cell.measure_index, cell.visit_index] = decoded
        return values


def _width(measure: Measure) -> int:
    return len(measure.categories) if measure.kind == "categorical" else 1
