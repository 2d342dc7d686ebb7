"""Noisy counts: how many participants fall in each of several groups that do not overlap."""

from __future__ import annotations

from dataclasses import dataclass

import dp_accounting
import numpy as np

from privacy.noise import GaussianNoise, require_positive, scale_for

SENSITIVITY = 1.0
"""One participant is in one group, or in none: a histogram changes by 1 in one place, so by 1 in 2-norm."""


@dataclass(frozen=True)
class NoisyCounts:
    """A histogram of participants. Every field is public.

    Guarantee: ``event``, that is rho-zCDP with ``rho = 1 / (2 noise_sd^2)``.

    Args:
        groups: K, how many there are; their names are public, not found in the data.
        largest: no count is said to be above this; public, such as twice the nominal size.
        noise_sd: standard deviation of the noise on each count, in participants.
    """

    groups: int
    largest: int
    noise_sd: float

    def __post_init__(self) -> None:
        if self.groups < 1 or self.largest < 1:
            raise ValueError(f"{self.groups} groups of at most {self.largest} participants; both must be at least 1")
        require_positive("the standard deviation of the noise", self.noise_sd)

    @classmethod
    def costing(cls, groups: int, largest: int, rho: float) -> NoisyCounts:
        """The least noise whose charge is at most ``rho``."""
        return cls(groups, largest, scale_for(rho, SENSITIVITY))

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return self._noise.event

    def release(self, group_of: np.ndarray) -> np.ndarray:
        """Count participants, with noise.

        Args:
            group_of: int (n,), each participant's group. Sensitive. Whoever is in none of 0..K-1 is not counted.

        Returns:
            int64 (K,), noisy counts in 0..largest: protected at the price of ``event``.

        Raises:
            ValueError: when ``group_of`` is no vector of integers.
        """
        group_of = np.asarray(group_of)
        if group_of.ndim != 1 or not np.issubdtype(group_of.dtype, np.integer):
            raise ValueError("groups must be one integer for each participant; nothing was counted")
        counts = (group_of[:, None] == np.arange(self.groups)).sum(axis=0)  # (K,)
        noisy = self._noise.release(counts)
        return np.rint(noisy.clip(0, self.largest)).astype(np.int64)

    @property
    def _noise(self) -> GaussianNoise:
        return GaussianNoise(self.groups, 0.0, float(self.largest), SENSITIVITY, self.noise_sd)
