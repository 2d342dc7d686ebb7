"""One configuration in training: what it is paid for, trained by, judged by and kept as."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from cohorts import Cohort, Encoding, Participants
from privacy import Policy, affordable_epochs
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.randomness import secret_stream
from trainables.gan.engine import Engine, PublicFigures, RandomStreams
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine
from trainables.generation import Generator, arm_shares, grid
from trainables.scoring.classifiers import Scoring, ScoringPlan, SyntheticJudge
from trainables.segment import Segment

if TYPE_CHECKING:
    from ray.train import Checkpoint

STATE_FILE = "trial.pt"
STREAMS = tuple(each.name for each in fields(RandomStreams))
GLOBAL_STREAM = threading.Lock()  # PyTorch's, of which fresh weights are drawn; in a pack many trials begin at once
START = "start"  # in a configuration: the trial whose end is this one's beginning


class Company(Protocol):
    """Where trials train together, in this process or in others."""

    device: torch.device

    def train(self, segment: Segment, hyperparameters: Hyperparameters, state: TrialState) -> tuple[TrialState, str]:
        """Pay for a segment and train it; returns where the trial stands and the receipt of the charge."""


class Scoreboard(Protocol):
    """Where trials are scored."""

    def score(self, scoring: Scoring) -> tuple[dict[str, float], Receipt | None]:
        """See ``ScoringPlan.score``."""


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
        engine: ``packed`` or ``opacus``.
        policy: is paid before participants are read.
        seed: makes every random number reproducible; None, the only value allowed for a private cohort, takes
            them from the operating system.
        pretraining: epochs at the beginning without noise or clipping, on a surrogate's participants only.
        starts: checkpoints of earlier trials that a configuration may name under ``START``, to begin from.
        packs: where trials train together; None has each train by itself.
        scorers: where trials are scored; None scores them in this process.
        judge: of synthetic participants.
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
    packs: Company | None = None
    scorers: Scoreboard | None = None
    judge: type[SyntheticJudge] = SyntheticJudge

    @property
    def public(self) -> PublicFigures:
        """What training may know for free."""
        schema = self.train.schema
        return PublicFigures(
            schema.nominal_size * self.train_share, arm_shares(schema), Encoding(schema).width, grid(schema)
        )

    @property
    def scoring(self) -> ScoringPlan:
        """How trials are scored."""
        return ScoringPlan(self.policy, self.validation, self.judge)


class Candidate:
    """A configuration that trains and is scored, whoever decides how far.

    Args:
        name: of the trial, for the ledger.
        config: hyperparameters, and perhaps the trial to begin from.
        plan: what all trials of the study share.
    """

    def __init__(self, name: str, config: Mapping[str, Any], plan: TrialPlan) -> None:
        self.name, self.plan, self.hyperparameters = name, plan, hyperparameters_of(config)
        here = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.device = plan.packs.device if plan.packs else here
        self.epoch = 0
        self.receipt = ""  # the ledger as of this trial's last charge
        self.engine = self._new_engine()
        if START in config:
            with plan.starts[config[START]].as_directory() as directory:
                self.engine.load_state_dict(self._read_state(directory)["engine"])

    @property
    def planned_epochs(self) -> int:
        """Where it ends if nothing stops it: at the longest training, or at the most one trial may cost."""
        return affordable_epochs(
            self.hyperparameters.sampling_rate,
            self.hyperparameters.noise_multiplier,
            self.hyperparameters.steps_per_epoch,
            self.plan.scored_epochs[-1],
            self.plan.epsilon,
            self.plan.delta,
        )

    def _new_engine(self) -> Engine:
        """An engine with fresh weights, which adds noise unless this is pretraining."""
        hyperparameters = self.hyperparameters
        if self.epoch < self.plan.pretraining:
            hyperparameters = hyperparameters.model_copy(update={"noise_multiplier": 0.0})
        with GLOBAL_STREAM:
            torch.manual_seed(self._segment_seed("weights"))
            return new_engine(self.plan.engine, hyperparameters, self.plan.public, self.device)

    def train_to(self, epoch: int) -> None:
        """Pay for the training up to an epoch, then do it. Work redone after a crash is paid for again.

        Raises:
            BudgetExhausted: it does not fit any more; nothing was trained.
        """
        if self.epoch and self.epoch == self.plan.pretraining:
            pretrained = self.engine.state_dict()
            self.engine = self._new_engine()
            self.engine.load_state_dict(pretrained)
        charge = self.hyperparameters.charge(epoch - self.epoch)
        seeds = None if self.plan.seed is None else {name: self._segment_seed(name) for name in STREAMS}
        self.receipt = self._train(Segment(self.name, charge, f"{self.epoch + 1} to {epoch}", seeds))
        self.epoch = epoch

    def _train(self, segment: Segment) -> str:
        """Pay for a segment and train it, here or in a pack; returns the receipt of the charge."""
        if self.plan.packs is not None:
            assert isinstance(self.engine, PackedEngine)
            trained, receipt = self.plan.packs.train(segment, self.engine.hyperparameters, self.engine.state)
            self.engine.state = trained
            return receipt
        paid = segment.pay(self.plan.policy, self.plan.train, self.device)
        torch.manual_seed(self._segment_seed("dropout"))
        self.engine.train(paid.data, paid.steps, paid.streams)
        return paid.receipt

    def score(self) -> dict[str, float]:
        """Have as many synthetic participants as the public size of the training split judged.

        Returns:
            What the policy lets out, and ``score``, the mean AUC.

        Raises:
            BudgetExhausted: scores do not fit any more; nobody was read.
        """
        size = round(self.plan.train.schema.nominal_size * self.plan.train_share)
        synthetic = self.generator().generate(size, self._stream("scoring"))
        names = self.plan.judge.makers
        seeds = {name: self._segment_seed(name) % 2**32 for name in names}
        scorers = self.plan.scorers or self.plan.scoring
        metrics, receipt = scorers.score(Scoring(self.name, self.epoch, synthetic, seeds))
        self.receipt = str(receipt or "")
        return {**metrics, "score": sum(metrics[f"auc_{name}"] for name in names) / len(names)}

    def generator(self) -> Generator:
        """What participants can be made with, as of now."""
        return Generator(self.engine.generator(), self.hyperparameters, self.plan.train.schema)

    def save(self, directory: Path, **more: Any) -> None:
        """Write generator.pt, from which participants can be made, and trial.pt, from which training goes on."""
        self.generator().save(directory)
        state = {"epoch": self.epoch, "engine": self.engine.state_dict(), "receipt": self.receipt, **more}
        torch.save(state, directory / STATE_FILE)

    def load(self, directory: Path) -> dict[str, Any]:
        """Go on where ``save`` stopped; returns what was saved."""
        state = self._read_state(directory)
        self.epoch, self.receipt = state["epoch"], state["receipt"]
        self.engine = self._new_engine()
        self.engine.load_state_dict(state["engine"])
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
        content = [self.plan.seed, self.hyperparameters.model_dump(), self.epoch, purpose]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
        return int.from_bytes(digest[:8]) >> 1

    def _stream(self, purpose: str) -> torch.Generator:
        if self.plan.seed is None:
            return secret_stream(self.device)
        return torch.Generator(self.device).manual_seed(self._segment_seed(purpose))


def new_engine(name: str, hyperparameters: Hyperparameters, public: PublicFigures, device: torch.device) -> Engine:
    """An engine with fresh weights, drawn from PyTorch's global stream."""
    if name == "packed":
        return PackedEngine(hyperparameters, public, device)
    from trainables.gan.opacus_engine import OpacusEngine  # a second's import that packed trials do without

    return OpacusEngine(hyperparameters, public, device)


def hyperparameters_of(config: Mapping[str, Any]) -> Hyperparameters:
    """The hyperparameters of a trial's configuration, which may also name another trial to begin from."""
    return Hyperparameters(**{name: value for name, value in config.items() if name != START})
