"""Copies of a trial: each could have given what was measured, as far as its noise tells.

A copy begins with a draw of what the measurements would have been without noise: Gaussian noise is symmetric and its
size is public, so what was bought with such noise added once more is a draw from the posterior under a flat prior (of
products that are alike, under that of ``ProductPosterior``). Histograms are smoothed, so theirs is a parametric
bootstrap: people as the smooth shares say, with the same noise, smoothed again. It says what values a copy's scores
stand for. A sample of Gaussian normal scores is then moved, class by class, until what would be measured of this very
sample is what was drawn: it is shifted by what its means lack, turned by what its products lack, and stretched to the
spread that histograms and products say together, by how well each knows it. Where two-way tables were measured the
sample is chosen of a larger one (``Tables``), so that these are a draw, too. So copies differ by the noise, and not by
the error of drawing; each stands for the trial that was measured, as a completed data set of multiple imputation does,
and Rubin's rules hold for them.

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
from privacy.mechanisms.histograms import NoisyHistograms, places_of, size_variance
from privacy.mechanisms.labels import labels_by_shares
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.moments import COUNT_SHARE, ClassMoments, alike_before, lifted, nearest_covariance, power_of
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.shrinkage import ProductPosterior
from trainables.generators import numbered_ids
from trainables.measured.histogram_means import HistogramMeans
from trainables.measured.network import standardised
from trainables.measured.products import without_luck
from trainables.measured.tables import OVER, Tables

POOL = 4000
"""Draws of each class by which the middle of all copies is found."""

FIRST_ROUNDS, ROUNDS = 16, 6
"""How often a sample is moved, less each time: to find the middle, and from there to a copy."""

LONGEST, FACTOR = 1.0, 2.0
"""Of one move of a mean, in standard deviations, and the largest factor that a standard deviation changes by in one."""

LEAST_NOISE = 1e-3
"""In what was measured before randomisation, beside its variance: some of it may follow from the rest of it."""

LEAST_VARIANCE = 1e-3
"""Of what is measured of a score that hardly varies."""

BEYOND = 1.2
"""How far a step may take a correlation before all are made those of a distribution, which draws them towards 0: with 1
they are drawn too far, without a limit the steps do not settle.
"""

SMALLEST, LARGEST = 0.2, 2.5
"""Standard deviations of a class's scores: in all classes together it is about 1."""

LEAST_OF_CLASS = 10
"""Participants that a class of a copy has at least, or as many as were measured if that is fewer, but one."""

LEAST_SHARE = 0.1
"""Of the variance that histograms say, below which no noise in products brings one; and of that which a score has left
where correlations are made those of a distribution.
"""


@dataclass(frozen=True)
class Target:
    """What is to be measured of a class of a copy.

    Args:
        products: mean of P P^T, (W + 1, W + 1).
        means: of normal scores over LIMIT, as histograms say them, (W,).
        squares: likewise their mean squares, (W,).
    """

    products: np.ndarray
    means: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True)
