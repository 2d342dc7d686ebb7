"""The policy ``surrogate``: search for nothing on surrogate participants, decide among a few on real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from privacy.errors import PlanError
from privacy.ledger.summary import Summary
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.choice import PlanInputs, in_secret, preferred, steering_plan, typical_noise
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.in_secret import access_in_secret, time_tells
from privacy.policies.in_the_open import InTheOpen
from privacy.policies.picking import among_few, picking
from privacy.policies.policy import GAN_SEARCH, Access, Door, Stage
from privacy.policies.surrogate_cohort import OnSurrogate, buy_moments
from privacy.statements.declared_budget import DeclaredBudget, Wording
from privacy.statements.sections import STEP_TIMES, STEP_TIMES_AND_ORDER
from privacy.statements.statement import Chosen

SURROGATE_SHARE = 0.15
"""Share of the training participants' budget that buys the surrogate; the rest trains."""

SHORTLISTS = (4, 3, 2)
REAL_SHARE = 0.3
"""Share of the longest training that a shortlisted trial spends on real participants, after the surrogate."""

COVERS = (
    "the means and covariances that surrogates were drawn from, the training of every trial on participants, every "
    "score, and every choice made by them"
)
FOLDERS = "`trials/`, `shortlist/`"


class Surrogate:
    """Buy noisy moments once, search for nothing on participants drawn from them, and decide on real participants."""

    name: ClassVar[str] = "surrogate"
    description: ClassVar[str] = (
        "noisy moments are bought, the search runs on participants drawn from them, and a few trials are decided on "
        "real ones"
    )
    declares_budget: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False
    needs_label: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = GAN_SEARCH
    marking: ClassVar[str] = "synthetic"

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        """A shortlist in the open or in secret, whichever takes less training noise over the search space."""
        plan = steering_plan(self._best, inputs)
        return min((plan, in_secret(plan, inputs)), key=lambda each: typical_noise(each, inputs))

    def _best(self, inputs: PlanInputs) -> StudyPlan:
        schedules = [(real, free, SURROGATE_SHARE) for real, free in _schedules(inputs)]
        return preferred(list(inputs.plans(self.name, schedules)), inputs)  # a longer shortlist before more training

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        """A search that is free, then the shortlist's."""
        plan, allocation = declared.plan, declared.allocation
        assert plan.on_surrogate is not None
        return (
            Stage(
                "trials",
                plan.on_surrogate,
                reads_participants=False,
                allocation=allocation,
                pretraining=plan.pretraining,
            ),
            Stage(
                "shortlist",
                plan.on_participants,
                configurations="shortlisted",
                allocation=allocation,
                runs=plan.runs,
            ),
        )

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        """Buy the surrogate, once for the study; pay for what the shortlist reads."""
        if not stage.reads_participants:
            moments = buy_moments(door, declared.moments(door.schema))
            return OnSurrogate.of(moments, door.schema, declared.plan.shares)
        if stage.runs:
            return access_in_secret(declared, door)
        splits = door.splits
        return InTheOpen(door.study, door.books, splits.train, splits.validation, declared.scores(door.schema))

    def picks(self, scored: int) -> int | None:
        """One in a few of those that the budget allowed to be scored."""
        return among_few(scored)

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> DeclaredBudget:
        """The declared epsilon."""
        plan = declared.plan
        assert plan.on_surrogate is not None
        bought = (
            "It bought noisy means and covariances of each class, drew surrogate participants from them, and tried "
            f"{plan.on_surrogate.trials} configurations of a generator on these, which reads no participant. "
        )
        if plan.runs:
            method = bought + (
                "A secret number of runs each drew one of the best of these at random, continued its training on "
                "participants under differential privacy, and was judged by noisy scores on other participants. Only "
                "the best run was ever seen."
            )
            wording = Wording(
                method,
                "The release is made by that run.",
                "what a run repeated after a crash is covered by what was charged for every run",
                (time_tells(declared.plan), STEP_TIMES),
                covers=COVERS,
                folders=FOLDERS,
            )
        else:
            method = bought + (
                f"At most {plan.on_participants.trials} of them then continued training on participants under "
                "differential privacy, and their epochs were judged by noisy scores on other participants."
            )
            repeated = "work repeated after a crash was charged again"
            wording = Wording(
                method, picking(chosen), repeated, (STEP_TIMES_AND_ORDER,), covers=COVERS, folders=FOLDERS
            )
        return DeclaredBudget.of(summary, declared, chosen, wording)


def _schedules(inputs: PlanInputs) -> Iterator[tuple[Schedule, Schedule]]:
    """Schedules on real and on surrogate participants."""
    longest = inputs.rungs[-1]
    real = max(1, round(REAL_SHARE * longest))
    pretraining = longest - real
    if pretraining < 1:
        raise PlanError(
            "A search on a surrogate trains there before it trains on participants, so it needs --max-epochs 2 or more."
        )
    early = tuple(rung for rung in inputs.rungs if 3 * rung <= 2 * pretraining)
    rungs, scored = (*early, pretraining, longest), tuple(sorted({0, max(1, real // 3), real}))
    free = Schedule(trials=inputs.trials, rungs=rungs, reduction_factor=inputs.reduction_factor)
    for shortlist in sorted({min(each, inputs.trials) for each in SHORTLISTS}, reverse=True):
        yield Schedule(trials=shortlist, rungs=scored), free
