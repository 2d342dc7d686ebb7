"""Outcomes that are numbers: which class one belongs to, and where within the class it lies.

A class takes up one or several stretches of the scale, and on each an event has happened or not. Laid end to end they
fill [0, 1], so a class and a position say all of an outcome, and every class and position is an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PARTS = 32
"""A stretch takes up a whole number of so many parts of its class, so no bin of a histogram lies in two of them."""


@dataclass(frozen=True)
class Stretch:
    """Successive numbers of the scale that one class has.

    Args:
        first: the first of them, in steps of the scale.
        count: how many there are.
        event: whether the event has happened at them.
    """

    first: int
    count: int
    event: bool = False


class Stretches:
    """The stretches of every class.

    Args:
        classes: those of each class, none of which overlaps another with the same `event`.
        decimals: of the scale, whose steps are 0.1 where it is 1.

    Example:
        >>> scale = Stretches([[Stretch(60, 60)], [Stretch(120, 121)]], decimals=0)
        >>> labels, positions = scale.place(np.array([60.0, 119, 240]))
        >>> labels.tolist(), scale.at(labels, positions)[0].tolist()
        ([0.0, 0.0, 1.0], [60.0, 119.0, 240.0])
    """

    def __init__(self, classes: Sequence[Sequence[Stretch]], decimals: int) -> None:
        self._classes, self._steps = classes, 10**decimals
        self._edges = [_edges(each) for each in classes]

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """How many of ``PARTS`` equal parts of [0, 1] each stretch of each class takes up."""
        return tuple(tuple(np.diff(np.rint(edges * PARTS)).astype(int).tolist()) for edges in self._edges)

    def place(self, numbers: np.ndarray, events: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Classes of outcomes, and where within their class these lie.

        Args:
            numbers: (n,) on the scale, within its limits; NaN where there is none.
            events: whether the event has happened, (n,); None where there is no such thing.

        Returns:
            float64 (n,) each: the number of the class, and a position in (0, 1); NaN where there is no number.
        """
        steps = np.rint(np.nan_to_num(numbers, nan=-1) * self._steps)
        happened = np.zeros(len(numbers), dtype=bool) if events is None else events.astype(bool)
        labels, positions = np.full((2, len(numbers)), np.nan)
        for label, (stretches, edges) in enumerate(zip(self._classes, self._edges, strict=True)):
            for stretch, start, end in zip(stretches, edges[:-1], edges[1:], strict=True):
                above = steps - stretch.first
                inside = (above >= 0) & (above < stretch.count) & (happened == stretch.event) & ~np.isnan(numbers)
                labels[inside] = label
                positions[inside] = start + (end - start) * (above[inside] + 0.5) / stretch.count
        return labels, positions

    def at(self, labels: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outcomes of classes (n,) at any positions (n,): numbers float64 (n,), and events bool (n,)."""
        numbers, events = np.empty(len(labels)), np.zeros(len(labels), dtype=bool)
        positions = np.nan_to_num(np.asarray(positions, dtype=np.float64), nan=0.5)
        for label, (stretches, edges) in enumerate(zip(self._classes, self._edges, strict=True)):
            which = np.searchsorted(edges[1:-1], positions, side="right")
            for number, stretch in enumerate(stretches):
                inside = (labels == label) & (which == number)
                share = (positions[inside] - edges[number]) / (edges[number + 1] - edges[number])
                above = np.floor(share * stretch.count).clip(0, stretch.count - 1)
                numbers[inside] = (stretch.first + above) / self._steps
                events[inside] = stretch.event
        return numbers, events


def _edges(stretches: Sequence[Stretch]) -> np.ndarray:
    """Where the stretches of a class begin and end on [0, 1]: a single number takes one part, others an equal share."""
    single = np.array([stretch.count == 1 for stretch in stretches])
    shared = PARTS - single.sum() if not single.all() else PARTS
    wide = single if single.all() else ~single
    parts = np.ones(len(stretches))
    parts[wide] = np.diff(np.rint(np.linspace(0, shared, wide.sum() + 1)))
    return np.concatenate([[0.0], np.cumsum(parts)]) / PARTS
