"""How much noise a budget asks for, and how many steps it allows. Public numbers only; no participant is read."""

from __future__ import annotations

from collections.abc import Callable

import dp_accounting
import numpy as np

from privacy.accounting.budget import Budget
from privacy.accounting.dpsgd import TrainingCharge
from privacy.accounting.rdp import ORDERS, rdp_at, rdp_curve
from privacy.errors import BudgetExhausted

LEAST_NOISE, MOST_NOISE = 0.1, 1e6
NOISE_PRECISION = 1e-4
MOST_STEPS = 2**40
LEAST_RHO = 1e-9

Fits = Callable[[dp_accounting.DpEvent], bool]


def fits_in(
    budget: Budget, share: float = 1.0, order: float | None = None, spent: dp_accounting.DpEvent | None = None
) -> Fits:
    """A test of whether an event fits in a share of what is left of a budget.

    Args:
        budget: what is or will be declared.
        share: of the Renyi divergence left, in (0, 1].
        order: the split's declared order; None while planning, when any order will do.
        spent: what the split's participants went through before.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, not in (0, 1]")
    if order is not None:
        left = budget.allowance(order) - (rdp_at(spent, order) if spent else 0.0)
        return lambda event: rdp_at(event, order) <= share * left
    allowances = np.array([budget.allowance(each) for each in ORDERS])
    curve = allowances - (rdp_curve(spent) if spent else 0.0)
    return lambda event: bool((rdp_curve(event) <= share * curve).any())


def smallest_noise_multiplier(sampling_rate: float, steps: int, fits: Fits) -> float:
    """The smallest noise multiplier at which DP-SGD still fits, rounded up by at most one in ten thousand.

    Args:
        sampling_rate: ``q`` in (0, 1].
        steps: of all trials that share this part of the budget.
        fits: from ``fits_in``.

    Raises:
        BudgetExhausted: when no noise is enough.
    """

    def enough(noise_multiplier: float) -> bool:
        return fits(TrainingCharge(sampling_rate, noise_multiplier, steps).event)

    low, high = LEAST_NOISE, 2 * LEAST_NOISE
    if enough(low):
        return low
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST_NOISE:
            raise BudgetExhausted(
                f"No noise makes {steps} steps at sampling rate {sampling_rate:g} fit in this part of the budget: "
                "declare a larger epsilon, or fewer steps."
            )
    while high > low * (1 + NOISE_PRECISION):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def largest_rho(fits: Callable[[float], bool]) -> float:
    """The largest zCDP parameter that fits, rounded down by at most one in ten thousand.

    Args:
        fits: whether a parameter does; if one does, so does every smaller one.

    Raises:
        BudgetExhausted: when none does.
    """
    low, high = LEAST_RHO, 2 * LEAST_RHO
    if not fits(low):
        raise BudgetExhausted("The declared budget leaves no room for scores, however noisy: declare a larger epsilon.")
    while fits(high):
        low, high = high, 2 * high
    while high > low * (1 + NOISE_PRECISION):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def most_steps(sampling_rate: float, noise_multiplier: float, fits: Fits, limit: int = MOST_STEPS) -> int:
    """The most steps of DP-SGD that fit.

    Args:
        sampling_rate: ``q`` in (0, 1].
        noise_multiplier: ``sigma``, above 0.
        fits: from ``fits_in``.
        limit: never more than this.
    """

    def allowed(steps: int) -> bool:
        return fits(TrainingCharge(sampling_rate, noise_multiplier, steps).event)

    if allowed(limit):
        return limit
    fitting, too_many = 0, limit
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fitting, too_many = (middle, too_many) if allowed(middle) else (fitting, middle)
    return fitting
