"""The trials of a pack: who they are, and which of them are worked on together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from privacy.mechanisms.standard_normal import StandardNormals
from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.packed.batch_stream import BatchStream
from trainables.gan.packed.placing import placed

# A clip norm that clips nothing, for trials without privacy.
NO_CLIPPING = 1e30
# Trials are worked on together while the longest expected batch is at most this much longer than the shortest.
PADDING = 1.3


class PackedTrial:
    """A trial while it trains in a pack.

    Args:
        ticket: by which its owner knows it.
        settings: of the trial.
        public: constants of the schema.
        paid: what it trains with: participants, and the mechanism that was charged for them. Sensitive.
        done: discriminator steps that it has taken before.
        latent_size: of the pack's networks.
    """

    def __init__(
        self,
        ticket: int,
        settings: GANSettings,
        public: PublicFigures,
        paid: PaidTraining,
        done: int,
        latent_size: int,
    ) -> None:
        self.ticket, self.settings, self.mechanism, self.streams = ticket, settings, paid.mechanism, paid.streams
        self.expected_batch = public.expected_batch(paid.mechanism)
        """Public normaliser of a gradient."""
        self.batch_stream, self.watched = BatchStream(settings, public, paid, done, latent_size), paid.watched
        self.normals = StandardNormals(paid.streams.noise)

    @property
    def clip_norm(self) -> float:
        """C; without noise nothing is clipped."""
        return self.mechanism.clip_norm if self.mechanism.noisy else NO_CLIPPING

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise on each number of a normalised gradient."""
        return self.mechanism.noise_sd(self.expected_batch) / self.expected_batch


@dataclass(frozen=True)
class Block:
    """Neighbouring rows of a pack that go through the networks together.

    Args:
        rows: which.
        trials: whose they are.
        clip_norms: C of each (K, 1), float64.
        normalisers: public expected batch of each (K, 1), float64.
        real_targets: 1 less label smoothing (K, 1).
        averaging: decay of the generator's running average (K, 1), float64.
        watched: whether losses of some are added up, and so of all.
    """

    rows: slice
    trials: list[PackedTrial]
    clip_norms: Tensor
    normalisers: Tensor
    real_targets: Tensor
    averaging: Tensor
    watched: bool

    @classmethod
    def of(cls, rows: slice, trials: list[PackedTrial], device: torch.device) -> Block:
        """Gather the settings of some trials."""

        def column(values: Sequence[float]) -> Tensor:
            return placed(values, device, torch.float64).unsqueeze(1)

        return cls(
            rows,
            trials,
            clip_norms=column([trial.clip_norm for trial in trials]),
            normalisers=column([trial.expected_batch for trial in trials]),
            real_targets=1 - column([trial.settings.label_smoothing for trial in trials]).float(),
            averaging=column([trial.settings.generator_averaging for trial in trials]),
            watched=any(trial.watched for trial in trials),
        )


def blocks(trials: Sequence[PackedTrial], largest: int, device: torch.device) -> list[Block]:
    """Cut trials, ordered by expected batch, into blocks of batches about as long.

    Args:
        trials: of the pack, in order.
        largest: rows of a block, all trials' together; a single trial may exceed it.
        device: where settings lie.
    """
    cut: list[Block] = []
    start = 0
    for end in range(1, len(trials) + 1):
        size = trials[end].batch_stream.generated if end < len(trials) else 0
        full = 2 * size * (end + 1 - start) > largest or size > PADDING * trials[start].batch_stream.generated
        if end == len(trials) or full:
            cut.append(Block.of(slice(start, end), list(trials[start:end]), device))
            start = end
    return cut
