"""A declared (epsilon, delta), what it allows at each Renyi order, and the order at which a plan fits it best."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import dp_accounting
import numpy as np
from dp_accounting import rdp

from privacy.accounting.rdp import ORDERS, rdp_curve
from privacy.accounting.search import bracket, halve
from privacy.errors import LedgerError

# Sums of floats and the inverted conversion are off by less than this, relatively; budgets are rounded down by it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Budget:
    """What a study declares before it reads anyone.

    Args:
        epsilon: above 0.
        delta: in (0, 1).
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        """Raise LedgerError for a budget that means nothing."""
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise LedgerError(f"epsilon is {self.epsilon!r}; it must be a finite number above 0.")
        if not 0 < self.delta < 1:
            raise LedgerError(f"delta is {self.delta!r}; it must lie between 0 and 1.")

    def allowance(self, order: float) -> float:
        """The largest Renyi divergence of this order that still gives (epsilon, delta), rounded down; 0 if none does.

        dp_accounting converts; this inverts it by bisection.

        Source: Canonne, Kamath & Steinke, "The Discrete Gaussian for Differential Privacy", 2020, Proposition 12.
        """
        return _allowance(self.epsilon, self.delta, order)


@functools.lru_cache(maxsize=4096)
def _allowance(epsilon: float, delta: float, order: float) -> float:
    def fits(divergence: float) -> bool:
        return float(rdp.compute_epsilon([order], [divergence], delta)[0]) <= epsilon

    _, too_much = bracket(lambda divergence: not fits(divergence), 1.0, math.inf) or (0.0, math.inf)
    return halve(fits, 0.0, too_much) * (1 - ROUNDING)


def best_order(
    budget: Budget, planned: dp_accounting.DpEvent | None, spent: dp_accounting.DpEvent | None = None
) -> float:
    """The order at which what is left of a budget allows the plan most often.

    Args:
        budget: what is declared.
        planned: what the study means to run on one split; None for a Gaussian mechanism of any size.
        spent: what that split went through before.
    """
    allowances = np.array([budget.allowance(order) for order in ORDERS])
    left = allowances - (rdp_curve(spent) if spent else 0.0)
    curve = rdp_curve(planned) if planned else np.array(ORDERS)
    repeats = np.full(len(ORDERS), -math.inf)
    np.divide(left, curve, out=repeats, where=np.isfinite(left) & np.isfinite(curve) & (curve > 0))
    return ORDERS[int(np.argmax(repeats if np.isfinite(repeats).any() else left))]


def epsilon_at(order: float, divergence: float, delta: float) -> float:
    """Epsilon of a Renyi divergence of one order, by dp_accounting."""
    return float(rdp.compute_epsilon([order], [divergence], delta)[0])
