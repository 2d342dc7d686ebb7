"""Shares of bins without most of their noise: smooth log densities, most of whose shape visits and classes share.

The log shares of each cell depart from those that all cells of its measure share. Both are penalised by their second
differences, which are 0 where log shares are straight: to lie elsewhere than its neighbours costs a cell little. How
smooth they are is decided by Stein's unbiased estimate of the squared error, since the noise is known; a measure with
spikes stays as it is, and where no smoothness helps so do all. Beyond the outermost bins that surely hold somebody log
densities bend no other way than downwards: once they fall they fall for good, so noise that was bought far out does not
become people. All of this reads nobody.

Sources: Silverman, "On the Estimation of a Probability Density Function by the Maximum Penalized Likelihood Method",
1982, for penalties on log densities; Eilers, "Unimodal Smoothing", 2005, for asymmetric ones, which give a shape;
Stein, "Estimation of the Mean of a Multivariate Normal Distribution", 1981.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from privacy.mechanisms.simplex import onto_simplex

SMOOTHNESS = tuple(10.0 ** np.arange(3, -3.1, -1))
"""Penalties on what is shared, beside squares over variances; from smooth to rough."""

LIKENESS = (1000.0, 100.0, 10.0, 1.0)
"""How many times as much a cell's departure costs."""

OCCUPIED, WINDOWS = 8.0, (1, 2, 4)
"""Standard deviations of noise beyond which some bins beside each other surely hold somebody, and how many bins."""

TAIL_PENALTY = 1000.0
"""Beside squares over variances, on log densities that bend upwards in a tail."""

STEPS, LONGEST_STEP, ENOUGH = 100, 3.0, 1e-5
"""Of Newton's method: how many at most, the largest change of a log share in one, the relative decrease to stop at."""

FEWEST_BINS = 4
LEAST_LOG_SHARE = -200.0
LEAST_STRETCH = 0.005
RIDGE = 1e-6
LEAST_RIDGE = 1e-12
"""Beside the largest entry of a matrix: below it, rounding makes up the rest."""


def smooth_shares(noisy: np.ndarray, noise_sd: np.ndarray, widths: np.ndarray | float = 1.0) -> np.ndarray:
    """Shares, none below 0 and adding up to 1, that are near the true ones by Stein's estimate.

    Args:
        noisy: shares of b bins in G cells that measure the same thing, (G, b), with independent Gaussian noise.
        noise_sd: its standard deviation, (G, b), or in each cell, (G, 1).
        widths: of the bins, (b,), in any unit: what is smooth are shares over these.

    Returns:
        float64 (G, b).
    """
    shares = np.array([onto_simplex(each) for each in noisy])
    if noisy.shape[1] < FEWEST_BINS:
        return shares
    tail, least = _in_a_tail(noisy, noise_sd), _error_of_projection(noisy, noise_sd, shares)
    for likeness in LIKENESS:
        fit, errors = _LogDensities(noisy, noise_sd, widths, tail), [np.inf, np.inf]
        for smoothness in SMOOTHNESS:
            errors.append(fit.penalised(smoothness, smoothness * likeness))
            if errors[-1] < least:
                least, shares = errors[-1], fit.shares(fit.logs)
            elif errors[-1] > errors[-2] > errors[-3]:  # rougher is worse, twice in succession
                break
    return shares


def smooth_stretches(noisy: np.ndarray, noise_sd: float, widths: Sequence[int]) -> np.ndarray:
    """Shares of the bins of one cell, where these make up stretches that have nothing to do with each other.

    Args:
        noisy: shares of all its bins, (b,), with independent Gaussian noise.
        noise_sd: its standard deviation.
        widths: how many bins each stretch has.

    Returns:
        float64 (b,), none below 0 and adding up to 1.
    """
    parts = np.split(noisy, np.cumsum(widths)[:-1])
    shares = onto_simplex(np.array([part.sum() for part in parts]))
    known = shares.clip(LEAST_STRETCH)
    within = [
        smooth_shares(part[None] / share, np.array([[noise_sd / share]]))[0]
        for part, share in zip(parts, known, strict=True)
    ]
    return np.concatenate([share * each for share, each in zip(shares, within, strict=True)])


