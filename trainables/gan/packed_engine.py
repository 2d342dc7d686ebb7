"""The fast engine: a trial whose arithmetic happens in a pack, its own or one that it shares."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.losses import Losses
from trainables.gan.networks import build_networks
from trainables.gan.packed.networks import Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed.stack import NetworkState


class PackedEngine:
    """Trains one AC-GAN by the same steps as ``OpacusEngine``, without building per-participant gradients.

    ``state`` is where the trial stands; a pack that is shared with other trials takes it and gives back another.

    Args:
        settings: the trial's configuration.
        public: constants of the schema.
        device: where the arithmetic happens.
    """

    def __init__(self, settings: GANSettings, public: PublicFigures, device: torch.device) -> None:
        self._settings, self._public, self._device = settings, public, device
        generator, discriminator = (
            module.to(device) for module in build_networks(settings, public.features, public.arms, public.grid)
        )
        self._average = deepcopy(generator)
        networks = NetworkState.fresh(generator), NetworkState.fresh(discriminator)
        self.state = TrialState(0, *networks, average=NetworkState.fresh(generator).weights)

    def train(self, paid: PaidTraining) -> None:
        """Take the discriminator steps that were paid for, with a generator step after every few."""
        pack = self.new_pack()
        ticket = pack.join(self._settings, self._public, self.state, paid)
        pack.advance(paid.mechanism.steps)
        self.state = pack.leave(ticket)

    @property
    def losses(self) -> Losses:
        """Of the last segment, where it was watched."""
        return self.state.losses

    @property
    def shape(self) -> Shape:
        """What trials have in common that can share a pack with this one."""
        return Shape.of(self._settings, self._public)

    def new_pack(self) -> Pack:
        """A pack for this trial alone."""
        return Pack(self.shape, self._device)

    def generator(self) -> nn.Module:
        """The generator to release: its running average, which reads no participant."""
        self._average.load_state_dict(self.state.average)
        return self._average

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on training later: weights, optimizer moments and step counts."""
        return self.state.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self.state = TrialState.of(state)
