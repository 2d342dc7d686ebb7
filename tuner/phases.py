"""The searches a study consists of, in their order: one, or one on a surrogate and one on a shortlist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from ray.train import Checkpoint

from analysis.epochs import ScoredEpoch, last_epochs, scored_epochs
from analysis.study import SHORTLIST, TRIALS
from cohorts import Splits
from privacy import Policy, Unaccounted
from privacy.ledger.actor import LedgerClient
from privacy.ledger.ledger import Ledger
from privacy.planning.allocation import Allocation, DeclaredPlan, RunAllocation
from privacy.planning.plan import SCORE_ATTEMPTS
from privacy.planning.schedule import Schedule
from privacy.policies.composed import Composed
from privacy.policies.selection import Selection, selection_charges
from privacy.policies.surrogate import OnSurrogate, Surrogate, buy_moments, keep_moments, kept_moments
from trainables.gan.hyperparameters import Hyperparameters
from trainables.trial import TrialPlan
from tuner.asha import REDUCTION_FACTOR, rungs
from tuner.drawing import Drawing
from tuner.errors import StudyError
from tuner.request import StudyRequest
from tuner.secret_runs import SecretRuns


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
    allocation: Allocation | None = None
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


def phases(request: StudyRequest, declared_plan: DeclaredPlan | None, reader: Reader) -> Iterator[Phase | SecretRuns]:
    """A study's searches; each is made up when the one before it has finished.

    Args:
        request: the study.
        spending: how its declared budget is divided; None where it declared none.
        reader: through what it reads participants.
    """
    study, settings = request.settings.study, request.settings
    if declared_plan is None:
        schedule = Schedule(trials=settings.trials, rungs=rungs(settings.max_epochs), reduction_factor=REDUCTION_FACTOR)
        yield Phase(TRIALS, study, schedule, _unaccounted_plan(request, reader, schedule))
    elif declared_plan.plan.free is None:
        yield _on_participants(request, declared_plan, reader, ())
    else:
        yield Phase(
            TRIALS, study, declared_plan.plan.free, _free_plan(request, declared_plan, reader), declared_plan.allocation
        )
        yield _on_participants(
            request, declared_plan, reader, _shortlist(scored_epochs(request.directory, settings), declared_plan)
        )


def _on_participants(
    request: StudyRequest, declared_plan: DeclaredPlan, reader: Reader, shortlist: Sequence[ScoredEpoch]
) -> Phase | SecretRuns:
    """The search on real participants: over the space, or over a shortlist."""
    starts = {each.trial_id: each.checkpoint for each in shortlist}
    if isinstance(declared_plan.allocation, RunAllocation):
        return _secret_runs(request, declared_plan, declared_plan.allocation, reader, shortlist)
    study, schedule = request.settings.study, declared_plan.plan.paid
    mechanism = declared_plan.allocation.scores(request.cohort.schema, request.settings.shares)
    plan = _paid_plan(request, declared_plan, reader, Composed(study, reader.books, mechanism), starts)
    if not shortlist:
        return Phase(TRIALS, study, schedule, plan, declared_plan.allocation)
    return Phase(
        SHORTLIST,
        f"{study}-{SHORTLIST}",
        schedule.model_copy(update={"trials": len(shortlist)}),
        plan,
        declared_plan.allocation,
        {each.trial_id: each.hyperparameters for each in shortlist},
    )


def _secret_runs(
    request: StudyRequest,
    declared_plan: DeclaredPlan,
    allocation: RunAllocation,
    reader: Reader,
    shortlist: Sequence[ScoredEpoch],
) -> SecretRuns:
    """A secret number of runs, charged whole; every run draws afresh, from the space or from the shortlist."""
    settings, runs = request.settings, declared_plan.plan.runs
    assert runs is not None
    mechanism = allocation.scores(request.cohort.schema, settings.shares)
    paid = reader.ledger.paid_whole(settings.study)
    if paid is None:
        charges = selection_charges(settings.study, runs, allocation, mechanism, SCORE_ATTEMPTS)
        paid = reader.ledger.charge(charges)
    starts = {each.trial_id: each.checkpoint for each in shortlist}
    return SecretRuns(
        runs=runs,
        plan=_paid_plan(request, declared_plan, reader, Selection(reader.books, paid, mechanism), starts),
        draw=Drawing(request.space.without("noise_multiplier"), allocation, tuple(shortlist)),
        folder=_secret_folder(request),
        winner=request.directory.winner,
    )


def _secret_folder(request: StudyRequest) -> Path:
    storage = request.settings.storage
    if storage is None:
        return request.directory.internal.resolve() / "runs"
    if "://" in storage:
        raise StudyError(
            f"--storage {storage} is not a folder. A secret number of runs is kept in one until the best is chosen; "
            "name a folder that all machines see."
        )
    return Path(storage) / request.settings.study / "internal-runs"


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


def _paid_plan(
    request: StudyRequest, declared_plan: DeclaredPlan, reader: Reader, policy: Policy, starts: Mapping[str, Checkpoint]
) -> TrialPlan:
    settings = request.settings
    return TrialPlan(
        train=reader.splits.train,
        validation=reader.splits.validation,
        train_share=settings.shares.train,
        epsilon=inf,
        delta=settings.delta,
        scored_epochs=declared_plan.plan.paid.rungs,
        engine=settings.engine,
        policy=policy,
        seed=None,
        starts=starts,
    )


def _free_plan(request: StudyRequest, declared_plan: DeclaredPlan, reader: Reader) -> TrialPlan:
    settings, plan = request.settings, declared_plan.plan
    assert plan.free is not None
    surrogate = _surrogate(request, declared_plan, reader)
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


def _surrogate(request: StudyRequest, declared_plan: DeclaredPlan, reader: Reader) -> Surrogate:
    """The study's surrogate, bought now unless it was before."""
    settings, schema, file = request.settings, request.cohort.schema, request.directory.moments_file
    if not file.exists():
        mechanism = declared_plan.allocation.moments(schema, settings.shares)
        keep_moments(buy_moments(settings.study, reader.ledger, mechanism, reader.splits.train), file)
    return Surrogate.of(kept_moments(file), schema, settings.shares)


def _shortlist(epochs: Iterable[ScoredEpoch], declared_plan: DeclaredPlan) -> list[ScoredEpoch]:
    """The last pretrained epoch of the trials that did best, rehearsed ones before the others."""
    epochs, plan = tuple(epochs), declared_plan.plan
    pretrained = last_epochs(each for each in epochs if each.epoch <= plan.pretraining)
    last = last_epochs(epochs)
    ranked = sorted(pretrained, key=lambda trial: (-last[trial].epoch, -last[trial].scores["score"], trial))
    return [pretrained[trial] for trial in ranked[: plan.paid.trials]]