def _error_of_projection(noisy: np.ndarray, noise_sd: np.ndarray, shares: np.ndarray) -> float:
    """Stein's estimate for shares that are only projected onto the simplex, where those above 0 move freely but one."""
    freedom = np.count_nonzero(shares) - len(shares)
    return float(np.sum(((noisy - shares) / noise_sd) ** 2) - noisy.size + 2 * freedom)


def _ridge(matrices: np.ndarray, least: float) -> np.ndarray:
    """What to add to the diagonals of symmetric matrices (..., b, b): ``least``, or more where they are large."""
    largest = np.abs(matrices).max(axis=(-2, -1), keepdims=True)
    ridge: np.ndarray = np.maximum(least, LEAST_RIDGE * largest) * np.eye(matrices.shape[-1])
    return ridge


def _in_a_tail(noisy: np.ndarray, noise_sd: np.ndarray) -> np.ndarray:
    """Which bins lie beyond the outermost that surely hold somebody, in all cells together, bool (b,)."""
    known = np.broadcast_to(noise_sd, noisy.shape) ** -2.0
    counts, precisions, bins = (known * noisy).sum(axis=0), known.sum(axis=0), noisy.shape[1]
    surest = np.full(bins, -np.inf)  # of each bin, how much the surest stretch stands out whose middle it is
    for width in WINDOWS:
        counted, known_of = (np.convolve(each, np.ones(width), "valid") for each in (counts, precisions))
        for first, stands_out in enumerate(counted / np.sqrt(known_of)):
            middle = slice(first + (width - 1) // 2, first + width // 2 + 1)
            surest[middle] = np.maximum(surest[middle], stands_out)
    occupied, places = np.flatnonzero(surest >= min(OCCUPIED, surest.max())), np.arange(bins)
    tail: np.ndarray = (places < occupied[0]) | (places > occupied[-1])
    return tail


class _LogDensities:
    """Log densities of G cells, (G, b), and what they have in common, (b,).

    They minimise ``|(noisy - shares(logs)) / sd|^2 + unlike |D (logs - common)|^2 + rough |D common|^2``, D being
    second differences, and ``TAIL_PENALTY`` times the squares of those of ``logs`` that are above 0 in a tail.
    """

    def __init__(self, noisy: np.ndarray, noise_sd: np.ndarray, widths: np.ndarray | float, tail: np.ndarray) -> None:
        self._noisy, self._sd, self._widths = noisy, noise_sd, np.log(widths)
        self.logs, self._common = np.zeros(noisy.shape), np.zeros(noisy.shape[1])
        self._eye = np.eye(noisy.shape[1])
        bends = np.diff(self._eye, n=2, axis=0)  # (b - 2, b)
        self._penalty = bends.T @ bends  # (b, b)
        self._tails = bends[tail[1:-1]]  # (t, b)

    def shares(self, logs: np.ndarray) -> np.ndarray:
        """Of bins with such log densities, (G, b)."""
        shares: np.ndarray = softmax(logs + self._widths, axis=1)
        return shares

    def penalised(self, rough: float, unlike: float) -> float:
        """Minimise, by Levenberg and Marquardt's method; returns the estimate of the squared error over variances."""
        damping, now = 1e-2, self._objective(self.logs, self._common, rough, unlike)
        for _ in range(STEPS):
            logs, common = self._step(rough, unlike, damping)
            after = self._objective(logs, common, rough, unlike)
            if after > now:
                damping *= 5
                continue
            self.logs, self._common, damping, before, now = logs, common, max(damping / 2, 1e-8), now, after
            if before - after < ENOUGH * (1 + before):
                break
        return self._estimated_error(rough, unlike)

    def _objective(self, logs: np.ndarray, common: np.ndarray, rough: float, unlike: float) -> float:
        departures, residuals = logs - common, (self._noisy - self.shares(logs)) / self._sd
        smoothness = unlike * np.sum(departures @ self._penalty * departures) + rough * common @ self._penalty @ common
        upwards = (logs @ self._tails.T).clip(min=0)
        return float(np.sum(residuals**2) + smoothness + TAIL_PENALTY * np.sum(upwards**2))

    def _step(self, rough: float, unlike: float, damping: float) -> tuple[np.ndarray, np.ndarray]:
        """One step, the cells' log shares eliminated from the equations for what is common."""
        shares = self.shares(self.logs)
        slopes, tails = self._slopes(shares), self._tail_penalties()
        pull = unlike * self._penalty
        own = slopes.transpose(0, 2, 1) @ slopes + tails + pull  # (G, b, b)
        own += _ridge(own, damping)
        departures = (self.logs - self._common) @ pull  # (G, b)
        misfit = slopes.transpose(0, 2, 1) @ ((shares - self._noisy) / self._sd)[..., None]  # (G, b, 1)
        gradient = (misfit + tails @ self.logs[..., None])[..., 0] + departures
        pulled = np.broadcast_to(pull, own.shape)
        solved = np.linalg.solve(own, np.concatenate([pulled, gradient[..., None]], axis=2))  # (G, b, b + 1)
        through, alone = solved[..., :-1], solved[..., -1]
        together = rough * self._penalty + pull @ (len(own) * self._eye - through.sum(axis=0))
        together += _ridge(together, damping)
        wanted = departures.sum(axis=0) - rough * self._penalty @ self._common - pull @ alone.sum(axis=0)
        common = np.linalg.solve(together, wanted)  # (b,)
        logs = through @ common - alone  # (G, b)
        length = LONGEST_STEP / max(LONGEST_STEP, np.abs(logs).max(), np.abs(common).max())
        moved = self.logs + length * logs
        moved -= moved.max(axis=1, keepdims=True)
        return np.maximum(moved, LEAST_LOG_SHARE), self._common + length * common

    def _slopes(self, shares: np.ndarray) -> np.ndarray:
        """Derivatives of the shares over their noise by the log shares, (G, b, b)."""
        slopes: np.ndarray = shares[:, :, None] * (self._eye - shares[:, None, :]) / self._sd[..., None]
        return slopes

    def _tail_penalties(self) -> np.ndarray:
        """Penalty matrices of where a tail of each cell bends upwards now, (G, b, b)."""
        upwards = TAIL_PENALTY * (self.logs @ self._tails.T > 0)[..., None]  # (G, t, 1)
        penalties: np.ndarray = self._tails.T @ (upwards * self._tails)
        return penalties

    def _estimated_error(self, rough: float, unlike: float) -> float:
        """Stein's unbiased estimate: squared residuals, plus twice the sum of slopes of fitted by noisy shares."""
        shares = self.shares(self.logs)
        slopes = self._slopes(shares)
        known = slopes.transpose(0, 2, 1) @ slopes
        curvature, pull = known + self._tail_penalties(), unlike * self._penalty
        curvature += _ridge(curvature + pull, RIDGE)  # a factor on all shares of a cell is known from nothing
        inverse = np.linalg.inv(curvature + pull)
        together = rough * self._penalty + pull @ (inverse @ curvature).sum(axis=0)
        together += _ridge(together, RIDGE)
        through = inverse @ pull  # (G, b, b)
        covariance = inverse + through @ np.linalg.inv(together) @ through.transpose(0, 2, 1)
        freedom = np.einsum("gij,gji->", known, covariance)
        return float(np.sum(((self._noisy - shares) / self._sd) ** 2) - self._noisy.size + 2 * freedom)
