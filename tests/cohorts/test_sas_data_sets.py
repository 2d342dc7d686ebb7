"""Files that SAS itself wrote, where they are at hand: no library writes them as SAS does, so none is made here.

``HAVEN`` names a checkout of R's package haven, which is tested with some (``make test-dataset`` fetches it), and
``CDISC_ADSL`` the subject-level data set of CDISC's pilot study, 254 participants, as a .sas7bdat file.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from cohorts import Participants, Schema, load_participants, write_cohort
from cohorts.__main__ import main
from cohorts.files import Format, kind_of
from cohorts.loader import read_participants
from tests.cohorts.test_cohort_files import assert_same

SAS = Path(os.environ.get("HAVEN", "haven")) / "tests" / "testthat" / "sas"
ADSL = Path(os.environ.get("CDISC_ADSL", "adsl.sas7bdat"))
needs_haven = pytest.mark.skipif(
    not (SAS / "hadley.sas7bdat").is_file(), reason="needs HAVEN, the folder of a checkout of tidyverse/haven"
)
needs_adsl = pytest.mark.skipif(not ADSL.is_file(), reason="needs CDISC_ADSL, adsl.sas7bdat of CDISC's pilot study")

ANSWERS = np.array([[1, 1, 5, 1], [2, 1, 4, 1], [2, 2, 4, 3], [3, 1, np.nan, 3], [4, 5, 2, 4], [5, 4, 5, 5],
                    [5, 3, 4, 4], [4, 5, 5, 5]])  # fmt: skip
"""What the eight people of hadley.sas7bdat answered; the fourth left out a question, and their gender."""

WORKSHOPS = {
    "name": "workshops",
    "public": True,
    "participant": "id",
    "nominal_size": 50,
    "tables": {"people": "hadley.sas7bdat"},
    "label": {
        "name": "workshop",
        "column": "workshop",
        "randomised": True,
        "classes": [{"name": "R", "value": 1, "share": 0.5}, {"name": "SAS", "value": 2, "share": 0.5}],
    },
    "visits": {"codes": ["q1", "q2", "q3", "q4"]},
    "measures": [
        {"name": "answer", "kind": "integer", "lower": 1, "upper": 5, "missing": "allowed",
         "columns": {each: each for each in ("q1", "q2", "q3", "q4")}}
    ],
    "covariates": [
        {"name": "gender", "kind": "binary", "categories": ["f", "m"], "column": "gender", "missing": "allowed"}
    ],
}  # fmt: skip

PILOT = {
    "name": "cdisc-pilot",
    "public": True,
    "participant": "USUBJID",
    "nominal_size": 254,
    "tables": {"adsl": "adsl.sas7bdat"},
    "label": {
        "name": "arm",
        "column": "TRT01PN",
        "randomised": True,
        "classes": [
            {"name": "placebo", "value": 0, "share": 0.34},
            {"name": "low dose", "value": 54, "share": 0.33},
            {"name": "high dose", "value": 81, "share": 0.33},
        ],
    },
    "visits": {"codes": ["baseline"]},
    "measures": [
        {"name": "BMI", "kind": "continuous", "decimals": 1, "lower": 10, "upper": 60, "missing": "allowed",
         "columns": {"baseline": "BMIBL"}},
        {"name": "MMSE", "kind": "integer", "lower": 0, "upper": 30, "columns": {"baseline": "MMSETOT"}},
    ],
    "covariates": [
        {"name": "age", "kind": "integer", "lower": 18, "upper": 100, "column": "AGE"},
        {"name": "sex", "kind": "binary", "categories": ["F", "M"], "column": "SEX"},
        {"name": "onset", "kind": "integer", "unit": "days", "lower": -9999, "upper": 0, "column": "DISONSDT",
         "origin": "TRTSDT"},
    ],
}  # fmt: skip


def of_measure(people: Participants, name: str) -> np.ndarray:
    """Values of a measure at each visit, (n, V)."""
    return people.values[:, [each.name for each in people.schema.all_measures].index(name)]


def schema_file(folder: Path, mapping: dict[str, Any], tables: dict[str, str] | None = None) -> Path:
    path = folder / "schema.yaml"
    path.write_text(yaml.safe_dump({**mapping, "tables": tables or mapping["tables"]}))
    return path


@needs_haven
def test_a_data_set_of_sas_is_loaded_with_what_is_missing_in_it():
    people, _ = read_participants(Schema.model_validate(WORKSHOPS), SAS, for_a_study=False)
    assert people.ids.tolist() == [str(number) for number in range(1, 9)]
    assert people.labels.tolist() == [0, 1] * 4
    np.testing.assert_array_equal(of_measure(people, "answer"), ANSWERS)
    np.testing.assert_array_equal(of_measure(people, "gender")[:, 0], [0, 0, 0, np.nan, 1, 1, 1, 1])


@needs_haven
def test_whoever_misses_in_it_what_may_not_be_missing_is_left_out():
    (gender,) = WORKSHOPS["covariates"]
    strict = {**WORKSHOPS, "covariates": [{key: said for key, said in gender.items() if key != "missing"}]}
    people, _ = read_participants(Schema.model_validate(strict), SAS, for_a_study=False)
    assert people.ids.tolist() == ["1", "2", "3", "5", "6", "7", "8"]


@needs_haven
def test_the_command_checks_a_schema_against_it_and_finds_too_few(tmp_path, capsys):
    assert main([str(schema_file(tmp_path, WORKSHOPS)), "--data", str(SAS)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "hadley.sas7bdat are complete over the visits q1, q2, q3, q4; at least 50 are needed" in said


@needs_haven
def test_a_draft_of_it_names_its_columns(capsys):
    assert main(["draft", str(SAS / "hadley.sas7bdat")]) == 0
    drafted = capsys.readouterr().out
    assert all(name in drafted for name in ("workshop", "gender", "q1", "q4"))


@needs_haven
@pytest.mark.parametrize(
    ("file", "column", "texts"),
    [
        ("datetime", "VAR2", ["2015-02-02", "2014-01-01", "2015-06-15", "1948-09-16"]),
        ("tagged-na", "x", ["1", "2", "3", "4", "5", "", "", ""]),
    ],
)
def test_dates_of_sas_and_its_special_missing_values_are_read_as_everybody_spells_them(file, column, texts):
    path = SAS / f"{file}.sas7bdat"
    assert list(kind_of(path).read(path, [column], Format()).columns[column]) == texts


@needs_adsl
def test_the_command_checks_a_schema_against_a_trials_own_data_set(tmp_path, capsys):
    path = schema_file(tmp_path, PILOT, {"adsl": ADSL.name})
    assert main([str(path), "--data", str(ADSL.parent)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "cdisc-pilot: 2 measures at 1 visit, 3 covariates, public" in said and "254" in said


@needs_adsl
def test_a_trial_is_loaded_from_its_own_data_set_as_pandas_reads_that_and_comes_back_from_its_release(tmp_path):
    path = schema_file(tmp_path, PILOT, {"adsl": ADSL.name})
    people, _ = load_participants(str(path), ADSL.parent)
    by_pandas = pd.read_sas(ADSL, encoding="utf-8").set_index("USUBJID").loc[people.ids]
    assert len(people) == len(by_pandas) == 254 and np.isnan(of_measure(people, "BMI")).sum() == 1
    np.testing.assert_allclose(of_measure(people, "BMI")[:, 0], by_pandas["BMIBL"], rtol=1e-6)
    np.testing.assert_array_equal(of_measure(people, "age")[:, 0], by_pandas["AGE"])
    onset = (pd.to_datetime(by_pandas["DISONSDT"]) - pd.to_datetime(by_pandas["TRTSDT"])).dt.days
    np.testing.assert_array_equal(of_measure(people, "onset")[:, 0], onset)

    write_cohort(people, tmp_path / "out")
    again = schema_file(tmp_path, PILOT, {"adsl": f"{ADSL.stem}.xpt"})
    assert_same(load_participants(str(again), tmp_path / "out")[0], people)
