"""Residuals of products of normal scores: means and covariances of draws, beside those that were measured."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import torch

from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.moments import COUNT_SHARE
from privacy.mechanisms.normal_scores import LIMIT
from trainables.measured.network import stacked

A = TypeVar("A", np.ndarray, torch.Tensor)


class ProductResiduals:
    """Differences between the products of a batch of draws and those that were measured, over their standard errors.

    Args:
        measured: what was bought.
        pairs: 1 for the products that count, of those above and on the diagonal, (W + 1, W + 1).
        before: which scores are from before randomisation, bool (W,). Arms differ there by chance, so what is measured
            of all of them together counts.
    """

    def __init__(self, measured: Measured, pairs: np.ndarray, before: np.ndarray) -> None:
        self._radius = measured.products[0].radius
        self._products = stacked([each.smooth for each in measured.products])  # (k, W + 1, W + 1)
        self._noise = torch.tensor([each.noise_sd for each in measured.products])  # (k,), on the diagonal
        sizes = torch.tensor([each.participants for each in measured.histograms])
        self._class_shares = sizes / sizes.sum()  # (k,)
        early = np.concatenate([[True], before])
        alike = np.outer(early, early) * pairs if before.any() else None
        self._early = torch.from_numpy(early).float()
        self._alike = None if alike is None else torch.from_numpy(alike).float()
        self._pairs = torch.from_numpy(pairs if alike is None else pairs - alike).float()

    def loss(self, scores: torch.Tensor, batch_variance: float) -> torch.Tensor:
        """Sum of squared residuals; see ``Residuals.loss``.

        Args:
            scores: of the values that draws stand for, (k, n, W), n even.
            batch_variance: how much of the variance of the batch is added to that of the noise.
        """
        lifted = self._lifted(scores)
        halves = _products(lifted.unflatten(1, (2, -1)))  # (k, 2, W + 1, W + 1)
        first, second = (halves - self._products[:, None]).unbind(1)
        with torch.no_grad():
            spread = _products(lifted**2) - halves.mean(dim=1) ** 2
            noise = self._noise[:, None, None] ** 2 * (1 + torch.eye(lifted.shape[-1])) / 2
            variance = noise + batch_variance * spread.clamp(min=1e-8) / lifted.shape[1]
        if self._alike is None:
            return (self._pairs * first * second / variance).sum()
        first, second = (without_luck(each, self._products, self._early) for each in (first, second))
        apart = (self._pairs * first * second / variance).sum()
        share = self._class_shares[:, None, None]
        first, second = ((share * each).sum(dim=0) for each in (first, second))
        return apart + (self._alike * first * second / (share**2 * variance).sum(dim=0)).sum()

    def _lifted(self, scores: torch.Tensor) -> torch.Tensor:
        """The vectors P of ``NoisyMoments``, (k, n, W + 1)."""
        features = scores.clamp(-LIMIT, LIMIT) / LIMIT
        norms = features.norm(dim=-1, keepdim=True)
        unit = features / norms.clamp(min=self._radius)
        return torch.cat([torch.full_like(norms, math.sqrt(COUNT_SHARE)), math.sqrt(1 - COUNT_SHARE) * unit], dim=-1)


def without_luck(differences: A, products: A, early: A) -> A:
    """Differences of products (..., W + 1, W + 1), as if means before randomisation were those of the draws.

    They are not, by chance, and the product of what is earlier with what is later holds that chance times the mean of
    what is later, which the draws cannot have.

    Args:
        differences: between products of draws and those that were measured.
        products: as they were measured.
        early: 1 for the constant and for what is from before randomisation, else 0, (W + 1,).
    """
    luck = differences[..., 0, :] * early / math.sqrt(COUNT_SHARE)  # (..., W + 1)
    later = products[..., 0, :] * (1 - early) / math.sqrt(COUNT_SHARE)
    across = luck[..., :, None] * later[..., None, :]
    found: A = differences - across - across.swapaxes(-1, -2)
    return found


def _products(lifted: torch.Tensor) -> torch.Tensor:
    return lifted.transpose(-1, -2) @ lifted / lifted.shape[-2]
