"""A mistake in a cell or a row gets one paragraph that names the place, the value and the remedy."""

import string

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cohorts.complaints import refusal
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial

pytestmark = pytest.mark.usefixtures("values_shown")
spoil = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@spoil
@given(row=st.integers(0, 159), value=st.integers(-(10**6), 59) | st.integers(241, 10**6) | st.just("inf"))
def test_a_value_outside_its_bounds(tmp_path, row, value):
    visits = visits_frame()
    visits.loc[row, "sbp"] = value
    refusal(
        write_trial(tmp_path, visits=visits),
        f"visits.csv, line {row + 2}, column sbp",
        f"SBP is {value}, outside",
        "60 to 240 mmHg",
        "lower or upper",
    )


def looks_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip().lower() in ("", ".", "na", "n/a", "nan", "null", "none") or "x" in text.lower()
    return True


@spoil
@given(
    row=st.integers(0, 159),
    text=st.text(string.ascii_letters + "<>% ;-", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda text: not looks_like_a_number(text)),
)
def test_text_in_a_numeric_column(tmp_path, row, text):
    visits = visits_frame()
    visits.loc[row, "hb"] = text
    refusal(write_trial(tmp_path, visits=visits), f"visits.csv, line {row + 2}, column hb", f"{text!r} is not a number")


def test_half_a_count(tmp_path):
    visits = visits_frame()
    visits.loc[5, "sbp"] = 120.5
    refusal(write_trial(tmp_path, visits=visits), "visits.csv, line 7, column sbp", "120.5", "whole number")


def test_an_unknown_category(tmp_path):
    visits = visits_frame()
    visits.loc[5, "nyha"] = "IV"
    refusal(write_trial(tmp_path, visits=visits), "visits.csv, line 7, column nyha", "'IV'", "I, II, III")


@spoil
@given(row=st.integers(0, 79))
def test_a_participant_without_label(tmp_path, row):
    people = people_frame()
    people.loc[row, "arm"] = ""
    refusal(
        write_trial(tmp_path, people=people),
        f"people.csv, line {row + 2}, column arm",
        f"participant P{row:03d} has no label",
    )


def test_a_participant_of_another_table_without_label(tmp_path):
    refusal(
        write_trial(tmp_path, people=people_frame().drop(index=9)),
        "visits.csv, line 20, column id",
        "participant P009 has no label",
        "people.csv",
    )


def test_a_row_without_participant(tmp_path):
    visits = visits_frame()
    visits.loc[4, "id"] = ""
    refusal(write_trial(tmp_path, visits=visits), "visits.csv, line 6, column id", "identifier is missing")


def test_a_label_with_one_value(tmp_path):
    refusal(write_trial(tmp_path, people=people_frame().assign(arm="C")), "people.csv, column arm", "arm = T (treated)")


def test_an_unknown_label_value(tmp_path):
    people = people_frame()
    people.loc[2, "arm"] = "X"
    refusal(write_trial(tmp_path, people=people), "people.csv, line 4, column arm", "'X'", "C (control), T (treated)")


@spoil
@given(row=st.integers(0, 159))
def test_a_participant_twice_at_one_visit(tmp_path, row):
    visits = visits_frame()
    twice = pd.concat([visits, visits.iloc[[row]]])
    refusal(
        write_trial(tmp_path, visits=twice),
        "visits.csv, line 162, column visit",
        f"participant P{row // 2:03d} has a second row at visit V{row % 2}",
    )


def test_a_participant_twice_at_one_time(tmp_path):
    schema = schema_mapping()
    schema["visits"] = {"column": "day", "windows": [{"name": "V0", "from": 0, "to": 9}]}
    visits = pd.concat([visits_frame().iloc[::2], visits_frame().iloc[[4]]]).assign(day=3)
    refusal(
        write_trial(tmp_path, visits=visits, schema=schema),
        "visits.csv, line 82, column day",
        "participant P002 has a second row at day 3",
    )


def test_a_participant_twice_in_a_table_without_visits(tmp_path):
    people = people_frame()
    refusal(
        write_trial(tmp_path, people=pd.concat([people, people.iloc[[4]]])),
        "people.csv, line 82, column id",
        "participant P004 has a second row",
    )


def test_a_constant_that_changes(tmp_path):
    schema = schema_mapping()
    schema["covariates"][0].update(table="visits", column="age")
    visits = visits_frame().assign(age=50)
    visits.loc[9, "age"] = 51
    refusal(
        write_trial(tmp_path, visits=visits, schema=schema),
        "visits.csv, line 11, column age",
        "participant P004",
        "'51' here",
    )


def test_fewer_than_50_complete_participants(tmp_path):
    visits = visits_frame()
    visits.loc[0:63:2, "hb"] = ""
    refusal(
        write_trial(tmp_path, visits=visits),
        "Only 48 participants",
        "visits.csv",
        "at least 50",
        "measure HB has no value at some visit",
    )
