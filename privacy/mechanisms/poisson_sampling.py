"""Poisson sampling of participants, the sampling that the accounting assumes."""

from __future__ import annotations

import math

import numpy as np

from privacy.mechanisms.randomness import CryptographicStream


def poisson_batch(participants: int, sampling_rate: float, randomness: CryptographicStream) -> np.ndarray:
    """Each participant joins the batch by a coin of its own, so the batch may be empty or long.

    Args:
        participants: how many there are to choose from. Sensitive: it is the true size of the split.
        sampling_rate: probability ``q`` of each coin, in (0, 1].
        randomness: stream the coins come from.

    Returns:
        int64 row indices (B,), ascending, B between 0 and ``participants``. Sensitive.
    """
    return poisson_batches(participants, sampling_rate, 1, randomness)[0]


def poisson_batches(
    participants: int, sampling_rate: float, steps: int, randomness: CryptographicStream
) -> tuple[np.ndarray, list[int]]:
    """The batches of several steps, drawn together; each is what ``poisson_batch`` draws.

    Args:
        participants, sampling_rate, randomness: as above.
        steps: how many batches.

    Returns:
        Row indices of all batches one after another, int64, and how many belong to each. Both sensitive.
    """
    heads = _heads(steps * participants, sampling_rate, randomness)
    sizes = np.bincount(heads // max(1, participants), minlength=steps)
    return heads % max(1, participants), sizes.tolist()


def _heads(coins: int, probability: float, randomness: CryptographicStream) -> np.ndarray:
    """Which of so many coins, tossed one after another, show heads: int64, ascending.

    From one head to the next it is a geometric number of coins, so a coin that shows tails costs nothing.

    Source: Devroye, "Non-Uniform Random Variate Generation", 1986, chapter 10.2 (geometric numbers by inversion) and
    10.3 (waiting times of coin tosses).
    """
    if probability == 1:
        return np.arange(coins)
    expected = coins * probability
    at_once = math.ceil(expected + 6 * math.sqrt(expected)) + 8  # hardly ever too few
    found, last = [], -1.0
    while last < coins:
        gaps = np.ceil(np.log(randomness.uniforms(at_once)) / math.log1p(-probability))  # of geometric law, at least 1
        places = np.cumsum(gaps) + last
        found.append(places)
        last = float(places[-1])
    places = np.concatenate(found)
    return places[places < coins].astype(np.int64)
