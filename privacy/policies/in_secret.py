"""Reading participants in a secret number of runs that were charged whole, of which only the best is ever seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cohorts import Cohort
from privacy.ledger.charge import Charge
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt
from privacy.ledger.secret_runs import Allowance, Run, SecretRuns
from privacy.mechanisms.auc import NoisyScores
from privacy.mechanisms.mechanism import Mechanism
from privacy.planning.allocation import DeclaredPlan, RunAllocation
from privacy.planning.plan import SCORE_ATTEMPTS, StudyPlan, segment_epochs
from privacy.policies.policy import Door, Judge, RunBooks

WATCHED = "Anyone who watched the machines while the search ran: they can guess the secret number of runs from that."


def time_tells(plan: StudyPlan) -> str:
    """What the time that a search took tells, as an item of what the statement does not cover."""
    release = (
        "The release itself does not reveal that: nothing in it depends on the clock, and its files all carry the same "
        "time."
    )
    if plan.search_minutes:
        return (
            f"{WATCHED} The search was to end {plan.search_minutes:g} minutes after it began, however many runs there "
            f"were; only if it took longer can anyone who knows that tell that there were many. {release}"
        )
    return f"{WATCHED} So can anyone who knows how long the search took. {release}"


@dataclass(frozen=True)
class InSecret:
    """Train and score in a run that was paid for with all others; its trial is known by the run's number.

    Nothing is written down for a run, for that would tell how many there are. What it may do is noted in the ledger's
    own secrets, and is bounded by what was charged for every run.

    Args:
        study: name of the study.
        books: the cohort's ledger.
        train: participants to train on: sealed.
        validation: participants to score on: sealed.
        mechanism: releases the scores of a run.
    """

    study: str
    books: RunBooks
    train: Cohort
    validation: Cohort
    mechanism: NoisyScores

    reads_participants: ClassVar[bool] = True
    shows_losses: ClassVar[bool] = False

    def training(self, trial: str, mechanism: M, words: str) -> Reading[M]:
        """Open the training participants for a part of a run."""
        return self.books.read_run(self.train, self.study, int(trial), mechanism)

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Release noisy AUCs of a run."""
        reading = self.books.read_run(self.validation, self.study, int(trial), self.mechanism)
        people = reading.participants
        metrics = reading.mechanism.auc_metrics(judge.classifiers, judge.rankings(people), people.labels)
        return metrics, reading.receipt


def access_in_secret(declared: DeclaredPlan, door: Door) -> InSecret:
    """Charge all runs, once for the study, and give access to them."""
    mechanism = declared.scores(door.schema)
    if SecretRuns(door.ledger, door.study).paid is None:
        door.keep(door.ledger.charge(run_charges(declared, door.study, mechanism)))
    return InSecret(door.study, door.books, door.splits.train, door.splits.validation, mechanism)


def run_charges(declared: DeclaredPlan, study: str, scores: NoisyScores) -> list[Charge]:
    """What seeing the best run costs, for each split: one event that costs as much as any configuration does."""
    runs, allocation = declared.plan.runs, declared.allocated
    assert runs is not None and isinstance(allocation, RunAllocation)
    words = f"search by a secret number of runs (mean {runs.mean:g}, shape {runs.shape:g})"
    events = {"train": runs.event(allocation.run.event), "validation": runs.event(_scoring(scores).event)}
    return [
        Charge(events["train"], "train", study, words, kind="private selection"),
        Charge(events["validation"], "validation", study, words, kind="private selection"),
    ]


def drawn_run(config: Mapping[str, Any], training: Callable[[int], Mechanism], epochs: int, scores: NoisyScores) -> Run:
    """A run and what it may do: its training, one segment of it once more, and its score, once more.

    Args:
        config: of its trial.
        training: what so many epochs run on participants.
        epochs: of its longest training.
        scores: releases its scores.
    """
    longest = training(epochs + segment_epochs(epochs))
    return Run(config, (Allowance("train", longest.unit, longest.times), _scoring(scores)))


def _scoring(scores: NoisyScores) -> Allowance:
    return Allowance("validation", scores.unit, SCORE_ATTEMPTS)
