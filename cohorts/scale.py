"""Where a value lies in the public range of its measure, and the bins that the range is divided into.

Everything here is a constant of the schema: limits, kind, decimals and scale decide it, and nobody's values.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cohorts.measure import Measure

BINS = 32
"""Of a measure that can take more values than this; others have one bin for each value."""


class Scale(Protocol):
    """The map between values and positions in [0, 1], where all bins are equally wide."""

    bins: int
    """How many there are, b."""
    single: np.ndarray
    """Which of them hold a single value, bool (b,)."""
    held: np.ndarray
    """How many values that a trial may record each of them holds, (b,); infinity where these are any."""
    spike: bool
    """Whether the first holds zero alone, apart from the positive values."""
    widths: np.ndarray
    """How much of the range each bin takes up, on the scale, beside the others, (b,)."""
    limits: tuple[float, float] | None
    """Positions of the two limits, where their bins hold other values too; else None."""

    def positions(self, values: np.ndarray) -> np.ndarray:
        """Positions (n,) of values (n,); those beyond the limits count as the limits."""

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Values (n,) that lie at positions (n,) in [0, 1], each one that the measure can have."""

    def shares(self, values: np.ndarray) -> np.ndarray:
        """How far along the range values (n,) lie: 0 at the lower limit, 1 at the upper."""

    def at_shares(self, shares: np.ndarray) -> np.ndarray:
        """Values (n,) of ``shares`` (n,) in [0, 1], each one that the measure can have."""


def scale_of(measure: Measure) -> Scale:
    """The scale that a schema says a measure has."""
    return LogScale(measure) if measure.scale == "log" else LinearScale(measure)


class LinearScale:
    """Equal bins over the range, but whole values are never cut in two: bins of these hold one more or one less."""

    spike = False

    def __init__(self, measure: Measure) -> None:
        self._measure, count = measure, measure.count
        self.bins = count if measure.nominal or 0 < count <= BINS else BINS
        self._places = np.linspace(0, 1, self.bins + 1)
        self._edges = np.rint(self._places * count) if count else self._places * measure.range
        self.widths = np.diff(self._edges) / self._edges[-1]
        self.single = np.full(self.bins, self.bins == count)
        of_bins = np.diff(self._edges) if count else self.widths * measure.range
        self.held = of_bins / (1 if count else measure.step) if count or measure.step else np.full(self.bins, np.inf)
        low, high = self.positions(np.array([measure.lower, measure.upper]))
        self.limits: tuple[float, float] | None = None if self.bins == count else (float(low), float(high))

    def positions(self, values: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        above = values - self._measure.lower + 0.5 * (self._measure.count > 0)
        inside: np.ndarray = np.interp(above, self._edges, self._places)
        return inside

    def at(self, positions: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        above, count = np.interp(positions, self._places, self._edges), self._measure.count
        values: np.ndarray = self._measure.lower + (np.minimum(np.floor(above), count - 1) if count else above)
        return values

    def shares(self, values: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        shares: np.ndarray = ((values - self._measure.lower) / self._measure.range).clip(0, 1)
        return shares

    def at_shares(self, shares: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        values = self._measure.lower + shares * self._measure.range
        return values if self._measure.kind == "continuous" else np.rint(values)


class LogScale:
    """Bins that are equally wide on the log scale, with one for zero where that is the lower limit.

    Values that are recorded in steps (whole numbers, or a number of decimals) have edges between two steps, and at
    least one step in each bin; within a bin they are evenly spread.
    """

    limits: tuple[float, float] | None = None

    def __init__(self, measure: Measure) -> None:
        self._lower, self._upper, self._step = measure.lower, measure.upper, measure.step
        self.spike = measure.lower == 0
        self._least, wanted = measure.least_positive, BINS - self.spike
        if self._step:  # edges in steps, half-way between two of them
            first, last = round(self._least / self._step), round(measure.upper / self._step)
            self._edges = _step_edges(first, last, min(wanted, last - first + 1))
            steps = np.diff(self._edges)
        else:
            self._edges = np.geomspace(self._least, measure.upper, wanted + 1)
            steps = np.full(wanted, np.inf)
        self.bins = len(steps) + self.spike
        self.single = np.concatenate([[True] * self.spike, steps == 1]).astype(bool)
        self.held = np.concatenate([[1.0] * self.spike, steps])
        self.widths = np.concatenate([[1.0] * self.spike, np.diff(np.log(self._edges))])

    def positions(self, values: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        at, edges = np.asarray(values, dtype=np.float64), self._edges
        zero = self.spike & (at < self._least / 2)
        if self._step:
            at = np.rint(at / self._step).clip(edges[0] + 0.5, edges[-1] - 0.5)
        else:
            at = at.clip(edges[0], edges[-1])
        bins = (np.searchsorted(edges, at, side="right") - 1).clip(0, len(edges) - 2)
        low, high = edges[bins], edges[bins + 1]
        within = (at - low) / (high - low) if self._step else np.log(at / low) / np.log(high / low)
        inside: np.ndarray = np.where(zero, 0.5, bins + self.spike + within) / self.bins
        return inside

    def at(self, positions: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        along = np.asarray(positions, dtype=np.float64) * self.bins - self.spike
        bins = np.floor(along).clip(0, len(self._edges) - 2).astype(np.int64)
        low, high, within = self._edges[bins], self._edges[bins + 1], (along - bins).clip(0, 1)
        if self._step:
            steps = np.minimum(low + 0.5 + np.floor(within * (high - low)), high - 0.5)
            values = steps * self._step
        else:
            values = low * (high / low) ** within
        inside: np.ndarray = np.where(along < 0, 0.0, values).clip(self._lower, self._upper)
        return inside

    def shares(self, values: np.ndarray) -> np.ndarray:
        """See ``Scale``: positions, in which the range is a log scale."""
        return self.positions(values)

    def at_shares(self, shares: np.ndarray) -> np.ndarray:
        """See ``Scale``."""
        return self.at(shares)


def _step_edges(first: int, last: int, bins: int) -> np.ndarray:
    """Edges (bins + 1,) around the steps from ``first`` to ``last``: equal factors, but at least one step apart."""
    edges = [first - 0.5]
    for left in range(bins, 0, -1):
        wanted = np.floor(edges[-1] * ((last + 0.5) / edges[-1]) ** (1 / left)) + 0.5
        edges.append(min(max(wanted, edges[-1] + 1), last + 0.5 - (left - 1)))
    return np.array(edges)
