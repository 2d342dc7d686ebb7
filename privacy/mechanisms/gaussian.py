"""The one door to Gaussian noise: numbers in a public range go in, noisy numbers come out, and the price is stated.

Noise is drawn by opendp, whose sampler is exact on floating-point numbers (the naive one leaks through their low
bits: Mironov, "On Significance of the Least Significant Bits", 2012) and is seeded by the operating system alone.
opendp takes NaN, infinity and vectors of the wrong length without complaint, so they are stopped here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import dp_accounting
import numpy as np
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian
from opendp.metrics import l2_distance
from opendp.mod import Measurement, enable_features

# The one feature that opendp's mechanisms need; neither "floating-point" nor "honest-but-curious" is ever enabled.
enable_features("contrib")

# Raises a scale computed from rho by a hair, so that rounding cannot make the charge exceed the rho asked for.
ROUNDING_UP = 1 + 2.0**-40


@dataclass(frozen=True)
class GaussianNoise:
    """Gaussian noise on a vector of statistics. Every field is public; the vector is given to ``release``.

    Guarantee: ``event``, that is rho-zCDP with ``rho = sensitivity^2 / (2 scale^2)``, for any function of participants
    whose value moves by at most ``sensitivity`` in 2-norm when one participant is added or removed. Clamping
    coordinate by coordinate brings no two vectors further apart, so it leaves the sensitivity as it is.

    Args:
        size: K, how many numbers the vector has.
        lower: least value of each, in its own unit.
        upper: greatest value of each.
        sensitivity: largest 2-norm of the change that one participant makes.
        scale: standard deviation of the noise on each number, in its own unit.

    Raises:
        ValueError: when a field is no usable number.

    Source: Bun & Steinke, "Concentrated Differential Privacy", 2016, proposition 6; Canonne, Kamath & Steinke, "The
    Discrete Gaussian for Differential Privacy", 2020, for the sampler.
    """

    size: int
    lower: float
    upper: float
    sensitivity: float
    scale: float

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"noise for {self.size} numbers was asked for; there must be at least one")
        require_range(self.lower, self.upper)
        require_positive("sensitivity", self.sensitivity)
        require_positive("scale", self.scale)
        require_positive("rho", self.event.rho)

    @classmethod
    def costing(cls, rho: float, *, size: int, lower: float, upper: float, sensitivity: float) -> GaussianNoise:
        """The least noise whose charge is at most ``rho``; the other arguments are the fields of the same name."""
        return cls(size, lower, upper, sensitivity, scale_for(rho, sensitivity))

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return dp_accounting.ZCDpEvent(_measurement(self.size, self.scale).map(self.sensitivity))

    def release(self, values: np.ndarray) -> np.ndarray:
        """Add noise.

        Args:
            values: float (K,), the statistics. Sensitive. Values beyond the range are moved to its nearest limit.

        Returns:
            float64 (K,), noisy: protected at the price of ``event``. It may lie outside the range.

        Raises:
            ValueError: when the length differs from ``size``, or a value is NaN or infinite. A statistic that can be
                either has no sensitivity: map participants' own NaN to a constant before computing it.
        """
        clamped = clamp_statistics(values, self.size, self.lower, self.upper)
        noisy = _measurement(self.size, self.scale)(clamped.tolist())
        return np.array(noisy, dtype=np.float64)


@lru_cache(maxsize=64)  # to make one takes longer than to use it
def _measurement(size: int, scale: float) -> Measurement:
    domain = vector_domain(atom_domain(T=float, nan=False), size=size)
    return make_gaussian(domain, l2_distance(T=float), scale=scale)


def scale_for(rho: float, sensitivity: float) -> float:
    """The noise scale at which a change of ``sensitivity`` costs ``rho``: ``sensitivity / sqrt(2 rho)``, rounded up."""
    return require_positive("sensitivity", sensitivity) / math.sqrt(2 * require_positive("rho", rho)) * ROUNDING_UP


def require_positive(what: str, number: float) -> float:
    """The number itself, if it is finite and above 0; ValueError otherwise."""
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{what} is {number}; it must be a finite number above 0")
    return number


def require_range(lower: float, upper: float) -> None:
    """Raise ValueError unless both limits are finite and ``lower`` is the smaller."""
    if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
        raise ValueError(f"the range {lower} to {upper} is not valid; give finite limits, lower first")


def clamp_statistics(values: np.ndarray, size: int, lower: float, upper: float) -> np.ndarray:
    """Statistics as opendp must get them: the planned number, all finite, each moved into its range.

    Raises:
        ValueError: in words that disclose no statistic.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (size,):
        raise ValueError(f"{size} statistics were planned; these have the shape {values.shape}; nothing was released")
    if not np.isfinite(values).all():
        raise ValueError("a statistic is NaN or infinite; nothing was released")
    clamped: np.ndarray = np.clip(values, lower, upper)
    return clamped
