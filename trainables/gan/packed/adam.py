"""Adam for many trials, each with its own learning rate, first-moment decay and step count.

Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
"""

from __future__ import annotations

import torch

from trainables.gan.packed.stack import Stack

BETA2 = 0.999
EPSILON = 1e-8


def adam_step(stack: Stack) -> None:
    """Count and take one step of every trial along its gradient, in place, in the way that its device does best."""
    stack.steps += 1
    if stack.gradient.device.type == "cpu":
        trial_by_trial(stack)
    else:
        all_at_once(stack)


def all_at_once(stack: Stack) -> None:
    """A few operations on everything. The step is counted already."""
    gradient = stack.gradient
    second_bias = (1 - BETA2**stack.steps).sqrt()
    step = (-stack.learning_rates / (1 - stack.beta1**stack.steps) * second_bias).to(gradient.dtype)
    epsilon, fresh = (EPSILON * second_bias).to(gradient.dtype), (1 - stack.beta1).to(gradient.dtype)
    stack.first.lerp_(gradient, fresh)
    stack.second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    stack.weights.addcmul_(stack.first / stack.second.sqrt().add_(epsilon), step)


def trial_by_trial(stack: Stack) -> None:
    """The step that PyTorch's own Adam takes where it is fused: once through memory, not seven times.

    The step is counted already.
    """
    for row, count in zip(stack.by_trial, stack.steps.float().unbind(), strict=True):
        torch._fused_adam_(
            [row.weights], [row.gradient], [row.first], [row.second], [], [count.squeeze(0)],
            lr=row.learning_rate, beta1=row.beta1, beta2=BETA2, eps=EPSILON, weight_decay=0.0, amsgrad=False,
            maximize=False,
        )  # fmt: skip
