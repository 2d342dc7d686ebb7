import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.gan.generation import ROWS, features_of
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.networks import build_networks


def test_the_papers_discriminator_has_1_86_million_parameters():
    _, discriminator = build_networks(Hyperparameters(network="paper", latent_size=100), 36, 2, (3, 12))
    assert sum(p.numel() for p in discriminator.parameters()) == 1_858_947


def test_the_papers_networks_fit_each_other():
    generator, discriminator = build_networks(Hyperparameters(network="paper", latent_size=100), 36, 2, (3, 12))
    generated = generator(torch.rand(5, 100), torch.tensor([0, 1, 0, 1, 1]))
    assert generated.shape == (5, 36)
    assert discriminator(generated).shape == (5, 3)


@torch.no_grad()
def test_participants_of_the_papers_generator_are_those_of_its_module():
    generator, _ = build_networks(Hyperparameters(network="paper", latent_size=100), 36, 2, (3, 12))
    latent, arms = torch.randn(ROWS + 3, 100), torch.randint(0, 2, (ROWS + 3,))
    torch.testing.assert_close(features_of(generator, latent, arms), generator(latent, arms), rtol=1e-4, atol=1e-5)


def test_the_papers_network_needs_a_grid_of_three_measures_at_twelve_visits():
    with pytest.raises(ValueError, match="compact"):
        build_networks(Hyperparameters(network="paper"), 36, 2, None)


@settings(max_examples=25)
@given(
    features=st.integers(1, 40),
    latent=st.integers(1, 20),
    width=st.integers(1, 40),
    depth=st.integers(1, 4),
    batch=st.integers(1, 7),
)
def test_compact_networks_of_any_size_fit_each_other_and_stay_in_range(features, latent, width, depth, batch):
    configuration = Hyperparameters(latent_size=latent, width=width, depth=depth)
    generator, discriminator = build_networks(configuration, features, 2, None)
    generated = generator(torch.rand(batch, latent), torch.zeros(batch, dtype=torch.long))
    assert generated.shape == (batch, features)
    assert generated.abs().max() <= 1
    assert discriminator(generated).shape == (batch, 3)
