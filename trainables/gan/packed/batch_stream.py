"""The random numbers and participants of one trial's steps, from its own streams alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from privacy.mechanisms.poisson_sampling import poisson_batches
from trainables.gan.engine import PaidTraining, PublicFigures, draw_inputs
from trainables.gan.hyperparameters import GANSettings

# Steps drawn at once, fewer where participants are wide: fewer, larger draws, and on a GPU one wait for the batches'
# sizes instead of one a step. A trial's own matter, so that the others cannot change what it draws.
AHEAD = 32
NUMBERS_AHEAD = 2**20

Inputs = tuple[Tensor, Tensor]  # of a generator: latent (G, Z) and arms (G,)


@dataclass(frozen=True)
class Draws:
    """What T discriminator steps of one trial see. Sensitive.

    Args:
        sizes: participants in each Poisson batch.
        features, arms: the batches (T, R, F) and (T, R), padded to the longest, R.
        latent, generated_arms: inputs of the participants to generate (T, G, Z) and (T, G).
    """

    sizes: list[int]
    features: Tensor
    arms: Tensor
    latent: Tensor
    generated_arms: Tensor

    def __len__(self) -> int:
        return len(self.sizes)

    def part(self, steps: slice) -> Draws:
        """Some of the steps."""
        return Draws(*(each[steps] for each in vars(self).values()))


class BatchStream:
    """A trial's steps from one joining of a pack to the leaving of it.

    Args:
        settings: of the trial.
        public: constants of the schema.
        paid: participants, the mechanism that was charged for them, and random numbers. Sensitive.
        done: discriminator steps that the trial has taken before.
    """

    def __init__(self, settings: GANSettings, public: PublicFigures, paid: PaidTraining, done: int) -> None:
        self._settings, self._public, self._data, self._streams = settings, public, paid.data, paid.streams
        self._sampling_rate = paid.mechanism.sampling_rate
        self.done, self.remaining = done, paid.mechanism.steps
        self.generated = max(1, round(public.expected_batch(paid.mechanism)))
        self._drawn, self._left_to_draw = deque[Draws](), self.remaining
        self._generator_inputs = deque[Inputs]()

    @property
    def generator_is_due(self) -> bool:
        """Whether a generator step follows the discriminator step just taken."""
        return self.done % self._settings.discriminator_steps == 0

    @property
    def steps_until_generator_moves(self) -> int:
        """Discriminator steps that see the generator as it is now."""
        return self._settings.discriminator_steps - self.done % self._settings.discriminator_steps

    def next_steps(self, steps: int) -> list[Draws]:
        """What the next discriminator steps see, in one or more parts; they count as taken by ``step_taken``."""
        parts = []
        while steps:
            if not self._drawn:
                self._draw_ahead()
            draws = self._drawn.popleft()
            if len(draws) > steps:
                self._drawn.appendleft(draws.part(slice(steps, None)))
                draws = draws.part(slice(steps))
            parts.append(draws)
            steps -= len(draws)
        return parts

    def step_taken(self) -> None:
        """One more discriminator step is behind."""
        if not self.remaining:
            raise RuntimeError("a trial took more steps than were paid for")
        self.done += 1
        self.remaining -= 1

    def generator_inputs(self) -> Inputs:
        """Inputs of the next generator step: twice as many participants as a discriminator step generates."""
        return self._generator_inputs.popleft()

    def _draw_ahead(self) -> None:
        generated = self.generated
        steps = min(AHEAD, max(1, NUMBERS_AHEAD // (2 * generated * self._public.features)), self._left_to_draw)
        before = self.done + self.remaining - self._left_to_draw
        chosen, sizes = poisson_batches(
            len(self._data.features), self._sampling_rate, steps, self._streams.participants
        )
        latent, arms = self._inputs(steps * generated)
        each = self._settings.discriminator_steps
        for _ in range(before // each, (before + steps) // each):
            self._generator_inputs.append(self._inputs(2 * generated))
        batches = torch.from_numpy(chosen).split(sizes)
        places = pad_sequence(batches, batch_first=True, padding_value=-1).to(self._data.arms.device)  # (T, R)
        self._drawn.append(
            Draws(
                sizes,
                self._data.features[places.clamp(min=0)].masked_fill_(places.lt(0).unsqueeze(2), 0.0),
                self._data.arms[places.clamp(min=0)],
                latent.unflatten(0, (steps, generated)),
                arms.unflatten(0, (steps, generated)),
            )
        )
        self._left_to_draw -= steps

    def _inputs(self, count: int) -> Inputs:
        return draw_inputs(count, self._settings.latent_size, self._public.arm_shares, self._streams.inputs)
