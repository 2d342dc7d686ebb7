"""The search itself: Ray Tune schedules trials, Optuna proposes them, ASHA stops the poor ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import optuna
from ray import tune
from ray.tune import Callback, CheckpointConfig
from rich.console import Console

from cohorts import split_cohort
from cohorts.interrupts import Interruption
from cohorts.left_out import left_out, many_left_out
from cohorts.lock import only_one
from privacy import LedgerError
from privacy.ledger.actor import serve_ledger
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import read_receipts, record_receipt
from privacy.ledger.secret_runs import SecretRuns
from privacy.ledger.study_record import RECEIPTS, keep_record
from privacy.planning.allocation import DeclaredPlan, allocate
from privacy.planning.schedule import Schedule
from privacy.policies import Door, policy_named
from trainables.service.driver import trials_of
from trainables.service.trials import DPGANTrial
from tuner.asha import SavedRungs, StudyASHA
from tuner.callbacks import PaidFor, watched_by
from tuner.dashboards import Dashboards, dashboards
from tuner.domains import default_configurations
from tuner.errors import StudyError
from tuner.forgetting import Forgetting, forget_states
from tuner.giving_up import GivesUp
from tuner.interrupts import ends_tune
from tuner.metrics import StudyMetrics
from tuner.naming import TrialFolder, about, named, trial_name
from tuner.optuna_search import StudySearch, describe
from tuner.own_machine import EndsWithMachine
from tuner.phases import Phase, configurations, phases, secret_folder
from tuner.presets import preset_named
from tuner.priced_spaces import sparse_steps
from tuner.quiet import quiet_ray
from tuner.ray_cluster import ray_cluster
from tuner.request import StudyRequest, begin_study
from tuner.resources import TrialResources, machines, running_machines, trial_resources
from tuner.secret_runs import SecretSearch, run_secretly
from tuner.snapshot import Snapshots, put_back, seal_of
from tuner.terminal import StudyView
from tuner.trial_log import LoggedTrials

RAY_LOG_FILE = "ray.log"
# A trial on a worker that is taken away (a spot machine, say) goes on from its checkpoint elsewhere.
RESTARTS_OF_A_TRIAL = 3


def run_study(
    request: StudyRequest,
    address: str | None,
    console: Console,
    shown: bool | None = None,
    callbacks: Sequence[Callback] = (),
) -> bool:
    """Run a study, or go on with one, until every trial has ended or it is interrupted.

    Args:
        request: the study.
        address: Ray cluster to run on, or None for this machine.
        console: where its progress is shown.
        shown: whether Optuna's dashboard is served and a cluster's metrics hold scores; by default for public cohorts
            only.
        callbacks: of Ray Tune, which hear of every trial but those of a secret number of runs.

    Raises:
        StudyError: the machines cannot run it, or another process does; nothing was written.
        MachineError: Ray did not start, or a trial met a full disk, say; the study can be resumed.
        LedgerUnavailable: the ledger's disk is full, say; the study can be resumed.
        KeyboardInterrupt: between searches.

    Returns:
        True when every trial has ended; False after an interrupt, from which it can be resumed.
    """
    settings, directory = request.settings, request.directory
    with ray_cluster(address) as info, only_one(directory.path, StudyError):
        packed = settings.engine == "packed"
        resources = trial_resources(settings.cpus_per_trial, settings.gpus_per_trial, machines(), packed)
        with closing(open_ledger(request)) as ledger:
            declared = declare_budget(request, ledger)
            begin_study(request, declared)  # nothing is written before everything was found in order
            quiet_ray(directory.path / RAY_LOG_FILE)
            splits = split_cohort(request.cohort, ledger.split_key, settings.shares)
            books = serve_ledger(ledger)
            door = Door(settings.study, request.cohort.schema, splits, ledger, books, directory.path)
            assert ledger.receipt is not None  # it is bound to the cohort, which is an entry
            door.keep(ledger.receipt)
            shown = request.cohort.schema.public if shown is None else shown
            exported = _metrics(request) if shown and address else []  # a Ray of this machine's own serves no metrics
            with dashboards(directory.database if shown else None, info) as watching:
                _announce(console, request, resources, watching)
                if sparse := declared.allocation and sparse_steps(
                    request.cohort.schema, request.space, declared.plan, declared.allocation
                ):
                    console.print(sparse, highlight=False, soft_wrap=True)
                if not ledger.books.charged(settings.study):
                    console.print(
                        "Participants begin to be read now. Each reading is charged to the ledger beforehand."
                    )
                finished = all(
                    _run(request, phase, declared, door, resources, console, [*callbacks, *exported])
                    for phase in phases(request, declared, door)
                )
            _keep_books(request, declared, ledger, finished)
        return finished


def _keep_books(request: StudyRequest, declared: DeclaredPlan, ledger: Ledger, finished: bool) -> None:
    """Leave with the study what it was told of the ledger; of one that has finished, nothing to train on from."""
    settings, directory = request.settings, request.directory
    assert ledger.receipt is not None
    record_receipt(directory.path / RECEIPTS, ledger.receipt, ledger.cohort)
    if finished:
        for stage in policy_named(settings.policy).stages(declared):
            forget_states(directory.experiment(settings, stage.name))
        keep_record(ledger, directory.path, settings.study, settings.delta)


def open_ledger(request: StudyRequest) -> Ledger:
    """The cohort's ledger, checked; for a resumed study also against what the study was told of it.

    Raises:
        LedgerError: it is missing, damaged, rolled back, or another cohort's.
    """
    settings = request.settings
    ledger = Ledger.for_cohort(
        request.cohort,
        settings.ledger,
        request.adopt_ledger and (request.cohort.schema.public or not request.resumed),
        settings.shares,
        request.other_people,
        request.new_ledger,
        request.ledgers_elsewhere,
        settings.study,
    )
    receipts = request.directory.path / RECEIPTS
    try:
        ledger.verify(read_receipts(receipts) if receipts.exists() else ())
    except LedgerError:
        ledger.close()
        raise
    return ledger


def declare_budget(request: StudyRequest, ledger: Ledger) -> DeclaredPlan:
    """Declare what the study plans, before its first reading; of a resumed study, what it declared then.

    Returns:
        The plan, with what was allocated where the policy declares a budget.

    Raises:
        LedgerError: earlier studies leave no room.
        StudyError: the study's name was used before.
    """
    plan, settings, schema = request.plan, request.settings, request.cohort.schema
    if request.resumed:
        return _declared_before(request, ledger)
    if ledger.books.charged(settings.study):
        raise StudyError(
            f"A study named {settings.study} has read participants of {schema.name} before, and the ledger knows it by "
            f"that name, though it is no longer at {request.directory.path}. Give the new study another name with "
            "--study, or put the old one's folder back and resume it."
        )
    if not policy_named(settings.policy).declares_budget:
        return DeclaredPlan(plan=plan, allocation=None)
    events = plan.events(schema, {} if schema.public else ledger.spent())
    ledger.declare(settings.study, plan.budget, events, settings.policy, afresh=schema.public)
    return DeclaredPlan(plan=plan, allocation=allocate(plan, schema, ledger.books.filters[settings.study]))


def _declared_before(request: StudyRequest, ledger: Ledger) -> DeclaredPlan:
    """What a resumed study declared, if the ledger still knows it: it is what bounds what is read.

    Raises:
        LedgerError: it does not.
    """
    settings, declared = request.settings, request.directory.declared_plan()
    known = ledger.books.filters.get(settings.study)
    if policy_named(settings.policy).declares_budget and (
        known is None or known.declaration.budget != declared.plan.budget
    ):
        raise LedgerError(
            f"The ledger {ledger.file} does not know what the study {settings.study} declared: it is an older copy. "
            "Restore the newest one from a backup."
        )
    return declared


def _run(
    request: StudyRequest,
    phase: Phase,
    declared: DeclaredPlan,
    door: Door,
    resources: TrialResources,
    console: Console,
    callbacks: Sequence[Callback],
) -> bool:
    """Carry out one search; returns whether it has ended."""
    if not phase.stage.reads_participants:
        console.print("The measurements are complete. This search reads no participant.")
    if phase.stage.runs is None:
        return _search(request, phase, resources, console, callbacks)
    _show_law(request, phase)
    account = SecretRuns(door.ledger, door.study)
    if account.has_kept(request.directory.winner):
        shutil.rmtree(secret_folder(request), ignore_errors=True)  # of a study that was killed as it chose
        return True
    minutes = declared.plan.search_minutes
    search = SecretSearch(
        account=account,
        configurations=configurations(request, phase, declared, door),
        plan=phase.plan,
        folder=secret_folder(request),
        winner=request.directory.winner,
        keep=door.keep,
        until=request.settings.created + timedelta(minutes=minutes) if minutes else None,
    )
    return run_secretly(search, resources, console)


def _show_law(request: StudyRequest, phase: Phase) -> None:
    """Give the study's dashboard the plan, which is all there is to be seen of a secret number of runs."""
    study = optuna.create_study(
        storage=f"sqlite:///{request.directory.database.resolve()}",
        study_name=phase.optuna_study,
        direction="maximize",
        load_if_exists=True,
    )
    assert phase.stage.runs is not None
    for name, value in phase.stage.runs.model_dump().items():
        study.set_user_attr(f"number of runs: {name}", value)
    describe(study, {**about(request, phase), "epochs of a run": phase.plan.scored_epochs[-1]})


