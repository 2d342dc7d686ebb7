"""DP-SGD: what is charged for, and what a step must therefore do."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import dp_accounting

from privacy.mechanisms.mechanism import Kind

SMALLEST_NOISE = 0.01
"""Noise below this protects nobody, and far below it the accountant's arithmetic gives epsilon 0: it counts as none."""

SUM_MARGIN = 2.0**-10
MARGIN_OF_EACH = 2.0**-21
"""Noise is larger than charged by the former share, or by the latter for each participant whom a batch is expected to
hold where that is more: for what float32 adds to one participant's part of a sum.

Clip factors and sums of clipped gradients are rounded, so one participant, added or removed, moves a computed sum by a
little more than C: measured, by a share of 2 x 10^-4 with 5,000 participants in the batch who are much alike, of 0.002
with 50,000 and of 0.03 with 200,000, since what is rounded is as large as all of them together.
``tests/trainables/test_sum_margin.py`` holds both engines to this margin. Rounding errors that all went one way could
exceed it, as they could in every implementation in float32.
"""


def sum_margin(expected_batch: float) -> float:
    """By which share noise is larger than charged where a batch is expected to hold so many participants."""
    return max(SUM_MARGIN, MARGIN_OF_EACH * expected_batch)


@dataclass(frozen=True)
class DPSGD:
    """Noisy gradient steps on Poisson batches: the one place where rate, noise, clip norm and number are kept.

    Guarantee: ``event``. In every step each participant joins the batch by a coin of probability q, gradients are
        clipped to 2-norm C, and noise of standard deviation ``noise_sd`` is added to each number of their sum. Steps
        on an empty batch are steps. Under add-or-remove adjacency a sum moves by at most C.

    Args:
        sampling_rate: probability ``q`` in (0, 1] with which a participant joins a batch.
        noise_multiplier: standard deviation ``sigma`` of the noise in units of the clip norm; below ``SMALLEST_NOISE``
            it is charged as not private.
        steps: number of noisy gradient steps, empty batches included.
        clip_norm: C, the largest 2-norm of one participant's gradient. Without any noise nothing is clipped.

    Raises:
        ValueError: for numbers that the accountant would take and misjudge.

    Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1.

    Example:
        >>> mechanism = DPSGD(sampling_rate=0.05, noise_multiplier=1.2, steps=100, clip_norm=0.5)
        >>> mechanism.unit
        PoissonSampledDpEvent(sampling_probability=0.05, event=GaussianDpEvent(noise_multiplier=1.2))
        >>> round(mechanism.noise_sd(expected_batch=50), 2)
        0.6
        >>> DPSGD(sampling_rate=0.05, noise_multiplier=0.001, steps=100).event
        NonPrivateDpEvent()
        >>> DPSGD(sampling_rate=0.05, noise_multiplier=-1, steps=100)
        Traceback (most recent call last):
        ValueError: noise multiplier -1 is not a finite number of at least 0
    """

    sampling_rate: float
    noise_multiplier: float
    steps: int
    clip_norm: float = 1.0

    kind: ClassVar[Kind] = "training"

    def __post_init__(self) -> None:
        if not 0 < self.sampling_rate <= 1 or self.steps < 0:
            raise ValueError(f"sampling rate {self.sampling_rate!r} or steps {self.steps!r} cannot be accounted for")
        if not 0 <= self.noise_multiplier < math.inf:
            raise ValueError(f"noise multiplier {self.noise_multiplier!r} is not a finite number of at least 0")
        if not 0 < self.clip_norm < math.inf:
            raise ValueError(f"clip norm {self.clip_norm!r} is not a finite number above 0")

    @property
    def noisy(self) -> bool:
        """Whether there is any noise."""
        return self.noise_multiplier > 0

    @property
    def private(self) -> bool:
        """Whether there is enough of it for a guarantee."""
        return self.noise_multiplier >= SMALLEST_NOISE

    def noise_sd(self, expected_batch: float) -> float:
        """Standard deviation of the noise on each number of a sum of clipped gradients.

        Args:
            expected_batch: how many participants a batch is expected to hold, by public figures.
        """
        return self.noise_multiplier * self.clip_norm * (1 + sum_margin(expected_batch))

    @property
    def event(self) -> dp_accounting.DpEvent:
        """The charge of all steps."""
        if self.steps == 0:
            return dp_accounting.NoOpDpEvent()
        return dp_accounting.SelfComposedDpEvent(self.unit, self.steps) if self.private else self.unit

    @property
    def unit(self) -> dp_accounting.DpEvent:
        """The charge of one step."""
        if not self.private:
            return dp_accounting.NonPrivateDpEvent()
        return dp_accounting.PoissonSampledDpEvent(
            self.sampling_rate, dp_accounting.GaussianDpEvent(self.noise_multiplier)
        )

    @property
    def times(self) -> int:
        """How many steps."""
        return self.steps

    def of_steps(self, steps: int) -> DPSGD:
        """The same with another number of steps."""
        return replace(self, steps=steps)
