"""The policy ``unaccounted``: search as the paper did, and write down what that read."""

from __future__ import annotations

from dataclasses import dataclass

import dp_accounting

from privacy.accounting import TrainingCharge
from privacy.charges import Charge
from privacy.policy import Books
from privacy.witness import Witness


@dataclass(frozen=True)
class Unaccounted:
    """Train and score freely; nothing is refused, everything is charged.

    Training is charged as the DP-SGD steps it is. Scores are used without noise, so they are charged as not private,
    and the ledger has no finite epsilon for the validation participants. No later study of the cohort can undo that.

    Args:
        study: name of the study.
        books: the cohort's ledger.
    """

    study: str
    books: Books

    def training(self, trial: str, charge: TrainingCharge, epochs: str) -> Witness:
        """Charge a stretch of training."""
        return self.books.charge(Charge(charge.event, "train", self.study, f"train epochs {epochs}", trial))

    def scoring(self, trial: str, epoch: int) -> Witness:
        """Charge one epoch's scores, which are not private."""
        purpose = f"score epoch {epoch} without noise"
        return self.books.charge(Charge(dp_accounting.NonPrivateDpEvent(), "validation", self.study, purpose, trial))
