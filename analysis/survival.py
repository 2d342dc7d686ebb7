"""Survival of cohorts whose label is a time to an event: curves by group, and how groups differ."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from lifelines.statistics import multivariate_logrank_test

from analysis.quality.estimates import Z
from analysis.rubin import combine
from cohorts import Participants
from cohorts.labels.survival_label import SurvivalLabel

HAZARD_RATIO = "hazard_ratio"
Scale = Callable[[np.ndarray], np.ndarray]

EVERYBODY = "everybody"
"""The group, where the label names no covariate to make groups by."""


@dataclass(frozen=True)
class FollowUp:
    """Times to event or censoring of participants, as private as these are.

    Args:
        label: what the event is.
        groups: what those are called whom the label compares.
        times: (n,) in the label's unit.
        events: whether the event happened then, bool (n,).
        group: number of each participant's group, int (n,).
    """

    label: SurvivalLabel
    groups: tuple[str, ...]
    times: np.ndarray
    events: np.ndarray
    group: np.ndarray

    @classmethod
    def of(cls, cohort: Participants) -> FollowUp | None:
        """A cohort's, without those whose group is missing; None where its label is no time to an event."""
        schema, label = cohort.schema, cohort.schema.label
        if not isinstance(label, SurvivalLabel):
            return None
        times, events = label.stretches.at(cohort.labels, cohort.values[:, schema.outcome_row, 0])
        if label.by is None:
            return cls(label, (EVERYBODY,), times, events, np.zeros(len(times), dtype=np.int64))
        row = next(m for m, measure in enumerate(schema.recorded) if measure.name == label.by)
        group, groups = cohort.values[:, row, 0], schema.recorded[row].categories
        known = ~np.isnan(group)
        return cls(label, tuple(map(str, groups)), times[known], events[known], group[known].astype(np.int64))

    def curve(self, group: int) -> KaplanMeierFitter | None:
        """The Kaplan-Meier estimate of a group; None where nobody is in it."""
        own = self.group == group
        return KaplanMeierFitter().fit(self.times[own], self.events[own]) if own.any() else None

    def at_risk(self, group: int, times: np.ndarray) -> np.ndarray:
        """How many of a group are followed at least so long, (k,) for times (k,)."""
        return np.array([np.sum(self.times[self.group == group] >= time) for time in times], dtype=np.int64)


def survival_table(cohorts: Mapping[str, FollowUp]) -> pd.DataFrame:
    """What curves say and how groups differ: a row for each cohort and group.

    Columns: participants (which cohort), group, number, events, median (time), for each landmark the Kaplan-Meier
    estimate there with its 95 % interval, the log-rank test's p of all groups together, and the hazard ratio to the
    first group by Cox's model, with its 95 % interval and p. What cannot be told is empty.
    """
    return pd.DataFrame(
        [
            {"participants": name, **_of_group(each, group), "log_rank_p": _log_rank(each), **ratio}
            for name, each in cohorts.items()
            for group, ratio in enumerate(_hazard_ratios(each))
        ]
    )


def combined_survival(copies: Sequence[FollowUp]) -> pd.DataFrame:
    """The same of several copies of a release: a row for each group, of which intervals and p hold the noise.

    Rubin's rules are applied where estimates are nearest to normal: to the complementary log-log of shares without an
    event, and to the logarithm of hazard ratios. Numbers and events are means over copies, a median time their median.

    Args:
        copies: at least two.
    """
    tables = [survival_table({f"{len(copies)} copies, combined": each}) for each in copies]
    found = tables[0].copy()
    found[["number", "events"]] = np.mean([each[["number", "events"]] for each in tables], axis=0).round().astype(int)
    found["median"] = np.median([each["median"] for each in tables], axis=0)
    found["log_rank_p"] = np.nan  # statistics of several groups are combined by no rule of estimates
    for name, scale, back in _scales(found):
        columns = [name, f"{name}_lower", f"{name}_upper"]
        with np.errstate(all="ignore"):
            each = np.array([scale(table[columns].to_numpy(dtype=float)) for table in tables])  # (m, groups, 3)
        told = np.isfinite(each).all(axis=(0, 2))
        found.loc[:, columns] = np.nan
        if told.any():
            row = combine(list(each[:, told, 0]), list(np.abs(each[:, told, 2] - each[:, told, 1]) / (2 * Z)))
            limits = np.sort(back(row[["lower", "upper"]].to_numpy()), axis=1)
            found.loc[told, columns] = np.column_stack([back(row["estimate"].to_numpy()), limits])
            if name == HAZARD_RATIO:
                found.loc[told, f"{name}_p"] = row["p"].to_numpy()
    return found


def _scales(table: pd.DataFrame) -> Iterator[tuple[str, Scale, Scale]]:
    """Names of estimates with an interval, on what scale they are combined, and the way back."""
    for name in table.columns:
        if f"{name}_lower" in table.columns and name != HAZARD_RATIO:
            yield str(name), lambda shares: np.log(-np.log(shares)), lambda values: np.exp(-np.exp(values))
    yield HAZARD_RATIO, np.log, np.exp


def _of_group(follow_up: FollowUp, group: int) -> dict[str, object]:
    own, curve = follow_up.group == group, follow_up.curve(group)
    row: dict[str, object] = {
        follow_up.label.by or "group": follow_up.groups[group],
        "number": int(own.sum()),
        "events": int(follow_up.events[own].sum()),
        "median": np.nan if curve is None else curve.median_survival_time_,
    }
    for landmark in follow_up.label.landmarks:
        place = f"without_event_at_{landmark:g}"
        bounds = [np.nan] * 3
        if curve is not None:
            table = pd.concat([curve.survival_function_, curve.confidence_interval_], axis=1)
            bounds = [float(bound) for bound in table[:landmark].iloc[-1]]
        row |= dict(zip((place, f"{place}_lower", f"{place}_upper"), bounds, strict=True))
    return row


def _log_rank(follow_up: FollowUp) -> float:
    if len(np.unique(follow_up.group)) < 2 or not follow_up.events.any():
        return np.nan
    return float(multivariate_logrank_test(follow_up.times, follow_up.group, follow_up.events).p_value)


def _hazard_ratios(follow_up: FollowUp) -> list[dict[str, float]]:
    """Of each group to the first."""
    names = (HAZARD_RATIO, f"{HAZARD_RATIO}_lower", f"{HAZARD_RATIO}_upper", f"{HAZARD_RATIO}_p")
    unknown = [dict.fromkeys(names, np.nan) for _ in follow_up.groups]
    present = [g for g in range(len(unknown)) if follow_up.events[follow_up.group == g].any()]
    if present[:1] != [0] or len(present) < 2:
        return unknown
    data = pd.DataFrame({str(g): (follow_up.group == g).astype(float) for g in present[1:]})
    among = np.isin(follow_up.group, present)
    data = data.assign(time=follow_up.times, event=follow_up.events)[among]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            summary = CoxPHFitter().fit(data, "time", "event").summary
    except ConvergenceError:
        return unknown
    columns = ["exp(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"]
    for g in present[1:]:
        unknown[g] = dict(zip(names, map(float, summary.loc[str(g), columns]), strict=True))
    return unknown
