"""The training of one configuration, an epoch at a time, which may be interrupted at any step."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from cohorts import Schema, storage
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.ledger.receipt import record_receipt
from privacy.ledger.study_record import RECEIPTS
from privacy.mechanisms.randomness import fresh_generator
from privacy.policies.policy import Access
from trainables.dp_gan.run import SHARES, TRIAL, PaperRun, training_size
from trainables.gan.candidate import new_engine
from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.generation import GANGenerator
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.losses import Losses
from trainables.generators import save_generator
from trainables.scoring.judging import Scoring, ScoringPlan, SyntheticJudge
from trainables.trial_log import Ended, SavedEpoch, TrialLog

STRETCH_STEPS = 50  # after which somebody who wants the run to end is heard
SAVED_EVERY_S = 600
PAYMENTS_PER_EPOCH = 10


@dataclass(frozen=True)
class Folder:
    """Where the parts of a run lie, as those of a study do.

    Args:
        path: of the run.
    """

    path: Path

    @property
    def log(self) -> TrialLog:
        """What its epochs were scored."""
        return TrialLog(self.path / "trials.jsonl")

    @property
    def losses(self) -> Path:
        """Mean losses of both networks by epoch, which are of participants: never publish."""
        return self.path / "internal" / "losses.jsonl"

    @property
    def state(self) -> Path:
        """From which training goes on."""
        return self.path / "state.pt"

    @property
    def over(self) -> bool:
        """Whether all epochs are."""
        return self.log.file.exists() and any(isinstance(line, Ended) for line in self.log.lines())

    def epoch(self, number: int) -> Path:
        """Where an epoch's generator is kept."""
        return self.path / "trials" / TRIAL / f"epoch_{number:06d}"


class Training:
    """A run under way.

    Args:
        run: what is asked for.
        schema: of the cohort.
        access: pays before participants are read.
        folder: where everything is kept.
        cohort: whose ledger pays, for the receipts of it.
    """

    def __init__(self, run: PaperRun, schema: Schema, access: Access, folder: Folder, cohort: str) -> None:
        self._run, self._schema, self._access, self._folder, self._cohort = run, schema, access, folder, cohort
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._config = run.config(schema)
        self._hyperparameters = Hyperparameters(**self._config)
        torch.manual_seed(secrets.randbits(63))  # of fresh weights, and of what Opacus's modules drop
        public = PublicFigures.of(schema, SHARES.train)
        self._engine = new_engine(run.engine, self._hyperparameters.settings, public, self._device)
        self.epoch, self.steps, self._losses = 0, 0, Losses()  # epochs that are over, and steps of the one begun
        self._watched = schema.public or run.scores  # losses are of participants, and no noise hides them
        self._saved = time.monotonic()
        if folder.over:
            self.epoch = run.epochs
        elif folder.state.exists():
            self._load()

    @property
    def steps_per_epoch(self) -> int:
        """How many discriminator steps an epoch has."""
        return self._hyperparameters.steps_per_epoch

    @property
    def steps_done(self) -> int:
        """Discriminator steps since the beginning."""
        return self.epoch * self.steps_per_epoch + self.steps

    @property
    def finished(self) -> bool:
        """Whether all epochs are over."""
        return self.epoch == self._run.epochs

    def go_on(self, wanted: Callable[[], bool], progress: Callable[[], None]) -> bool:
        """Train until all epochs are over, or nobody wants it any more; what was trained is kept then.

        Args:
            wanted: asked after each stretch of steps.
            progress: told of each.

        Returns:
            Whether all epochs are over.
        """
        while not self.finished:
            for _ in self._stretches():
                progress()
                if not wanted():
                    self.save()
                    return False
                if time.monotonic() - self._saved > SAVED_EVERY_S:
                    self.save()
            self._end_epoch()
        if not self._folder.over:
            self._folder.log.append(Ended(trial=TRIAL, ended="completed"))
        for state in (self._folder.state, self._folder.state.with_suffix(".new")):  # as of every trial that ended
            state.unlink(missing_ok=True)
        return True

    def _stretches(self) -> Iterator[None]:
        """Train what is left of the epoch begun, a stretch of steps at a time."""
        while left := self.steps_per_epoch - self.steps:
            steps = min(left, math.ceil(self.steps_per_epoch / PAYMENTS_PER_EPOCH))
            paid = self._pay(steps)
            for first in range(0, steps, STRETCH_STEPS):
                stretch = min(STRETCH_STEPS, steps - first)
                self._engine.train(replace(paid, mechanism=paid.mechanism.of_steps(stretch)))
                self.steps += stretch
                self._losses += self._engine.losses
                yield

    def _pay(self, steps: int) -> PaidTraining:
        """For some steps; those that an interrupt leaves undone, or a crash undoes, are paid for again."""
        mechanism = self._hyperparameters.training(1).of_steps(steps)
        reading = self._access.training(TRIAL, mechanism, f"train in epoch {self.epoch + 1}")
        assert reading.receipt is not None
        record_receipt(self._folder.path / RECEIPTS, reading.receipt, self._cohort)
        return PaidTraining.of(reading, None, self._device, watched=self._watched)

    def _end_epoch(self) -> None:
        self.epoch, self.steps = self.epoch + 1, 0
        directory = self._folder.epoch(self.epoch)
        directory.mkdir(parents=True, exist_ok=True)
        generator = GANGenerator(self._engine.generator(), self._hyperparameters.settings, self._schema)
        save_generator(directory, "gan", generator, self._schema)
        if self._watched:
            self._keep_losses()
        if self._run.scores:
            self._score(generator)

    def _keep_losses(self) -> None:
        means, self._losses = self._losses.means, Losses()
        if all(map(math.isfinite, means.values())):
            with self._folder.losses.open("a") as file:
                print(json.dumps({"trial": TRIAL, "epoch": self.epoch, **means}), file=file, flush=True)

    def _score(self, generator: GANGenerator) -> None:
        synthetic = generator.generate(training_size(self._schema), fresh_generator(self._device))
        names = SyntheticJudge.names()
        scoring = Scoring(TRIAL, self.epoch, synthetic, {name: secrets.randbits(32) for name in names})
        metrics, receipt = ScoringPlan(self._access, SyntheticJudge).score(scoring)
        training = self._hyperparameters.training(self.epoch)
        report: dict[str, float | str | bool | None] = {
            **metrics,
            "score": sum(metrics[f"auc_{name}"] for name in names) / len(names),
            "epoch": self.epoch,
            "epsilon": epsilon_by_rdp(training.event, self._run.delta),
            "ledger": str(receipt),
        }
        self._folder.log.append(
            SavedEpoch(
                trial=TRIAL,
                folder=TRIAL,
                checkpoint=self._folder.epoch(self.epoch).name,
                config=self._config,
                report=report,
            )
        )

    def save(self) -> None:
        """Keep the whole state, in place of what was kept before."""
        content = {
            "epoch": self.epoch,
            "steps": self.steps,
            "losses": asdict(self._losses),
            "engine": self._engine.state_dict(),
        }
        unfinished = self._folder.state.with_suffix(".new")
        torch.save(content, unfinished)
        unfinished.replace(self._folder.state)
        storage.sync(self._folder.path)
        self._saved = time.monotonic()

    def _load(self) -> None:
        content = torch.load(self._folder.state, weights_only=True, map_location=self._device)
        self.epoch, self.steps, self._losses = content["epoch"], content["steps"], Losses(**content["losses"])
        self._engine.load_state_dict(content["engine"])
