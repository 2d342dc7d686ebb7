"""One trial of the study: a Ray Tune trainable that trains to the next scored epoch and reports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ray import tune

from privacy import BudgetExhausted, epsilon
from trainables.candidate import Candidate, TrialPlan

# What a trial reports that never got to train: no better than guessing, and no participant was read for it.
CHANCE = 0.5


class DPGANTrial(tune.Trainable):
    """One configuration, trained until its budget or the longest training is reached.

    Each ``step`` ends at a scored epoch and reports, besides the hyperparameters:

    - ``epoch``, ``planned_epochs`` (where this trial ends if nothing stops it), ``epsilon`` so far,
    - ``score``, the mean of ``auc_logistic_regression`` and ``auc_random_forest`` on validation participants, and
      what else the policy lets out,
    - ``ledger``, the cohort's ledger as of the trial's last charge (count and hash); empty where it paid nothing,
    - ``out_of_budget`` where the study's budget did not allow what came next; the score is then the last there was.
    """

    def setup(self, config: dict[str, Any], plan: TrialPlan) -> None:  # type: ignore[override]
        """Build the networks of one configuration."""
        self._plan = plan
        torch.set_num_threads(1)  # many trials share the cores; more threads a trial only get in each other's way
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another configuration in this process, sparing its start-up."""
        self._start(new_config)
        return True

    def _start(self, config: dict[str, Any]) -> None:
        self._candidate = Candidate(self.trial_id, config, self._plan)
        self._planned_epochs = self._candidate.planned_epochs
        self._scored_epoch, self._last_score = -1, CHANCE

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, report it; or end where the study's budget does."""
        candidate, scored = self._candidate, self._plan.scored_epochs
        target = next(
            (epoch for epoch in scored if self._scored_epoch < epoch < self._planned_epochs), self._planned_epochs
        )
        try:
            if target > candidate.epoch:
                candidate.train_to(target)
            metrics = candidate.score() if target in scored or target > 0 else {"score": CHANCE}
        except BudgetExhausted:
            return {**self._progress(), "score": self._last_score, "out_of_budget": True, "done": True}
        self._scored_epoch, self._last_score = target, metrics["score"]
        return {**self._progress(), **metrics, "done": target >= self._planned_epochs}

    def _progress(self) -> dict[str, float | str]:
        candidate = self._candidate
        paid_epochs = candidate.epoch if self._plan.policy.reads_participants else 0
        return {
            "epoch": candidate.epoch,
            "planned_epochs": self._planned_epochs,
            "epsilon": epsilon([candidate.hyperparameters.charge(paid_epochs)], self._plan.delta),
            "ledger": candidate.witness,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the generator and the state that training goes on from."""
        self._candidate.save(Path(checkpoint_dir), scored_epoch=self._scored_epoch, last_score=self._last_score)

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on where a checkpoint stopped."""
        state = self._candidate.load(Path(checkpoint_dir))
        self._scored_epoch, self._last_score = state["scored_epoch"], state["last_score"]
