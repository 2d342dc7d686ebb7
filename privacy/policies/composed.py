"""The policy ``composed``: every trial reads real participants, and everything that is read adds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cohorts import Cohort
from privacy.accounting.dpsgd import TrainingCharge
from privacy.ledger.charge import Charge
from privacy.ledger.reading import Reading
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.auc import NoisyScores
from privacy.policies.policy import Books, Judge


@dataclass(frozen=True)
class Composed:
    """Train with noise, score with noise, until the declared budget is spent.

    What comes next may depend on what was seen, noise included, because the ledger's filter stops the sum at one
    order that was fixed before the first reading.

    Args:
        study: name of the study, which declared a budget.
        books: the cohort's ledger.
        mechanism: releases the scores of one epoch.
    """

    study: str
    books: Books
    mechanism: NoisyScores

    reads_participants: ClassVar[bool] = True

    def training(self, trial: str, charge: TrainingCharge, epochs: str, cohort: Cohort) -> Reading:
        """Pay for a segment of training and open its participants.

        Raises:
            BudgetExhausted: the segment does not fit any more.
        """
        return self.books.read(cohort, Charge(charge.event, "train", self.study, f"train epochs {epochs}", trial))

    def scores(self, trial: str, epoch: int, cohort: Cohort, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Pay for one epoch's noisy AUCs and release them.

        Raises:
            BudgetExhausted: they do not fit any more.
        """
        purpose = f"score epoch {epoch} with noise {self.mechanism.noise_sd:.4f}"
        reading = self.books.read(cohort, Charge(self.mechanism.event, "validation", self.study, purpose, trial))
        people = reading.participants
        return self.mechanism.auc_metrics(judge.classifiers, judge.rankings(people), people.labels), reading.receipt
