"""Two-way tables made what they were measured to be, among participants whose scores are Gaussian in each class.

Such scores hang together in one way only. So of more draws than are wanted those are taken of whom tables are what is
aimed at: each is weighted until weighted tables are (iterative proportional fitting), and taken with a probability of
its weight. What is done to them afterwards disturbs that a little, and what is left to mend participants of a class
exchange: values of one measure go to others, who has which rank deciding who gives and who takes. So a class keeps
exactly the values that it had, and what hangs together otherwise is disturbed as little as can be.

Row and column sums stay those of the draws: what a table says beyond them is all that is taken from it.

Source: Deming & Stephan, "On a Least Squares Adjustment of a Sampled Frequency Table When the Expected Marginal Totals
are Known", 1940; Madow, "On the Theory of Systematic Sampling, II", 1949; Efron & Morris, "Data Analysis Using Stein's
Estimator and Its Generalizations", 1975.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.normal_scores import NormalScores
from privacy.mechanisms.two_way_tables import Parts, TwoWayTable

OVER = 4
"""Draws for each one that is taken; no weight counts for more."""

ROUNDS = 30
"""Of fitting."""

TIMES = 2
"""That all tables are gone through by exchange: those of one measure with two others disturb each other."""

LEAST = 1e-6
"""Share of a part that noise says is empty."""


class Tables:
    """Tables that were measured, and participants of whom they are those.

    Args:
        measured: what was bought; its tables may be none.
        scores: that its histograms define.
    """

    def __init__(self, measured: Measured, scores: NormalScores) -> None:
        self._scores, self._sizes = scores, np.array([each.participants for each in measured.histograms])
        self._tables = [_turned(each, scores) for each in measured.tables]
        self._parts = Parts(scores, measured.tables[0].parts if measured.tables else 1)

    def __bool__(self) -> bool:
        return bool(self._tables)

    @property
    def middle(self) -> list[np.ndarray]:
        """Shares (a, b) of each table as they were measured."""
        return [each.shares for each in self._tables]

    def drawn(self, participants: int, randomness: np.random.Generator) -> list[np.ndarray]:
        """Shares (a, b) of each table as they may be, by its noise and by there being others who were not measured.

        Args:
            participants: how many there are to be.
            randomness: any; there is nothing to hide here.
        """
        of_others, found = max(1 / self._sizes.sum() - 1 / participants, 0.0), []
        for each in self._tables:
            noise_sd = np.sqrt(each.noise_sd**2 + of_others * each.shares.clip(0))
            found.append(each.shares + noise_sd * randomness.standard_normal(each.shares.shape))
        return found

    def choose(
        self, scores: Sequence[np.ndarray], aims: Sequence[np.ndarray], randomness: np.random.Generator
    ) -> list[np.ndarray]:
        """Which draws to take, of each class and in random order, so that tables are what is aimed at: [k] (n / OVER,).

        Args:
            scores: normal scores of draws of each class, [k] (n, W).
            aims: shares (a, b) of each table.
            randomness: any.
        """
        labels = np.repeat(np.arange(len(scores)), [len(each) for each in scores])
        parts = self._parts.of(self._scores.values(np.concatenate(scores), labels), labels)  # (N, C)
        found = ((parts[:, each.cells], each.shares.shape) for each in self._tables)
        places = np.stack([np.ravel_multi_index(tuple(pair.T), shape) for pair, shape in found], axis=1)  # (N, t)
        begun = (self._sizes / self._sizes.sum() * len(labels) / np.bincount(labels))[labels]
        weights = _raked(places, aims, begun)
        order = np.lexsort(places.T)  # so that parts of tables are met one after another
        chosen = []
        for label, own in enumerate(scores):
            of_class = order[labels[order] == label]
            taken = _systematic(weights[of_class], len(own) // OVER, randomness)
            chosen.append(randomness.permutation(of_class[taken]) - np.searchsorted(labels, label))
        return chosen

    def exchanged(
        self,
        drawn: np.ndarray,
        labels: np.ndarray,
        scores: NormalScores,
        aims: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """Normal scores (n, W) of participants of classes (n,) of whom tables are these, as far as their values allow.

        Tables of two measures with several categories each stay as they are, since these have no order; nor does
        anybody exchange which visits they attended.

        Args:
            drawn: scores before.
            labels: numbers of the classes.
            scores: what values they stand for.
            aims: shares (a, b) of each table. If None, those of the participants themselves, moved towards what was
                measured as far as noise does not explain the difference, in the manner of Efron & Morris, 1975.
        """
        if not self._tables:
            return drawn
        drawn, parts = drawn.copy(), self._parts.of(scores.values(drawn, labels), labels)
        if aims is None:
            aims = [_towards(each, parts[:, each.cells]) for each in self._tables]
        # Who was chosen first comes last: that table is furthest from what scores would say alone.
        for table, aim in reversed(TIMES * list(zip(self._tables, aims, strict=True))):
            if _has_an_order(table.cells[1], self._scores):
                self._exchange(drawn, labels, parts, table.cells, aim)
        return drawn

    def _exchange(
        self, drawn: np.ndarray, labels: np.ndarray, parts: np.ndarray, cells: tuple[int, int], aim: np.ndarray
    ) -> None:
        """Exchange scores of the second cell, and parts, among those of a class who have a value in both."""
        column = self._scores.cells[cells[1]].first
        rows, columns = (self._parts.values[number] for number in cells)
        first, second = parts[:, cells[0]], parts[:, cells[1]].copy()
        there = (first < rows) & (second < columns)
        now = np.zeros((len(self._scores.shares), rows, columns))
        np.add.at(now, (labels[there], first[there], second[there]), 1)
        wanted = _of_classes(now, aim[:rows, :columns])
        goes_to = np.empty(len(drawn), dtype=np.int64)  # the part of the second cell that each is to be in
        for label, row in np.ndindex(*wanted.shape[:2]):
            who = np.flatnonzero(there & (labels == label) & (first == row))
            ascending = who[np.argsort(drawn[who, column], kind="stable")]
            ends = np.rint(np.cumsum(wanted[label, row])[:-1])
            goes_to[ascending] = np.searchsorted(ends, np.arange(len(who)), side="right")
        for label in range(len(wanted)):
            own = np.flatnonzero(there & (labels == label))
            takes = own[np.lexsort((drawn[own, column], goes_to[own]))]
            gives = own[np.argsort(drawn[own, column], kind="stable")]
            drawn[takes, column], parts[takes, cells[1]] = drawn[gives, column], second[gives]


def _towards(table: TwoWayTable, parts: np.ndarray) -> np.ndarray:
    """Shares (a, b) of participants in parts (n, 2), moved towards those of the table by more than noise explains.

    Towards what the table says beyond its sums, of which noise has (a - 1) (b - 1) degrees of freedom. Twice the noise
    is taken for explained, since participants have an error of their own: moved further, they are told from real ones
    more easily.
    """
    places = np.ravel_multi_index(tuple(parts.T), table.shares.shape)
    own = (np.bincount(places, minlength=table.shares.size) / len(places)).reshape(table.shares.shape)
    lacking = _with_sums(table.shares, own.sum(axis=1), own.sum(axis=0)) - own
    freedom = int(np.prod(np.subtract(own.shape, 1)))
    explained = 2 * freedom * table.noise_sd**2 / max(float(np.square(lacking).sum()), 1e-300)
    moved: np.ndarray = own + max(0.0, 1 - explained) * lacking
    return moved


def _turned(table: TwoWayTable, scores: NormalScores) -> TwoWayTable:
    """The table with a cell whose values may be exchanged as its second, if there is one."""
    first, second = table.cells
    if _has_an_order(second, scores) or not _has_an_order(first, scores):
        return table
    return TwoWayTable((second, first), table.shares.T, table.noise_sd, table.parts)


def _has_an_order(cell: int, scores: NormalScores) -> bool:
    """Whether ranks say who gives a value of a cell and who takes it, and nobody's other values hang on it."""
    return scores.cells[cell].width == 1 and cell not in scores.encoding.attendance


