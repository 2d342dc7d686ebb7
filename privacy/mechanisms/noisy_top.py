"""Which of many numbers are the largest, as far as noise lets one say, and what that costs.

Noise is drawn by opendp, whose comparison of noisy numbers is exact; see ``privacy.mechanisms.gaussian``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import dp_accounting
import numpy as np
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_noisy_top_k
from opendp.measures import zero_concentrated_divergence
from opendp.metrics import linf_distance
from opendp.mod import Measurement

from privacy.mechanisms.gaussian import ROUNDING_UP, require_positive


@dataclass(frozen=True)
class NoisyTop:
    """The places of the largest of several whole numbers: the exponential mechanism, without replacement.

    Guarantee: ``event``, that is rho-zCDP with ``rho = count / (2 scale^2)``, for any function of participants each of
    whose values moves by at most 1 when one participant is added or removed.

    Args:
        count: how many places are told.
        scale: of the Gumbel noise on each number.

    Raises:
        ValueError: when a field is no usable number.

    Source: Cesar & Rogers, "Bounding, Concentrating, and Truncating: Unifying Privacy Loss Composition for Data
    Analytics", 2021, for the exponential mechanism in zCDP; Durfee & Rogers, "Practical Differentially Private Top-k
    Selection with Pay-what-you-get Composition", 2019, for drawing all noise at once.
    """

    count: int
    scale: float

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"the {self.count} largest were asked for; there must be at least one")
        require_positive("scale", self.scale)
        require_positive("rho", self.event.rho)

    @classmethod
    def costing(cls, rho: float, count: int) -> NoisyTop:
        """The least noise whose charge is at most ``rho``."""
        return cls(count, math.sqrt(count / (2 * require_positive("rho", rho))) * ROUNDING_UP)

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return dp_accounting.ZCDpEvent(_measurement(self.count, self.scale).map(1))

    def release(self, numbers: np.ndarray) -> np.ndarray:
        """Choose.

        Args:
            numbers: whole numbers (K,), K at least ``count``. Sensitive.

        Returns:
            Places of ``count`` of them, the likeliest to be largest first: protected at the price of ``event``.

        Raises:
            ValueError: when there are too few, or they are not whole numbers.
        """
        if numbers.ndim != 1 or len(numbers) < self.count or not np.issubdtype(numbers.dtype, np.integer):
            raise ValueError(f"{self.count} of at least as many whole numbers are chosen; nothing was released")
        return np.array(_measurement(self.count, self.scale)(numbers.tolist()))


@lru_cache(maxsize=64)
def _measurement(count: int, scale: float) -> Measurement:
    space = vector_domain(atom_domain(T="i64")), linf_distance(T="i64")
    return make_noisy_top_k(*space, zero_concentrated_divergence(), k=count, scale=scale)
