"""The searches a study consists of, made ready for Ray in their order."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from analysis.epochs import ScoredEpoch, last_epochs, scored_epochs
from privacy.errors import LedgerError
from privacy.ledger.secret_runs import Run, SecretRuns
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.schedule import Schedule
from privacy.policies import Door, Stage, policy_named
from privacy.policies.in_secret import drawn_run
from trainables.candidate import START, candidate_of
from trainables.trial import TrialPlan
from tuner.drawing import Drawing
from tuner.errors import StudyError
from tuner.request import StudyRequest


@dataclass(frozen=True)
class Phase:
    """One search.

    Args:
        stage: what the policy says of it.
        optuna_study: name of Optuna's study.
        plan: what every trial is given.
        shortlist: configurations to run, by the trial they begin from; empty where Optuna proposes.
    """

    stage: Stage
    optuna_study: str
    plan: TrialPlan
    shortlist: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def schedule(self) -> Schedule:
        """How many trials, and when they are scored."""
        schedule = self.stage.schedule
        return schedule.model_copy(update={"trials": len(self.shortlist)}) if self.shortlist else schedule


def phases(request: StudyRequest, declared: DeclaredPlan, door: Door) -> Iterator[Phase]:
    """A study's searches; each is made up when the one before it has finished.

    Args:
        request: the study.
        declared: its plan, and what was allocated where it declared a budget.
        door: through what it reads participants.
    """
    settings = request.settings
    policy = policy_named(settings.policy)
    stages = policy.stages(declared)
    for number, stage in enumerate(stages):
        shortlist: Sequence[ScoredEpoch] = ()
        if stage.configurations == "shortlisted":
            before = stages[number - 1]
            epochs = scored_epochs(
                request.directory, settings, request.cohort.schema, before.name, before.schedule.trials
            )
            shortlist = shortlisted(epochs, before.pretraining, declared.plan.on_participants.trials)
        if stage.runs:
            _require_paid(request.directory.winner, door)
        plan = TrialPlan(
            schema=request.cohort.schema,
            access=policy.access(stage, declared, door),
            train_share=settings.shares.train,
            epsilon=stage.epsilon,
            delta=settings.delta,
            scored_epochs=stage.schedule.rungs,
            engine=settings.engine,
            seed=settings.seed,
            pretraining=stage.pretraining,
            starts={each.trial_id: each.checkpoint for each in shortlist},
            scored_by=declared.plan.scored_by,
        )
        optuna_study = settings.study if number == 0 and not stage.runs else f"{settings.study}-{stage.name}"
        yield Phase(stage, optuna_study, plan, {each.trial_id: each.config for each in shortlist})


def _require_paid(winner: Path, door: Door) -> None:
    """Raise LedgerError where the best of a secret number of runs is there, and the ledger knows of no payment."""
    if winner.exists() and SecretRuns(door.ledger, door.study).paid is None:
        raise LedgerError(
            f"{winner} holds the best of runs that the ledger {door.ledger.file} knows no payment for: the ledger is "
            "an older copy. Restore the newest one from a backup, or begin a study under another name."
        )


def shortlisted(epochs: Iterable[ScoredEpoch], pretraining: int, most: int) -> list[ScoredEpoch]:
    """The last pretrained epoch of the trials that did best, rehearsed ones before the others."""
    epochs = tuple(epochs)
    pretrained = last_epochs(each for each in epochs if each.epoch <= pretraining)
    last = last_epochs(epochs)
    ranked = sorted(pretrained, key=lambda trial: (-last[trial].epoch, -last[trial].scores["score"], trial))
    return [pretrained[trial] for trial in ranked[:most]]


@dataclass(frozen=True)
class DrawnRuns:
    """Draws one run of a secret number each time it is called, without regard to any result.

    Args:
        request: the study.
        phase: the search.
        declared: the plan, which allocated what a run may cost.
    """

    request: StudyRequest
    phase: Phase
    declared: DeclaredPlan

    def __call__(self) -> Run:
        """One run."""
        stage, plan = self.phase.stage, self.phase.plan
        assert stage.allocation is not None
        config = self._config()
        candidate = candidate_of(config)
        config = candidate.priced(config, stage.allocation)
        setting = plan.setting(torch.device("cpu"))
        return drawn_run(
            config,
            lambda epochs: candidate.mechanism(config, setting, epochs),
            plan.scored_epochs[-1],
            self.declared.scores(plan.schema),
        )

    def _config(self) -> dict[str, Any]:
        if not self.phase.shortlist:
            return Drawing(self.request.space)()
        start = secrets.choice(list(self.phase.shortlist))
        return {**self.phase.shortlist[start], START: start}


def configurations(request: StudyRequest, phase: Phase, declared: DeclaredPlan, door: Door) -> list[Mapping[str, Any]]:
    """Every run's configuration of a secret number of runs, drawn once for the study."""
    drawn = SecretRuns(door.ledger, door.study).configurations(DrawnRuns(request, phase, declared))
    assert door.ledger.receipt is not None
    door.keep(door.ledger.receipt)
    return drawn


def secret_folder(request: StudyRequest) -> Path:
    """Where the runs of a secret number are kept until the best is chosen."""
    storage = request.settings.storage
    if storage is None:
        return request.directory.internal.resolve() / "runs"
    if "://" in storage:
        raise StudyError(
            f"--storage {storage} is not a folder. A secret number of runs is kept in a folder until the best is "
            "chosen; name one that all machines can reach."
        )
    return Path(storage) / request.settings.study / "internal-runs"
