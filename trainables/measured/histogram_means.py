"""Means of normal scores as bought histograms say them, and how far the noise lets them be wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohorts.encoding import Cell
from privacy.mechanisms.histograms import ClassHistograms
from privacy.mechanisms.normal_scores import LIMIT, NormalScores, standardised


class HistogramMeans:
    """What histograms say of the mean of each score over LIMIT, by class; the scores of a value that is missing are 0.

    A mean is ``sum_b a_b c_b / N``, c being a cell's counts, which add up to the class's number N. Of the noise in it
    only what does not move that sum counts, since all cells together say N far better than one.

    Args:
        scores: that the histograms define.
        histograms: of each of k classes.
    """

    def __init__(self, scores: NormalScores, histograms: Sequence[ClassHistograms]) -> None:
        self._histograms = histograms
        self._weights, self._constant = [], []  # [k] (W, B) and (W,)
        ends = np.cumsum([each.width for each in scores.bins])
        self._noises = np.concatenate([each.noises for each in scores.bins])  # (B,)
        for label in range(len(histograms)):
            weights, constant = np.zeros((scores.width, ends[-1])), np.zeros(scores.width)
            for number, cell in enumerate(scores.cells):
                values = _scores_of_bins(scores, number, label) / LIMIT  # (c, w)
                columns = slice(cell.first, cell.first + len(values))
                middle = values.mean(axis=1)
                weights[columns, ends[number] - values.shape[1] : ends[number]] = values - middle[:, None]
                constant[columns] = middle
            self._weights.append(weights)
            self._constant.append(constant)
        self.middle = self._means([each.counts for each in histograms])
        self.variances = np.array(
            [
                np.square(weights) @ self._noises * (each.noise_sd / each.participants) ** 2
                for weights, each in zip(self._weights, histograms, strict=True)
            ]
        )  # (k, W)
        self.variances[:, [cell.flag for cell in scores.cells if _unsaid(scores, cell)]] = np.inf

    def draw(self, randomness: np.random.Generator) -> np.ndarray:
        """Means (k, W) as they may have been without noise: a draw from their posterior."""
        drawn = [randomness.standard_normal(len(each.counts)) * np.sqrt(self._noises) for each in self._histograms]
        return self._means(
            [each.counts + each.noise_sd * noise for each, noise in zip(self._histograms, drawn, strict=True)]
        )

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


def _unsaid(scores: NormalScores, cell: Cell) -> bool:
    """Whether a cell's histogram does not tell a missing value from one after dropout."""
    return cell.flagged and bool(scores.encoding.schema.visits.dropout)
