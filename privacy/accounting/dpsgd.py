"""What training costs: epsilon of DP-SGD, computed by dp_accounting from events.

Everything here takes public numbers only (sampling rate, noise multiplier, steps); no participant is read.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable

from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.mechanisms.dpsgd import DPSGD, SMALLEST_NOISE


def epsilon(training: Iterable[DPSGD], delta: float) -> float:
    """Epsilon of all training together, under add-or-remove one participant.

    Args:
        training: what was run on the same participants; the order does not matter.
        delta: the probability left out of the guarantee, in (0, 1).

    Returns:
        Epsilon by Renyi accounting; infinity where some of it has no noise.

    Example:
        Four trials on the same participants cost more than one, and less than four times as much.

        >>> trial = DPSGD(sampling_rate=0.05, noise_multiplier=1.2, steps=1000)
        >>> round(epsilon([trial], delta=1e-5), 2)
        8.59
        >>> round(epsilon([trial] * 4, delta=1e-5), 2)
        19.43
    """
    return epsilon_by_rdp(composed(each.event for each in training if each.steps), delta)


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
        noise_multiplier: ``sigma``; below ``SMALLEST_NOISE`` it trains without privacy and is never stopped by the
            budget.
        steps_per_epoch: discriminator steps in one epoch.
        max_epochs: never more than this.
        budget_epsilon: largest epsilon allowed; infinity allows everything.
        delta: the delta it is stated at.

    Returns:
        Epochs in 0..max_epochs.

    Example:
        A quarter more noise affords twice as many epochs.

        >>> limits = dict(steps_per_epoch=20, max_epochs=100, budget_epsilon=8.0, delta=1e-5)
        >>> affordable_epochs(0.05, 1.2, **limits), affordable_epochs(0.05, 1.5, **limits)
        (43, 83)
    """
    if noise_multiplier < SMALLEST_NOISE or math.isinf(budget_epsilon):
        return max_epochs

    def too_much(epochs: int) -> bool:
        return epsilon([DPSGD(sampling_rate, noise_multiplier, epochs * steps_per_epoch)], delta) > budget_epsilon

    return bisect.bisect_left(range(1, max_epochs + 1), True, key=too_much)
