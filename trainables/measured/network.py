"""The generator network: from a latent vector and a class to normal scores, begun at a Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.stats.qmc import MultivariateNormalQMC
from torch import nn

from privacy.mechanisms.moments import ClassMoments
from privacy.mechanisms.normal_scores import LIMIT


class ScoreNetwork(nn.Module):
    """A linear map of each class plus a network that both share, which begins by adding nothing.

    So what it draws at first is Gaussian in each class, with the moments it is given. Scores from before randomisation
    have a linear map and a network of their own that know no class, so that they are distributed alike in all.

    Args:
        moments: of the W normal scores over LIMIT, of each of k classes.
        before: which of these are from before randomisation, bool (W,); moments agree in them.
        width: of the hidden layers.
        depth: how many there are.
        latent_size: entries of the latent vector that the linear map does not see.
    """

    def __init__(
        self, moments: Sequence[ClassMoments], before: np.ndarray, width: int, depth: int, latent_size: int
    ) -> None:
        super().__init__()
        scores, early, late = len(moments[0].mean), np.flatnonzero(before), np.flatnonzero(~before)
        self._linear_size, self._latent_size, self._early = scores, latent_size, len(early)
        self._order = torch.from_numpy(np.argsort(np.concatenate([early, late])))
        roots = [LIMIT * root_of(each, before) for each in moments]
        self.means = nn.Parameter(stacked([LIMIT * each.mean[late] for each in moments]))  # (k, W - b)
        self.roots = nn.Parameter(stacked([root[late] for root in roots]))  # (k, W - b, W)
        self.layers = _perceptron(scores + latent_size + len(moments), width, depth, len(late))
        if self._early:
            self.early_mean = nn.Parameter(torch.from_numpy(LIMIT * moments[0].mean[early]).float())  # (b,)
            self.early_root = nn.Parameter(torch.from_numpy(roots[0][early, : len(early)]).float())  # (b, b)
            self.early_layers = _perceptron(scores + latent_size, max(width // 4, 1), depth, len(early))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Normal scores (k, n, W) of n draws of each class, from what ``latent`` gives for each, (k, n, L)."""
        classes, draws, _ = latent.shape
        linear = latent[..., : self._linear_size]
        which = torch.eye(classes)[:, None].expand(classes, draws, classes)
        late: torch.Tensor = torch.baddbmm(self.means[:, None], linear, self.roots.transpose(1, 2))
        late = late + self.layers(torch.cat([latent, which], dim=-1))
        if not self._early:
            return late
        early = self.early_mean + linear[..., : self._early] @ self.early_root.T + self.early_layers(latent)
        return torch.cat([early, late], dim=-1)[..., self._order]

    def latent(self, draws: int, randomness: torch.Generator) -> torch.Tensor:
        """Standard normal latent vectors of each class, (k, draws, L).

        What linear maps take comes first, so that all networks of a cohort draw the same from the same stream.
        """
        sizes = (self._linear_size, self._latent_size)
        parts = [torch.randn(len(self.means), draws, size, generator=randomness) for size in sizes]
        return torch.cat(parts, dim=-1)

    def even_latent(self, draws: int, randomness: torch.Generator) -> torch.Tensor:
        """Latent vectors spread more evenly than random ones, (k, r, L), the same of each class.

        What linear maps take is a scrambled Sobol sequence of the next power of two, r. Distribution functions of the
        scores that are made of 8,192 are about as near to the network's as those of 30,000 random draws.
        """
        count = 1 << (draws - 1).bit_length()
        seed = int(torch.randint(2**63 - 1, (), generator=randomness))
        linear = torch.from_numpy(MultivariateNormalQMC(np.zeros(self._linear_size), rng=seed).random(count)).float()
        rest = torch.randn(count, self._latent_size, generator=randomness)
        return torch.cat([linear, rest], dim=-1).expand(len(self.means), -1, -1)


def _perceptron(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """Hidden layers and a last one that begins by giving 0."""
    sizes = [inputs, *[width] * depth]
    hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
    last = nn.Linear(sizes[-1], outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*hidden, last)


def root_of(moments: ClassMoments, before: np.ndarray) -> np.ndarray:
    """A matrix A of which the covariance is A A^T: float64 (W, W).

    Where b scores are from before randomisation, their rows are 0 but for the first b columns, and the same in every
    class whose covariances agree in them.
    """
    if not before.any():
        return moments.root
    early, late = np.flatnonzero(before), np.flatnonzero(~before)
    first = ClassMoments(moments.mean[early], moments.covariance[np.ix_(early, early)]).root  # (b, b)
    across = moments.covariance[np.ix_(late, early)] @ np.linalg.pinv(first, rcond=1e-6).T  # (W - b, b)
    rest = ClassMoments(moments.mean[late], moments.covariance[np.ix_(late, late)] - across @ across.T).root
    root = np.zeros_like(moments.covariance)
    root[np.ix_(early, np.arange(len(early)))] = first
    root[np.ix_(late, np.arange(len(early)))] = across
    root[np.ix_(late, np.arange(len(early), len(root)))] = rest
    return root


def standardised(latent: torch.Tensor) -> torch.Tensor:
    """Latent vectors (n, L) moved and turned by a little so that their own mean is 0 and their covariance 1.

    A release made of them has the means and correlations that its generator says, without the error of drawing so
    many. Few vectors, which a turn could change a lot, stay as they are.
    """
    count, size = latent.shape
    if count < 4 * size:
        return latent
    centred = latent - latent.mean(dim=0)
    root = torch.linalg.cholesky(centred.T @ centred / count)  # (L, L)
    turned: torch.Tensor = torch.linalg.solve_triangular(root, centred.T, upper=False).T
    return turned


def stratified(scores: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Draws (n, W) in which each score has the quantiles of many draws (r, W) of the same generator, in the same order.

    A release made of them has the distributions that its generator says, without the error of drawing so few; who has
    which rank stays, and with it what hangs together (Latin hypercube sampling with dependence: Packham & Schmidt,
    "Latin hypercube sampling with dependence and applications in finance", 2010).
    """
    levels = (scores.argsort(dim=0).argsort(dim=0) + 0.5) / len(scores)  # (n, W)
    quantiles = torch.from_numpy(np.sort(reference.numpy(), axis=0))  # in a third of PyTorch's time
    return quantiles.gather(0, (levels * len(reference)).long())


def stacked(arrays: list[np.ndarray]) -> torch.Tensor:
    """Arrays of one shape along a new first dimension, in single precision."""
    return torch.from_numpy(np.stack(arrays)).float()
