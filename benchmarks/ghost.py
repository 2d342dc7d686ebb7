"""Opacus with ghost clipping: its fast engine, as a side of the benches."""

from __future__ import annotations

import torch
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

from privacy.mechanisms.poisson_sampling import poisson_batch
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.opacus_engine import OpacusEngine, ac_gan_losses


class GhostEngine(OpacusEngine):
    """``OpacusEngine`` whose discriminator step clips by ghost norms and a second backward pass."""

    def __init__(self, hyperparameters: Hyperparameters, public: PublicFigures, device: torch.device) -> None:
        super().__init__(hyperparameters, public, device)
        self._discriminator = GradSampleModuleFastGradientClipping(
            self._discriminator.to_standard_module(),
            loss_reduction="sum",
            max_grad_norm=hyperparameters.clip_norm,
            use_ghost_clipping=True,
        )
        self._discriminator_optimizer = DPOptimizerFastGradientClipping(
            self._discriminator_optimizer.original_optimizer,
            noise_multiplier=hyperparameters.noise_multiplier,
            max_grad_norm=hyperparameters.clip_norm,
            expected_batch_size=self._expected_batch,
            loss_reduction="mean",
        )

    def _discriminator_step(self, data: TrainingData, streams: RandomStreams) -> None:
        batch = poisson_batch(len(data.features), self._hyperparameters.sampling_rate, streams.participants)
        generated, generated_arms = self._generate(max(1, round(self._expected_batch)), streams)
        rows = torch.cat([data.features[batch], generated])
        arms = torch.cat([data.arms[batch], generated_arms])
        targets = torch.zeros(len(rows))
        targets[: len(batch)] = 1 - self._hyperparameters.label_smoothing
        losses = ac_gan_losses(self._discriminator(rows), arms, targets)
        DPTensorFastGradientClipping(
            self._discriminator, self._discriminator_optimizer, losses, loss_reduction="sum"
        ).backward()
        self._discriminator_optimizer.step()
        self._discriminator_optimizer.zero_grad(set_to_none=True)
