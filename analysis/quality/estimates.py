"""The paid-for table: means, shares, variances and differences between classes of the trial itself, with intervals.

Nothing here comes from synthetic participants. Each figure is a ratio of linear functionals of the noisy histograms
that were bought anyway, and its interval, estimate plus and minus 1.96 standard deviations, holds both errors: that of
the noise, whose size is known exactly, and that of having measured so many participants. `analysis/quality/bought.py`
derives the two. In its terms, with x_b the mean of the values that fall into bin b and 1_b whether b is for values:

    mean        sum x_b c'_b / sum 1_b c'_b
    share       of a category, sum over its bin / sum 1_b c'_b;  of missing values, the last bin / all bins
    variance    sum (x_b - m)^2 c'_b / sum 1_b c'_b, m the mean, plus the noise's variance v of m, which the square of
                an m that is wrong takes off, less Sheppard's correction for bins; that square adds the variance 2 v^2

and a difference between two classes adds their variances, since each was measured with noise of its own.

**Bins.** Where a measure has more values than bins, a value counts as the mean of those that its bin may hold. That
moves a class mean by at most the furthest that a value of a bin lies from there (``binning_at_most``), whoever the
participants are; of values that are spread smoothly over a bin it moves it by hardly anything, and a difference by
less. An interval does not contain this. A variance is left out where the mean is so noisy (``LARGEST_NOISE``) that its
square says little, and all but the share without a value where that may be all of them.

Who was measured is a random part of the trial, and who enrolled a part of those who might have: intervals are about the
latter, as those of any trial are.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.quality.bought import BinValues, BoughtCell, Ratio, bought_cells
from analysis.quality.comparisons import between, visit_of
from cohorts import Measure, Schema
from cohorts.encoding import Cell
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.normal_scores import NormalScores

Z = 1.959964
"""Standard deviations on either side of an estimate: 95 %."""

LARGEST_NOISE = 0.5
"""Noise in a mean, in standard deviations of what is measured, beyond which no variance is said."""

Quantity = Literal["mean", "share", "missing", "variance", "difference in means", "difference in shares"]


@dataclass(frozen=True)
class Estimate:
    """A line of the table.

    Args:
        measure: its name.
        unit: of estimate and limits; a variance is in its square.
        visit: empty for a covariate.
        quantity: what is estimated.
        category: of a share.
        group: class, or the two of a difference.
        estimate: within what is possible.
        lower: of the 95 % interval, likewise.
        upper: likewise.
        noise_sd: standard deviation of the error that privacy makes.
        sampling_sd: of the error of having measured so many participants.
        binning_at_most: what bins may add besides.
        participants: of the class, or classes, as they were paid for.
        combined_estimate: the same by the copies of a release, combined; None where they do not say it.
        combined_lower: of the 95 % interval by the copies.
        combined_upper: likewise.
    """

    measure: str
    unit: str
    visit: str
    quantity: Quantity
    category: str
    group: str
    estimate: float
    lower: float
    upper: float
    noise_sd: float
    sampling_sd: float
    binning_at_most: float
    participants: int
    combined_estimate: float | None = None
    combined_lower: float | None = None
    combined_upper: float | None = None

    @property
    def cited(self) -> tuple[float, float, float]:
        """Estimate and limits to cite: those by copies where there are any, since they are nearer."""
        combined = (self.combined_estimate, self.combined_lower, self.combined_upper)
        by_histograms = (self.estimate, self.lower, self.upper)
        return by_histograms if None in combined else combined  # type: ignore[return-value]


def estimates(measured: Measured, schema: Schema) -> list[Estimate]:
    """The paid-for table.

    Args:
        measured: what was bought.
        schema: that it was measured under.
    """
    scores = NormalScores(schema, measured.histograms)
    classes = [bought_cells(each, scores.bins) for each in measured.histograms]
    lines: list[Estimate] = []
    for number, cell in enumerate(scores.cells):
        if cell.stretches:  # where an outcome lies within its class is no figure of the trial
            continue
        values = None if cell.measure.discrete else BinValues.of(cell, scores.bins[number])
        own = [_of_class(_Asked(schema, cell, label, each[number], values)) for label, each in enumerate(classes)]
        lines += [line for part in own for line, _ in part]
        for label in range(1, len(own)) if not cell.before else ():  # arms differ by chance alone there
            lines += _differences(schema, own[0], own[label], label)
    return lines


def as_frame(lines: Sequence[Estimate]) -> pd.DataFrame:
    """The table, numbers to six significant digits."""
    frame = pd.DataFrame([astuple(each) for each in lines], columns=[field.name for field in fields(Estimate)])
    for field in fields(Estimate):
        if "float" in str(field.type):
            frame[field.name] = [float(f"{number:.6g}") for number in frame[field.name].astype(float)]
    return frame


def read_estimates(file: Path) -> list[Estimate]:
    """The table as ``as_frame`` was written to a file; an earlier version wrote less of it."""
    readers: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "float | None": _float_or_none}
    kinds = {field.name: readers.get(str(field.type), str) for field in fields(Estimate)}
    with file.open(newline="", encoding="utf-8") as lines:
        return [Estimate(**{name: kinds[name](value) for name, value in row.items()}) for row in csv.DictReader(lines)]


def _float_or_none(text: str) -> float | None:
    return float(text) if text else None


def is_complement(schema: Schema, measure: str, category: str) -> bool:
    """Whether a share is of the first category of two, so that the second's says it."""
    named = next(each for each in schema.all_measures if each.name == measure)
    return named.kind == "binary" and category == str(named.categories[0])


