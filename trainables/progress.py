"""A candidate's way from scored epoch to scored epoch, and what is reported at each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from privacy import BudgetExhausted
from privacy.accounting.rdp import epsilon_by_rdp
from trainables.trial import Trial, TrialPlan

# What a trial reports that never got to train: no better than guessing, and no participant was read for it.
CHANCE = 0.5


class Progress:
    """A trial under way in this process.

    Args:
        trial: that trains and is scored.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._planned_epochs = trial.planned_epochs
        self._scored_epoch, self._last_score = -1, CHANCE

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch and score it; or end where the study's budget does.

        Returns:
            Besides what the policy lets out of the scores:

            - ``epoch``, ``planned_epochs`` (where this trial ends if nothing stops it), ``epsilon`` so far,
            - ``discriminator_loss`` and ``generator_loss``, means since the scored epoch before, where the policy shows
              them,
            - ``score``, the mean AUC of the classifiers that steer, on validation participants,
            - ``ledger``, the cohort's ledger as of the trial's last charge (count and hash); empty where it paid
              nothing,
            - ``out_of_budget`` where the study's budget did not allow what came next; the score is then the last there
              was,
            - ``done`` where the trial has ended.
        """
        trial, scored = self.trial, self.trial.plan.scored_epochs
        target = next(
            (epoch for epoch in scored if self._scored_epoch < epoch < self._planned_epochs), self._planned_epochs
        )
        try:
            if target > trial.epoch:
                trial.train_to(target)
            metrics = trial.score() if target in scored or target > 0 else {"score": CHANCE}
        except BudgetExhausted:
            return {**self._so_far(), "score": self._last_score, "out_of_budget": True, "done": True}
        self._scored_epoch, self._last_score = target, metrics["score"]
        return {**self._so_far(), **metrics, "done": target >= self._planned_epochs}

    def _so_far(self) -> dict[str, float | str]:
        trial = self.trial
        reads = trial.epoch > 0 and trial.plan.access.reads_participants
        return {
            "epoch": trial.epoch,
            "planned_epochs": self._planned_epochs,
            "epsilon": epsilon_by_rdp(trial.training(trial.epoch).event, trial.plan.delta) if reads else 0.0,
            "ledger": trial.receipt,
            **{f"{network}_loss": loss for network, loss in trial.losses.items()},
        }

    def save(self, directory: Path) -> None:
        """Write the generator and the state that training goes on from."""
        self.trial.save(directory, scored_epoch=self._scored_epoch, last_score=self._last_score)

    def load(self, directory: Path) -> None:
        """Go on where ``save`` stopped."""
        state = self.trial.load(directory)
        self._scored_epoch, self._last_score = state["scored_epoch"], state["last_score"]

    def end(self) -> None:
        """Nothing is left behind."""


@dataclass(frozen=True)
class LocalTrials:
    """Trials that each train in the process that begins them.

    Args:
        plan: what they share.
    """

    plan: TrialPlan

    def begin(self, name: str, config: Mapping[str, Any]) -> Progress:
        """A new trial with a configuration."""
        torch.set_num_threads(1)  # many trials share the cores; more threads a trial only get in each other's way
        return Progress(Trial(name, config, self.plan))
