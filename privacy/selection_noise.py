"""Report noisy max: the index of the best candidate and nothing else, for a selection that is paid for by itself.

Choosing the best of scores that were already released with noise is post-processing and costs nothing more; this is
for choosing by statistics that are not released.
"""

from __future__ import annotations

from dataclasses import dataclass

import dp_accounting
import numpy as np
import opendp.prelude as dp

from privacy.noise import clamp_statistics, require_positive, require_range, scale_for

dp.enable_features("contrib")


@dataclass(frozen=True)
class NoisyMax:
    """The candidate whose statistic is largest after noise. Every field is public; statistics go to ``release``.

    Guarantee: ``event``, rho-zCDP with ``rho = sensitivity^2 / (2 scale^2)``, however many candidates there are. Gumbel
    noise of a scale makes the choice an exponential mechanism: candidate i has probability proportional to
    ``exp(statistic_i / scale)``. When one participant moves every statistic by at most ``sensitivity``, the logarithm
    of every probability stays within a range of width ``eta = 2 sensitivity / scale``, and such a mechanism is
    ``eta^2 / 8``-zCDP.

    Args:
        candidates: K, how many there are.
        lower: least value of a statistic.
        upper: greatest value.
        sensitivity: the most that one participant, added or removed, changes any one of the K statistics.
        scale: of the Gumbel noise, in the unit of the statistics.

    Source: Durfee & Rogers, "Practical Differentially Private Top-k Selection with Pay-what-you-get Composition", 2019;
    Cesar & Rogers, "Bounding, Concentrating, and Truncating", 2021, for the price in zCDP.
    """

    candidates: int
    lower: float
    upper: float
    sensitivity: float
    scale: float

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ValueError(f"a choice among {self.candidates} candidates was asked for; there must be at least one")
        require_range(self.lower, self.upper)
        require_positive("sensitivity", self.sensitivity)
        require_positive("scale", self.scale)
        require_positive("rho", self.event.rho)

    @classmethod
    def costing(cls, rho: float, *, candidates: int, lower: float, upper: float, sensitivity: float) -> NoisyMax:
        """The least noise whose charge is at most ``rho``; the other arguments are the fields of the same name."""
        return cls(candidates, lower, upper, sensitivity, scale_for(rho, sensitivity))

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return dp_accounting.ZCDpEvent(self._measurement.map(self.sensitivity))

    def release(self, statistics: np.ndarray) -> int:
        """Choose.

        Args:
            statistics: float (K,), one per candidate. Sensitive. Values beyond the range move to its nearest limit.

        Returns:
            The chosen index, in 0..K-1: protected at the price of ``event``.

        Raises:
            ValueError: when their number differs from ``candidates``, or one is NaN or infinite.
        """
        clamped = clamp_statistics(statistics, self.candidates, self.lower, self.upper)
        return int(self._measurement(clamped.tolist()))

    @property
    def _measurement(self) -> dp.Measurement:
        domain = dp.vector_domain(dp.atom_domain(T=float, nan=False))
        metric = dp.linf_distance(T=float)
        return dp.m.make_noisy_max(domain, metric, dp.zero_concentrated_divergence(), scale=self.scale)
