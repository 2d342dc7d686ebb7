"""Mechanisms and accounting: what training on participants costs, and what may be said about it."""

from privacy.accounting import TrainingCharge, affordable_epochs, epsilon
from privacy.poisson import poisson_batch

__all__ = ["TrainingCharge", "affordable_epochs", "epsilon", "poisson_batch"]
