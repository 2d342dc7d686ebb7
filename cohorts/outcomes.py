"""Everybody's label from the cells of its columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohorts.cells import looked_up
from cohorts.errors import quoted
from cohorts.labels.class_label import ClassLabel
from cohorts.labels.no_label import NoLabel
from cohorts.labels.numeric_label import NumericLabel
from cohorts.labels.survival_label import SurvivalLabel
from cohorts.number_cells import measured_numbers, numbers
from cohorts.per_participant import one_per_participant
from cohorts.report import CellCount
from cohorts.schema import Schema
from cohorts.spelling import Meanings
from cohorts.tables import Table

Outcomes = tuple[np.ndarray, np.ndarray | None, list[CellCount]]


def label_outcomes(schema: Schema, table: Table, ids: np.ndarray, position: np.ndarray) -> Outcomes:
    """The class of each participant, and where an outcome lies within it.

    Args:
        schema: of the trial.
        table: that of the label.
        ids: participants (n,).
        position: each row's position among `ids` (rows,).

    Returns:
        float64 (n,) each, NaN where a participant has no label: numbers of classes; positions, or None where the label
        is but a class; and cells that were read as something else than they say.

    Raises:
        CohortError: for a value that the label cannot have, or two of one participant.
    """

    def of_participants(column: str, by_row: np.ndarray) -> np.ndarray:
        return one_per_participant(schema, table, column, by_row, ids, position)

    label, rows = schema.label, np.arange(len(table))
    if isinstance(label, NoLabel):
        return np.zeros(len(ids)), None, []
    if isinstance(label, ClassLabel):
        known = [(value, index, each.name) for index, each in enumerate(label.classes) for value in each.values]
        return of_participants(label.column, _meant(table, label.column, known, f"the label {label.name}")), None, []
    if isinstance(label, NumericLabel):
        by_row, counts = measured_numbers(table, label.column, label.number, rows)
        labels, positions = label.stretches.place(of_participants(label.column, by_row))
        return labels, positions, counts
    times = of_participants(label.time, _times(table, label))
    known = [(value, 1, "event") for value in label.status.event]
    known += [(value, 0, "censored") for value in label.status.censored]
    status = _meant(table, label.status.column, known, f"the status of {label.name}")
    events = of_participants(label.status.column, status)
    times[np.isnan(events)] = np.nan
    labels, positions = label.stretches.place(*label.followed(times, events == 1))
    return labels, positions, []


def _meant(table: Table, column: str, known: Sequence[tuple[object, int, str]], what: str) -> np.ndarray:
    """What each row's text means (rows,), NaN where the file has no value; `known` are texts, meanings and names."""
    rows = np.arange(len(table))
    meanings = Meanings([(value, meaning) for value, meaning, _ in known])
    indices = looked_up(table, column, meanings, rows, table.missing(column))
    wrong = np.flatnonzero(indices < 0)
    if len(wrong):
        listed = ", ".join(f"{value} ({name})" for value, _, name in known)
        text = quoted(repr(table.columns[column][wrong[0]]), "a text")
        table.fail(
            column,
            wrong[0],
            f"{text} is not a value of {what}, which has {listed}",
            "Correct the value, or name it at the label in the schema.",
            len(wrong) - 1,
        )
    return indices


def _times(table: Table, label: SurvivalLabel) -> np.ndarray:
    """Times of follow-up (rows,), NaN where the file has no value."""
    dates = "Put the time since the follow-up began, such as days since randomisation, into a column of the file."
    times = numbers(table, label.time, np.arange(len(table)), dates=dates)
    _refuse(table, label, times < 0, "below 0", "Correct the value; times count from when the follow-up begins.")
    if label.decimals == 0:
        remedy = "Correct the value, or say at the label how many decimals times have, as in decimals: 1."
        _refuse(table, label, times % 1 > 0, "not a whole number", remedy)
    return times


def _refuse(table: Table, label: SurvivalLabel, wrong: np.ndarray, problem: str, remedy: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        value = quoted(table.columns[label.time][rows[0]], "a number")
        table.fail(label.time, rows[0], f"the time of {label.name} is {value}, {problem}", remedy, len(rows) - 1)
