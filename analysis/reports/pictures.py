"""Pictures of reports: how measures move, how they are spread, and how they hang together.

Each shows the release, beside it what was paid for where there is any, and real participants only where they are given.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import COLOURS, GRID, INK, QUIET, STYLE
from analysis.quality.bought import BinValues, bought_cells
from analysis.quality.comparisons import visit_of
from analysis.quality.estimates import Estimate
from analysis.reports.blocks import Picture
from cohorts import Encoding, Measure, Participants, Schema
from cohorts.encoding import Cell
from cohorts.scale import scale_of
from privacy.mechanisms.histograms import Bins, class_counts
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.moments import COUNT_SHARE, lifted
from privacy.mechanisms.normal_scores import LIMIT, NormalScores

A_PAGE = 6
"""Panels of one picture."""

LEAST_APART = 0.06
"""Part of an axis that a number needs for itself."""

MOST_NAMES = 14
"""Ticks that are still to be read side by side."""


@dataclass(frozen=True)
class Shown:
    """What pictures show.

    Args:
        release: synthetic participants, under the trial's own schema.
        measured: what was bought; None where nothing was.
        estimates: the paid-for table.
        real: real participants. Sensitive; None for a report that may be published.
        survival: of the release and of its copies, as ``survival_table`` has it, where the label is a time to an event.
    """

    release: Participants
    measured: Measured | None
    estimates: Sequence[Estimate]
    real: Participants | None = None
    survival: pd.DataFrame | None = None

    @property
    def schema(self) -> Schema:
        """Of all of them."""
        return self.release.schema

    @property
    def counted(self) -> str:
        """How many participants are shown."""
        real = "" if self.real is None else f", {len(self.real):,} real ones"
        return f"n = {len(self.release):,} synthetic participants{real}"


def trajectories(shown: Shown) -> Iterator[Picture]:
    """Class means of numbers, and shares of yes-or-no measures, by visit."""
    schema = shown.schema
    moving = [each for each in schema.measures if len(schema.visits_of(each)) > 1 and each.kind != "categorical"]
    look_for = "Lines are the release. " + (
        "Points are estimates of the trial from what was measured, with 95 % intervals that hold the noise, moved "
        "sideways so as not to overlap: lines should run through the intervals, and be as far apart as the points. "
        if shown.estimates
        else ""
    )
    if shown.real is not None:
        look_for += "Broad pale lines are real participants: the lines of the release should lie on them."
    for number, group in enumerate(_pages(moving)):
        with matplotlib.rc_context(STYLE):
            figure, panels = _panels(len(group), 2, 2.5)
            data = [_trajectory(axes, shown, each) for axes, each in zip(panels, group, strict=True)]
            _legend(figure, shown)
            title = f"Means by visit and {schema.label.name}{_number(number, len(moving))} ({shown.counted})"
            yield Picture(title, _png(figure), look_for, data)


def _trajectory(axes: Axes, shown: Shown, measure: Measure) -> dict[str, Any]:
    schema = shown.schema
    row, seen = schema.all_measures.index(measure), np.flatnonzero(schema.observed[schema.all_measures.index(measure)])
    classes, names = schema.label.classes, [schema.visit_names[visit] for visit in seen]
    places, heights = np.arange(len(seen)), []
    for label, colour in zip(range(len(classes)), cycle(COLOURS), strict=False):
        if shown.real is not None:
            axes.plot(places, means(shown.real, label, row)[seen], color=colour, linewidth=5, alpha=0.3)
        own = means(shown.release, label, row)[seen]
        axes.plot(places, own, color=colour, linewidth=1.6, marker="o", markersize=3.5, markerfacecolor="white")
        heights.append(own)
        paid = [_paid_for(shown.estimates, measure, visit, classes[label].name) for visit in names]
        shift = 0.12 * (label - (len(classes) - 1) / 2)
        for place, line in zip(places, paid, strict=True):
            if line:
                estimate, lower, upper = line.cited
                bar = [[estimate - lower], [upper - estimate]]
                axes.errorbar(place + shift, estimate, yerr=bar, color=colour, fmt="s", markersize=3.5, alpha=0.75,
                              linewidth=1, capsize=2)  # fmt: skip
    spread = float(np.nanstd(shown.release.values[:, row]))
    middle = np.concatenate(heights)
    room = max(1.2 * spread, 0.02 * measure.range)
    axes.set_ylim(
        max(np.nanmin(middle) - room, measure.lower - 0.03 * measure.range),
        min(np.nanmax(middle) + room, measure.upper + 0.03 * measure.range),
    )
    _named_ticks(axes, names)
    _dress(axes, measure.name, f"share {measure.categories[1]}" if measure.kind == "binary" else measure.unit)
    lines = {each.name: _numbers(line) for each, line in zip(classes, heights, strict=True)}
    return {"measure": measure.name, "visits": names, "release": lines}


def means(people: Participants, label: int, row: int) -> np.ndarray:
    """Means of a class at each visit, of those who have a value: (V,), NaN where nobody has."""
    own = people.values[people.labels == label, row].astype(float)
    count = (~np.isnan(own)).sum(axis=0)
    found: np.ndarray = np.where(count > 0, np.nansum(own, axis=0) / np.maximum(count, 1), np.nan)
    return found


def _paid_for(estimates: Sequence[Estimate], measure: Measure, visit: str, group: str) -> Estimate | None:
    wanted = str(measure.categories[1]) if measure.kind == "binary" else ""
    return next(
        (
            each
            for each in estimates
            if (each.measure, each.visit, each.group, each.category) == (measure.name, visit, group, wanted)
            and each.quantity in ("mean", "share")
        ),
        None,
    )


def marginals(shown: Shown) -> Iterator[Picture]:
    """How each measure is spread at its last visit, by class."""
    schema, encoding = shown.schema, Encoding(shown.schema)
    last = {cell.row: number for number, cell in enumerate(encoding.cells)}
    look_for = "Lines, or bars, are the release. " + (
        "Dots are the trial as it was measured, noise included, so they scatter, and a share may be below 0; about as "
        "many should lie above a line as below it. "
        if shown.measured
        else ""
    )
    if shown.real is not None:
        look_for += "Broad pale lines, or black ticks, are real participants."
    numbers = list(last.values())
    bins = [Bins.of(cell) for cell in encoding.cells]
    bought = [bought_cells(each, bins) for each in shown.measured.histograms] if shown.measured else []
    for page, group in enumerate(_pages(numbers)):
        with matplotlib.rc_context(STYLE):
            figure, panels = _panels(len(group), 2, 2.3)
            data = []
            for axes, number in zip(panels, group, strict=True):
                cell = encoding.cells[number]
                drawn, real = (_shares(each, number, bins) for each in (shown.release, shown.real))
                paid = [each[number].counts / max(each[number].participants, 1.0) for each in bought]
                assert drawn is not None
                (_bars if cell.measure.discrete else _densities)(axes, cell, bins[number], drawn, paid, real)
                visit = visit_of(schema, cell)
                _dress(axes, f"{cell.measure.name}{f' at {visit}' if visit else ''}", cell.measure.unit, below=True)
                axes.set_ylabel("share", color=QUIET)
                names = [each.name for each in schema.label.classes]
                lines = {name: _numbers(each) for name, each in zip(names, drawn, strict=True)}
                data.append({"measure": cell.measure.name, "visit": visit, "release": lines})
            _legend(figure, shown)
            title = f"Shares of values by {schema.label.name}{_number(page, len(numbers))} ({shown.counted})"
            yield Picture(title, _png(figure), look_for, data)


def _shares(people: Participants | None, number: int, bins: Sequence[Bins]) -> list[np.ndarray] | None:
    """Shares of each class in the bins of a cell, (w,) each."""
    if people is None:
        return None
    classes = len(people.schema.label.classes)
    counts = class_counts(Encoding(people.schema).positions(people.values), people.labels, bins, classes)
    ends = np.cumsum([each.width for each in bins])[:-1]
    cells = [np.split(each, ends)[number] for each in np.split(counts, classes)]
    return [each / max(each.sum(), 1.0) for each in cells]


def _densities(
    axes: Axes,
    cell: Cell,
    bins: Bins,
    drawn: Sequence[np.ndarray],
    paid: Sequence[np.ndarray],
    real: Sequence[np.ndarray] | None,
) -> None:
    places = BinValues.of(cell, bins).mean
    if cell.measure.scale == "log":
        places = cell.scale.shares(places)
    for label, colour in zip(range(len(drawn)), cycle(COLOURS), strict=False):
        if real is not None:
            axes.plot(places, real[label][: len(places)], color=colour, linewidth=5, alpha=0.3, drawstyle="steps-mid")
        axes.plot(places, drawn[label][: len(places)], color=colour, linewidth=1.4, drawstyle="steps-mid")
        if paid:
            axes.plot(
                places, paid[label][: len(places)], color=colour, linestyle="", marker=".", markersize=5, alpha=0.7
            )
    axes.axhline(0, color=GRID, linewidth=0.8)
    if cell.measure.scale == "log":
        named = _named_on_log_scale(cell.measure)
        axes.set_xticks(cell.scale.shares(named), [f"{value:g}" for value in named])


def _named_on_log_scale(measure: Measure) -> np.ndarray:
    """Round numbers of its range, and its lower limit where that is 0, if there is room for both."""
    least = max(measure.lower, measure.step)
    powers = 10.0 ** np.arange(math.floor(math.log10(least)), math.ceil(math.log10(measure.upper)) + 1)
    round_numbers = powers if powers[-1] / powers[0] > 1e3 else np.outer(powers, [1, 2, 5]).ravel()
    inside = round_numbers[(round_numbers >= least) & (round_numbers <= measure.upper)]
    if measure.lower > 0:
        return inside
    apart = scale_of(measure).shares(inside) > LEAST_APART
    return np.concatenate([[0.0], inside[apart]])


def _bars(
    axes: Axes,
    cell: Cell,
    bins: Bins,
    drawn: Sequence[np.ndarray],
    paid: Sequence[np.ndarray],
    real: Sequence[np.ndarray] | None,
) -> None:
    names = [str(each) for each in cell.measure.categories] + ["missing"] * bins.may_lack
    width = 0.8 / len(drawn)
    for label, colour in zip(range(len(drawn)), cycle(COLOURS), strict=False):
        places = np.arange(len(names)) + width * (label - (len(drawn) - 1) / 2)
        axes.bar(places, drawn[label], width=0.9 * width, color=colour, alpha=0.75)
        if real is not None:
            axes.plot(places, real[label], linestyle="", marker="_", markersize=60 * width / len(names), color=INK,
                      markeredgewidth=2)  # fmt: skip
        if paid:
            axes.plot(places, paid[label], linestyle="", marker="o", markersize=4, color=INK, markerfacecolor="white")
    _named_ticks(axes, names)


def correlations(shown: Shown) -> Picture:
    """Correlations within classes, of the trial and of the release side by side."""
    encoding = Encoding(shown.schema)
    drawn, maps = f"the release, n = {len(shown.release):,}", []
    if shown.real is not None:
        maps.append((f"real participants, n = {len(shown.real):,}", within_classes(shown.real)))
        maps.append((drawn, within_classes(shown.release)))
    elif shown.measured:
        trial, release = _as_measured(shown.measured, shown.release)
        maps += [("the trial, as it was measured", trial), (f"{drawn}, measured likewise", release)]
    else:
        maps.append((drawn, within_classes(shown.release)))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.8, 5.4 if len(maps) > 1 else 6.4), dpi=130, facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(maps), squeeze=False)[0]
        for axes, (title, matrix) in zip(panels, maps, strict=True):
            picture = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
            axes.set_title(title, fontsize=10, loc="left")
            name_blocks(axes, encoding, axes is panels[0])
        figure.colorbar(picture, ax=list(panels), shrink=0.7, label="correlation", pad=0.02)
        png = _png(figure)
    look_for = (
        "Each square is the correlation of two columns within a class; the measures' visits lie side by side. The two "
        "maps should have the same pattern in the same strength; noise shows as grain in the one on the left."
        if len(maps) > 1
        else "Each square is the correlation of two columns within a class. Nothing of the trial was paid for to set "
        "beside it."
    )
    data = {"columns": list(encoding.feature_names), "release": [_numbers(row) for row in maps[-1][1]]}
    return Picture("Correlations within classes", png, look_for, data)


def within_classes(people: Participants) -> np.ndarray:
    """Correlations of features less their class means: (F, F); 0 where one does not vary."""
    features = Encoding(people.schema).encode(people.values).astype(float)
    for label in np.unique(people.labels):
        features[people.labels == label] -= features[people.labels == label].mean(axis=0)
    return _as_correlations(features.T @ features)


def _as_measured(measured: Measured, release: Participants) -> tuple[np.ndarray, np.ndarray]:
    """Of the products of normal scores that were bought, and of the same of the release: (F, F) each."""
    features = NormalScores(release.schema, measured.histograms).scores(release.values, release.labels) / LIMIT
    trial, drawn = np.zeros((features.shape[1],) * 2), np.zeros((features.shape[1],) * 2)
    for label, (products, histograms) in enumerate(zip(measured.products, measured.histograms, strict=True)):
        vectors = lifted(features[release.labels == label], products.radius)
        trial += histograms.participants * _without_means(products.smooth)
        drawn += len(vectors) * _without_means(vectors.T @ vectors / max(len(vectors), 1))
    return _as_correlations(trial), _as_correlations(drawn)


def _without_means(products: np.ndarray) -> np.ndarray:
    """Products less those of the means, which stand in the first row beside its root: (F, F) of (F + 1, F + 1)."""
    means = products[0, 1:] / math.sqrt(COUNT_SHARE)
    found: np.ndarray = products[1:, 1:] - np.outer(means, means)
    return found


def _as_correlations(covariance: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.clip(covariance.diagonal(), 0, None))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.nan_to_num(covariance / np.outer(root, root)).clip(-1, 1)
    return found


def name_blocks(axes: Axes, encoding: Encoding, first: bool) -> None:
    """A measure's name beside its columns, and lines between measures."""
    owners = np.array([row for row, _, _ in encoding.places])
    ends = np.flatnonzero(np.diff(owners)) + 0.5
    for end in ends:
        axes.axhline(end, color="white", linewidth=0.8)
        axes.axvline(end, color="white", linewidth=0.8)
    rows = list(dict.fromkeys(owners.tolist()))
    middles = [float(np.flatnonzero(owners == row).mean()) for row in rows]
    names = [encoding.schema.all_measures[row].name for row in rows]
    axes.set_xticks(middles, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7.5)
    axes.set_yticks(middles, names if first else [], fontsize=7.5)
    if not first:
        axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _pages(panels: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (panels[first : first + A_PAGE] for first in range(0, len(panels), A_PAGE))


def _panels(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(9.8, height * rows + 0.5), dpi=130, facecolor="white", layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes[:count]


def _dress(axes: Axes, title: str, unit: str, below: bool = False) -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    (axes.set_xlabel if below else axes.set_ylabel)(unit, color=QUIET)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=3, labelsize=8)


def _named_ticks(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(np.arange(len(names)), names)
    if sum(map(len, names)) > 3 * MOST_NAMES:
        axes.tick_params(axis="x", labelrotation=45)


def _legend(figure: Figure, shown: Shown) -> None:
    classes = shown.schema.label.classes
    keys = [
        Line2D([], [], color=colour, linewidth=2.2, label=each.name)
        for each, colour in zip(classes, cycle(COLOURS), strict=False)
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=min(len(keys), 4), frameon=False, fontsize=9)


def _number(page: int, panels: int) -> str:
    return f", {page + 1} of {math.ceil(panels / A_PAGE)}" if panels > A_PAGE else ""


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if not np.isfinite(each) else round(float(each), 5) for each in values]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