def _search(
    request: StudyRequest, phase: Phase, resources: TrialResources, console: Console, callbacks: Sequence[Callback]
) -> bool:
    """Hand one search to Ray Tune; returns whether all its trials have ended."""
    settings, directory, schedule = request.settings, request.directory, phase.schedule
    search = StudySearch(
        request.space,
        directory.database,
        phase.optuna_study,
        settings.seed,
        allocation=phase.stage.allocation,
        shortlist=phase.shortlist,
        first=_first(request, phase)[: schedule.trials],
        about=about(request, phase),
    )
    scheduler = _scheduler(schedule)
    labelled = len(request.cohort.schema.label.classes) > 1
    noise_sd = phase.stage.score_noise_sd
    view = StudyView(phase.optuna_study, schedule.trials, console, labelled=labelled, score_noise_sd=noise_sd)
    logged = LoggedTrials(directory.trial_log(phase.stage.name), directory.losses)
    snapshot, seal = directory.path / f"{phase.stage.name}.snapshot", seal_of(settings.study, phase.stage.name)
    resumed = request.resumed and snapshot.exists()
    if resumed:
        put_back(snapshot, directory.experiment(settings, phase.stage.name), seal)
    # With Tune's own limit of one, a trial that ends gives its process to the one trial that is waiting for another
    # machine to start; short trials then never leave the first machine.
    slots = resources.trials_at_once(running_machines())
    forgetting = [Forgetting()] if phase.stage.reads_participants else []  # others may be gone on from
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots + 1)
    interruption = Interruption()
    with closing(view), ends_tune(interruption), scheduler.stop_raised():
        tune.run(
            named(tune.with_parameters(DPGANTrial, trials=trials_of(phase.plan))),
            name=phase.stage.name,
            trial_name_creator=trial_name,
            trial_dirname_creator=TrialFolder.of(request.space),
            storage_path=directory.storage_path(settings),
            num_samples=schedule.trials,
            search_alg=search,
            scheduler=scheduler,
            resources_per_trial=resources.placement(),
            callbacks=[
                SavedRungs(scheduler, resumed),
                logged,
                GivesUp(scheduler),
                EndsWithMachine(),
                Snapshots(scheduler, snapshot, seal),
                view,
                *forgetting,
                *callbacks,
            ],
            checkpoint_config=CheckpointConfig(checkpoint_frequency=1),
            reuse_actors=True,
            max_failures=RESTARTS_OF_A_TRIAL,
            raise_on_failed_trial=False,
            resume=resumed,
            verbose=0,
        )
    return not interruption.asked and search.ended >= schedule.trials


