"""The little trial with an outcome for a label: a time to an event, or a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cohorts import Encoding, Participants, Schema
from tests.cohorts.little_trial import people_frame, schema_mapping

SURVIVAL: dict[str, Any] = {
    "name": "death",
    "table": "people",
    "kind": "survival",
    "time": "days",
    "status": {"column": "state", "event": [1, "died"], "censored": [0, 2]},
    "unit": "days",
    "horizon": 400,
    "landmarks": [100],
    "shares": [0.3, 0.5, 0.2],
    "by": "sex",
}
NUMERIC: dict[str, Any] = {
    "name": "glucose",
    "table": "people",
    "kind": "numeric",
    "column": "glucose",
    "unit": "mmol/l",
    "lower": 2,
    "upper": 30,
    "decimals": 1,
    "cut": [5.6, 7],
    "shares": [0.4, 0.3, 0.3],
}


def trial(label: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The schema with a label of which some keys are changed; those changed to None are left out."""
    said = {key: value for key, value in {**label, **changes}.items() if value is not None}
    return {**schema_mapping(), "label": said}


def outcomes_frame(n: int = 80) -> pd.DataFrame:
    """People with all that may happen: events and censoring before and after 100 days, some followed beyond 400."""
    rng = np.random.default_rng(3)
    days = np.where(np.arange(n) % 2 == 0, rng.integers(0, 100, n), rng.integers(100, 600, n))
    return people_frame(n).assign(
        days=days, state=rng.integers(0, 3, n), glucose=np.resize([2, 5.5, 5.6, 6.9, 7, 30], n)
    ).astype(object)  # fmt: skip


def survival_cohort(participants: int, schema: Schema, seed: int = 0) -> Participants:
    """Women live longer than men, and later events are more often censored; nothing else matters."""
    rng, encoding = np.random.default_rng(seed), Encoding(schema)
    values = encoding.decode(rng.normal(0, 0.3, (participants, encoding.width)))
    sex = [measure.name for measure in schema.all_measures].index("sex")
    death, leaves = rng.exponential(np.where(values[:, sex, 0] == 0, 300, 100)), rng.uniform(50, 800, participants)
    times, events = np.floor(np.minimum(death, leaves)), death < leaves
    labels, values[:, schema.outcome_row, 0] = schema.label.stretches.place(*schema.label.followed(times, events))
    ids = np.array([f"P{number}" for number in range(participants)])
    return Participants(schema, ids, labels.astype(np.int64), values)
