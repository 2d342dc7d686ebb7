"""The rows of a step: participants of K trials side by side, padded to the longest batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from trainables.gan.packed.batch_stream import BatchStream
from trainables.gan.packed.networks import Networks
from trainables.gan.packed.placing import placed

# Rows of one pass of a trial; more are processed in further passes and never cut.
CHUNK_ROWS = 512


@dataclass(frozen=True)
class Rows:
    """Rows of K trials, R each.

    Args:
        features: what the discriminator sees (K, R, F), or the generator: latent and one-hot arm (K, R, Z + k).
        arms: of each row, one-hot (K, R, k).
        targets: 1 for real, 0 for generated, or smoothed (K, R).
        row_mask: False where a row only fills up (K, R).
        masks: what dropout multiplies by (K, R, D); None for a network without dropout.
    """

    features: Tensor
    arms: Tensor
    targets: Tensor
    row_mask: Tensor
    masks: Tensor | None

    def chunks(self) -> Iterator[Rows]:
        """The same rows, at most ``CHUNK_ROWS`` at a time."""
        if self.row_mask.shape[1] <= CHUNK_ROWS:
            yield self
            return
        for first in range(0, self.row_mask.shape[1], CHUNK_ROWS):
            chunk = slice(first, first + CHUNK_ROWS)
            features, arms, targets, row_mask = (
                each[:, chunk] for each in (self.features, self.arms, self.targets, self.row_mask)
            )
            yield Rows(features, arms, targets, row_mask, None if self.masks is None else self.masks[:, chunk])


@dataclass(frozen=True)
class PaddedBatches:
    """What the next T discriminator steps of K trials see: G generated participants each, then their Poisson batches.

    Args:
        inputs: of the participants to generate, latent and one-hot arm (K, T, G, Z + k).
        participants: of the batches, room for the generated ones before them: features and one-hot arm
            (T, K, G + R, F + k). Sensitive.
        features: how many there are, F.
        targets: (T, K, G + R).
        row_mask: False where a row only fills up (T, K, G + R).
        generated, sizes: how many of each trial's rows count (K,), and (T, K). Sensitive.
    """

    inputs: Tensor
    participants: Tensor
    features: int
    targets: Tensor
    row_mask: Tensor
    generated: list[int]
    sizes: list[list[int]]

    @classmethod
    def of(cls, batch_streams: Sequence[BatchStream], steps: int, targets: Tensor, networks: Networks) -> PaddedBatches:
        """Lay the draws of K trials side by side.

        Args:
            batch_streams: of the trials.
            steps: T, at most as many as each has left.
            targets: of each trial's real participants (K, 1).
            networks: the pack's.
        """
        drawn = [batch_stream.next_steps(steps) for batch_stream in batch_streams]
        sizes = [[size for part in parts for size in part.sizes] for parts in drawn]  # of each trial
        generated = [batch_stream.generated for batch_stream in batch_streams]
        most, longest, shape = max(generated), max(map(max, sizes)), (steps, len(batch_streams))
        participants = targets.new_zeros(*shape, most + longest, drawn[0][0].participants.shape[2])
        inputs = targets.new_zeros(len(batch_streams), steps, most, drawn[0][0].inputs.shape[2])
        for trial, (parts, count) in enumerate(zip(drawn, generated, strict=True)):
            first = 0
            for part in parts:
                now = slice(first, first := first + len(part))
                participants[now, trial, most : most + part.participants.shape[1]] = part.participants[:, :longest]
                inputs[trial, now, :count] = part.inputs
        features = participants.shape[3] - networks.arms
        participants[:, :, :most, features:] = inputs[..., networks.latent_size :].transpose(0, 1)
        real = torch.arange(most + longest, device=targets.device) >= most
        by_step = [list(each) for each in zip(*sizes, strict=True)]
        row_mask = torch.cat(
            [_row_mask([generated] * steps, most, targets), _row_mask(by_step, longest, targets)], dim=2
        )
        targets = (targets * real).expand(*shape, -1)
        return cls(inputs, participants, features, targets, row_mask, generated, by_step)

    def take_generated(self, steps: slice, generated: Tensor) -> None:
        """Put the participants that were generated for some steps (K, steps x G, F) before the real ones."""
        most = self.inputs.shape[2]
        self.participants[steps, :, :most, : self.features] = generated.unflatten(1, (-1, most)).transpose(0, 1)

    def rows(self, step: int, masks: DropoutMasks) -> Rows:
        """All participants of one step.

        Args:
            step: which.
            masks: draws what is dropped.
        """
        most = self.inputs.shape[2]
        shown = most + max(self.sizes[step])
        participants, targets, row_mask = (
            each[step, :, :shown] for each in (self.participants, self.targets, self.row_mask)
        )
        features, arms = participants[..., : self.features], participants[..., self.features :]
        spans = [[(0, count), (most, size)] for count, size in zip(self.generated, self.sizes[step], strict=True)]
        return Rows(features, arms, targets, row_mask, masks.draw(spans, features))


def generator_rows(inputs: Sequence[Tensor], networks: Networks, masks: DropoutMasks) -> Rows:
    """Participants of K trials that their generators hope will pass for real.

    Args:
        inputs: latent and one-hot arm (G, Z + k) of each, G its own.
        networks: the pack's.
        masks: draws what is dropped.
    """
    alike = len({len(each) for each in inputs}) == 1
    features = torch.stack(list(inputs)) if alike else pad_sequence(list(inputs), batch_first=True)
    arms = features[..., networks.latent_size :]
    sizes = [len(each) for each in inputs]
    row_mask = _row_mask(sizes, features.shape[1], features)
    targets = features.new_ones(1, 1).expand(row_mask.shape)
    return Rows(features, arms, targets, row_mask, masks.draw([[(0, size)] for size in sizes], features))


@dataclass(frozen=True)
class DropoutMasks:
    """What dropout multiplies by, each trial's from its own stream.

    Args:
        units: random numbers a row needs, D.
        probability: with which a unit is dropped.
        streams: of K trials.
    """

    units: int
    probability: float
    streams: Sequence[torch.Generator]

    def draw(self, spans: Sequence[Sequence[tuple[int, int]]], rows: Tensor) -> Tensor | None:
        """(K, R, D), drawn for the rows of each trial that count; None for a network without dropout.

        Args:
            spans: of each trial, where such rows begin and how many they are.
            rows: (K, R, ...).
        """
        if self.units == 0:
            return None
        masks = rows.new_zeros(*rows.shape[:2], self.units)
        for mask, parts, stream in zip(masks, spans, self.streams, strict=True):
            for first, count in parts:
                mask[first : first + count].uniform_(generator=stream)
        return masks.ge_(self.probability).div_(1 - self.probability)


def _row_mask(sizes: Sequence[int] | Sequence[Sequence[int]], rows: int, like: Tensor) -> Tensor:
    """True for the first so many rows of each (..., R)."""
    numbers = torch.arange(rows, device=like.device)
    return numbers < placed(sizes, like.device).unsqueeze(-1)
