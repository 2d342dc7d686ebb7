"""A trial from which participants drop out, and in which values are missing by chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from cohorts import Participants, Schema
from cohorts.encoding import with_attendance
from tests.conftest import SMALL_SCHEMA

LOSSY_SCHEMA: dict[str, Any] = {
    **SMALL_SCHEMA,
    "name": "lossy",
    "nominal_size": 2000,
    "visits": {**SMALL_SCHEMA["visits"], "dropout": True},
    "measures": [
        {"name": "pressure", "kind": "integer", "lower": 80, "upper": 200, "column": "pressure", "missing": "allowed"},
        {"name": "dose", "kind": "continuous", "decimals": 1, "lower": 0, "upper": 10, "column": "dose"},
        {"name": "ill", "kind": "binary", "column": "ill", "missing": "allowed"},
        {
            "name": "stage",
            "kind": "categorical",
            "categories": ["I", "II", "III"],
            "column": "stage",
            "visits": ["week 0", "week 8"],
            "missing": "allowed",
        },
    ],
    "covariates": [
        {"name": "age", "kind": "integer", "lower": 18, "upper": 90, "column": "age", "missing": "allowed"},
    ],
}


def lossy_cohort(participants: int, schema: Schema | None = None, seed: int = 0) -> Participants:
    """Those who are treated leave more often, and so do the old; 10 % of pressures are missing besides."""
    schema = schema or Schema.model_validate(LOSSY_SCHEMA)
    rng = np.random.default_rng(seed)
    labels, time = rng.integers(0, len(schema.label.classes), participants), np.arange(3)
    own = rng.normal(size=participants)
    age = np.rint(60 + 10 * own).clip(18, 90)
    pressure = 150 - 12 * labels[:, None] * time + 8 * own[:, None] + rng.normal(0, 6, (participants, 3))
    dose = 3 + 1.5 * labels[:, None] * time + rng.normal(0, 1, (participants, 3))
    values = np.full((participants, 6, 3), np.nan)
    values[:, 0], values[:, 1] = np.rint(pressure).clip(80, 200), dose.round(1).clip(0, 10)
    values[:, 2] = rng.random((participants, 3)) < 0.2 + 0.2 * labels[:, None]
    values[:, 3] = rng.choice(3, (participants, 3), p=[0.2, 0.5, 0.3])
    values[:, 3, 1] = np.nan  # no visit for that
    chance = rng.random((participants, 3))
    values[:, 0][chance < 0.1], values[:, 2][chance > 0.85], values[:, 3][chance > 0.9] = np.nan, np.nan, np.nan
    values[:, 4, 0] = np.where(rng.random(participants) < 0.05, np.nan, age)
    leaves = rng.random((participants, 2)) < np.where(own[:, None] > 0.5, 0.3, 0.1) + 0.15 * labels[:, None]
    values[:, 5, 0] = np.where(leaves.any(axis=1), leaves.argmax(axis=1) + 1, 3)
    values[schema.gone(values)] = np.nan
    ids = np.array([f"P{number}" for number in range(participants)])
    return Participants(schema, ids, labels.astype(np.int64), values.astype(np.float32))


MISSED_SCHEMA: dict[str, Any] = {
    **LOSSY_SCHEMA,
    "name": "with-missed-visits",
    "visits": {**LOSSY_SCHEMA["visits"], "missed": ["week 4"]},
}


def with_missed_visits(participants: int, schema: Schema | None = None, seed: int = 0) -> Participants:
    """Those of the same trial of whom some missed a visit and came again, more often if they were treated."""
    schema = schema or Schema.model_validate(MISSED_SCHEMA)
    before, rng = lossy_cohort(participants, seed=seed), np.random.default_rng(seed + 1)
    values = np.insert(before.values, 5, np.nan, axis=1)
    missed = rng.random(participants) < 0.1 + 0.2 * before.labels
    values[missed, :4, 1] = np.nan
    return Participants(schema, before.ids, before.labels, with_attendance(schema, values))
