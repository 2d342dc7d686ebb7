"""The rows of a step: participants of K trials side by side, padded to the longest batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from trainables.networks import ARMS
from trainables.packed.draws import Batch

# Rows of one pass of a trial; more are processed in further passes and never cut.
CHUNK_ROWS = 512


@dataclass(frozen=True)
class Rows:
    """Rows of K trials, R each.

    Args:
        features: what the discriminator sees (K, R, F), or the generator: latent and one-hot arm (K, R, Z + 2).
        arms: of each row, one-hot (K, R, 2).
        targets: 1 for real, 0 for generated, or smoothed (K, R).
        counted: False where a row only fills up (K, R).
        masks: what dropout multiplies by (K, R, D).
    """

    features: Tensor
    arms: Tensor
    targets: Tensor
    counted: Tensor
    masks: Tensor

    def chunks(self) -> Iterator[Rows]:
        """The same rows, at most ``CHUNK_ROWS`` at a time."""
        if self.counted.shape[1] <= CHUNK_ROWS:
            yield self
            return
        parts = (tensor.split(CHUNK_ROWS, dim=1) for tensor in vars(self).values())
        yield from (Rows(*chunk) for chunk in zip(*parts, strict=True))

    def beside(self, others: Rows) -> Rows:
        """These rows, then the others."""
        pairs = zip(vars(self).values(), vars(others).values(), strict=True)
        return Rows(*(torch.cat(pair, dim=1) for pair in pairs))

    def showing(self, features: Tensor) -> Rows:
        """The same rows with other features."""
        return replace(self, features=features)


def real_rows(drawn: Sequence[Batch], targets: Tensor, masks: DropoutMasks) -> Rows:
    """The participants of K Poisson batches.

    Args:
        drawn: the batches.
        targets: of each trial's real participants (K, 1).
        masks: draws what is dropped.
    """
    features = pad_sequence([batch.features for batch in drawn], batch_first=True)  # (K, R, F)
    arms = pad_sequence([batch.arms for batch in drawn], batch_first=True)
    sizes = [len(batch.arms) for batch in drawn]
    counted = _counted(sizes, features)
    return Rows(features, _one_hot(arms), targets.expand(counted.shape), counted, masks.draw(sizes, features))


def latent_rows(inputs: Sequence[tuple[Tensor, Tensor]], latent_size: int, target: float, masks: DropoutMasks) -> Rows:
    """Participants of K trials that are still to be generated.

    Args:
        inputs: latent (G, Z) and arms (G,) of each, Z its own.
        latent_size: the pack's, at least every Z.
        target: of all.
        masks: draws what is dropped.
    """
    arms = _one_hot(pad_sequence([each for _, each in inputs], batch_first=True))
    features = arms.new_zeros(*arms.shape[:2], latent_size + ARMS)
    for row, (latent, _) in zip(features, inputs, strict=True):
        row[: len(latent), : latent.shape[1]] = latent
    features[..., latent_size:] = arms
    sizes = [len(each) for _, each in inputs]
    counted = _counted(sizes, features)
    return Rows(features, arms, features.new_full(counted.shape, target), counted, masks.draw(sizes, features))


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

    def draw(self, sizes: Sequence[int], rows: Tensor) -> Tensor:
        """(K, R, D), drawn for the first so many rows of each trial.

        Args:
            sizes: how many, of each trial.
            rows: (K, R, ...).
        """
        masks = rows.new_zeros(*rows.shape[:2], self.units)
        if self.units == 0:
            return masks
        for mask, size, stream in zip(masks, sizes, self.streams, strict=True):
            mask[:size].uniform_(generator=stream)
        return masks.ge_(self.probability).div_(1 - self.probability)


def _one_hot(arms: Tensor) -> Tensor:
    return functional.one_hot(arms, ARMS).float()


def _counted(sizes: Sequence[int], like: Tensor) -> Tensor:
    """True for the first so many rows of each trial (K, R)."""
    numbers = torch.arange(like.shape[1], device=like.device)
    return numbers < torch.tensor(sizes, device=like.device).unsqueeze(1)
