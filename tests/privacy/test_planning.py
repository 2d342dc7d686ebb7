"""A plan fits its budget, steers better than chance, and says from public numbers what it will do."""

import math
import re

import numpy as np
import pytest
from dp_accounting import dp_event

from cohorts import SplitShares, resolve_schema
from privacy.accounting.budget import Budget
from privacy.accounting.rdp import rdp_at
from privacy.errors import BudgetExhausted, PlanError
from privacy.ledger.filter import RenyiFilter
from privacy.mechanisms.auc import NoisyScores, ScoreFloors
from privacy.planning.allocation import DeclaredPlan, EpochAllocation, RunAllocation, allocate
from privacy.planning.choice import PlanInputs, first_filter
from privacy.planning.plan import SCORE_ATTEMPTS, StudyPlan
from privacy.planning.schedule import Schedule
from privacy.planning.steering import WORKABLE, Steering
from privacy.policies import policy_named

SPRINT, ACTG = resolve_schema("sprint"), resolve_schema("actg175")
RATES = (0.007, 0.0158, 0.035)
SCORES = ("auc_logistic_regression", "auc_random_forest")


def inputs(epsilon: float = 3.0, schema=SPRINT, trials: int = 16, **other) -> PlanInputs:
    asked = {"sampling_rates": RATES, "scored_by": SCORES, **other}
    return PlanInputs(Budget(epsilon, 1e-5), schema, trials, (1, 3, 9, 27, 40), 3, **asked)


def choose_plan(asked: PlanInputs, policy: str = "composed") -> StudyPlan:
    return policy_named(policy).plan(asked)


def priced(plan: StudyPlan, schema=SPRINT) -> tuple[RenyiFilter, EpochAllocation | RunAllocation]:
    declared = first_filter(plan, plan.events(schema, {}))
    return declared, allocate(plan, schema, declared)


def scores_of(plan: StudyPlan, allocation: EpochAllocation | RunAllocation) -> NoisyScores:
    return DeclaredPlan(plan=plan, allocation=allocation).scores(SPRINT)


def test_as_many_trials_reach_a_rung_as_the_rule_lets_through():
    schedule = Schedule(trials=32, rungs=(1, 3, 9, 27), reduction_factor=3)
    rng = np.random.default_rng(0)
    counts = np.zeros(4)
    for _ in range(300):
        arriving = 32
        for rung in range(4):
            counts[rung] += arriving
            scores = rng.random(arriving)
            arriving = sum((scores[: k + 1] > scores[k]).sum() < math.ceil((k + 1) / 3) for k in range(arriving))
    assert schedule.reaching == pytest.approx(counts / 300, rel=0.1)
    assert schedule.scores == pytest.approx(sum(schedule.reaching))
    first, second, third, fourth = schedule.reaching
    assert schedule.epochs == pytest.approx(first + 2 * second + 6 * third + 18 * fourth)


@pytest.mark.parametrize("noise_sd", [0.01, 0.05, 0.2])
def test_the_better_configuration_is_kept_as_often_as_said(noise_sd):
    steering = Steering(NoisyScores(ScoreFloors.two(100, 100), 2, noise_sd * math.sqrt(2)))
    noise = np.random.default_rng(1).normal(0, noise_sd, (200_000, 3))
    kept = ((noise[:, 0] + 0.05) > noise[:, 1:].max(axis=1)).mean()
    assert steering.noise_sd == pytest.approx(noise_sd)
    assert steering.keeps_the_better == pytest.approx(kept, abs=0.01)


@pytest.mark.parametrize(
    ("policy", "bought"),
    [("composed", [True]), ("surrogate", [False, True]), ("selection", [True]), ("measured", [False])],
)
def test_scores_of_a_search_have_noise_where_it_reads_participants(policy, bought):
    plan = choose_plan(inputs(10.0), policy)
    _, allocation = priced(plan)
    stages = policy_named(policy).stages(DeclaredPlan(plan=plan, allocation=allocation))
    assert [each.score_noise_sd for each in stages] == [allocation.score_noise_sd if each else None for each in bought]
    assert not any(bought) or allocation.score_noise_sd > 0


def test_scores_without_a_declared_budget_have_no_noise():
    plan = choose_plan(inputs(), "unaccounted")
    (stage,) = policy_named("unaccounted").stages(DeclaredPlan(plan=plan, allocation=None))
    assert stage.reads_participants and stage.score_noise_sd is None


@pytest.mark.parametrize("policy", ["composed", "surrogate"])
@pytest.mark.parametrize("epsilon", [1.0, 3.0, 10.0])
def test_what_is_planned_fits_and_leaves_little(policy, epsilon):
    plan = choose_plan(inputs(epsilon), policy)
    declared, allocation = priced(plan)
    assert isinstance(allocation, EpochAllocation)
    allowed = declared.declaration.allowances
    order = declared.declaration.orders["train"]
    trained = math.ceil(plan.on_participants.epochs) * allocation.epoch + order * allocation.surrogate_rho
    assert 0.99 * allowed["train"] <= trained <= allowed["train"] * (1 + 1e-9)
    scores = rdp_at(scores_of(plan, allocation).event, declared.declaration.orders["validation"])
    assert (
        0.95 * allowed["validation"]
        <= math.ceil(plan.on_participants.scores) * scores
        <= allowed["validation"] * (1 + 1e-9)
    )


def test_an_epoch_costs_no_more_than_its_price_at_any_sampling_rate():
    plan = choose_plan(inputs())
    declared, allocation = priced(plan)
    for rate in (0.003, 0.01, 0.03, 0.1, 0.5, 1.0):
        run = plan.model_copy(update={"sampling_rate": rate, "on_participants": Schedule(trials=1, rungs=(1,))})
        event = run.training(allocation.noise_multiplier(rate)).event
        assert rdp_at(event, declared.declaration.orders["train"]) <= allocation.epoch


