"""A figure in three forms: within the page, and beside it as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import COLOURS, GRID, STYLE
from analysis.paper.times import VisitTimes
from analysis.reports.blocks import Picture
from cohorts import storage

REAL = "#4D4D4D"
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
DPI = 130
MOST_TICKS = 14

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Plate:
    """A figure.

    Args:
        name: of its files, without ending.
        picture: what the page shows.
        svg: the same as a drawing.
    """

    name: str
    picture: Picture
    svg: bytes

    @classmethod
    def of(cls, name: str, title: str, figure: Figure, look_for: str, data: Any = None) -> Plate:
        """Render a figure; call it under ``styled``.

        Args:
            name: of its files.
            title: what it shows.
            figure: as drawn.
            look_for: a sentence that says what to look for.
            data: the numbers behind it.
        """
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        return cls(name, Picture(title, png.getvalue(), look_for, data), svg.getvalue())

    def write(self, folder: Path) -> None:
        """Write NAME.png and NAME.svg."""
        storage.write_bytes(folder / f"{self.name}.png", self.picture.png)
        storage.write_bytes(folder / f"{self.name}.svg", self.svg)


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Have a function draw in the style of all our figures; equal figures give equal files."""

    @wraps(draw)
    def drawn(*arguments: P.args, **named: P.kwargs) -> T:
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": "dpgan-tune"}):
            return draw(*arguments, **named)

    return drawn


def colour_of(number: int) -> str:
    """Of the series of that number, from 0; real participants have ``REAL``."""
    return COLOURS[number % len(COLOURS)]


def marker_of(number: int) -> str:
    """Of the series of that number, from 0."""
    return MARKERS[number % len(MARKERS)]


def panels(rows: int, columns: int, width: float, height: float, **named: Any) -> tuple[Figure, np.ndarray]:
    """A figure of so many panels, (rows, columns), of this size in inches each."""
    figure = Figure(figsize=(width * columns, height * rows + 0.5), dpi=DPI, facecolor="white", layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **named)


def dress(axes: Axes, title: str = "", letter: str = "") -> None:
    """Title, grid and spines as all panels have them."""
    if letter:
        title = f"{letter}   {title}"
    axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, labelsize=8)


def time_axis(axes: Axes, times: VisitTimes, visits: Sequence[str]) -> None:
    """Ticks at visits, and what they are measured in."""
    step = -(-len(times.places) // MOST_TICKS)
    shown = times.places[::step]
    axes.set_xticks(shown, [f"{place:g}" for place in shown] if times.known else visits[::step])
    axes.set_xlabel(times.axis)


def as_title(words: str) -> str:
    """Words that begin with a capital letter."""
    return words[:1].upper() + words[1:]


def whole_numbers(axes: Axes) -> None:
    """Ticks of counts at whole numbers."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=2))


def numbers(values: np.ndarray) -> list[Any]:
    """Numbers as JSON has them, null for one that is unknown; of a matrix, row by row."""
    if values.ndim > 1:
        return [numbers(row) for row in values]
    return [None if not np.isfinite(each) else round(float(each), 5) for each in values]
