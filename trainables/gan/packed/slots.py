"""The trainable state of K trials, a row each, and one trial's state to and from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor

from privacy.mechanisms.gpu_noise import GPUNoise
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.losses import Losses
from trainables.gan.packed.layout import Weights
from trainables.gan.packed.networks import Networks
from trainables.gan.packed.stack import NetworkState, Stack


@dataclass(frozen=True)
class TrialState:
    """Everything needed to go on training a trial later.

    Args:
        steps: discriminator steps taken.
        generator, discriminator: the two networks with their optimizers.
        average: the generator's running average, by parameter name.
        losses: of the last segment, where it was watched; they are not kept.
    """

    steps: int
    generator: NetworkState
    discriminator: NetworkState
    average: Weights
    losses: Losses = field(default_factory=Losses)

    def state_dict(self) -> dict[str, Any]:
        """Nothing but tensors, numbers and names."""
        networks = {name: vars(getattr(self, name)) for name in ("generator", "discriminator")}
        return {"steps": self.steps, "average": self.average, **networks}

    def on(self, device: torch.device) -> TrialState:
        """The same on another device."""

        def moved(weights: Weights) -> Weights:
            return {name: value.to(device) for name, value in weights.items()}

        generator, discriminator = (
            replace(state, weights=moved(state.weights), first=moved(state.first), second=moved(state.second))
            for state in (self.generator, self.discriminator)
        )
        return TrialState(self.steps, generator, discriminator, moved(self.average), self.losses)

    @classmethod
    def of(cls, state: dict[str, Any]) -> TrialState:
        """From what ``state_dict`` gave."""
        generator, discriminator = (NetworkState(**state[name]) for name in ("generator", "discriminator"))
        return cls(state["steps"], generator, discriminator, state["average"])


@dataclass(frozen=True)
class Slots:
    """Rows of K trials.

    Args:
        generators, discriminators: networks with optimizers.
        averages: the generators' running averages (K, P).
        noise: streams of the discriminators' noise; None where the host draws it.
        losses: sums of ``Losses`` since each joined (K, 4), float64. Sensitive.
    """

    generators: Stack
    discriminators: Stack
    averages: Tensor
    noise: GPUNoise | None
    losses: Tensor

    @classmethod
    def of(
        cls,
        state: TrialState,
        settings: GANSettings,
        networks: Networks,
        device: torch.device,
        noise: GPUNoise | None,
    ) -> Slots:
        """One trial's row."""
        latent_size = settings.latent_size
        average = torch.zeros(1, networks.generator.layout.size, device=device)
        networks.generator.layout.write(average[0], state.average, latent_size)
        generator = Stack.of(state.generator, networks.generator.layout, latent_size, device)
        discriminator = Stack.of(state.discriminator, networks.discriminator.layout, latent_size, device)
        return cls(
            generator.learning_at(settings.generator_learning_rate, settings.adam_beta1),
            discriminator.learning_at(settings.discriminator_learning_rate, settings.adam_beta1),
            average,
            noise,
            torch.zeros(1, len(fields(Losses)), dtype=torch.float64, device=device),
        )

    @classmethod
    def joined(cls, parts: Sequence[Slots]) -> Slots:
        """The rows of several, one after another."""
        noise = [part.noise for part in parts if part.noise is not None]
        return cls(
            Stack.joined([part.generators for part in parts]),
            Stack.joined([part.discriminators for part in parts]),
            torch.cat([part.averages for part in parts]),
            GPUNoise.joined(noise) if noise else None,
            torch.cat([part.losses for part in parts]),
        )

    def rows(self, which: slice) -> Slots:
        """Neighbouring trials' rows, sharing their memory."""
        return Slots(
            self.generators.rows(which),
            self.discriminators.rows(which),
            self.averages[which],
            None if self.noise is None else self.noise.rows(which),
            self.losses[which],
        )

    def forget(self) -> None:
        """Overwrite what must not outlast the rows."""
        if self.noise is not None:
            self.noise.forget()

    def state(self, row: int, steps: int, latent_size: int) -> TrialState:
        """One trial's state, copied."""
        return TrialState(
            steps,
            self.generators.state(row, latent_size),
            self.discriminators.state(row, latent_size),
            self.generators.layout.read(self.averages[row], latent_size),
            Losses(*self.losses[row].tolist()),
        )
