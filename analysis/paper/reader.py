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

from analysis.figures import INK, drawn_measures
from analysis.paper.plates import dress, panels, styled, time_axis, whole_numbers
from analysis.paper.times import VisitTimes, visit_times
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
        limits = [_limits(items, schema.all_measures.index(each)) for each in drawn_measures(schema)]
        for item in items:
            (plots / f"{item.name}.png").write_bytes(_plot(item, schema, limits))
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


def _limits(items: Sequence[Item], row: int) -> tuple[float, float]:
    """The same vertical range for all plots."""
    drawn = np.concatenate([item.values[row] for item in items])
    low, high = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    room = 0.05 * max(high - low, 1.0)
    return low - room, high + room


@styled
def _plot(item: Item, schema: Schema, limits: Sequence[tuple[float, float]]) -> bytes:
    measures, times = drawn_measures(schema), visit_times(schema)
    figure, grid = panels(len(measures), 1, 6.4, 1.7, sharex=True)
    for axes, measure, (low, high) in zip(grid[:, 0], measures, limits, strict=True):
        _course(axes, times, item.values[schema.all_measures.index(measure)], measure)
        axes.set_ylim(low, high)
        dress(axes, f"{measure.name} ({measure.unit})" if measure.unit else measure.name)
    time_axis(grid[-1, 0], times, schema.visit_names)
    stated = [
        _stated(covariate, item.values[row, 0]) for row, covariate in enumerate(schema.covariates, len(schema.measures))
    ]
    figure.supxlabel(textwrap.fill(" · ".join(stated), 95), fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    return picture.getvalue()


def _stated(covariate: Measure, value: float) -> str:
    """What is known of a participant once and for all."""
    if np.isnan(value):
        return f"{covariate.name} missing"
    if covariate.discrete:
        return f"{covariate.name} {covariate.categories[int(value)]}"
    return f"{covariate.name} {value:.{min(covariate.digits or 0, 1)}f} {covariate.unit}".rstrip()


def _course(axes: Any, times: VisitTimes, values: np.ndarray, measure: Measure) -> None:
    known = ~np.isnan(values)
    axes.plot(np.array(times.places)[known], values[known], color=INK, linewidth=1.3, marker="o", markersize=4)
    if measure.kind == "integer":
        whole_numbers(axes)


def _instructions(schema: Schema, plots: int) -> str:
    classes = [each.name for each in schema.label.classes]
    arm = ASK_ARM.format(arm=ARM, name=schema.label.name, classes=", ".join(classes)) if len(classes) > 1 else ""
    return INSTRUCTIONS.format(
        plots=plots, rating=RATING, least=LEAST, most=MOST, arm=arm, warning="" if schema.public else WARNING
    )


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_csv(index=False, quoting=csv.QUOTE_MINIMAL)
