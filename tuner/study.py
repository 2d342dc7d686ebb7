"""The search itself: Ray Tune schedules trials, Optuna proposes them, ASHA stops the poor ones."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig
from rich.console import Console

from analysis.study import TRIALS
from privacy import Unaccounted
from privacy.ledger import Ledger
from privacy.ledger_actor import LedgerClient, serve_ledger
from privacy.study_record import WITNESSES, keep_record
from privacy.witness import read_witnesses, record_witness
from trainables.trial import DPGANTrial, TrialPlan
from tuner.asha import SavedRungs, StudyASHA, rungs
from tuner.dashboards import Dashboards, dashboards, local_ray_auth, ray_token
from tuner.errors import StudyError
from tuner.optuna_search import StudySearch
from tuner.request import SHARES, StudyRequest, begin_study
from tuner.resources import TrialResources, machines, running_machines, trial_resources
from tuner.snapshot import Snapshots, put_back
from tuner.terminal import StudyView, quiet_ray

SNAPSHOT_FILE = "snapshot.zip"
RAY_LOG_FILE = "ray.log"
# A trial on a worker that is taken away (a spot machine, say) goes on from its checkpoint elsewhere.
RESTARTS_OF_A_TRIAL = 3
CONNECT_TIMEOUT_S = 10


@contextmanager
def ray_cluster(address: str | None) -> Iterator[dict[str, Any]]:
    """A running Ray while the block runs: the cluster at ``address``, or one started on this machine.

    Args:
        address: ``auto``, ``HOST:PORT``, or None to start Ray here.

    Yields:
        What ``ray.init`` tells of it.

    Raises:
        StudyError: no cluster answers at the address.
    """
    quiet = quiet_ray()
    if address is None:
        local_ray_auth()
        context = ray.init(include_dashboard=True, dashboard_host="127.0.0.1", **quiet)
    else:
        ray_token()
        try:
            _knock(address)
            context = ray.init(address=address, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()
            raise StudyError(
                f"No Ray cluster answers at --address {address}: {reason[0] if reason else type(error).__name__}. "
                "docs/cluster.md says how to start one; leave --address out to run on this machine alone."
            ) from error
    try:
        yield dict(context.address_info)  # type: ignore[attr-defined]
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Fail at once where nothing listens: Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def run_study(request: StudyRequest, address: str | None, console: Console) -> bool:
    """Run a study, or go on with one, until every trial has ended or it is interrupted.

    Args:
        request: the study.
        address: Ray cluster to run on, or None for this machine.
        console: where its progress is shown.

    Raises:
        StudyError: the machines cannot run it; nothing was written.

    Returns:
        True when every trial has ended; False after an interrupt, from which it can be resumed.
    """
    settings, directory = request.settings, request.directory
    with ray_cluster(address) as info:
        resources = trial_resources(settings.cpus_per_trial, settings.gpus_per_trial, machines())
        ledger = open_ledger(request)
        begin_study(request)  # nothing is written before everything was found in order
        quiet_ray(directory.path / RAY_LOG_FILE)
        search = StudySearch(request.space, directory.database, settings.study, settings.seed)
        with dashboards(directory.database, info) as watching:
            _announce(console, request, resources, watching)
            finished = _search(request, search, resources, serve_ledger(ledger), console)
        assert ledger.witness is not None  # it is bound to the cohort, which is an entry
        record_witness(directory.path / WITNESSES, ledger.witness)
        if finished:
            keep_record(ledger, directory.path, settings.study, settings.delta)
        return finished


def open_ledger(request: StudyRequest) -> Ledger:
    """The cohort's ledger, checked; for a resumed study also against what the study was told of it.

    Raises:
        LedgerError: it is missing, damaged, rolled back, or another cohort's.
    """
    ledger = Ledger.for_cohort(request.cohort, request.settings.ledger, request.adopt_ledger)
    witnesses = request.directory.path / WITNESSES
    ledger.verify(read_witnesses(witnesses) if witnesses.exists() else ())
    return ledger


def _search(
    request: StudyRequest, search: StudySearch, resources: TrialResources, books: LedgerClient, console: Console
) -> bool:
    """Hand the study to Ray Tune."""
    settings, directory = request.settings, request.directory
    scheduler = StudyASHA(settings.max_epochs)
    view = StudyView(settings.study, settings.trials, console)
    snapshot = directory.path / SNAPSHOT_FILE
    resumed = request.resumed and snapshot.exists()
    if resumed:
        put_back(snapshot, directory.experiment(settings))
    # With Tune's own limit of one, a trial that ends gives its process to the one trial that is waiting for another
    # machine to start; short trials then never leave the first machine.
    slots = resources.trials_at_once(running_machines())
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots + 1)
    try:
        tune.run(
            tune.with_parameters(DPGANTrial, plan=trial_plan(request, books)),
            name=TRIALS,
            storage_path=directory.storage_path(settings),
            num_samples=settings.trials,
            search_alg=search,
            scheduler=scheduler,
            resources_per_trial=resources.placement(),
            callbacks=[SavedRungs(scheduler, resumed), Snapshots(scheduler, snapshot), view],
            checkpoint_config=CheckpointConfig(checkpoint_frequency=1),
            reuse_actors=True,
            max_failures=RESTARTS_OF_A_TRIAL,
            raise_on_failed_trial=False,
            resume=resumed,
            verbose=0,
        )
    finally:
        view.close()
    return search.ended >= settings.trials


def trial_plan(request: StudyRequest, books: LedgerClient) -> TrialPlan:
    """What every trial of a study is given."""
    settings = request.settings
    return TrialPlan(
        train=request.splits.train,
        validation=request.splits.validation,
        train_share=SHARES.train,
        epsilon=settings.epsilon,
        delta=settings.delta,
        scored_epochs=rungs(settings.max_epochs),
        engine=settings.engine,
        policy=Unaccounted(settings.study, books),
        seed=settings.seed,
    )


def _announce(console: Console, request: StudyRequest, resources: TrialResources, watching: Dashboards) -> None:
    settings = request.settings
    share = f"{resources.cpus:g} CPU" + (f" and {resources.gpus:g} GPU" if resources.gpus else "")
    verb = "Going on with" if request.resumed else "Starting"
    console.print(
        f"{verb} study [bold]{settings.study}[/]: cohort {settings.cohort}, {settings.trials} trials of at most "
        f"{settings.max_epochs} epochs, {share} each, scored after epochs "
        f"{', '.join(map(str, rungs(settings.max_epochs)))}",
        highlight=False,
    )
    for line in watching.lines():
        console.print(f"  {line}", highlight=False, soft_wrap=True)
