"""Mechanisms and accounting: what training on participants costs, and what may be said about it."""

from privacy.accounting.dpsgd import affordable_epochs, epsilon
from privacy.errors import BudgetExhausted, LedgerError, LedgerUnavailable, PlanError
from privacy.mechanisms.dpsgd import DPSGD

__all__ = ["DPSGD", "BudgetExhausted", "LedgerError", "LedgerUnavailable", "PlanError", "affordable_epochs", "epsilon"]
