"""One trial: a configuration that is paid for, trained, scored and kept, whatever candidate it is of."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from cohorts import Schema
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.mechanism import Mechanism
from privacy.mechanisms.randomness import fresh_generator
from privacy.policies.policy import Access
from trainables.candidate import (
    START,
    Candidate,
    Generator,
    Setting,
    SharedTraining,
    Workplace,
    candidate_of,
    hyperparameters_of,
    register,
    registered,
)
from trainables.gan.engine import STREAMS
from trainables.generators import save_generator
from trainables.scoring import require_scored_by, steering
from trainables.scoring.judging import Scoring, ScoringPlan, SyntheticJudge
from trainables.segment import Segment

if TYPE_CHECKING:
    from ray.train import Checkpoint

STATE_FILE = "trial.pt"
GLOBAL_STREAM = threading.Lock()  # PyTorch's, of which fresh weights are drawn; in a pack many trials begin at once


class Scoreboard(Protocol):
    """Where trials are scored."""

    def score(self, scoring: Scoring) -> tuple[dict[str, float], Receipt | None]:
        """See ``ScoringPlan.score``."""


@dataclass(frozen=True)
class TrialPlan:
    """What all trials of a study share.

    Args:
        schema: of the cohort.
        access: is paid before participants are read.
        train_share: public share of participants that fall into the training split.
        validation_share: likewise, of those whose classes the score predicts.
        epsilon: largest epsilon of one trial's training; infinity where the study's budget alone decides.
        delta: the delta it is stated at.
        scored_epochs: epochs after which a trial is scored and reported, ascending; the last is the longest training.
            0 scores a trial as it begins, which makes sense where it begins from another's end.
        engine: ``packed`` or ``opacus``.
        seed: makes every random number reproducible; None, the only value allowed for a private cohort, takes
            them from the operating system.
        pretraining: epochs at the beginning without noise or clipping, on a surrogate's participants only.
        starts: checkpoints of earlier trials that a configuration may name under ``START``, to begin from.
        packs: where trials train together; None has each train by itself.
        scorers: where trials are scored; None scores them in this process.
        judge: of synthetic participants.
        candidates: those that were registered where the plan was made, for processes elsewhere.
        scored_by: names of the classifiers that the study was planned with; by default those that steer where the plan
            is made.
    """

    schema: Schema
    access: Access
    train_share: float
    epsilon: float
    delta: float
    scored_epochs: tuple[int, ...]
    engine: str
    seed: int | None
    pretraining: int = 0
    starts: Mapping[str, Checkpoint] = field(default_factory=dict)
    packs: SharedTraining | None = None
    scorers: Scoreboard | None = None
    judge: type[SyntheticJudge] = SyntheticJudge
    candidates: tuple[type[Candidate], ...] = field(default_factory=registered)
    scored_by: tuple[str, ...] = field(default_factory=lambda: tuple(steering()))

    @property
    def scoring(self) -> ScoringPlan:
        """How trials are scored."""
        return ScoringPlan(self.access, self.judge)

    def setting(self, device: torch.device) -> Setting:
        """What every trial is told, where its arithmetic happens on a device."""
        return Setting(self.schema, self.train_share, self.engine, device)


class Trial:
    """A configuration that trains and is scored, whoever decides how far.

    Args:
        name: of the trial, for the ledger.
        config: hyperparameters, and perhaps the trial to begin from.
        plan: what all trials of the study share.

    Raises:
        ExtensionError: what the study was planned with is not installed here; nothing was paid for.
    """

    def __init__(self, name: str, config: Mapping[str, Any], plan: TrialPlan) -> None:
        require_scored_by(plan.scored_by, plan.schema)
        self.name, self.plan, self.config = name, plan, dict(config)
        here = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.device = plan.packs.device if plan.packs else here
        self.epoch = 0
        self.receipt = ""  # the ledger as of this trial's last charge
        self.losses: Mapping[str, float] = {}  # of the last training, where they may be shown
        for candidate in plan.candidates:
            register(candidate)
        self._kind = candidate_of(config)
        with GLOBAL_STREAM:
            torch.manual_seed(self._segment_seed("weights"))
            self.candidate = self._kind.of(config, plan.setting(self.device))
        if START in config:
            with plan.starts[config[START]].as_directory() as directory:
                self.candidate.load_state_dict(self._read_state(directory)["candidate"])

    @property
    def planned_epochs(self) -> int:
        """Where it ends if nothing stops it: at the longest training, or at the most one trial may cost."""
        return self._kind.longest(self.config, self.plan.scored_epochs[-1], self.plan.epsilon, self.plan.delta)

    def training(self, epochs: int, pretraining: bool = False) -> Mechanism:
        """What so many epochs run on participants."""
        return self._kind.mechanism(self.config, self.plan.setting(self.device), epochs, pretraining)

    def train_to(self, epoch: int) -> None:
        """Pay for the training up to an epoch, then do it. Work redone after a crash is paid for again.

        Raises:
            BudgetExhausted: it does not fit any more; nothing was trained.
        """
        epochs = epoch - self.epoch
        mechanism = self.training(epochs, pretraining=self.epoch < self.plan.pretraining)
        seeds = None if self.plan.seed is None else {name: self._segment_seed(name) for name in STREAMS}
        segment = Segment(self.name, mechanism, f"train epochs {self.epoch + 1} to {epoch}", epochs, seeds)
        shown = self._take_losses if self.plan.access.shows_losses else None
        self.receipt = self.candidate.train(segment, Workplace(self.plan.access, self.plan.packs, shown))
        self.epoch = epoch

    def _take_losses(self, losses: Mapping[str, float]) -> None:
        self.losses = losses

    def score(self) -> dict[str, float]:
        """Have as many synthetic participants as the public size of the training split judged.

        Returns:
            What the policy lets out, and ``score``, the mean AUC unless the policy says what else steers.

        Raises:
            BudgetExhausted: scores do not fit any more; nobody was read.
        """
        size = round(self.plan.schema.nominal_size * self.plan.train_share)
        synthetic = self.generator().generate(size, self._stream("scoring"))
        names = self.plan.judge.names()
        seeds = {name: self._segment_seed(name) % 2**32 for name in names}
        scorers = self.plan.scorers or self.plan.scoring
        metrics, receipt = scorers.score(Scoring(self.name, self.epoch, synthetic, seeds))
        self.receipt = str(receipt or "")
        aucs = [metrics[name] for name in map("auc_{}".format, names) if name in metrics]  # none without a label
        return {"score": sum(aucs) / len(aucs), **metrics} if aucs else metrics

    def generator(self) -> Generator:
        """What participants can be made with, as of now."""
        return self.candidate.generator()

    def save(self, directory: Path, **more: Any) -> None:
        """Write generator.pt, from which participants can be made, and trial.pt, from which training goes on.

        A trial that the budget let do nothing ends with a trial.pt that says so, and has no generator.
        """
        candidate = self.candidate if self.epoch or START in self.config else None
        if candidate:
            save_generator(directory, self._kind.name, candidate.generator(), self.plan.schema)
        state = {"epoch": self.epoch, "candidate": candidate and candidate.state_dict(), "receipt": self.receipt}
        torch.save({**state, **more}, directory / STATE_FILE)

    def load(self, directory: Path) -> dict[str, Any]:
        """Go on where ``save`` stopped; returns what was saved."""
        state = self._read_state(directory)
        self.epoch, self.receipt = state["epoch"], state["receipt"]
        if state["candidate"] is not None:
            self.candidate.load_state_dict(state["candidate"])
        return state

    def _read_state(self, directory: str | Path) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(Path(directory) / STATE_FILE, weights_only=True, map_location=self.device)
        return state

    def _segment_seed(self, purpose: str) -> int:
        """A 63-bit seed for what follows this epoch: the operating system's unless the study is seeded.

        A seeded trial depends on its configuration and epoch alone, so a resumed one repeats itself.
        """
        if self.plan.seed is None:
            return secrets.randbits(63)
        content = [self.plan.seed, hyperparameters_of(self.config), self.epoch, purpose]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
        return int.from_bytes(digest[:8]) >> 1

    def _stream(self, purpose: str) -> torch.Generator:
        if self.plan.seed is None:
            return fresh_generator(self.device)
        return torch.Generator(self.device).manual_seed(self._segment_seed(purpose))
