"""Two-way tables of those pairs of cells that means and products say least about, chosen and bought with noise.

Products of normal scores say of two measures how far one rises or falls with the other. They do not say that those
with few and those with many positive nodes got no chemotherapy while those between did, nor that who was never treated
has been treated for 0 days. So it is worked out, from what was released already, how many participants there would be
in each part of each such table if normal scores were Gaussian in each class; the tables that are furthest from it are
chosen, with noise, and bought, as McKenna et al. choose them.

Source: McKenna, Mullins, Sheldon & Miklau, "AIM: An Adaptive and Iterative Mechanism for Differentially Private
Synthetic Data", 2022, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import dp_accounting
import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from cohorts import Encoding, Schema
from privacy.mechanisms.gaussian import GaussianNoise, scale_for
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.mechanisms.moments import COUNT_SHARE, ClassMoments, NoisyProducts, lifted, nearest_covariance
from privacy.mechanisms.noisy_top import NoisyTop
from privacy.mechanisms.normal_scores import LIMIT, NormalScores

TABLES = 8
"""How many are bought, where there are as many pairs."""

CHOICE_SHARE = 0.3
"""Of their rho, for choosing them; counting gets the rest."""

MOST_PARTS, FEWEST_PARTS = 6, 3
"""Parts that the values of a cell are divided into, those without a value apart."""

NOISES_PER_PART = 4.0
"""Standard deviations of the noise that participants should be in each part of a table, on average, where neither of
its cells has limits, missing values or categories that are parts of their own."""

RAREST_PART = 0.02
"""Share of the values below which none are a part of their own, nor are a limit and the rest of its bin parted."""

DRAWS, ROUNDS = 2**13, 6
"""Gaussian draws of each class, and how often they are moved until of them would be measured what was."""

AT_A_TIME = 2**13
"""Participants who are counted at once; counts of so many are exact in single precision."""

BEYOND = 1.2
"""How far a step may take a correlation before all are made those of a distribution."""


@dataclass(frozen=True)
class TwoWayTable:
    """What was bought of one pair of cells: safe to look at.

    Args:
        cells: their numbers.
        shares: float64 (a, b), of all participants in each part, noisy; perhaps below 0.
        noise_sd: standard deviation of the noise on each.
        parts: how many parts the values of a cell with many are divided into; see ``Parts``.
    """

    cells: tuple[int, int]
    shares: np.ndarray
    noise_sd: float
    parts: int

    def content(self) -> dict[str, Any]:
        """All of it as numbers and lists, for a file."""
        return {
            "cells": list(self.cells),
            "shares": self.shares.tolist(),
            "noise_sd": self.noise_sd,
            "parts": self.parts,
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> TwoWayTable:
        """What ``content`` took apart."""
        first, second = content["cells"]
        return cls((first, second), np.array(content["shares"]), content["noise_sd"], content["parts"])


class Parts:
    """Parts of each cell's values, about equally frequent as histograms say; made from released numbers alone.

    Categories are a part each, and so is a limit that many have; whoever has no value is in a part of their own, the
    last.

    Args:
        scores: that the histograms define.
        count: of the parts of a cell that is not nominal, beside those.
    """

    def __init__(self, scores: NormalScores, count: int) -> None:
        self.scores = scores
        nominal = [cell.measure.nominal for cell in scores.cells]
        self.edges = [None if each else self._edges(number, count) for number, each in enumerate(nominal)]
        """Scores between the parts of a cell that is not nominal, ascending, of each class: [C] (k, e)."""
        self.values = [
            len(scores.pooled[number]) if edges is None else edges.shape[1] + 1
            for number, edges in enumerate(self.edges)
        ]
        self.sizes = [
            values + cell.may_lack for values, cell in zip(self.values, scores.cells, strict=True)
        ]  # [C], with those who lack a value

    def _edges(self, number: int, count: int) -> np.ndarray:
        """Edges about evenly spread over the values; of those that would leave hardly anybody between them one."""
        scores, heaps = self.scores.edges(number), self.scores.heaps[number]  # (k, b - 1)
        below = np.cumsum(self.scores.pooled[number])[:-1]  # at the inner edges of bins
        nearest = np.unique(np.abs(below[:, None] - np.arange(1, count) / count).argmin(axis=0))
        ends = [(share if end == 0 else 1 - share) for end, share in enumerate(heaps) if share > RAREST_PART]
        others = np.array([0.0, 1.0, *ends])
        inner = [place for place in nearest if np.abs(below[place] - others).min() > RAREST_PART]
        of_heaps = [np.full((len(scores), 1), ndtri(share)) for share in ends]
        return np.sort(np.concatenate([scores[:, inner], *of_heaps], axis=1), axis=1)

    def of(self, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """In which part of each cell participants are, (n, C), by their values (n, M, V) and classes (n,)."""
        positions = self.scores.encoding.positions(values)
        scores = self.scores.scores(values, labels)
        places = np.empty(positions.shape, dtype=np.int64)
        for number, (cell, edges) in enumerate(zip(self.scores.cells, self.edges, strict=True)):
            if edges is None:
                which = np.floor(positions[:, number].clip(max=1) * self.values[number])
                places[:, number] = which.clip(max=self.values[number] - 1)
            else:
                for label, own in enumerate(edges):
                    who = labels == label
                    places[who, number] = np.searchsorted(own, scores[who, cell.first])
            if cell.may_lack:
                places[positions[:, number] > 1, number] = self.values[number]
        return places

    def counts(self, places: np.ndarray) -> np.ndarray:
        """How many there are in each two parts: whole numbers (P, P), P being all parts of all cells one by one."""
        begins = np.cumsum([0, *self.sizes[:-1]])
        together = np.zeros((sum(self.sizes),) * 2)
        for begin in range(0, len(places), AT_A_TIME):
            block = places[begin : begin + AT_A_TIME] + begins
            indicators = np.zeros((len(block), len(together)), dtype=np.float32)
            np.put_along_axis(indicators, block, 1, axis=1)
            together += indicators.T @ indicators
        return together

    def table(self, together: np.ndarray, first: int, second: int) -> np.ndarray:
        """That of two cells, of what ``counts`` gives."""
        begins = np.cumsum([0, *self.sizes])
        found: np.ndarray = together[begins[first] : begins[first + 1], begins[second] : begins[second + 1]]
        return found


@dataclass(frozen=True)
class Known:
    """What was released before tables are chosen: safe to look at.

    Args:
        scores: that histograms define.
        products: of each class.
        moments: of each class's scores over LIMIT, as products say them.
        sizes: of each class.
    """

    scores: NormalScores
    products: Sequence[NoisyProducts]
    moments: Sequence[ClassMoments]
    sizes: Sequence[float]


@dataclass(frozen=True)
class Gains:
    """What there is to choose from. Sensitive.

    Args:
        parts: of the cells.
        counts: of participants in each two parts; see ``Parts.counts``.
        pairs: of cells, by number.
        gained: of each pair by how many participants its table is away from what is known already, less what noise
            would take it away, (K,); moves by at most 1.
    """

    parts: Parts
    counts: np.ndarray
    pairs: list[tuple[int, int]]
    gained: np.ndarray


@dataclass(frozen=True)
class NoisyTables(Whole):
    """Which pairs are furthest from what is known already, and their tables. Every field is public.

    A participant, added or removed, changes one count of each table by 1. So the sum of absolute differences from what
    is known, rounded to whole numbers, moves by at most 1 for each pair, and the counts of the chosen ones by the root
    of their number in 2-norm, exactly, since counts are whole numbers. Guarantee: ``event``, the composition of both;
    which tables are counted may depend on what was chosen.

    Args:
        chosen: how they are chosen.
        expected: nominal number of participants who will be read.
        noise_sd: standard deviation of the noise on each count.
        draws: of each class, by which it is worked out what is known.
    """

    chosen: NoisyTop
    expected: float
    noise_sd: float
    draws: int = DRAWS

    kind: ClassVar[Kind] = "measurement"

    @classmethod
    def costing(cls, schema: Schema, split_share: float, rho: float) -> NoisyTables | None:
        """The least noise whose charge is at most ``rho``.

        Args:
            schema: gives the cells, and the nominal size.
            split_share: expected share of participants in the splits that are read.
            rho: what may be spent, in zCDP.

        Returns:
            None where a table of three by three parts would have fewer than ``NOISES_PER_PART`` in each, or where there
            is no pair.
        """
        cells, expected = len(Encoding(schema).cells), schema.nominal_size * split_share
        count = min(TABLES, cells * (cells - 1) // 2)
        if not count:
            return None
        noise_sd = scale_for(rho * (1 - CHOICE_SHARE), math.sqrt(count))
        mechanism = cls(NoisyTop.costing(rho * CHOICE_SHARE, count), expected, noise_sd)
        return mechanism if mechanism.parts >= FEWEST_PARTS else None

    @property
    def parts(self) -> int:
        """How many parts the values of a cell are divided into."""
        return min(MOST_PARTS, int(math.sqrt(self.expected / (NOISES_PER_PART * self.noise_sd))))

    @property
    def event(self) -> dp_accounting.ComposedDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return dp_accounting.ComposedDpEvent([self.chosen.event, self._noise(1).event])

    def gains(self, values: np.ndarray, labels: np.ndarray, known: Known) -> Gains:
        """What there is to choose from: not noisy, not for release. Arguments as those of ``release``."""
        parts = Parts(known.scores, self.parts)
        counts = parts.counts(parts.of(values, labels))
        apart = np.abs(counts - np.rint(self._expected(parts, known)))
        begins = np.cumsum([0, *parts.sizes[:-1]])
        distances = np.add.reduceat(np.add.reduceat(apart, begins, axis=0), begins, axis=1)  # (C, C)
        noise = math.sqrt(2 / math.pi) * self.noise_sd * np.outer(parts.sizes, parts.sizes)
        pairs = np.triu_indices(len(parts.sizes), 1)
        gained = distances[pairs].astype(np.int64) - np.rint(noise[pairs]).astype(np.int64)
        return Gains(parts, counts, list(zip(*(each.tolist() for each in pairs), strict=True)), gained)

    def release(self, values: np.ndarray, labels: np.ndarray, known: Known) -> tuple[TwoWayTable, ...]:
        """Choose pairs, and count.

        Args:
            values: (n, M, V), in each measure's unit. Sensitive.
            labels: number of the class, (n,). Sensitive.
            known: what was released before.

        Returns:
            As many tables as are chosen: protected at the price of ``event``.
        """
        found, participants = self.gains(values, labels, known), sum(known.sizes)
        cells = [found.pairs[place] for place in self.chosen.release(found.gained)]
        exact = [found.parts.table(found.counts, *each) for each in cells]
        noisy = self._noise(sum(each.size for each in exact)).release(np.concatenate([each.ravel() for each in exact]))
        counts = np.split(noisy, np.cumsum([each.size for each in exact])[:-1])
        return tuple(
            TwoWayTable(which, own.reshape(table.shape) / participants, self.noise_sd / participants, self.parts)
            for which, table, own in zip(cells, exact, counts, strict=True)
        )

    def _noise(self, size: int) -> GaussianNoise:
        return GaussianNoise(size, 0, 4 * self.expected, math.sqrt(self.chosen.count), self.noise_sd)

    def _expected(self, parts: Parts, known: Known) -> np.ndarray:
        """Participants in each two parts, (P, P), if scores were Gaussian in each class; reads nobody."""
        standard = qmc.MultivariateNormalQMC(np.zeros(parts.scores.width), rng=0).random(self.draws)
        found = np.zeros((sum(parts.sizes),) * 2)
        for label, (bought, begin, size) in enumerate(zip(known.products, known.moments, known.sizes, strict=True)):
            labels = np.full(self.draws, label)
            values = _values_as_measured(bought, begin, standard, labels, parts.scores)
            found += size / self.draws * parts.counts(parts.of(values, labels))
        return found


def _values_as_measured(
    bought: NoisyProducts, moments: ClassMoments, standard: np.ndarray, labels: np.ndarray, scores: NormalScores
) -> np.ndarray:
    """Values (n, M, V) of draws of a class of which would be measured what was, rounding and limits included."""
    for gain in 1 - np.arange(ROUNDS) / ROUNDS:
        seen = scores.scores(_values(moments, standard, labels, scores), labels) / LIMIT
        vectors = lifted(seen, bought.radius)
        lacking = gain * (bought.smooth - vectors.T @ vectors / len(vectors))
        shortened = 1 / np.linalg.norm(seen, axis=1).clip(bought.radius)
        shift = lacking[0, 1:] / (math.sqrt(COUNT_SHARE * (1 - COUNT_SHARE)) * shortened.mean())
        turn = lacking[1:, 1:] / ((1 - COUNT_SHARE) * np.square(shortened).mean())
        sizes = np.sqrt(np.diag(moments.covariance))
        correlations = ((moments.covariance + turn) / np.outer(sizes, sizes)).clip(-BEYOND, BEYOND)
        np.fill_diagonal(correlations, 1)
        nearest = nearest_covariance(correlations, float(len(sizes)))
        sizes = sizes / np.sqrt(np.diag(nearest).clip(1e-6))
        moments = ClassMoments(moments.mean + shift, nearest * np.outer(sizes, sizes))
    return _values(moments, standard, labels, scores)


def _values(moments: ClassMoments, standard: np.ndarray, labels: np.ndarray, scores: NormalScores) -> np.ndarray:
    return scores.values(LIMIT * (moments.mean + standard @ moments.root.T), labels)
