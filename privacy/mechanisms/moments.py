"""Noisy mean and covariance of each label class, bought once, and participants drawn from them for nothing more.

With P = (tau, sqrt(1 - tau^2) x / R) for a participant's features x, clipped to 2-norm R, the one statistic of a class
is the sum of P P^T over its participants: it holds their number, the sum of x and the sum of x x^T at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import dp_accounting
import numpy as np

from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.gaussian import GaussianNoise, scale_for
from privacy.mechanisms.labels import labels_by_shares, require_labels, shares_of_classes
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.mechanisms.simplex import onto_simplex

COUNT_SHARE = 0.2
"""tau^2, the share of the sensitivity that goes to the number of participants; the rest is for their features."""

TYPICAL_FEATURE = 0.5
"""Root mean square assumed of a continuous or whole-numbered feature, whose range is [-1, 1], by ``public_radius``."""

LEAST_VARIANCE = 1e-4
"""Mean variance of a feature below which no covariance is said to be."""

LEAST_EIGENVALUE = 1e-9
"""Of a covariance, below which features do not vary."""

GRID = 2**16
"""Coordinates of P are cut to multiples of 1 / GRID: sums of their products are whole numbers, so they are exact and
do not depend on the order of participants (Casacuberta et al., "Widespread Underestimation of Sensitivity in
Differentially Private Libraries and How to Fix It", 2022)."""

SENSITIVITY = 1 + 2.0**-20
"""The most that one participant, added or removed, changes the statistic in 2-norm.

A participant adds P P^T to the matrix of their class and nothing to the others'. A matrix is released as its upper
triangle with entries off the diagonal times sqrt(2), so the 2-norm of what is released is the matrix's Frobenius norm,
and that of P P^T is ``||P||^2 = tau^2 + (1 - tau^2) ||x||^2 / R^2 <= 1``, since ``||x|| <= R``. Cutting coordinates
towards 0 makes no P longer. What exceeds 1 covers floating point, in which norms and the factor sqrt(2) are rounded.
"""


@dataclass(frozen=True)
class ClassMoments:
    """What was bought about one label class: safe to look at.

    Args:
        mean: float64 (F,), in [-1, 1].
        covariance: float64 (F, F), positive semidefinite.
    """

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def root(self) -> np.ndarray:
        """A matrix A of which the covariance is A A^T: float64 (F, F)."""
        eigenvalues, eigenvectors = np.linalg.eigh(self.covariance)  # (F,), (F, F)
        root: np.ndarray = eigenvectors * np.sqrt(np.clip(eigenvalues, 0, None))
        return root

    def sample(self, participants: int, randomness: np.random.Generator) -> np.ndarray:
        """Features of participants who never lived: float64 (participants, F), Gaussian, not clamped."""
        features: np.ndarray = self.mean + randomness.standard_normal((participants, len(self.mean))) @ self.root.T
        return features


@dataclass(frozen=True)
class NoisyProducts:
    """The mean of P P^T over one label class, noisy as it was bought: safe to look at.

    Args:
        mean: symmetric float64 (F + 1, F + 1).
        noise_sd: standard deviation of the noise on its diagonal; entries off it have 1 / sqrt(2) of that.
        radius: R, the 2-norm that features were clipped to.
        participants: of the class, as the noisy sums say; at least half the public expectation.
        smooth: as mean, with less noise where something is known of what is alike; else the same.
    """

    mean: np.ndarray
    noise_sd: float
    radius: float
    participants: float
    smooth: np.ndarray

    @property
    def moments(self) -> ClassMoments:
        """Mean and covariance; reads no participant."""
        per_feature = self.radius / math.sqrt(1 - COUNT_SHARE)  # x is this times the coordinates of P after the first
        mean = (self.smooth[0, 1:] * per_feature / math.sqrt(COUNT_SHARE)).clip(-1, 1)  # (F,)
        largest = self.radius**2
        second_moment = (self.smooth[1:, 1:] * per_feature**2).clip(-largest, largest)  # (F, F)
        return ClassMoments(mean, nearest_covariance(second_moment - np.outer(mean, mean), largest))


@dataclass(frozen=True)
class NoisyMoments(Whole):
    """Mean and covariance of the features of each of the k label classes, under one charge. Every field is public.

    Guarantee: ``event``, rho-zCDP with ``rho = SENSITIVITY^2 / (2 noise_sd^2)``, whatever the features are: NaN counts
    as 0, coordinates are clamped to [-1, 1], and longer vectors are shortened to the 2-norm ``radius``.

    Args:
        features: F, length of a feature vector.
        radius: R, the 2-norm that features are clipped to; see ``public_radius``.
        expected: nominal number of participants of each class who will be read.
        noise_sd: standard deviation of the noise on each entry of a sum of P P^T; see the module.
    """

    features: int
    radius: float
    expected: tuple[float, ...]
    noise_sd: float

    kind: ClassVar[Kind] = "measurement"

    @classmethod
    def costing(cls, schema: Schema, split_share: float, rho: float) -> NoisyMoments:
        """The least noise whose charge is at most ``rho``.

        Args:
            schema: gives the features, their radius, and the nominal size and shares of the classes.
            split_share: expected share of participants in the split that is read.
            rho: what may be spent, in zCDP.
        """
        expected = tuple(schema.nominal_size * split_share * each.share for each in schema.label.classes)
        return cls(Encoding(schema).width, public_radius(schema), expected, scale_for(rho, SENSITIVITY))

    def __post_init__(self) -> None:
        if self.features < 1 or not (math.isfinite(self.radius) and self.radius > 0) or min(self.expected) <= 0:
            raise ValueError(
                f"{self.features} features of norm {self.radius} for {self.expected} participants; all must be above 0"
            )
        if not self.event.rho > 0:
            raise ValueError(f"the noise {self.noise_sd} is so large that its cost rounds to 0")

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return self._noise.event

    def release(self, features: np.ndarray, labels: np.ndarray) -> tuple[NoisyProducts, ...]:
        """Noisy products of participants' features, which their moments follow from.

        Args:
            features: (n, F), as ``Encoding.encode`` gives them. Sensitive.
            labels: number of the class, (n,). Sensitive.

        Returns:
            Those of each of the k classes: protected at the price of ``event``.

        Raises:
            ValueError: when shapes do not fit, or a label is the number of no class.
        """
        statistic = class_sums(features, labels, self.features, self.radius, len(self.expected))
        triangles = np.split(self._noise.release(statistic), len(self.expected))
        return tuple(map(self._products, triangles, self.expected))

    def _products(self, triangle: np.ndarray, expected: float) -> NoisyProducts:
        matrix = _from_triangle(triangle, self.features + 1)
        participants = max(float(matrix[0, 0]) / COUNT_SHARE, expected / 2)
        mean = matrix / participants
        return NoisyProducts(mean, self.noise_sd / participants, self.radius, participants, smooth=mean)

    @property
    def _noise(self) -> GaussianNoise:
        largest = 4 * sum(self.expected)
        size = len(self.expected) * (self.features + 1) * (self.features + 2) // 2
        return GaussianNoise(size, -largest, largest, SENSITIVITY, self.noise_sd)


def public_radius(schema: Schema) -> float:
    """A 2-norm that few feature vectors exceed, from kinds alone.

    A binary feature and a category's column are -1 or 1; others lie in a range that is wider than what is usual, and
    count as ``TYPICAL_FEATURE``. Shortening the few longer ones biases the moments a little and costs no privacy.
    """
    continuous = sum(int(schema.observed[m].sum()) for m, each in enumerate(schema.all_measures) if not each.nominal)
    return math.sqrt(Encoding(schema).width - continuous + continuous * TYPICAL_FEATURE**2)


def class_sums(features: np.ndarray, labels: np.ndarray, width: int, radius: float, classes: int) -> np.ndarray:
    """The statistic of sensitivity ``SENSITIVITY``: each class's sum of P P^T, not noisy, not for release.

    Args:
        features: (n, F), any numbers. Sensitive.
        labels: number of the class, (n,). Sensitive.
        width: F.
        radius: R.
        classes: k.

    Returns:
        float64 (k (F + 1) (F + 2) / 2,): upper triangle of class 0, then of class 1 and so on.
    """
    features, labels = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if features.ndim != 2 or features.shape[1] != width or features.shape[:1] != labels.shape:
        raise ValueError(f"features must be {width} numbers for each label; nothing was released")
    require_labels(labels, classes)
    whole = np.trunc(lifted(features, radius) * GRID).astype(np.int64)
    sums = [whole[labels == each].T @ whole[labels == each] for each in range(classes)]  # (F + 1, F + 1) each
    return np.concatenate([_to_triangle(each / GRID**2) for each in sums])


def lifted(features: np.ndarray, radius: float) -> np.ndarray:
    """The vectors P of the module, one row each: float64 (n, F + 1), of 2-norm at most 1.

    Args:
        features: (n, F), any numbers.
        radius: R.
    """
    features = np.clip(np.nan_to_num(features, nan=0.0), -1, 1)
    norms = np.sqrt(np.square(features).sum(axis=1, keepdims=True))  # (n, 1)
    unit = features / np.maximum(norms, radius)  # (n, F)
    return np.hstack([np.full_like(norms, math.sqrt(COUNT_SHARE)), math.sqrt(1 - COUNT_SHARE) * unit])


def nearest_covariance(matrix: np.ndarray, largest_trace: float) -> np.ndarray:
    """The positive semidefinite matrix nearest to a noisy one among those of the same trace (2-norm of entries).

    Eigenvalues are lowered by the one number that leaves, once negative ones are set to 0, their sum as it was. Setting
    them to 0 alone would keep the noise of the positive ones, and with it far too large a variance.

    Args:
        matrix: symmetric (F, F).
        largest_trace: public limit of the sum of variances.
    """
    trace = float(np.clip(np.trace(matrix), LEAST_VARIANCE * len(matrix), largest_trace))
    eigenvalues, eigenvectors = np.linalg.eigh(matrix)
    nearest: np.ndarray = (eigenvectors * onto_simplex(eigenvalues, trace)) @ eigenvectors.T
    return nearest


def alike_before(moments: Sequence[ClassMoments], before: np.ndarray, shares: Sequence[float]) -> list[ClassMoments]:
    """Moments that agree in what is from before randomisation; what comes later is in each class as it was.

    So are its correlations with what comes before: features from before randomisation are made uncorrelated in each
    class, and then what they are in all. Slopes are not kept: where a class hardly varies they say nothing, and others
    multiply them.

    Args:
        moments: of each of k classes.
        before: which features are from before randomisation, bool (F,).
        shares: of the classes.
    """
    if not before.any():
        return list(moments)
    early, late = np.flatnonzero(before), np.flatnonzero(~before)
    mean = np.average([each.mean[early] for each in moments], axis=0, weights=shares)
    spread = np.average([each.covariance[np.ix_(early, early)] for each in moments], axis=0, weights=shares)
    root, found = power_of(spread, 0.5), []
    for each in moments:
        means, covariance = each.mean.copy(), each.covariance.copy()
        own, across = covariance[np.ix_(early, early)], covariance[np.ix_(late, early)]
        across = across @ power_of(own, -0.5) @ root
        means[early], covariance[np.ix_(early, early)] = mean, spread
        covariance[np.ix_(late, early)], covariance[np.ix_(early, late)] = across, across.T
        found.append(ClassMoments(means, covariance))
    return found


def power_of(covariance: np.ndarray, exponent: float) -> np.ndarray:
    """The symmetric power of a positive semidefinite matrix; of a negative one, 0 where it has no inverse.

    Of all roots of a matrix the symmetric one moves smoothly with it.
    """
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    there = eigenvalues > LEAST_EIGENVALUE
    powers = np.where(there, eigenvalues.clip(LEAST_EIGENVALUE) ** exponent, 0)
    power: np.ndarray = (eigenvectors * powers) @ eigenvectors.T
    return power


def surrogate_cohort(
    moments: Sequence[ClassMoments], schema: Schema, participants: int, randomness: np.random.Generator
) -> Participants:
    """Participants drawn from noisy moments, each value one that its measure can have.

    It is computed from released numbers and public ones alone, so it may be read without limit.

    Args:
        moments: of each class.
        schema: of the cohort; gives the shares of the classes.
        participants: how many to draw; public, such as the nominal size.
        randomness: any; there is nothing to hide here.

    Returns:
        A cohort with ids S0, S1 and so on, its classes in random order.
    """
    features, shares = np.empty((participants, len(moments[0].mean))), shares_of_classes(schema)
    labels = labels_by_shares(shares, participants, randomness)
    for label, each in enumerate(alike_before(moments, Encoding(schema).before, shares)):
        features[labels == label] = each.sample(int((labels == label).sum()), randomness)
    ids = np.array([f"S{number}" for number in range(participants)])
    return Participants(schema, ids, labels, Encoding(schema).decode(features))


def _to_triangle(matrix: np.ndarray) -> np.ndarray:
    """Upper triangle, off the diagonal times sqrt(2): its 2-norm is the matrix's Frobenius norm."""
    rows, columns = np.triu_indices(len(matrix))
    return matrix[rows, columns] * np.where(rows == columns, 1.0, math.sqrt(2))


def _from_triangle(triangle: np.ndarray, size: int) -> np.ndarray:
    """The symmetric matrix of ``_to_triangle``."""
    rows, columns = np.triu_indices(size)
    matrix = np.zeros((size, size))
    matrix[rows, columns] = triangle / np.where(rows == columns, 1.0, math.sqrt(2))
    return matrix + np.triu(matrix, 1).T
