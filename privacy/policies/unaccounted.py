"""The policy ``unaccounted``: search as the paper did, and write down what that read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import dp_accounting

from cohorts import Cohort
from privacy.accounting.dpsgd import TrainingCharge
from privacy.ledger.charge import Charge
from privacy.ledger.reading import Reading
from privacy.ledger.receipt import Receipt
from privacy.policies.policy import Books, Judge


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

    reads_participants: ClassVar[bool] = True

    def training(self, trial: str, charge: TrainingCharge, epochs: str, cohort: Cohort) -> Reading:
        """Charge a segment of training and open its participants."""
        return self.books.read(cohort, Charge(charge.event, "train", self.study, f"train epochs {epochs}", trial))

    def scores(self, trial: str, epoch: int, cohort: Cohort, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Charge one epoch's scores, which are not private, and compute them."""
        purpose = f"score epoch {epoch} without noise"
        charge = Charge(dp_accounting.NonPrivateDpEvent(), "validation", self.study, purpose, trial)
        reading = self.books.read(cohort, charge)
        return judge.exact(reading.participants), reading.receipt
