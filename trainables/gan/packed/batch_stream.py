"""The random numbers and participants of one trial's steps, from its own streams alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from privacy.mechanisms.poisson_sampling import poisson_batches
from trainables.gan.engine import PaidTraining, PublicFigures, draw_inputs
from trainables.gan.hyperparameters import GANSettings

# Steps drawn at once, fewer where participants are wide: fewer, larger draws, above all on a GPU, whose host takes as
# long to ask for few numbers as for many. A trial's own matter, so that the others cannot change what it draws.
AHEAD, AHEAD_ON_GPU = 32, 128
NUMBERS_AHEAD = 2**20


@dataclass(frozen=True)
class Draws:
    """What T discriminator steps of one trial see. Sensitive.

    Args:
        sizes: participants in each Poisson batch.
        participants: the batches, features and one-hot arm (T, R, F + k), padded by zeros to the longest, R.
        inputs: of the participants to generate, latent and one-hot arm (T, G, Z + k).
    """

    sizes: list[int]
    participants: Tensor
    inputs: Tensor

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
        latent_size: Z, of the pack's networks; what a trial has less of it is zeros.
    """

    def __init__(
        self, settings: GANSettings, public: PublicFigures, paid: PaidTraining, done: int, latent_size: int
    ) -> None:
        self._settings, self._public, self._data, self._streams = settings, public, paid.data, paid.streams
        self._latent_size = latent_size
        self._sampling_rate = paid.mechanism.sampling_rate
        self.done, self.remaining = done, paid.mechanism.steps
        self.generated = max(1, round(public.expected_batch(paid.mechanism)))
        self._drawn, self._left_to_draw = deque[Draws](), self.remaining
        self._generator_inputs = deque[Tensor]()

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

    def generator_inputs(self) -> Tensor:
        """Inputs of the next generator step, twice those of the participants that a step generates (2 G, Z + k)."""
        return self._generator_inputs.popleft()

    def _draw_ahead(self) -> None:
        generated, device = self.generated, self._data.arms.device
        ahead = AHEAD if device.type == "cpu" else AHEAD_ON_GPU
        steps = min(ahead, max(1, NUMBERS_AHEAD // (2 * generated * self._public.features)), self._left_to_draw)
        before = self.done + self.remaining - self._left_to_draw
        chosen, sizes = poisson_batches(
            len(self._data.features), self._sampling_rate, steps, self._streams.participants
        )
        inputs = self._inputs(steps, generated)
        each = self._settings.discriminator_steps
        if moves := (before + steps) // each - before // each:
            self._generator_inputs.extend(self._inputs(moves, 2 * generated))
        batches = torch.from_numpy(chosen).split(sizes)
        places = pad_sequence(batches, batch_first=True, padding_value=-1).to(device, non_blocking=True)  # (T, R)
        row, nobody = places.clamp(min=0), places.lt(0).unsqueeze(2)
        participants = torch.cat([self._data.features[row], self._one_hot(self._data.arms[row])], dim=2)
        self._drawn.append(Draws(sizes, participants.masked_fill_(nobody, 0.0), inputs))
        self._left_to_draw -= steps

    def _inputs(self, steps: int, count: int) -> Tensor:
        """Of a generator, for so many of its participants at each step: (T, B, Z + k)."""
        settings, streams = self._settings, self._streams
        latent, arms = draw_inputs(steps * count, settings.latent_size, self._public.arm_shares, streams.inputs)
        latent = functional.pad(latent, (0, self._latent_size - settings.latent_size))
        inputs: Tensor = torch.cat([latent, self._one_hot(arms)], dim=1).unflatten(0, (steps, count))
        return inputs

    def _one_hot(self, arms: Tensor) -> Tensor:
        one_hot: Tensor = functional.one_hot(arms, self._public.arms).float()
        return one_hot
