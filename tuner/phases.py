"""The searches a study consists of, in their order: one, or one on a surrogate and one on a shortlist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from ray.train import Checkpoint

from analysis.epochs import ScoredEpoch, last_epochs, scored_epochs
from analysis.study import SHORTLIST, TRIALS
from cohorts import Splits
from privacy import Unaccounted
from privacy.composed import Composed
from privacy.ledger import Ledger
from privacy.ledger_actor import LedgerClient
from privacy.plan import Prices, Spending
from privacy.schedule import Schedule
from privacy.surrogate import OnSurrogate, Surrogate, buy_moments, keep_moments, kept_moments
from trainables.candidate import TrialPlan
from trainables.hyperparameters import Hyperparameters
from tuner.asha import REDUCTION_FACTOR, rungs
from tuner.request import StudyRequest


@dataclass(frozen=True)
class Phase:
    """One search by Ray Tune.

    Args:
        experiment: name of Ray Tune's experiment.
        optuna_study: name of Optuna's study.
        schedule: how many trials, and when they are scored.
        plan: what every trial is given.
        prices: what decides the noise of each configuration; None where the search space does.
        shortlist: configurations to run, by the trial they begin from; empty where Optuna proposes.
    """

    experiment: str
    optuna_study: str
    schedule: Schedule
    plan: TrialPlan
    prices: Prices | None = None
    shortlist: Mapping[str, Hyperparameters] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Through what a study reads participants.

    Args:
        splits: participants to train on, to score on, and to test on.
        ledger: the cohort's, in this process.
        books: the same for trials on any node.
    """

    splits: Splits
    ledger: Ledger
    books: LedgerClient


def phases(request: StudyRequest, spending: Spending | None, reader: Reader) -> Iterator[Phase]:
    """A study's searches; each is made up when the one before it has finished.

    Args:
        request: the study.
        spending: how its declared budget is divided; None where it declared none.
        reader: through what it reads participants.
    """
    study = request.settings.study
    if spending is None:
        settings = request.settings
        schedule = Schedule(trials=settings.trials, rungs=rungs(settings.max_epochs), keeps=REDUCTION_FACTOR)
        yield Phase(TRIALS, study, schedule, _unaccounted_plan(request, reader, schedule))
    elif spending.plan.free is None:
        yield Phase(TRIALS, study, spending.plan.paid, _composed_plan(request, spending, reader), spending.prices)
    else:
        yield Phase(TRIALS, study, spending.plan.free, _free_plan(request, spending, reader), spending.prices)
        shortlist = _shortlist(scored_epochs(request.directory, request.settings), spending)
        yield Phase(
            SHORTLIST,
            f"{study}-{SHORTLIST}",
            spending.plan.paid.model_copy(update={"trials": len(shortlist)}),
            _composed_plan(request, spending, reader, {each.trial_id: each.checkpoint for each in shortlist}),
            spending.prices,
            {each.trial_id: each.hyperparameters for each in shortlist},
        )


def _unaccounted_plan(request: StudyRequest, reader: Reader, schedule: Schedule) -> TrialPlan:
    settings = request.settings
    return TrialPlan(
        train=reader.splits.train,
        validation=reader.splits.validation,
        train_share=settings.shares.train,
        epsilon=settings.epsilon,
        delta=settings.delta,
        scored_epochs=schedule.rungs,
        engine=settings.engine,
        policy=Unaccounted(settings.study, reader.books),
        seed=settings.seed,
    )


def _composed_plan(
    request: StudyRequest, spending: Spending, reader: Reader, starts: Mapping[str, Checkpoint] | None = None
) -> TrialPlan:
    settings, schema = request.settings, request.cohort.schema
    scores = spending.prices.scores(schema, settings.shares)
    return TrialPlan(
        train=reader.splits.train,
        validation=reader.splits.validation,
        train_share=settings.shares.train,
        epsilon=inf,
        delta=settings.delta,
        scored_epochs=spending.plan.paid.rungs,
        engine=settings.engine,
        policy=Composed(settings.study, reader.books, scores),
        seed=None,
        starts=starts or {},
    )


def _free_plan(request: StudyRequest, spending: Spending, reader: Reader) -> TrialPlan:
    settings, plan = request.settings, spending.plan
    assert plan.free is not None
    surrogate = _surrogate(request, spending, reader)
    return TrialPlan(
        train=surrogate.train,
        validation=surrogate.validation,
        train_share=settings.shares.train,
        epsilon=inf,
        delta=settings.delta,
        scored_epochs=plan.free.rungs,
        engine=settings.engine,
        policy=OnSurrogate(),
        seed=None,
        pretraining=plan.pretraining,
    )


def _surrogate(request: StudyRequest, spending: Spending, reader: Reader) -> Surrogate:
    """The study's surrogate, bought now unless it was before."""
    settings, schema, file = request.settings, request.cohort.schema, request.directory.moments_file
    if not file.exists():
        mechanism = spending.prices.moments(schema, settings.shares)
        keep_moments(buy_moments(settings.study, reader.ledger, mechanism, reader.splits.train), file)
    return Surrogate.of(kept_moments(file), schema, settings.shares)


def _shortlist(epochs: Iterable[ScoredEpoch], spending: Spending) -> list[ScoredEpoch]:
    """The last pretrained epoch of the trials that did best, rehearsed ones before the others."""
    epochs, plan = tuple(epochs), spending.plan
    pretrained = last_epochs(each for each in epochs if each.epoch <= plan.pretraining)
    last = last_epochs(epochs)
    ranked = sorted(pretrained, key=lambda trial: (-last[trial].epoch, -last[trial].scores["score"], trial))
    return [pretrained[trial] for trial in ranked[: plan.paid.trials]]
