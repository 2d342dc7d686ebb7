"""Noisy histograms of every measured cell of each label class, on public grids, under one charge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import dp_accounting
import numpy as np

from cohorts import Encoding, Schema
from cohorts.schema import Measure
from privacy.mechanisms.gaussian import GaussianNoise, scale_for
from privacy.mechanisms.labels import require_labels
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.mechanisms.simplex import onto_simplex
from privacy.mechanisms.smoothing import smooth_shares

BINS = 32
"""Of a cell that can take more values than this: equal ones over its public range. Others have one for each value."""


@dataclass(frozen=True)
class ClassHistograms:
    """What was bought about one label class: safe to look at.

    Args:
        counts: float64 (B,), noisy, of all cells one after another; perhaps below 0.
        noise_sd: standard deviation of the noise on each.
        participants: of the class, as all cells together say; at least half the public expectation.
        smooth: float64 (B,), shares of the class in each bin that are near the true ones: of each cell none below 0,
            with the sum 1; see ``smooth_shares``.
    """

    counts: np.ndarray
    noise_sd: float
    participants: float
    smooth: np.ndarray

    def shares(self, bins: tuple[int, ...]) -> list[np.ndarray]:
        """Those that are smooth, (b,) for each cell.

        Args:
            bins: how many each cell has.
        """
        return np.split(self.smooth, np.cumsum(bins)[:-1])


@dataclass(frozen=True)
class NoisyHistograms(Whole):
    """How many participants of each label class have each value of each cell. Every field is public.

    A participant, added or removed, changes one count of each cell by 1, and nothing of the other classes: the 2-norm
    of that is the root of the number of cells, exactly, since counts are whole numbers.

    Args:
        bins: how many each of the C cells has.
        measures: the number of each cell's measure; None where its bins are in no order, as categories are.
        expected: nominal number of participants of each class who will be read.
        noise_sd: standard deviation of the noise on each count.
    """

    bins: tuple[int, ...]
    measures: tuple[int | None, ...]
    expected: tuple[float, ...]
    noise_sd: float

    kind: ClassVar[Kind] = "measurement"

    @classmethod
    def costing(cls, schema: Schema, split_share: float, rho: float) -> NoisyHistograms:
        """The least noise whose charge is at most ``rho``; arguments as those of ``NoisyMoments.costing``."""
        cells, measures = Encoding(schema).cells, list(schema.all_measures)
        bins = tuple(bins_of(measure) for measure in cells)
        numbers = tuple(None if each.discrete else measures.index(each) for each in cells)
        expected = tuple(schema.nominal_size * split_share * each.share for each in schema.label.classes)
        return cls(bins, numbers, expected, scale_for(rho, math.sqrt(len(bins))))

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return self._noise.event

    def release(self, positions: np.ndarray, labels: np.ndarray) -> tuple[ClassHistograms, ...]:
        """Noisy counts of participants.

        Args:
            positions: (n, C) in [0, 1], as ``Encoding.positions`` gives them. Sensitive.
            labels: number of the class, (n,). Sensitive.

        Returns:
            Histograms of each of the k classes: protected at the price of ``event``.

        Raises:
            ValueError: when shapes do not fit, or a label is the number of no class.
        """
        counts = class_counts(positions, labels, self.bins, len(self.expected))
        noisy = self._noise.release(counts).reshape(len(self.expected), -1)  # (k, B)
        participants = np.maximum(noisy.sum(axis=1) / len(self.bins), np.array(self.expected) / 2)  # (k,)
        smooth = self._smooth(noisy / participants[:, None], self.noise_sd / participants)
        return tuple(
            ClassHistograms(noisy[label], self.noise_sd, float(participants[label]), smooth[label])
            for label in range(len(self.expected))
        )

    def _smooth(self, noisy: np.ndarray, noise_sd: np.ndarray) -> np.ndarray:
        """Shares (k, B) of the classes from noisy ones, the cells of a measure together; reads nobody."""
        cells = np.split(noisy, np.cumsum(self.bins)[:-1], axis=1)  # [C] (k, b)
        smooth = [np.array([onto_simplex(each) for each in cell]) for cell in cells]
        for measure in {each for each in self.measures if each is not None}:
            members = [number for number, each in enumerate(self.measures) if each == measure]
            together = smooth_shares(np.concatenate([cells[each] for each in members]), np.tile(noise_sd, len(members)))
            for member, shares in zip(members, np.split(together, len(members)), strict=True):
                smooth[member] = shares  # (k, b)
        return np.concatenate(smooth, axis=1)

    @property
    def _noise(self) -> GaussianNoise:
        size, largest = len(self.expected) * sum(self.bins), 4 * sum(self.expected)
        return GaussianNoise(size, 0.0, largest, math.sqrt(len(self.bins)), self.noise_sd)


def bins_of(measure: Measure) -> int:
    """One for each value, or ``BINS`` equal ones over the range of a measure that can take more."""
    return min(measure.count or BINS, BINS)


def class_counts(positions: np.ndarray, labels: np.ndarray, bins: tuple[int, ...], classes: int) -> np.ndarray:
    """The statistic of ``NoisyHistograms``: counts of class 0, then of class 1 and so on; not noisy, not for release.

    Args:
        positions: (n, C), any numbers; NaN counts as 0. Sensitive.
        labels: number of the class, (n,). Sensitive.
        bins: of each of the C cells.
        classes: k.

    Returns:
        float64 (k B,).
    """
    positions, labels = np.nan_to_num(np.asarray(positions, dtype=np.float64)).clip(0, 1), np.asarray(labels)
    if positions.ndim != 2 or positions.shape[1] != len(bins) or positions.shape[:1] != labels.shape:
        raise ValueError(f"positions must be {len(bins)} numbers for each label; nothing was released")
    require_labels(labels, classes)
    widths, total = np.array(bins), sum(bins)
    places = (
        np.minimum(np.floor(positions * widths), widths - 1).astype(np.int64) + np.cumsum(widths) - widths
    )  # (n, C)
    return np.bincount((places + total * labels[:, None]).ravel(), minlength=classes * total).astype(np.float64)
