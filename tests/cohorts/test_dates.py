"""Dates of participants are days since another date of theirs, and come back as dates."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cohorts import CohortError, Schema, load_participants, write_cohort
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial
from tests.cohorts.test_cohort_files import assert_same

RANDOMISED = [date(2019, 12, 1) + timedelta(days=i) for i in range(80)]
DIAGNOSED: dict[str, Any] = {
    "name": "diagnosis",
    "kind": "integer",
    "unit": "days",
    "lower": -3650,
    "upper": 0,
    "table": "people",
    "column": "diagnosed",
    "origin": "randomised",
}


def dated(**changed: Any) -> dict[str, Any]:
    schema = schema_mapping()
    return schema | {"covariates": [*schema["covariates"], DIAGNOSED | changed]}


def people() -> pd.DataFrame:
    """The i-th participant was diagnosed i + 1 days before randomisation."""
    frame = people_frame().assign(randomised=[day.isoformat() for day in RANDOMISED])
    return frame.assign(diagnosed=[(day - timedelta(days=i + 1)).isoformat() for i, day in enumerate(RANDOMISED)])


def load(path: Path, frame: pd.DataFrame, **changed: Any):
    return load_participants(write_trial(path, people=frame, schema=dated(**changed)))[0]


def test_a_date_is_read_as_days_and_written_as_a_date(tmp_path):
    cohort = load(tmp_path / "in", people())
    assert cohort.values[:, -1, 0].tolist() == [-(i + 1) for i in range(80)]
    write_cohort(cohort, tmp_path / "out")
    assert_same(load_participants(str(tmp_path / "in" / "little.yaml"), tmp_path / "out")[0], cohort)
    written = pd.read_csv(tmp_path / "out" / "people.csv")
    assert set(written["randomised"]) == {"2000-01-01"} and written["diagnosed"][0] == "1999-12-31"


def test_the_origin_may_stand_in_another_table_and_serve_visits_too(tmp_path):
    schema = dated(origin={"table": "visits", "column": "begun"})
    schema["visits"] = {"column": "visit_date", "origin": "begun", "windows": [
        {"name": "V0", "from": -3, "to": 3}, {"name": "V1", "from": 80, "to": 100}]}  # fmt: skip
    days = [(start + timedelta(days=day)).isoformat() for start in RANDOMISED for day in (0, 91)]
    begun = np.repeat([day.isoformat() for day in RANDOMISED], 2)
    visits = visits_frame().drop(columns="visit").assign(visit_date=days, begun=begun)
    frame = people().drop(columns="randomised")
    path = write_trial(tmp_path / "in", people=frame, visits=visits, schema=schema)
    cohort, _ = load_participants(path)
    assert cohort.values[:, -1, 0].tolist() == [-(i + 1) for i in range(80)]
    write_cohort(cohort, tmp_path / "out")
    assert_same(load_participants(path, tmp_path / "out")[0], cohort)


def test_a_date_that_is_missing_is_a_missing_value(tmp_path):
    frame = people()
    frame.loc[:2, "diagnosed"] = ["", "unknown", "NA"]
    frame.loc[3, "randomised"] = ""
    cohort = load(tmp_path / "in", frame, missing="allowed", missing_values=["unknown"])
    assert np.isnan(cohort.values[:, -1, 0]).tolist() == [True] * 4 + [False] * 76
    write_cohort(cohort, tmp_path / "out")
    assert_same(load_participants(str(tmp_path / "in" / "little.yaml"), tmp_path / "out")[0], cohort)
    assert len(load(tmp_path / "drop", frame, missing_values=["unknown"])) == 76


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("soon", "line 2, column diagnosed: a text is not a date. Write dates as 2020-01-31"),
        ("2021-01-31", "diagnosis is a number, outside its bounds -3650 to 0 days"),
    ],
)
def test_what_is_no_date_or_too_late_a_one_is_an_error(tmp_path, cell, said):
    frame = people()
    frame.loc[0, "diagnosed"] = cell
    with pytest.raises(CohortError) as caught:
        load(tmp_path, frame)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "continuous"}, "counted in whole days: kind integer, not continuous"),
        ({"lower": -40_000}, "days from the origin, at most 36500"),
        ({"origin": {"table": "labs", "column": "x"}}, "table 'labs' is not among tables"),
        ({"origin": "age"}, "named twice, by origin of days and by covariate age"),
    ],
)
def test_dates_that_make_no_sense_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        Schema.model_validate(dated(**changed))


def test_dates_of_different_origins_are_not_compared():
    other = DIAGNOSED | {"name": "relapse", "column": "relapsed", "upper": 900}
    covariates = [DIAGNOSED, other]
    compared = {"covariates": covariates, "constraints": ["diagnosis < relapse"]}
    assert Schema.model_validate(schema_mapping() | compared)
    other["origin"] = "enrolled"
    with pytest.raises(ValueError, match="days from different dates"):
        Schema.model_validate(schema_mapping() | compared)
