"""Figure 4 E to G: what each column counts to classifiers that learned from real and from synthetic participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.stats import spearmanr

from analysis.figures import GRID, QUIET
from analysis.paper.classifying import SUBSETS, Classified
from analysis.paper.plates import REAL, Plate, as_title, colour_of, dress, marker_of, numbers, panels, styled
from cohorts import Encoding, Schema
from trainables.scoring import classifiers

LETTERS = "EFGHIJ"
PAPERS_ORDER = ("random_forest", "logistic_regression", "linear_svm")
MOST_TICKS = 60
LOOK_FOR = (
    f"Marks are means over {SUBSETS} subsets of the combined epochs, and lines go from the least to the greatest; "
    "columns are on one scale, from the lower to the upper limit of each measure. Where columns hang together, a "
    "linear model may give the weight of one to another: the columns at which the real marks stand out should be "
    "those at which the synthetic ones do. Spearman's correlation with the real ones stands above each panel."
)


@styled
def weight_plate(found: Mapping[str, Classified], schema: Schema, names: Sequence[str]) -> Plate | None:
    """Draw a panel for each classifier that weighs columns; None where none does.

    Args:
        found: from ``classify``.
        schema: of the cohort.
        names: of the series, in their order.
    """
    weighing = {name: each.weights for name, each in found.items() if each.weights is not None}
    order = sorted(weighing, key=lambda name: PAPERS_ORDER.index(name) if name in PAPERS_ORDER else len(PAPERS_ORDER))
    if not order:
        return None
    encoding = Encoding(schema)
    labels = [name for name, kept in zip(encoding.feature_names, encoding.predicting, strict=True) if kept]
    figure, grid = panels(len(order), 1, 10.5, 2.6, sharex=True)
    data = []
    for letter, axes, classifier in zip(LETTERS, grid[:, 0], order, strict=False):
        weights = weighing[classifier]
        alike = {name: _spearman(weights["real"], weights[name]) for name in names}
        _draw(axes, weights, names)
        words = ", ".join(f"{name} {value:.2f}" for name, value in alike.items())
        dress(axes, f"{as_title(classifiers()[classifier].title)} (Spearman: {words})", letter)
        forest = classifier == "random_forest"
        axes.set_ylabel("Importance" if forest else "Coefficient")
        if not forest:
            axes.axhline(0, color=QUIET, linewidth=0.8, zorder=0)
        data.append({"classifier": classifier, "columns": labels, "spearman": alike,
                     "mean": {name: numbers(each.mean(axis=0)) for name, each in weights.items()}})  # fmt: skip
    _name_columns(grid[-1, 0], encoding, labels)
    keys = [Line2D([], [], color=REAL, marker="_", markersize=9, markeredgewidth=2.2, linestyle="", label="real")]
    keys += [
        Line2D(
            [],
            [],
            color=colour_of(number),
            marker=marker_of(number),
            markersize=5,
            linestyle="",
            label=name,
            markerfacecolor="white",
        )
        for number, name in enumerate(names)
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=len(keys), frameon=False, fontsize=8.5)
    title = f"Figure 4 E-{LETTERS[len(order) - 1]}. What each column counts"
    return Plate.of("figure-4-weights", title, figure, LOOK_FOR, data)


def _spearman(real: np.ndarray, synthetic: np.ndarray) -> float:
    return float(np.nan_to_num(spearmanr(real.mean(axis=0), synthetic.mean(axis=0)).statistic))


def _draw(axes: Axes, weights: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
    places = np.arange(weights["real"].shape[1])
    width = 0.6 / max(len(names), 1)
    axes.plot(places, weights["real"][0], linestyle="", marker="_", markersize=9, markeredgewidth=2.2, color=REAL)
    for number, name in enumerate(names):
        own = weights[name]
        shifted = places + width * (number - (len(names) - 1) / 2)
        axes.vlines(shifted, own.min(axis=0), own.max(axis=0), color=colour_of(number), linewidth=1, alpha=0.7)
        axes.plot(shifted, own.mean(axis=0), linestyle="", marker=marker_of(number), markersize=4.2,
                  color=colour_of(number), markerfacecolor="white")  # fmt: skip
    axes.set_xlim(-0.7, len(places) - 0.3)


def _name_columns(axes: Axes, encoding: Encoding, labels: Sequence[str]) -> None:
    owners = np.array([row for row, _, _ in encoding.places])[encoding.predicting]
    for each in axes.figure.axes:
        for end in np.flatnonzero(np.diff(owners)) + 0.5:
            each.axvline(end, color=GRID, linewidth=0.8, zorder=0)
    step = -(-len(labels) // MOST_TICKS)
    axes.set_xticks(range(0, len(labels), step), labels[::step], rotation=90, fontsize=7)
