"""Figure 5: delta by epoch for each epsilon. Made of public constants alone: rate, noise and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from analysis.epochs import training_event
from analysis.figures import QUIET
from analysis.paper.plates import Plate, colour_of, dress, numbers, panels, styled
from analysis.paper.series import Series
from privacy.accounting.rdp import delta_by_rdp

EPSILONS = tuple(2.0**power for power in range(-3, 8))
"""The paper's from 0.125 to 8, and further ones for training that costs more."""
MOST_LINES, MOST_POINTS = 7, 101
LEAST_DELTA = 1e-10
FACTOR = 2.5
"""By how much lines are apart at their ends, at least."""
LOOK_FOR = (
    "Each line is the delta that training one trial has at an epsilon after so many epochs, by Renyi accounting. The "
    "broken line is the delta of the study: an epsilon is reached where its line crosses it. Only the training of the "
    "best trial counts here, not the search; and nothing is read of participants."
)


@dataclass(frozen=True)
class Deltas:
    """Of the trial of a series whose last epoch figure 2 A shows.

    Args:
        series: which.
        epochs: (E,).
        lines: delta at each epoch (E,) by epsilon.
    """

    series: Series
    epochs: np.ndarray
    lines: dict[float, np.ndarray]


def deltas_of(series: Series) -> Deltas | None:
    """None where a trial costs nothing by the epoch: without noise, or where it does not train on participants."""
    last, schema, settings = series.selection.last, series.schema, series.settings
    if not series.private or last.epoch < 1:
        return None
    epochs = np.unique(np.linspace(1, last.epoch, MOST_POINTS).round().astype(int))
    *events, later = (training_event(last.config, int(each), schema, settings) for each in (*epochs, last.epoch + 1))
    if later == events[-1]:
        return None
    found = {epsilon: np.array([delta_by_rdp(event, epsilon) for event in events]) for epsilon in EPSILONS}
    return Deltas(series, epochs, _apart({epsilon: line for epsilon, line in found.items() if line[-1] > LEAST_DELTA}))


def _apart(lines: Mapping[float, np.ndarray]) -> dict[float, np.ndarray]:
    """Lines whose ends can be told apart: of those that end close together only that of the greatest epsilon.

    Args:
        lines: (E,) by epsilon, ascending.
    """
    kept: dict[float, np.ndarray] = {}
    for epsilon, line in reversed(list(lines.items())):
        if not kept or line[-1] > FACTOR * max(each[-1] for each in kept.values()):
            kept[epsilon] = line
    return dict(list(kept.items())[:MOST_LINES])


@styled
def delta_plate(found: Sequence[Deltas]) -> Plate:
    """Draw a panel for each series."""
    figure, (row,) = panels(1, len(found), 5.2, 3.6, sharey=True)
    data = []
    for axes, each in zip(row, found, strict=True):
        for number, (epsilon, line) in enumerate(each.lines.items()):
            axes.plot(each.epochs, line, color=colour_of(number), linewidth=1.4, marker="o" if len(line) == 1 else "")
            axes.annotate(f"epsilon {epsilon:g}", (each.epochs[-1], line[-1]), xytext=(4, 0), fontsize=8, va="center",
                          textcoords="offset points", color=colour_of(number), annotation_clip=False)  # fmt: skip
        delta = each.series.settings.delta
        axes.axhline(delta, color=QUIET, linestyle=(0, (4, 3)), linewidth=1)
        axes.set(yscale="log", ylim=(LEAST_DELTA / 100, 2), xlabel="Epoch")
        axes.yaxis.set_major_formatter(lambda number, _: f"{number:g}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        dress(axes, f"{each.series.name}: epsilon {each.series.selection.last.epsilon:.3g} at delta {delta:g}")
        lines = {f"{epsilon:g}": numbers(line * 1e5) for epsilon, line in each.lines.items()}
        data.append({"series": each.series.name, "epochs": each.epochs.tolist(), "delta_times_1e5": lines})
    row[0].set_ylabel("Delta")
    return Plate.of("figure-5-delta", "Figure 5. Delta by epoch for each epsilon", figure, LOOK_FOR, data)
