"""Noisy scores: how well synthetic participants teach a classifier to rank real ones, at a price known beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import dp_accounting
import numpy as np

from cohorts import Schema
from privacy.mechanisms.gaussian import GaussianNoise, require_positive, scale_for
from privacy.mechanisms.labels import require_labels, shares_of_classes
from privacy.mechanisms.mechanism import Kind, Whole

MARGIN_SDS = 2.0
"""A floor lies this many standard deviations below the count expected: a random split falls short in about 2 % of
cases, and then by a few participants, which lowers all scores of the split alike."""

# A score is one correctly rounded quotient, so two neighbours' scores may differ by this much more than in theory.
DIVISION_ROUNDING = 2.0**-52


@dataclass(frozen=True)
class Floors:
    """The counts that wins of one class over the others are divided by at least.

    Args:
        positive: m1, of the participants of the class.
        negative: m0, of all others.
    """

    positive: int
    negative: int

    def __post_init__(self) -> None:
        if min(self.positive, self.negative) < 1:
            raise ValueError(f"the floors are {self.positive} and {self.negative}; both must be at least 1")


@dataclass(frozen=True)
class ScoreFloors:
    """The floors of a score; fixed from public figures before anything is read.

    Args:
        of_each: of the label's two classes only that of class 1 against class 0, since the other way round the wins are
            the same; of more, those of each class against all others.
    """

    of_each: tuple[Floors, ...]

    @classmethod
    def two(cls, positive: int, negative: int) -> ScoreFloors:
        """Those of two classes: m1 of class 1, and m0 of class 0."""
        return cls((Floors(positive, negative),))

    @classmethod
    def none(cls, classes: int) -> ScoreFloors:
        """Floors with which a score of k classes is its AUC, and less only where a class is missing."""
        return cls((Floors(1, 1),) * (1 if classes == 2 else classes))

    @property
    def positive_classes(self) -> tuple[int, ...]:
        """The number of the class that is set against others in each place."""
        return (1,) if len(self.of_each) == 1 else tuple(range(len(self.of_each)))

    @property
    def classes(self) -> int:
        """k."""
        return max(2, len(self.of_each))

    @property
    def sensitivity(self) -> float:
        """The most that one participant, added or removed, changes a score, which is a mean of floored AUCs.

        Take one class against the others. Let W be the wins, 0 <= W <= n1 n0, and D0 = max(n0, m0). Add a participant
        of the class with w wins over the n0 others, 0 <= w <= n0; another participant is the mirror image, and removing
        is adding read backwards.

        - n1 < m1: the denominator stays m1 D0, and the AUC rises by w / (m1 D0) <= n0 / (m1 n0) = 1 / m1.
        - n1 >= m1: the AUC changes by (W + w) / ((n1 + 1) D0) - W / (n1 D0) = (n1 w - W) / (n1 (n1 + 1) D0).
          Both n1 w and W lie in [0, n1 n0], so that is at most n1 n0 / (n1 (n1 + 1) D0) <= 1 / (n1 + 1) < 1 / m1.

        So a participant of a class changes its AUC by at most 1 over the floor of the class, and that of each other
        class by at most 1 over the floor of its others. With k = 2 both are the same AUC, so it is 1 / min(m1, m0).
        With more it is the mean of one of the former and k - 1 of the latter, for the class where that is largest. It
        holds for every data set; the first case reaches it in all k at once.

        Against pairs of classes (Hand and Till 2001) the mean would change by 2 / (k m) for a class with the floor m:
        as much where all classes are of one size, and more where one is rare.
        """
        if len(self.of_each) == 1:
            return 1 / min(self.of_each[0].positive, self.of_each[0].negative)
        as_other = sum(1 / each.negative for each in self.of_each)
        return max(1 / each.positive + as_other - 1 / each.negative for each in self.of_each) / len(self.of_each)


def public_floors(schema: Schema, split_share: float) -> ScoreFloors:
    """Floors that the counts of a split rarely fall below.

    A class of a split has about ``N p`` participants, where N is the nominal size and p the share of the split times
    the share of the class, with a standard deviation of at most ``sqrt(N p (1 - p))``. The floor lies ``MARGIN_SDS`` of
    them below; likewise of all other classes together. A higher floor means less noise, a lower one a score that is
    more surely the AUC; privacy holds either way.

    Args:
        schema: gives the nominal size and the shares of the classes, all public.
        split_share: expected share of participants in the split that scores are computed on.

    Returns:
        Floors, at least 1 each.
    """
    if not 0 < split_share <= 1:
        raise ValueError(f"the share of the split is {split_share}; it must lie in (0, 1]")

    def floor(share: float) -> int:
        p = split_share * share
        expected = schema.nominal_size * p
        return max(1, math.floor(expected - MARGIN_SDS * math.sqrt(expected * (1 - p))))

    shares = shares_of_classes(schema)
    if len(shares) == 2:
        return ScoreFloors.two(floor(shares[1]), floor(shares[0]))
    return ScoreFloors(tuple(Floors(floor(share), floor(1 - share)) for share in shares))


def floored_auc(ranking: np.ndarray, labels: np.ndarray, floors: ScoreFloors) -> float:
    """How well participants are ranked: not noisy, not for release.

    Of two classes it is the wins of class 1 over class 0, ties counting half, over ``max(n1, m1) max(n0, m0)``: the AUC
    once both counts reach their floors, and the AUC times a factor below 1 otherwise. Of more it is the mean of what
    each class against all others comes to.

    Args:
        ranking: float (n,), larger for participants deemed of class 1; of k > 2 classes (n, k), each column larger for
            those deemed of its class. Sensitive. A participant's values must be computed from that participant alone,
            row by row; NaN counts as 0.
        labels: numbers of the classes, (n,). Sensitive.
        floors: m1 and m0 of each.

    Returns:
        The score, in [0, 1]; a class that is absent counts as 0.

    Raises:
        ValueError: when lengths differ or a label is the number of no class.
    """
    ranking, labels = np.asarray(ranking, dtype=np.float64), np.asarray(labels)
    if labels.ndim != 1 or ranking.shape != labels.shape + ((floors.classes,) if floors.classes > 2 else ()):
        raise ValueError("a ranking must have one number for each label, and of more than two classes one for each")
    require_labels(labels, floors.classes)
    columns = np.nan_to_num(ranking.reshape(len(labels), len(floors.of_each)), nan=0.0, posinf=np.inf, neginf=-np.inf).T
    scores = [
        _floored(column, labels == positive, each)
        for column, positive, each in zip(columns, floors.positive_classes, floors.of_each, strict=True)
    ]
    return float(sum(scores) / len(scores))


def _floored(ranking: np.ndarray, members: np.ndarray, floors: Floors) -> Fraction:
    """Wins of members over others, over what they are divided by: exactly."""
    positive, negative = ranking[members], np.sort(ranking[~members])  # (n1,), (n0,)
    below = np.searchsorted(negative, positive, side="left")  # wins of each, (n1,)
    below_or_tied = np.searchsorted(negative, positive, side="right")
    half_wins = int(below.sum() + below_or_tied.sum())
    return Fraction(half_wins, 2 * max(len(positive), floors.positive) * max(len(negative), floors.negative))


@dataclass(frozen=True)
class NoisyScores(Whole):
    """Floored AUCs of several classifiers, released together under one charge. Every field is public.

    Guarantee: ``event``, rho-zCDP with ``rho = K (sensitivity / noise_sd)^2 / 2``: each of the K scores moves by at
    most ``floors.sensitivity``, so their vector moves by at most sqrt(K) times that in 2-norm. The true class counts
    have no part in the noise. The classifiers must not have been trained on the participants who are ranked, unless
    that training is charged as well.

    Args:
        floors: of each score.
        classifiers: K, how many scores are released together.
        noise_sd: standard deviation of the noise on each score, before the noisy score is clamped to [0, 1].
    """

    floors: ScoreFloors
    classifiers: int
    noise_sd: float

    kind: ClassVar[Kind] = "scores"

    def __post_init__(self) -> None:
        if self.classifiers < 1:
            raise ValueError(f"scores of {self.classifiers} classifiers were asked for; there must be at least one")
        require_positive("the standard deviation of the noise", self.noise_sd)

    @classmethod
    def costing(cls, floors: ScoreFloors, classifiers: int, rho: float) -> NoisyScores:
        """The least noise whose charge is at most ``rho``."""
        return cls(floors, classifiers, scale_for(rho, _vector_sensitivity(floors, classifiers)))

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return self._noise.event

    def release(self, rankings: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """Score participants, with noise.

        Args:
            rankings: for each of the K classifiers, as in ``floored_auc``. Sensitive.
            labels: numbers of the classes, (n,). Sensitive.

        Returns:
            float64 (K,), noisy scores clamped to [0, 1]: protected at the price of ``event``.

        Raises:
            ValueError: when there are not K rankings, a length differs, or a label is the number of no class.
        """
        if len(rankings) != self.classifiers:
            raise ValueError(
                f"scores of {self.classifiers} classifiers were planned; {len(rankings)} rankings were given"
            )
        scores = np.array([floored_auc(ranking, labels, self.floors) for ranking in rankings])
        released: np.ndarray = np.clip(self._noise.release(scores), 0, 1)
        return released

    def auc_metrics(
        self, classifiers: Sequence[str], rankings: Sequence[np.ndarray], labels: np.ndarray
    ) -> dict[str, float]:
        """``release`` as metrics: ``auc_`` and the classifier's name."""
        released = self.release(rankings, labels)
        return {f"auc_{name}": float(auc) for name, auc in zip(classifiers, released, strict=True)}

    @property
    def _noise(self) -> GaussianNoise:
        sensitivity = _vector_sensitivity(self.floors, self.classifiers)
        return GaussianNoise(self.classifiers, 0.0, 1.0, sensitivity, self.noise_sd)


def _vector_sensitivity(floors: ScoreFloors, classifiers: int) -> float:
    return math.sqrt(classifiers) * (floors.sensitivity + DIVISION_ROUNDING)
