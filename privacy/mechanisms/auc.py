"""Noisy scores: how well synthetic participants teach a classifier to rank real ones, at a price known beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import dp_accounting
import numpy as np

from cohorts import Schema
from privacy.mechanisms.gaussian import GaussianNoise, require_positive, scale_for
from privacy.mechanisms.mechanism import Kind, Whole

MARGIN_SDS = 2.0
"""A floor lies this many standard deviations below the count expected: a random split falls short in about 2 % of
cases, and then by a few participants, which lowers all scores of the split alike."""

# A score is one correctly rounded division, so two neighbours' scores may differ by this much more than in theory.
DIVISION_ROUNDING = 2.0**-52


@dataclass(frozen=True)
class ScoreFloors:
    """The class counts a score divides by at least; fixed from public figures before anything is read.

    Args:
        positive: m1, of the participants with label 1.
        negative: m0, of the participants with label 0.
    """

    positive: int
    negative: int

    def __post_init__(self) -> None:
        if min(self.positive, self.negative) < 1:
            raise ValueError(f"the floors are {self.positive} and {self.negative}; both must be at least 1")

    @property
    def sensitivity(self) -> float:
        """The most that one participant, added or removed, changes a floored AUC: 1 / min(m1, m0).

        Let W be the wins, 0 <= W <= n1 n0, and D0 = max(n0, m0). Add a participant of class 1 with w wins over the n0
        others, 0 <= w <= n0; class 0 is the mirror image, and removing is adding read backwards.

        - n1 < m1: the denominator stays m1 D0, and the score rises by w / (m1 D0) <= n0 / (m1 n0) = 1 / m1.
        - n1 >= m1: the score changes by (W + w) / ((n1 + 1) D0) - W / (n1 D0) = (n1 w - W) / (n1 (n1 + 1) D0).
          Both n1 w and W lie in [0, n1 n0], so that is at most n1 n0 / (n1 (n1 + 1) D0) <= 1 / (n1 + 1) < 1 / m1.

        It holds for every data set, and is reached by the first case.
        """
        return 1 / min(self.positive, self.negative)


def public_floors(schema: Schema, split_share: float) -> ScoreFloors:
    """Floors that the counts of a split rarely fall below.

    A class of a split has about ``N p`` participants, where N is the nominal size and p the share of the split times
    the share of the class, with a standard deviation of at most ``sqrt(N p (1 - p))``. The floor lies ``MARGIN_SDS`` of
    them below. A higher floor means less noise, a lower one a score that is more surely the AUC; privacy holds either
    way.

    Args:
        schema: gives the nominal size and the shares of the classes, all public.
        split_share: expected share of participants in the split that scores are computed on.

    Returns:
        Floors, at least 1 each.
    """
    if not 0 < split_share <= 1:
        raise ValueError(f"the share of the split is {split_share}; it must lie in (0, 1]")

    def floor(class_share: float) -> int:
        p = split_share * class_share
        expected = schema.nominal_size * p
        return max(1, math.floor(expected - MARGIN_SDS * math.sqrt(expected * (1 - p))))

    negative, positive = (floor(each.share) for each in schema.label.classes)
    return ScoreFloors(positive, negative)


def floored_auc(ranking: np.ndarray, labels: np.ndarray, floors: ScoreFloors) -> float:
    """Wins of class 1 over class 0, ties counting half, over ``max(n1, m1) max(n0, m0)``: not noisy, not for release.

    It is the AUC once both counts reach their floors, and the AUC times a factor below 1 otherwise.

    Args:
        ranking: float (n,), larger for participants deemed of class 1. Sensitive. A participant's value must be
            computed from that participant alone, row by row; NaN counts as 0.
        labels: 0 or 1, (n,). Sensitive.
        floors: m1 and m0.

    Returns:
        The score, in [0, 1]; 0 where a class is absent.

    Raises:
        ValueError: when lengths differ or a label is neither 0 nor 1.
    """
    ranking, labels = np.asarray(ranking, dtype=np.float64), np.asarray(labels)
    if ranking.ndim != 1 or ranking.shape != labels.shape:
        raise ValueError("a ranking must have one number for each label; nothing was scored")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 or 1; nothing was scored")
    ranking = np.where(np.isnan(ranking), 0.0, ranking)
    positive, negative = ranking[labels == 1], np.sort(ranking[labels == 0])  # (n1,), (n0,)
    below = np.searchsorted(negative, positive, side="left")  # wins of each, (n1,)
    below_or_tied = np.searchsorted(negative, positive, side="right")
    half_wins = int(below.sum() + below_or_tied.sum())
    pairs = max(len(positive), floors.positive) * max(len(negative), floors.negative)
    return half_wins / (2 * pairs)


@dataclass(frozen=True)
class NoisyScores(Whole):
    """Floored AUCs of several classifiers, released together under one charge. Every field is public.

    Guarantee: ``event``, rho-zCDP with ``rho = K / (2 (min(m1, m0) noise_sd)^2)``: each of the K scores moves by at
    most ``floors.sensitivity``, so their vector moves by at most sqrt(K) times that in 2-norm. The true class counts
    have no part in the noise. The classifiers must not have been trained on the participants who are ranked, unless
    that training is charged as well.

    Args:
        floors: m1 and m0.
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
            rankings: for each of the K classifiers, float (n,) as in ``floored_auc``. Sensitive.
            labels: 0 or 1, (n,). Sensitive.

        Returns:
            float64 (K,), noisy scores clamped to [0, 1]: protected at the price of ``event``.

        Raises:
            ValueError: when there are not K rankings, a length differs, or a label is neither 0 nor 1.
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
