"""What every training engine is given and must do, whatever does its arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from cohorts import Encoding, Participants
from trainables.gan.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class PublicFigures:
    """What training may know for free: constants of the schema, nothing counted in the files.

    Args:
        participants: public nominal size of the training split (nominal size x train share).
        arm_shares: public probability of each arm, (2,), summing to 1.
        features: width F of an encoded participant.
        grid: (measures, visits) when features are a full grid of single numbers, else None.
    """

    participants: float
    arm_shares: tuple[float, float]
    features: int
    grid: tuple[int, int] | None

    def expected_batch(self, hyperparameters: Hyperparameters) -> float:
        """Public normaliser of a gradient: sampling rate x nominal size; not the true batch size."""
        return hyperparameters.sampling_rate * self.participants


@dataclass(frozen=True)
class RandomStreams:
    """The random numbers of one segment of training, for each purpose a stream of its own.

    What the first two draw must stay secret, so in private mode streams are seeded by the operating system and never
    stored.

    Args:
        participants: draws the Poisson batches.
        noise: draws the noise of every step.
        inputs: draws latent inputs and arms of generated participants.
        dropout: draws what the packed engine drops; Opacus's modules take PyTorch's global stream.
    """

    participants: torch.Generator
    noise: torch.Generator
    inputs: torch.Generator
    dropout: torch.Generator

    @classmethod
    def of(cls, stream: Callable[[str], torch.Generator]) -> RandomStreams:
        """Each from its name."""
        return cls(**{each.name: stream(each.name) for each in fields(cls)})

    @classmethod
    def seeded(cls, seed: int) -> RandomStreams:
        """The same numbers every time, on the CPU: for what is public or made up."""
        seeds = dict(zip((each.name for each in fields(cls)), range(4 * seed, 4 * seed + 4), strict=True))
        return cls.of(lambda name: torch.Generator().manual_seed(seeds[name]))


@dataclass(frozen=True)
class TrainingData:
    """Participants to train on, as networks take them. Sensitive.

    Args:
        features: encoded participants (n, F).
        arms: their arms (n,), int64.
    """

    features: Tensor
    arms: Tensor

    @classmethod
    def of(cls, participants: Participants, device: torch.device) -> TrainingData:
        """Encode participants."""
        features = torch.from_numpy(Encoding(participants.schema).encode(participants.values))
        return cls(features.to(device), torch.from_numpy(participants.labels).to(device))


class Engine(Protocol):
    """Trains the AC-GAN of one trial. It keeps no participants between two segments of training."""

    def train(self, data: TrainingData, steps: int, streams: RandomStreams) -> None:
        """Take ``steps`` discriminator steps, with a generator step after every ``discriminator_steps``."""

    def generator(self) -> torch.nn.Module:
        """The generator to release, as it is now."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on training later."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""


def draw_inputs(
    count: int, latent_size: int, arm_shares: tuple[float, float], randomness: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Random inputs of a generator.

    Args:
        count: how many participants to generate, B.
        latent_size: Z.
        arm_shares: public probability of each arm.
        randomness: stream to draw from.

    Returns:
        latent (B, Z) uniform in [-1, 1] and arms (B,) int64.
    """
    device = randomness.device
    latent = 2 * torch.rand(count, latent_size, device=device, generator=randomness) - 1
    arms = (torch.rand(count, device=device, generator=randomness) >= arm_shares[0]).long()
    return latent, arms
