"""Opacus with ghost clipping: its fast engine, with its own noise, as a side of the benches."""

from __future__ import annotations

import numpy as np
import torch
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

from privacy.mechanisms.dpsgd import DPSGD
from trainables.gan.engine import PaidTraining, PublicFigures, RandomStreams, TrainingData
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.opacus_engine import OpacusEngine, ac_gan_losses


class GhostOptimizer(DPOptimizerFastGradientClipping):
    """Takes up what was paid for as ``OpacusEngine`` asks it to."""

    def take_up(self, paid: PaidTraining, expected_batch: float) -> None:
        mechanism: DPSGD = paid.mechanism
        self.noise_multiplier, self.max_grad_norm = mechanism.noise_multiplier, mechanism.clip_norm
        self.expected_batch_size = expected_batch


class GhostEngine(OpacusEngine):
    """``OpacusEngine`` whose discriminator step clips by ghost norms and a second backward pass."""

    def __init__(self, settings: GANSettings, public: PublicFigures, device: torch.device) -> None:
        super().__init__(settings, public, device)
        self._ghosts = GradSampleModuleFastGradientClipping(
            self._discriminator.to_standard_module(), loss_reduction="sum", max_grad_norm=1.0, use_ghost_clipping=True
        )
        self._discriminator = self._ghosts
        self._discriminator_optimizer = GhostOptimizer(
            self._discriminator_optimizer.original_optimizer,
            noise_multiplier=1.0,
            max_grad_norm=1.0,
            expected_batch_size=1,
            loss_reduction="mean",
        )

    def train(self, paid: PaidTraining) -> None:
        self._ghosts.max_grad_norm = paid.mechanism.clip_norm
        super().train(paid)

    def _discriminator_step(
        self, data: TrainingData, sampled: np.ndarray, generated: int, streams: RandomStreams
    ) -> None:
        batch = torch.from_numpy(sampled)
        synthetic, synthetic_arms = self._generate(generated, streams)
        rows = torch.cat([data.features[batch], synthetic])
        arms = torch.cat([data.arms[batch], synthetic_arms])
        targets = torch.zeros(len(rows))
        targets[: len(batch)] = 1 - self._settings.label_smoothing
        losses = ac_gan_losses(self._discriminator(rows), arms, targets)
        DPTensorFastGradientClipping(
            self._discriminator, self._discriminator_optimizer, losses, loss_reduction="sum"
        ).backward()
        self._discriminator_optimizer.step()
        self._discriminator_optimizer.zero_grad(set_to_none=True)
