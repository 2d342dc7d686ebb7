"""Measurements in the space of normal scores: histograms first, then moments of what they make of each measure.

A measure's noisy histogram maps its values to normal scores, so that skew, limits and outliers are gone, every score
has a standard deviation of about 1, and one public radius fits every trial. Class means and covariances of the scores
then say how measures and visits hang together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import dp_accounting
import numpy as np
from scipy.special import ndtr, ndtri
from threadpoolctl import threadpool_limits

from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.gaussian import scale_for
from privacy.mechanisms.histograms import ClassHistograms, NoisyHistograms, bins_of
from privacy.mechanisms.labels import labels_by_shares
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.mechanisms.moments import SENSITIVITY, ClassMoments, NoisyMoments, NoisyProducts
from privacy.mechanisms.shrinkage import smooth_products

LIMIT = 3.3
"""Scores are cut at this many standard deviations."""

RADIUS = 0.5
"""The 2-norm that vectors of F scores are clipped to, over sqrt(F). Most participants are shortened by it, so what is
measured are hardly more than directions, which has the most signal for its noise; generators are fitted to what
shortened draws measure. How large scores are is known from the histograms."""

RAREST = 0.005
"""Share below which a category counts as no rarer."""

HISTOGRAMS_SHARE = 0.35
"""Of rho, for the histograms; moments get the rest."""


class NormalScores:
    """The map between values and normal scores that noisy histograms define; made from released numbers alone.

    A whole-numbered or continuous cell has one score, that of its value's place in the distribution. A binary one has
    one too, and a categorical one has one for each category: indicators, standardised.

    Args:
        schema: of the cohort.
        histograms: of each class.
    """

    def __init__(self, schema: Schema, histograms: Sequence[ClassHistograms]) -> None:
        self.encoding = Encoding(schema)
        self.cells = self.encoding.cells
        self.bins = tuple(bins_of(measure) for measure in self.cells)
        shares = [each.share for each in schema.label.classes]
        by_class = (each.shares(self.bins) for each in histograms)
        self.pooled = [np.average(cell, axis=0, weights=shares) for cell in zip(*by_class, strict=True)]  # [C] (b,)
        self.columns, self.width = self.encoding.columns, self.encoding.width  # a score in the place of each feature

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Normal scores (n, W) in [-LIMIT, LIMIT] of values (n, M, V)."""
        positions = self.encoding.positions(values)
        scores = np.empty((len(values), self.width))
        for number, columns in enumerate(self.columns):
            pooled, at = self.pooled[number], positions[:, number]
            if self.cells[number].discrete:
                shares = self.indicated(number)  # (k,)
                which = np.minimum(np.floor(at * len(pooled)), len(pooled) - 1)  # (n,)
                indicators = which[:, None] == np.arange(len(pooled) - len(shares), len(pooled))  # (n, k)
                scores[:, columns] = (indicators - shares) / np.sqrt(shares * (1 - shares))
            else:
                scores[:, columns.start] = ndtri(np.interp(at, _edges(pooled), _distribution(pooled)))
        limited: np.ndarray = np.clip(scores, -LIMIT, LIMIT)
        return limited

    def values(self, scores: np.ndarray) -> np.ndarray:
        """Values (n, M, V) that scores (n, W) stand for, each one that its measure can have."""
        positions = np.empty((len(scores), len(self.cells)))
        for number, columns in enumerate(self.columns):
            pooled, score = self.pooled[number], np.clip(scores[:, columns], -LIMIT, LIMIT)
            if self.cells[number].discrete:
                beyond = score + ndtri(self.indicated(number))  # above the threshold of each category, (n, k)
                which = beyond[:, 0] > 0 if self.cells[number].kind == "binary" else beyond.argmax(axis=1)
                positions[:, number] = (which + 0.5) / len(pooled)
            else:
                positions[:, number] = np.interp(ndtr(score[:, 0]), _distribution(pooled), _edges(pooled))
        return self.encoding.at_positions(positions)

    def indicated(self, number: int) -> np.ndarray:
        """Shares of the categories of a discrete cell that have a score: of a binary one the second alone."""
        shares: np.ndarray = self.pooled[number].clip(RAREST, 1 - RAREST)
        return shares[1:] if self.cells[number].kind == "binary" else shares

    def edges(self, number: int) -> np.ndarray:
        """Scores between the bins of a cell that is not discrete, ascending, (b - 1,)."""
        edges: np.ndarray = ndtri(_distribution(self.pooled[number])[1:-1]).clip(-LIMIT, LIMIT)
        return edges

    def middles(self, number: int) -> np.ndarray:
        """Scores of the middle of each bin of a cell that is not discrete, ascending, (b,)."""
        distribution = _distribution(self.pooled[number])
        middles: np.ndarray = ndtri((distribution[1:] + distribution[:-1]) / 2).clip(-LIMIT, LIMIT)
        return middles


