"""Adam for many trials, each with its own learning rate, first-moment decay and step count."""

from __future__ import annotations

from torch import Tensor

BETA2 = 0.999
EPSILON = 1e-8
# Numbers worked on at once, few enough to stay in a core's cache from one operation to the next.
CACHED = 2**19


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
    second_bias = (1 - BETA2**counts).sqrt()
    step = (-learning_rates / (1 - beta1**counts) * second_bias).to(weights.dtype)
    epsilon, fresh = (EPSILON * second_bias).to(weights.dtype), (1 - beta1).to(weights.dtype)
    columns = max(1, CACHED // max(1, len(weights)))
    for w, g, m, v in zip(*(each.split(columns, dim=1) for each in (weights, gradient, first, second)), strict=True):
        m.lerp_(g, fresh)
        v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        w.addcmul_(m / v.sqrt().add_(epsilon), step)
