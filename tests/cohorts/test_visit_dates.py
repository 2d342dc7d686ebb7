"""Visits given as dates are days since another date."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from cohorts import CohortError, Schema, load_participants, write_cohort
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial
from tests.cohorts.test_cohort_files import assert_same

WINDOWS = [{"name": "V0", "from": -3, "to": 3}, {"name": "V1", "from": 80, "to": 100}]
BEGUN = [date(2019, 12, 1) + timedelta(days=i) for i in range(80)]


def dated(origin: object) -> dict:
    return schema_mapping() | {"visits": {"column": "visit_date", "origin": origin, "windows": WINDOWS}}


def visits_on_dates() -> pd.DataFrame:
    visits = visits_frame()
    days = [start + timedelta(days=day) for start in BEGUN for day in (0, 91)]
    return visits.drop(columns="visit").assign(visit_date=[day.isoformat() for day in days])


def test_windows_of_dates_are_days_since_a_column_of_the_same_table(tmp_path):
    visits = visits_on_dates().assign(start=np.repeat([day.isoformat() for day in BEGUN], 2))
    path = write_trial(tmp_path / "dates", visits=visits, schema=dated("start"))
    cohort, _ = load_participants(path)
    assert_same(cohort, load_participants(write_trial(tmp_path / "codes"))[0])
    write_cohort(cohort, tmp_path / "out")
    assert_same(load_participants(path, tmp_path / "out")[0], cohort)
    written = pd.read_csv(tmp_path / "out" / "visits.csv")
    assert set(written["start"]) == {"2000-01-01"}
    assert set(written["visit_date"]) == {"2000-01-01", "2000-03-31"}


def test_or_of_the_participants_table_in_whatever_format(tmp_path):
    schema = dated({"table": "people", "column": "begun"})
    schema["tables"] = {"people": "people.parquet", "visits": "visits.csv"}
    path = write_trial(tmp_path / "dates", visits=visits_on_dates(), schema=schema)
    people_frame().astype({"age": int}).assign(begun=pd.to_datetime(BEGUN)).to_parquet(
        tmp_path / "dates" / "people.parquet"
    )
    cohort, _ = load_participants(path)
    assert_same(cohort, load_participants(write_trial(tmp_path / "codes"))[0])
    write_cohort(cohort, tmp_path / "out")
    assert_same(load_participants(path, tmp_path / "out")[0], cohort)


def test_the_time_of_day_does_not_count(tmp_path):
    visits = visits_on_dates().assign(start=np.repeat([f"{day} 08:00:00" for day in BEGUN], 2))
    visits["visit_date"] += "T23:59"
    assert load_participants(write_trial(tmp_path, visits=visits, schema=dated("start")))[1].kept == 80


def test_who_has_no_origin_has_no_visit(tmp_path):
    visits = visits_on_dates().assign(start=np.repeat([day.isoformat() for day in BEGUN], 2))
    visits.loc[[6, 7], "start"] = ""
    _, report = load_participants(write_trial(tmp_path, visits=visits, schema=dated("start")))
    assert report.kept == 79


def test_dates_without_an_origin_are_told_from_text(tmp_path):
    schema = schema_mapping() | {"visits": {"column": "visit_date", "windows": WINDOWS}}
    with pytest.raises(CohortError, match=r"line 2, column visit_date: .* but a date .*origin: COLUMN"):
        load_participants(write_trial(tmp_path, visits=visits_on_dates(), schema=schema))


def test_dates_of_another_order_are_not_guessed_at(tmp_path):
    visits = visits_on_dates().assign(start="01.02.2020")
    with pytest.raises(CohortError, match=r"column start: a text is not a date .*2020-01-31"):
        load_participants(write_trial(tmp_path, visits=visits, schema=dated("start")))


def test_an_origin_that_changes_is_an_error(tmp_path):
    visits = visits_on_dates().assign(start=np.repeat([day.isoformat() for day in BEGUN], 2))
    visits.loc[7, "start"] = "2018-01-01"
    with pytest.raises(CohortError, match="line 9, column start: a participant has one value here and another"):
        load_participants(write_trial(tmp_path, visits=visits, schema=dated("start")))


def test_a_date_where_a_measure_belongs_is_called_one(tmp_path):
    visits = visits_frame().assign(hb="2020-01-01")
    with pytest.raises(CohortError, match=r"but a date .*If the measure is a date, name the column"):
        load_participants(write_trial(tmp_path, visits=visits))


@pytest.mark.parametrize(
    ("visits", "said"),
    [
        ({"column": "d", "codes": ["V0"], "origin": "start"}, "origin is for windows"),
        (
            {"column": "d", "origin": "start", "windows": [{"name": "V0", "from": 0.2, "to": 0.8}]},
            "window V0 holds no whole day",
        ),
        ({"column": "d", "origin": {"table": "x", "column": "y"}, "windows": WINDOWS}, "table 'x' is not among"),
        ({"column": "d", "origin": "sbp", "windows": WINDOWS}, "by origin of visits and by measure SBP"),
    ],
)
def test_an_origin_that_makes_no_sense_is_refused(visits, said):
    with pytest.raises(ValueError, match=said):
        Schema.model_validate(schema_mapping() | {"visits": visits})
