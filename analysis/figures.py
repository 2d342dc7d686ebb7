"""Figure 2 of the SPRINT paper: the median of a measure by visit and arm, real against synthetic.

Four panels, one for each way to pick participants: the last epoch, the best epoch by logistic regression, the
best by random forest, and the ensemble; without a label the best by misfit stands for both classifiers. Drawn with real
participants for the data steward, and without them for the release; nothing in the second drawing, its axes included,
is computed from real participants.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

from cohorts import Measure, Participants, Schema

REAL_SHOWN = "Real participants are shown: internal, never publish."

# Okabe & Ito's, told apart by colour-blind readers; more arms than colours begin again.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, QUIET, GRID = "#222222", "#666666", "#E3E3E3"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a measure may have a dollar sign in its name
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Args:
        key: short name, for the table of medians.
        title: what it shows.
        synthetic: its synthetic participants.
    """

    key: str
    title: str
    synthetic: Participants


def drawn_measures(schema: Schema) -> tuple[Measure, ...]:
    """Measures with a median worth drawing: numbers taken at two visits or more."""
    return tuple(each for each in schema.measures if not each.discrete and len(schema.visits_of(each)) > 1)


def medians_by_arm(cohort: Participants, measure: Measure) -> np.ndarray:
    """Median of a measure at each visit, of the participants who have a value.

    Returns:
        (k, V) in the measure's unit, a row for each label class; NaN where nobody of the class has a value.
    """
    values = cohort.values[:, cohort.schema.all_measures.index(measure)]  # (n, V)
    arms = pd.DataFrame(values).groupby(cohort.labels).median()  # leaves out NaN
    return np.asarray(arms.reindex(range(len(cohort.schema.label.classes))), dtype=np.float64)


def median_table(panels: Sequence[Panel], real: Participants | None) -> pd.DataFrame:
    """The numbers behind the figures, long: measure, unit, visit, arm, participants (which cohort), median."""
    cohorts = {panel.key: panel.synthetic for panel in panels}
    if real is not None:
        cohorts = {"real": real, **cohorts}
    schema = panels[0].synthetic.schema
    rows = [
        (measure.name, measure.unit, visit, label_class.name, key, float(median))
        for measure in drawn_measures(schema)
        for key, cohort in cohorts.items()
        for label_class, arm in zip(schema.label.classes, medians_by_arm(cohort, measure), strict=True)
        for visit, median in zip(schema.visit_names, arm, strict=True)
    ]
    return pd.DataFrame(rows, columns=["measure", "unit", "visit", schema.label.name, "participants", "median"])


def median_figure(measure: Measure, panels: Sequence[Panel], real: Participants | None, note: str) -> bytes:
    """Draw the panels of one measure.

    Args:
        measure: what to draw.
        panels: four of them, in reading order; three where the cohort has no label.
        real: real participants. Sensitive: with them the figure is not private; None leaves them out.
        note: the line under the title, saying what the figure may be used for.

    Returns:
        The figure as PNG.
    """
    synthetic = [medians_by_arm(panel.synthetic, measure) for panel in panels]  # each (k, V)
    truth = None if real is None else medians_by_arm(real, measure)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.8, 7.0), dpi=160, facecolor="white")
        grid = figure.subplots(2, 2, sharex=True, sharey=True)
        figure.subplots_adjust(left=0.075, right=0.89, top=0.845, bottom=0.08, wspace=0.29, hspace=0.2)
        schema = panels[0].synthetic.schema
        for letter, axes, panel, lines in zip("ABCD", grid.flat, panels, synthetic, strict=False):
            _draw_panel(axes, schema, lines, truth)
            axes.set_title(letter, loc="left", fontsize=10, fontweight="bold", pad=7)
            axes.annotate(panel.title, (0, 1), xycoords="axes fraction", xytext=(16, 7), textcoords="offset points")
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes in grid.flat[len(panels) - 2 : len(panels)]:  # the lowest of each column
            axes.set_xlabel("Visit")
            axes.tick_params(labelbottom=True)
        for axes in grid[:, 0]:
            axes.set_ylabel(_quantity(measure))
        _set_limits(grid[0, 0], [*synthetic, *([] if truth is None else [truth])])
        for axes, lines in zip(grid.flat, synthetic, strict=False):
            _name_arms(axes, schema, lines)
        arms = f" and {schema.compared_by}" if schema.compared_by else ""
        write_heading(figure, f"Median {measure.name} by visit{arms}", note, truth is not None)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def figures(panels: Sequence[Panel], real: Participants | None, note: str) -> Mapping[str, bytes]:
    """Every measure's figure as PNG, by the measure's name."""
    schema = panels[0].synthetic.schema
    return {measure.name: median_figure(measure, panels, real, note) for measure in drawn_measures(schema)}


