"""What the benches measure, read from workloads.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml

from cohorts import SplitParticipants, load_participants, split_key, split_participants
from privacy.mechanisms.dpsgd import DPSGD
from trainables.gan.engine import PaidTraining, PublicFigures, RandomStreams, TrainingData
from trainables.gan.hyperparameters import Hyperparameters

FILE = Path(__file__).with_name("workloads.yaml")
CPU = torch.device("cpu")


@cache
def workloads() -> dict[str, Any]:
    """The file, as it is."""
    return yaml.safe_load(FILE.read_text())


@dataclass(frozen=True)
class Workload:
    """Participants of a public cohort, and what is public about those that are trained on."""

    splits: SplitParticipants
    public: PublicFigures

    @property
    def data(self) -> TrainingData:
        """Those that are trained on."""
        return TrainingData.of(self.splits.train, CPU)


@cache
def workload(cohort: str | None = None) -> Workload:
    """A bundled cohort, that of the file by default."""
    participants, _ = load_participants(cohort or workloads()["cohort"])
    schema = participants.schema
    splits = split_participants(participants, split_key(schema))
    public = PublicFigures.of(schema, len(splits.train) / schema.nominal_size)
    return Workload(splits, public)


def hyperparameters(network: str, public: PublicFigures, batch: int | None = None, **changes: Any) -> Hyperparameters:
    """The configuration of every trial of a network."""
    rate = (batch or workloads()["batch"]) / public.participants
    settings = {**workloads()["hyperparameters"], **workloads()["networks"][network], "sampling_rate": rate}
    return Hyperparameters(**{**settings, **changes})


def streams(trial: int, device: torch.device = CPU) -> RandomStreams:
    """Random numbers of a trial, the same in every run on a device."""
    return RandomStreams.numbered(trial, device)


def paid(hyperparameters: Hyperparameters, data: TrainingData, steps: int, drawn: RandomStreams) -> PaidTraining:
    """What an engine trains with, of a public cohort that nobody asks a ledger about."""
    mechanism: DPSGD = hyperparameters.training(1).of_steps(steps)
    return PaidTraining(data, mechanism, drawn)
