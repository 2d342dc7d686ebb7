"""The policy ``selection``: a secret number of runs, charged whole before the first, of which only the best is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from privacy.ledger.summary import Summary
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.choice import PlanInputs, in_secret, preferred, steering_plan
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.in_secret import access_in_secret, time_tells
from privacy.policies.policy import GAN_SEARCH, Access, Door, Stage
from privacy.statements.declared_budget import DeclaredBudget, Wording
from privacy.statements.sections import STEP_TIMES
from privacy.statements.statement import Chosen


class Selection:
    """Every run draws its configuration afresh; showing the best of a secret number costs little more than one.

    Source: Papernot & Steinke, "Hyperparameter Tuning with Renyi Differential Privacy", ICLR 2022.
    """

    name: ClassVar[str] = "selection"
    description: ClassVar[str] = "a secret number of runs, about --trials, of which only the best is seen"
    declares_budget: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False
    needs_label: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = GAN_SEARCH
    marking: ClassVar[str] = "synthetic"

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        """The plan with the most training participants whose scores steer well enough."""
        return steering_plan(self._best, inputs)

    def _best(self, inputs: PlanInputs) -> StudyPlan:
        all_runs = Schedule(trials=inputs.trials, rungs=inputs.rungs[-1:])
        plans = list(inputs.plans(self.name, [(all_runs, None, 0.0)]))
        chosen = in_secret(plans[0], inputs)  # the law does not depend on how the participants are divided
        update = {"on_participants": chosen.on_participants, "runs": chosen.runs}
        plans = [plan.model_copy(update=update) for plan in plans]
        return preferred(plans, inputs, lambda plan: math.sqrt(plan.on_participants.epochs) / plan.shares.train)

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        """One search, out of sight."""
        plan = declared.plan
        return (Stage("selection", plan.on_participants, allocation=declared.allocation, runs=plan.runs),)

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        """Charge all runs at once."""
        return access_in_secret(declared, door)

    def picks(self, scored: int) -> int | None:
        """The one there is."""
        return 1

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> DeclaredBudget:
        """The declared epsilon."""
        method = (
            "A secret number of runs each drew a configuration at random, trained a generator on participants under "
            "differential privacy, and was judged by noisy scores on other participants. Only the best run was ever "
            "seen."
        )
        repeated = "what a run repeated after a crash is covered by what was charged for every run"
        return DeclaredBudget.of(
            summary,
            declared,
            chosen,
            Wording(method, "The release is made by that run.", repeated, (time_tells(declared.plan), STEP_TIMES)),
        )
