"""Reading participants trial by trial under a declared budget, where every trial may be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cohorts import Cohort
from privacy.ledger.charge import Purpose
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.auc import NoisyScores
from privacy.policies.policy import Books, Judge


@dataclass(frozen=True)
class InTheOpen:
    """Train with noise, score with noise, until the declared budget is spent.

    What comes next may depend on what was seen, noise included, because the ledger's filter stops the sum at one
    order that was fixed before the first reading.

    Args:
        study: name of the study, which declared a budget.
        books: the cohort's ledger.
        train: participants to train on: sealed.
        validation: participants to score on: sealed.
        mechanism: releases the scores of one epoch.
    """

    study: str
    books: Books
    train: Cohort
    validation: Cohort
    mechanism: NoisyScores

    reads_participants: ClassVar[bool] = True
    shows_losses: ClassVar[bool] = False

    def training(self, trial: str, mechanism: M, words: str) -> Reading[M]:
        """Pay for a mechanism and open the training participants for it.

        Raises:
            BudgetExhausted: it does not fit any more.
        """
        return self.books.read(self.train, mechanism, Purpose(self.study, words, trial))

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Pay for one epoch's noisy AUCs and release them.

        Raises:
            BudgetExhausted: they do not fit any more.
        """
        words = f"score epoch {epoch} with noise {self.mechanism.noise_sd:.4f}"
        reading = self.books.read(self.validation, self.mechanism, Purpose(self.study, words, trial))
        people = reading.participants
        metrics = reading.mechanism.auc_metrics(judge.classifiers, judge.rankings(people), people.labels)
        return metrics, reading.receipt
