"""The supplement's figures: the score of every epoch, and its rank among all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import rankdata

from analysis.paper.plates import Plate, colour_of, dress, marker_of, numbers, panels, styled, whole_numbers
from analysis.paper.series import Series
from analysis.selection import MISFIT, picker_titles, pickers

ENOUGH = 30
"""Scored epochs from which on a trend is drawn."""
TREND_POINTS = 10
"""Of which it has at most so many: medians of neighbouring epochs, of all trials that were scored there."""
DODGE = 0.012
"""How far the marks of two classifiers are apart, in widths of a panel, so that neither hides the other."""
LOOK_FOR = (
    "Each mark is a scored epoch of a trial; filled ones were picked. Scores are those that steered the search: "
    "{scores}. Rank 1 is the best. Where scores still get better at the right-hand end, longer training pays."
)
SCORES = {
    "Score (AUC)": "areas under the ROC curve of a classifier that was trained on the epoch's synthetic participants",
    "Misfit": "how far they are from what was measured, 1 where noise alone makes the difference",
}


@styled
def rank_plate(series: Sequence[Series]) -> Plate:
    """Draw scores above ranks, a column for each series. Sensitive where scores were not paid for."""
    figure, grid = panels(2, len(series), 5.2, 2.9, sharex="col")
    data, steered_by = [], pickers(epoch for each in series for epoch in each.epochs)
    score, better = ("Misfit", 1) if MISFIT in steered_by else ("Score (AUC)", -1)
    for column, each in enumerate(series):
        epochs = np.array([epoch.epoch for epoch in each.epochs])
        for number, classifier in enumerate(steered_by):
            name = MISFIT if classifier == MISFIT else f"auc_{classifier}"
            scores = np.array([epoch.scores[name] for epoch in each.epochs])
            picked = [id(p.epoch) for p in each.selection.picks if p.selected_by == classifier]
            chosen = np.array([id(epoch) in picked for epoch in each.epochs])
            ranks = rankdata(better * scores)
            places = epochs + DODGE * epochs.max() * (number - 0.5)
            for axes, heights in zip(grid[:, column], (scores, ranks), strict=True):
                _draw(axes, places, heights, chosen, number)
            data.append({"series": each.name, "classifier": classifier, "epochs": epochs.tolist(),
                         "scores": numbers(scores), "ranks": numbers(ranks)})  # fmt: skip
        trials = len({epoch.trial_id for epoch in each.epochs})
        counted = f"{len(each.epochs):,} scored epochs of {trials:,} trial{'s' if trials > 1 else ''}"
        dress(grid[0, column], f"{each.name}: {counted}")
        dress(grid[1, column])
        grid[1, column].invert_yaxis()
        whole_numbers(grid[1, column])
        grid[1, column].xaxis.set_major_locator(MaxNLocator(integer=True))
        grid[1, column].set_xlabel("Epoch")
    bottom, top = zip(*(axes.get_ylim() for axes in grid[0]), strict=True)
    for axes in grid[0]:
        axes.set_ylim(min(bottom), max(top))
    grid[0, 0].set_ylabel(score)
    grid[1, 0].set_ylabel("Rank")
    keys = [
        Line2D([], [], color=colour_of(number), marker=marker_of(number), linestyle="", markersize=5, label=label)
        for number, label in enumerate(picker_titles()[each] for each in steered_by)
    ]
    figure.legend(handles=keys, loc="outside upper right", ncols=len(keys), frameon=False, fontsize=8.5)
    return Plate.of("epochs", "Scores of epochs, and their ranks", figure, LOOK_FOR.format(scores=SCORES[score]), data)


def _draw(axes: Axes, epochs: np.ndarray, heights: np.ndarray, chosen: np.ndarray, number: int) -> None:
    colour, marker = colour_of(number), marker_of(number)
    for which, face in ((~chosen, "none"), (chosen, colour)):
        axes.plot(epochs[which], heights[which], linestyle="", marker=marker, markersize=4.5, color=colour,
                  markerfacecolor=face)  # fmt: skip
    if len(epochs) >= ENOUGH:
        distinct = np.unique(epochs)
        parts = [np.isin(epochs, part) for part in np.array_split(distinct, min(TREND_POINTS, len(distinct)))]
        places, middles = ([float(np.median(values[part])) for part in parts] for values in (epochs, heights))
        axes.plot(places, middles, color=colour, linewidth=1.6)
