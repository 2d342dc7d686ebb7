"""The datasheet says who is not described, and loudly if they are many; all of it from public numbers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.datasheet import datasheet
from analysis.quality.gate import Quality, not_judged
from cohorts import Schema, resolve_schema
from tests.conftest import SMALL_SCHEMA

FILES = [Path("visits.csv"), Path("visits.parquet")]


def sheet(**said: Any) -> str:
    statement: Any = SimpleNamespace(study="s", cohort="small", method="", score="", picking="")
    schema = Schema.model_validate({**SMALL_SCHEMA, **said})
    return datasheet(statement, "synthetic", schema, statement, not_judged(""), FILES)


@pytest.mark.parametrize(("more_by", "bold"), [(0.08, False), (0.5, True)])
def test_how_many_are_left_out_is_said_and_in_bold_if_more_than_a_tenth(more_by, bold):
    nominal = SMALL_SCHEMA["nominal_size"]
    enrolled = round(nominal * (1 + more_by))
    said = f"About {enrolled - nominal:,} of {enrolled:,} enrolled participants ("
    assert said in sheet(enrolled=enrolled)
    assert (f"**{said}" in sheet(enrolled=enrolled)) == bold


def test_without_a_public_number_it_is_said_who_is_left_out():
    text = sheet()
    names = ", ".join(each["name"] for each in SMALL_SCHEMA["measures"])
    assert f"whoever lacked a value of {names} where one was expected is left out" in text


@pytest.mark.parametrize("visits", [{"dropout": True}, {"missed": True}, {"dropout": True, "missed": True}], ids=str)
def test_visits_that_nobody_had_to_attend_leave_nobody_out(visits):
    text = sheet(visits={**SMALL_SCHEMA["visits"], **visits})
    said = {"dropout": "up to the last visit attended", "missed": "at visits that were not missed"}
    where = " and ".join(said[each] for each in visits)
    assert f"where one was expected, {where}, is left out" in text


@pytest.mark.parametrize("copies", [0, 10])
def test_figures_by_copies_are_named_where_there_are_copies(copies):
    statement: Any = SimpleNamespace(study="s", cohort="small", method="", score="", picking="")
    schema = Schema.model_validate(SMALL_SCHEMA)
    text = datasheet(statement, "synthetic", schema, statement, Quality(verdict="passed"), FILES, copies)
    assert "cite these rather than figures of synthetic\n  participants" in text
    assert ("combined_estimate" in text) == (copies > 0)


def test_where_everybody_takes_part_nothing_is_said():
    assert "left out" not in sheet(measures=[{**each, "missing": "allowed"} for each in SMALL_SCHEMA["measures"]])


def test_the_number_of_those_enrolled_is_no_part_of_the_trial():
    schema = resolve_schema("sprint")
    assert schema.enrolled == 9361
    assert schema.of_the_trial == schema.model_copy(update={"enrolled": None}).of_the_trial
