"""Figure 4 A to D: accuracy by classifier and by how epochs were selected, and the reverse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import binomtest

from analysis.figures import QUIET
from analysis.paper.classifying import COMBINED, SUBSETS, Classified, selections
from analysis.paper.plates import REAL, Plate, as_title, colour_of, dress, marker_of, panels, styled
from analysis.reports.blocks import Table
from cohorts import Participants
from trainables.scoring import classifiers
from trainables.scoring.judging import Prediction

LETTERS = "ABCDEFGH"
REVERSE = "reverse"
LOOK_FOR = (
    "A mark is a classifier that was trained on one of ten disjoint subsets of synthetic participants and tried on "
    "real test participants; the bar is the mean of the ten. The line is one that was trained on real participants, "
    "and its band the 95 % interval (Clopper and Pearson) that so few test participants leave: differences that "
    "stay within it may be chance. Guessing the commoner class is right as often as the dotted line says. To the "
    "right of the bar, classifiers were trained on real participants and tried on synthetic ones: better than the "
    "line means that synthetic classes are easier to tell apart than real ones."
)


@styled
def accuracy_plate(found: Mapping[str, Classified], test: Participants, names: Sequence[str]) -> Plate:
    """Draw a panel for each classifier.

    Args:
        found: from ``classify``.
        test: real test participants. Sensitive.
        names: of the series, in their order.
    """
    figure, grid = panels((len(found) + 1) // 2, 2, 5.0, 3.0, sharey=True)
    common = np.bincount(test.labels).max() / len(test)
    for letter, axes, (classifier, each) in zip(LETTERS, grid.flat, found.items(), strict=False):
        _draw(axes, each, len(test), names)
        axes.axhline(common, color=QUIET, linestyle=":", linewidth=1.2)
        dress(axes, as_title(classifiers()[classifier].title), letter)
    for axes in grid[:, 0]:
        axes.set_ylabel("Accuracy")
    keys: list[Line2D | Patch] = [Line2D([], [], color=REAL, linewidth=1.6, label="trained and tried on real")]
    keys += [
        Line2D(
            [],
            [],
            color=colour_of(number),
            marker=marker_of(number),
            linestyle="",
            markersize=5,
            label=name,
            markerfacecolor="white",
        )
        for number, name in enumerate(names)
    ]
    keys.append(Line2D([], [], color=QUIET, linestyle=":", linewidth=1.2, label="the commoner class"))
    figure.legend(handles=keys, loc="outside upper right", ncols=len(keys), frameon=False, fontsize=8.5)
    title = f"Figure 4 A-{LETTERS[len(found) - 1]}. Accuracy on {len(test):,} real test participants"
    return Plate.of("figure-4-accuracy", title, figure, LOOK_FOR, as_json(found))


def accuracy_table(found: Mapping[str, Classified], names: Sequence[str]) -> Table:
    """The same in numbers, and the AUCs beside the accuracies."""
    rows = []
    for classifier, each in found.items():
        title = classifiers()[classifier].title
        rows.append((title, "real, tried on real", *_cells([each.real])))
        for name in names:
            for selection in selections():
                cells = _cells(each.by_selection[selection][name])
                rows.append((title, f"{name}, {_in_words(selection)}, tried on real", *cells))
            rows.append((title, f"real, tried on {name}, {_in_words(COMBINED)}", *_cells(each.reverse[name])))
    return Table(
        f"Accuracy and AUC: mean of {SUBSETS} subsets (least to greatest)",
        ("classifier", "trained on", "accuracy", "AUC"),
        rows,
        "Synthetic rows should be as good as the real one.",
        as_json(found),
    )


def as_json(found: Mapping[str, Classified]) -> list[dict[str, object]]:
    """Every accuracy and AUC."""
    lines: list[dict[str, object]] = []
    for classifier, each in found.items():
        groups: list[tuple[str, str, Sequence[Prediction]]] = [("real", "", [each.real])]
        groups += [(name, way, own) for way, series in each.by_selection.items() for name, own in series.items()]
        groups += [(name, REVERSE, own) for name, own in each.reverse.items()]
        lines += [
            {"classifier": classifier, "series": name, "selection": way, "accuracy": [p.accuracy for p in own],
             "auc": [p.auc for p in own]}
            for name, way, own in groups
        ]  # fmt: skip
    return lines


def _draw(axes: Axes, found: Classified, tested: int, names: Sequence[str]) -> None:
    interval = binomtest(round(found.real.accuracy * tested), tested).proportion_ci(0.95)
    axes.axhspan(interval.low, interval.high, color=REAL, alpha=0.13, linewidth=0)
    axes.axhline(found.real.accuracy, color=REAL, linewidth=1.6)
    groups = [found.by_selection[selection] for selection in selections()] + [found.reverse]
    step = 0.7 / max(len(names), 1)
    for place, group in enumerate(groups):
        for number, name in enumerate(names):
            accuracies = np.array([each.accuracy for each in group[name]])
            middle = place + step * (number - (len(names) - 1) / 2)
            spread = np.linspace(-0.3, 0.3, len(accuracies)) * step
            axes.plot(middle + spread, accuracies, linestyle="", marker=marker_of(number), markersize=4.2,
                      color=colour_of(number), markerfacecolor="white")  # fmt: skip
            axes.plot([middle - 0.42 * step, middle + 0.42 * step], [accuracies.mean()] * 2, color=colour_of(number),
                      linewidth=2)  # fmt: skip
    axes.axvline(len(groups) - 1.5, color=QUIET, linewidth=0.8)
    axes.set_xticks(range(len(groups)), [*map(_short, selections()), "trained on real,\ntried on synthetic"])


def _cells(predictions: Sequence[Prediction]) -> tuple[str, str]:
    return _mean([each.accuracy for each in predictions]), _mean([each.auc for each in predictions])


def _mean(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} to {max(values):.3f})"


def _in_words(selection: str) -> str:
    return "all picked epochs" if selection == COMBINED else f"best epoch by {classifiers()[selection].title}"


def _short(selection: str) -> str:
    return "all picked\nepochs" if selection == COMBINED else f"best epoch by\n{classifiers()[selection].title}"