@dataclass(frozen=True)
class Measured:
    """What was measured about a cohort: safe to look at.

    Args:
        histograms: of each class.
        products: of the normal scores, over LIMIT, of each class.
    """

    histograms: tuple[ClassHistograms, ...]
    products: tuple[NoisyProducts, ...]

    @property
    def moments(self) -> tuple[ClassMoments, ...]:
        """Mean and covariance of the normal scores, over LIMIT, of each class.

        Shortened vectors say too little of both. All scores have a mean square of about 1, which says how much too
        little in the mean.
        """
        classes = [each.moments for each in self.products]
        sizes = [each.participants for each in self.products]
        squares = [np.trace(each.covariance) + each.mean @ each.mean for each in classes]
        wanted = len(classes[0].mean) / LIMIT**2
        larger = wanted / float(np.average(squares, weights=sizes))
        return tuple(ClassMoments(math.sqrt(larger) * each.mean, larger * each.covariance) for each in classes)

    def draw(self, schema: Schema, participants: int, randomness: np.random.Generator) -> Participants:
        """Participants whose normal scores are Gaussian in each class; made from released and public numbers alone.

        Args:
            schema: of the cohort; gives the shares of the classes.
            participants: how many; public, such as the nominal size.
            randomness: any; there is nothing to hide here.

        Returns:
            A cohort with ids S0, S1 and so on, its classes in random order.
        """
        normal_scores = NormalScores(schema, self.histograms)
        labels = labels_by_shares(schema, participants, randomness)
        scores = np.empty((participants, normal_scores.width))
        for label, moments in enumerate(self.moments):
            scores[labels == label] = LIMIT * moments.sample(int((labels == label).sum()), randomness)
        ids = np.array([f"S{number}" for number in range(participants)])
        return Participants(schema, ids, labels, normal_scores.values(scores))

    def content(self) -> dict[str, Any]:
        """All of it as numbers and lists, for a file."""
        return {
            "histograms": [
                {
                    "counts": each.counts.tolist(),
                    "noise_sd": each.noise_sd,
                    "participants": each.participants,
                    "smooth": each.smooth.tolist(),
                }
                for each in self.histograms
            ],
            "products": [
                {
                    "mean": each.mean.tolist(),
                    "noise_sd": each.noise_sd,
                    "radius": each.radius,
                    "participants": each.participants,
                    "smooth": each.smooth.tolist(),
                }
                for each in self.products
            ],
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Measured:
        """What ``content`` took apart."""
        histograms = (ClassHistograms(**each | _arrays(each, "counts", "smooth")) for each in content["histograms"])
        products = (NoisyProducts(**each | _arrays(each, "mean", "smooth")) for each in content["products"])
        return cls(tuple(histograms), tuple(products))


@dataclass(frozen=True)
class Measurements(Whole):
    """Histograms of every cell, then means and covariances of the normal scores that they define, by class.

    Guarantee: ``event``, the composition of both; what the second measures may depend on what the first released.

    Args:
        schema: of the cohort.
        histograms: the first mechanism.
        moments: the second, of scores over LIMIT.
    """

    schema: Schema
    histograms: NoisyHistograms
    moments: NoisyMoments

    kind: ClassVar[Kind] = "measurement"

    @classmethod
    def costing(
        cls, schema: Schema, split_share: float, rho: float, histograms_share: float = HISTOGRAMS_SHARE
    ) -> Measurements:
        """The least noise whose charge is at most ``rho``, in zCDP; see ``NoisyMoments.costing``."""
        histograms = NoisyHistograms.costing(schema, split_share, rho * histograms_share)
        width = Encoding(schema).width
        radius, noise_sd = RADIUS * math.sqrt(width) / LIMIT, scale_for(rho * (1 - histograms_share), SENSITIVITY)
        return cls(schema, histograms, NoisyMoments(width, radius, histograms.expected, noise_sd))

    @property
    def event(self) -> dp_accounting.ComposedDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return dp_accounting.ComposedDpEvent([self.histograms.event, self.moments.event])

    def release(self, values: np.ndarray, labels: np.ndarray) -> Measured:
        """Measure participants.

        Args:
            values: (n, M, V), in each measure's unit. Sensitive.
            labels: number of the class, (n,). Sensitive.

        Returns:
            What was measured: protected at the price of ``event``.
        """
        with threadpool_limits(limits=1):  # matrices are small: threads would wait for each other
            histograms = self.histograms.release(Encoding(self.schema).positions(values), labels)
            normal_scores = NormalScores(self.schema, histograms)
            products = self.moments.release(normal_scores.scores(values) / LIMIT, labels)
            smooth = smooth_products(products, normal_scores.encoding.places)
        return Measured(
            histograms, tuple(replace(each, smooth=matrix) for each, matrix in zip(products, smooth, strict=True))
        )


def _arrays(content: Mapping[str, Any], *names: str) -> dict[str, np.ndarray]:
    return {name: np.array(content[name]) for name in names}


def _edges(shares: np.ndarray) -> np.ndarray:
    return np.linspace(0, 1, len(shares) + 1)


def _distribution(shares: np.ndarray) -> np.ndarray:
    """Distribution function at the edges of the bins."""
    return np.concatenate([[0.0], np.cumsum(shares)]).clip(0, 1)