@pytest.mark.parametrize("policy", ["composed", "selection"])
def test_the_rate_at_some_noise_is_the_largest_that_costs_no_more(policy):
    _, allocation = priced(choose_plan(inputs(sampling_rates=(0.0125,)), policy))
    for noise in (allocation.least_noise, 3.0, 8.0):
        steps = round(1 / allocation.sampling_rate_at(noise))
        assert allocation.noise_multiplier(1 / steps) <= noise * 1.0002  # itself rounded up by one in ten thousand
        assert allocation.noise_multiplier(1 / (steps - 1)) > noise
    assert allocation.sampling_rate_at(1000.0) == 1.0
    with pytest.raises(BudgetExhausted, match="add more noise"):
        allocation.sampling_rate_at(0.98 * allocation.least_noise)


def test_a_secret_number_of_runs_fits_whole_whatever_they_draw():
    plan = choose_plan(inputs(), "selection")
    declared, allocation = priced(plan)
    assert isinstance(allocation, RunAllocation)
    orders, allowed = declared.declaration.orders, declared.declaration.allowances
    assert (
        0.98 * allowed["train"]
        <= rdp_at(plan.selection_event(allocation.run.event), orders["train"])
        <= allowed["train"]
    )
    scores = dp_event.SelfComposedDpEvent(scores_of(plan, allocation).event, SCORE_ATTEMPTS)
    assert (
        0.98 * allowed["validation"]
        <= rdp_at(plan.selection_event(scores), orders["validation"])
        <= allowed["validation"]
    )
    assert allocation.epochs > plan.on_participants.rungs[-1]  # an allowance for what a crash makes it redo


def test_a_surrogate_decides_in_the_way_that_needs_less_noise():
    several = choose_plan(inputs(), "surrogate")
    one_rate = choose_plan(inputs(sampling_rates=(0.0158,)), "surrogate")
    assert several.runs is None  # runs at many rates must all cost as much as the costliest order of one
    assert one_rate.runs is not None
    for plan in (several, one_rate):
        assert plan.on_surrogate is not None
        assert plan.pretraining + plan.on_participants.rungs[-1] == 40


def test_a_larger_epsilon_never_needs_more_noise():
    noises = [priced(choose_plan(inputs(epsilon), "surrogate"))[1].noise_multiplier(0.0158) for epsilon in (1, 3, 9)]
    assert noises == sorted(noises, reverse=True)


def test_steering_by_chance_is_refused_with_the_epsilon_that_would_do():
    with pytest.raises(PlanError, match="steered by chance") as refused:
        choose_plan(inputs(epsilon=0.5, schema=ACTG, trials=32))
    named = float(str(refused.value).split("works here is ")[1].split(";")[0])
    accepted = choose_plan(inputs(epsilon=named, schema=ACTG, trials=32))
    assert accepted.steering(ACTG, {}).keeps_the_better >= WORKABLE
    with pytest.raises(PlanError):
        choose_plan(inputs(epsilon=0.9 * named, schema=ACTG, trials=32))


@pytest.mark.parametrize("policy", ["measured", "composed"])
def test_an_epsilon_that_no_noise_keeps_is_refused_with_the_smallest_that_some_does(policy):
    with pytest.raises(PlanError, match=r"^Epsilon 0.001 is too small: at delta 1e-05 it cannot be kept, ") as refused:
        choose_plan(inputs(epsilon=0.001), policy)
    assert str(refused.value).endswith("; 1 to 3 is usual.")
    named = float(re.search(r"smallest --epsilon that .* here is ([0-9.]+)[,;]", str(refused.value)).group(1))
    choose_plan(inputs(epsilon=named), policy)
    with pytest.raises(PlanError):
        choose_plan(inputs(epsilon=0.9 * named), policy)


def test_what_earlier_studies_spent_counts_where_an_epsilon_is_too_small():
    spent = dict.fromkeys(("train", "validation"), dp_event.GaussianDpEvent(0.5))
    with pytest.raises(PlanError, match=r"cannot be kept after what was read before, .* at which hardly") as refused:
        choose_plan(inputs(spent=spent), "measured")
    assert "usual" not in str(refused.value)


@pytest.mark.parametrize(("policy", "helps"), [("composed", True), ("surrogate", False)])
def test_fewer_trials_are_advised_only_where_they_help(policy, helps):
    """A shortlist is scored as often, however many trials it was taken from."""
    with pytest.raises(PlanError, match="steered by chance") as refused:
        choose_plan(inputs(epsilon=0.3, schema=ACTG, trials=32), policy)
    assert ("fewer --trials" in str(refused.value)) == helps


def test_a_small_cohort_is_scored_on_a_larger_share():
    assert choose_plan(inputs(schema=SPRINT)).shares.validation < choose_plan(inputs(schema=ACTG)).shares.validation


def test_a_division_that_participants_were_read_by_is_kept():
    shares = SplitShares(train=0.5, validation=0.4, test=0.1)
    assert choose_plan(inputs(shares=shares)).shares == shares


def test_what_earlier_studies_spent_makes_for_more_noise():
    plan = choose_plan(inputs())
    spent = {"train": plan.events(SPRINT, {})["train"], "validation": None}
    later = choose_plan(inputs(epsilon=6.0, spent=spent))
    unspent = choose_plan(inputs(epsilon=6.0))
    with_less, with_all = later.events(SPRINT, spent)["train"], unspent.events(SPRINT, {})["train"]
    assert with_less.event.event.noise_multiplier > with_all.event.event.noise_multiplier
