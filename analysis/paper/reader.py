"""The blinded reader's kit: plots of single participants, half of them synthetic, for somebody who may see real ones.

Every plot has the same axes and says nothing of where it comes from; its name is drawn at random.
"""

from __future__ import annotations

import csv
import io
import secrets
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from analysis.figures import INK, drawn_measures
from analysis.paper.plates import dress, panels, styled, time_axis, whole_numbers
from analysis.paper.times import visit_times
from cohorts import Measure, Participants, Schema, storage

PLOTS = 100
KEY_FILE, SHEET_FILE, READER = "key.csv", "sheet.csv", "for-the-reader"
PLOT, REAL, RATING, ARM = "plot", "real", "realistic (0 to 10)", "class"
LEAST, MOST = 0, 10
INSTRUCTIONS = """\
Please judge {plots} participants of a clinical trial, one a picture, in the folder plots.

Some of them took part in the trial; the others were made up by a computer that imitates it. Open sheet.csv in a
spreadsheet and fill in a line for each picture, without consulting anybody:

  {rating}
      how realistic the participant looks, from {least} (surely made up) to {most} (surely real)
{arm}
Judge each picture by itself and leave no line empty. Do not ask how many are made up. Then return sheet.csv.

{warning}
"""
ASK_ARM = """\
  {arm}
      your guess at {name}: {classes}
"""
WARNING = (
    "Some pictures show real participants: do not copy them or pass them on, and delete them when you have returned "
    "the sheet."
)


@dataclass(frozen=True)
class Item:
    """A plot of the kit.

    Args:
        name: its file's, without ending.
        real: whether the participant is.
        label: index of the participant's class.
        values: (M, V). Sensitive where the participant is real.
    """

    name: str
    real: bool
    label: int
    values: np.ndarray


def can_be_judged(schema: Schema) -> bool:
    """Whether there is something to plot by visit."""
    return bool(drawn_measures(schema))


def write_kit(folder: Path, real: Participants, synthetic: Participants, randomness: np.random.Generator) -> None:
    """Write a kit, whole or not at all.

    Args:
        folder: of the kit; it must not exist, since a reader may be at work with an older one.
        real: real participants. Sensitive: so is the kit.
        synthetic: of the series to be judged.
        randomness: what draws them; a private cohort's is filled by the operating system.
    """
    items = _items(real, synthetic, randomness)
    schema = real.schema
    with storage.replaced_directory(folder) as building:
        plots = building / READER / "plots"
        plots.mkdir(parents=True)
        drawn = _Plots(schema, items)
        for item in items:
            (plots / f"{item.name}.png").write_bytes(drawn.of(item))
        classes = [each.name for each in schema.label.classes]
        guessed = [ARM] if len(classes) > 1 else []
        sheet = [{PLOT: item.name, RATING: "", **dict.fromkeys(guessed, "")} for item in items]
        (building / READER / SHEET_FILE).write_text(_csv(sheet))
        (building / READER / "README.txt").write_text(_instructions(schema, len(items)))
        key = [{PLOT: item.name, REAL: int(item.real), ARM: classes[item.label]} for item in items]
        (building / KEY_FILE).write_text(_csv(key))


def _items(real: Participants, synthetic: Participants, randomness: np.random.Generator) -> list[Item]:
    """Half of each, in the order of their names, which are drawn at random."""
    half = min(PLOTS // 2, len(real), len(synthetic))
    items = []
    for people, is_real in ((real, True), (synthetic, False)):
        for index in randomness.permutation(len(people))[:half]:
            label, values = int(people.labels[index]), people.values[index]
            items.append(Item(secrets.token_hex(8), is_real, label, values))
    return sorted(items, key=lambda item: item.name)


def _limits(drawn: Sequence[np.ndarray]) -> tuple[float, float]:
    """The same range for all plots."""
    low, high = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    room = 0.05 * max(high - low, 1.0)
    return low - room, high + room


class _Plots:
    """The axes that all plots have, drawn once, so that a participant costs only a line in each of them.

    Args:
        schema: of the cohort.
        items: to be plotted; their values set the limits.
    """

    @styled
    def __init__(self, schema: Schema, items: Sequence[Item]) -> None:
        self._schema, measures, times = schema, drawn_measures(schema), visit_times(schema)
        self._figure, grid = panels(len(measures), 1, 6.4, 1.7, sharex=True)
        self._figure.set_dpi(100)
        self._places = np.array(times.places)
        self._courses = {}
        for axes, measure in zip(grid[:, 0], measures, strict=True):
            row = schema.all_measures.index(measure)
            (self._courses[row],) = axes.plot([], [], color=INK, linewidth=1.3, marker="o", markersize=4, animated=True)
            axes.set_ylim(*_limits([item.values[row] for item in items]))
            if measure.kind == "integer":
                whole_numbers(axes)
            dress(axes, f"{measure.name} ({measure.unit})" if measure.unit else measure.name)
        axes.set_xlim(*_limits([self._places]))
        time_axis(axes, times, schema.visit_names)
        said = [self._said(item) for item in items]
        self._text = self._figure.supxlabel(max(said, key=lambda each: each.count("\n")), fontsize=8, animated=True)
        self._canvas = FigureCanvasAgg(self._figure)
        self._canvas.draw()  # type: ignore[no-untyped-call]
        self._empty = self._canvas.copy_from_bbox(self._figure.bbox)  # type: ignore[no-untyped-call]

    @styled
    def of(self, item: Item) -> bytes:
        """One participant's, as PNG."""
        self._canvas.restore_region(self._empty)  # type: ignore[no-untyped-call]
        for row, course in self._courses.items():
            known = ~np.isnan(item.values[row])
            course.set_data(self._places[known], item.values[row][known])
            course.axes.draw_artist(course)
        self._text.set_text(self._said(item))
        self._figure.draw_artist(self._text)
        picture = io.BytesIO()
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())).save(picture, format="png")  # type: ignore[no-untyped-call]
        return picture.getvalue()

    def _said(self, item: Item) -> str:
        covariates = enumerate(self._schema.covariates, len(self._schema.measures))
        return textwrap.fill(" · ".join(_stated(each, item.values[row, 0]) for row, each in covariates), 95)


def _stated(covariate: Measure, value: float) -> str:
    """What is known of a participant once and for all."""
    if np.isnan(value):
        return f"{covariate.name} missing"
    if covariate.discrete:
        return f"{covariate.name} {covariate.categories[int(value)]}"
    return f"{covariate.name} {value:.{min(covariate.digits or 0, 1)}f} {covariate.unit}".rstrip()


def _instructions(schema: Schema, plots: int) -> str:
    classes = [each.name for each in schema.label.classes]
    arm = ASK_ARM.format(arm=ARM, name=schema.label.name, classes=", ".join(classes)) if len(classes) > 1 else ""
    return INSTRUCTIONS.format(
        plots=plots, rating=RATING, least=LEAST, most=MOST, arm=arm, warning="" if schema.public else WARNING
    )


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_csv(index=False, quoting=csv.QUOTE_MINIMAL)
