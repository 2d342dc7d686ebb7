"""Noisy histograms of every measured cell of each label class, on public grids, under one charge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import dp_accounting
import numpy as np

from cohorts import Encoding, Schema
from cohorts.encoding import Cell
from cohorts.labels.stretches import PARTS
from cohorts.scale import BINS
from privacy.mechanisms.gaussian import GaussianNoise, scale_for
from privacy.mechanisms.labels import require_labels, shares_of_classes
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.mechanisms.simplex import onto_simplex
from privacy.mechanisms.smoothing import smooth_shares, smooth_stretches

RAREST = 0.005
"""Share below which a category, or having a value at all, counts as no rarer."""

LEAST_SIZE = 2.0
"""Standard deviations of the noise on one count that a class is believed to have in participants, at least, or half of
what is expected where that is fewer."""

HEAP = 3.0
"""Standard deviations of noise beyond which there are believed to be values at a limit."""


@dataclass(frozen=True)
class ClassHistograms:
    """What was bought about one label class: safe to look at.

    Args:
        counts: float64 (B,), noisy, of all cells one after another; perhaps below 0.
        noise_sd: standard deviation of the noise on each.
        participants: of the class, as all cells together say; see ``size_variance``.
        limits: float64 (C, 2), of each cell how many of those in the first and in the last bin have the very limit of
            the measure, noisy as well; 0 where that is not counted, or is no more than noise.
        smooth: float64 (B,), shares of the class in each bin that are near the true ones: of each cell none below 0,
            with the sum 1; see ``smooth_shares``.
    """

    counts: np.ndarray
    noise_sd: float
    participants: float
    limits: np.ndarray
    smooth: np.ndarray

    def shares(self, bins: Sequence[Bins]) -> list[np.ndarray]:
        """Those that are smooth, (b,) for each cell.

        Args:
            bins: of each cell.
        """
        return np.split(self.smooth, np.cumsum([each.width for each in bins])[:-1])


@dataclass(frozen=True)
class Bins:
    """The bins of one cell.

    Args:
        values: how many there are for values.
        may_lack: whether one more is for participants without a value.
        measure: the number of the cell's measure; None where its bins are in no order, as categories are, or stretches.
        alike: whether all classes have the same shares, since they are arms and it is from before randomisation.
        stretches: of a cell that says where an outcome lies within its class, how many bins each stretch of each class
            has, which are in an order of their own; empty for any other.
        spike: whether the first is for zero alone, which says nothing of the positive values beside it.
        widths: of those for values, beside each other, (values,); see ``Scale``.
        limits: positions of the two limits of the measure, where those who are there are counted one by one; else None.
    """

    values: int
    may_lack: bool
    measure: int | None
    alike: bool
    stretches: tuple[tuple[int, ...], ...] = ()
    spike: bool = False
    widths: tuple[float, ...] = ()
    limits: tuple[float, float] | None = None

    @classmethod
    def of(cls, cell: Cell) -> Bins:
        """Those of its measure's scale."""
        scale, ordered = cell.scale, not (cell.measure.nominal or cell.stretches)
        stretches = tuple(tuple(each * BINS // PARTS for each in parts) for parts in cell.stretches)
        row, limits = (cell.row, scale.limits) if ordered else (None, None)
        return cls(scale.bins, cell.may_lack, row, cell.before, stretches, scale.spike, tuple(scale.widths), limits)

    @property
    def width(self) -> int:
        """How many there are, b."""
        return self.values + self.may_lack

    @property
    def together(self) -> slice:
        """Those whose shares say something of their neighbours': not of zero alone, nor of having no value."""
        return slice(int(self.spike), self.values)

    @property
    def noises(self) -> np.ndarray:
        """How many noisy counts each count is the sum of, (b,): of the first and the last two, where limits count."""
        noises = np.ones(self.width)
        if self.limits:
            noises[[0, self.values - 1]] = 2
        return noises


def size_variance(bins: Sequence[Bins]) -> float:
    """The variance of a class's number of participants, as all cells together say it, over that of one count's noise.

    The counts of each cell add up to that number; cells count for it by how little noise theirs have together.
    """
    return 1 / sum(1 / float(each.noises.sum()) for each in bins)


def class_shares(schema: Schema, histograms: Sequence[ClassHistograms]) -> tuple[float, ...]:
    """Share of each class: what the schema says of arms, which somebody decided; of an outcome what was bought."""
    if schema.label.randomised:
        return shares_of_classes(schema)
    together = sum(each.participants for each in histograms)
    return tuple(each.participants / together for each in histograms)


@dataclass(frozen=True)
class NoisyHistograms(Whole):
    """How many participants of each label class have each value of each cell. Every field is public.

    A participant, added or removed, changes one count of each cell by 1, and nothing of the other classes: the 2-norm
    of that is the root of the number of cells, exactly, since counts are whole numbers. Who lacks a value counts too,
    in a bin for that; and who has the very limit of a measure of many values counts for the limit, not for the bin, to
    which that is added afterwards.

    Args:
        bins: of each of the C cells.
        expected: nominal number of participants of each class who will be read.
        noise_sd: standard deviation of the noise on each count.
    """

    bins: tuple[Bins, ...]
    expected: tuple[float, ...]
    noise_sd: float

    kind: ClassVar[Kind] = "measurement"

    @classmethod
    def costing(cls, schema: Schema, split_share: float, rho: float) -> NoisyHistograms:
        """The least noise whose charge is at most ``rho``; arguments as those of ``NoisyMoments.costing``."""
        bins = tuple(Bins.of(cell) for cell in Encoding(schema).cells)
        expected = tuple(schema.nominal_size * split_share * each.share for each in schema.label.classes)
        return cls(bins, expected, scale_for(rho, math.sqrt(len(bins))))

    @property
    def event(self) -> dp_accounting.ZCDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        return self._noise.event

    def release(self, positions: np.ndarray, labels: np.ndarray) -> tuple[ClassHistograms, ...]:
        """Noisy counts of participants.

        Args:
            positions: (n, C), as ``Encoding.positions`` gives them. Sensitive.
            labels: number of the class, (n,). Sensitive.

        Returns:
            Histograms of each of the k classes: protected at the price of ``event``.

        Raises:
            ValueError: when shapes do not fit, or a label is the number of no class.
        """
        counts = separate_counts(positions, labels, self.bins, len(self.expected))
        return self._made_of(self._noise.release(counts).reshape(len(self.expected), -1))

    def again(
        self, released: Sequence[ClassHistograms], moved: Sequence[np.ndarray], randomness: np.random.Generator
    ) -> tuple[ClassHistograms, ...]:
        """What ``release`` might give of participants who are distributed as it said before; reads nobody.

        Args:
            released: of each of the k classes.
            moved: by how much the shares of all bins are others in each class, [k] (B,).
            randomness: any; there is nothing to hide here.
        """
        outermost, separate = _outermost(self.bins), []
        for each, by in zip(released, moved, strict=True):
            inside, limits = each.participants * (each.smooth + by), each.limits.ravel()
            np.subtract.at(inside, outermost, limits)
            separate.append(np.concatenate([inside, limits]))
        noise = self.noise_sd * randomness.standard_normal((len(separate), len(separate[0])))
        return self._made_of(np.array(separate) + noise)

    def _made_of(self, separate: np.ndarray) -> tuple[ClassHistograms, ...]:
        """Histograms of noisy counts (k, B + 2 C), those at limits apart."""
        noisy, limits = self._together(separate)
        sums = np.add.reduceat(noisy, np.cumsum([0, *(each.width for each in self.bins[:-1])]), axis=1)  # (k, C)
        weights = np.array([1 / each.noises.sum() for each in self.bins])  # a cell of few bins says more of all
        least = np.minimum(np.array(self.expected) / 2, LEAST_SIZE * self.noise_sd)
        participants = np.maximum(sums @ (weights / weights.sum()), least)  # (k,)
        smooth = self._smooth(
            noisy / participants[:, None], limits / participants[:, None, None], self.noise_sd / participants
        )
        alike = np.repeat([each.alike for each in self.bins], [each.width for each in self.bins])  # (B,)
        smooth[:, alike] = np.average(smooth[:, alike], axis=0, weights=participants)
        return tuple(
            ClassHistograms(noisy[label], self.noise_sd, float(participants[label]), limits[label], smooth[label])
            for label in range(len(self.expected))
        )

    def _together(self, separate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Counts of all in each bin, (k, B), and of those at the limits, (k, C, 2), from what was counted apart."""
        noisy, limits = np.split(separate, [sum(each.width for each in self.bins)], axis=1)
        limits = limits * np.repeat([each.limits is not None for each in self.bins], 2)
        noisy[:, _outermost(self.bins)] += limits
        believed = limits.sum(axis=0) > HEAP * self.noise_sd * math.sqrt(len(limits))
        return noisy, (believed * limits.clip(min=0)).reshape(len(limits), -1, 2)

    def _smooth(self, noisy: np.ndarray, limits: np.ndarray, noise_sd: np.ndarray) -> np.ndarray:
        """Shares (k, B) of the classes from noisy ones, those at limits (k, C, 2) apart; reads nobody."""
        cells = np.split(noisy, np.cumsum([each.width for each in self.bins])[:-1], axis=1)  # [C] (k, b)
        smooth = [np.array([onto_simplex(each) for each in cell]) for cell in cells]
        for measure in {each.measure for each in self.bins if each.measure is not None}:
            members = [number for number, each in enumerate(self.bins) if each.measure == measure]
            alone = [self._alone(number, cells[number], limits[:, number]) for number in members]  # [members] (k, b)
            rest = [1 - each.sum(axis=1, keepdims=True) for each in alone]  # [members] (k, 1)
            inside = [self.bins[number].together for number in members]
            noises = [self._noises(number, limits[:, number]) for number in members]  # [members] (b,)
            together = smooth_shares(
                np.concatenate([(cells[each] - alone[i])[:, inside[i]] / rest[i] for i, each in enumerate(members)]),
                np.concatenate([np.outer(noise_sd, noises[i][inside[i]]) / rest[i] for i in range(len(members))]),
                np.array(self.bins[members[0]].widths)[inside[0]],
            )
            for i, shares in enumerate(np.split(together, len(members))):
                alone[i][:, inside[i]] += rest[i] * shares
                smooth[members[i]] = alone[i]
        for number, bins in enumerate(self.bins):
            if bins.stretches:
                classes = zip(cells[number], noise_sd, bins.stretches, strict=True)
                smooth[number] = np.array([smooth_stretches(*each) for each in classes])
        return np.concatenate(smooth, axis=1)

    def _alone(self, number: int, noisy: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Shares (k, b) of a cell's values that say nothing of those beside them: zero, or the limits; else 0."""
        alone = noisy.clip(min=0)
        alone[:, self.bins[number].together] = 0
        alone[:, [0, self.bins[number].values - 1]] += limits
        largest: np.ndarray = alone.sum(axis=1, keepdims=True).clip(min=1 - RAREST)
        alone *= (1 - RAREST) / largest
        return alone

    def _noises(self, number: int, limits: np.ndarray) -> np.ndarray:
        """Standard deviations (b,) of what is left in a cell's bins, in those of one count."""
        noises = self.bins[number].noises
        apart = limits.any(axis=0)
        noises[[0, self.bins[number].values - 1]] -= apart
        roots: np.ndarray = np.sqrt(noises)
        return roots

    @property
    def _noise(self) -> GaussianNoise:
        size = len(self.expected) * sum(each.width + 2 for each in self.bins)
        largest = 4 * sum(self.expected)
        return GaussianNoise(size, 0.0, largest, math.sqrt(len(self.bins)), self.noise_sd)


def class_counts(positions: np.ndarray, labels: np.ndarray, bins: Sequence[Bins], classes: int) -> np.ndarray:
    """How many participants are in each bin: of class 0, then of class 1 and so on; not noisy, not for release.

    Args:
        positions: (n, C), any numbers; NaN counts as 0, and what is above 1 as no value where there may be none.
            Sensitive.
        labels: number of the class, (n,). Sensitive.
        bins: of each of the C cells.
        classes: k.

    Returns:
        float64 (k B,).
    """
    positions, labels = np.nan_to_num(np.asarray(positions, dtype=np.float64)), np.asarray(labels)
    if positions.ndim != 2 or positions.shape[1] != len(bins) or positions.shape[:1] != labels.shape:
        raise ValueError(f"positions must be {len(bins)} numbers for each label; nothing was released")
    require_labels(labels, classes)
    total = sum(each.width for each in bins)
    places = places_of(positions, bins) + total * labels[:, None]
    return np.bincount(places.ravel(), minlength=classes * total).astype(np.float64)


def places_of(positions: np.ndarray, bins: Sequence[Bins]) -> np.ndarray:
    """In which of all bins participants are with each cell, int64 (n, C).

    Args:
        positions: (n, C), finite numbers; what is above 1 is no value where there may be none. Sensitive.
        bins: of each cell.
    """
    widths, values = (np.array([getattr(each, name) for each in bins]) for name in ("width", "values"))
    none = (positions > 1) & np.array([each.may_lack for each in bins])
    inside = np.minimum(np.floor(positions.clip(0, 1) * values), values - 1)
    places: np.ndarray = np.where(none, values, inside).astype(np.int64) + np.cumsum(widths) - widths
    return places


def separate_counts(positions: np.ndarray, labels: np.ndarray, bins: Sequence[Bins], classes: int) -> np.ndarray:
    """The statistic of ``NoisyHistograms``: who is at a limit counts there and in no bin; not noisy, not for release.

    Args:
        positions: (n, C), as those of ``class_counts``. Sensitive.
        labels: number of the class, (n,). Sensitive.
        bins: of each of the C cells.
        classes: k.

    Returns:
        float64 (k (B + 2 C),): of each class its bins, then the lower and the upper limit of each cell.
    """
    counts = class_counts(positions, labels, bins, classes).reshape(classes, -1)
    inside = np.nan_to_num(np.asarray(positions, dtype=np.float64))
    limits = np.zeros((classes, len(bins), 2))
    for number, each in enumerate(bins):
        if each.limits:
            at, there = inside[:, number], not each.may_lack or inside[:, number] <= 1
            ends = [there & (at <= each.limits[0]), there & (at >= each.limits[1])]
            limits[:, number] = np.transpose([np.bincount(labels[end], minlength=classes) for end in ends])
    counts[:, _outermost(bins)] -= limits.reshape(classes, -1)
    return np.concatenate([counts, limits.reshape(classes, -1)], axis=1).ravel()


def _outermost(bins: Sequence[Bins]) -> np.ndarray:
    """Places of the first and of the last bin for values of each cell among all bins, (2 C,)."""
    begins = np.cumsum([each.width for each in bins]) - [each.width for each in bins]
    return np.stack([begins, begins + [each.values - 1 for each in bins]], axis=1).ravel()
