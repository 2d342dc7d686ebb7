"""Noisy products drawn towards what they have in common: nearer to the truth, and as they were without noise."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.mechanisms.moments import NoisyProducts
from privacy.mechanisms.shrinkage import ProductPosterior, smooth_products

VISITS = 8
TRAJECTORIES = tuple((measure, 0, visit) for measure in (0, 1) for visit in range(VISITS))
COVARIATES = tuple((measure, 0, 0) for measure in range(2, 8))


def true_products(places) -> list[np.ndarray]:
    """Of two classes that differ a little: correlations fall with the time between visits; covariates have none."""
    count = len(places) + 1
    found = []
    for label in (0, 1):
        matrix = np.eye(count)
        for row, (first, _, earlier) in enumerate(places, 1):
            matrix[0, row] = matrix[row, 0] = 0.2 * label - 0.03 * earlier
            for column, (second, _, visit) in enumerate(places, 1):
                if max(first, second) < 2 and row != column:
                    matrix[row, column] = (0.7 if first == second else 0.3) * 0.93 ** abs(visit - earlier)
        found.append(matrix)
    return found


def noisy(true: list[np.ndarray], noise_sd: float, seed: int = 0) -> list[NoisyProducts]:
    rng = np.random.default_rng(seed)
    products = []
    for matrix in true:
        noise = np.triu(rng.normal(0, noise_sd / np.sqrt(2), matrix.shape), 1)
        mean = matrix + noise + noise.T + np.diag(rng.normal(0, noise_sd, len(matrix)))
        products.append(NoisyProducts(mean, noise_sd, 1.0, 1000.0, mean))
    return products


def error(found, true) -> float:
    return float(np.sqrt(np.mean((np.stack(found) - np.stack(true)) ** 2)))


@pytest.mark.parametrize("places", [TRAJECTORIES, COVARIATES, TRAJECTORIES + COVARIATES])
@pytest.mark.parametrize("noise_sd", [0.05, 0.3])
def test_products_lose_a_third_of_their_noise_or_more(places, noise_sd):
    true = true_products(places)
    products = noisy(true, noise_sd)
    smooth = smooth_products(products, places)
    assert all(np.array_equal(each, each.T) for each in smooth)
    assert error(smooth, true) < 0.7 * error([each.mean for each in products], true)


def test_products_that_are_known_stay_as_they_are():
    rng = np.random.default_rng(1)
    places = TRAJECTORIES + COVARIATES
    true = [(root := rng.normal(0, 0.3, (len(places) + 1,) * 2)) @ root.T for _ in range(2)]
    smooth = smooth_products(noisy(true, 1e-4), places)
    assert error(smooth, true) < 1e-3


def test_a_class_that_differs_keeps_its_difference():
    """Correlations of the second class have the other sign."""
    true = true_products(TRAJECTORIES)
    true[1][1:, 1:] = 2 * np.eye(len(TRAJECTORIES)) - true[1][1:, 1:]
    smooth = smooth_products(noisy(true, 0.05), TRAJECTORIES)
    apart = np.array([true[1] - true[0], smooth[1] - smooth[0]])[:, 1:, 1:]
    assert np.abs(apart[1] - apart[0]).mean() < 0.05 * np.abs(apart[0]).mean() + 0.02


def test_the_truth_lies_as_far_from_the_middle_of_the_posterior_as_draws_do():
    """Of what products are alike, and of class means, which keep all of their noise."""
    places, randomness = TRAJECTORIES, np.random.default_rng(2)
    true, noise_sd, ratios, upper = true_products(places), 0.1, [], np.triu_indices(len(places), 1)
    for seed in range(6):
        products = noisy(true, noise_sd, seed)
        posterior = ProductPosterior(products, places)
        draws = np.array([posterior.draw(randomness) for _ in range(20)])  # (20, k, F + 1, F + 1)
        assert (draws == draws.transpose(0, 1, 3, 2)).all()
        middle = np.stack(posterior.middle)
        assert np.std(draws[:, :, 0, 1:] - middle[:, 0, 1:]) == pytest.approx(noise_sd / np.sqrt(2), rel=0.1)
        among = np.square(draws - middle).mean(axis=0)[:, 1:, 1:]
        off = np.square(np.stack(true) - middle)[:, 1:, 1:]
        ratios.append([of[:, upper[0], upper[1]].mean() for of in (off, among)])
    assert 0.5 < np.divide(*np.sum(ratios, axis=0)) < 2
