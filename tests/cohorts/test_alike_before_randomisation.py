"""The steward is told of what is said to be from before randomisation and cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cohorts import Participants, Schema
from cohorts.checking import hints_of
from tests.conftest import SMALL_SCHEMA, small_cohort

COVARIATES: list[dict[str, Any]] = [
    {"name": "planned dose", "kind": "integer", "lower": 0, "upper": 40, "column": "planned"},
    {"name": "regimen", "kind": "categorical", "categories": ["none", "once", "twice"], "column": "regimen"},
    {"name": "age", "kind": "integer", "lower": 18, "upper": 90, "column": "age"},
]
TOLD = {**SMALL_SCHEMA, "visits": {**SMALL_SCHEMA["visits"], "baseline": "week 0"}, "covariates": COVARIATES}


def trial(schema: dict[str, Any], follows: bool, participants: int = 60) -> Participants:
    """Dose and regimen follow from the arm, or do not."""
    people, rng = small_cohort(Schema.model_validate(SMALL_SCHEMA), participants), np.random.default_rng(0)
    arm = people.labels if follows else rng.permutation(people.labels)
    values = np.full((participants, 5, 3), np.nan, dtype=np.float32)
    values[:, :2], values[:, 2, 0] = people.values, 40 * arm
    values[:, 3, 0], values[:, 4, 0] = (
        np.where(arm, rng.integers(1, 3, participants), 0),
        rng.integers(30, 80, participants),
    )
    return Participants(Schema.model_validate(schema), people.ids, people.labels, values)


def test_what_follows_from_the_arm_is_no_covariate_of_a_trial_with_a_baseline():
    (hint,) = hints_of(trial(TOLD, follows=True), exactly=False)
    assert hint.startswith("HINT: planned dose, regimen tell much of arm") and "age" not in hint
    assert "Leave out what follows from the arm" in hint


@pytest.mark.parametrize("schema, follows", [(TOLD, False), ({**SMALL_SCHEMA, "covariates": COVARIATES}, True)])
def test_chance_is_no_reason_nor_what_is_drawn_by_arm_anyway(schema, follows):
    assert not [hint for hint in hints_of(trial(schema, follows), exactly=False) if "randomisation" in hint]
