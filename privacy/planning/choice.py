"""The choice of a plan among those a policy proposes: scores must steer, and then noise should be small."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dp_accounting

from cohorts import SPLITS, Schema, Split, SplitShares
from privacy.accounting.budget import Budget, best_order
from privacy.accounting.calibration import room_in
from privacy.accounting.private_selection import LawOfRuns, cheapest_law
from privacy.accounting.search import bracket, halve
from privacy.errors import BudgetExhausted, PlanError
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.planning.allocation import allocate
from privacy.planning.plan import Spent, StudyPlan
from privacy.planning.schedule import Schedule
from privacy.planning.steering import ADVANTAGE, AIM, WORKABLE

TEST_SHARE = 0.10
VALIDATION_SHARES = (0.15, 0.20, 0.25, 0.30, 0.35, 0.40)
LARGEST_EPSILON = 1e4
USUAL = (1, 3)
"""Epsilons that are declared for trials, from and to (docs/tutorial.md)."""


@dataclass(frozen=True)
class PlanInputs:
    """What a person asks for; public.

    Args:
        budget: to be declared.
        schema: of the cohort.
        trials: configurations to try.
        rungs: epochs at which trials may be scored, the last of them the longest training.
        reduction_factor: one in so many goes on past a rung.
        sampling_rates: some that the search space gives, ascending; the plan is made by the one in the middle.
        scored_by: names of the scores that are released together.
        shares: of the splits, where an earlier study fixed them; the plan chooses otherwise.
        spent: what earlier studies ran on each split.
        search_minutes: after which a search by a secret number of runs ends; None where it ends with them.
        noisy_picks: whether epochs are to be picked by noisy accuracy, as the paper did, where a policy leaves it open.
    """

    budget: Budget
    schema: Schema
    trials: int
    rungs: tuple[int, ...]
    reduction_factor: int
    sampling_rates: tuple[float, ...]
    scored_by: tuple[str, ...]
    shares: SplitShares | None = None
    spent: Spent = field(default_factory=dict)
    search_minutes: float | None = None
    noisy_picks: bool = False

    @property
    def sampling_rate(self) -> float:
        """The one in the middle."""
        return self.sampling_rates[len(self.sampling_rates) // 2]

    @property
    def possible_shares(self) -> tuple[SplitShares, ...]:
        """Divisions of the participants worth weighing."""
        if self.shares:
            return (self.shares,)
        return tuple(
            SplitShares(train=1 - validation - TEST_SHARE, validation=validation, test=TEST_SHARE)
            for validation in VALIDATION_SHARES
        )

    def plans(self, policy: str, schedules: Sequence[tuple[Schedule, Schedule | None, float]]) -> Iterator[StudyPlan]:
        """Every division of the participants with every schedule, by preference.

        Args:
            policy: its name.
            schedules: on real and on surrogate participants, and the share of the budget that buys the surrogate.
        """
        for shares in self.possible_shares:
            for on_participants, on_surrogate, surrogate_share in schedules:
                yield StudyPlan(
                    policy=policy,
                    epsilon=self.budget.epsilon,
                    delta=self.budget.delta,
                    shares=shares,
                    on_participants=on_participants,
                    on_surrogate=on_surrogate,
                    surrogate_share=surrogate_share,
                    sampling_rate=self.sampling_rate,
                    scored_by=self.scored_by,
                    search_minutes=self.search_minutes,
                )


def steering_plan(best: Callable[[PlanInputs], StudyPlan], inputs: PlanInputs) -> StudyPlan:
    """The best plan, if its scores steer well enough.

    Args:
        best: of what a policy proposes.
        inputs: what is asked for.

    Raises:
        PlanError: scores would hardly do better than chance; it names the smallest epsilon that works.
    """
    try:
        plan = best(inputs)
        steered = kept_better(plan, inputs) >= WORKABLE
    except BudgetExhausted:
        smallest = _smallest_workable(best, inputs)
        raise PlanError(
            f"{_too_small(inputs)} The smallest --epsilon that works here is {smallest:.2g}{_usual(smallest)}."
        ) from None
    if steered:
        return plan
    steering = plan.steering(inputs.schema, inputs.spent)
    fewer = "; fewer --trials need less" if _fewer_trials_help(best, inputs) else ""
    raise PlanError(
        f"With epsilon {inputs.budget.epsilon:g} the {plan.policy} search of {inputs.trials} trials would be steered "
        f"by chance: {plan.on_participants.scores:.0f} scores carry noise of standard deviation "
        f"{steering.noise_sd:.3f} each. A configuration that is {ADVANTAGE:g} AUC better would be kept with "
        f"probability {steering.keeps_the_better:.2f} (1/3 is chance, {WORKABLE:g} is required). The smallest "
        f"--epsilon that works here is {_smallest_workable(best, inputs):.2g}{fewer}."
    )


def measuring_plan(plan: StudyPlan, inputs: PlanInputs) -> StudyPlan:
    """A plan that measures once, if its budget allows a measurement however noisy.

    Raises:
        PlanError: it does not; it names the smallest epsilon that does.
    """

    def allowed(epsilon: float) -> bool:
        try:
            plan.model_copy(update={"epsilon": epsilon}).events(inputs.schema, inputs.spent)
        except BudgetExhausted:
            return False
        return True

    if allowed(plan.epsilon):
        return plan
    smallest = _smallest(allowed, inputs)
    raise PlanError(
        f"{_too_small(inputs)} The smallest --epsilon that can be kept here is {smallest:.2g}, at which hardly more "
        f"than noise is measured{_usual(smallest)}."
    )


def preferred(
    plans: Sequence[StudyPlan], inputs: PlanInputs, cost: Callable[[StudyPlan], float] | None = None
) -> StudyPlan:
    """The cheapest plan whose scores steer as well as is aimed at, or else the one that steers best.

    Args:
        plans: by preference.
        inputs: what is asked for.
        cost: of a plan; without it the first is taken.
    """
    steering = [(plan, kept_better(plan, inputs)) for plan in plans]
    aimed = [plan for plan, kept in steering if kept >= AIM]
    if not aimed:
        return max(steering, key=lambda each: each[1])[0]
    return min(aimed, key=cost) if cost else aimed[0]


def kept_better(plan: StudyPlan, inputs: PlanInputs) -> float:
    """Probability that a configuration better by ``ADVANTAGE`` is kept."""
    return plan.steering(inputs.schema, inputs.spent).keeps_the_better


def in_secret(plan: StudyPlan, inputs: PlanInputs) -> StudyPlan:
    """The same plan, deciding by a secret number of runs, as many on average, of which only the best is seen."""
    one_run = Schedule(trials=1, rungs=plan.on_participants.rungs[-1:])

    def under(law: LawOfRuns) -> StudyPlan:
        return plan.model_copy(update={"on_participants": one_run, "runs": law})

    room = room_in(plan.budget, 1 - plan.surrogate_share, spent=inputs.spent.get("train"))
    return under(cheapest_law(plan.on_participants.trials, lambda law: under(law).least_noise(room)))


def typical_noise(plan: StudyPlan, inputs: PlanInputs) -> float:
    """Geometric mean of the training noise over the search space's sampling rates."""
    allocation = allocate(plan, inputs.schema, first_filter(plan, plan.events(inputs.schema, inputs.spent)))
    logs = [math.log(allocation.noise_multiplier(rate)) for rate in inputs.sampling_rates]
    return math.exp(math.fsum(logs) / len(logs))


