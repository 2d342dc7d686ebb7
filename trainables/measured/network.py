"""The generator network: from a latent vector and a class to normal scores, begun at a Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from privacy.mechanisms.moments import ClassMoments
from privacy.mechanisms.normal_scores import LIMIT


class ScoreNetwork(nn.Module):
    """A linear map of each class plus a network that both share, which begins by adding nothing.

    So what it draws at first is Gaussian in each class, with the moments it is given.

    Args:
        moments: of the W normal scores over LIMIT, of each of k classes.
        width: of the hidden layers.
        depth: how many there are.
        latent_size: entries of the latent vector that the linear map does not see.
    """

    def __init__(self, moments: Sequence[ClassMoments], width: int, depth: int, latent_size: int) -> None:
        super().__init__()
        scores = len(moments[0].mean)
        self._linear_size, self._latent_size = scores, latent_size
        self.means = nn.Parameter(stacked([LIMIT * each.mean for each in moments]))  # (k, W)
        self.roots = nn.Parameter(stacked([LIMIT * each.root for each in moments]))  # (k, W, W)
        sizes = [scores + latent_size + len(moments), *[width] * depth]
        hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
        last = nn.Linear(sizes[-1], scores)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Normal scores (k, n, W) of n draws of each class, from what ``latent`` gives for each, (k, n, L)."""
        classes, draws, _ = latent.shape
        linear = torch.baddbmm(self.means[:, None], latent[..., : self._linear_size], self.roots.transpose(1, 2))
        which = torch.eye(classes)[:, None].expand(classes, draws, classes)
        added: torch.Tensor = self.layers(torch.cat([latent, which], dim=-1))
        return linear + added

    def latent(self, draws: int, randomness: torch.Generator) -> torch.Tensor:
        """Standard normal latent vectors of each class, (k, draws, L).

        What linear maps take comes first, so that all networks of a cohort draw the same from the same stream.
        """
        sizes = (self._linear_size, self._latent_size)
        parts = [torch.randn(len(self.means), draws, size, generator=randomness) for size in sizes]
        return torch.cat(parts, dim=-1)


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


def stacked(arrays: list[np.ndarray]) -> torch.Tensor:
    """Arrays of one shape along a new first dimension, in single precision."""
    return torch.from_numpy(np.stack(arrays)).float()
