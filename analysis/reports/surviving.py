"""Where the label is a time to an event: what becomes of participants, for reports."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.figures import REAL_SHOWN
from analysis.reports.blocks import Picture, Section, Table
from analysis.reports.numbers import interval, number
from analysis.reports.pictures import Shown
from analysis.survival import HAZARD_RATIO, FollowUp, survival_table
from analysis.survival_figure import survival_figure
from privacy.accounting.events import json_number

LOOK_FOR = (
    "Rows of copies, combined, have intervals and p that hold the noise: cite those. Those of the synthetic "
    "participants alone leave it out. Hazard ratios are to the first group, by Cox's model; there is no median where "
    "fewer than half have the event."
)


def survival_sections(shown: Shown) -> Iterator[Section]:
    """Curves and a table; nothing where there is no time to an event."""
    followed = FollowUp.of(shown.release)
    if followed is None or shown.survival is None:
        return
    real = None if shown.real is None else FollowUp.of(shown.real)
    table, note, curves = shown.survival, "Synthetic participants only.", "Groups should part as copies, combined, do."
    if real is not None:
        table, note = pd.concat([survival_table({"real": real}), table]), REAL_SHOWN
        curves = "Real and synthetic curves should lie on each other."
    picture = Picture(f"Kaplan-Meier curves ({shown.counted})", survival_figure(followed, real, note), curves)
    yield Section(f"Time to {followed.label.name}", blocks=(picture, _table(table, followed)))


def _table(table: pd.DataFrame, followed: FollowUp) -> Table:
    group = followed.label.by or "group"
    places = [str(name) for name in table.columns if f"{name}_lower" in table.columns and name != HAZARD_RATIO]
    at = [f"without it at {place.rsplit('_', 1)[-1]}" for place in places]
    rows = [
        (
            str(row["participants"]),
            str(row[group]),
            f"{row['number']:,}",
            f"{row['events']:,}",
            number(row["median"], 0) if math.isfinite(row["median"]) else "",
            *(_interval(row, place, 3) for place in places),
            _interval(row, HAZARD_RATIO, 2),
            f"{p:.2g}" if math.isfinite(p := row.get(f"{HAZARD_RATIO}_p", math.nan)) else "",
        )
        for row in table.to_dict("records")
    ]
    data = [{name: _json(value) for name, value in row.items()} for row in table.to_dict("records")]
    columns = ("participants", group, "n", "events", "median", *at, "hazard ratio", "p")
    return Table("With 95 % intervals", columns, rows, LOOK_FOR, data)


def _interval(row: dict[Any, Any], name: str, decimals: int) -> str:
    estimate, lower, upper = (float(row[each]) for each in (name, f"{name}_lower", f"{name}_upper"))
    return interval(estimate, lower, upper, decimals) if all(map(math.isfinite, (estimate, lower, upper))) else ""


def _json(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else json_number(value)
