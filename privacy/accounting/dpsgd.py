"""What training costs: epsilon of DP-SGD, computed by dp_accounting from events.

Everything here takes public numbers only (sampling rate, noise multiplier, steps); no participant is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import dp_accounting
import numpy as np
from dp_accounting import rdp

from privacy.accounting.rdp import ORDERS, rdp_curve

# Noise below this protects nobody, and far below it the accountant's arithmetic gives epsilon 0.
SMALLEST_NOISE = 0.01


@dataclass(frozen=True)
class TrainingCharge:
    """DP-SGD steps taken by one trial: what they are, not yet what they cost.

    Args:
        sampling_rate: probability ``q`` in (0, 1] with which a participant joins a batch.
        noise_multiplier: standard deviation ``sigma`` of the noise in units of the clip norm; 0 is not private.
        steps: number of noisy gradient steps, empty batches included.
    """

    sampling_rate: float
    noise_multiplier: float
    steps: int

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that the accountant would take and misjudge."""
        if not 0 < self.sampling_rate <= 1 or self.steps < 0:
            raise ValueError(f"sampling rate {self.sampling_rate!r} or steps {self.steps!r} cannot be accounted for")
        if self.noise_multiplier != 0 and not SMALLEST_NOISE <= self.noise_multiplier < math.inf:
            raise ValueError(
                f"noise multiplier {self.noise_multiplier!r} is not one: give 0 for none, or at least {SMALLEST_NOISE}"
            )

    @property
    def event(self) -> dp_accounting.DpEvent:
        """The charge as dp_accounting knows it."""
        if self.steps == 0:
            return dp_accounting.NoOpDpEvent()
        if self.noise_multiplier == 0:
            return dp_accounting.NonPrivateDpEvent()
        step = dp_accounting.PoissonSampledDpEvent(
            self.sampling_rate, dp_accounting.GaussianDpEvent(self.noise_multiplier)
        )
        return dp_accounting.SelfComposedDpEvent(step, self.steps)


def epsilon(charges: Iterable[TrainingCharge], delta: float) -> float:
    """Epsilon of all charges together, under add-or-remove one participant.

    Args:
        charges: what was run on the same participants; the order does not matter.
        delta: the probability left out of the guarantee, in (0, 1).

    Returns:
        Epsilon by Renyi accounting; infinity where a charge has no noise.

    Source: Mironov, Talwar & Zhang, "Renyi Differential Privacy of the Sampled Gaussian Mechanism", 2019.
    """
    divergences = np.zeros(len(ORDERS))
    for charge in charges:
        if charge.steps:  # a step's divergences are computed once, however many there are
            divergences += charge.steps * rdp_curve(replace(charge, steps=1).event)
    return float(rdp.compute_epsilon(ORDERS, divergences, delta)[0])


def affordable_epochs(
    sampling_rate: float,
    noise_multiplier: float,
    steps_per_epoch: int,
    max_epochs: int,
    budget_epsilon: float,
    delta: float,
) -> int:
    """The most whole epochs of training that stay within a budget.

    Args:
        sampling_rate: ``q`` in (0, 1].
        noise_multiplier: ``sigma``; 0 trains without privacy and is never stopped by the budget.
        steps_per_epoch: discriminator steps in one epoch.
        max_epochs: never more than this.
        budget_epsilon: largest epsilon allowed; infinity allows everything.
        delta: the delta it is stated at.

    Returns:
        Epochs in 0..max_epochs.
    """
    if noise_multiplier == 0 or math.isinf(budget_epsilon):
        return max_epochs

    def fits(epochs: int) -> bool:
        charge = TrainingCharge(sampling_rate, noise_multiplier, epochs * steps_per_epoch)
        return epsilon([charge], delta) <= budget_epsilon

    if fits(max_epochs):
        return max_epochs
    fitting, too_many = 0, max_epochs
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if fits(middle):
            fitting = middle
        else:
            too_many = middle
    return fitting
