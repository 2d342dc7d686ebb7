"""Noise that comes out alike at every run of a test, so that a claim that held once does not fail for bad luck later.

The product draws its noise where nobody can draw it again: from the operating system (``os.urandom``, ``secrets``) and
from opendp, which takes no seed. In a test's own process both are replaced by generators that start from the test's
name; what Ray's workers and other commands draw stays fresh. Claims must hold for other noise too: ``make test-all``
draws it fresh (``FRESH_NOISE=yes``), and so do tests marked ``fresh_noise``, which are about the noise itself.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from privacy.mechanisms import gaussian, noisy_top


@contextmanager
def repeatable_noise(name: str) -> Iterator[None]:
    """Within, whatever this process draws follows from the name."""
    bits = random.Random(name)
    normal = np.random.default_rng(bits.getrandbits(64))
    random.seed(bits.getrandbits(64))
    np.random.seed(bits.getrandbits(32))
    torch.manual_seed(bits.getrandbits(63))
    opendps, opendps_top = gaussian._measurement, noisy_top._measurement

    def seeded(size: int, scale: float) -> Any:
        return _Seeded(opendps(size, scale).map, lambda values: list(np.add(values, normal.normal(0, scale, size))))

    def seeded_top(count: int, scale: float) -> Any:
        def largest(numbers: list[int]) -> list[int]:
            return list(np.argsort(-np.add(numbers, normal.gumbel(0, scale, len(numbers))))[:count])

        return _Seeded(opendps_top(count, scale).map, largest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", bits.randbytes)
        patch.setattr(random, "_urandom", bits.randbytes)  # of ``secrets`` and ``numpy.random.default_rng()``
        patch.setattr(gaussian, "_measurement", seeded)
        patch.setattr(noisy_top, "_measurement", seeded_top)
        yield


class _Seeded:
    """Charges like opendp's measurement."""

    def __init__(self, charge: Callable[[float], float], noisy: Callable[[list[float]], list[float]]) -> None:
        self.map, self._noisy = charge, noisy

    def __call__(self, values: list[float]) -> list[float]:
        return self._noisy(values)
