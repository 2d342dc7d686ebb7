"""What an attack proves: counts of right and wrong guesses go in, a lower bound on epsilon comes out.

A guarantee is an upper bound on what an attacker can tell. An attack that succeeds too often refutes it, so a bound
from here that lies above the stated epsilon means that the code does not do what is charged. Nothing here runs the
code that is audited or reads a participant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import dp_accounting
import numpy as np
from dp_accounting.pld import privacy_loss_distribution
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom, binomtest, chi2, norm

SIGNIFICANCE = 0.05
"""A bound is false with at most this probability: it holds at 95 %."""

SCALE_SIGNIFICANCE = 0.001
"""Unbroken noise fails the test of its scale with this probability."""

SUREST = 1 - 1e-12
"""A sampled canary is never taken to be seen more surely than this: more hits than q allows refute any finite mu."""

FINEST_GRID = 1e-4
"""Steps of the privacy loss; a coarser grid only makes a lower bound smaller."""


@dataclass(frozen=True)
class Finding:
    """One line of the audit's table.

    Args:
        audited: what was attacked and how.
        stated: what the code claims.
        found: what the attack showed, as text that stands beside it.
        holds: whether the claim survived.
    """

    audited: str
    stated: str
    found: str
    holds: bool

    @classmethod
    def bound(cls, audited: str, stated: float, lower_bound: float) -> Finding:
        """A lower bound on epsilon beside the stated one."""
        return cls(audited, f"epsilon {stated:.2f}", f"at least {lower_bound:.2f}", lower_bound <= stated)


@dataclass(frozen=True)
class Hits:
    """How often an attacker said "was in", where the canary was in and where it was not.

    Args:
        with_canary: "in" among ``of_with`` observations of data with the canary.
        of_with: how many those were.
        without_canary: "in" among ``of_without`` observations of data without it.
        of_without: how many those were.
    """

    with_canary: int
    of_with: int
    without_canary: int
    of_without: int

    @classmethod
    def above(cls, threshold: float, with_canary: np.ndarray, without_canary: np.ndarray) -> Hits:
        """Guess "in" above a threshold that was chosen before anything was observed."""
        return cls(
            int((with_canary > threshold).sum()),
            with_canary.size,
            int((without_canary > threshold).sum()),
            without_canary.size,
        )

    def rates(self, significance: float) -> tuple[float, float]:
        """Least true positive rate and greatest false positive rate, both right with ``1 - significance``."""
        confidence = 1 - significance / 2
        hit = binomtest(self.with_canary, self.of_with, alternative="greater").proportion_ci(confidence, "exact")
        miss = binomtest(self.without_canary, self.of_without, alternative="less").proportion_ci(confidence, "exact")
        return float(hit.low), float(miss.high)


def gaussian_shift(hits: Hits, sampling_rate: float = 1.0, significance: float = SIGNIFICANCE) -> float:
    """The least shift mu, in standard deviations of the noise, at which a Gaussian mechanism is hit this often.

    With the canary sampled at rate q, an observation is N(mu, 1) with probability q and N(0, 1) otherwise, so no test
    with false positive rate f has a true positive rate above (1 - q) f + q Phi(Phi^-1(f) + mu).

    Args:
        hits: of one step each.
        sampling_rate: q; 1 where the canary is in every observation.
        significance: probability that the bound is too large.

    Returns:
        mu, 0 or more.

    Source: Nasr et al., "Tight Auditing of Differentially Private Machine Learning", USENIX Security 2023, section 4.
    """
    hit, miss = hits.rates(significance)
    sampled_hit = min((hit - (1 - sampling_rate) * miss) / sampling_rate, SUREST)
    if sampled_hit <= miss:
        return 0.0
    return float(norm.ppf(sampled_hit) - norm.ppf(miss))


def gaussian_epsilon(shift: float, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon of so many steps of a Poisson-sampled Gaussian mechanism, rounded down.

    Args:
        shift: mu = C / standard deviation of the noise.
        sampling_rate: q.
        steps: how many.
        delta: the delta of epsilon.

    Returns:
        A lower bound by dp_accounting's optimistic privacy loss distribution; the accountant of a statement rounds up.
    """
    if shift <= 0:
        return 0.0
    loss = privacy_loss_distribution.from_gaussian_mechanism(
        1 / shift,
        value_discretization_interval=FINEST_GRID * max(1.0, shift**2),
        sampling_prob=sampling_rate,
        pessimistic_estimate=False,
        use_connect_dots=False,
    )
    return max(0.0, float(loss.self_compose(steps).get_epsilon_for_delta(delta)))


