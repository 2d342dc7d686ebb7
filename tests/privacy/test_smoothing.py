"""Noisy shares made smooth: nearer to the truth, spikes kept, nobody in empty tails."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from privacy.mechanisms.simplex import onto_simplex
from privacy.mechanisms.smoothing import _in_a_tail, _LogDensities, smooth_shares, smooth_stretches

BINS = 32
NOISE = 0.004


def bells(cells: int = 8) -> np.ndarray:
    """Shares of one measure that moves on from visit to visit, skewed, (cells, BINS)."""
    places = np.arange(BINS) - 8 - 0.4 * np.arange(cells)[:, None]
    return softmax(-(places**2) / np.where(places < 0, 6, 12), axis=1)


def noisy(shares: np.ndarray, seed: int, noise: float = NOISE) -> np.ndarray:
    return shares + np.random.default_rng(seed).normal(0, noise, shares.shape)


def error(found: np.ndarray, shares: np.ndarray) -> float:
    """Mean square, over that of the noise."""
    return float(np.mean((found - shares) ** 2)) / NOISE**2


def smoothed(shares: np.ndarray, seed: int) -> np.ndarray:
    return smooth_shares(noisy(shares, seed), np.full((len(shares), 1), NOISE))


def test_smooth_shares_lose_most_of_their_noise():
    shares = bells()
    projected = np.array([onto_simplex(each) for each in noisy(shares, 0)])
    found = smoothed(shares, 0)
    assert error(found, shares) < 0.25
    assert error(found, shares) < error(projected, shares) / 2


def test_nobody_lives_in_an_empty_tail():
    """Noise that is cut at 0 leaves one in a hundred or more there."""
    shares = bells()
    empty = shares < 1e-6
    assert empty.sum(axis=1).min() > 5
    projected = np.array([onto_simplex(each) for each in noisy(shares, 0)])
    assert (projected * empty).sum(axis=1).mean() > 0.01
    assert (smoothed(shares, 0) * empty).sum(axis=1).mean() < 0.001


def test_noise_in_a_tail_does_not_become_people():
    """Of days of earlier treatment, say. With tails of any shape one of these draws had a tenth of all there."""
    shares = np.tile(softmax(-np.arange(BINS) / 1.5), (2, 1))
    far = []
    for seed in range(30):
        found = smooth_shares(noisy(shares, seed, 0.02), np.full((2, 1), 0.02))
        assert (np.diff(found[:, 12:], axis=1) <= 1e-6).all()
        far.append(found[:, 16:].sum(axis=1).max())
    assert max(far) < 0.02 and np.mean(far) < 0.002


def test_a_second_mode_is_no_tail():
    """A few at the far end of the range, with nobody between, whom the noise does not hide."""
    shares = 0.9 * bells(2)
    shares[:, 27:30] += 0.1 / 3
    found = smoothed(shares, 0)
    assert found[:, 27:30].sum(axis=1) == pytest.approx(0.1, abs=0.02)
    assert found[:, 22:26].sum(axis=1).max() < 0.01


@pytest.mark.parametrize("place", [0, 17, BINS - 1])
def test_a_spike_stays_a_spike(place):
    """Half of all at one value, as at a limit of detection, and the others evenly elsewhere."""
    shares = np.full((2, BINS), 0.5 / (BINS - 1))
    shares[:, place] = 0.5
    assert np.abs(smoothed(shares, 0)[:, place] - 0.5).max() < 4 * NOISE


def test_the_estimated_error_is_the_error_in_the_mean():
    """Over many draws of the noise, at a smooth, a middling and a rough setting."""
    shares, sd = bells(4), np.full((4, 1), NOISE)
    for rough, unlike in ((10.0, 1000.0), (1.0, 1.0), (1e-3, 1e-2)):
        differences = []
        for seed in range(60):
            drawn = noisy(shares, seed)
            fit = _LogDensities(drawn, sd, 1.0, _in_a_tail(drawn, sd))
            estimated = fit.penalised(rough, unlike)
            differences.append(estimated - shares.size * error(softmax(fit.logs, axis=1), shares))
        assert abs(np.mean(differences)) < 4 * np.std(differences) / np.sqrt(60) + 0.02 * shares.size


@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-7, 1e-10])
def test_with_less_and_less_noise_they_are_the_true_shares(noise):
    """Where some values are rare and nobody has those between: once no matrix of this could be inverted."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.full(16, 0.2), 3)
        shares[shares < 1e-3] = 0
        shares /= shares.sum(axis=1, keepdims=True)
        found = smooth_shares(noisy(shares, seed, noise), np.full((3, 1), noise))
        assert np.sqrt(np.mean((found - shares) ** 2)) < 2 * noise


@settings(max_examples=25)
@given(st.integers(2, 9).flatmap(lambda bins: arrays(float, (3, bins), elements=st.floats(-3, 3))), st.floats(1e-12, 2))
def test_whatever_the_noise_they_are_shares(drawn, noise):
    found = smooth_shares(drawn, np.full((3, 1), noise))
    assert found.shape == drawn.shape
    assert found.min() >= 0
    assert found.sum(axis=1) == pytest.approx(1)


def test_stretches_that_lie_side_by_side_do_not_run_into_each_other():
    """An empty tail stays empty though many live in the next bin, and what has a bin of its own keeps its share."""
    widths = (16, 15, 1)
    shares = np.concatenate([0.2 * softmax(-np.arange(16) / 1.5), np.full(15, 0.3 / 15), [0.5]])
    found = smooth_stretches(noisy(shares, 0), NOISE, widths)
    together = smooth_shares(noisy(shares, 0)[None], np.array([[NOISE]]))[0]
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    assert found[-1] == pytest.approx(0.5, abs=4 * NOISE)
    assert found[10:16].sum() < together[10:16].sum() / 2
    assert error(found, shares) < error(together, shares)


def test_a_stretch_that_nobody_lives_in_breaks_nothing():
    found = smooth_stretches(np.r_[np.zeros(16), np.full(16, 1 / 16)], NOISE, (16, 16))
    assert found.sum() == pytest.approx(1) and found[:16].sum() == 0
