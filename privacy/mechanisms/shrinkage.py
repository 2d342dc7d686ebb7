"""Products of scores without most of their noise: those of visits that lie near each other, and of classes, are alike.

Each kind of product is taken for a Gaussian process over visits: that of one measure with another by the middle of the
two visits and the time between them, a class mean by its visit, and so on, with coordinates for the class. How
alike they are, and how much each differs of its own, is what the noisy ones themselves make likeliest; where they are
not alike at all, each is drawn towards the mean of its kind by as much as noise explains. All of this reads nobody.

Source: Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.23 and 5.8; Efron & Morris,
"Data Analysis Using Stein's Estimator and Its Generalizations", 1975.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from privacy.mechanisms.moments import NoisyProducts

FAR = 1e4
"""A distance at which nothing is alike."""

LEARNED_FROM = 400
"""Products of a kind that say how alike they are, at most: that takes the cube of their number in time."""

LARGEST_KIND = 4000
"""Products of a kind; of more, each stays as noisy as it was."""


Place = tuple[int, int, int]  # of a score: the numbers of its measure, its category and its visit
Product = tuple[int, int, float, float]  # row and column in P P^T, and two coordinates
SINGLE = "single"


def smooth_products(products: Sequence[NoisyProducts], places: Sequence[Place]) -> list[np.ndarray]:
    """Products that are near the true ones by what they have in common.

    Args:
        products: of each class.
        places: of the F scores.

    Returns:
        Symmetric float64 (F + 1, F + 1) for each class.
    """
    smooth, classes = [each.mean.copy() for each in products], equally_far(len(products))
    for kind, members in _kinds(places).items():
        rows, others = (np.array([member[place] for member in members]) for place in (0, 1))
        coordinates = np.array([[*member[2:], *place] for place in classes for member in members])
        noisy = np.concatenate([each.mean[rows, others] for each in products])
        variance = np.concatenate([each.noise_sd**2 * np.where(rows == others, 1, 0.5) for each in products])
        if len(noisy) > LARGEST_KIND:
            continue
        middle = 0.0 if kind[0] is SINGLE else float(np.average(noisy, weights=1 / variance))
        found = middle + _shrunken(coordinates, noisy - middle, variance)
        for matrix, each in zip(smooth, np.split(found, len(products)), strict=True):
            matrix[rows, others] = matrix[others, rows] = each
    return smooth


def equally_far(classes: int) -> np.ndarray:
    """A place for each of k classes, all at the distance 1 from each other: float64 (k, k - 1).

    Example:
        >>> equally_far(2).tolist()
        [[0.0], [1.0]]
        >>> equally_far(3).round(3).tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.5, 0.866]]
    """
    places = np.zeros((classes, classes - 1))
    for new in range(1, classes):
        places[new] = places[:new].mean(axis=0)
        places[new, new - 1] = np.sqrt(1 - np.square(places[0] - places[new]).sum())
    return places


def _kinds(places: Sequence[Place]) -> dict[tuple[Hashable, ...], list[Product]]:
    """Products by kind; those without visits to go by are one kind, each far from the others."""
    owners = [(measure, category) for measure, category, _ in places]
    often = Counter(owners)
    kinds: dict[tuple[Hashable, ...], list[Product]] = defaultdict(list)
    for column, (second, (*_, visit)) in enumerate(zip(owners, places, strict=True), 1):
        if often[second] > 1:
            kinds["mean", second].append((0, column, visit, 0))
            kinds["square", second].append((column, column, visit, 0))
        else:
            kinds[SINGLE, "mean"].append((0, column, FAR * column, 0))
        for row, (first, (*_, earlier)) in enumerate(zip(owners[: column - 1], places, strict=False), 1):
            moving = often[first] > 1, often[second] > 1
            if all(moving):
                between = abs(visit - earlier) if first == second else visit - earlier
                kinds["pair", first, second].append((row, column, (earlier + visit) / 2, between))
            elif any(moving):
                kinds["pair", first, second].append((row, column, earlier if moving[0] else visit, 0))
            else:
                kinds[SINGLE, "pair"].append((row, column, FAR * (row * len(places) + column), 0))
    return kinds


def _shrunken(coordinates: np.ndarray, noisy: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Posterior means of a Gaussian process of mean 0 at its own coordinates.

    Args:
        coordinates: (n, 2 + k - 1), two of place, and those of the class.
        noisy: (n,).
        variance: of the noise, (n,).
    """
    # These take longer to import than the rest of the package.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    unit = float(np.sqrt(variance.mean()))
    excess = max(float(noisy.var()) / unit**2 - 1, 0.1)
    ones, limits = [2] * (coordinates.shape[1] - 1), [(0.05, 100)] * (coordinates.shape[1] - 2)
    alike = ConstantKernel(excess, (1e-4, 1e5)) * Matern([3, *ones], [(0.3, 200), (0.3, 200), *limits], nu=1.5)
    process = GaussianProcessRegressor(alike + WhiteKernel(0.1, (1e-4, 1e3)), alpha=variance / unit**2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where nothing is alike, one of the scales has no effect
        some = np.linspace(0, len(noisy) - 1, min(len(noisy), LEARNED_FROM)).round().astype(int)
        process.set_params(alpha=(variance / unit**2)[some])
        learned = process.fit(coordinates[some], noisy[some] / unit).kernel_
    prior = learned.k1(coordinates) + learned.k2.noise_level * np.eye(len(noisy))
    found: np.ndarray = prior @ np.linalg.solve(prior + np.diag(variance / unit**2), noisy)
    return found
