"""Products of scores without most of their noise: those of visits that lie near each other, and of classes, are alike.

Each kind of product is taken for a Gaussian process over visits: that of one measure with another by the middle of the
two visits and the time between them, a class mean by its visit, and so on, with coordinates for the class. How
alike they are, and how much each differs of its own, is what the noisy ones themselves make likeliest; where they are
not alike at all, each is drawn towards the mean of its kind by as much as noise explains. All of this reads nobody.

Source: Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.23 and 5.8; Efron & Morris,
"Data Analysis Using Stein's Estimator and Its Generalizations", 1975.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from privacy.mechanisms.moments import NoisyProducts

FAR = 1e4
"""A distance at which nothing is alike."""

LEARNED_FROM = 400
"""Products of a kind that say how alike they are, at most: that takes the cube of their number in time."""

FEWEST_ALIKE = 24
"""Products of a kind, of all classes together, that tell how alike they are; of fewer a posterior has a flat prior."""

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
    smooth = [each.mean.copy() for each in products]
    for each in _shrinkages(products, places):
        _put(smooth, each.rows, each.others, each.middle)
    return smooth


class ProductPosterior:
    """What the true products may be, beside the noisy ones.

    Class means are what differences between arms are made of. Drawn towards each other, as in a release, they would say
    too little of such a difference, and so would a kind of few products, which do not tell how alike they are: the
    prior of these is flat.

    Args:
        products: of each class.
        places: of the F scores.
    """

    def __init__(self, products: Sequence[NoisyProducts], places: Sequence[Place]) -> None:
        self._products = products
        self._shrinkages = [
            each for each in _shrinkages(products, places) if len(each.noisy) >= FEWEST_ALIKE and each.rows.any()
        ]
        self.middle = [each.mean.copy() for each in products]
        """Symmetric float64 (F + 1, F + 1) for each class."""
        for each in self._shrinkages:
            _put(self.middle, each.rows, each.others, each.middle)

    def draw(self, randomness: np.random.Generator) -> list[np.ndarray]:
        """One draw, a matrix for each class as ``middle`` has them."""
        noise = [_symmetric_noise(each, randomness) for each in self._products]
        drawn = [each.mean + own for each, own in zip(self._products, noise, strict=True)]
        for each in self._shrinkages:
            own = np.concatenate([matrix[each.rows, each.others] for matrix in noise])
            _put(drawn, each.rows, each.others, each.middle + each.departure(own, randomness))
        return drawn


def _shrinkages(products: Sequence[NoisyProducts], places: Sequence[Place]) -> Iterator[_Shrinkage]:
    """Of every kind that is not too large."""
    classes = equally_far(len(products))
    for kind, members in _kinds(places).items():
        if len(members) * len(products) > LARGEST_KIND:
            continue
        rows, others = (np.array([member[place] for member in members]) for place in (0, 1))
        coordinates = np.array([[*member[2:], *place] for place in classes for member in members])
        noisy = np.concatenate([each.mean[rows, others] for each in products])
        variance = np.concatenate([each.noise_sd**2 * np.where(rows == others, 1, 0.5) for each in products])
        around = 0.0 if kind[0] is SINGLE else float(np.average(noisy, weights=1 / variance))
        yield _Shrinkage(rows, others, coordinates, noisy, variance, around)


def _put(matrices: Sequence[np.ndarray], rows: np.ndarray, others: np.ndarray, found: np.ndarray) -> None:
    """Set products of every class, (k n,), in its symmetric matrix."""
    for matrix, each in zip(matrices, np.split(found, len(matrices)), strict=True):
        matrix[rows, others] = matrix[others, rows] = each


def _symmetric_noise(products: NoisyProducts, randomness: np.random.Generator) -> np.ndarray:
    """Noise as it was bought: symmetric float64 (F + 1, F + 1)."""
    noise = products.noise_sd * randomness.standard_normal(products.mean.shape)
    below = np.tril(noise, -1) / math.sqrt(2)
    symmetric: np.ndarray = below + below.T + np.diag(np.diag(noise))
    return symmetric


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


@dataclass(frozen=True)
class _Shrinkage:
    """Products of a kind, taken for a Gaussian process.

    Args:
        rows: of the products in P P^T, (c,).
        others: their columns, likewise.
        coordinates: (n, 2 + k - 1), two of place, and those of the class; n is c for each of k classes.
        noisy: (n,).
        variance: of the noise, (n,).
        around: the mean of the process.
    """

    rows: np.ndarray
    others: np.ndarray
    coordinates: np.ndarray
    noisy: np.ndarray
    variance: np.ndarray
    around: float

    @cached_property
    def middle(self) -> np.ndarray:
        """Posterior means, (n,)."""
        return self.around + self._found(self.noisy - self.around)

    def departure(self, noise: np.ndarray, randomness: np.random.Generator) -> np.ndarray:
        """How far a draw of the posterior is from its mean, (n,): a draw of the process, less what would be found of
        it through noise (n,) (Matheron's rule)."""
        process = self._root @ randomness.standard_normal(len(noise))
        departure: np.ndarray = process - self._found(process + noise)
        return departure

    def _found(self, noisy: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._prior @ cho_solve(self._factor, noisy)
        return found

    @cached_property
    def _factor(self) -> tuple[np.ndarray, bool]:
        factor: tuple[np.ndarray, bool] = cho_factor(self._prior + np.diag(self.variance))
        return factor

    @cached_property
    def _root(self) -> np.ndarray:
        root: np.ndarray = np.linalg.cholesky(self._prior)
        return root

    @cached_property
    def _prior(self) -> np.ndarray:
        """The covariance that makes noisy products likeliest, (n, n)."""
        # These take longer to import than the rest of the package.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        coordinates, noisy = self.coordinates, self.noisy - self.around
        unit = float(np.sqrt(self.variance.mean()))
        excess, alpha = max(float(noisy.var()) / unit**2 - 1, 0.1), self.variance / unit**2
        ones, limits = [2] * (coordinates.shape[1] - 1), [(0.05, 100)] * (coordinates.shape[1] - 2)
        alike = ConstantKernel(excess, (1e-4, 1e5)) * Matern([3, *ones], [(0.3, 200), (0.3, 200), *limits], nu=1.5)
        process = GaussianProcessRegressor(alike + WhiteKernel(0.1, (1e-4, 1e3)), alpha=alpha)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # where nothing is alike, a scale has no effect
            some = np.linspace(0, len(noisy) - 1, min(len(noisy), LEARNED_FROM)).round().astype(int)
            process.set_params(alpha=alpha[some])
            learned = process.fit(coordinates[some], noisy[some] / unit).kernel_
        prior: np.ndarray = (learned.k1(coordinates) + learned.k2.noise_level * np.eye(len(noisy))) * unit**2
        return prior
