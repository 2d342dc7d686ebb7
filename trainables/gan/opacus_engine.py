"""The reference engine: DP-SGD by Opacus, one trial at a time."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from privacy.mechanisms.poisson_sampling import poisson_batch
from trainables.gan.averaging import GeneratorAverage
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData, draw_inputs
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.networks import build_networks

# Opacus hooks autograd in a way that PyTorch warns about at every trial; it concerns no user of ours.
warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)

# A clip norm that clips nothing but keeps sigma x C = 0 finite when sigma is 0.
NO_CLIPPING = 1e30
# Rows of one forward pass; a longer batch is processed in further chunks and never cut.
CHUNK_ROWS = 2048


def ac_gan_losses(logits: Tensor, arms: Tensor, real_targets: Tensor) -> Tensor:
    """Loss of each participant: is it real, and which arm is it in.

    Args:
        logits: discriminator output (B, 1 + 2).
        arms: true arm of each row (B,).
        real_targets: 1 for real, 0 for generated, or smoothed (B,).

    Returns:
        (B,) losses, not reduced: per-participant clipping needs them apart.

    Source: Odena, Olah & Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, eq. 2-3.
    """
    source = binary_cross_entropy_with_logits(logits[:, 0], real_targets, reduction="none")
    arm = cross_entropy(logits[:, 1:], arms, reduction="none")
    return source + arm


class OpacusEngine:
    """Trains one AC-GAN with DP-SGD on the discriminator.

    A discriminator step is differentially private in the real participants under add-or-remove adjacency: one
    participant moves the clipped sum by at most C, noise has standard deviation sigma x C, batches are Poisson,
    and the normaliser is public. Generated participants are a function of earlier outputs and fresh random
    numbers, so their gradient, clipped alike to keep the two sides in balance, costs nothing; and the generator
    only ever sees the discriminator.

    Args:
        hyperparameters: the trial's configuration.
        public: constants of the schema.
        device: where the arithmetic happens.

    Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1.
    """

    def __init__(self, hyperparameters: Hyperparameters, public: PublicFigures, device: torch.device) -> None:
        self._hyperparameters = hyperparameters
        self._public = public
        self._expected_batch = public.expected_batch(hyperparameters)
        self._steps = 0
        generator, discriminator = build_networks(hyperparameters, public.features, public.grid)
        self._generator = generator.to(device)
        self._average = GeneratorAverage(self._generator, hyperparameters.generator_averaging)
        self._discriminator = GradSampleModule(discriminator.to(device), loss_reduction="sum")
        betas = (hyperparameters.adam_beta1, 0.999)
        self._generator_optimizer = torch.optim.Adam(
            self._generator.parameters(), lr=hyperparameters.generator_learning_rate, betas=betas
        )
        self._discriminator_optimizer = DPOptimizer(
            torch.optim.Adam(
                self._discriminator.parameters(), lr=hyperparameters.discriminator_learning_rate, betas=betas
            ),
            noise_multiplier=hyperparameters.noise_multiplier,
            max_grad_norm=hyperparameters.clip_norm if hyperparameters.private else NO_CLIPPING,
            expected_batch_size=self._expected_batch,
            loss_reduction="mean",
        )

    def train(self, data: TrainingData, steps: int, streams: RandomStreams) -> None:
        """Take ``steps`` discriminator steps, with a generator step after every ``discriminator_steps``."""
        self._discriminator_optimizer.generator = streams.noise
        for _ in range(steps):
            self._discriminator_step(data, streams)
            self._steps += 1
            if self._steps % self._hyperparameters.discriminator_steps == 0:
                self._generator_step(streams)

    def _discriminator_step(self, data: TrainingData, streams: RandomStreams) -> None:
        """One noisy step: real participants by Poisson coins, about as many generated, clipped sum plus noise."""
        rate = self._hyperparameters.sampling_rate
        batch = poisson_batch(len(data.features), rate, streams.participants)  # (B,), possibly empty
        generated, generated_arms = self._generate(max(1, round(self._expected_batch)), streams)
        rows = torch.cat([data.features[batch], generated])  # (B + G, F)
        arms = torch.cat([data.arms[batch], generated_arms])
        targets = torch.zeros(len(rows), device=rows.device)
        targets[: len(batch)] = 1 - self._hyperparameters.label_smoothing

        chunks = list(zip(rows.split(CHUNK_ROWS), arms.split(CHUNK_ROWS), targets.split(CHUNK_ROWS), strict=True))
        for number, (chunk_rows, chunk_arms, chunk_targets) in enumerate(chunks, start=1):
            losses = ac_gan_losses(self._discriminator(chunk_rows), chunk_arms, chunk_targets)
            losses.sum().backward()
            self._drop_endless_gradients()
            self._discriminator_optimizer.signal_skip_step(do_skip=number < len(chunks))
            self._discriminator_optimizer.step()  # clips; after the last chunk adds noise once and moves
            self._discriminator_optimizer.zero_grad(set_to_none=True)

    def _drop_endless_gradients(self) -> None:
        """Set what is infinite or no number to 0: no clip factor could bound it, and NaN would tell who caused it."""
        for parameter in self._discriminator.parameters():
            parameter.grad_sample.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)

    def _generator_step(self, streams: RandomStreams) -> None:
        """One step of the generator against the discriminator; reads no participant."""
        self._discriminator.disable_hooks()
        latent, arms = self._draw(2 * max(1, round(self._expected_batch)), streams)
        logits = self._discriminator(self._generator(latent, arms))
        loss = ac_gan_losses(logits, arms, torch.ones(len(arms), device=logits.device)).mean()
        gradients = torch.autograd.grad(loss, list(self._generator.parameters()))
        for parameter, gradient in zip(self._generator.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self._generator_optimizer.step()
        self._average.update(self._generator)
        self._discriminator.enable_hooks()

    def _draw(self, count: int, streams: RandomStreams) -> tuple[Tensor, Tensor]:
        return draw_inputs(count, self._hyperparameters.latent_size, self._public.arm_shares, streams.inputs)

    @torch.no_grad()
    def _generate(self, count: int, streams: RandomStreams) -> tuple[Tensor, Tensor]:
        latent, arms = self._draw(count, streams)
        return self._generator(latent, arms), arms

    def generator(self) -> nn.Module:
        """The generator to release: its running average, which reads no participant."""
        return self._average.module

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on training later: weights, optimizer moments and the step count."""
        return {
            "steps": self._steps,
            "generator": self._generator.state_dict(),
            "average": self._average.state_dict(),
            "discriminator": self._discriminator.state_dict(),
            "generator_optimizer": self._generator_optimizer.state_dict(),
            "discriminator_optimizer": self._discriminator_optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self._steps = state["steps"]
        self._generator.load_state_dict(state["generator"])
        self._average.load_state_dict(state["average"])
        self._discriminator.load_state_dict(state["discriminator"])
        self._generator_optimizer.load_state_dict(state["generator_optimizer"])
        self._discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
