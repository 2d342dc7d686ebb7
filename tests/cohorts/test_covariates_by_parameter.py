"""Covariates that stand in rows of a parameter, as ADaM's basic data structure may have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.dataset.dictionary import entries
from analysis.dataset.sdv import sdv_metadata
from cohorts import Participants, load_participants, write_cohort
from cohorts.loader import read_participants
from tests.cohorts.complaints import said
from tests.cohorts.little_trial import people_frame
from tests.cohorts.parameter_trial import adam_mapping, parameters, write_adam

KEYS = ["USUBJID", "AVISIT", "PARAMCD", "AVAL"]
WEIGHTS = 60 + np.arange(80) % 30


def with_weight() -> dict[str, Any]:
    """The little trial with a weight among the parameters."""
    schema = adam_mapping()
    weight = {"name": "weight", "unit": "kg", "kind": "integer", "lower": 30, "upper": 250}
    schema["covariates"].append(weight | {"table": "ADVS", "parameter": "WEIGHT"})
    return schema


def weights(visit: str = "V0") -> pd.DataFrame:
    """A row for each participant."""
    people = people_frame()["id"].to_numpy()
    return pd.DataFrame({"USUBJID": people, "AVISIT": visit, "PARAMCD": "WEIGHT", "AVAL": WEIGHTS.astype(float)})


def rows(*more: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([parameters(), *more], ignore_index=True)


def weight_of(cohort: Participants) -> list[float]:
    return cohort.values[:, len(cohort.schema.measures) + 2, 0].tolist()


def assert_comes_back(cohort: Participants, folder: Path) -> None:
    again, _ = read_participants(cohort.schema, folder)
    np.testing.assert_array_equal(again.values, cohort.values)


def test_a_covariate_may_stand_among_the_parameters(tmp_path):
    path = write_adam(tmp_path / "in", rows(weights()), with_weight())
    cohort, report = load_participants(path)
    assert weight_of(cohort) == WEIGHTS.tolist()
    assert report.rows[0].other_parameters == 0
    write_cohort(cohort, tmp_path / "out")
    back = pd.read_csv(tmp_path / "out" / "advs.csv")
    expected = rows(weights())[KEYS].sort_values(KEYS, ignore_index=True)
    pd.testing.assert_frame_equal(back[KEYS].sort_values(KEYS, ignore_index=True), expected)
    assert_comes_back(cohort, tmp_path / "out")


@pytest.mark.parametrize("visit", ["SCREENING", ""])
def test_it_may_stand_at_a_visit_of_its_own_or_at_none(tmp_path, visit):
    cohort, _ = load_participants(write_adam(tmp_path, rows(weights(visit)), with_weight()))
    assert weight_of(cohort) == WEIGHTS.tolist()


def test_rows_of_several_visits_may_repeat_it_but_not_disagree(tmp_path):
    cohort, _ = load_participants(write_adam(tmp_path / "same", rows(weights(), weights("V1")), with_weight()))
    assert weight_of(cohort) == WEIGHTS.tolist()
    later = weights("V1").assign(AVAL=lambda rows: rows["AVAL"] + 1)
    message = said(write_adam(tmp_path / "other", rows(weights(), later), with_weight()))
    assert "advs.csv, line 562, column AVAL: a participant has one value here and another in an earlier row" in message
    assert "measure" in message


def test_a_table_of_parameters_may_hold_covariates_alone(tmp_path):
    schema = with_weight()
    schema["tables"]["ADBL"] = "adbl.csv"
    schema["covariates"][-1]["table"] = "ADBL"
    path = write_adam(tmp_path / "in", schema=schema)
    weights().drop(columns="AVISIT").to_csv(tmp_path / "in" / "adbl.csv", index=False)
    cohort, _ = load_participants(path)
    assert weight_of(cohort) == WEIGHTS.tolist()
    write_cohort(cohort, tmp_path / "out")
    assert list(pd.read_csv(tmp_path / "out" / "adbl.csv").columns) == ["USUBJID", "PARAMCD", "AVAL"]
    assert_comes_back(cohort, tmp_path / "out")
    tables = sdv_metadata(cohort.schema)["relationships"]
    assert {each["parent_table_name"] for each in tables} == {"ADSL"}


def test_whoever_lacks_it_is_left_out_or_lacks_it_in_a_synthetic_table_too(tmp_path):
    schema = with_weight()
    _, report = load_participants(write_adam(tmp_path / "dropped", rows(weights().iloc[5:]), schema))
    assert ("covariate weight has no value", 5) in [(rule.rule, rule.dropped) for rule in report.rules]
    schema["covariates"][-1]["missing"] = "allowed"
    cohort, _ = load_participants(write_adam(tmp_path / "in", rows(weights().iloc[5:]), schema))
    assert np.isnan(weight_of(cohort)[:5]).all()
    write_cohort(cohort, tmp_path / "out")
    assert_comes_back(cohort, tmp_path / "out")


def test_those_who_left_at_once_still_have_it(tmp_path):
    schema = with_weight()
    schema["visits"]["dropout"] = True
    left = parameters()["USUBJID"] < "P010"
    advs = pd.concat([parameters()[~left], weights()], ignore_index=True)
    cohort, _ = load_participants(write_adam(tmp_path / "in", advs, schema))
    assert (cohort.values[:10, -1, 0] == 0).all() and weight_of(cohort) == WEIGHTS.tolist()
    write_cohort(cohort, tmp_path / "out")
    assert_comes_back(cohort, tmp_path / "out")


def test_the_data_dictionary_has_its_code(tmp_path):
    cohort, _ = load_participants(write_adam(tmp_path, rows(weights()), with_weight()))
    (entry,) = (each for each in entries(cohort.schema, "ADVS") if each.meaning == "weight")
    assert (entry.column, entry.parameter, entry.unit) == ("AVAL", "WEIGHT", "kg")


def test_a_code_that_no_row_has_is_named(tmp_path):
    assert "the parameter WEIGHT of the schema never occurs" in said(write_adam(tmp_path, schema=with_weight()))
