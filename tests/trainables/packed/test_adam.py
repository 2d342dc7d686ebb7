"""Adam is one step, whichever way a device takes it: that of PyTorch, for each trial with its own settings."""

from __future__ import annotations

import pytest
import torch

from trainables.gan.packed.adam import BETA2, EPSILON, all_at_once, trial_by_trial
from trainables.gan.packed.layout import Layout
from trainables.gan.packed.stack import NetworkState, Stack

RATES, DECAYS = (1e-3, 2e-2, 1e-5), (0.0, 0.5, 0.9)


@pytest.mark.parametrize("step", [all_at_once, trial_by_trial])
def test_both_ways_are_that_of_pytorch(step):
    stream = torch.Generator().manual_seed(0)
    modules = [torch.nn.Linear(7, 5) for _ in RATES]
    rows = [
        Stack.of(NetworkState.fresh(module), Layout(module), 0, torch.device("cpu")).learning_at(rate, decay)
        for module, rate, decay in zip(modules, RATES, DECAYS, strict=True)
    ]
    stack = Stack.joined(rows)
    reference = [weights.clone().requires_grad_() for weights in stack.weights]
    optimizers = [
        torch.optim.Adam([weights], lr=rate, betas=(decay, BETA2), eps=EPSILON)
        for weights, rate, decay in zip(reference, RATES, DECAYS, strict=True)
    ]
    for _ in range(5):
        stack.gradient.normal_(generator=stream)
        stack.steps += 1
        step(stack)
        for weights, along, optimizer in zip(reference, stack.gradient, optimizers, strict=True):
            weights.grad = along
            optimizer.step()
    torch.testing.assert_close(stack.weights, torch.stack([each.detach() for each in reference]), rtol=1e-5, atol=1e-7)
