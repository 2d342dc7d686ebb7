"""What a search policy does for a trial: it pays before participants are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from privacy.accounting import TrainingCharge
from privacy.charges import Charge
from privacy.witness import Witness


class Books(Protocol):
    """Where charges are written down: the ledger itself, or its client on another node."""

    def charge(self, charges: Charge | Sequence[Charge]) -> Witness:
        """Write down what is about to be read; read only after this returns."""


class Policy(Protocol):
    """Says what the search may read, and charges it. Every call returns before anything is read."""

    def training(self, trial: str, charge: TrainingCharge, epochs: str) -> Witness:
        """Pay for a stretch of training on the training participants."""

    def scoring(self, trial: str, epoch: int) -> Witness:
        """Pay for one epoch's scores on the validation participants."""
