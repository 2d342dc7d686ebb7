"""Adam for many trials, each with its own learning rate, first-moment decay and step count."""

from __future__ import annotations

import torch
from torch import Tensor

BETA2 = 0.999
EPSILON = 1e-8


def adam_step(
    weights: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    counts: Tensor,
    learning_rates: Tensor,
    beta1: Tensor,
) -> None:
    """One step, in place.

    Args:
        weights, gradient: (K, P).
        first, second: running moments (K, P).
        counts: steps taken, this one included (K, 1), float64.
        learning_rates, beta1: of each trial (K, 1), float64.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
    """
    if weights.device.type == "cpu":
        _trial_by_trial(weights, gradient, first, second, counts, learning_rates, beta1)
        return
    second_bias = (1 - BETA2**counts).sqrt()
    step = (-learning_rates / (1 - beta1**counts) * second_bias).to(weights.dtype)
    epsilon, fresh = (EPSILON * second_bias).to(weights.dtype), (1 - beta1).to(weights.dtype)
    first.lerp_(gradient, fresh)
    second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    weights.addcmul_(first / second.sqrt().add_(epsilon), step)


def _trial_by_trial(
    weights: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    counts: Tensor,
    learning_rates: Tensor,
    beta1: Tensor,
) -> None:
    """The step that PyTorch's own Adam takes where it is fused: once through memory, not seven times."""
    rows = zip(weights, gradient, first, second, counts.float(), strict=True)
    settings = zip(learning_rates.flatten().tolist(), beta1.flatten().tolist(), strict=True)
    for (w, g, m, v, count), (learning_rate, decay) in zip(rows, settings, strict=True):
        torch._fused_adam_(
            [w], [g], [m], [v], [], [count.squeeze(0)],
            lr=learning_rate, beta1=decay, beta2=BETA2, eps=EPSILON, weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip
