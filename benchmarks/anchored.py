"""A measured generator that goes on training against a discriminator of participants: an anchored GAN."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from opacus import GradSampleModule
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

from privacy.mechanisms.poisson_sampling import poisson_batch
from trainables.gan.engine import PaidTraining
from trainables.gan.opacus_engine import NO_CLIPPING, SafeDPOptimizer
from trainables.measured.candidate import MeasuredNetwork

DRAWS = 256
"""Of the largest class, in a step."""


@dataclass(frozen=True)
class Way:
    """How a release is made of a fitted generator.

    Args:
        share: of the budget, for DP-SGD; measurements get the rest.
        steps: of the discriminator, and of the generator after each; 0 leaves the generator as it was fitted.
        noise: whether there is any; without, what comes out is no release, but says what could be gained.
        adversary: weight of the discriminator in the generator's loss; at 0 nobody is read.
        anchor: lambda, by which residuals of measurements count in the generator's loss.
        given: whether the discriminator is told the class.
        auxiliary: weight of the loss of predicting it.
        rehearsed: steps of the discriminator beforehand, on draws of the generator and a copy in place of participants.
    """

    share: float = 0.0
    steps: int = 0
    noise: bool = False
    adversary: float = 1.0
    anchor: float = 0.01
    given: bool = True
    auxiliary: float = 0.0
    rehearsed: int = 0


class Discriminator(nn.Module):
    """Multilayer perceptron from normal scores, and the class where it is given, to logits: real, then each class."""

    def __init__(self, scores: int, classes: int, given: bool, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.classes, self.given = classes, given
        sizes = [scores + classes * given, *[width] * depth]
        hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.LeakyReLU(0.2))]
        self.layers = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1 + classes))

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        """(B, 1 + k) of scores (B, W) of participants of classes (B,)."""
        told = [one_hot(labels, self.classes).to(scores)] if self.given else []
        logits: Tensor = self.layers(torch.cat([scores, *told], dim=1))
        return logits


class Adversary:
    """A discriminator trained by DP-SGD, and a fitted network that goes on training against it.

    Args:
        network: fitted to measurements.
        way: how.
        shares: of the classes.
    """

    def __init__(self, network: MeasuredNetwork, way: Way, shares: list[float]) -> None:
        self._network, self._way = network, way
        self._counts = [round(DRAWS * share / max(shares)) for share in shares]
        self._labels = torch.cat([torch.full((count,), label) for label, count in enumerate(self._counts)])
        width = network._measured.products[0].mean.shape[0] - 1
        discriminator = Discriminator(width, len(shares), way.given)
        self._discriminator = GradSampleModule(discriminator, loss_reduction="sum")
        adam = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.99))
        self._optimizer = SafeDPOptimizer(
            adam, noise_multiplier=0.0, max_grad_norm=NO_CLIPPING, expected_batch_size=1, loss_reduction="mean"
        )
        self._generators = torch.optim.Adam(network._network.parameters(), lr=3e-4, betas=(0.5, 0.99))

    @property
    def batch(self) -> int:
        """Draws that a step of the discriminator takes, and as many participants, so that clipping keeps a balance."""
        return len(self._labels)

    def train(self, paid: PaidTraining, participants: float, generator_moves: bool = True) -> None:
        """Take the steps that were paid for.

        Args:
            paid: participants as normal scores, and the mechanism.
            participants: public number of them.
            generator_moves: whether the generator takes a step after each.
        """
        data, mechanism, streams = paid.data, paid.mechanism, paid.streams
        self._optimizer.take_up(paid, mechanism.sampling_rate * participants)
        for _ in range(mechanism.steps):
            drawn, observed = self._draw(streams.inputs)
            sampled = torch.from_numpy(poisson_batch(len(data.features), mechanism.sampling_rate, streams.participants))
            rows = torch.cat([data.features[sampled], observed.detach()])
            labels = torch.cat([data.arms[sampled], self._labels])
            real = torch.zeros(len(rows))
            real[: len(sampled)] = 1
            self._losses(rows, labels, real).sum().backward()
            self._optimizer.step()  # clips, adds noise and moves
            self._optimizer.zero_grad(set_to_none=True)
            if generator_moves:
                self._generator_step(drawn, observed, streams.inputs)

    def fit_on(self, steps: int, randomness: torch.Generator) -> None:
        """As many steps of the generator without any discriminator: by measurements alone."""
        for _ in range(steps):
            self._generator_step(*self._draw(randomness), randomness)

    def _generator_step(self, drawn: Tensor, observed: Tensor, randomness: torch.Generator) -> None:
        network = self._network
        self._discriminator.disable_hooks()
        loss = torch.zeros(())
        if self._way.adversary:
            fooled = self._losses(observed, self._labels, torch.ones(len(observed)))
            loss = loss + self._way.adversary * fooled.mean()
        if self._way.anchor:
            residuals = network._residuals.loss(drawn, randomness, network._settings.batch_variance)
            loss = loss + self._way.anchor * residuals
        parameters = list(network._network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        self._generators.step()
        self._discriminator.enable_hooks()
        with torch.no_grad():
            for mean, now in zip(network._average.parameters(), parameters, strict=True):
                mean.lerp_(now, 0.01)

    def _draw(self, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws of each class (k, n, W), and what would be seen of some, by the shares of the classes, (G, W)."""
        drawn = self._network._network(self._network._network.latent(DRAWS, randomness))
        seen = self._network._residuals._observed(drawn, randomness).scores
        return drawn, torch.cat([each[:count] for each, count in zip(seen, self._counts, strict=True)])

    def _losses(self, rows: Tensor, labels: Tensor, real: Tensor) -> Tensor:
        logits = self._discriminator(rows, labels)
        source = binary_cross_entropy_with_logits(logits[:, 0], real, reduction="none")
        if not self._way.auxiliary:
            return source
        return source + self._way.auxiliary * cross_entropy(logits[:, 1:], labels, reduction="none")
