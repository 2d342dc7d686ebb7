"""The choice of a plan: how many scores, at which epochs, and on how large a share of the participants."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import dp_accounting

from cohorts import Schema, SplitShares
from privacy.accounting.budget import Budget, best_order
from privacy.accounting.calibration import fits_in
from privacy.accounting.private_selection import LawOfRuns, cheapest_law
from privacy.errors import PlanError
from privacy.ledger.charge import SPLITS, Split
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.planning.allocation import allocate
from privacy.planning.plan import Spent, StudyPlan
from privacy.planning.schedule import Schedule
from privacy.planning.steering import ADVANTAGE, AIM, WORKABLE

TEST_SHARE = 0.10
VALIDATION_SHARES = (0.15, 0.20, 0.25, 0.30, 0.35, 0.40)

SURROGATE_SHARE = 0.15
"""Share of the training participants' budget that buys the surrogate; the rest trains."""

SHORTLISTS = (4, 3, 2)
REAL_SHARE = 0.3
"""Share of the longest training that a shortlisted trial spends on real participants, after the surrogate."""

LARGEST_EPSILON = 1e4


@dataclass(frozen=True)
class PlanInputs:
    """What a person asks for; public.

    Args:
        policy: how to search.
        budget: to be declared.
        schema: of the cohort.
        trials: configurations to try.
        rungs: epochs at which trials may be scored, the last of them the longest training.
        keeps: one in so many goes on past a rung.
        sampling_rates: some that the search space gives, ascending; the plan is made by the one in the middle.
        shares: of the splits, where an earlier study fixed them; the plan chooses otherwise.
        spent: what earlier studies ran on each split.
    """

    policy: str
    budget: Budget
    schema: Schema
    trials: int
    rungs: tuple[int, ...]
    reduction_factor: int
    sampling_rates: tuple[float, ...]
    shares: SplitShares | None = None
    spent: Spent = field(default_factory=dict)

    @property
    def sampling_rate(self) -> float:
        """The one in the middle."""
        return self.sampling_rates[len(self.sampling_rates) // 2]


def choose_plan(inputs: PlanInputs) -> StudyPlan:
    """The plan with the least training noise whose scores steer well enough, or else the one that steers best.

    Raises:
        PlanError: even then scores would hardly do better than chance; it names the smallest epsilon that works.
    """
    plan = _best(inputs)
    if _kept(plan, inputs) < WORKABLE:
        raise PlanError(_refusal(plan, inputs))
    if inputs.policy == "surrogate":
        secret = _in_secret(plan, inputs)
        return min((plan, secret), key=lambda each: _typical_noise(each, inputs))
    return plan


def _in_secret(plan: StudyPlan, inputs: PlanInputs) -> StudyPlan:
    """The same plan, deciding by a secret number of runs, as many on average, of which only the best is seen."""
    one_run = Schedule(trials=1, rungs=plan.paid.rungs[-1:])

    def under(law: LawOfRuns) -> StudyPlan:
        return plan.model_copy(update={"paid": one_run, "runs": law})

    fits = fits_in(plan.budget, 1 - plan.surrogate_share, spent=inputs.spent.get("train"))
    return under(cheapest_law(plan.paid.trials, lambda law: under(law).least_noise(fits)))


def _typical_noise(plan: StudyPlan, inputs: PlanInputs) -> float:
    """Geometric mean of the training noise over the search space's sampling rates."""
    allocation = allocate(plan, inputs.schema, first_filter(plan, plan.events(inputs.schema, inputs.spent)))
    logs = [math.log(allocation.noise_multiplier(rate)) for rate in inputs.sampling_rates]
    return math.exp(math.fsum(logs) / len(logs))


def first_filter(plan: StudyPlan, events: Mapping[Split, dp_accounting.DpEvent]) -> RenyiFilter:
    """What a plan would declare in a ledger that does not exist yet."""
    orders = {split: best_order(plan.budget, events.get(split)) for split in SPLITS}
    allowances = {split: plan.budget.allowance(order) for split, order in orders.items()}
    return RenyiFilter(Declaration("", plan.budget, orders, allowances, split_key=""))


def _best(inputs: PlanInputs) -> StudyPlan:
    plans = list(_candidates(inputs))
    if inputs.policy == "selection":
        chosen = _in_secret(plans[0], inputs)  # the law does not depend on how the participants are divided
        plans = [plan.model_copy(update={"paid": chosen.paid, "runs": chosen.runs}) for plan in plans]
    candidates = [(plan, _kept(plan, inputs)) for plan in plans]
    aimed = [plan for plan, kept in candidates if kept >= AIM]
    if not aimed:
        return max(candidates, key=lambda candidate: candidate[1])[0]
    if inputs.policy == "surrogate":
        return aimed[0]  # in order of preference: a longer shortlist before more training participants
    return min(aimed, key=lambda plan: math.sqrt(plan.paid.epochs) / plan.shares.train)  # as the noise grows


def _kept(plan: StudyPlan, inputs: PlanInputs) -> float:
    return plan.steering(inputs.schema, inputs.spent).keeps_the_better


def _candidates(inputs: PlanInputs) -> Iterator[StudyPlan]:
    """Every plan worth weighing, by preference."""
    for shares in [inputs.shares] if inputs.shares else list(_possible_shares()):
        for paid, free in _schedules(inputs):
            yield StudyPlan(
                policy=inputs.policy,  # type: ignore[arg-type]  # pydantic checks it
                epsilon=inputs.budget.epsilon,
                delta=inputs.budget.delta,
                shares=shares,
                paid=paid,
                free=free,
                surrogate_share=SURROGATE_SHARE if free else 0,
                sampling_rate=inputs.sampling_rate,
            )


def _possible_shares() -> Iterator[SplitShares]:
    for validation in VALIDATION_SHARES:
        yield SplitShares(train=1 - validation - TEST_SHARE, validation=validation, test=TEST_SHARE)


def _schedules(inputs: PlanInputs) -> Iterator[tuple[Schedule, Schedule | None]]:
    """Schedules on real and on surrogate participants."""
    longest = inputs.rungs[-1]
    if inputs.policy == "selection":
        yield Schedule(trials=inputs.trials, rungs=(longest,)), None
        return
    if inputs.policy == "composed":
        for first, rung in enumerate(inputs.rungs):
            if first == 0 or 4 * rung <= longest:  # later first rungs stop nobody soon enough to save anything
                yield (
                    Schedule(
                        trials=inputs.trials, rungs=inputs.rungs[first:], reduction_factor=inputs.reduction_factor
                    ),
                    None,
                )
        return
    real = max(1, round(REAL_SHARE * longest))
    pretraining = longest - real
    if pretraining < 1:
        raise PlanError("The policy surrogate trains on a surrogate before it trains on participants, so it needs "
                        "--max-epochs 2 or more.")  # fmt: skip
    early = tuple(rung for rung in inputs.rungs if 3 * rung <= 2 * pretraining)
    free = Schedule(
        trials=inputs.trials, rungs=(*early, pretraining, longest), reduction_factor=inputs.reduction_factor
    )
    scored = tuple(sorted({0, max(1, real // 3), real}))
    for shortlist in sorted({min(each, inputs.trials) for each in SHORTLISTS}, reverse=True):
        yield Schedule(trials=shortlist, rungs=scored), free


def _refusal(plan: StudyPlan, inputs: PlanInputs) -> str:
    steering = plan.steering(inputs.schema, inputs.spent)
    smallest = _smallest_workable(inputs)
    return (
        f"With epsilon {inputs.budget.epsilon:g} the {inputs.policy} search of {inputs.trials} trials would be steered "
        f"by chance: {plan.paid.scores:.0f} scores carry noise of standard deviation {steering.noise_sd:.3f} each. A "
        f"configuration that is {ADVANTAGE:g} AUC better would be kept with probability "
        f"{steering.keeps_the_better:.2f} (1/3 is chance, {WORKABLE:g} is asked for). The smallest --epsilon that "
        f"works here is {smallest:.2g}; fewer --trials need less."
    )


def _smallest_workable(inputs: PlanInputs) -> float:
    """By bisection, rounded up."""

    def works(epsilon: float) -> bool:
        with_more = replace(inputs, budget=Budget(epsilon, inputs.budget.delta))
        return _kept(_best(with_more), with_more) >= WORKABLE

    low, high = inputs.budget.epsilon, 2 * inputs.budget.epsilon
    while not works(high) and high < LARGEST_EPSILON:
        low, high = high, 2 * high
    while high > 1.02 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if works(middle) else (middle, high)
    digits = 1 - math.floor(math.log10(high))
    return math.ceil(high * 10**digits) / 10**digits
