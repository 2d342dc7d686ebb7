"""Normal scores: noisy histograms map the values of each measure to them, and back.

Skew, limits and outliers are gone, every score has a standard deviation of about 1, and one public radius fits every
trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from cohorts import Encoding, Schema
from cohorts.encoding import BEYOND
from privacy.mechanisms.histograms import RAREST, Bins, ClassHistograms, class_shares

LIMIT = 3.3
"""Scores are cut at this many standard deviations."""

FARTHEST, ONE_IN_A_HUNDRED = 2.0, 2.33
"""The farthest mean of scores on a scale of their own, and beyond which score one in a hundred is."""

NOTHING_ELSE = 1e-9
"""Width of what is left of a bin that holds the limit alone."""

PER_BIN = 64
"""Places in a bin at which scores are looked at, to find their mean square."""

BENDS, MANY = 16, 8
"""Places in a bin at which the distribution function bends, as the bins beside it have it bend, and how many values a
bin has to hold: of a few whole numbers each may be as frequent as it likes."""


class NormalScores:
    """The map between values and normal scores that noisy histograms define; made from released numbers alone.

    A whole-numbered or continuous cell has one score, that of its value's place in the distribution of all classes
    together; but where an outcome lies within its class, in that of its class. A binary cell has
    one too, and a categorical one has one for each category: indicators, standardised. Where values may be missing a
    further one is the standardised indicator of that. The scores of a value that is missing are 0, and so are all of a
    cell at a visit that was missed, or after dropout.

    Args:
        schema: of the cohort.
        histograms: of each class.
    """

    def __init__(self, schema: Schema, histograms: Sequence[ClassHistograms]) -> None:
        self.encoding = Encoding(schema)
        self.cells, self.width = self.encoding.cells, self.encoding.width  # a score in the place of each feature
        self.bins = tuple(Bins.of(cell) for cell in self.cells)
        self.shares = shares = list(class_shares(schema, histograms))
        by_class = [self.split(each.shares(self.bins)) for each in histograms]
        # Of all classes together, for each cell: shares of values among those there are, of those there are among
        # everybody, and of missing values among those who still attend.
        lacking, missing = (np.average([each[place] for each in by_class], axis=0, weights=shares) for place in (1, 2))
        self.there = 1 - lacking  # (C,)
        self.missing = missing  # (C,)
        self.pooled = [
            np.average(cell, axis=0, weights=np.multiply(shares, [1 - each[1][number] for each in by_class]))
            for number, cell in enumerate(zip(*(each[0] for each in by_class), strict=True))
        ]  # [C] (b,)
        self.heaps = self._heaps(histograms)  # (C, 2), shares of values that are the limits
        self._own = {
            number: np.array([each[0][number] for each in by_class])
            for number, bins in enumerate(self.bins)
            if bins.stretches
        }  # (k, b) where classes are on scales of their own
        self._maps: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def _heaps(self, histograms: Sequence[ClassHistograms]) -> np.ndarray:
        """Of all classes together the shares of values at each cell's limits; no more than in their bins."""
        limits = [each.limits / each.participants for each in histograms]  # [k] (C, 2)
        heaps: np.ndarray = np.average(limits, axis=0, weights=self.shares) / self.there.clip(RAREST)[:, None]
        return heaps.clip(max=[each[[0, -1]] for each in self.pooled])

    def within(self, number: int) -> np.ndarray:
        """For each class the shares of values of a cell that scores are made by, (k, b)."""
        pooled = self.pooled[number]
        return self._own.get(number, np.broadcast_to(pooled, (len(self.shares), len(pooled))))

    def split(self, shares: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """What shares of all bins, (b,) for each cell, say of values, of having none, and of missing ones.

        Returns:
            Shares of values among those there are, (values,) for each cell; of participants without one (C,); of those
            of them who still attend, among all who attend (C,).
        """
        values = [each[: bins.values] for each, bins in zip(shares, self.bins, strict=True)]
        there = np.array([max(float(each.sum()), RAREST) for each in values]).clip(max=1)
        lacking = np.where([each.may_lack for each in self.bins], 1 - there, 0.0)
        gone = np.zeros(len(self.cells))
        if self.encoding.schema.visits.dropout:
            gone = values[-1] @ self.encoding.left(self.attended)
        for number, of_visit in self.encoding.presence.items():
            gone[number] += (1 - gone[number]) * values[of_visit][0] / there[of_visit]
        missing = ((lacking - gone) / (1 - gone).clip(RAREST)).clip(RAREST, 1 - RAREST)
        return [each / known for each, known in zip(values, there, strict=True)], lacking, missing

    @property
    def attended(self) -> np.ndarray:
        """With dropout, how many visits each bin of the last cell stands for, (b,)."""
        count, bins = self.cells[-1].measure.count, self.bins[-1].values
        lower = self.cells[-1].measure.lower
        attended: np.ndarray = lower + np.floor((np.arange(bins) + 0.5) * count / bins)
        return attended

    @property
    def present(self) -> np.ndarray:
        """Share of participants of whom there is each score, (W,); of the others it is 0."""
        present = np.ones(self.width)
        for number, cell in enumerate(self.cells):
            present[cell.columns] = self.there[number].clip(RAREST)
            if cell.flagged:
                present[cell.flag] = (self.there[number] / (1 - self.missing[number])).clip(RAREST, 1)
        return present

    @cached_property
    def squares(self) -> np.ndarray:
        """Mean square of each score, (W,): less than 1 where values are few whole numbers, or may be missing."""
        squares = self.present
        for number, cell in enumerate(self.cells):
            if cell.measure.nominal:
                assumed = self.indicated(number)
                squares[cell.columns] *= _square_of_indicator(self.pooled[number][-len(assumed) :], assumed)
            else:
                squares[cell.first] *= self._square(number)
            if cell.flagged:
                squares[cell.flag] *= _square_of_indicator(self.missing[number], self.missing[number])
        return squares

    def _square(self, number: int) -> float:
        """Mean square of a cell's scores, not of a nominal one: their density changes smoothly, but for steps."""
        scale, edges = self.cells[number].scale, self._edges(number)
        inside = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(PER_BIN) + 0.5) / PER_BIN
        at = scale.positions(scale.at(inside.ravel()))
        own = [
            np.average(
                np.square(self._scores_at(number, at, label)),
                weights=_smoothly(self._apart(number, shares), scale.widths),
            )
            for label, shares in enumerate(self.within(number))
        ]
        heaps, alone = self.heaps[number], self.heaps[number].sum()
        limits = np.square(self.of_limits(number)) @ heaps
        return float((1 - alone) * np.average(own, weights=self.shares) + limits)

    def _between(self, number: int, shares: np.ndarray) -> np.ndarray:
        """Distribution function at the edges of a cell's bins with these shares, (b + 1,), for values at no limit."""
        between = _distribution(shares)
        between[[0, -1]] += self.heaps[number] * [1, -1]
        return between

    def _edges(self, number: int) -> np.ndarray:
        """Positions between which the values of a cell's bins lie, (b + 1,): in the outermost without the limits.

        Who has a limit was counted apart. Where that is no more than noise nobody has it, however many are in its bin,
        unless that holds nothing else.
        """
        edges, limits = np.linspace(0, 1, self.bins[number].values + 1), self.bins[number].limits
        if limits:
            inner = 2 * limits[0], 2 * limits[1] - 1  # a whole number takes up as much on either side of its position
            edges[0], edges[-1] = (
                own if abs(own - next_one) > NOTHING_ELSE else end
                for own, next_one, end in zip(inner, edges[[1, -2]], edges[[0, -1]], strict=True)
            )
        return edges

    def _map(self, number: int, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions in a cell, ascending, and the distribution function there, of a class and for values at no limit.

        Within bins of many values it is as smooth as can be with their shares, so that values do not lie in steps.
        """
        key = number, label if number in self._own else 0
        if key not in self._maps:
            edges, between = self._edges(number), self._between(number, self.within(number)[label])
            scale = self.cells[number].scale
            self._maps[key] = _bent(edges, between, np.array(scale.widths), scale.held < MANY)
        return self._maps[key]

    def _scores_at(self, number: int, positions: np.ndarray, label: int) -> np.ndarray:
        """Scores (n,) of positions (n,) in a cell, not of a nominal one, of a class."""
        scores: np.ndarray = ndtri(np.interp(positions, *self._map(number, label)))
        limits = self.bins[number].limits or (-np.inf, np.inf)
        for end, there in enumerate((positions <= limits[0], positions >= limits[1])):
            if self.heaps[number, end]:
                scores[there] = self.of_limits(number)[end]
        return scores.clip(-LIMIT, LIMIT)

    def _apart(self, number: int, shares: np.ndarray) -> np.ndarray:
        """The shares (b,) of a cell's bins without those of its limits."""
        apart = shares.copy()
        apart[[0, -1]] -= self.heaps[number]
        return apart.clip(min=0)

    def of_limits(self, number: int) -> np.ndarray:
        """Scores of a cell's two limits, (2,), where many have these: that of the middle of their ranks."""
        scores: np.ndarray = (ndtri(self.heaps[number] / 2) * [1, -1]).clip(-LIMIT, LIMIT)
        return scores

    def scores(self, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Normal scores (n, W) in [-LIMIT, LIMIT] of values (n, M, V) of participants of classes (n,)."""
        positions = self.encoding.positions(values)
        scores, gone = np.empty((len(values), self.width)), self.encoding.gone(values)
        for number, cell in enumerate(self.cells):
            pooled, at = self.pooled[number], positions[:, number].clip(max=1)
            if cell.measure.nominal:
                shares = self.indicated(number)  # (k,)
                which = np.minimum(np.floor(at * len(pooled)), len(pooled) - 1)  # (n,)
                indicators = which[:, None] == np.arange(len(pooled) - len(shares), len(pooled))  # (n, k)
                scores[:, cell.columns] = standardised(indicators, shares)
            else:
                for label in range(len(self.shares)):
                    own = labels == label
                    scores[own, cell.first] = self._scores_at(number, at[own], label)
            lacking = positions[:, number] > 1
            scores[lacking, cell.columns] = 0
            if cell.flagged:
                flags = standardised(lacking.astype(float), self.missing[number])
                scores[:, cell.flag] = np.where(gone[:, number], 0.0, flags)
        limited: np.ndarray = np.clip(scores, -LIMIT, LIMIT)
        return limited

    def values(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Values (n, M, V) that scores (n, W) of classes (n,) stand for, each one that a measure can have, or none."""
        positions = np.empty((len(scores), len(self.cells)))
        for number, cell in enumerate(self.cells):
            pooled, score = self.pooled[number], np.clip(scores[:, cell.columns], -LIMIT, LIMIT)
            if cell.measure.nominal:
                beyond = score + ndtri(self.indicated(number))  # above the threshold of each category, (n, k)
                which = beyond[:, 0] > 0 if cell.measure.kind == "binary" else beyond.argmax(axis=1)
                positions[:, number] = (which + 0.5) / len(pooled)
            else:
                for label in range(len(self.shares)):
                    own = labels == label
                    (places, between), ranks = self._map(number, label), ndtr(score[own, 0])
                    inside = np.interp(ranks, between, places)
                    heaps = self.heaps[number] > 0  # whoever is beyond them has the limit
                    inside[heaps[0] & (ranks <= between[0])] = 0
                    inside[heaps[1] & (ranks >= between[-1])] = 1
                    positions[own, number] = inside
            if cell.flagged:
                positions[scores[:, cell.flag] + ndtri(self.missing[number]) > 0, number] = BEYOND
        return self.encoding.at_positions(positions)

    def as_defined(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Scores (n, W) whose distribution within each class is about what it is by definition, where that is known.

        It is where a cell is on a scale of each class's own, as of where an outcome lies within its class: standard
        normal, but for the noise of the histogram that makes the scale, of which products of scores know. So a class
        keeps its mean. Its spread a generator knows badly where the class is small, and what is beyond the scale would
        all be at its ends: it is 1, or as much as leaves one in a hundred beyond.
        """
        scores = scores.copy()
        for number in self._own:
            column = self.cells[number].first
            for label in range(len(self.shares)):
                own = np.flatnonzero(labels == label)
                if len(own):
                    mean = float(scores[own, column].mean().clip(-FARTHEST, FARTHEST))
                    spread = min(1.0, (LIMIT - abs(mean)) / ONE_IN_A_HUNDRED)
                    scores[own, column] = mean + spread * ndtri((rankdata(scores[own, column]) - 0.5) / len(own))
        return scores

    def indicated(self, number: int) -> np.ndarray:
        """Shares of the categories of a nominal cell that have a score: of a binary one the second alone."""
        shares: np.ndarray = self.pooled[number].clip(RAREST, 1 - RAREST)
        return shares[1:] if self.cells[number].measure.kind == "binary" else shares

    def edges(self, number: int) -> np.ndarray:
        """Scores between the bins of a cell that is not nominal, ascending, of each class: (k, b - 1)."""
        distributions = np.array([_distribution(shares)[1:-1] for shares in self.within(number)])
        edges: np.ndarray = ndtri(distributions).clip(-LIMIT, LIMIT)
        return edges

    def middles(self, number: int) -> np.ndarray:
        """Scores of the middle of each bin of a cell that is not nominal, ascending, of each class: (k, b).

        Where many have a limit, that of its bin is the mean of theirs and of the middle.
        """
        distributions = np.array([self._between(number, shares) for shares in self.within(number)])
        middles: np.ndarray = ndtri((distributions[:, 1:] + distributions[:, :-1]) / 2).clip(-LIMIT, LIMIT)
        heaps = self.heaps[number] / self.pooled[number][[0, -1]].clip(RAREST)
        middles[:, [0, -1]] += heaps.clip(max=1) * (self.of_limits(number) - middles[:, [0, -1]])
        return middles


def standardised(indicators: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """Indicators over their standard deviation, with the mean 0 where the share of ones is that."""
    scores: np.ndarray = (indicators - share) / np.sqrt(share * (1 - share))
    return scores


def _square_of_indicator(share: np.ndarray | float, assumed: np.ndarray | float) -> np.ndarray:
    """Mean square of an indicator with a share of ones, standardised by the one that is assumed, and cut as scores."""
    one, none = (standardised(np.array(value), assumed).clip(-LIMIT, LIMIT) for value in (1, 0))
    square: np.ndarray = share * one**2 + (1 - share) * none**2
    return square


def _bent(
    edges: np.ndarray, between: np.ndarray, widths: np.ndarray, straight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and the distribution function there: monotone cubics through its values between bins, (b + 1,).

    Some bins (b,) have it straight, and so does one between two of them.

    Source: Fritsch & Butland, "A Method for Constructing Local Monotone Piecewise Cubic Interpolants", 1984.
    """
    along = np.concatenate([[0.0], np.cumsum(widths * np.diff(edges) * len(widths))])
    within, places, values = np.arange(BENDS) / BENDS, [], []
    ends = np.flatnonzero(np.diff(np.concatenate([[True], straight, [True]]).astype(int)))  # of runs of others
    for begin, end in zip(ends[::2], ends[1::2], strict=True):
        if end - begin > 1:
            curve = PchipInterpolator(along[begin : end + 1], between[begin : end + 1])
            fine = (along[begin:end, None] + np.diff(along[begin : end + 1])[:, None] * within).ravel()
            places.append((edges[begin:end, None] + np.diff(edges[begin : end + 1])[:, None] * within).ravel())
            values.append(curve(fine))
    at, found = np.concatenate([edges, *places]), np.concatenate([between, *values])
    order = np.argsort(at, kind="stable")
    return at[order], np.maximum.accumulate(found[order]).clip(between[0], between[-1])  # rounding aside


def _smoothly(shares: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Shares of the PER_BIN equal parts of each bin, (b PER_BIN,), where their density changes smoothly."""
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    fine = np.interp(np.arange(len(shares) * PER_BIN + 1) / PER_BIN, np.arange(len(edges)), edges)
    parts: np.ndarray = np.diff(PchipInterpolator(edges, _distribution(shares))(fine)).clip(min=0)
    return parts


def _distribution(shares: np.ndarray) -> np.ndarray:
    """Distribution function at the edges of the bins."""
    return np.concatenate([[0.0], np.cumsum(shares)]).clip(0, 1)
