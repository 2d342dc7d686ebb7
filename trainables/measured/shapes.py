"""Which shape normal scores of a class have: those of all classes together are Gaussian, those of one need not be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from cohorts.encoding import Cell
from privacy.mechanisms.histograms import ClassHistograms
from privacy.mechanisms.normal_scores import LIMIT, NormalScores, distribution, mean_square

QUANTILES = 2048
"""By which the mean and the standard deviation of a class's scores are found."""

LEAST_SD = 1e-3


class ClassShapes:
    """Gives Gaussian scores the shape that a class's histograms say.

    A Gaussian with the mean and the standard deviation of a class's scores is mapped to them quantile by quantile. That
    changes nothing where all classes are alike. Were the scores of each class taken for Gaussian, means of the values
    that they stand for would be wrong by several standard errors in a trial of thousands.

    Args:
        scores: that the histograms define.
        histograms: of each of k classes.
    """

    def __init__(self, scores: NormalScores, histograms: Sequence[ClassHistograms]) -> None:
        ordered = [
            number
            for number, (cell, bins) in enumerate(zip(scores.cells, scores.bins, strict=True))
            if not (cell.measure.nominal or bins.stretches)  # a stretch of an outcome is on its class's own scale
        ]
        self._shapes, self._squares = [], []  # [k] by the column of a score; and (k,)
        for each in histograms:
            shares, lacking, _ = scores.split(each.shares(scores.bins))
            shapes = {
                scores.cells[number].first: _Shape.of(scores.cells[number], shares[number], scores.pooled[number])
                for number in ordered
            }
            self._shapes.append(shapes)
            there = zip(shapes.values(), 1 - lacking[ordered], strict=True)
            self._squares.append(sum(shape.square * share for shape, share in there))

    def too_small(self, scores: np.ndarray, label: int) -> float:
        """By which factor scores (n, W) of a class are smaller than its histograms say, in the root of mean squares."""
        squares = np.square(scores[:, list(self._shapes[label])]).sum(axis=1).mean()
        return math.sqrt(self._squares[label] / squares) if squares > 0 else 1.0

    def of(self, gaussian: np.ndarray, label: int) -> np.ndarray:
        """Scores (n, W) of a class from Gaussian ones (n, W)."""
        shaped = gaussian.copy()
        for column, shape in self._shapes[label].items():
            shaped[:, column] = shape.quantiles(ndtr((gaussian[:, column] - shape.mean) / shape.sd))
        return shaped


@dataclass(frozen=True)
class _Shape:
    """The distribution of one score in one class.

    Args:
        own: the class's distribution function, at positions that ascend from 0 to 1.
        pooled: that of all classes together, likewise.
        mean: of the score.
        sd: its standard deviation.
        square: mean square of what is measured of it, each value lying where its step does.
    """

    own: np.ndarray
    pooled: np.ndarray
    mean: float = 0.0
    sd: float = 1.0
    square: float = 1.0

    @classmethod
    def of(cls, cell: Cell, own: np.ndarray, pooled: np.ndarray) -> _Shape:
        """From the shares (b,) of the cell's bins."""
        (at, below), (_, all_below) = (distribution(shares, cell.scale.single) for shares in (own, pooled))
        shape = cls(below, all_below)
        drawn = shape.quantiles((np.arange(QUANTILES) + 0.5) / QUANTILES)
        square = mean_square(cell, at, all_below, np.diff(below))
        return cls(below, all_below, float(drawn.mean()), max(float(drawn.std()), LEAST_SD), square)

    def quantiles(self, shares: np.ndarray) -> np.ndarray:
        """The scores below which these shares of the class lie, (n,)."""
        scores: np.ndarray = ndtri(np.interp(shares, self.own, self.pooled)).clip(-LIMIT, LIMIT)
        return scores
