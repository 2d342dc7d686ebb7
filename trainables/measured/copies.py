"""Copies of a trial: each could have given what was measured, as far as its noise tells.

A copy begins with a draw of what the measurements would have been without noise: Gaussian noise is symmetric and its
size is public, so what was bought with such noise added once more is a draw from the posterior under a flat prior (of
products that are alike, under that of ``ProductPosterior``). A sample of Gaussian normal scores is then moved, class by
class, until what would be measured of this very sample is what was drawn: it is shifted by what its means lack, and
turned by what its products lack. So copies differ by the noise, and not by the error of drawing; each stands for the
trial that was measured, as a completed data set of multiple imputation does, and Rubin's rules hold for them.

Of participants who were not measured nothing is known but that they are like the others: the error of having measured
N of n is added to what is drawn, which is what imputing the others would do. All of this reads nobody.

Source: Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987, equations 3.1.1 to 3.1.6; Räisä, Jälkö, Kaski &
Honkela, "Noise-Aware Statistical Inference with Differentially Private Synthetic Data", 2023, for the posterior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from cohorts import Participants, Schema
from privacy.mechanisms.labels import labels_by_shares
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.moments import COUNT_SHARE, ClassMoments, alike_before, lifted, nearest_covariance
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.shrinkage import ProductPosterior
from trainables.generators import numbered_ids
from trainables.measured.histogram_means import HistogramMeans
from trainables.measured.network import standardised

POOL = 4000
"""Draws of each class by which the middle of all copies is found."""

FIRST_ROUNDS, ROUNDS = 16, 6
"""How often a sample is moved, less each time: to find the middle, and from there to a copy."""

LONGEST = 1.0
"""Of one move of a mean, in standard deviations."""


@dataclass(frozen=True)
class Target:
    """What is to be measured of a class of a copy.

    Args:
        products: mean of P P^T, (W + 1, W + 1).
        means: of normal scores over LIMIT, as histograms say them, (W,).
    """

    products: np.ndarray
    means: np.ndarray


@dataclass(frozen=True)
class _Seen:
    """What is measured of a class of a sample.

    Args:
        features: normal scores over LIMIT, (n, W).
        vectors: P, (n, W + 1).
        products: mean of P P^T.
        mean_slope: by how much a mean of P moves with one of the features, about.
        product_slope: likewise a product of P with one of the features.
    """

    features: np.ndarray
    vectors: np.ndarray
    products: np.ndarray
    mean_slope: float
    product_slope: float

    @classmethod
    def of(cls, features: np.ndarray, radius: float) -> _Seen:
        """What is measured where vectors are shortened to a radius."""
        vectors = lifted(features, radius)
        shortened = 1 / np.linalg.norm(features, axis=1).clip(radius)
        across = (1 - 1 / features.shape[1]) if features.shape[1] > 1 else 1.0
        mean_slope = math.sqrt(COUNT_SHARE * (1 - COUNT_SHARE)) * float(shortened.mean()) * across
        product_slope = (1 - COUNT_SHARE) * float(np.square(shortened).mean()) * across
        return cls(features, vectors, vectors.T @ vectors / len(vectors), mean_slope, product_slope)


class Copies:
    """Draws copies of the trial that was measured.

    Args:
        measured: what was bought.
        schema: the cohort it was bought of.
        randomness: any; there is nothing to hide here.
    """

    def __init__(self, measured: Measured, schema: Schema, randomness: np.random.Generator) -> None:
        self._measured, self._schema, self._randomness = measured, schema, randomness
        self._scores = NormalScores(schema, measured.histograms)
        self._histograms = HistogramMeans(self._scores, measured.histograms)
        self._sizes = np.array([each.participants for each in measured.histograms])  # (k,)
        self._thresholded = np.zeros(self._scores.width, dtype=bool)  # whose latent scores have no size of their own
        self._turned = np.ones((self._scores.width,) * 2)  # 0 for products that shares of categories settle
        for cell in self._scores.cells:
            own = [cell.columns] * cell.measure.nominal + [slice(cell.flag, cell.flag + 1)] * cell.flagged
            for columns in own:
                self._thresholded[columns], self._turned[columns, columns] = True, 0
        with threadpool_limits(limits=1):  # matrices are small: threads would wait for each other
            self._posterior = ProductPosterior(measured.products, self._scores.encoding.places)
            pool = [self._standard(POOL) for _ in self._sizes]
            targets = list(map(Target, self._posterior.middle, self._histograms.middle))
            self._middle = self._aligned(measured.moments(self._scores), pool, targets, FIRST_ROUNDS)
            middle = enumerate(zip(self._middle, pool, strict=True))
            self._pool = [self._seen(each, own, label) for label, (each, own) in middle]

    def draw(self, participants: int) -> Participants:
        """One copy, of another draw of the posterior each time.

        Args:
            participants: how many; public, such as the nominal size.

        Returns:
            A cohort in the trial's own units with ids S000001 and so on.
        """
        labels = labels_by_shares(self._schema, participants, self._randomness)
        return self._of(labels, self._targets(np.bincount(labels, minlength=len(self._sizes))))

    def _of(self, labels: np.ndarray, targets: Sequence[Target]) -> Participants:
        """Participants of these classes (n,), of whom what is measured is what is aimed at."""
        with threadpool_limits(limits=1):
            sizes = np.bincount(labels, minlength=len(self._sizes))
            standard = [self._standard(int(size)) for size in sizes]
            moments = self._aligned(self._middle, standard, targets, ROUNDS)
        scores = np.empty((len(labels), self._scores.width))
        for label, (each, own) in enumerate(zip(moments, standard, strict=True)):
            scores[labels == label] = _moved(each, own)
        return Participants(self._schema, numbered_ids(len(labels)), labels, self._scores.values(scores, labels))

    def _targets(self, sizes: np.ndarray) -> list[Target]:
        """A draw of what is to be measured of classes of so many, (k,)."""
        drawn = zip(self._posterior.draw(self._randomness), self._histograms.draw(self._randomness), strict=True)
        targets = []
        for (products, means), seen, size, measured in zip(drawn, self._pool, sizes, self._sizes, strict=True):
            others = math.sqrt(max(1 / measured - 1 / size, 0.0)) * self._randomness.standard_normal(len(seen.features))
            others -= others.mean()  # the error of having measured so many, not all, by a multiplier bootstrap
            vectors, root = seen.vectors, math.sqrt(len(seen.vectors))
            targets.append(
                Target(products + (vectors * others[:, None]).T @ vectors / root, means + others @ seen.features / root)
            )
        return targets

    def _aligned(
        self, moments: Sequence[ClassMoments], standard: Sequence[np.ndarray], targets: Sequence[Target], rounds: int
    ) -> list[ClassMoments]:
        """Moments by which standard normal draws of each class, [k] (n, W), give what is to be measured of them."""
        shares, before = self._sizes / self._sizes.sum(), self._scores.encoding.before
        found = alike_before(moments, before, shares)
        for gain in 1 - np.arange(rounds) / rounds:  # so that it settles, though shares of categories go by steps
            seen = [self._seen(each, own, label) for label, (each, own) in enumerate(zip(found, standard, strict=True))]
            squares = np.average([np.square(each.features).sum(axis=1).mean() for each in seen], weights=shares)
            scale = math.sqrt(self._scores.squares.sum() / LIMIT**2 / float(squares))
            moved = [
                self._step(*each, scale, gain, label)
                for label, each in enumerate(zip(found, seen, targets, strict=True))
            ]
            found = alike_before(moved, before, shares)
        return found

    def _step(
        self, moments: ClassMoments, seen: _Seen, target: Target, scale: float, gain: float, label: int
    ) -> ClassMoments:
        """Moments nearer to those that give what is to be measured: a step of a fixed-point iteration."""
        slopes = seen.mean_slope, seen.product_slope
        noise = self._measured.products[label].noise_sd / math.sqrt(2) / slopes[0]
        trust = 1 / (1 + noise**2 / self._histograms.variances[label])  # in products, beside histograms
        by_products = (target.products - seen.products)[0, 1:] / slopes[0]
        shift = trust * by_products + (1 - trust) * (target.means - seen.features.mean(axis=0))
        turn = gain * self._turned * (target.products - seen.products)[1:, 1:] / slopes[1]
        covariance = moments.covariance + turn
        size = np.sqrt(np.diag(covariance).clip(1e-3 / LIMIT**2))
        factor = np.where(self._thresholded, 1 / (LIMIT * size), scale**gain)
        covariance = nearest_covariance(covariance * np.outer(factor, factor), float(len(size)))
        return ClassMoments(moments.mean + gain * shift.clip(-LONGEST / LIMIT, LONGEST / LIMIT), covariance)

    def _seen(self, moments: ClassMoments, standard: np.ndarray, label: int) -> _Seen:
        """What a study measures of draws of a class, rounding and limits included."""
        labels = np.full(len(standard), label)
        values = self._scores.values(_moved(moments, standard), labels)
        return _Seen.of(self._scores.scores(values, labels) / LIMIT, self._measured.products[label].radius)

    def _standard(self, draws: int) -> np.ndarray:
        """Standard normal draws (draws, W), without the error of drawing so many."""
        drawn = self._randomness.standard_normal((draws, self._scores.width))
        return standardised(torch.from_numpy(drawn)).numpy()


def _moved(moments: ClassMoments, standard: np.ndarray) -> np.ndarray:
    """Normal scores (n, W) with these moments, of standard ones."""
    eigenvalues, eigenvectors = np.linalg.eigh(moments.covariance)
    root = (eigenvectors * np.sqrt(eigenvalues.clip(0))) @ eigenvectors.T  # of all roots the one that moves smoothly
    scores: np.ndarray = LIMIT * (moments.mean + standard @ root)
    return scores
