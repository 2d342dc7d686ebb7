"""What measurements would say of drawn normal scores, beside what they said of participants.

The measurements are repeated on the draws, shortening and rounding included, so a difference is due to the network or
to the noise that was added, whose size is known exactly. Each difference counts by its precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri

from cohorts import Schema
from cohorts.scale import BINS
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from trainables.measured.drawing import (
    Presence,
    category_probabilities,
    discrete_scores,
    drawn_categories,
    standardised_indicators,
)
from trainables.measured.products import ProductResiduals
from trainables.measured.table_residuals import TableResiduals

SMOOTHNESS = 12.0
"""How steeply a draw counts below the edge of a bin, so that there is a slope to follow."""


MOST = BINS + 2
"""Bins of a cell, its limits apart."""


@dataclass(frozen=True)
class _Bins:
    """Bins of one cell that is not nominal; those who have its very limit, where many do, are a bin of their own.

    Args:
        edges: scores between them, ascending, of each class, (k, b - 1).
        middles: score that stands for each, (k, b).
        shares: of values, (k, b).
        noises: how many noisy counts each is the sum of, (b,).
        single: which of them hold a single value, (b,).
    """

    edges: np.ndarray
    middles: np.ndarray
    shares: np.ndarray
    noises: np.ndarray
    single: np.ndarray

    @classmethod
    def of(cls, scores: NormalScores, number: int, shares: np.ndarray, limits: np.ndarray) -> _Bins:
        """Those of a cell, of whose values these are the shares in bins, (k, b), and at the limits, (k, 2)."""
        shares, edges, middles = shares.copy(), scores.edges(number), scores.middles(number)
        noises = scores.bins[number].noises[: scores.bins[number].values]
        single, heaps = scores.cells[number].scale.single, scores.heaps[number]
        for end, place in ((0, 0), (1, -1)):
            if not heaps[end]:
                continue
            alone = np.minimum(limits[:, end], shares[:, place])
            edge = ndtri(heaps[end]) * (1 - 2 * end)
            at = end * shares.shape[1]
            shares[:, place] -= alone
            noises[place] = 1
            shares, middles = np.insert(shares, at, alone, 1), np.insert(middles, at, scores.of_limits(number)[end], 1)
            noises, single = np.insert(noises, at, 1), np.insert(single, at, True)
            edges = np.insert(edges, end * edges.shape[1], edge, axis=1)
        return cls(edges.clip(-LIMIT, LIMIT), middles, shares, noises, single)


@dataclass(frozen=True)
class _Observed:
    """What would be measured of the values that draws stand for.

    Args:
        scores: (k, n, W), with the slope of the draws.
        probabilities: of categories and of missing values, (k, n, c) each.
        indicated: which of them were drawn, by the first of their columns, with the slope of their probabilities.
        there: which scores are of a value that is there, (k, n, W), with that slope; None where all are.
    """

    scores: torch.Tensor
    probabilities: list[torch.Tensor]
    indicated: dict[int, torch.Tensor]
    there: torch.Tensor | None


class Residuals:
    """Differences between a batch of draws and what was measured, over their standard errors.

    Args:
        schema: of the cohort.
        measured: what was bought.
        histograms_weight: of histograms against products of scores; 1 is by precision alone.
        edges: inner edges that a step takes histograms at, drawn afresh each time; bins between them count together.
    """

    def __init__(self, schema: Schema, measured: Measured, histograms_weight: float = 1.0, edges: int = 8) -> None:
        self._weight, self._drawn_edges = histograms_weight, edges
        self._bins_noise = torch.tensor([each.noise_sd / each.participants for each in measured.histograms])  # (k,)
        scores = NormalScores(schema, measured.histograms)
        by_class = [scores.split(each.shares(scores.bins)) for each in measured.histograms]
        self._presence = Presence(scores) if schema.may_be_missing.any() else None
        pairs = np.triu(np.ones((scores.width + 1,) * 2))
        pairs[0, 0] = 0
        classes = len(measured.products)
        edges_of, middles = np.full((classes, scores.width, MOST - 1), np.inf), np.zeros((classes, scores.width, MOST))
        shares, bins = np.zeros((classes, scores.width, MOST)), np.zeros((scores.width, MOST))
        there = np.ones((classes, scores.width))
        single = np.zeros((scores.width, MOST), dtype=bool)
        self._discrete = discrete_scores(scores)
        self._indicated: list[torch.Tensor] = []  # what was measured of them, (k, c)
        for number, cell in enumerate(scores.cells):
            values = np.stack([each[number] for each, _, _ in by_class])  # (k, b)
            there[:, cell.first : cell.first + cell.width + cell.flagged] = np.array(
                [[1 - lacking[number]] for _, lacking, _ in by_class]
            )
            if cell.measure.nominal:
                inside = slice(cell.first + 1, cell.first + cell.width + 1)
                pairs[inside, inside] = 0  # fixed by the shares
                scored = len(scores.indicated(number))
                self._indicated.append(torch.from_numpy(values[:, -scored:]).float())
            else:
                limits = np.array([each.limits[number] / each.participants for each in measured.histograms])
                own = _Bins.of(scores, number, values, limits / there[:, cell.first, None])
                size = len(own.single)
                edges_of[:, cell.first, : size - 1], middles[:, cell.first, :size] = own.edges, own.middles
                shares[:, cell.first, :size], bins[cell.first, :size] = own.shares, own.noises
                single[cell.first, :size] = own.single
            if cell.flagged:
                pairs[cell.flag + 1, cell.flag + 1] = 0
                missing = np.array([[missing[number]] for _, _, missing in by_class])
                there[:, cell.flag] /= 1 - missing[:, 0]  # of who attends
                self._indicated.append(torch.from_numpy(missing).float())
        self._products = ProductResiduals(measured, pairs, scores.encoding.before)
        self._tables = TableResiduals(measured, scores)
        self._edges, self._middles = torch.from_numpy(edges_of).float(), torch.from_numpy(middles).float()
        stepped = single.any(axis=1)
        self._stepped = torch.from_numpy(np.flatnonzero(stepped))  # (s,), scores with bins of a single value
        self._single = torch.from_numpy(single[stepped])  # these bins, (s, MOST)
        self._shares, self._bins = torch.from_numpy(shares).float(), torch.from_numpy(bins).float()
        self._there = torch.from_numpy(there).float()  # (k, W), shares of participants with a value

    def loss(self, drawn: torch.Tensor, randomness: torch.Generator, batch_variance: float) -> torch.Tensor:
        """Half the sum of squared residuals, each over its variance; its expectation does not grow with the noise of
        the batch, because the two halves of the batch are compared with what was measured one by one.

        Args:
            drawn: normal scores of n draws of each class, (k, n, W), n even.
            randomness: of categories and of edges.
            batch_variance: how much of the variance of the batch is added to that of the measurements.
        """
        observed = self._observed(drawn, randomness)
        there = None if observed.there is None else observed.there.detach()
        loss = self._products.loss(observed.scores, batch_variance)
        loss = loss + self._tables.loss(drawn, observed.indicated, observed.there, batch_variance)
        loss = loss + self._weight * self._bins_loss(drawn, there, randomness, batch_variance)
        for (columns, _), measured, each in zip(self._discrete, self._indicated, observed.probabilities, strict=True):
            known = self._there[:, columns.start, None]
            variance = (self._bins_noise[:, None] / known) ** 2 + batch_variance / 4 / drawn.shape[1]
            weights = None if there is None else there[..., columns.start, None]
            first, second = (mean - measured for mean in _means_of_halves(each, weights))  # (k, c)
            loss = loss + self._weight * (first * second / variance).sum()
        return loss / 2

    def _observed(self, drawn: torch.Tensor, randomness: torch.Generator) -> _Observed:
        scores = drawn.clamp(-LIMIT, LIMIT)
        if len(self._stepped):
            limited, places = scores[..., self._stepped], self._places(drawn, self._stepped)  # (k, n, s), (k, s, n)
            middles, single = (
                each.gather(2, places).transpose(1, 2)
                for each in (self._middles[:, self._stepped], self._single.expand(len(drawn), -1, -1))
            )
            stepped = torch.where(single, limited + (middles - limited).detach(), limited)
            scores = scores.index_copy(2, self._stepped, stepped)
        probabilities, indicated = [], {}
        for columns, shares in self._discrete:
            each = category_probabilities(drawn[..., columns], shares)
            chosen = drawn_categories(each.detach(), randomness)
            indicated[columns.start] = each + (chosen - each).detach()
            scores = torch.cat(
                [
                    scores[..., : columns.start],
                    standardised_indicators(indicated[columns.start], shares),
                    scores[..., columns.stop :],
                ],
                dim=-1,
            )
            probabilities.append(each)
        if self._presence is None:
            return _Observed(scores, probabilities, indicated, None)
        last = torch.tensor([drawn.shape[-1] - 1])
        there = self._presence.of(self._places(drawn, last)[:, 0], indicated)
        return _Observed(scores * there, probabilities, indicated, there)

    def _places(self, drawn: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Bins that draws of some scores are in, (k, columns, n)."""
        return torch.searchsorted(self._edges[:, columns], drawn.detach()[..., columns].transpose(1, 2).contiguous())

    def _bins_loss(
        self,
        drawn: torch.Tensor,
        there: torch.Tensor | None,
        randomness: torch.Generator,
        batch_variance: float,
    ) -> torch.Tensor:
        chosen = torch.randperm(MOST - 1, generator=randomness)[: self._drawn_edges].sort().values  # (e,)
        together = torch.bucketize(torch.arange(MOST), chosen)  # (MOST,), which bins count together
        size = len(chosen) + 1
        shares = self._shares.new_zeros(len(self._shares), len(self._bins), size).index_add_(2, together, self._shares)
        bins = self._bins.new_zeros(len(self._bins), size).index_add_(1, together, self._bins)
        likely = shares.clamp(0, 1)
        noise = (self._bins_noise[:, None, None] / self._there[..., None]) ** 2 * bins.clamp(min=1)
        variance = noise + batch_variance * (likely * (1 - likely) + 1e-3) / drawn.shape[1]
        edges = self._edges[..., chosen].transpose(1, 2)[:, :, None]  # (k, e, 1, W)
        below = torch.sigmoid(SMOOTHNESS * edges - SMOOTHNESS * drawn[:, None])  # (k, e, n, W)
        weights = None if there is None else there[:, None]
        first, second = (_between(mean) - shares for mean in _means_of_halves(below, weights))  # (k, W, e + 1)
        return ((bins > 0) * first * second / variance).sum()


def _means_of_halves(draws: torch.Tensor, weights: torch.Tensor | None) -> Iterator[torch.Tensor]:
    """Means over each half of the draws (..., n, c), each with its weight."""
    halves = draws.unflatten(-2, (2, -1))  # (..., 2, n / 2, c)
    if weights is None:
        return iter(halves.mean(dim=-2).unbind(-2))
    known = weights.unflatten(-2, (2, -1))
    means = (halves * known).sum(dim=-2) / known.sum(dim=-2).clamp(min=1)
    return iter(means.unbind(-2))


def _between(below: torch.Tensor) -> torch.Tensor:
    """Shares between edges, (k, W, e + 1), from those below them, (k, e, W)."""
    ends = below.new_zeros(len(below), 1, below.shape[-1])
    return torch.diff(torch.cat([ends, below, ends + 1], dim=1), dim=1).transpose(1, 2)
