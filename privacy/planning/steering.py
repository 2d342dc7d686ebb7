"""Whether noisy scores can steer a search at all: the question a plan answers before anything is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from privacy.mechanisms.auc import NoisyScores

ADVANTAGE = 0.05
"""A configuration so much better in AUC is one that steering should keep."""

RIVALS = 2
"""How many others it is compared with: a rung keeps one in three."""

AIM, WORKABLE = 0.75, 0.5
"""Probability of keeping it that a plan aims at, and below which the plan is refused; without steering it is 1/3."""


@dataclass(frozen=True)
class Steering:
    """Scores as a guide for the search.

    Args:
        scores: as they are released.
    """

    scores: NoisyScores

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise on a trial's score, the mean of its classifiers' AUCs."""
        return self.scores.noise_sd / math.sqrt(self.scores.classifiers)

    @property
    def keeps_the_better(self) -> float:
        """Probability that a configuration better by ``ADVANTAGE`` scores highest among ``RIVALS`` that are alike."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)  # an expectation over its own standard normal noise
        beaten = norm.cdf(nodes + ADVANTAGE / self.noise_sd) ** RIVALS
        return float(weights @ beaten / weights.sum())
