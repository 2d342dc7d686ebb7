"""Kaplan-Meier curves of a time to an event, synthetic, and for the data steward beside those of the real cohort."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import cycle

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import COLOURS, GRID, QUIET, STYLE, write_heading
from analysis.survival import FollowUp

DASHES = (0, (3.2, 1.8))


def survival_figure(synthetic: FollowUp, real: FollowUp | None, note: str) -> bytes:
    """Draw the curves of every group, with the numbers at risk below.

    Args:
        synthetic: of the release.
        real: of real participants. Sensitive: with them the figure is not private; None leaves them out.
        note: the line under the title, saying what the figure may be used for.

    Returns:
        The figure as PNG.
    """
    label, groups = synthetic.label, synthetic.groups
    with matplotlib.rc_context(STYLE):
        below = 0.62 + 0.2 * len(groups)  # inches: the time's name, and a line for each group
        figure = Figure(figsize=(8.0, 5.0 + below), dpi=160, facecolor="white")
        height = figure.get_figheight()
        axes = figure.add_axes((0.17, (below + 0.15) / height, 0.8, 1 - (below + 1.0) / height))
        shown = {"synthetic": synthetic} if real is None else {"synthetic": synthetic, "real": real}
        for group, colour in zip(range(len(groups)), cycle(COLOURS), strict=False):
            for name, each in reversed(shown.items()):
                _draw(axes, each, group, colour, beneath=name == "real", dashed=real is not None and name != "real")
        axes.set_xlim(0, label.horizon * 1.01)
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10], integer=True))
        axes.set_ylabel(f"Share without {label.name}")
        axes.set_xlabel(label.with_unit("Time in") if label.unit else "Time")
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if label.by is not None:
            lines = [Line2D([], [], color=colour) for colour, _ in zip(cycle(COLOURS), groups, strict=False)]
            axes.legend(lines, groups, title=label.by, loc="lower left", frameon=False, alignment="left")
        _write_numbers(axes, shown)
        by = "" if label.by is None else f" by {label.by}"
        write_heading(figure, f"Time to {label.name}{by}, Kaplan-Meier", note, real is not None, marker="")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Axes, follow_up: FollowUp, group: int, colour: str, beneath: bool, dashed: bool) -> None:
    """One curve: synthetic thin, dashed where it lies over the real one."""
    curve = follow_up.curve(group)
    if curve is None:
        return
    share = curve.survival_function_.iloc[:, 0]
    axes.step(
        share.index,
        share,
        where="post",
        color=colour,
        linewidth=2.4 if beneath else 1.5,
        alpha=0.5 if beneath else 1,
        linestyle=DASHES if dashed else "-",
    )


def _write_numbers(axes: Axes, shown: Mapping[str, FollowUp]) -> None:
    """How many are at risk at every mark of the axis: synthetic, with the real number in brackets where it is shown."""
    synthetic, low = shown["synthetic"], axes.get_xlim()
    marks = np.array([mark for mark in axes.get_xticks() if low[0] <= mark <= low[1]])
    title = "At risk" + ("" if len(shown) == 1 else ", synthetic (real)")
    axes.annotate(title, (0, 0), (-88, -40), xycoords="axes fraction", textcoords="offset points", color=QUIET,
                  fontsize=8)  # fmt: skip
    for group, colour in zip(range(len(synthetic.groups)), cycle(COLOURS), strict=False):
        height = -54 - 13 * group
        axes.annotate(synthetic.groups[group][:14], (0, 0), (-88, height), xycoords="axes fraction",
                      textcoords="offset points", color=colour, fontsize=8)  # fmt: skip
        counts = [each.at_risk(group, marks) for each in shown.values()]
        for mark, *numbers in zip(marks, *counts, strict=True):
            text = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} ({numbers[1]})"
            axes.annotate(text, (mark, 0), (0, height), xycoords=("data", "axes fraction"),
                          textcoords="offset points", ha="center", fontsize=8)  # fmt: skip
