"""The reference engine: DP-SGD by Opacus, one trial at a time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from privacy.mechanisms.dpsgd import DPSGD
from privacy.mechanisms.gradient_noise import hide_sum
from privacy.mechanisms.poisson_sampling import poisson_batch
from privacy.mechanisms.standard_normal import StandardNormals
from trainables.gan.averaging import GeneratorAverage
from trainables.gan.engine import PaidTraining, PublicFigures, RandomStreams, TrainingData, draw_inputs
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.losses import Losses
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
        logits: discriminator output (B, 1 + k).
        arms: true arm of each row (B,).
        real_targets: 1 for real, 0 for generated, or smoothed (B,).

    Returns:
        (B,) losses, not reduced: per-participant clipping needs them apart.

    Source: Odena, Olah & Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2017, eq. 2-3.
    """
    source = binary_cross_entropy_with_logits(logits[:, 0], real_targets, reduction="none")
    arm = cross_entropy(logits[:, 1:], arms, reduction="none")
    return source + arm


class SafeDPOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus has no types
    """Opacus's optimizer with noise that hides the low bits of the sum, too; see ``gradient_noise``.

    Opacus draws from PyTorch's float32 normal numbers, whose grid can be told from a checkpoint.
    """

    mechanism: DPSGD
    noise_sd: float
    normals: StandardNormals

    def take_up(self, paid: PaidTraining, expected_batch: float) -> None:
        """Go by what was paid for: its noise, clip norm and rate, for the steps that follow."""
        self.mechanism, self.normals = paid.mechanism, StandardNormals(paid.streams.noise)
        self.noise_sd = paid.mechanism.noise_sd(expected_batch)
        self.max_grad_norm = paid.mechanism.clip_norm if paid.mechanism.noisy else NO_CLIPPING
        self.expected_batch_size = expected_batch

    def clip_and_accumulate(self) -> None:
        """Clip; a participant with anything infinite or no number in their gradient adds nothing.

        No clip factor could bound it, and NaN would tell who caused it.
        """
        samples = [parameter.grad_sample for parameter in self.params]
        finite = torch.stack([each.flatten(1).isfinite().all(dim=1) for each in samples]).all(dim=0)  # (B,)
        for each in samples:
            each[~finite] = 0.0
        super().clip_and_accumulate()

    def add_noise(self) -> None:
        """Hide the sum behind one draw of noise for all parameters."""
        total = torch.cat([parameter.summed_grad.flatten() for parameter in self.params])
        if self.mechanism.noisy:
            hide_sum(total, self.noise_sd, self.normals.draw(len(total)))
        for parameter, part in zip(self.params, total.split([each.numel() for each in self.params]), strict=True):
            parameter.grad = part.view_as(parameter).clone()


class OpacusEngine:
    """Trains one AC-GAN with DP-SGD on the discriminator.

    A discriminator step is differentially private in the real participants under add-or-remove adjacency: one
    participant moves the clipped sum by at most C, noise has standard deviation sigma x C, batches are Poisson,
    and the normaliser is public. Generated participants are a function of earlier outputs and fresh random
    numbers, so their gradient, clipped alike to keep the two sides in balance, costs nothing; and the generator
    only ever sees the discriminator.

    Args:
        settings: the trial's configuration.
        public: constants of the schema.
        device: where the arithmetic happens.

    Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1.
    """

    def __init__(self, settings: GANSettings, public: PublicFigures, device: torch.device) -> None:
        self._settings, self._public = settings, public
        self._steps, self._watched, self.losses = 0, False, Losses()
        generator, discriminator = build_networks(settings, public.features, public.arms, public.grid)
        self._generator = generator.to(device)
        self._average = GeneratorAverage(self._generator, settings.generator_averaging)
        self._discriminator = GradSampleModule(discriminator.to(device), loss_reduction="sum")
        betas = (settings.adam_beta1, 0.999)
        self._generator_optimizer = torch.optim.Adam(
            self._generator.parameters(), lr=settings.generator_learning_rate, betas=betas
        )
        self._discriminator_optimizer = SafeDPOptimizer(
            torch.optim.Adam(self._discriminator.parameters(), lr=settings.discriminator_learning_rate, betas=betas),
            noise_multiplier=0.0,  # as everything else that is paid for, taken from ``train``'s argument
            max_grad_norm=NO_CLIPPING,
            expected_batch_size=1,
            loss_reduction="mean",
        )

    def train(self, paid: PaidTraining) -> None:
        """Take the discriminator steps that were paid for, with a generator step after every few."""
        expected_batch = self._public.expected_batch(paid.mechanism)
        self._discriminator_optimizer.take_up(paid, expected_batch)
        self._watched, self.losses = paid.watched, Losses()
        generated = max(1, round(expected_batch))
        for _ in range(paid.mechanism.steps):
            batch = poisson_batch(len(paid.data.features), paid.mechanism.sampling_rate, paid.streams.participants)
            self._discriminator_step(paid.data, batch, generated, paid.streams)
            self._steps += 1
            if self._steps % self._settings.discriminator_steps == 0:
                self._generator_step(2 * generated, paid.streams)

    def _discriminator_step(
        self, data: TrainingData, sampled: np.ndarray, generated: int, streams: RandomStreams
    ) -> None:
        """One noisy step: real participants by Poisson coins, about as many generated, clipped sum plus noise."""
        batch = torch.from_numpy(sampled).to(data.arms.device)  # (B,), possibly empty
        synthetic, synthetic_arms = self._generate(generated, streams)
        rows = torch.cat([data.features[batch], synthetic])  # (B + G, F)
        arms = torch.cat([data.arms[batch], synthetic_arms])
        targets = torch.zeros(len(rows), device=rows.device)
        targets[: len(batch)] = 1 - self._settings.label_smoothing

        total = torch.zeros((), device=rows.device)
        chunks = list(zip(rows.split(CHUNK_ROWS), arms.split(CHUNK_ROWS), targets.split(CHUNK_ROWS), strict=True))
        for number, (chunk_rows, chunk_arms, chunk_targets) in enumerate(chunks, start=1):
            losses = ac_gan_losses(self._discriminator(chunk_rows), chunk_arms, chunk_targets)
            losses.sum().backward()
            total += losses.detach().sum()
            self._discriminator_optimizer.signal_skip_step(do_skip=number < len(chunks))
            self._discriminator_optimizer.step()  # clips; after the last chunk adds noise once and moves
            self._discriminator_optimizer.zero_grad(set_to_none=True)
        if self._watched:
            self.losses += Losses(discriminator=float(total) / len(rows), discriminator_steps=1)

    def _generator_step(self, participants: int, streams: RandomStreams) -> None:
        """One step of the generator against the discriminator; reads no participant."""
        self._discriminator.disable_hooks()
        latent, arms = self._draw(participants, streams)
        logits = self._discriminator(self._generator(latent, arms))
        loss = ac_gan_losses(logits, arms, torch.ones(len(arms), device=logits.device)).mean()
        gradients = torch.autograd.grad(loss, list(self._generator.parameters()))
        for parameter, gradient in zip(self._generator.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self._generator_optimizer.step()
        self._average.update(self._generator)
        if self._watched:
            self.losses += Losses(generator=float(loss.detach()), generator_steps=1)
        self._discriminator.enable_hooks()

    def _draw(self, count: int, streams: RandomStreams) -> tuple[Tensor, Tensor]:
        return draw_inputs(count, self._settings.latent_size, self._public.arm_shares, streams.inputs)

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
