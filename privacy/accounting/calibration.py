"""How much noise a budget asks for, and how many steps it allows. Public numbers only; no participant is read."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

import dp_accounting
import numpy as np
from scipy.optimize import brentq

from privacy.accounting.budget import Budget
from privacy.accounting.rdp import ORDERS, rdp_at, rdp_curve
from privacy.accounting.search import bracket, halve
from privacy.errors import BudgetExhausted
from privacy.mechanisms.dpsgd import DPSGD

LEAST_NOISE, MOST_NOISE = 0.1, 1e6
NOISE_PRECISION = 1e-4
MOST_ROOM = 100.0
LEAST_RHO, MOST_RHO = 1e-9, 1e12

Room = Callable[[dp_accounting.DpEvent], float]
"""How often an event would fit, as a logarithm: below 0 where it does not fit, and infinite where nothing is spent."""


def room_in(
    budget: Budget, share: float = 1.0, order: float | None = None, spent: dp_accounting.DpEvent | None = None
) -> Room:
    """How often an event would fit in a share of what is left of a budget.

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
        return room_at(order, share * left)
    allowances = np.array([budget.allowance(each) for each in ORDERS])
    curve = share * (allowances - (rdp_curve(spent) if spent else 0.0))
    return lambda event: float(log_ratio(curve, rdp_curve(event)).max())


def room_at(order: float, allowed: float) -> Room:
    """How often an event would fit in what a divergence of one order allows, as a logarithm."""
    return lambda event: float(log_ratio(allowed, rdp_at(event, order)))


def log_ratio(allowed: np.ndarray | float, spent: np.ndarray | float) -> np.ndarray:
    """Logarithm of allowed over spent divergences, elementwise; 0 or more exactly where what is spent is allowed.

    Example:
        >>> log_ratio(np.array([1.0, 1.0, 0.0, np.inf]), np.array([1.0, 0.0, 1.0, np.inf]))
        array([  0.,  inf, -inf,  inf])
    """
    allowed, spent = np.broadcast_arrays(np.asarray(allowed, dtype=float), np.asarray(spent, dtype=float))
    ratio = np.where(spent <= allowed, np.inf, -np.inf)
    usual = (allowed > 0) & (spent > 0) & np.isfinite(allowed) & np.isfinite(spent)
    ratio[usual] = np.log(allowed[usual] / spent[usual])
    return ratio


def smallest_noise_multiplier(sampling_rate: float, steps: int, room: Room) -> float:
    """The smallest noise multiplier at which DP-SGD still fits, rounded up by at most one in ten thousand.

    The figure of one event takes long, so the root is looked for in the logarithm of the noise, in which the room is
    nearly a straight line. It is bracketed from below: at some orders the accountant has no figure for a stretch of
    larger noise (its series does not converge), and from above that would be taken for the root.

    Args:
        sampling_rate: ``q`` in (0, 1].
        steps: of all trials that share this part of the budget.
        room: from ``room_in``, or made of it; it must grow with the noise.

    Raises:
        BudgetExhausted: when no noise is enough.

    Example:
        Half of a budget asks for less than twice the noise.

        >>> budget = Budget(epsilon=3.0, delta=1e-5)
        >>> round(smallest_noise_multiplier(0.05, 1000, room_in(budget)), 2)
        2.52
        >>> round(smallest_noise_multiplier(0.05, 1000, room_in(budget, share=0.5)), 2)
        3.45
    """

    def left(log_noise: float) -> float:
        return float(np.clip(room(DPSGD(sampling_rate, math.exp(log_noise), steps).event), -MOST_ROOM, MOST_ROOM))

    found = bracket(lambda noise: left(math.log(noise)) > 0, LEAST_NOISE, MOST_NOISE)
    if found is None:
        raise BudgetExhausted(
            f"No amount of noise makes {steps} steps at sampling rate {sampling_rate:g} fit in this part of the "
            "budget: declare a larger epsilon, or fewer steps."
        )
    if found[0] == found[1]:
        return LEAST_NOISE
    root = float(brentq(left, *map(math.log, found), xtol=NOISE_PRECISION / 4))
    while left(root) <= 0:
        root += NOISE_PRECISION / 4
    return math.exp(root)


def fewest_steps(training: Callable[[int], DPSGD], room: Room, most: int) -> int:
    """The fewest steps an epoch at which training with a given noise fits: the fewer, the larger the batches.

    In each of k steps an epoch a participant takes part by a chance of 1/k, and the price falls as k grows. It is
    bracketed from the fewest, as the noise is from the least.

    Args:
        training: all that is to fit, by the number of steps an epoch.
        room: from ``room_in``, or made of it.
        most: steps an epoch may have.

    Raises:
        BudgetExhausted: when these are not enough.

    Example:
        Half the noise asks for about four times as many steps, each on fewer participants.

        >>> room = room_in(Budget(epsilon=3.0, delta=1e-5))
        >>> [fewest_steps(lambda k: DPSGD(1 / k, noise, 40 * k), room, most=1000) for noise in (4.0, 2.0)]
        [7, 27]
    """

    def fits(steps: float) -> bool:
        return room(training(min(int(steps), most)).event) >= 0

    found = bracket(fits, 1, most)
    if found is None:
        raise BudgetExhausted(
            f"Not even {most:,} steps an epoch make training with noise multiplier {training(most).noise_multiplier:g} "
            "fit in this part of the budget: declare a larger epsilon, or add more noise."
        )
    too_few, enough = map(int, found)
    return too_few + bisect.bisect_left(range(too_few, min(enough, most)), True, key=fits)


def largest_rho(fits: Callable[[float], bool]) -> float:
    """The largest zCDP parameter that fits, rounded down by at most one in ten thousand.

    Args:
        fits: whether a parameter does; if one does, so does every smaller one.

    Raises:
        BudgetExhausted: when none does.
    """
    found = bracket(lambda rho: not fits(rho), LEAST_RHO, MOST_RHO)
    if found is None or found[0] == found[1]:
        raise BudgetExhausted(
            "The declared budget cannot be kept, however much noise is added: declare a larger epsilon."
        )
    fitting, too_much = found
    return halve(fits, fitting, too_much, NOISE_PRECISION)