def first_filter(plan: StudyPlan, events: Mapping[Split, dp_accounting.DpEvent]) -> RenyiFilter:
    """What a plan would declare in a ledger that does not exist yet."""
    orders = {split: best_order(plan.budget, events.get(split)) for split in SPLITS}
    allowances = {split: plan.budget.allowance(order) for split, order in orders.items()}
    return RenyiFilter(Declaration("", plan.budget, orders, allowances, split_key=""))


def _fewer_trials_help(best: Callable[[PlanInputs], StudyPlan], inputs: PlanInputs) -> bool:
    """Whether scores would steer better with half the trials; where a shortlist is scored, they do not."""
    if inputs.trials < 2:
        return False
    fewer = replace(inputs, trials=inputs.trials // 2)
    return kept_better(best(fewer), fewer) > kept_better(best(inputs), inputs)


def _too_small(inputs: PlanInputs) -> str:
    budget, before = inputs.budget, " after what was read before" if any(inputs.spent.values()) else ""
    return (
        f"Epsilon {budget.epsilon:g} is too small: at delta {budget.delta:g} it cannot be kept{before}, however much "
        "noise is added."
    )


def _usual(smallest: float) -> str:
    """What is usual, where that is possible."""
    return f"; {USUAL[0]} to {USUAL[1]} is usual" if smallest <= USUAL[0] else ""


def _smallest_workable(best: Callable[[PlanInputs], StudyPlan], inputs: PlanInputs) -> float:
    """The smallest epsilon whose best plan steers well enough, rounded up."""

    def works(epsilon: float) -> bool:
        with_more = replace(inputs, budget=Budget(epsilon, inputs.budget.delta))
        try:
            return kept_better(best(with_more), with_more) >= WORKABLE
        except BudgetExhausted:
            return False

    return _smallest(works, inputs)


def _smallest(works: Callable[[float], bool], inputs: PlanInputs) -> float:
    """The smallest epsilon that works, above one that does not; rounded up."""
    found = bracket(works, inputs.budget.epsilon, LARGEST_EPSILON)
    smallest = LARGEST_EPSILON if found is None else halve(works, found[1], found[0], precision=0.02)
    digits = 1 - math.floor(math.log10(smallest))
    return math.ceil(smallest * 10.0**digits) / 10.0**digits
