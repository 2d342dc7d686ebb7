"""Means and mean squares of normal scores as bought histograms say them, and how far the noise lets means be wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privacy.mechanisms.histograms import ClassHistograms
from privacy.mechanisms.normal_scores import LIMIT, NormalScores, standardised

SMOOTHED = 0.05
"""Share of the variance of the noise in mean squares that smoothing leaves: between 0.02 and 0.16 in four trials."""

USUAL_SQUARE, USUAL_SD = 1.0, 0.3
"""Of those of a class who have a value, the mean square of a score, and by how much classes differ in it: it is 1 in
all classes together. Between 0.8 and 1.2 in most classes of seven trials, and between 0.5 and 1.4 in all."""

LEAST_WITH_A_VALUE = 0.05
"""Share of a class."""

LEAST_SQUARE = 0.01
"""Of the scores of a cell that nearly everybody has the same value of."""


class HistogramMeans:
    """What histograms say of each score over LIMIT, by class: its mean and mean square, where what is missing has 0.

    A mean is ``sum_b a_b c_b / N``, c being a cell's counts, which add up to the class's number N. Of the noise in it
    only what does not move that sum counts, since all cells together say N far better than one.

    Args:
        scores: that the histograms define.
        histograms: of each of k classes.
    """

    def __init__(self, scores: NormalScores, histograms: Sequence[ClassHistograms]) -> None:
        self._histograms = histograms
        self._weights, self._constant, self._squares = [], [], []  # [k] (W, B), (W,), (W, B)
        ends = np.cumsum([each.width for each in scores.bins])
        self._usual = np.empty((len(histograms), scores.width))
        self._noises = np.concatenate([each.noises for each in scores.bins])  # (B,)
        for label in range(len(histograms)):
            weights, constant = np.zeros((scores.width, ends[-1])), np.zeros(scores.width)
            squares = np.zeros_like(weights)
            for number, cell in enumerate(scores.cells):
                values = _scores_of_bins(scores, number, label) / LIMIT  # (c, w)
                columns = slice(cell.first, cell.first + len(values))
                begin, bins = ends[number] - values.shape[1], scores.bins[number]
                with_a_value = histograms[label].smooth[begin : begin + bins.values].sum().clip(LEAST_WITH_A_VALUE)
                self._usual[label, columns] = USUAL_SQUARE * with_a_value / LIMIT**2
                middle = values.mean(axis=1)
                weights[columns, begin : ends[number]] = values - middle[:, None]
                constant[columns] = middle
                squares[columns, begin : ends[number]] = values**2
            self._weights.append(weights)
            self._constant.append(constant)
            self._squares.append(squares)
        between = np.average(self._of_bins(histograms), axis=0, weights=scores.shares)
        self._in_bins = scores.squares / LIMIT**2 - between  # (W,), what values of the same bin differ by
        self.middle = self._means([each.counts for each in histograms])
        self.variances = self._variances(self._weights)  # (k, W), of the noise in means
        by_histograms = SMOOTHED * self._variances(self._squares)  # likewise in mean squares
        usually = np.square(USUAL_SD * self._usual)
        self._trust = usually / (usually + by_histograms)  # in histograms, beside what is usual
        self.variances_of_squares = self._trust * by_histograms
        unsaid = [cell.flag for number, cell in enumerate(scores.cells) if _unsaid(scores, number)]
        self.variances[:, unsaid] = np.inf

    def means(self, again: Sequence[ClassHistograms]) -> np.ndarray:
        """Means (k, W) as they may have been without noise, where such noise makes other histograms of what is known.

        Args:
            again: from ``NoisyHistograms.again``, of which the departures from what is known are a draw of the noise.
        """
        pairs = zip(self._histograms, again, strict=True)
        return self._means([own.counts + each.counts - own.participants * own.smooth for own, each in pairs])

    def squares(
        self, histograms: Sequence[ClassHistograms], randomness: np.random.Generator | None = None
    ) -> np.ndarray:
        """Mean squares (k, W) of scores over LIMIT of participants who are distributed as other histograms say.

        Histograms of few participants say them badly, so what is usual counts beside them, by how well each is known.

        Args:
            histograms: of each class.
            randomness: to draw from what is usual; if None, its middle.
        """
        departs = 0.0 if randomness is None else USUAL_SD * randomness.standard_normal(self._usual.shape)
        usual = (1 + departs) * self._usual
        found = self._trust * (self._of_bins(histograms) + self._in_bins) + (1 - self._trust) * usual
        return np.maximum(found, LEAST_SQUARE / LIMIT**2)

    def _variances(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        sizes = [each.noise_sd / each.participants for each in self._histograms]
        return np.array([size**2 * np.square(own) @ self._noises for own, size in zip(weights, sizes, strict=True)])

    def _of_bins(self, histograms: Sequence[ClassHistograms]) -> np.ndarray:
        return np.array([own @ each.smooth for own, each in zip(self._squares, histograms, strict=True)])

    def _means(self, counts: Sequence[np.ndarray]) -> np.ndarray:
        parts = zip(self._weights, self._constant, counts, self._histograms, strict=True)
        return np.array([constant + weights @ each / own.participants for weights, constant, each, own in parts])


def _scores_of_bins(scores: NormalScores, number: int, label: int) -> np.ndarray:
    """The scores of a participant in each of a cell's w bins, (c, w): of its value, and of whether it is missing."""
    cell, bins = scores.cells[number], scores.bins[number]
    if cell.measure.nominal:
        shares = scores.indicated(number)  # (c,)
        values = standardised(np.eye(bins.values)[:, -len(shares) :], shares).T
    else:
        values = scores.middles(number)[label][None]
    values = np.pad(values, ((0, 0), (0, bins.width - bins.values)))
    if not cell.flagged:
        return values
    missing = np.arange(bins.width) == bins.values
    return np.vstack([values, standardised(missing.astype(float), float(scores.missing[number]))])


def _unsaid(scores: NormalScores, number: int) -> bool:
    """Whether a cell's histogram does not tell a missing value from one of a visit that was not attended."""
    may_be_gone = bool(scores.encoding.schema.visits.dropout) or number in scores.encoding.presence
    return scores.cells[number].flagged and may_be_gone
