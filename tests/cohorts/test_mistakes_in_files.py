"""A mistake in a trial's files gets one paragraph that names the place and the remedy."""

import pytest

from tests.cohorts.complaints import refusal
from tests.cohorts.little_trial import schema_mapping, visits_frame, write_trial

pytestmark = pytest.mark.usefixtures("values_shown")


def test_a_missing_file(tmp_path):
    path = write_trial(tmp_path)
    (tmp_path / "visits.csv").unlink()
    refusal(path, tmp_path / "visits.csv", "does not exist")


def test_a_missing_column(tmp_path):
    refusal(
        write_trial(tmp_path, visits=visits_frame().drop(columns="hb")),
        "visits.csv",
        "no column hb",
        "id, visit, sbp, nyha",
    )


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file(tmp_path, content):
    path = write_trial(tmp_path)
    (tmp_path / "visits.csv").write_text(content)
    refusal(path, "visits.csv", "is empty")


def test_a_file_with_a_header_and_no_rows(tmp_path):
    refusal(write_trial(tmp_path, visits=visits_frame().iloc[:0]), "visits.csv", "no rows")


def test_a_row_with_a_field_too_many(tmp_path):
    path = write_trial(tmp_path)
    with (tmp_path / "visits.csv").open("a") as file:
        file.write("P080,V0,1,200,12.0,I\n")
    refusal(path, "visits.csv, line 162", "6 fields", "5", "1,200")


def test_a_file_that_is_no_parquet(tmp_path):
    schema = schema_mapping()
    schema["tables"]["visits"] = "visits.parquet"
    path = write_trial(tmp_path, schema=schema)
    (tmp_path / "visits.parquet").write_text("id,visit\n")
    refusal(path, "visits.parquet", "not readable as Parquet")


def test_a_visit_code_of_the_schema_that_the_file_does_not_know(tmp_path):
    schema = schema_mapping()
    schema["visits"]["codes"] = ["V0", "V1", "V7"]
    refusal(write_trial(tmp_path, schema=schema), "visits.csv", "column visit", "V7", "V0, V1")


def test_a_window_that_no_row_falls_into(tmp_path):
    schema = schema_mapping()
    schema["visits"] = {
        "column": "day",
        "windows": [{"name": "V0", "from": 0, "to": 1}, {"name": "V1", "from": 500, "to": 600}],
    }
    refusal(
        write_trial(tmp_path, visits=visits_frame().assign(day=0).iloc[::2], schema=schema),
        "visits.csv",
        "column day",
        "window V1",
        "500 to 600",
    )
