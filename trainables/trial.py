"""One trial of the study: a Ray Tune trainable that trains to the next scored epoch and reports it."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from cohorts import Cohort, Encoding
from privacy import Policy, affordable_epochs, epsilon
from privacy.randomness import secret_stream
from trainables.engine import Engine, PublicFigures, RandomStreams, TrainingData
from trainables.fidelity import fidelity
from trainables.generation import Generator, arm_shares, grid
from trainables.hyperparameters import Hyperparameters
from trainables.opacus_engine import OpacusEngine
from trainables.packed_engine import PackedEngine
from trainables.scoring import STEERING, evaluate

STATE_FILE = "trial.pt"
# What a trial reports that never got to train: no better than guessing, and no participant was read for it.
CHANCE = 0.5

ENGINES: dict[str, type[OpacusEngine] | type[PackedEngine]] = {"opacus": OpacusEngine, "packed": PackedEngine}


@dataclass(frozen=True)
class TrialPlan:
    """What all trials of a study share.

    Args:
        train: participants to train on.
        validation: participants whose arms the score predicts.
        train_share: public share of participants that fall into the training split.
        epsilon: largest epsilon of one trial's training.
        delta: the delta it is stated at.
        scored_epochs: epochs after which a trial is scored and reported, ascending; the last is the longest training.
        engine: a key of ``ENGINES``.
        policy: is paid before participants are read.
        seed: makes every random number reproducible; None, the only value allowed for a private cohort, takes
            them from the operating system.
    """

    train: Cohort
    validation: Cohort
    train_share: float
    epsilon: float
    delta: float
    scored_epochs: tuple[int, ...]
    engine: str
    policy: Policy
    seed: int | None


class DPGANTrial(tune.Trainable):
    """One configuration, trained until its budget or the longest training is reached.

    Each ``step`` ends at a scored epoch and reports, besides the hyperparameters:

    - ``epoch``, ``planned_epochs`` (where this trial ends if nothing stops it), ``epsilon`` so far,
    - ``score``, the mean of ``auc_logistic_regression`` and ``auc_random_forest`` on validation participants,
      with ``accuracy_`` of both,
    - ``spearman`` and ``ks`` against the validation participants, for cohorts marked public.
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
        plan, schema = self._plan, self._plan.train.schema
        self._hyperparameters = hyperparameters = Hyperparameters(**config)
        self._epoch = 0
        self._witness: str | None = None  # the ledger as of this trial's last charge
        self._planned_epochs = affordable_epochs(
            hyperparameters.sampling_rate,
            hyperparameters.noise_multiplier,
            hyperparameters.steps_per_epoch,
            plan.scored_epochs[-1],
            plan.epsilon,
            plan.delta,
        )
        encoding = Encoding(schema)
        public = PublicFigures(schema.nominal_size * plan.train_share, arm_shares(schema), encoding.width, grid(schema))
        torch.manual_seed(self._segment_seed("weights"))
        self._engine: Engine = ENGINES[plan.engine](hyperparameters, public, self._device)
        self._data = TrainingData(
            torch.from_numpy(encoding.encode(plan.train.values)).to(self._device),
            torch.from_numpy(plan.train.labels).to(self._device),
        )

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, report it."""
        target = next(
            (epoch for epoch in self._plan.scored_epochs if self._epoch < epoch < self._planned_epochs),
            self._planned_epochs,
        )
        if target > self._epoch:
            self._train_to(target)
        return {
            "epoch": self._epoch,
            "planned_epochs": self._planned_epochs,
            "epsilon": epsilon([self._hyperparameters.charge(self._epoch)], self._plan.delta),
            "done": self._epoch >= self._planned_epochs,
            **(self._score() if self._epoch else {"score": CHANCE}),
        }

    def _train_to(self, epoch: int) -> None:
        """Pay for the training up to an epoch, then do it. Work redone after a crash is paid for again."""
        charge = self._hyperparameters.charge(epoch - self._epoch)
        self._witness = str(self._plan.policy.training(self.trial_id, charge, f"{self._epoch + 1} to {epoch}"))
        torch.manual_seed(self._segment_seed("dropout"))
        streams = RandomStreams(participants=self._stream("participants"), inputs=self._stream("inputs"))
        self._engine.train(self._data, charge.steps, streams)
        self._epoch = epoch

    def _score(self) -> dict[str, float]:
        """Score as many synthetic participants as the public size of the training split."""
        plan = self._plan
        self._witness = str(plan.policy.scoring(self.trial_id, self._epoch))
        size = round(plan.train.schema.nominal_size * plan.train_share)
        synthetic = self._generator().generate(size, self._stream("scoring"))
        metrics = {}
        for classifier in STEERING:
            score = evaluate(classifier, synthetic, plan.validation, self._segment_seed(classifier) % 2**32)
            metrics[f"auc_{classifier}"] = score.auc
            metrics[f"accuracy_{classifier}"] = score.accuracy
        metrics["score"] = sum(metrics[f"auc_{classifier}"] for classifier in STEERING) / len(STEERING)
        if plan.train.schema.public:
            likeness = fidelity(synthetic, plan.validation)
            metrics |= {"spearman": likeness.spearman, "ks": likeness.ks}
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
        state = {"epoch": self._epoch, "engine": self._engine.state_dict(), "witness": self._witness}
        torch.save(state, directory / STATE_FILE)

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on where a checkpoint stopped."""
        state = torch.load(Path(checkpoint_dir) / STATE_FILE, weights_only=True, map_location=self._device)
        self._epoch, self._witness = state["epoch"], state["witness"]
        self._engine.load_state_dict(state["engine"])