class _Seen:
    """What is measured of a class of a sample.

    Args:
        features: normal scores over LIMIT, (n, W).
        squares: their mean squares, (W,), none so small that nothing could be divided by it.
        vectors: P, (n, W + 1).
        products: mean of P P^T.
        mean_slope: by how much a mean of P moves with one of the features, about.
        product_slope: likewise a product of P with one of the features.
    """

    features: np.ndarray
    squares: np.ndarray
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
        squares = np.square(features).mean(axis=0).clip(LEAST_VARIANCE / LIMIT**2)
        return cls(features, squares, vectors, vectors.T @ vectors / len(vectors), mean_slope, product_slope)


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
        self._tables = Tables(measured, self._scores)
        expected = tuple(each.participants for each in measured.histograms)
        self._noisy = NoisyHistograms(self._scores.bins, expected, measured.histograms[0].noise_sd)
        self._sizes = np.array([each.participants for each in measured.histograms])  # (k,)
        self._thresholded = np.zeros(self._scores.width, dtype=bool)  # whose latent scores have no size of their own
        self._early = np.concatenate([[1.0], self._scores.encoding.before])
        self._turned = np.ones((self._scores.width,) * 2)  # 0 for products that shares of categories settle
        for cell in self._scores.cells:
            own = [cell.columns] * cell.measure.nominal + [slice(cell.flag, cell.flag + 1)] * cell.flagged
            for columns in own:
                self._thresholded[columns], self._turned[columns, columns] = True, 0
        with threadpool_limits(limits=1):  # matrices are small: threads would wait for each other
            self._posterior = ProductPosterior(measured.products, self._scores.encoding.places)
            pool = [self._standard(POOL) for _ in self._sizes]
            squares = self._histograms.squares(measured.histograms)
            targets = list(map(Target, self._posterior.middle, self._histograms.middle, squares))
            self._middle = self._aligned(measured.moments(self._scores), pool, targets, self._scores, FIRST_ROUNDS)
            if self._tables:
                self._gaussian = self._middle
                begun, pool = self._begun([POOL] * len(pool), self._tables.middle)
                self._middle = self._aligned(begun, pool, targets, self._scores, FIRST_ROUNDS)
            middle = list(enumerate(zip(self._middle, pool, strict=True)))
            self._pool = [self._seen(each, own, label, self._scores) for label, (each, own) in middle]
            values = (_values(each, own, label, self._scores) for label, (each, own) in middle)
            self._places = [places_of(self._scores.encoding.positions(each), self._scores.bins) for each in values]

    def draw(self, participants: int) -> Participants:
        """One copy, of another draw of the posterior each time.

        Args:
            participants: how many; public, such as the nominal size.

        Returns:
            A cohort in the trial's own units with ids S000001 and so on.
        """
        labels = labels_by_shares(self._shares(participants).tolist(), participants, self._randomness)
        return self._of(labels, *self._targets(np.bincount(labels, minlength=len(self._sizes))))

    def _shares(self, participants: int) -> np.ndarray:
        """A draw of the shares of classes, (k,): those of arms are what somebody decided."""
        shares = np.array(self._scores.shares)
        if self._schema.label.randomised:
            return shares
        noise_sd = self._noisy.noise_sd * math.sqrt(size_variance(self._scores.bins))
        sizes = self._sizes + noise_sd * self._randomness.standard_normal(len(shares))
        of_others = math.sqrt(max(1 / self._sizes.sum() - 1 / participants, 0.0))
        others = self._randomness.standard_normal(len(shares)) * np.sqrt(shares)
        drawn = sizes / sizes.sum() + of_others * (others - shares * others.sum())  # as of a multinomial
        drawn = drawn.clip(np.minimum(shares, LEAST_OF_CLASS / participants).clip(1 / participants))
        likely: np.ndarray = drawn / drawn.sum()
        return likely

    def _of(self, labels: np.ndarray, targets: Sequence[Target], scores: NormalScores) -> Participants:
        """Participants of these classes (n,), of whom what is measured is what is aimed at."""
        with threadpool_limits(limits=1):
            sizes = np.bincount(labels, minlength=len(self._sizes))
            tables = self._tables.drawn(len(labels), self._randomness)
            if self._tables:
                begun, standard = self._begun(list(sizes), tables)
            else:
                begun, standard = self._middle, [self._standard(int(size)) for size in sizes]
            moments = self._aligned(begun, standard, targets, scores, ROUNDS)
        drawn = np.empty((len(labels), scores.width))
        for label, (each, own) in enumerate(zip(moments, standard, strict=True)):
            drawn[labels == label] = _moved(each, own)
        drawn = self._tables.exchanged(drawn, labels, scores, tables)
        return Participants(self._schema, numbered_ids(len(labels)), labels, scores.values(drawn, labels))

    def _targets(self, sizes: np.ndarray) -> tuple[list[Target], NormalScores]:
        """A draw of what is to be measured of classes of so many, (k,), and of what values their scores stand for."""
        others = [self._of_others(*each) for each in zip(self._pool, sizes, self._sizes, strict=True)]
        moved = [
            np.bincount(places.ravel(), np.repeat(each, places.shape[1]), len(own.smooth))
            for places, each, own in zip(self._places, others, self._measured.histograms, strict=True)
        ]
        again = self._noisy.again(self._measured.histograms, moved, self._randomness)
        drawn = zip(self._posterior.draw(self._randomness), others, self._pool, strict=True)
        products = [each + (seen.vectors * own[:, None]).T @ seen.vectors for each, own, seen in drawn]
        targets = map(
            Target, products, self._histograms.means(again), self._histograms.squares(again, self._randomness)
        )
        return list(targets), NormalScores(self._schema, again)

    def _of_others(self, seen: _Seen, size: int, measured: float) -> np.ndarray:
        """By how much each of the pool counts more or less, (n,), with the error of having measured so many, not all.

        By a multiplier bootstrap.
        """
        scale = math.sqrt(max(1 / measured - 1 / size, 0.0) / len(seen.features))
        others = self._randomness.standard_normal(len(seen.features))
        counted: np.ndarray = scale * (others - others.mean())
        return counted

    def _aligned(
        self,
        moments: Sequence[ClassMoments],
        standard: Sequence[np.ndarray],
        targets: Sequence[Target],
        scores: NormalScores,
        rounds: int,
    ) -> list[ClassMoments]:
        """Moments by which standard normal draws of each class, [k] (n, W), give what is to be measured of them."""
        shares, before = self._sizes / self._sizes.sum(), self._scores.encoding.before
        found = alike_before(moments, before, shares)
        for gain in 1 - np.arange(rounds) / rounds:  # so that it settles, though shares of categories go by steps
            drawn = enumerate(zip(found, standard, strict=True))
            seen = [self._seen(each, own, label, scores) for label, (each, own) in drawn]
            squares = [[each.squares.sum() for each in those] for those in (targets, seen)]
            larger = math.sqrt(float(np.divide(*np.average(squares, axis=1, weights=shares))))
            moved = [
                self._step(*each, larger, gain, label)
                for label, each in enumerate(zip(found, seen, targets, strict=True))
            ]
            found = alike_before(moved, before, shares)
        return found

    def _step(
        self, moments: ClassMoments, seen: _Seen, target: Target, larger: float, gain: float, label: int
    ) -> ClassMoments:
        """Moments nearer to those that give what is to be measured: a step of a fixed-point iteration."""
        slopes = seen.mean_slope, seen.product_slope
        noise = self._measured.products[label].noise_sd / math.sqrt(2) / slopes[0]
        trust = 1 / (1 + noise**2 / self._histograms.variances[label])  # in products, beside histograms
        lacking = without_luck(target.products - seen.products, target.products, self._early)
        by_products = lacking[0, 1:] / slopes[0]
        shift = trust * by_products + (1 - trust) * (target.means - seen.features.mean(axis=0))
        shift -= self._follows(moments, shift, self._sizes[label] * trust * noise**2)
        turn = gain * self._turned * lacking[1:, 1:] / slopes[1]
        covariance = moments.covariance + turn
        # Of how large scores are products say no more than how much larger one is than another: vectors are shortened.
        before = np.diag(moments.covariance)
        by_products = larger ** (2 * gain) * np.diag(covariance)
        by_histograms = before * (target.squares / seen.squares) ** gain
        noise = self._measured.products[label].noise_sd / slopes[1]
        trust = 1 / (1 + noise**2 / self._histograms.variances_of_squares[label])
        variance = (trust * by_products + (1 - trust) * by_histograms).clip(LEAST_SHARE * by_histograms)
        variance = variance.clip(before / FACTOR**2, before * FACTOR**2)
        size = np.where(self._thresholded, 1, (LIMIT * np.sqrt(variance)).clip(SMALLEST, LARGEST)) / LIMIT
        correlations = (covariance / np.sqrt(np.outer(variance, variance))).clip(-BEYOND, BEYOND)
        np.fill_diagonal(correlations, 1)
        nearest = nearest_covariance(correlations, float(len(size)))
        nearest += np.diag((LEAST_SHARE - np.diag(nearest)).clip(0))  # where others left next to nothing
        factor = size / np.sqrt(np.diag(nearest))
        covariance = nearest * np.outer(factor, factor)
        return ClassMoments(moments.mean + gain * shift.clip(-LONGEST / LIMIT, LONGEST / LIMIT), covariance)

    def _follows(self, moments: ClassMoments, shift: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """What of a shift of means (W,) follows from how a class differed by chance before randomisation: (W,).

        Copies have no such chance, so what comes later must not have what followed from it: a class that had higher
        pressure before has it later, too. The best linear guess, as of analysis of covariance: noise in what was
        measured before, of variance ``noise`` (W,) beside that of one participant, follows from nobody.
        """
        early, late = np.flatnonzero(self._early[1:]), np.flatnonzero(1 - self._early[1:])
        follows = np.zeros_like(shift)
        if len(early):
            known = moments.covariance[np.ix_(early, early)]
            known += np.diag(noise[early] + LEAST_NOISE * np.diag(known).mean())
            follows[late] = moments.covariance[np.ix_(late, early)] @ np.linalg.solve(known, shift[early])
        return follows

    def _seen(self, moments: ClassMoments, standard: np.ndarray, label: int, scores: NormalScores) -> _Seen:
        """What a study measures of draws of a class with such values for scores, rounding and limits included."""
        values, labels = _values(moments, standard, label, scores), np.full(len(standard), label)
        return _Seen.of(self._scores.scores(values, labels) / LIMIT, self._measured.products[label].radius)

    def _begun(self, sizes: Sequence[int], tables: Sequence[np.ndarray]) -> tuple[list[ClassMoments], list[np.ndarray]]:
        """Moments of each class, and standard draws (n, W), that make scores with such two-way tables."""
        many = [
            _moved(each, self._standard(OVER * int(size))) for each, size in zip(self._gaussian, sizes, strict=True)
        ]
        chosen = self._tables.choose(many, tables, self._randomness)
        taken = [each[which] / LIMIT for each, which in zip(many, chosen, strict=True)]
        moments = [ClassMoments(each.mean(axis=0), np.cov(each.T, bias=True)) for each in taken]
        return moments, [_unmoved(*each) for each in zip(moments, taken, strict=True)]

    def _standard(self, draws: int) -> np.ndarray:
        """Standard normal draws (draws, W), without the error of drawing so many."""
        drawn = self._randomness.standard_normal((draws, self._scores.width))
        return standardised(torch.from_numpy(drawn)).numpy()


def _values(moments: ClassMoments, standard: np.ndarray, label: int, scores: NormalScores) -> np.ndarray:
    """Values (n, M, V) of participants of a class whose normal scores have these moments."""
    return scores.values(_moved(moments, standard), np.full(len(standard), label))


def _moved(moments: ClassMoments, standard: np.ndarray) -> np.ndarray:
    """Normal scores (n, W) with these moments, of standard ones."""
    scores: np.ndarray = LIMIT * (moments.mean + standard @ power_of(moments.covariance, 0.5))
    return scores


def _unmoved(moments: ClassMoments, features: np.ndarray) -> np.ndarray:
    """Standard draws (n, W), of which ``_moved`` makes what these normal scores over LIMIT are."""
    standard: np.ndarray = (features - moments.mean) @ power_of(moments.covariance, -0.5)
    return standard
