"""Values that are in order: each at least, or above, the ones that constraints put below it.

Draws that are not in order are rearranged. Of two values that may not be equal each takes the other's place: their
distance stays what was drawn, and a row of visits is sorted. So do categories. Numbers that may be equal become so, at
their mean: where equal values are allowed there are usually many, and draws that were fitted to them lie around them,
half of them on the wrong side. What is from before randomisation does not move for the sake of what comes later, or it
would tell the arm: then the later value is mirrored, or becomes the earlier one. What is beyond a limit is mirrored at
it. What is still not in order (equal values where one must be larger, limits again) is moved up as little as is needed,
and since limits were found to leave room when the schema was read, that always ends in order.

Source: Chernozhukov, Fernandez-Val, Galichon, "Improving Point and Interval Estimators of Monotone Functions by
Rearrangement", Biometrika 2009: sorting brings estimates of what rises no further from it, in any norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

import numpy as np

from cohorts.constraints.grammar import Comparison, Limit
from cohorts.constraints.vocabulary import At, Vocabulary
from cohorts.measure import Measure

ROUNDING = 1e-9
"""Of a step: what the arithmetic of doubles may have added to a value that is a whole number of steps."""


class Grid:
    """The values that a measure can have, in ascending order."""

    def __init__(self, measure: Measure) -> None:
        largest = np.float32(max(abs(measure.lower), abs(measure.upper)))
        self.step, self._digits = measure.step, measure.digits
        self.apart = max(2 * ROUNDING * measure.step, 4 * float(np.spacing(largest)))
        """How far a number must be above another to be so when both are stored in single precision."""

    def up(self, numbers: np.ndarray, rounding: float) -> np.ndarray:
        """The least values that are at least numbers (n,), which may be too large by `rounding` steps."""
        return self._whole(np.ceil(numbers / self.step - rounding)) if self.step else numbers

    def down(self, numbers: np.ndarray, rounding: float) -> np.ndarray:
        """The largest values that are at most numbers (n,), which may be too small by `rounding` steps."""
        return self._whole(np.floor(numbers / self.step + rounding)) if self.step else numbers

    def nearest(self, numbers: np.ndarray) -> np.ndarray:
        """The values nearest to numbers (n,); of a continuum, in single precision, as they are stored."""
        return self._whole(np.rint(numbers / self.step)) if self.step else numbers.astype(np.float32).astype(np.float64)

    @property
    def rounding(self) -> float:
        """By how many steps a value of this grid may be off; one of a continuum is what it is."""
        return ROUNDING if self.step else 0.0

    def _whole(self, steps: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.round(steps * self.step, self._digits or 0)
        return values


class Order:
    """Which of K values are below which others, and how draws are brought into that order.

    Args:
        words: what the constraints speak of.
        comparisons: which value is below which.
        limits: of single values, within those of their measures.

    Raises:
        ValueError: they contradict each other, or leave a value no room within its limits.
    """

    def __init__(self, words: Vocabulary, comparisons: Sequence[Comparison], limits: Sequence[Limit]) -> None:
        self.cells = _sorted([(each.low, each.high, each.said) for each in comparisons], [each.at for each in limits])
        measures = [words.recorded[row] for row, _ in self.cells]
        self._grids = [Grid(each) for each in measures]
        place = {at: k for k, at in enumerate(self.cells)}
        edges = {(place[each.low], place[each.high]): False for each in comparisons}
        for each in comparisons:
            edges[place[each.low], place[each.high]] |= each.strict
        self._edges = [(low, high, strict) for (low, high), strict in sorted(edges.items())]
        self._discrete = [each.discrete for each in measures]
        self._before = np.array([words.before[at] for at in self.cells], dtype=bool)
        self._lower, self._upper = self._limits(measures, limits, place)
        self._check_room(words, comparisons, limits)

    def of(self, drawn: np.ndarray) -> np.ndarray:
        """Values in order, near those that were drawn.

        Args:
            drawn: float64 (n, K), NaN where a value is missing: that is in order with any other.
        """
        values = np.stack([grid.nearest(drawn[:, k]) for k, grid in enumerate(self._grids)], axis=1)
        values = self._within_limits(values)
        nobody = np.zeros_like(self._before)
        if not self._before.any():
            return self._raised(self._rearranged(values, nobody, nobody), nobody)
        early = self._rearranged(values, ~self._before, nobody)
        alone = np.where(self._before, early, self._lower)  # what is later asks for as little as it can
        early[:, self._before] = self._raised(alone, nobody)[:, self._before]
        return self._raised(self._rearranged(early, nobody, self._before), self._before)

    def _within_limits(self, values: np.ndarray) -> np.ndarray:
        """Values mirrored at the limits that they are beyond, so that none of them are heaped up there."""
        steps = np.array([grid.step for grid in self._grids])
        values = np.where(values < self._lower, 2 * self._lower - steps - values, values)
        values = np.where(values > self._upper, 2 * self._upper + steps - values, values)
        inside: np.ndarray = np.clip(values, self._lower, self._upper)
        return inside

    def _rearranged(self, values: np.ndarray, without: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Values of which pairs that stand the wrong way round changed places, or met; a fixed one stays."""
        values = values.copy()
        for _ in range(len(self.cells)):
            moved = False
            for low, high, strict in self._edges:
                wrong = np.flatnonzero(values[:, low] > values[:, high])
                if without[low] or without[high] or (fixed[low] and fixed[high]) or not len(wrong):
                    continue
                one, other = values[wrong, low], values[wrong, high]
                middle = one if fixed[low] else other if fixed[high] else (one + other) / 2
                swap = strict or self._discrete[low]
                if not fixed[low]:
                    values[wrong, low] = self._inside(low, 2 * middle - one if swap else middle)
                if not fixed[high]:
                    values[wrong, high] = self._inside(high, 2 * middle - other if swap else middle)
                moved = True
            if not moved:
                break
        return values

    def _inside(self, k: int, numbers: np.ndarray) -> np.ndarray:
        return self._grids[k].nearest(numbers).clip(self._lower[k], self._upper[k])

    def _raised(self, values: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Values in order: from the lowest on, each is raised as far as those below it ask for.

        None is raised beyond what those above it leave, so there is room for all.

        Args:
            values: (n, K), within limits; those that are fixed leave room for the others.
            fixed: which do not move, bool (K,).
        """
        upper = np.where(fixed, values, self._upper)
        upper[np.isnan(values)] = np.inf
        for low, high, strict in reversed(self._edges):
            if not fixed[low]:
                upper[:, low] = np.minimum(upper[:, low], self._below(low, upper[:, high], high, strict))
        values = np.where(fixed, values, np.minimum(values, upper))
        for low, high, strict in self._edges:
            if not fixed[high]:
                asked = self._above(high, np.nan_to_num(values[:, low], nan=-np.inf), low, strict)
                values[:, high] = np.where(np.isnan(values[:, high]), np.nan, np.maximum(values[:, high], asked))
        return values

    def _above(self, k: int, numbers: np.ndarray, than: int, strict: bool) -> np.ndarray:
        return self._grids[k].up(numbers + strict * self._apart(k, than), self._grids[than].rounding)

    def _below(self, k: int, numbers: np.ndarray, than: int, strict: bool) -> np.ndarray:
        return self._grids[k].down(numbers - strict * self._apart(k, than), self._grids[than].rounding)

    def _apart(self, k: int, other: int) -> float:
        return max(self._grids[k].apart, self._grids[other].apart)

    def _limits(
        self, measures: Sequence[Measure], limits: Sequence[Limit], place: dict[At, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper limits of single values, (K,) each."""
        lower, upper = (np.array([getattr(each, end) for each in measures]) for end in ("lower", "upper"))
        for each in limits:
            k = place[each.at]
            grid = self._grids[k]
            if each.is_least:
                lower[k] = max(lower[k], grid.up(np.array(each.number + each.strict * grid.apart), ROUNDING))
            else:
                upper[k] = min(upper[k], grid.down(np.array(each.number - each.strict * grid.apart), ROUNDING))
        return lower, upper

    def _check_room(self, words: Vocabulary, comparisons: Sequence[Comparison], limits: Sequence[Limit]) -> None:
        """Raise ValueError if some value cannot be as low and as high as the others ask for."""
        least, most = self._lower.copy(), self._upper.copy()
        for low, high, strict in self._edges:
            least[high] = max(least[high], self._above(high, least[low], low, strict))
        for low, high, strict in reversed(self._edges):
            most[low] = min(most[low], self._below(low, most[high], high, strict))
        for k, at in enumerate(self.cells):
            if least[k] > most[k]:
                said = [each.said for each in comparisons if at in (each.low, each.high)]
                said += [each.said for each in limits if each.at == at]
                raise ValueError(
                    f"constraints: {said[-1]!r}: no value of {words.name_of(at)} is left, since it would have to be at "
                    f"least {least[k]:g} and at most {most[k]:g}; correct the constraint or the limits of the measures"
                )


def _sorted(below: Sequence[tuple[At, At, str]], others: Sequence[At]) -> tuple[At, ...]:
    """All values that are spoken of, each after those that are below it."""
    sorter: TopologicalSorter[At] = TopologicalSorter(dict.fromkeys(others, ()))
    for low, high, _ in below:
        sorter.add(high, low)
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        circle = set(error.args[1])
        said = [text for low, high, text in below if low in circle and high in circle]
        listed = " and ".join(repr(each) for each in dict.fromkeys(said))
        raise ValueError(
            f"constraints: {listed} go round in a circle, so that values would have to be equal; remove one"
        ) from None
