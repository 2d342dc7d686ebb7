"""Figures of the paid-for table by the copies of a release, combined: mostly far nearer to the trial's own.

The table's own estimates use each histogram as it was bought, so that noise in bins far out, where nobody is, moves a
mean a lot. Copies are drawn from the same numbers, histograms smoothed and products too, under a model (Gaussian normal
scores); `docs/intervals.md` has how often their intervals hold. A figure is computed of each copy as of the trial
itself, with the standard error that the trial would have, and these are combined by Rubin's rules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from analysis.quality.comparisons import between, visit_of
from analysis.quality.estimates import Estimate, Quantity, Z, possible
from analysis.rubin import combine
from cohorts import Encoding, Measure, Participants

Key = tuple[str, str, Quantity, str, str]
"""Measure, visit, quantity, category and group, as a line has them."""


def with_copies(lines: Sequence[Estimate], copies: Sequence[Participants]) -> list[Estimate]:
    """The paid-for table with what copies say beside it.

    Differences between arms of what was measured before randomisation are left out: copies have none.

    Args:
        lines: the table, by histograms.
        copies: of the release, at least two; else the table stays as it is.
    """
    if len(copies) < 2:
        return list(lines)
    found = [{key: figure for key, *figure in figures(each)} for each in copies]
    told = [key for key in map(key_of, lines) if all(_says(each.get(key)) for each in found)]
    if not told:
        return list(lines)
    values, errors = ([[each[key][part] for key in told] for each in found] for part in (0, 1))
    table = combine(values, errors)
    combined = dict(zip(told, table[["estimate", "lower", "upper"]].to_numpy(), strict=True))
    measures = {each.name: each for each in copies[0].schema.all_measures}
    return [_beside(line, combined.get(key_of(line)), measures[line.measure]) for line in lines]


def _says(figure: Sequence[float] | None) -> bool:
    """Whether a copy has a figure, and an error for it."""
    return figure is not None and math.isfinite(figure[0]) and math.isfinite(figure[1])


def _beside(line: Estimate, combined: np.ndarray | None, measure: Measure) -> Estimate:
    """A line with estimate and limits (3,) by copies, kept within what is possible.

    Without them where intervals have nothing in common: then the model is wrong, and what was measured is not.
    """
    if combined is None:
        return line
    estimate, lower, upper = np.clip(combined, *possible(line.quantity, measure)).tolist()
    if upper < line.lower or line.upper < lower:
        return line
    return replace(line, combined_estimate=estimate, combined_lower=lower, combined_upper=upper)


def width_beside_sampling(lines: Sequence[Estimate]) -> float | None:
    """How wide intervals of means, shares and differences by copies typically are, in widths without noise."""
    wider = [
        (line.combined_upper - line.combined_lower) / (2 * Z * line.sampling_sd)
        for line in lines
        if line.combined_upper is not None and line.combined_lower is not None
        if line.quantity not in ("variance", "missing") and line.sampling_sd > 0
    ]
    return float(np.median(wider)) if wider else None


def key_of(line: Estimate) -> Key:
    """By what a line is found."""
    return line.measure, line.visit, line.quantity, line.category, line.group


def figures(people: Participants) -> Iterator[tuple[Key, float, float]]:
    """Every figure that the table may have of these people, with its standard error; NaN where there is nobody."""
    schema, classes = people.schema, [each.name for each in people.schema.label.classes]
    for cell in Encoding(schema).cells:
        where, own = (cell.measure.name, visit_of(schema, cell)), []
        for label, name in enumerate(classes):
            values = people.values[people.labels == label, cell.row, cell.visit].astype(float)
            known = values[~np.isnan(values)]
            if cell.may_lack:
                yield (*where, "missing", "", name), *_share(np.isnan(values))
            if not cell.measure.discrete:
                yield (*where, "variance", "", name), *_variance(known)
            kinds = enumerate(cell.measure.categories) if cell.measure.discrete else [(None, "")]
            own.append({str(category): _mean(known) if n is None else _share(known == n) for n, category in kinds})
            quantity: Quantity = "share" if cell.measure.discrete else "mean"
            for category, figure in own[label].items():
                yield (*where, quantity, category, name), *figure
                if label and not cell.before:
                    apart = figure[0] - own[0][category][0], math.hypot(figure[1], own[0][category][1])
                    kind: Quantity = "difference in shares" if cell.measure.discrete else "difference in means"
                    yield (*where, kind, category, between(schema, label)), *apart


def _mean(values: np.ndarray) -> tuple[float, float]:
    """No figure where all values are one: how far it, or a difference from it, may be wrong is not known then."""
    if len(values) < 2 or values.std() == 0:
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))


def _share(have_it: np.ndarray) -> tuple[float, float]:
    """With the error of the share with two participants more who have it and two who do not.

    So what nobody has is not known for sure.

    Source: Agresti & Coull, "Approximate Is Better than 'Exact' for Interval Estimation of Binomial Proportions", 1998.
    """
    count = len(have_it)
    if not count:
        return math.nan, math.nan
    towards_half = (have_it.sum() + 2) / (count + 4)
    return float(have_it.mean()), math.sqrt(towards_half * (1 - towards_half) / (count + 4))


def _variance(values: np.ndarray) -> tuple[float, float]:
    """With the error that the fourth moment gives."""
    if len(values) < 2 or values.std() == 0:
        return math.nan, math.nan
    squares = np.square(values - values.mean())
    return float(values.var(ddof=1)), float(squares.std()) / math.sqrt(len(values))
