"""What a study would cost: the plan it will declare, worked out without reading anyone and without Ray."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

import optuna
from rich.console import Console
from rich.table import Table

from analysis.quality.estimates import Quantity
from analysis.quality.foreseen import Foreseen
from analysis.quality.gate import NAMES
from analysis.study import StudySettings
from cohorts import Schema, Split, SplitShares
from privacy.accounting.budget import Budget
from privacy.errors import BudgetExhausted, PlanError
from privacy.ledger.declaring import spent_by_study
from privacy.ledger.filter import RenyiFilter
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import ledger_file
from privacy.planning.allocation import Allocated, DeclaredPlan, allocate
from privacy.planning.choice import PlanInputs, first_filter
from privacy.planning.plan import Spent, StudyPlan
from privacy.planning.schedule import Schedule
from privacy.planning.steering import ADVANTAGE, Steering
from privacy.policies import policy_named
from search_spaces import SearchSpace
from trainables.gan.hyperparameters import DEFAULT_SAMPLING_RATE
from trainables.scoring import steering
from tuner.asha import REDUCTION_FACTOR, rungs
from tuner.presets import preset_named

DRAWS, RATES = 99, 5
QUANTILES = (0.1, 0.5, 0.9, 0.99)

PLURALS: Mapping[Quantity, str] = {
    "mean": "means",
    "share": "shares",
    "missing": "shares without a value",
    "variance": "variances",
    "difference in means": "differences in means",
    "difference in shares": "differences in shares",
}
MADE_UP = (
    "* Of made-up people, as many as the schema says, whose numbers lie in the middle of their limits. Where real ones "
    "take up a small part of wide limits, noise hides more. Means and their differences are off by so many standard "
    "deviations."
)
"""Of what is foreseen."""


def plan_study(settings: StudySettings, schema: Schema, space: SearchSpace) -> StudyPlan:
    """How a study will be carried out, and divide its budget.

    Raises:
        PlanError: what is asked for fits in no useful way.
        LedgerError: the cohort's ledger is damaged, or earlier studies leave no room.
    """
    ledger = _open_ledger(settings, schema)
    spent, shares = _before(ledger, schema)
    preset = preset_named(settings.preset) if settings.preset else None
    policy, budget = policy_named(settings.policy), Budget(settings.epsilon, settings.delta)
    inputs = PlanInputs(
        budget=budget,
        schema=schema,
        trials=settings.trials,
        rungs=tuple(range(1, settings.max_epochs + 1)) if preset else rungs(settings.max_epochs),
        reduction_factor=1 if preset else REDUCTION_FACTOR,
        sampling_rates=typical_sampling_rates(space),
        scored_by=tuple(steering()),
        shares=shares or (preset.shares if preset else None),
        noisy_picks=preset is not None,
        spent=spent,
        search_minutes=settings.search_minutes,
    )
    if ledger is None or not spent or not policy.declares_budget:
        return policy.plan(inputs)
    ledger.draft(budget)  # raises where there is no room at all, and says who took it
    try:
        return policy.plan(inputs)
    except (PlanError, BudgetExhausted) as error:
        raise PlanError(f"{error} Already spent on these participants: {spent_by_study(ledger.books)}.") from None


def typical_sampling_rates(space: SearchSpace) -> tuple[float, ...]:
    """The deciles but one of a search space's sampling rates, or the one there is."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [float(space(study.ask()).get("sampling_rate", DEFAULT_SAMPLING_RATE)) for _ in range(DRAWS)]
    return tuple(statistics.quantiles(drawn, n=RATES + 1)) if len(set(drawn)) > 1 else (drawn[0],)


def _open_ledger(settings: StudySettings, schema: Schema) -> Ledger | None:
    file: Path = settings.ledger or ledger_file(schema)
    if not file.exists():
        return None
    ledger = Ledger.open(file, read_only=True)
    return ledger if ledger.binding else None


def _before(ledger: Ledger | None, schema: Schema) -> tuple[Spent, SplitShares | None]:
    """What earlier studies ran on each split, and the division they fixed; nothing for a public cohort."""
    if ledger is None or schema.public:
        return {}, None
    assert ledger.binding is not None
    if not ledger.books.release_charges():
        return {}, None
    train, validation, test = ledger.binding.shares
    return ledger.spent(), SplitShares(train=train, validation=validation, test=test)


def draft_allocation(settings: StudySettings, schema: Schema, plan: StudyPlan) -> tuple[RenyiFilter, Allocated]:
    """What a plan would declare, and what its parts could then cost; nothing is written."""
    ledger = _open_ledger(settings, schema)
    spent, _ = _before(ledger, schema)
    events = plan.events(schema, spent)
    declared = ledger.draft(plan.budget, events, schema.public) if ledger else first_filter(plan, events)
    return declared, allocate(plan, schema, declared)


