"""One trial of the study: a Ray Tune trainable that trains to the next scored epoch and reports it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.train import Checkpoint

from cohorts import Cohort, Encoding, Participants
from privacy import BudgetExhausted, Policy, affordable_epochs, epsilon
from privacy.randomness import secret_stream
from trainables.engine import Engine, PublicFigures, RandomStreams, TrainingData
from trainables.generation import Generator, arm_shares, grid
from trainables.hyperparameters import Hyperparameters
from trainables.opacus_engine import OpacusEngine
from trainables.scoring import STEERING, SyntheticJudge

STATE_FILE = "trial.pt"
START = "start"  # in a configuration: the trial whose end is this one's beginning
# What a trial reports that never got to train: no better than guessing, and no participant was read for it.
CHANCE = 0.5

ENGINES = {"opacus": OpacusEngine}


@dataclass(frozen=True)
class TrialPlan:
    """What all trials of a study share.

    Args:
        train: participants to train on: sealed, or a surrogate's.
        validation: participants whose arms the score predicts; likewise.
        train_share: public share of participants that fall into the training split.
        epsilon: largest epsilon of one trial's training; infinity where the study's budget alone decides.
        delta: the delta it is stated at.
        scored_epochs: epochs after which a trial is scored and reported, ascending; the last is the longest training.
            0 scores a trial as it begins, which makes sense where it begins from another's end.
        engine: a key of ``ENGINES``.
        policy: is paid before participants are read.
        seed: makes every random number reproducible; None, the only value allowed for a private cohort, takes
            them from the operating system.
        pretraining: epochs at the beginning without noise or clipping, on a surrogate's participants only.
        starts: checkpoints of earlier trials that a configuration may name under ``START``, to begin from.
    """

    train: Cohort | Participants
    validation: Cohort | Participants
    train_share: float
    epsilon: float
    delta: float
    scored_epochs: tuple[int, ...]
    engine: str
    policy: Policy
    seed: int | None
    pretraining: int = 0
    starts: Mapping[str, Checkpoint] = field(default_factory=dict)


class DPGANTrial(tune.Trainable):
    """One configuration, trained until its budget or the longest training is reached.

    Each ``step`` ends at a scored epoch and reports, besides the hyperparameters:

    - ``epoch``, ``planned_epochs`` (where this trial ends if nothing stops it), ``epsilon`` so far,
    - ``score``, the mean of ``auc_logistic_regression`` and ``auc_random_forest`` on validation participants, and
      what else the policy lets out,
    - ``out_of_budget`` where the study's budget did not allow what came next; the score is then the last there was.
    """

    def setup(self, config: dict[str, Any], plan: TrialPlan) -> None:  # type: ignore[override]
        """Build the networks of one configuration."""
        self._plan = plan
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_num_threads(1)  # many trials share the cores; more threads a trial only get in each other's way
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another configuration in this process, sparing its start-up."""
        self._start(new_config)
        return True

    def _start(self, config: dict[str, Any]) -> None:
        plan = self._plan
        self._hyperparameters = hyperparameters = hyperparameters_of(config)
        self._epoch, self._scored_epoch, self._last_score = 0, -1, CHANCE
        self._witness: str | None = None  # the ledger as of this trial's last charge
        self._planned_epochs = affordable_epochs(
            hyperparameters.sampling_rate,
            hyperparameters.noise_multiplier,
            hyperparameters.steps_per_epoch,
            plan.scored_epochs[-1],
            plan.epsilon,
            plan.delta,
        )
        self._engine = self._new_engine()
        if START in config:
            with plan.starts[config[START]].as_directory() as directory:
                self._engine.load_state_dict(self._read_state(directory)["engine"])

    def _new_engine(self) -> Engine:
        """An engine with fresh weights, which adds noise unless this is pretraining."""
        schema, hyperparameters = self._plan.train.schema, self._hyperparameters
        if self._epoch < self._plan.pretraining:
            hyperparameters = hyperparameters.model_copy(update={"noise_multiplier": 0.0})
        public = PublicFigures(
            schema.nominal_size * self._plan.train_share, arm_shares(schema), Encoding(schema).width, grid(schema)
        )
        torch.manual_seed(self._segment_seed("weights"))
        return ENGINES[self._plan.engine](hyperparameters, public, self._device)

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, report it; or end where the study's budget does."""
        target = next(
            (epoch for epoch in self._plan.scored_epochs if self._scored_epoch < epoch < self._planned_epochs),
            self._planned_epochs,
        )
        try:
            if target > self._epoch:
                self._train_to(target)
            metrics = self._score() if target in self._plan.scored_epochs or target > 0 else {"score": CHANCE}
        except BudgetExhausted:
            return {**self._progress(), "score": self._last_score, "out_of_budget": True, "done": True}
        self._scored_epoch, self._last_score = target, metrics["score"]
        return {**self._progress(), **metrics, "done": target >= self._planned_epochs}

    def _progress(self) -> dict[str, float]:
        charged = self._hyperparameters.charge(self._epoch if self._plan.policy.reads_participants else 0)
        return {
            "epoch": self._epoch,
            "planned_epochs": self._planned_epochs,
            "epsilon": epsilon([charged], self._plan.delta),
        }

    def _train_to(self, epoch: int) -> None:
        """Pay for the training up to an epoch, then do it. Work redone after a crash is paid for again."""
        if self._epoch and self._epoch == self._plan.pretraining:
            pretrained = self._engine.state_dict()
            self._engine = self._new_engine()
            self._engine.load_state_dict(pretrained)
        charge = self._hyperparameters.charge(epoch - self._epoch)
        reading = self._plan.policy.training(self.trial_id, charge, f"{self._epoch + 1} to {epoch}", self._plan.train)
        self._witness = str(reading.witness)
        torch.manual_seed(self._segment_seed("dropout"))
        streams = RandomStreams(participants=self._stream("participants"), inputs=self._stream("inputs"))
        self._engine.train(TrainingData.of(reading.participants, self._device), charge.steps, streams)
        self._epoch = epoch

    def _score(self) -> dict[str, float]:
        """Have as many synthetic participants as the public size of the training split judged."""
        plan = self._plan
        size = round(plan.train.schema.nominal_size * plan.train_share)
        synthetic = self._generator().generate(size, self._stream("scoring"))
        judge = SyntheticJudge(synthetic, {name: self._segment_seed(name) % 2**32 for name in STEERING})
        metrics, witness = plan.policy.scores(self.trial_id, self._epoch, plan.validation, judge)
        self._witness = str(witness)
        metrics["score"] = sum(metrics[f"auc_{name}"] for name in STEERING) / len(STEERING)
        return metrics

    def _generator(self) -> Generator:
        return Generator(self._engine.generator(), self._hyperparameters, self._plan.train.schema)

    def _segment_seed(self, purpose: str) -> int:
        """A 63-bit seed for what follows this epoch: the operating system's unless the study is seeded.

        A seeded trial depends on its configuration and epoch alone, so a resumed one repeats itself.
        """
        if self._plan.seed is None:
            return secrets.randbits(63)
        content = [self._plan.seed, self._hyperparameters.model_dump(), self._epoch, purpose]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
        return int.from_bytes(digest[:8]) >> 1

    def _stream(self, purpose: str) -> torch.Generator:
        if self._plan.seed is None:
            return secret_stream(self._device)
        return torch.Generator(self._device).manual_seed(self._segment_seed(purpose))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write generator.pt, from which participants can be made, and trial.pt, from which training goes on."""
        directory = Path(checkpoint_dir)
        self._generator().save(directory)
        state = {
            "epoch": self._epoch,
            "scored_epoch": self._scored_epoch,
            "last_score": self._last_score,
            "engine": self._engine.state_dict(),
            "witness": self._witness,
        }
        torch.save(state, directory / STATE_FILE)

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on where a checkpoint stopped."""
        state = self._read_state(checkpoint_dir)
        self._epoch, self._scored_epoch = state["epoch"], state["scored_epoch"]
        self._last_score, self._witness = state["last_score"], state["witness"]
        self._engine = self._new_engine()
        self._engine.load_state_dict(state["engine"])

    def _read_state(self, directory: str) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(Path(directory) / STATE_FILE, weights_only=True, map_location=self._device)
        return state


def hyperparameters_of(config: Mapping[str, Any]) -> Hyperparameters:
    """The hyperparameters of a trial's configuration, which may also name another trial to begin from."""
    return Hyperparameters(**{name: value for name, value in config.items() if name != START})
