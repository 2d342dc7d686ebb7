"""What every training engine is given and must do, whatever does its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor

from cohorts import Encoding, Participants, Schema
from privacy.ledger.reading import Reading
from privacy.mechanisms.dpsgd import DPSGD
from privacy.mechanisms.labels import shares_of_classes
from privacy.mechanisms.randomness import CryptographicStream, fresh_generator
from trainables.gan.losses import Losses


@dataclass(frozen=True)
class PublicFigures:
    """What training may know for free: constants of the schema, nothing counted in the files.

    Args:
        participants: public nominal size of the training split (nominal size x train share).
        arm_shares: public probability of each arm, k of them, summing to 1.
        features: width F of an encoded participant.
        grid: (measures, visits) when features are a full grid of single numbers, else None.
    """

    participants: float
    arm_shares: tuple[float, ...]
    features: int
    grid: tuple[int, int] | None

    @classmethod
    def of(cls, schema: Schema, train_share: float) -> PublicFigures:
        """Those of a schema and the share of its participants that train."""
        return cls(schema.nominal_size * train_share, shares_of_classes(schema), Encoding(schema).width, grid(schema))

    @property
    def arms(self) -> int:
        """How many there are, k."""
        return len(self.arm_shares)

    def expected_batch(self, mechanism: DPSGD) -> float:
        """Public normaliser of a gradient: sampling rate x nominal size; not the true batch size."""
        return mechanism.sampling_rate * self.participants


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

    participants: CryptographicStream
    noise: CryptographicStream
    inputs: torch.Generator
    dropout: torch.Generator

    @classmethod
    def secret(cls, device: torch.device) -> RandomStreams:
        """Fresh from the operating system."""
        inputs, dropout = fresh_generator(device), fresh_generator(device)
        return cls(CryptographicStream(), CryptographicStream(), inputs, dropout)

    @classmethod
    def seeded(cls, seeds: Mapping[str, int], device: torch.device | str = "cpu") -> RandomStreams:
        """The same numbers every time: for what is public or made up.

        Args:
            seeds: of each stream, by its name.
            device: where inputs and dropout are drawn.
        """
        return cls(
            CryptographicStream.seeded(seeds["participants"]),
            CryptographicStream.seeded(seeds["noise"]),
            torch.Generator(device).manual_seed(seeds["inputs"]),
            torch.Generator(device).manual_seed(seeds["dropout"]),
        )

    @classmethod
    def numbered(cls, number: int, device: torch.device | str = "cpu") -> RandomStreams:
        """``seeded`` by one number."""
        return cls.seeded({name: len(STREAMS) * number + place for place, name in enumerate(STREAMS)}, device)


STREAMS = tuple(each.name for each in fields(RandomStreams))


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


@dataclass(frozen=True)
class PaidTraining:
    """What an engine trains with. Sensitive; it stays in the process that paid.

    Args:
        data: participants.
        mechanism: what was paid for them: sampling rate, noise, clip norm and number of steps of every step taken.
        streams: random numbers.
        receipt: the ledger as of the charge; empty where nothing was charged.
        watched: whether losses are added up.
    """

    data: TrainingData
    mechanism: DPSGD
    streams: RandomStreams
    receipt: str = ""
    watched: bool = False

    @classmethod
    def of(
        cls, reading: Reading[DPSGD], seeds: Mapping[str, int] | None, device: torch.device, watched: bool = False
    ) -> PaidTraining:
        """What came through the door, on a device.

        Args:
            reading: participants, and what was paid for.
            seeds: of the streams; None, the only value allowed for a private cohort, has the operating system fill
                them here, where the training happens.
            device: where.
            watched: whether losses are added up.
        """
        streams = RandomStreams.secret(device) if seeds is None else RandomStreams.seeded(seeds, device)
        data = TrainingData.of(reading.participants, device)
        return cls(data, reading.mechanism, streams, str(reading.receipt or ""), watched)


class Engine(Protocol):
    """Trains the AC-GAN of one trial. It keeps no participants between two segments of training."""

    @property
    def losses(self) -> Losses:
        """Of the last segment, where it was watched."""

    def train(self, paid: PaidTraining) -> None:
        """Take the discriminator steps that were paid for, with a generator step after every few."""

    def generator(self) -> torch.nn.Module:
        """The generator to release, as it is now."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on training later."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""


def draw_inputs(
    count: int, latent_size: int, arm_shares: Sequence[float], randomness: torch.Generator
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
    chance = torch.rand(count, device=device, generator=randomness)
    arms = sum(((chance >= edge).long() for edge in accumulate(arm_shares[:-1])), torch.zeros_like(chance).long())
    return latent, arms


def grid(schema: Schema) -> tuple[int, int] | None:
    """(measures, visits) when an encoded participant is a full grid of single numbers, else None."""
    shape = schema.observed.shape
    if schema.observed.all() and Encoding(schema).width == shape[0] * shape[1]:
        return shape[0], shape[1]
    return None