def _draw_panel(axes: Axes, schema: Schema, synthetic: np.ndarray, truth: np.ndarray | None) -> None:
    """Lines of the arms, (k, V) each: synthetic dashed with open circles, real solid beneath."""
    visits = np.arange(len(schema.visit_names))
    seen = np.isfinite(synthetic).any(axis=0)  # (V,), the others the measure is not taken at
    for arm, colour in zip(range(len(synthetic)), cycle(COLOURS), strict=False):
        if truth is not None:
            axes.plot(visits[seen], truth[arm, seen], color=colour, linewidth=2.4, alpha=0.5, solid_capstyle="round")
        dashes: str | tuple[int, tuple[float, float]] = "-" if truth is None else (0, (3.2, 1.8))
        axes.plot(
            visits[seen],
            synthetic[arm, seen],
            color=colour,
            linewidth=1.5,
            linestyle=dashes,
            marker="o",
            markersize=4.2,
            markerfacecolor="white",
            markeredgewidth=1.2,
        )
    axes.set_xticks(visits, schema.visit_names, fontsize=8)
    if sum(len(name) + 1 for name in schema.visit_names) > 46:
        axes.tick_params(axis="x", labelrotation=45)
    axes.margins(x=0.06)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3)


def _set_limits(axes: Axes, lines: Sequence[np.ndarray]) -> None:
    """The same vertical range for all panels, a little wider than what is drawn."""
    drawn = np.concatenate([line[np.isfinite(line)] for line in lines])
    low, high = (float(drawn.min()), float(drawn.max())) if len(drawn) else (0.0, 1.0)
    room = max(0.08 * (high - low), 0.02 * max(abs(high), 1.0))
    axes.set_ylim(low - room, high + room)


def _name_arms(axes: Axes, schema: Schema, lines: np.ndarray) -> None:
    """Write each arm's name at the right end of its synthetic line, (k, V), kept apart where they meet."""
    low, high = axes.get_ylim()
    names = [textwrap.fill(label_class.name, 12) for label_class in schema.label.classes]
    apart = 0.075 * (high - low) * max(name.count("\n") + 1 for name in names)
    ends = pd.DataFrame(lines).ffill(axis=1).iloc[:, -1]  # where each line ends, (k,)
    wanted = ends.fillna(low).to_numpy()
    upward = np.lexsort((-np.arange(len(wanted)), wanted))
    steps = apart * np.arange(len(wanted))
    heights = np.empty(len(wanted))
    heights[upward] = isotonic_regression(wanted[upward] - steps).x + steps  # moved by as little as can be
    heights -= max(0.0, float(heights.max()) - (high - apart / 4))
    for arm, colour in zip(range(len(heights)), cycle(COLOURS), strict=False):
        axes.annotate(
            names[arm],
            (1.0, float(heights[arm])),
            xycoords=("axes fraction", "data"),
            xytext=(2, 0),
            textcoords="offset points",
            color=colour,
            fontweight="bold",
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )


def write_heading(figure: Figure, title: str, note: str, with_real: bool, marker: str = "o") -> None:
    """Title and note at the top of a figure, and where real participants are drawn, what their lines look like.

    Args:
        figure: which.
        title: what it shows.
        note: what it may be used for.
        with_real: whether it shows real participants beside synthetic ones.
        marker: of the synthetic lines' points, as Matplotlib knows it; none where empty.
    """
    figure.text(0.02, 0.965, title, fontsize=13, fontweight="bold", va="center")
    figure.text(0.02, 0.928, note, fontsize=8.5, color=QUIET, va="center")
    if with_real:
        keys = [
            Line2D([], [], color=INK, linewidth=2.4, alpha=0.5, label="real"),
            Line2D([], [], color=INK, linewidth=1.5, linestyle=(0, (3.2, 1.8)), marker=marker, markersize=4.2,
                   markerfacecolor="white", label="synthetic"),
        ]  # fmt: skip
        figure.legend(handles=keys, loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(0.985, 0.99))


def _quantity(measure: Measure) -> str:
    return f"{measure.name} ({measure.unit})" if measure.unit else measure.name
