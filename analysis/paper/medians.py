"""Figure 2: the median of a measure by visit, real, non-private and private, with the middle half of participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.figures import INK, drawn_measures
from analysis.paper.plates import (
    REAL,
    Plate,
    colour_of,
    dress,
    marker_of,
    numbers,
    panels,
    styled,
    time_axis,
    whole_numbers,
)
from analysis.paper.times import VisitTimes, visit_times
from analysis.release import figure_names
from cohorts import Measure, Participants

LETTERS = "ABCDEFGH"
LOOK_FOR = (
    "Lines are medians, and bands the middle half of participants (from the lower to the upper quartile). A synthetic "
    "line should lie on the real one, and its band be as wide: a right median of too narrow a band is a trial of "
    "people who are all alike. The number of participants (n) stands in each panel. No epoch is shown twice: where the "
    "best stands in an earlier panel, the next best takes its place, and its rank is said."
)


@dataclass(frozen=True)
class Shown:
    """One panel's synthetic participants.

    Args:
        title: which epochs they are of.
        cohorts: by the series' name; a series that has nothing more to show is left out.
    """

    title: str
    cohorts: Mapping[str, Participants]


@styled
def median_plate(
    measure: Measure, shown: Sequence[Shown], real: Participants, names: Sequence[str], file: str
) -> Plate:
    """Draw a measure: a row for each panel, a column for each class.

    Args:
        measure: which.
        shown: the panels.
        real: real participants. Sensitive.
        names: of all series, in their order.
        file: what its files are called.
    """
    schema, times = real.schema, visit_times(real.schema)
    classes = schema.label.classes
    figure, grid = panels(len(shown), len(classes), 5.0, 2.35, sharex=True, sharey=True)
    data = []
    for letter, panel, row in zip(LETTERS, shown, grid, strict=False):
        for label, (axes, label_class) in enumerate(zip(row, classes, strict=True)):
            theirs = quartiles(real, measure, label)
            _draw(axes, times, theirs, REAL, "", 0.22)
            counted = [f"real {int((real.labels == label).sum()):,}"]
            for number, name in enumerate(names):
                if name in panel.cohorts:
                    people = panel.cohorts[name]
                    own = quartiles(people, measure, label)
                    _draw(axes, times, own, colour_of(number), marker_of(number), 0.13)
                    counted.append(f"{name} {int((people.labels == label).sum()):,}")
                    data.append({"panel": panel.title, "class": label_class.name, "series": name,
                                 "quartiles": numbers(own)})  # fmt: skip
            data.append(
                {"panel": panel.title, "class": label_class.name, "series": "real", "quartiles": numbers(theirs)}
            )
            who = f"{label_class.name}; " if len(classes) > 1 else ""
            _title(axes, letter, panel.title if label == 0 else "", f"{who}n: {', '.join(counted)}")
            if label == 0:
                axes.set_ylabel(f"{measure.name} ({measure.unit})" if measure.unit else measure.name)
    _axes(grid, measure, times, schema.visit_names)
    keys = [_key("real", REAL, "")]
    keys += [_key(name, colour_of(number), marker_of(number)) for number, name in enumerate(names)]
    figure.legend(handles=[*keys, Patch(color=REAL, alpha=0.22, label="middle half")], loc="outside upper right",
                  ncols=len(keys) + 1, frameon=False, fontsize=8.5)  # fmt: skip
    title = f"Figure 2 A-{LETTERS[len(shown) - 1]}. {measure.name} by visit"
    return Plate.of(f"figure-2-{file}", title, figure, LOOK_FOR, data)


def median_plates(shown: Sequence[Shown], real: Participants, names: Sequence[str]) -> list[Plate]:
    """A plate for every number that is measured at two visits or more."""
    measures = drawn_measures(real.schema)
    files = figure_names([measure.name for measure in measures], "by-visit")
    return [median_plate(each, shown, real, names, Path(files[each.name]).stem) for each in measures]


def quartiles(people: Participants, measure: Measure, label: int) -> np.ndarray:
    """Lower quartile, median and upper quartile at each visit, of those of a class who have a value.

    Returns:
        (3, V) in the measure's unit; NaN where nobody has a value.
    """
    values = people.values[people.labels == label, people.schema.all_measures.index(measure)]  # (n, V)
    found = np.full((3, values.shape[1]), np.nan)
    known = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(values.shape[1], dtype=bool)
    if known.any():
        found[:, known] = np.nanquantile(values[:, known].astype(float), (0.25, 0.5, 0.75), axis=0)
    return found


def _draw(axes: Axes, times: VisitTimes, lines: np.ndarray, colour: str, marker: str, alpha: float) -> None:
    seen = np.isfinite(lines[1])
    places = np.array(times.places)[seen]
    low, middle, high = lines[:, seen]
    axes.fill_between(places, low, high, color=colour, alpha=alpha, linewidth=0)
    for edge in (low, high):
        axes.plot(places, edge, color=colour, linewidth=0.6, alpha=0.7)
    axes.plot(places, middle, color=colour, markersize=4, markerfacecolor="white", markeredgewidth=1.1, **_line(marker))


def _title(axes: Axes, letter: str, title: str, whom: str) -> None:
    """What a row shows above its first panel, and above every panel whom it shows."""
    dress(axes, title, letter if title else "")
    axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=9.5, fontweight="bold", pad=17)
    axes.annotate(whom, (0, 1), xycoords="axes fraction", xytext=(0, 5), fontsize=8, textcoords="offset points",
                  color=INK)  # fmt: skip


def _axes(grid: np.ndarray, measure: Measure, times: VisitTimes, visits: Sequence[str]) -> None:
    for axes in grid.flat:
        if measure.kind == "integer":
            whole_numbers(axes)
    for axes in grid[-1]:
        time_axis(axes, times, visits)


def _key(name: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], color=colour, markersize=4.5, markerfacecolor="white", label=name, **_line(marker))


def _line(marker: str) -> dict[str, Any]:
    """Real participants have a broad pale line, in which a synthetic one that coincides with it is still seen."""
    return {"marker": marker, "linewidth": 1.4} if marker else {"linewidth": 4.5, "alpha": 0.55}
