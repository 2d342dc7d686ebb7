"""How much noise a budget asks for, and how many steps it allows. Public numbers only; no participant is read."""

from __future__ import annotations

from collections.abc import Callable

import dp_accounting
import numpy as np

from privacy.accounting.budget import Budget
from privacy.accounting.rdp import ORDERS, rdp_at, rdp_curve
from privacy.accounting.search import bracket, halve
from privacy.errors import BudgetExhausted
from privacy.mechanisms.dpsgd import DPSGD

LEAST_NOISE, MOST_NOISE = 0.1, 1e6
NOISE_PRECISION = 1e-4
LEAST_RHO, MOST_RHO = 1e-9, 1e12

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

    Example:
        Half of a budget asks for less than twice the noise.

        >>> budget = Budget(epsilon=3.0, delta=1e-5)
        >>> round(smallest_noise_multiplier(0.05, 1000, fits_in(budget)), 2)
        2.52
        >>> round(smallest_noise_multiplier(0.05, 1000, fits_in(budget, share=0.5)), 2)
        3.45
    """

    def enough(noise_multiplier: float) -> bool:
        return fits(DPSGD(sampling_rate, noise_multiplier, steps).event)

    found = bracket(enough, LEAST_NOISE, MOST_NOISE)
    if found is None:
        raise BudgetExhausted(
            f"No amount of noise makes {steps} steps at sampling rate {sampling_rate:g} fit in this part of the "
            "budget: declare a larger epsilon, or fewer steps."
        )
    too_little, enough_noise = found
    return halve(enough, enough_noise, too_little, NOISE_PRECISION)


def largest_rho(fits: Callable[[float], bool]) -> float:
    """The largest zCDP parameter that fits, rounded down by at most one in ten thousand.

    Args:
        fits: whether a parameter does; if one does, so does every smaller one.

    Raises:
        BudgetExhausted: when none does.
    """
    found = bracket(lambda rho: not fits(rho), LEAST_RHO, MOST_RHO)
    if found is None or found[0] == found[1]:
        raise BudgetExhausted("The declared budget leaves no room for scores, however noisy: declare a larger epsilon.")
    fitting, too_much = found
    return halve(fits, fitting, too_much, NOISE_PRECISION)
