"""A simulated trial of two arms of which the truth is known, and the analyses that a statistician would carry out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cohorts import Participants, Schema
from privacy.mechanisms.labels import labels_by_shares, shares_of_classes

SCHEMA: dict[str, Any] = {
    "name": "simulated",
    "public": True,
    "participant": "id",
    "nominal_size": 500,
    "tables": {"people": "people.csv", "visits": "visits.csv"},
    "label": {
        "name": "arm",
        "table": "people",
        "column": "arm",
        "randomised": True,
        "classes": [{"name": "control", "value": 0, "share": 0.5}, {"name": "treated", "value": 1, "share": 0.5}],
    },
    "visits": {"column": "visit", "codes": ["week 0", "week 24"], "baseline": "week 0"},
    "measures": [
        {"name": "pressure", "unit": "mmHg", "kind": "integer", "lower": 80, "upper": 200}
        | {"table": "visits", "column": "pressure"},
        {"name": "quality", "unit": "points", "kind": "continuous", "decimals": 1, "lower": 0, "upper": 100}
        | {"table": "visits", "column": "quality"},
        {"name": "response", "unit": "", "kind": "binary", "categories": ["no", "yes"]}
        | {"table": "visits", "column": "response", "visits": ["week 24"]},
    ],
    "covariates": [
        {"name": "age", "unit": "years", "kind": "integer", "lower": 30, "upper": 90}
        | {"table": "people", "column": "age"},
        {"name": "sex", "unit": "", "kind": "binary", "categories": ["f", "m"], "table": "people", "column": "sex"},
    ],
}

ANALYSES = {
    "mean pressure of the treated": False,
    "difference between arms in mean pressure": True,
    "difference between arms in mean quality": True,
    "difference between arms in response": True,
    "arm, pressure by arm, its baseline and age (linear)": True,
    "baseline, of the same": False,
    "arm, response by arm, age and sex (logistic)": True,
    "age, of the same": False,
}
"""Estimates, and whether each is 0 where the treatment has no effect."""


@dataclass(frozen=True)
class Found:
    """An estimate and its standard error."""

    estimate: float
    error: float


def schema_of(participants: int) -> Schema:
    """The trial's schema, for so many."""
    return Schema.model_validate({**SCHEMA, "nominal_size": participants})


def simulated(participants: int, effect: float, randomness: np.random.Generator) -> Participants:
    """A trial; an effect of 1 lowers pressure by 8 mmHg, adds 6 points of quality, and 0.8 to a response's log odds."""
    schema, n = schema_of(participants), participants
    arm = labels_by_shares(shares_of_classes(schema), n, randomness)
    age, sex = randomness.normal(60, 10, n).round().clip(30, 90), (randomness.random(n) < 0.45).astype(float)
    usual, mood = randomness.normal(size=n), randomness.normal(size=n)
    values = np.full((n, len(schema.all_measures), 2), np.nan, dtype=np.float32)
    for visit in range(2):
        on = arm * visit * effect
        pressure = 138 + 0.4 * (age - 60) + 10 * usual + 9 * randomness.normal(size=n) - 8 * on
        quality = 60 + 12 * mood - 3 * usual + 10 * randomness.normal(size=n) + 6 * on
        values[:, 0, visit], values[:, 1, visit] = pressure.round().clip(80, 200), quality.round(1).clip(0, 100)
    odds = -0.4 + 0.8 * effect * arm + 0.03 * (age - 60) - 0.4 * sex - 0.3 * usual
    values[:, 2, 1] = randomness.random(n) < 1 / (1 + np.exp(-odds))
    values[:, 3, 0], values[:, 4, 0] = age, sex
    return Participants(schema, np.array([f"P{number}" for number in range(n)]), arm, values)


def analysed(people: Participants) -> Mapping[str, Found]:
    """Every one of ``ANALYSES``, as it would be carried out on a trial."""
    arm, values = people.labels, people.values.astype(float)
    (before, pressure), quality, response = values[:, 0].T, values[:, 1, 1], values[:, 2, 1]
    age, sex, one = values[:, 3, 0], values[:, 4, 0], np.ones(len(people))
    linear = _linear(np.column_stack([one, arm, before - 138, age - 60]), pressure)
    logistic = _logistic(np.column_stack([one, arm, age - 60, sex]), response)
    treated = pressure[arm == 1]
    found = (
        Found(treated.mean(), treated.std(ddof=1) / np.sqrt(len(treated))),
        *(_difference(each, arm) for each in (pressure, quality, response)),
        linear[1],
        linear[2],
        logistic[1],
        logistic[2],
    )
    return dict(zip(ANALYSES, found, strict=True))


def _difference(values: np.ndarray, arm: np.ndarray) -> Found:
    parts = [values[arm == each] for each in (1, 0)]
    means, variances = [each.mean() for each in parts], [each.var(ddof=1) / len(each) for each in parts]
    return Found(means[0] - means[1], np.sqrt(sum(variances)))


def _linear(design: np.ndarray, outcome: np.ndarray) -> list[Found]:
    """Least squares; design (n, c)."""
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ design.T @ outcome
    variance = np.square(outcome - design @ slopes).sum() / (len(outcome) - len(slopes))
    return [Found(*each) for each in zip(slopes, np.sqrt(variance * np.diag(inverse)), strict=True)]


def _logistic(design: np.ndarray, outcome: np.ndarray) -> list[Found]:
    """Maximum likelihood by Newton's method; design (n, c)."""
    slopes = np.zeros(design.shape[1])
    for _ in range(12):
        likely = 1 / (1 + np.exp(-design @ slopes))
        information = design.T @ (design * (likely * (1 - likely))[:, None])
        slopes = slopes + np.linalg.solve(information, design.T @ (outcome - likely))
    return [Found(*each) for each in zip(slopes, np.sqrt(np.diag(np.linalg.inv(information))), strict=True)]
