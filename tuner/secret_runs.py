"""Runs of a secret number: carried out out of sight, and only the best of them is kept.

Nothing that anyone watches depends on a run or on how many there are: Ray sees as many tasks as there is room for,
each told nothing but where its share lies; terminal, Optuna and results show the plan. What is left is time, unless the
search was to end at a time fixed beforehand; the statement says which.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayTaskError
from rich.console import Console

from analysis.study import WINNER_FILE
from cohorts import storage
from privacy import BudgetExhausted
from privacy.ledger.commitment import digest_of
from privacy.ledger.receipt import Receipt
from privacy.ledger.secret_runs import SecretRuns
from privacy.planning.plan import segment_epochs
from trainables.generators import GENERATOR_FILE
from trainables.service.answers import PackLost
from trainables.service.driver import served
from trainables.trial import Trial, TrialPlan
from tuner.errors import StudyError
from tuner.failures import ledger_error
from tuner.own_machine import LOOK_EVERY_S, require_own_machine
from tuner.resources import TrialResources, running_machines

RETRIES = 3  # on a node that is taken away; what a run may do again is bounded by what was charged
STATE, RESULT = "state", "result.json"


@dataclass(frozen=True)
class SecretSearch:
    """A search by a secret number of runs.

    Args:
        account: of the runs, in the cohort's ledger.
        configurations: of every run.
        plan: what every run is given; scored at its last epoch only.
        folder: where the runs are kept until the best is chosen; seen by all nodes, and by nobody else.
        winner: folder that the best is written to.
        keep: is given the receipt of the choice, for the study.
        until: when the search ends, however many runs there are; None where it ends with them.
    """

    account: SecretRuns
    configurations: list[Mapping[str, Any]]
    plan: TrialPlan
    folder: Path
    winner: Path
    keep: Callable[[Receipt], None]
    until: datetime | None = None


def run_secretly(search: SecretSearch, resources: TrialResources, console: Console) -> bool:
    """Carry out the runs, those of an interrupted study where they stopped, and keep the best.

    Returns:
        True when the best is chosen; False after an interrupt.
    """
    search.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    workers = max(1, resources.trials_at_once(running_machines()))
    share = ray.remote(_carry_out_share).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=RETRIES, retry_exceptions=[PackLost]
    )
    try:
        with console.status("Searching. How many runs there are, and how well they do, is kept secret."):
            plan, drawn = ray.put(served(search.plan)), ray.put(search.configurations)
            _complete([share.remote(plan, drawn, search.folder, worker, workers) for worker in range(workers)])
            _keep_best(search)
            _wait(search.until)
    except KeyboardInterrupt:
        return False
    except RayTaskError as error:
        refused = ledger_error(error)
        if refused:
            raise refused from None
        raise
    return True


def _complete(shares: list[Any]) -> None:
    """Wait for all shares; the first error ends it, and so does the loss of this machine."""
    while shares:
        done, shares = ray.wait(shares, timeout=LOOK_EVERY_S)
        ray.get(done)
        require_own_machine()


def _wait(until: datetime | None) -> None:
    """Let the time pass that was fixed beforehand."""
    while until is not None and (left := (until - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(min(left, 1.0))


def _carry_out_share(plan: TrialPlan, drawn: list[Mapping[str, Any]], folder: Path, worker: int, workers: int) -> None:
    """One worker's share of the runs, one after the other."""
    torch.set_num_threads(1)
    for number in range(worker, len(drawn), workers):
        _carry_out(plan, number, drawn[number], folder / str(number))


def _carry_out(plan: TrialPlan, number: int, config: Mapping[str, Any], folder: Path) -> None:
    """Train and score one run, or what is left of it. A run that would redo more than it is charged for is given up."""
    folder.mkdir(exist_ok=True)
    if (folder / RESULT).exists():
        return
    trial = Trial(str(number), config, plan)
    longest = min(plan.scored_epochs[-1], trial.planned_epochs)
    segment = segment_epochs(longest)
    if (folder / STATE).exists():
        trial.load(folder / STATE)
    try:
        while trial.epoch < longest:
            trial.train_to(min(longest, trial.epoch + segment))
            with storage.replaced_directory(folder / STATE) as building:
                trial.save(building)
        storage.write_text(folder / RESULT, json.dumps(trial.score()))
    except BudgetExhausted:
        return
    except RayTaskError as error:
        if not isinstance(error.cause, BudgetExhausted):
            raise


def _keep_best(search: SecretSearch) -> None:
    """Write the run with the best noisy score to where it may be seen, and remove all others."""
    results = {number: search.folder / str(number) / RESULT for number in range(len(search.configurations))}
    scores = {number: json.loads(file.read_text()) for number, file in results.items() if file.exists()}
    if not scores:
        raise StudyError(
            "Every run was interrupted more often than it was charged for, so none could be carried out. What was "
            "declared is spent."
        )
    highest = max(result["score"] for result in scores.values())
    best = secrets.choice([number for number, result in scores.items() if result["score"] == highest])
    with storage.replaced_directory(search.winner) as building:
        shutil.copy(search.folder / str(best) / STATE / GENERATOR_FILE, building)
        epoch = search.plan.scored_epochs[-1]
        found = {"config": dict(search.configurations[best]), "epoch": epoch, "scores": scores[best]}
        (building / WINNER_FILE).write_text(json.dumps(found, indent=2) + "\n")
    search.keep(search.account.decide(digest_of(search.winner)))
    shutil.rmtree(search.folder)