def _raked(places: np.ndarray, aims: Sequence[np.ndarray], begun: np.ndarray) -> np.ndarray:
    """Weights (N,), 1 on average, with which draws in parts (N, t) have what each table aims at beyond its sums.

    Args:
        places: of each draw the part of each table.
        aims: shares (a, b) of each table.
        begun: weights without tables.
    """
    weights, wanted = begun.copy(), []
    for place, aim in zip(places.T, aims, strict=True):
        own = np.bincount(place, begun, minlength=aim.size).reshape(aim.shape) / len(place)
        wanted.append(_with_sums(aim, own.sum(axis=1), own.sum(axis=0)).ravel())
    for _ in range(ROUNDS):
        for place, aim in zip(places.T, wanted, strict=True):
            now = np.bincount(place, weights, minlength=aim.size) / len(place)
            weights *= np.divide(aim, now, out=np.ones_like(aim), where=now > 0)[place]
        weights /= weights.mean()
    return weights


def _of_classes(now: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """Counts by class, row and column (k, a, b), with the rows and columns of each class that there are now.

    Of all classes together they are what is aimed at, shares (a, b), as far as that can be.
    """
    rows, columns = now.sum(axis=2), now.sum(axis=1)  # (k, a), (k, b)
    together, found = _with_sums(aim, rows.sum(axis=0), columns.sum(axis=0)), now + 0.5
    for _ in range(ROUNDS):
        found = found * _over(together, found.sum(axis=0))
        found = found * _over(columns, found.sum(axis=1))[:, None, :]
        found = found * _over(rows, found.sum(axis=2))[:, :, None]
    return found


def _with_sums(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The table (a, b) with these sums of rows (a,) and columns (b,), its odds ratios as they were."""
    table = table.clip(LEAST)
    for _ in range(ROUNDS):
        table = table * _over(rows, table.sum(axis=1))[:, None]
        table = table * _over(columns, table.sum(axis=0))
    return table


def _over(wanted: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Factors that make sums what is wanted; 1 where there is nothing to multiply."""
    factors: np.ndarray = np.divide(wanted, now, out=np.ones_like(now), where=now > 0)
    return factors


def _systematic(weights: np.ndarray, count: int, randomness: np.random.Generator) -> np.ndarray:
    """Places of so many, each taken with a probability of its weight, about evenly along the line: (count,).

    Weights are lowered to what is surely taken, so that nobody is taken twice.
    """
    for _ in range(ROUNDS):
        weights = weights.clip(max=weights.sum() / max(count, 1))
    passed = np.cumsum(weights)
    at = (np.arange(count) + randomness.random()) * (passed[-1] / max(count, 1))
    places: np.ndarray = np.searchsorted(passed, at).clip(max=len(weights) - 1)
    return places
