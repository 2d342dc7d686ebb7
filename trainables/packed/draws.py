"""The random numbers and participants of one trial's steps, from its own streams alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from privacy import poisson_batches
from trainables.engine import PublicFigures, RandomStreams, TrainingData, draw_inputs
from trainables.hyperparameters import Hyperparameters

# Poisson coins tossed at once: fewer, larger draws; on a GPU, one wait for their number instead of one a step.
COINS = 2**17


@dataclass(frozen=True)
class Batch:
    """What one discriminator step of one trial sees.

    Args:
        features, arms: the participants of its Poisson batch (B, F) and (B,). Sensitive.
        latent, generated_arms: inputs of the participants to generate (G, Z) and (G,).
    """

    features: Tensor
    arms: Tensor
    latent: Tensor
    generated_arms: Tensor


def generated_participants(hyperparameters: Hyperparameters, public: PublicFigures) -> int:
    """How many participants a discriminator step generates, G: the expected batch, rounded."""
    return max(1, round(public.expected_batch(hyperparameters)))


def batches(
    hyperparameters: Hyperparameters, public: PublicFigures, data: TrainingData, steps: int, streams: RandomStreams
) -> Iterator[Batch]:
    """The batches of a stretch of training.

    Args:
        hyperparameters: of the trial.
        public: constants of the schema.
        data: real participants. Sensitive.
        steps: length of the stretch.
        streams: the trial's own.
    """
    generated = generated_participants(hyperparameters, public)
    participants = len(data.features)
    ahead = max(1, COINS // max(1, participants))
    for start in range(0, steps, ahead):
        count = min(ahead, steps - start)
        chosen, sizes = poisson_batches(participants, hyperparameters.sampling_rate, count, streams.participants)
        latent, generated_arms = draw_inputs(
            count * generated, hyperparameters.latent_size, public.arm_shares, streams.inputs
        )
        yield from map(
            Batch,
            data.features[chosen].split(sizes),
            data.arms[chosen].split(sizes),
            latent.split(generated),
            generated_arms.split(generated),
        )
