"""The policy ``composed``: every trial reads real participants, and everything that is read adds up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from privacy.ledger.summary import Summary
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.choice import PlanInputs, preferred, steering_plan
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.in_the_open import InTheOpen
from privacy.policies.picking import among_few, counted, picking
from privacy.policies.policy import GAN_SEARCH, Access, Door, Stage
from privacy.statements.declared_budget import DeclaredBudget, Wording
from privacy.statements.sections import STEP_TIMES_AND_ORDER
from privacy.statements.statement import Chosen


class Composed:
    """Every trial trains on participants and is scored by noisy AUCs; the ledger's filter stops the sum in time."""

    name: ClassVar[str] = "composed"
    description: ClassVar[str] = "every trial reads real participants, and everything adds up"
    declares_budget: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False
    needs_label: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = GAN_SEARCH
    marking: ClassVar[str] = "synthetic"

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        """The plan with the least training noise whose scores steer well enough, or else the one that steers best."""
        return steering_plan(self._best, inputs)

    def _best(self, inputs: PlanInputs) -> StudyPlan:
        plans = list(inputs.plans(self.name, [(schedule, None, 0.0) for schedule in _schedules(inputs)]))
        # Noise grows with the root of the epochs, and falls with the number of participants.
        return preferred(plans, inputs, lambda plan: math.sqrt(plan.on_participants.epochs) / plan.shares.train)

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        """One search."""
        return (Stage("trials", declared.plan.on_participants, allocation=declared.allocation),)

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        """Pay for each training segment and each score."""
        splits = door.splits
        return InTheOpen(door.study, door.books, splits.train, splits.validation, declared.scores(door.schema))

    def picks(self, scored: int) -> int | None:
        """One in a few of those that the budget allowed to be scored."""
        return among_few(scored)

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> DeclaredBudget:
        """The declared epsilon."""
        trials = declared.plan.on_participants.trials
        method = (
            f"It tried up to {counted(trials, 'generator')} with different hyperparameters, each trained on "
            "participants under differential privacy, stopped the poor ones early, and judged epochs by noisy scores "
            "on other participants."
        )
        repeated = "work repeated after a crash was charged again"
        wording = Wording(method, picking(chosen), repeated, (STEP_TIMES_AND_ORDER,))
        return DeclaredBudget.of(summary, declared, chosen, wording)


def _schedules(inputs: PlanInputs) -> Iterator[Schedule]:
    longest = inputs.rungs[-1]
    for first, rung in enumerate(inputs.rungs):
        if first == 0 or 4 * rung <= longest:  # later first rungs stop nobody soon enough to save anything
            yield Schedule(trials=inputs.trials, rungs=inputs.rungs[first:], reduction_factor=inputs.reduction_factor)
