"""What bought histograms say of one cell, with the error of the noise that was bought and of the trial's own sampling.

Of a class with N participants and a cell with w bins, the bins' true counts c_1 to c_w add up to N, whatever the cell.
Each was bought with independent Gaussian noise of a known standard deviation s. All C cells together say N far better
than one does: N' is the mean of the C sums, with the variance s^2 B / C^2, B being the number of all bins. So counts
are first brought in line with it,

    c'_b = c_b + e_b - (S - N') / w,    S the noisy sum of the cell's own counts,

which is the least-squares estimate of the counts. A linear functional of them then has the error

    sum_b a_b (c'_b - c_b) = sum_b (a_b - mean(a)) e_b + mean(a) (N' - N),

whose two parts are independent, because N' depends on this cell's noise through its sum alone:

    variance = s^2 ( sum_b (a_b - mean(a))^2 + mean(a)^2 B / C^2 ).

Means, shares and variances are ratios t = sum f_b c'_b / sum g_b c'_b. To first order their error is the functional
with a = (f - t g) / sum g_b c'_b, and the sampling error of as many participants has the variance
E[(f - t g)^2] / (N E[g]^2), for which the smooth shares stand. No class size is taken from the files: N' was paid for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cohorts.encoding import Cell
from privacy.mechanisms.histograms import Bins, ClassHistograms, size_variance

FINENESS = 64
"""Values at which a bin of a continuum is looked at."""


@dataclass(frozen=True)
class Ratio:
    """An estimate of a share, a mean or a variance.

    Args:
        value: in the unit of what was asked for.
        noise_sd: standard deviation of the error that privacy makes.
        sampling_sd: of the error of having measured so many participants and no more.
    """

    value: float
    noise_sd: float
    sampling_sd: float

    @property
    def sd(self) -> float:
        """Of both errors together."""
        return math.hypot(self.noise_sd, self.sampling_sd)

    def less(self, other: Ratio) -> Ratio:
        """The difference from that of another class, whose errors are independent."""
        return Ratio(
            self.value - other.value,
            math.hypot(self.noise_sd, other.noise_sd),
            math.hypot(self.sampling_sd, other.sampling_sd),
        )


@dataclass(frozen=True)
class BoughtCell:
    """One cell of one class.

    Args:
        counts: in line with the size of the class, (w,).
        smooth: shares with less noise, (w,); they serve where only a variance depends on them.
        values: how many of the w bins are for values; one more may be for having none.
        participants: N'.
        noise_sd: s.
        size_variance: the variance of N' over s^2.
        noises: how many noisy counts each is the sum of, (w,).
    """

    counts: np.ndarray
    smooth: np.ndarray
    values: int
    participants: float
    noise_sd: float
    size_variance: float
    noises: np.ndarray

    @classmethod
    def over_visits(cls, cells: Sequence[BoughtCell]) -> BoughtCell:
        """The mean of cells of one class; each has noise of its own, but for that of N', which they share."""
        counts, smooth = (mean_over_visits([getattr(each, name) for each in cells]) for name in ("counts", "smooth"))
        widest, visits = max(cells, key=lambda each: len(each.counts)), len(cells)
        noise_sd, size_variance = widest.noise_sd / math.sqrt(visits), widest.size_variance * visits
        return cls(counts, smooth, widest.values, widest.participants, noise_sd, size_variance, widest.noises)

    @property
    def size_sd(self) -> float:
        """Standard deviation of N'."""
        return self.noise_sd * math.sqrt(self.size_variance)

    @property
    def known(self) -> np.ndarray:
        """1 for bins of values, 0 for the one of having none: (w,)."""
        return (np.arange(len(self.counts)) < self.values).astype(float)

    def noise_of(self, weights: np.ndarray) -> float:
        """Standard deviation of the noise in ``weights @ counts``; weights (w,)."""
        middle = float(weights.mean())
        spread = float(np.square(weights - middle) @ self.noises)
        return self.noise_sd * math.sqrt(spread + middle**2 * self.size_variance)

    def ratio(self, above: np.ndarray, below: np.ndarray) -> Ratio:
        """``above @ counts / below @ counts``; both (w,), and below not negative."""
        base = max(float(below @ self.counts), 1.0)
        value = float(above @ self.counts) / base
        return Ratio(value, self.noise_of(above - value * below) / base, self.sampling_sd(above, below))

    def sampling_sd(self, above: np.ndarray, below: np.ndarray) -> float:
        """Standard deviation of the ratio over trials of as many participants."""
        share = max(float(below @ self.smooth), 1 / max(self.participants, 1.0))
        value = float(above @ self.smooth) / share
        return math.sqrt(float(self.smooth @ np.square(above - value * below)) / max(self.participants, 1.0)) / share


def mean_over_visits(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of the bins of one measure at several visits, (w,): nobody lacks a value where all have one for sure."""
    width = max(map(len, counts))
    mean: np.ndarray = np.mean([np.pad(each, (0, width - len(each))) for each in counts], axis=0)
    return mean


def bought_cells(histograms: ClassHistograms, bins: Sequence[Bins]) -> list[BoughtCell]:
    """What was bought of each cell of a class.

    Args:
        histograms: of the class.
        bins: of each of the C cells.
    """
    widths = np.array([each.width for each in bins])
    ends = np.cumsum(widths)[:-1]
    noisy, smooth = np.split(histograms.counts, ends), np.split(histograms.smooth, ends)
    size, variance = histograms.participants, size_variance(bins)
    return [
        BoughtCell(
            counts - (counts.sum() - size) / len(counts),
            shares,
            each.values,
            size,
            histograms.noise_sd,
            variance,
            each.noises,
        )
        for counts, shares, each in zip(noisy, smooth, bins, strict=True)
    ]


@dataclass(frozen=True)
class BinValues:
    """What the values in each bin of a cell are, by the schema alone.

    Args:
        mean: of the values that fall into it, (b,).
        least: the least of them, (b,).
        greatest: the greatest, (b,).
        within: their mean square distance from ``mean``, (b,).
    """

    mean: np.ndarray
    least: np.ndarray
    greatest: np.ndarray
    within: np.ndarray

    @classmethod
    def of(cls, cell: Cell, bins: Bins) -> BinValues:
        """Those of a cell whose values are numbers; bins are equal parts of its range of positions."""
        measure = cell.measure
        if measure.count:
            values = measure.lower + np.arange(measure.count)
            places = cell.scale.positions(values)
        else:
            places = (np.arange(bins.values * FINENESS) + 0.5) / (bins.values * FINENESS)
            values = cell.scale.at(places)
        which = np.minimum(np.floor(places * bins.values).astype(int), bins.values - 1)
        own = [values[which == number] for number in range(bins.values)]
        return cls(*(np.array([of(each) for each in own]) for of in (np.mean, np.min, np.max, np.var)))

    def furthest(self, shares: np.ndarray) -> float:
        """How far a mean can be from the one that bins say, at most, whoever is in each.

        Args:
            shares: of bins, (b,), which add up to 1.
        """
        return float(shares @ np.maximum(self.mean - self.least, self.greatest - self.mean))

    def sheppard(self, shares: np.ndarray) -> float:
        """What a variance has too much of where values count as the mean of their bin and are spread smoothly.

        Source: Sheppard, "On the Calculation of the most Probable Values of Frequency-Constants", 1898.

        Args:
            shares: of bins, (b,), which add up to 1.
        """
        return float(shares @ self.within)
