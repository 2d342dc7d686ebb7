"""A discriminator that mixes participants is found out, whatever hides that it does."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from trainables.gan.hyperparameters import GANSettings
from trainables.gan.networks import build_networks
from trainables.gan.one_by_one import why_not_one_by_one

FEATURES = 6


class MinibatchDeviation(nn.Module):
    """As in ProGAN: how far participants lie from each other, told of each of them."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(weight))

    def forward(self, features: Tensor) -> Tensor:
        """Features with a column more."""
        apart = features.std(dim=0, correction=0).mean().expand(len(features), 1)
        return torch.cat([features, self.gate * apart], dim=1)


class Counting(nn.Module):
    """Remembers how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("asked", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """The same features."""
        self.asked += 1
        return features


class OwnDropout(nn.Module):
    """By chance, and not as a layer that can be switched off."""

    def forward(self, features: Tensor) -> Tensor:
        """Some of the features."""
        return nn.functional.dropout(features, 0.5, training=True)


def with_first(layer: nn.Module, width: int = FEATURES) -> nn.Module:
    return nn.Sequential(layer, nn.Linear(width, 8), nn.SiLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("layer", "width", "why"),
    [
        (nn.BatchNorm1d(FEATURES, affine=False), FEATURES, "cannot be asked about one participant alone"),
        (MinibatchDeviation(1.0), FEATURES + 1, "mixes participants"),
        (MinibatchDeviation(0.0), FEATURES + 1, "mixes participants"),
        (nn.Softmax(dim=0), FEATURES, "mixes participants"),
        (Counting(), FEATURES, "changes by being asked"),
        (OwnDropout(), FEATURES, "answers by chance"),
    ],
    ids=[
        "batch normalisation",
        "minibatch deviation",
        "at first without weight",
        "over the batch",
        "counts",
        "dropout",
    ],
)
def test_a_discriminator_that_mixes_participants_is_found_out(layer, width, why):
    assert why in why_not_one_by_one(with_first(layer, width), FEATURES)


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.5), nn.LayerNorm(FEATURES), nn.Softmax(dim=1), nn.GroupNorm(2, FEATURES)]
)
def test_one_that_does_not_is_left_as_it_is(layer):
    network = with_first(layer)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    assert why_not_one_by_one(network, FEATURES) is None
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("network", ["compact", "paper"])
def test_the_projects_own_do_not(network):
    _, discriminator = build_networks(GANSettings(network=network), 36, 2, (3, 12))
    assert why_not_one_by_one(discriminator, 36) is None
