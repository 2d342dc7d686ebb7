"""A visit that nobody has come to is part of a trial where participants may lack it, and a mistake elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cohorts import Encoding, Schema, load_participants, write_cohort
from cohorts.__main__ import main
from cohorts.loader import read_participants
from tests.cohorts.complaints import refusal
from tests.cohorts.little_trial import schema_mapping, visits_frame, write_trial
from tests.cohorts.parameter_trial import adam_mapping, parameters, write_adam
from tests.cohorts.test_cohort_files import assert_same

THREE = [{"name": name, "from": start, "to": start + 20} for name, start in (("V0", 0), ("V1", 80), ("V2", 170))]


def with_a_third_visit(**said: Any) -> dict[str, Any]:
    schema = schema_mapping()
    schema["visits"] |= {"codes": ["V0", "V1", "V2"], **said}
    return schema


def allowed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "measures": [{**measure, "missing": "allowed"} for measure in schema["measures"]]}


def in_windows(schema: dict[str, Any]) -> dict[str, Any]:
    visits = {key: value for key, value in schema["visits"].items() if key != "codes"}
    return {**schema, "visits": {**visits, "column": "day", "windows": THREE}}


@pytest.mark.parametrize("how", [lambda schema: schema, in_windows], ids=["codes", "windows"])
@pytest.mark.parametrize(
    "schema",
    [with_a_third_visit(dropout=True), allowed(with_a_third_visit()), with_a_third_visit(missed=["V2"])],
    ids=["dropout", "missing allowed", "missed"],
)
def test_a_trial_whose_last_visit_nobody_has_reached_is_read_and_written_back(tmp_path, how, schema):
    visits = visits_frame()
    path = write_trial(tmp_path, visits=visits.assign(day=[0, 90] * (len(visits) // 2)), schema=how(schema))
    cohort, report = load_participants(path)
    assert (report.enrolled, report.kept) == (80, 80)
    assert np.isnan(cohort.values[:, :3, 2]).all()
    assert np.isfinite(cohort.values[:, :3, :2]).all()
    assert [each.visit for each in report.absent] == ["V2"]
    write_cohort(cohort, tmp_path / "out")
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_who_missed_a_visit_and_came_again_takes_part_and_who_has_half_of_one_does_not(tmp_path):
    visits = visits_frame()
    third = visits[visits["visit"] == "V1"].assign(visit="V2")
    visits = pd.concat([visits, third], ignore_index=True)
    second = np.flatnonzero(visits["visit"] == "V1")
    visits.iloc[second[5], visits.columns.get_loc("hb")] = ""
    visits = visits.drop(index=visits.index[second[:5]])
    cohort, report = load_participants(write_trial(tmp_path, visits=visits, schema=with_a_third_visit(missed=["V1"])))
    assert (report.enrolled, report.kept) == (80, 79)
    missed = np.isnan(cohort.values[:, :3, 1])  # (n, 3)
    assert missed.all(axis=1).sum() == missed.any(axis=1).sum() == 5
    assert not np.isnan(cohort.values[:, :3, [0, 2]]).any()
    assert "attendance V1" in Encoding(cohort.schema).feature_names
    write_cohort(cohort, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "visits.csv")) == 3 * 79 - 5
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


@pytest.mark.parametrize(
    ("visit", "said"),
    [("V1", "and came again (20 at V1)"), ("V2", "and did not come again (20 at V2)")],
    ids=["missed", "left"],
)
def test_who_flags_each_measure_for_visits_that_are_missing_whole_is_told_of_a_better_way(
    tmp_path, capsys, visit, said
):
    visits = visits_frame()
    visits = pd.concat([visits, visits[visits["visit"] == "V1"].assign(visit="V2")], ignore_index=True)
    torn = visits.index[visits["visit"] == visit]
    visits.loc[torn[20:25], "hb"] = ""  # by themselves
    whole = visits.drop(index=torn[:20])
    schema = {**allowed(with_a_third_visit()), "public": True}
    assert main([write_trial(tmp_path, visits=whole, schema=schema)]) == 0
    (hint,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("HINT"))
    assert said in hint and (f"missed: [{visit}]" in hint or "dropout: true" in hint)
    visits.loc[torn[:40], "hb"] = ""
    assert main([write_trial(tmp_path, visits=visits, schema=schema)]) == 0
    assert "HINT" not in capsys.readouterr().out


@pytest.mark.parametrize("dropout", [True, {"from": "V0"}], ids=str)
def test_where_everybody_attends_the_baseline_the_steward_is_told_to_say_so(tmp_path, capsys, dropout):
    schema = {**with_a_third_visit(dropout=dropout, baseline="V0"), "public": True}
    assert main([write_trial(tmp_path, schema=schema)]) == 0
    assert ("Say dropout: {from: V0}" in capsys.readouterr().out) == (dropout is True)


def test_where_somebody_came_to_later_visits_alone_the_baseline_is_not_said_to_be_sure(tmp_path, capsys):
    visits = visits_frame()
    visits = visits.drop(index=visits.index[visits["visit"] == "V0"][:3])
    schema = {**allowed(with_a_third_visit(dropout=True, baseline="V0")), "public": True}
    assert main([write_trial(tmp_path, visits=visits, schema=schema)]) == 0
    assert "Say dropout: {from: V0}" not in capsys.readouterr().out


def test_the_steward_is_told_of_it(tmp_path, capsys):
    assert main([write_trial(tmp_path, schema=with_a_third_visit(dropout=True))]) == 0
    (warning,) = (line for line in capsys.readouterr().out.splitlines() if "WARNING" in line)
    assert "visits.csv has no row of the visit V2 (column visit)" in warning


@pytest.mark.parametrize(
    ("codes", "dropout"), [(["V0", "V1", "V7"], False), (["V0", "V7", "V1"], {"from": "V7"})], ids=str
)
def test_where_everybody_needs_a_value_there_it_is_refused(tmp_path, codes, dropout):
    schema = with_a_third_visit(codes=codes, dropout=dropout)
    refusal(write_trial(tmp_path, schema=schema), "visits.csv", "column visit", "V7", "never occurs")


def test_who_comes_later_needs_a_visit_between(tmp_path):
    schema = with_a_third_visit(codes=["V0", "V7", "V1"], dropout=True)
    refusal(write_trial(tmp_path, schema=schema), "visits.csv", "V7", "never occurs")


def test_a_window_with_rows_that_lack_what_is_needed_is_refused(tmp_path):
    visits = visits_frame()
    visits = visits.assign(day=[0, 90] * (len(visits) // 2))
    visits.loc[visits["day"] == 90, "hb"] = ""
    schema = in_windows(with_a_third_visit(dropout=True))
    schema["visits"]["windows"] = THREE[:2]
    refusal(write_trial(tmp_path, visits=visits, schema=schema), "visits.csv", "window V1", "80 to 100")


def adam_with_a_third_visit() -> dict[str, Any]:
    """NYHA classes are planned at the third visit alone."""
    schema = adam_mapping()
    schema["visits"] |= {"codes": ["V0", "V1", "V2"], "dropout": True}
    schema["measures"][2]["visits"] = ["V2"]
    return schema


def test_a_parameter_of_a_visit_that_nobody_has_reached_need_not_occur(tmp_path):
    advs = parameters()
    path = write_adam(tmp_path, advs[advs["PARAMCD"] != "NYHACL"], adam_with_a_third_visit())
    cohort, report = load_participants(path)
    assert len(cohort) == 80
    assert [each.visit for each in report.absent] == ["V2"]
    write_cohort(cohort, tmp_path / "out")
    assert_same(read_participants(Schema.load(path), tmp_path / "out")[0], cohort)


def test_a_parameter_of_a_visit_that_others_have_rows_of_must_occur(tmp_path):
    schema = adam_with_a_third_visit()
    schema["measures"][2] |= {"visits": ["V1"], "missing": "allowed"}
    advs = parameters()
    path = write_adam(tmp_path, advs[advs["PARAMCD"] != "NYHACL"], schema)
    refusal(path, "advs.csv", "column PARAMCD", "the parameter NYHACL of the schema never occurs")