def possible(quantity: Quantity, measure: Measure) -> tuple[float, float]:
    """The least and the greatest value that a figure of a measure can have."""
    if quantity == "mean":
        return measure.lower, measure.upper
    if quantity == "variance":
        return 0, measure.range**2 / 4
    if quantity == "difference in means":
        return -measure.range, measure.range
    return (-1 if quantity == "difference in shares" else 0), 1


@dataclass(frozen=True)
class _Asked:
    """One cell of one class, and what its bins hold where they are of numbers."""

    schema: Schema
    cell: Cell
    label: int
    bought: BoughtCell
    values: BinValues | None

    def line(
        self, quantity: Quantity, found: Ratio, category: object = "", binning: float = 0.0
    ) -> tuple[Estimate, Ratio]:
        """A line of the table, kept within what is possible, which costs an interval none of its coverage."""
        measure = self.cell.measure
        limits = possible(quantity, measure)
        line = Estimate(
            measure=measure.name,
            unit="" if quantity in ("share", "missing") else measure.unit,
            visit=visit_of(self.schema, self.cell),
            quantity=quantity,
            category=str(category),
            group=self.schema.label.classes[self.label].name,
            estimate=float(np.clip(found.value, *limits)),
            lower=float(np.clip(found.value - Z * found.sd, *limits)),
            upper=float(np.clip(found.value + Z * found.sd, *limits)),
            noise_sd=found.noise_sd,
            sampling_sd=found.sampling_sd,
            binning_at_most=binning,
            participants=round(self.bought.participants),
        )
        return line, found


def _of_class(asked: _Asked) -> list[tuple[Estimate, Ratio]]:
    """Lines of one cell of one class, each with the estimate that it shows, before that was kept within limits."""
    bought, known = asked.bought, asked.bought.known
    lines = []
    if asked.cell.may_lack:
        missing = bought.ratio(1 - known, np.ones_like(known))
        lines.append(asked.line("missing", missing))
        if 1 - missing.value < Z * missing.sd:  # perhaps nobody has a value, so there may be no figure
            return lines
    if asked.values is None:
        for place, category in enumerate(asked.cell.measure.categories):
            indicator = (np.arange(len(known)) == place).astype(float)
            lines.append(asked.line("share", bought.ratio(indicator, known), category))
        return lines
    return lines + list(_moments(asked, asked.values))


def _moments(asked: _Asked, values: BinValues) -> Iterator[tuple[Estimate, Ratio]]:
    bought, known, measure = asked.bought, asked.bought.known, asked.cell.measure
    places = np.append(values.mean, np.zeros(len(known) - len(values.mean)))  # (w,)
    shares = bought.smooth[: bought.values] / max(float(bought.smooth[: bought.values].sum()), 1e-9)
    mean, furthest = bought.ratio(places * known, known), values.furthest(shares)
    yield asked.line("mean", mean, binning=furthest)
    squares = np.square(places - np.clip(mean.value, measure.lower, measure.upper)) * known
    variance = bought.ratio(squares, known)
    corrected = replace(
        variance,
        value=variance.value + mean.noise_sd**2 - values.sheppard(shares),
        noise_sd=math.hypot(variance.noise_sd, math.sqrt(2) * mean.noise_sd**2),
    )
    spread = mean.sampling_sd * math.sqrt(max(float(known @ bought.smooth) * bought.participants, 1.0))
    if mean.noise_sd < LARGEST_NOISE * spread:
        binning = 2 * spread * furthest + furthest**2
        yield asked.line("variance", corrected, binning=binning)


def _differences(
    schema: Schema, first: list[tuple[Estimate, Ratio]], other: list[tuple[Estimate, Ratio]], label: int
) -> Iterator[Estimate]:
    """Differences of one class from the first, of means and of shares."""
    kinds: dict[str, Quantity] = {"mean": "difference in means", "share": "difference in shares"}
    against = {(line.quantity, line.category): (line, found) for line, found in first}
    for line, found in other:
        if line.quantity not in kinds or (line.quantity, line.category) not in against:
            continue
        theirs, their_own = against[line.quantity, line.category]
        apart = found.less(their_own)
        measure = next(each for each in schema.all_measures if each.name == line.measure)
        limits = possible(kinds[line.quantity], measure)
        yield replace(
            line,
            quantity=kinds[line.quantity],
            group=between(schema, label),
            estimate=float(np.clip(apart.value, *limits)),
            lower=float(np.clip(apart.value - Z * apart.sd, *limits)),
            upper=float(np.clip(apart.value + Z * apart.sd, *limits)),
            noise_sd=apart.noise_sd,
            sampling_sd=apart.sampling_sd,
            binning_at_most=2 * line.binning_at_most,
            participants=line.participants + theirs.participants,
        )