def epsilon_by_events(hits: Iterable[Hits], delta: float, significance: float = SIGNIFICANCE) -> float:
    """Lower bound on epsilon of a Gaussian mechanism from several events that were fixed beforehand.

    Args:
        hits: of each event; the best counts, and pays for the choice.
        delta: the delta of epsilon.
        significance: probability that the bound is too large, all events together.
    """
    events = list(hits)
    shift = max(gaussian_shift(each, significance=significance / len(events)) for each in events)
    return float(dp_accounting.get_epsilon_gaussian(1 / shift, delta)) if shift > 0 else 0.0


def one_run_p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Probability that an (epsilon, delta) mechanism lets so many guesses about coin flips be right.

    Args:
        canaries: m, each put in by a fair coin of its own.
        guesses: r, how many of them were guessed.
        right: v, how many guesses were right.
        epsilon: what is claimed.
        delta: what is claimed.

    Source: Steinke, Nasr & Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023, theorem 5.2.
    """
    p = expit(epsilon)
    beta = float(binom.sf(right - 1, guesses, p))
    if delta == 0 or right == 0:
        return beta
    fewer = np.arange(1, right + 1)
    alpha = float(np.max((binom.sf(right - fewer - 1, guesses, p) - beta) / fewer, initial=0.0))
    return min(1.0, beta + 2 * canaries * delta * alpha)


def one_run_epsilon(canaries: int, guesses: int, right: int, delta: float, significance: float = SIGNIFICANCE) -> float:
    """The largest epsilon that so many right guesses refute; arguments as in ``one_run_p_value``.

    It assumes nothing about the mechanism but its guarantee.

    Example:
        Of 1000 canaries 100 are guessed, 80 of them right, where coins would be right about 50 times.

        >>> round(one_run_epsilon(canaries=1000, guesses=100, right=80, delta=1e-5), 2)
        0.96
    """

    def refuted_by(epsilon: float) -> float:
        return significance - one_run_p_value(canaries, guesses, right, epsilon, delta)

    if guesses == 0 or refuted_by(0.0) <= 0:
        return 0.0
    high = 1.0
    while refuted_by(high) > 0:
        high *= 2
    return float(brentq(refuted_by, 0.0, high, xtol=1e-6))


def one_run_guesses(evidence: np.ndarray, included: np.ndarray, guesses: int) -> int:
    """Guess "in" for the canaries with the most evidence, "out" for those with the least, half each.

    Args:
        evidence: (m,), larger where a canary seems to be in.
        included: bool (m,), the coins.
        guesses: how many to make, fixed beforehand.

    Returns:
        How many are right.
    """
    order, half = np.argsort(evidence, kind="stable"), guesses // 2
    return int((~included[order[:half]]).sum() + included[order[len(order) - half :]].sum())


@dataclass(frozen=True)
class NoiseScale:
    """How the noise compares with what is stated, in standard deviations.

    Args:
        ratio: measured over stated.
        p_value: probability of so large a deviation, either way, if the noise is as stated.
    """

    ratio: float
    p_value: float

    @property
    def as_stated(self) -> bool:
        """Whether the test passes."""
        return self.p_value >= SCALE_SIGNIFICANCE

    def finding(self, audited: str) -> Finding:
        """As a line of the table."""
        return Finding(
            audited, "1.000 x sigma C", f"{self.ratio:.3f} x sigma C (p = {self.p_value:.2g})", self.as_stated
        )


def noise_scale(noise: np.ndarray, stated: float) -> NoiseScale:
    """Test the variance of Gaussian noise against the stated one, by chi-square, two-sided.

    Noise that is too large fails, too: a wrong normaliser changes the scale of noise and signal alike, which no
    attack on the mean can see.

    Args:
        noise: independent draws with mean 0, any shape.
        stated: their standard deviation.
    """
    statistic = float((noise.astype(np.float64) ** 2).sum()) / stated**2
    tail = min(chi2.cdf(statistic, noise.size), chi2.sf(statistic, noise.size))
    return NoiseScale(math.sqrt(statistic / noise.size), min(1.0, 2 * float(tail)))


@dataclass(frozen=True)
class Auc:
    """How well members are told from others.

    Args:
        value: 0.5 is chance.
        low: of the 95 % interval.
        high: likewise.
    """

    value: float
    low: float
    high: float


def attack_auc(members: np.ndarray, others: np.ndarray) -> Auc:
    """AUC of an attack, with its 95 % interval.

    Args:
        members: evidence of those who were in (n,), larger means "in". Sensitive.
        others: of those who were not (k,). Sensitive.

    Source: DeLong, DeLong & Clarke-Pearson, "Comparing the Areas under Two or More Correlated ROC Curves", 1988.
    """
    wins = (members[:, None] > others) + 0.5 * (members[:, None] == others)  # (n, k)
    value = float(wins.mean())
    variance = wins.mean(axis=1).var(ddof=1) / len(members) + wins.mean(axis=0).var(ddof=1) / len(others)
    reach = float(norm.ppf(1 - SIGNIFICANCE / 2)) * math.sqrt(variance)
    return Auc(value, max(0.0, value - reach), min(1.0, value + reach))
