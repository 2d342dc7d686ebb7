"""Mechanisms and accounting: what training on participants costs, and what may be said about it."""

from privacy.accounting.dpsgd import TrainingCharge, affordable_epochs, epsilon
from privacy.errors import BudgetExhausted, LedgerError, PlanError
from privacy.policies.policy import Policy
from privacy.policies.unaccounted import Unaccounted

__all__ = [
    "BudgetExhausted",
    "LedgerError",
    "PlanError",
    "Policy",
    "TrainingCharge",
    "Unaccounted",
    "affordable_epochs",
    "epsilon",
]
