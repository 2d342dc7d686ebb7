"""The report for the data steward: everything, real participants beside the release."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from analysis.detection import detection
from analysis.quality.comparisons import between
from analysis.quality.estimates import Estimate, Z
from analysis.reports.blocks import Report, Section, Table
from analysis.reports.numbers import decimals_for, interval, number
from analysis.reports.public import Asked, picture_sections, said_sections
from analysis.transfer import Scores, Transfer
from cohorts import Measure, Participants
from trainables.scoring import classifiers

BANNER = "INTERNAL: computed from real participants without noise. Never publish."
FEWEST = 50
"""Participants below which an AUC says next to nothing."""


@dataclass(frozen=True)
class Opened:
    """What the second door gave. Sensitive.

    Args:
        real: everybody.
        transfer: scores on test participants, and the reverse; None where there is no label to predict.
    """

    real: Participants
    transfer: Transfer | None


def internal_report(asked: Asked, opened: Opened) -> Report:
    """Write the report for the data steward; not private."""
    return Report(
        title=f"Synthetic cohort {asked.statement.cohort}: for the data steward",
        subtitle=f"Internal report of study {asked.settings.study}. No privacy statement covers this page, nor anyone "
        "who has seen it. Do not use it to choose what is published.",
        banner=BANNER,
        verdict=asked.quality.verdict,
        summary=asked.quality.summary(),
        sections=tuple(_sections(asked, opened)),
    )


def _sections(asked: Asked, opened: Opened) -> Iterable[Section]:
    release = asked.shown.release
    detection = _detection(release, opened.real)
    if opened.transfer is None:
        yield Section("Real and synthetic: whether they can be told apart", blocks=(detection,))
    else:
        yield Section(
            "Real and synthetic: what a classifier learns",
            (
                "A classifier that learns from the release should do as well on real participants as one that learned "
                "from real ones; and one that learned from real participants as well on the release as on real ones. "
                "If it does better there, the release's classes are easier to tell apart than the trial's.",
            ),
            (_transfer(opened.transfer, release), detection),
        )
        yield Section("Real and synthetic: the differences between classes", blocks=(_effects(asked, opened.real),))
    yield from said_sections(asked, picture_sections(replace(asked.shown, real=opened.real)))


def _transfer(transfer: Transfer, release: Participants) -> Table:
    tested, drawn = transfer.tested, np.bincount(release.labels, minlength=len(transfer.tested)).tolist()

    def cell(scores: Scores, name: str, sizes: Iterable[int]) -> str:
        auc = scores[name].auc
        if math.isnan(auc):
            return "unknown"
        error = Z * standard_error(auc, tuple(sizes))
        return f"{auc:.3f} ({max(0.0, auc - error):.3f} to {min(1.0, auc + error):.3f})"

    rows = [
        (
            each.title,
            cell(transfer.real, name, tested),
            cell(transfer.release, name, tested),
            cell(transfer.real_on_release, name, drawn),
        )
        for name, each in classifiers().items()
    ]
    few = (
        f" Only {sum(tested)} participants are tested, so these AUCs say next to nothing: look at their intervals."
        if sum(tested) < FEWEST
        else ""
    )
    columns = (
        "AUC and 95 % interval",
        f"real, tried on real (n = {sum(tested):,})",
        f"release, tried on real (n = {sum(tested):,})",
        f"real, tried on the release (n = {sum(drawn):,})",
    )
    look_for = f"The three should agree within their intervals.{few} Intervals are by Hanley and McNeil."
    return Table("Trained on the one, tried on the other", columns, rows, look_for, transfer.as_json())


def standard_error(auc: float, sizes: tuple[int, ...]) -> float:
    """About that of an AUC; of more than two classes, of the smallest against all others.

    Source: Hanley & McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve",
    1982, equation 2.
    """
    one = max(min(sizes), 1)
    other = max(sum(sizes) - one, 1)
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (one - 1) * (first - auc**2) + (other - 1) * (second - auc**2)
    return math.sqrt(max(variance, 0.25 / (one + other)) / (one * other))


def _detection(release: Participants, real: Participants) -> Table:
    auc, size = detection(release, real), min(len(release), len(real))
    few = f" With only {size} of each it says next to nothing." if size < FEWEST else ""
    return Table(
        "Told apart by a machine",
        ("", "AUC", "participants of each"),
        [("gradient boosting, fivefold", "unknown" if math.isnan(auc) else f"{auc:.3f}", f"{size:,}")],
        f"0.5 where real and synthetic participants cannot be told apart, 1 where they always can.{few}",
        {"auc": None if math.isnan(auc) else auc, "participants_of_each": size},
    )


def _effects(asked: Asked, real: Participants) -> Table:
    """Differences of each later class from the first, at the last visit of each measure."""
    schema, release = asked.schema, asked.shown.release
    rows, data = [], []
    for row, measure in enumerate(schema.recorded):
        visit = int(np.flatnonzero(schema.observed[row])[-1])
        when = schema.visit_names[visit] if row < len(schema.measures) else ""
        for label in range(1, len(schema.label.classes)):
            group = between(schema, label)
            for category in _categories(measure):
                theirs, ours = (difference(each, row, visit, label, category) for each in (real, release))
                which = "" if category is None else str(measure.categories[category])
                name = f"{measure.name}, share of {which}" if which else measure.name
                half = Z * theirs.error
                places = decimals_for(2 * half) + 1 if math.isfinite(half) else 3
                told = interval(theirs.value, theirs.value - half, theirs.value + half, places)
                paid = _paid(asked.shown.estimates, (measure.name, when, group, which), places)
                shown = f"{name} at {when}" if when else name
                rows.append((shown, group, told, number(ours.value, places), paid, theirs.counted, ours.counted))
                data.append(
                    {"measure": name, "visit": when, "group": group, "real": _json(theirs.value),
                     "real_se": _json(theirs.error), "release": _json(ours.value), "n_real": theirs.sizes,
                     "n_release": ours.sizes}
                )  # fmt: skip
    columns = ("measure", "difference", "real", "release", "paid for", "n, real", "n, release")
    look_for = (
        "With 95 % intervals. The release's difference should lie in the real one's interval. Intervals of the release "
        "alone are not shown: they would leave out the noise."
    )
    return Table("At the last visit", columns, rows, look_for, data)


def _categories(measure: Measure) -> tuple[int | None, ...]:
    if not measure.discrete:
        return (None,)
    return tuple(range(measure.kind == "binary", len(measure.categories)))


@dataclass(frozen=True)
class Difference:
    """Between two classes. Sensitive where participants are real.

    Args:
        value: NaN where one class has fewer than two participants with a value.
        error: its standard error.
        sizes: participants of both with a value.
    """

    value: float
    error: float
    sizes: tuple[int, int]

    @property
    def counted(self) -> str:
        """How many there are of both."""
        return " / ".join(f"{each:,}" for each in self.sizes)


def difference(people: Participants, row: int, visit: int, label: int, category: int | None) -> Difference:
    """Mean, or share of a category, of a class less that of the first."""
    both = []
    for each in (label, 0):
        values = people.values[people.labels == each, row, visit].astype(float)
        known = values[~np.isnan(values)]
        both.append(known if category is None else (known == category).astype(float))
    sizes = (len(both[0]), len(both[1]))
    if min(sizes) < 2:
        return Difference(math.nan, math.nan, sizes)
    error = math.sqrt(sum(float(each.var(ddof=1)) / len(each) for each in both))
    return Difference(float(both[0].mean() - both[1].mean()), error, sizes)


def _paid(estimates: Iterable[Estimate], wanted: tuple[str, ...], decimals: int) -> str:
    for each in estimates:
        if (each.measure, each.visit, each.group, each.category) == wanted:
            return interval(*each.cited, decimals)
    return ""


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None