def print_plan(settings: StudySettings, schema: Schema, space: SearchSpace, plan: StudyPlan, console: Console) -> None:
    """Show what a study would cost and how its budget is divided."""
    if not policy_named(settings.policy).declares_budget:
        console.print(
            f"The policy {settings.policy} declares no budget, so there is nothing to divide: epsilon "
            f"{settings.epsilon:g} limits each trial's training, and scores are used without noise."
        )
        return
    declared, allocation = draft_allocation(settings, schema, plan)
    table = Table(
        show_header=False, box=None, title=f"Plan for {schema.name}: no participant was read", title_justify="left"
    )
    for name, value in _rows(schema, space, plan, allocation, declared):
        table.add_row(name, value)
    if plan.measures_once:
        with console.status("Measuring people who are made up"):
            mechanism = DeclaredPlan(plan=plan, allocation=allocation).measurements(schema)
            seen = Foreseen.of(mechanism, round(schema.nominal_size * plan.measured_share))
        for name, value in _foreseen_rows(seen):
            table.add_row(name, value)
    console.print(table)
    if plan.measures_once:
        console.print(MADE_UP, markup=False, highlight=False)


def _foreseen_rows(seen: Foreseen) -> list[tuple[str, str]]:
    """How wide intervals will be, and how well a release can be judged."""
    widths = ", ".join(f"{PLURALS[kind]} {width:.2g}" for kind, width in seen.widths.items())
    found = ", ".join(f"{NAMES[each.what]} {each.found}" for each in seen.quality.sight)
    return [
        ("intervals*", f"in widths of the trial's own: {widths}"),
        ("quality gate*", f"finds what is off by, typically: {found}"),
    ]


def _rows(
    schema: Schema,
    space: SearchSpace,
    plan: StudyPlan,
    allocation: Allocated,
    declared: RenyiFilter,
) -> list[tuple[str, str]]:
    orders = declared.declaration.orders
    shares = plan.shares
    rows = [
        ("declared", f"epsilon {plan.epsilon:g}, delta {plan.delta:g}, for everything that reads participants"),
        ("spent before", f"{declared.epsilon('train'):.3g} on training, {declared.epsilon('validation'):.3g} on "
         "validation participants"),
        ("participants", f"{shares.train:.0%} train, {shares.validation:.0%} validate, {shares.test:.0%} test (kept "
         "for the internal report)"),
    ]  # fmt: skip
    if plan.measures_once:
        return [*rows, *_measured_rows(plan, allocation, orders)]
    guide = Steering(DeclaredPlan(plan=plan, allocation=allocation).scores(schema))
    if plan.on_surrogate:
        rows += [
            ("surrogate", f"noisy moments for {plan.surrogate_share:.0%} of the training participants' budget"),
            ("search, free", f"{_described(plan.on_surrogate)}, the first {plan.pretraining} epochs without noise, "
             "the rest as rehearsal"),
        ]  # fmt: skip
    where = "on real participants" if plan.on_surrogate else "search"
    if plan.runs:
        quantiles = ", ".join(f"{plan.runs.quantile(share)} ({share:.0%})" for share in QUANTILES)
        law = "logarithmic" if plan.runs.shape == 0 else f"truncated negative binomial, shape {plan.runs.shape:g}"
        rows += [
            (where, f"a secret number of runs of {plan.on_participants.rungs[-1]} epochs, of which only the best is "
             "ever seen"),
            ("number of runs", f"{law}, mean {plan.runs.mean:g}; quantiles {quantiles}"),
            ("ends", f"{plan.search_minutes:g} minutes after it began" if plan.search_minutes else "with its runs, so "
             "anyone who knows how long it took can guess their number; --search-minutes fixes the end"),
        ]  # fmt: skip
    else:
        rows += [(where, _described(plan.on_participants))]
    return [
        *rows,
        ("training noise", _noise(schema, space, plan, allocation)),
        ("noise of one score", f"standard deviation {guide.noise_sd:.4f}"),
        (f"keeps the better by {ADVANTAGE:g}", f"with probability {guide.keeps_the_better:.2f} among three; 1/3 is "
         "chance"),
        ("Renyi orders", f"{orders['train']:g} for training, {orders['validation']:g} for validation participants"),
    ]  # fmt: skip


def _noise(schema: Schema, space: SearchSpace, plan: StudyPlan, allocation: Allocated) -> str:
    least = space.least("noise_multiplier")
    if least is None:
        return (
            f"multiplier {allocation.noise_multiplier(plan.sampling_rate):.2f} at sampling rate "
            f"{plan.sampling_rate:.3g}; at other rates what costs the same"
        )
    rate = allocation.sampling_rate_at(least)
    return (
        f"as searched, from multiplier {least:g} on, where the sampling rate is {rate:.3g} and a step expects "
        f"{plan.expected_batch(schema, rate):.2g} participants; with more noise the rate that costs the same"
    )


def _measured_rows(plan: StudyPlan, allocation: Allocated, orders: Mapping[Split, float]) -> list[tuple[str, str]]:
    assert plan.on_surrogate is not None
    return [
        ("measured once", f"everybody who trains or validates, at zCDP {allocation.surrogate_rho:.4g}"),
        ("search, free", _described(plan.on_surrogate)),
        ("Renyi orders", f"{orders['train']:g} for training, {orders['validation']:g} for validation participants"),
    ]


def _described(schedule: Schedule) -> str:
    after = ", ".join(map(str, schedule.rungs))
    kept = f", one in {schedule.reduction_factor} goes on" if schedule.reduction_factor > 1 else ""
    return (
        f"{schedule.trials} trials scored after epochs {after}{kept}: about {schedule.epochs:.0f} epochs and "
        f"{schedule.scores:.0f} scores"
    )
