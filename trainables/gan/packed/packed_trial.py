"""The trials of a pack: who they are, and which of them are worked on together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.gan.engine import PublicFigures, RandomStreams
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.packed.batch_stream import BatchStream
from trainables.gan.packed.placing import placed

# A clip norm that clips nothing, for trials without privacy.
NO_CLIPPING = 1e30
# Trials are worked on together while the longest expected batch is at most this much longer than the shortest.
PADDING = 1.3


@dataclass(eq=False)
class PackedTrial:
    """A trial while it trains in a pack.

    Args:
        ticket: by which its owner knows it.
        hyperparameters: of the trial.
        public: constants of the schema.
        streams: its random numbers.
        batch_stream: what its steps will see. Sensitive.
    """

    ticket: int
    hyperparameters: Hyperparameters
    public: PublicFigures
    streams: RandomStreams
    batch_stream: BatchStream

    @property
    def expected_batch(self) -> float:
        """Public normaliser of a gradient."""
        return self.public.expected_batch(self.hyperparameters)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise on each number of a normalised gradient."""
        settings = self.hyperparameters
        return settings.noise_multiplier * settings.clip_norm / self.expected_batch


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
    """

    rows: slice
    trials: list[PackedTrial]
    clip_norms: Tensor
    normalisers: Tensor
    real_targets: Tensor
    averaging: Tensor

    @classmethod
    def of(cls, rows: slice, trials: list[PackedTrial], device: torch.device) -> Block:
        """Gather the settings of some trials."""
        settings = [trial.hyperparameters for trial in trials]

        def column(values: Sequence[float]) -> Tensor:
            return placed(values, device, torch.float64).unsqueeze(1)

        return cls(
            rows,
            trials,
            clip_norms=column([each.clip_norm if each.private else NO_CLIPPING for each in settings]),
            normalisers=column([trial.expected_batch for trial in trials]),
            real_targets=1 - column([each.label_smoothing for each in settings]).float(),
            averaging=column([each.generator_averaging for each in settings]),
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
