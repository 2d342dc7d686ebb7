"""The policy ``selection``: a secret number of runs, charged whole before the first, of which only the best is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cohorts import Cohort
from privacy.accounting.dpsgd import TrainingCharge
from privacy.accounting.private_selection import LawOfRuns
from privacy.ledger.charge import Charge
from privacy.ledger.reading import Reading
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.auc import NoisyScores
from privacy.planning.allocation import RunAllocation
from privacy.policies.policy import Judge, PaidBooks


@dataclass(frozen=True)
class Selection:
    """Train and score in a run that was paid for; it writes nothing down, for that would tell how many runs there are.

    What a run may do is bounded by what was charged: ``selection_charges`` is one event for each split that costs as
    much as any configuration does at every order. Whoever carries out the runs keeps to it.

    Args:
        books: the cohort's ledger.
        paid: receipt of the charge.
        mechanism: releases the scores of a run.
    """

    books: PaidBooks
    paid: Receipt
    mechanism: NoisyScores

    reads_participants: ClassVar[bool] = True

    def training(self, trial: str, charge: TrainingCharge, epochs: str, cohort: Cohort) -> Reading:
        """Open the training participants again."""
        return self.books.read_again(cohort, self.paid)

    def scores(self, trial: str, epoch: int, cohort: Cohort, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Release noisy AUCs of one run."""
        people = self.books.read_again(cohort, self.paid).participants
        return self.mechanism.auc_metrics(judge.classifiers, judge.rankings(people), people.labels), self.paid


def selection_charges(
    study: str, runs: LawOfRuns, allocation: RunAllocation, mechanism: NoisyScores, tries: int
) -> list[Charge]:
    """What seeing the best run costs, for each split.

    Args:
        study: name of the study.
        runs: law of their number.
        prices: the run that stands for all.
        mechanism: releases the scores of a run.
        tries: how often a run may be scored.
    """
    scores = mechanism.event_of(tries)
    purpose = f"search by a secret number of runs (mean {runs.mean:g}, shape {runs.shape:g})"
    return [
        Charge(runs.event(allocation.run.event), "train", study, purpose),
        Charge(runs.event(scores), "validation", study, purpose),
    ]
