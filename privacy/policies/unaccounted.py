"""The policy ``unaccounted``: search as the paper did, and write down what that read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cohorts import Cohort, SplitShares
from privacy.ledger.charge import Purpose
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt
from privacy.ledger.summary import Summary
from privacy.mechanisms.mechanism import Exact
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.choice import PlanInputs
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.policy import GAN_SEARCH, Access, Books, Door, Judge, Stage
from privacy.statements.statement import Chosen
from privacy.statements.unaccounted_search import UnaccountedSearch


@dataclass(frozen=True)
class Freely:
    """Train and score freely; nothing is refused, everything is charged.

    Training is charged as the DP-SGD steps it is. Scores are used without noise, so they are charged as not private,
    and the ledger has no finite epsilon for the validation participants. No later study of the cohort can undo that.

    Args:
        study: name of the study.
        books: the cohort's ledger.
        train: participants to train on: sealed.
        validation: participants to score on: sealed.
    """

    study: str
    books: Books
    train: Cohort
    validation: Cohort

    reads_participants: ClassVar[bool] = True

    @property
    def shows_losses(self) -> bool:
        """Of a public cohort, since no noise hides them."""
        return self.train.schema.public

    def training(self, trial: str, mechanism: M, words: str) -> Reading[M]:
        """Charge a mechanism and open the training participants for it."""
        return self.books.read(self.train, mechanism, Purpose(self.study, words, trial))

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Charge one epoch's scores, which are not private, and compute them."""
        purpose = Purpose(self.study, f"score epoch {epoch} without noise", trial)
        reading = self.books.read(self.validation, Exact("scores"), purpose)
        return judge.exact(reading.participants), reading.receipt


class Unaccounted:
    """Search as Beaulieu-Jones et al. 2019 did: epsilon limits each trial's training, and the search is not covered."""

    name: ClassVar[str] = "unaccounted"
    description: ClassVar[str] = "epsilon covers the chosen trials' training only, and the release says so"
    declares_budget: ClassVar[bool] = False
    repeatable: ClassVar[bool] = True
    needs_label: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = {**GAN_SEARCH, "search_space": "unaccounted"}
    marking: ClassVar[str] = "unaccounted"

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        """One search, with nothing to divide."""
        return StudyPlan(
            policy=self.name,
            epsilon=inputs.budget.epsilon,
            delta=inputs.budget.delta,
            shares=inputs.shares or SplitShares(),
            on_participants=Schedule(
                trials=inputs.trials, rungs=inputs.rungs, reduction_factor=inputs.reduction_factor
            ),
            sampling_rate=inputs.sampling_rate,
            scored_by=inputs.scored_by,
            noisy_picks=inputs.noisy_picks,
        )

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        """One search."""
        return (Stage("trials", declared.plan.on_participants, epsilon=declared.plan.epsilon),)

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        """Charge everything, refuse nothing."""
        return Freely(door.study, door.books, door.splits.train, door.splits.validation)

    def picks(self, scored: int) -> int | None:
        """As many as in the paper."""
        return None

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> UnaccountedSearch:
        """The winners' epsilon, and that it does not cover the search."""
        return UnaccountedSearch.of(summary, declared.plan, chosen)
