"""What trials, their folders and searches are called in dashboards and on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ray.tune import Trainable
from ray.tune.experiment import Trial

from privacy.policies import policy_named
from search_spaces import SearchSpace
from trainables.candidate import CANDIDATE, DEFAULT
from trainables.service.trials import DPGANTrial
from tuner.phases import Phase
from tuner.request import StudyRequest

LONGEST_NAME = 200
"""Of a folder; most file systems allow 255 bytes, and checkpoints lie below it."""


def trial_name(trial: Trial) -> str:
    """A trial's candidate and its identifier, as in ``gan-6933e7ea``."""
    return f"{trial.config.get(CANDIDATE, DEFAULT)}-{trial.trial_id}"


@dataclass(frozen=True)
class TrialFolder:
    """Names a trial's folder: as the trial, and by what was drawn for it; ``2e-05`` where Ray Tune writes 0.0000.

    Args:
        searched: hyperparameters that differ between trials.
    """

    searched: tuple[str, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> TrialFolder:
        """For the trials of a search space."""
        names = (name for name in space.hyperparameters if len(space.values(name)) != 1)
        return cls(tuple(name for name in names if name != CANDIDATE))

    def __call__(self, trial: Trial) -> str:
        """The name of a trial's folder."""
        words = [f"{name}={_short(trial.config[name])}" for name in self.searched if name in trial.config]
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
