"""Poisson sampling of participants, the sampling that the accounting assumes."""

from __future__ import annotations

import torch


def poisson_batch(participants: int, sampling_rate: float, randomness: torch.Generator) -> torch.Tensor:
    """Each participant joins the batch by a coin of its own, so the batch may be empty or long.

    Coins are drawn in float64: in float32 a sampling rate of 1/6000 would be off by up to 0.04 %.

    Args:
        participants: how many there are to choose from. Sensitive: it is the true size of the split.
        sampling_rate: probability ``q`` of each coin.
        randomness: stream the coins come from; seeded by the operating system for private cohorts.

    Returns:
        int64 row indices (B,), B between 0 and ``participants``.
    """
    coins = torch.rand(participants, dtype=torch.float64, device=randomness.device, generator=randomness)
    return torch.nonzero(coins < sampling_rate).squeeze(1)


def poisson_batches(
    participants: int, sampling_rate: float, steps: int, randomness: torch.Generator
) -> tuple[torch.Tensor, list[int]]:
    """The batches of several steps, drawn together; each is what ``poisson_batch`` draws.

    Args:
        participants, sampling_rate, randomness: as above.
        steps: how many batches.

    Returns:
        Row indices of all batches one after another, int64, and how many belong to each. Both sensitive.
    """
    coins = torch.rand(steps, participants, dtype=torch.float64, device=randomness.device, generator=randomness)
    step, chosen = torch.nonzero(coins < sampling_rate).unbind(1)
    return chosen, torch.bincount(step, minlength=steps).tolist()
