"""A segment of one trial's training: what it costs, and what it is trained with once that is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from cohorts import Cohort, Participants
from privacy import Policy, TrainingCharge
from privacy.mechanisms.randomness import secret_stream
from trainables.gan.engine import RandomStreams, TrainingData


@dataclass(frozen=True)
class Segment:
    """Training that a trial asks for; public, and small enough to be sent to where it will happen.

    Args:
        trial: its name, for the ledger.
        charge: the steps, as they will be charged.
        epochs: the same in words, such as ``1 to 3``.
        seeds: of the streams of ``RandomStreams``; None, the only value allowed for a private cohort, has them
            seeded by the operating system where the training happens.
    """

    trial: str
    charge: TrainingCharge
    epochs: str
    seeds: Mapping[str, int] | None

    def pay(self, policy: Policy, participants: Cohort | Participants, device: torch.device) -> PaidSegment:
        """Pay for it, and only then open the participants, in this process.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
        """
        reading = policy.training(self.trial, self.charge, self.epochs, participants)
        data = TrainingData.of(reading.participants, device)
        return PaidSegment(data, self.charge.steps, self._streams(device), str(reading.receipt or ""))

    def _streams(self, device: torch.device) -> RandomStreams:
        seeds = self.seeds
        if seeds is None:
            return RandomStreams.of(lambda name: secret_stream(device))
        return RandomStreams.of(lambda name: torch.Generator(device).manual_seed(seeds[name]))


@dataclass(frozen=True)
class PaidSegment:
    """What an engine needs for a segment. Sensitive; it stays in the process that paid.

    Args:
        data: participants.
        steps: discriminator steps.
        streams: random numbers.
        receipt: the ledger as of the charge; empty where nothing was charged.
    """

    data: TrainingData
    steps: int
    streams: RandomStreams
    receipt: str
