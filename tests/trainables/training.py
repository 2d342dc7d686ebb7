"""What engines train with in tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from privacy.mechanisms.dpsgd import DPSGD
from trainables.gan import opacus_engine
from trainables.gan.engine import PaidTraining, PublicFigures, RandomStreams, TrainingData
from trainables.gan.hyperparameters import GANSettings, Hyperparameters
from trainables.gan.packed import steps
from trainables.gan.packed_engine import PackedEngine

CPU = torch.device("cpu")
ALMOST_NO_NOISE = 1e-9
MECHANISM = ("sampling_rate", "noise_multiplier", "clip_norm")


def settings_of(config: dict) -> GANSettings:
    """What an engine is told of a configuration."""
    return Hyperparameters(**{name: value for name, value in config.items() if name not in MECHANISM}).settings


def mechanism_of(config: dict, number: int) -> DPSGD:
    """What is paid for a configuration; noise may be too little to be accounted for."""
    hyperparameters = Hyperparameters(**config)
    return DPSGD(hyperparameters.sampling_rate, hyperparameters.noise_multiplier, number, hyperparameters.clip_norm)


def paid(config: dict, data: TrainingData, number: int, streams: RandomStreams) -> PaidTraining:
    """As if the ledger had been asked."""
    return PaidTraining(data, mechanism_of(config, number), streams)


@dataclass
class Recorded:
    """What one trial's discriminator steps did.

    Args:
        gradients: what Adam was given at each step, times the public normaliser (steps, P).
        participants: how many real ones were in each batch.
        state: of the trial afterwards.
    """

    gradients: Tensor
    participants: list[int]
    state: dict[str, Any]


class Recorder:
    """Trains and watches what goes into Adam and into the loss, on either engine.

    Args:
        kind: ``OpacusEngine`` or ``PackedEngine``.
        config: of every trial.
        nominal: public number of participants.
        grid: (measures, visits).
    """

    def __init__(self, kind: type, config: dict, nominal: float = 100, grid: tuple[int, int] = (2, 3)) -> None:
        # Generators rest, so that each step is the discriminator's.
        self.kind, self.config = kind, {"discriminator_steps": 10**6, "width": 16, "latent_size": 4, **config}
        self.public = PublicFigures(nominal, (0.5, 0.5), grid[0] * grid[1], grid)
        self._gradients: list[Tensor] = []
        self._participants: list[Tensor] = []

    def alone(self, data: TrainingData, number: int, streams: RandomStreams | None = None) -> Recorded:
        """One trial by itself."""
        torch.manual_seed(7)
        engine = self.kind(settings_of(self.config), self.public, CPU)
        given = paid(self.config, data, number, streams or RandomStreams.numbered(3))
        with self._watching():
            engine.train(given)
        expected = self.public.expected_batch(given.mechanism)
        gradients = torch.cat(self._gradients) * expected if self._gradients else torch.empty(0, 0)
        return Recorded(gradients, [int(each) for each in self._participants], engine.state_dict())

    def together(self, people: list[TrainingData], count: int) -> Tensor:
        """Gradients of several trials of one pack: (count, K, P), times the public normaliser."""
        engines = [PackedEngine(settings_of(self.config), self.public, CPU) for _ in people]
        pack = engines[0].new_pack()
        for number, (engine, data) in enumerate(zip(engines, people, strict=True)):
            given = paid(self.config, data, count, RandomStreams.numbered(number))
            pack.join(settings_of(self.config), self.public, engine.state, given)
        with self._watching():
            pack.advance(count)
        return torch.stack(self._gradients) * self.public.expected_batch(given.mechanism)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self._gradients, self._participants = [], []
        opacus_step, packed_step = torch.optim.Adam.step, steps.adam_step
        opacus_losses, packed_losses = opacus_engine.ac_gan_losses, steps.loss_backprops

        def step_of_opacus(optimizer, *args, **kwargs):
            gradients = [each.grad for group in optimizer.param_groups for each in group["params"]]
            self._gradients.append(torch.cat([each.flatten() for each in gradients]).unsqueeze(0).clone())
            return opacus_step(optimizer, *args, **kwargs)

        def step_of_pack(stack):
            self._gradients.append(stack.gradient.clone())
            return packed_step(stack)

        def losses_of_opacus(logits, arms, targets):
            self._participants.append((targets > 0).sum())
            return opacus_losses(logits, arms, targets)

        def losses_of_pack(logits, rows):
            self._participants.append(((rows.targets > 0) & rows.row_mask).sum())
            return packed_losses(logits, rows)

        with (
            patch.object(torch.optim.Adam, "step", step_of_opacus),
            patch.object(steps, "adam_step", step_of_pack),
            patch.object(opacus_engine, "ac_gan_losses", losses_of_opacus),
            patch.object(steps, "loss_backprops", losses_of_pack),
        ):
            yield


def made_up(count: int, features: int = 6, seed: int = 0) -> TrainingData:
    """Participants (count, F) in two arms."""
    stream = torch.Generator().manual_seed(seed)
    values = 2 * torch.rand(count, features, generator=stream) - 1
    return TrainingData(values, (values[:, 0] > 0).long())
