"""A generator averaged over its last steps: calmer than the one in training, at no cost in privacy."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn


class GeneratorAverage:
    """Exponential moving average of a generator's weights.

    The two networks of a GAN circle around each other, and noise makes the circles wider; the average lies nearer
    their middle. It is computed from the generator alone, so it is post-processing.

    Args:
        generator: the generator in training.
        decay: weight of the past at each step, in [0, 1); 0 keeps the last weights only. Early on less of the past
            is kept, because the first weights are random.

    Source: Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", ICLR 2019, eq. 2.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        self.module = deepcopy(generator)
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self, generator: nn.Module) -> None:
        """Take in the weights after one generator step."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 9))
        for average, weights in zip(self.module.parameters(), generator.parameters(), strict=True):
            average.lerp_(weights, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Weights and step count."""
        return {"steps": self._steps, "weights": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self._steps = state["steps"]
        self.module.load_state_dict(state["weights"])