def _first(request: StudyRequest, phase: Phase) -> Sequence[Mapping[str, Any]]:
    """What a search begins with: a preset's configurations, or where it reads nobody its candidates' own defaults."""
    if request.settings.preset:
        return preset_named(request.settings.preset).configurations
    return () if phase.stage.reads_participants else default_configurations(request.space)


def _scheduler(schedule: Schedule) -> StudyASHA:
    if schedule.reduction_factor == 1:
        return StudyASHA(schedule.rungs[-1], grace_epochs=schedule.rungs[-1])
    return StudyASHA(schedule.rungs[-1], schedule.reduction_factor, schedule.rungs[0])


def _metrics(request: StudyRequest) -> list[PaidFor]:
    """What Ray's metrics are told, where scores are paid for or nobody's."""
    policy, public = policy_named(request.settings.policy), request.cohort.schema.public
    if not (policy.declares_budget or public):
        return []
    epsilon = request.settings.epsilon if policy.declares_budget else None
    return watched_by([StudyMetrics(request.settings.study, epsilon)], policy, public)


def _announce(console: Console, request: StudyRequest, resources: TrialResources, watching: Dashboards) -> None:
    settings = request.settings
    share = f"{resources.cpus:g} CPU" + (f" and {resources.gpus:g} GPU" if resources.gpus else "")
    verb = "Resuming" if request.resumed else "Starting"
    console.print(
        f"{verb} study [bold]{settings.study}[/]: cohort {settings.cohort}, policy {settings.policy}, "
        f"{settings.trials} trials of at most {settings.max_epochs} epochs, {share} each",
        highlight=False,
    )
    if many_left_out(request.cohort.schema):
        console.print(f"WARNING: {left_out(request.cohort.schema)}", style="bold red", markup=False, soft_wrap=True)
    for line in watching.lines():
        console.print(f"  {line}", highlight=False, soft_wrap=True)
