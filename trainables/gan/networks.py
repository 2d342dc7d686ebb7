"""Generator and discriminator of the AC-GAN: a compact pair for flat features and the SPRINT paper's pair.

A feature vector is a participant encoded by ``cohorts.Encoding``: F numbers in [-1, 1]. An arm is a
class of the label, of which there are k.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.extensions import NETWORKS, added, loaded, unusable
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.one_by_one import why_not_one_by_one


class CompactGenerator(nn.Module):
    """Multilayer perceptron from (latent, one-hot arm) to features."""

    def __init__(self, features: int, arms: int, latent_size: int, width: int, depth: int) -> None:
        super().__init__()
        self.arms = arms
        layers: list[nn.Module] = []
        size = latent_size + arms
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.ReLU()]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, features), nn.Tanh())

    def forward(self, latent: Tensor, arms: Tensor) -> Tensor:
        """Features (B, F) in [-1, 1] from latent (B, Z) and arms (B,)."""
        one_hot = nn.functional.one_hot(arms, self.arms).to(latent.dtype)  # (B, k)
        features: Tensor = self.layers(torch.cat([latent, one_hot], dim=1))
        return features


class CompactDiscriminator(nn.Module):
    """Multilayer perceptron from features to (real or generated, arm)."""

    def __init__(self, features: int, arms: int, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = features
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.LeakyReLU(0.2)]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, 1 + arms))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, 1 + k): real against generated, then one per arm."""
        logits: Tensor = self.layers(features)
        return logits


class PaperGenerator(nn.Module):
    """The convolutional generator of the SPRINT paper, for 3 measures at 12 visits.

    The paper's linear output is kept; ``Encoding.decode`` clamps to the public bounds.
    Source: Beaulieu-Jones et al. 2019, supplementary code (greenelab/SPRINT_gan).
    """

    def __init__(self, measures: int, visits: int, arms: int, latent_size: int) -> None:
        super().__init__()
        self.measures, self.visits = measures, visits
        self.embedding = nn.Embedding(arms, latent_size)
        self.dense = nn.Sequential(nn.Linear(latent_size, 256), nn.ReLU(), nn.Linear(256, 32 * 3 * 4), nn.ReLU())
        self.upsample = nn.Upsample(size=(2 * measures, 2 * visits))
        self.convolutions = nn.Sequential(
            nn.Conv2d(32, 256, 5, padding=2),
            nn.ReLU(),
            nn.ZeroPad2d((1, 1, 1, 1)),
            nn.Conv2d(256, 1, 4, stride=2),
        )

    def forward(self, latent: Tensor, arms: Tensor) -> Tensor:
        """Features (B, F) from latent (B, Z) and arms (B,)."""
        hidden = self.dense(latent * self.embedding(arms)).view(-1, 32, 3, 4)
        image: Tensor = self.convolutions(self.upsample(hidden))  # (B, 1, M, V)
        return image.flatten(1)


class PaperDiscriminator(nn.Module):
    """The convolutional discriminator of the SPRINT paper, about 1.86 million parameters.

    Source: Beaulieu-Jones et al. 2019, supplementary code (greenelab/SPRINT_gan).
    """

    def __init__(self, measures: int, visits: int, arms: int) -> None:
        super().__init__()
        self.measures, self.visits = measures, visits
        positions = ((measures + 1) // 2) * ((visits + 1) // 2)
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(0.3),
            nn.Dropout(0.3),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.LeakyReLU(0.3),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(64 * positions, 1024),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(1024, 1024),
            nn.ReLU(),
            nn.Linear(1024, 1 + arms),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, 1 + k): real against generated, then one per arm."""
        logits: Tensor = self.layers(features.view(-1, 1, self.measures, self.visits))
        return logits


def _added_networks(
    settings: GANSettings, features: int, arms: int, grid: tuple[int, int] | None
) -> tuple[nn.Module, nn.Module]:
    """Those that an installed package adds; none whose discriminator mixes participants."""
    entry = added(NETWORKS)[settings.network]
    build = loaded(entry)
    if not callable(build):
        raise unusable(entry, "which is not a function")
    try:
        generator, discriminator = build(settings, features, arms, grid)
    except Exception as error:  # whatever somebody else's function may raise
        raise unusable(entry, f"which cannot make networks ({error})") from error
    wrong = why_not_one_by_one(discriminator, features)
    if wrong is not None:
        raise unusable(entry, wrong)
    return generator, discriminator


def build_networks(
    settings: GANSettings, features: int, arms: int, grid: tuple[int, int] | None
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of one trial, freshly initialised.

    A network that an installed package adds is a function of the same arguments.

    Args:
        settings: the trial's configuration.
        features: width F of an encoded participant.
        arms: how many classes the label has, k.
        grid: (measures, visits) when features are a full grid of single numbers, else None.

    Returns:
        (generator, discriminator).

    Raises:
        ExtensionError: the network is of an installed package, and cannot be used: it mixes participants, say.
        ValueError: the paper's network was asked for a cohort that is not a full grid.
    """
    if settings.network == "compact":
        size = (settings.width, settings.depth)
        return (
            CompactGenerator(features, arms, settings.latent_size, *size),
            CompactDiscriminator(features, arms, *size),
        )
    if settings.network != "paper":
        return _added_networks(settings, features, arms, grid)
    if grid is None:
        raise ValueError(
            "The paper's convolutional network needs the same measures at every visit and no covariates or "
            "categories. Choose network: compact for this cohort."
        )
    return PaperGenerator(*grid, arms, settings.latent_size), PaperDiscriminator(*grid, arms)
