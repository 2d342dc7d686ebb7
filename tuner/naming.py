"""What trials, their folders and searches are called in dashboards and on disk."""

from __future__ import annotations

import re
from typing import Any

from ray.tune import Trainable
from ray.tune.experiment import Trial

from privacy.policies import policy_named
from trainables.candidate import CANDIDATE, DEFAULT, START, hyperparameters_of
from trainables.service.trials import DPGANTrial
from tuner.phases import Phase
from tuner.request import StudyRequest

LONGEST_NAME = 150
"""Of a folder; most file systems allow 255 bytes, and checkpoints lie below it."""


def trial_name(trial: Trial) -> str:
    """A trial's candidate and its identifier, as in ``gan-6933e7ea``."""
    return f"{trial.config.get(CANDIDATE, DEFAULT)}-{trial.trial_id}"


def trial_folder(trial: Trial) -> str:
    """The same and its hyperparameters; numbers in as few digits as tell them, where Ray Tune writes 0.0000."""
    drawn = {name: value for name, value in trial.config.items() if name not in (CANDIDATE, START)}
    words = [f"{name}={_short(drawn[name])}" for name in sorted(hyperparameters_of(trial.config)) if name in drawn]
    return re.sub(r"[^\w.,=+-]", "_", ",".join([trial_name(trial), *words]))[:LONGEST_NAME]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def named(trainable: type[Trainable]) -> type[Trainable]:
    """A class that ``tune.with_parameters`` made, under the name of the one that it was made from."""
    trainable.__qualname__ = DPGANTrial.__qualname__
    return trainable


def about(request: StudyRequest, phase: Phase) -> dict[str, str | float]:
    """What a dashboard says of a search: whose, under which budget, and what was paid for what it shows."""
    settings, stage = request.settings, phase.stage
    policy = policy_named(settings.policy)
    if not policy.declares_budget:
        paid = "nothing pays for scores, nor for the search; epsilon is that of one trial's training"
    elif not stage.reads_participants:
        paid = "trials and scores are free: they are computed from what the study bought before"
    elif stage.runs:
        paid = "all runs were paid for before the first; none but the best is ever shown"
    else:
        paid = "training and scores of every trial, each before it happens; scores carry noise"
    return {
        "cohort": request.cohort.schema.name,
        "policy": settings.policy,
        "search": stage.name,
        "epsilon": settings.epsilon,
        "delta": settings.delta,
        "what is paid": paid,
    }
