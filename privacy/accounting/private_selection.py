"""The law of a secret number of runs, of which only the best is ever seen, and what that costs.

Each run is private by itself and draws its configuration afresh. Had there been a fixed number of runs, showing the
best of them would cost as much as showing all; with a random number that nobody learns it costs little more than one.

Source: Papernot & Steinke, "Hyperparameter Tuning with Renyi Differential Privacy", ICLR 2022, Theorem 2 and
Definition 1 (the truncated negative binomial law).
"""

from __future__ import annotations

import functools
import itertools
import math
import secrets
from collections.abc import Callable, Iterator

import dp_accounting
import numpy as np
from dp_accounting import dp_event
from dp_accounting.rdp import rdp_privacy_accountant
from pydantic import BaseModel, ConfigDict, Field

from privacy.accounting.calibration import Room, log_ratio, smallest_noise_multiplier
from privacy.accounting.rdp import rdp_curve
from privacy.mechanisms.dpsgd import DPSGD

SHAPES = (0.0, 0.5, 1.0)
"""Laws that are weighed: logarithmic, one between, geometric. A Poisson number may be 0, which releases nothing."""

BITS = 64


class LawOfRuns(BaseModel):
    """Truncated negative binomial law of the number of runs, 1 or more.

    Args:
        mean: expected number of runs.
        shape: eta; 0 is the logarithmic law, 1 the geometric one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float = Field(ge=1, allow_inf_nan=False)
    shape: float = Field(ge=0, allow_inf_nan=False)

    def event(self, run: dp_accounting.DpEvent) -> dp_event.RepeatAndSelectDpEvent:
        """What showing the best of the runs costs, when every run costs at most ``run`` at every order."""
        return dp_event.RepeatAndSelectDpEvent(run, self.mean, self.shape)

    def draw(self) -> int:
        """A number of runs from the operating system's randomness; once for a study, and for nobody to see."""
        return self._at((secrets.randbits(BITS) + 0.5) / 2**BITS)

    def quantile(self, probability: float) -> int:
        """The least number that is not passed with this probability."""
        return self._at(probability)

    def probabilities(self) -> Iterator[float]:
        """Of 1 run, of 2, and so on."""
        gamma = self._gamma
        if gamma >= 1:  # the mean is 1
            yield from itertools.chain([1.0], itertools.repeat(0.0))
        elif self.shape == 0:
            first = (1 - gamma) / math.log(1 / gamma)
        else:
            first = (1 - gamma) * self.shape / math.expm1(-self.shape * math.log(gamma))
        probability = first
        for number in itertools.count(1):
            yield probability
            probability *= (1 - gamma) * (number + self.shape) / (number + 1)

    def _at(self, probability: float) -> int:
        summed = 0.0
        for number, each in enumerate(self.probabilities(), start=1):
            summed += each
            if summed >= probability or each < 2.0**-1000:
                return number
        raise AssertionError("the law has no end")

    @functools.cached_property
    def _gamma(self) -> float:
        """The parameter that the accountant takes for this mean: its rounding must be ours, too."""
        return float(rdp_privacy_accountant._gamma_truncated_negative_binomial(self.shape, self.mean))


def cheapest_law(mean: float, cost: Callable[[LawOfRuns], float]) -> LawOfRuns:
    """Of the laws with a mean, the one under which something costs least, such as the noise that fits a budget."""
    return min((LawOfRuns(mean=mean, shape=shape) for shape in SHAPES), key=cost)


def room_under(by: dp_accounting.DpEvent) -> Room:
    """How often an event would cost as much as another is charged for, as a logarithm, at the order where it is least.

    Renyi divergence does not fall with the order, so the figure of a higher order holds for a lower one, too. It is
    needed close to order 1, where the accountant's figure for sampled steps does not fall below some 0.006 a mechanism,
    however large the noise.
    """
    allowed = rdp_curve(by)

    def room(event: dp_accounting.DpEvent) -> float:
        curve = np.minimum.accumulate(rdp_curve(event)[::-1])[::-1]
        return float(log_ratio(allowed, curve).min())

    return room


def dominated(event: dp_accounting.DpEvent, by: dp_accounting.DpEvent) -> bool:
    """Whether an event costs at most as much as another is charged for, at every order."""
    return room_under(by)(event) >= 0


def dominated_noise(run: DPSGD, sampling_rate: float, steps: int) -> float:
    """The least noise multiplier at which so many steps at a sampling rate cost at most ``run`` at every order.

    Runs of a selection draw their configurations, and one event has to stand for them all.
    """
    return smallest_noise_multiplier(sampling_rate, steps, room_under(run.event))
