"""Runs of a secret number: carried out out of sight, and only the best of them is kept.

Nothing that anyone watches depends on a run or on how many there are: Ray sees as many tasks as there is room for,
each told nothing but where its share lies; terminal, Optuna and results show the plan. What is left is time: whoever
knows how long the machines were busy may guess the number of runs, and the statement says so.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from rich.console import Console

from analysis.study import WINNER_FILE
from cohorts import storage
from privacy.accounting.private_selection import LawOfRuns
from privacy.planning.plan import SCORE_ATTEMPTS, segment_epochs
from trainables.generation import GENERATOR_FILE
from trainables.service.host import served
from trainables.service.packs import PackLost
from trainables.trial import Candidate, TrialPlan
from tuner.errors import StudyError
from tuner.resources import TrialResources, running_machines

RETRIES = 3  # on a node that is taken away; what a run may do again is bounded by what was charged
DRAWN, STATE, RESULT, ATTEMPTS = "drawn.json", "state", "result.json", "attempts"


@dataclass(frozen=True)
class SecretRuns:
    """A search by a secret number of runs.

    Args:
        runs: law of their number.
        plan: what every run is given; scored at its last epoch only.
        draw: a configuration, afresh and with replacement.
        folder: where the runs are kept until the best is chosen; seen by all nodes, and by nobody else.
        winner: folder that the best is written to.
    """

    runs: LawOfRuns
    plan: TrialPlan
    draw: Callable[[], Mapping[str, Any]]
    folder: Path
    winner: Path


def run_secretly(search: SecretRuns, resources: TrialResources, console: Console) -> bool:
    """Carry out the runs, those of an interrupted study where they stopped, and keep the best.

    Returns:
        True when the best is chosen; False after an interrupt.
    """
    if search.winner.exists():
        return True
    _draw_once(search)
    workers = max(1, resources.trials_at_once(running_machines()))
    share = ray.remote(_carry_out_share).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=RETRIES, retry_exceptions=[PackLost]
    )
    try:
        with console.status("Searching. How many runs there are and how they do, nobody learns."):
            plan = ray.put(served(search.plan))
            ray.get([share.remote(plan, search.folder, worker, workers) for worker in range(workers)])
    except KeyboardInterrupt:
        return False
    _keep_best(search)
    return True


def _draw_once(search: SecretRuns) -> None:
    """Draw the number of runs and their configurations, once for the study."""
    if (search.folder / DRAWN).exists():
        return
    search.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    drawn = [dict(search.draw()) for _ in range(search.runs.draw())]
    storage.write_text(search.folder / DRAWN, json.dumps(drawn))


def _carry_out_share(plan: TrialPlan, folder: Path, worker: int, workers: int) -> None:
    """One worker's share of the runs, one after the other."""
    torch.set_num_threads(1)
    drawn = json.loads((folder / DRAWN).read_text())
    for number in range(worker, len(drawn), workers):
        _carry_out(plan, drawn[number], folder / str(number))


def _carry_out(plan: TrialPlan, config: Mapping[str, Any], folder: Path) -> None:
    """Train and score one run, or what is left of it. A run that would redo more than it is charged for is given up."""
    folder.mkdir(exist_ok=True)
    if (folder / RESULT).exists():
        return
    longest = plan.scored_epochs[-1]
    segment = segment_epochs(longest)
    candidate = Candidate("secret", config, plan)
    if (folder / STATE).exists():
        candidate.load(folder / STATE)
    while candidate.epoch < longest:
        target = min(longest, candidate.epoch + segment)
        if not _may(folder, "train", target - candidate.epoch, longest + segment):  # as RunAllocation has it
            return
        candidate.train_to(target)
        with storage.replaced_directory(folder / STATE) as building:
            candidate.save(building)
    if _may(folder, "score", 1, SCORE_ATTEMPTS):
        storage.write_text(folder / RESULT, json.dumps(candidate.score()))


def _may(folder: Path, what: str, times: int, most: int) -> bool:
    """Whether a run may do something so many times more; it is noted, durably, before it does.

    Args:
        folder: of the run.
        what: that it wants to do.
        times: how often now: epochs to train, or 1.
        most: how often in all, what was lost included.
    """
    with (folder / f"{ATTEMPTS}-{what}").open("a+") as file:
        file.seek(0)
        if sum(map(int, file.readlines())) + times > most:
            return False
        file.write(f"{times}\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def _keep_best(search: SecretRuns) -> None:
    """Write the run with the best noisy score to where it may be seen, and remove all others."""
    drawn = json.loads((search.folder / DRAWN).read_text())
    scores = {
        number: json.loads((search.folder / str(number) / RESULT).read_text())
        for number in range(len(drawn))
        if (search.folder / str(number) / RESULT).exists()
    }
    if not scores:
        raise StudyError(
            "Every run was interrupted more often than it was charged for, so none could be carried out. What was "
            "declared is spent."
        )
    highest = max(result["score"] for result in scores.values())
    best = secrets.choice([number for number, result in scores.items() if result["score"] == highest])
    with storage.replaced_directory(search.winner) as building:
        shutil.copy(search.folder / str(best) / STATE / GENERATOR_FILE, building)
        found = {"config": drawn[best], "epoch": search.plan.scored_epochs[-1], "scores": scores[best]}
        (building / WINNER_FILE).write_text(json.dumps(found, indent=2) + "\n")
    shutil.rmtree(search.folder)
